//! What the authentication plugins make of a password, so that it is never sent in clear.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A way to prove that one knows the password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plugin {
    /// `mysql_native_password`, of MariaDB and old MySQL.
    Native,
    /// `caching_sha2_password`, of MySQL since 8.0.
    CachingSha2,
}

impl Plugin {
    /// The plugin of this name, if it is known here.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Native, Self::CachingSha2].into_iter().find(|plugin| plugin.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
        }
    }

    /// The proof for a server that has sent `salt`. No password has an empty one.
    pub(super) fn response(self, password: &str, salt: &[u8]) -> Vec<u8> {
        match self {
            _ if password.is_empty() => Vec::new(),
            // SHA1(password) XOR SHA1(salt ‖ SHA1(SHA1(password)))
            Self::Native => {
                let once = Sha1::digest(password);
                let twice = Sha1::digest(once);
                xor(&once, &Sha1::new().chain_update(salt).chain_update(twice).finalize())
            }
            // SHA256(password) XOR SHA256(SHA256(SHA256(password)) ‖ salt)
            Self::CachingSha2 => {
                let once = Sha256::digest(password);
                let twice = Sha256::digest(once);
                xor(&once, &Sha256::new().chain_update(twice).chain_update(salt).finalize())
            }
        }
    }
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by Python's hashlib, from the formulas in MySQL's documentation.
    #[test]
    fn responses_are_as_documented() {
        let salt = b"RB3vz&Gr+yD&/ZZ305ZG";
        let hex =
            |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(Plugin::Native.response("secret", salt)), NATIVE);
        assert_eq!(hex(Plugin::CachingSha2.response("secret", salt)), CACHING_SHA2);
        assert!(Plugin::Native.response("", salt).is_empty());
    }

    const NATIVE: &str = "dcb55ceb013b37a1decc9db103b20c312f731c30";
    const CACHING_SHA2: &str = "281fb6d349566d37caadd0cbc0f6c871a7e9cb80be66124dc3ca1e10a579e7dc";
}

//! What tells one running check from another.

use std::sync::Arc;

use lb_core::Weight;

use crate::config::{Address, Check};

/// What a check does, and for which server: those that are equal in this are one run, whichever virtual
/// servers they are for. How a target is named makes no difference to that.
#[derive(Eq, Hash, PartialEq)]
pub(in crate::control) struct Identity {
    /// Of the backend: what its traffic meets counts for the check.
    address: Address,
    pub(super) target: Address,
    /// The configured check, but for where it is aimed at.
    check: Arc<Check>,
    /// The configured weight, where the check reports changes to it.
    weight: Option<Weight>,
    /// What is in the files that it needs.
    stamp: u64,
}

impl Identity {
    /// That of `check`, for the server at `address` with this weight.
    pub(super) fn new(address: &Address, weight: Weight, check: &Arc<Check>, stamp: u64) -> Self {
        Self {
            address: address.clone(),
            target: check.target(address),
            check: match &**check {
                Check { port: None, address: None, .. } => Arc::clone(check),
                aimed => Arc::new(Check { port: None, address: None, ..aimed.clone() }),
            },
            weight: check.kind.changes_weight().then_some(weight),
            stamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The check that is configured so, for this backend with this weight.
    fn identity(check: &str, backend: &str, weight: u16, stamp: u64) -> Identity {
        let text = format!(
            "[[virtual_server]]\nlisten = \"127.0.0.1:8000\"\n\
             check = {{ {check} }}\nbackend = [{{ address = \"{backend}\" }}]\n"
        );
        let mut config = Config::parse("test.toml", &text).unwrap();
        let backend = config.virtual_servers.remove(0).backends.remove(0);
        let check = Arc::new(backend.checks[0].clone());
        Identity::new(&backend.address, Weight::new(weight), &check, stamp)
    }

    #[test]
    fn how_a_target_is_named_makes_no_difference() {
        const BACKEND: &str = "192.0.2.1:80";
        let one = |check: &str| identity(check, BACKEND, 1, 0);
        let plain = one(r#"type = "tcp""#);
        assert!(plain == one(r#"type = "tcp", port = 80"#));
        assert!(plain == one(r#"type = "tcp", address = "192.0.2.1:80""#));
        let elsewhere = one(r#"type = "tcp", port = 81"#);
        assert!(
            plain != elsewhere && elsewhere == one(r#"type = "tcp", address = "192.0.2.1:81""#)
        );
    }

    #[test]
    fn whatever_else_differs_does() {
        let tcp = identity(r#"type = "tcp""#, "192.0.2.1:80", 1, 0);
        for (check, backend, stamp) in [
            (r#"type = "tls""#, "192.0.2.1:80", 0),
            (r#"type = "tcp", interval = "3s""#, "192.0.2.1:80", 0),
            (r#"type = "tcp", steps = [{ expect_regex = "a" }]"#, "192.0.2.1:80", 0),
            // Its traffic counts, so it is another one, wherever it is checked.
            (r#"type = "tcp", address = "192.0.2.1:80""#, "192.0.2.2:80", 0),
            (r#"type = "tcp""#, "192.0.2.1:80", 7),
        ] {
            assert!(tcp != identity(check, backend, 1, stamp), "{check} {backend} {stamp}");
        }
        // The weight counts where the check changes it.
        assert!(tcp == identity(r#"type = "tcp""#, "192.0.2.1:80", 2, 0));
        let file = r#"type = "file", path = "/run/weight", weight = 1"#;
        let of_weight = |weight| identity(file, "192.0.2.1:80", weight, 0);
        assert!(of_weight(1) == of_weight(1) && of_weight(1) != of_weight(2));
    }
}

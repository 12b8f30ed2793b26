//! The messages of the MySQL client/server protocol that a check needs, as MySQL and MariaDB
//! document them ("Connection Phase", "Text Protocol").

use std::fmt;

/// What a peer sent is not of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the packet ends in the middle of its {0}")]
    CutOff(&'static str),
    #[error("a packet of {length} bytes, more than {}", Packet::LONGEST)]
    Long { length: usize },
    #[error("a packet that is neither OK nor an error begins with {0:#04x}")]
    Reply(u8),
    #[error("packet number {got} where {wanted} was due")]
    Sequence { got: u8, wanted: u8 },
    #[error("version {0} of the protocol")]
    Version(u8),
}

/// What this client can do, and what servers are asked for.
pub(super) mod capability {
    pub(in super::super) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(in super::super) const PROTOCOL_41: u32 = 1 << 9;
    pub(in super::super) const SSL: u32 = 1 << 11;
    pub(in super::super) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(in super::super) const PLUGIN_AUTH: u32 = 1 << 19;
}

/// The number of the query command, and of those without arguments.
pub(super) mod command {
    pub(in super::super) const QUIT: u8 = 0x01;
    pub(in super::super) const QUERY: u8 = 0x03;
    pub(in super::super) const PING: u8 = 0x0e;
}

/// A packet: what every message comes in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Packet {
    /// Packets are counted from the first of a command on, over both directions.
    pub(super) sequence: u8,
    pub(super) payload: Vec<u8>,
}

impl Packet {
    /// The longest that is read: a check is not for reading tables.
    pub(super) const LONGEST: usize = 32 * 1024;
    const HEADER: usize = 4;

    /// The packet at the beginning of `bytes`, once it is there.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let Some((&[low, middle, high, sequence], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
        if length > Self::LONGEST {
            return Err(Malformed::Long { length });
        }
        let payload = rest.get(..length).map(<[u8]>::to_vec);
        Ok(payload.map(|payload| (Self { sequence, payload }, Self::HEADER + length)))
    }

    pub(super) fn emit(&self) -> Vec<u8> {
        let [low, middle, high, ..] = (self.payload.len() as u32).to_le_bytes();
        [&[low, middle, high, self.sequence], self.payload.as_slice()].concat()
    }
}

/// What a server says first: protocol version 10, which all have since 1998.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Greeting {
    pub(super) version: String,
    pub(super) capabilities: u32,
    /// What a password is scrambled with, 20 bytes.
    pub(super) salt: Vec<u8>,
    /// How the server would have the client authenticate itself.
    pub(super) plugin: String,
}

impl Greeting {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(payload);
        match reader.byte("version")? {
            10 => {}
            other => return Err(Malformed::Version(other)),
        }
        let version = reader.text("version")?;
        reader.take(4, "connection id")?;
        let mut salt = reader.take(8, "salt")?.to_vec();
        reader.take(1, "filler")?;
        let mut capabilities = u32::from(reader.short("capabilities")?);
        // Servers older than 4.1 end here. They are told so by what they cannot do.
        if reader.0.is_empty() {
            return Ok(Self { version, capabilities, salt, plugin: String::new() });
        }
        reader.take(3, "character set and status")?;
        capabilities |= u32::from(reader.short("capabilities")?) << 16;
        let salt_length = usize::from(reader.byte("length of the salt")?);
        reader.take(10, "filler")?;
        if capabilities & capability::SECURE_CONNECTION != 0 {
            let length = salt_length.saturating_sub(8).max(13);
            let rest = reader.take(length.min(reader.0.len()), "salt")?;
            // The last byte is a zero that is no part of it.
            salt.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(rest));
        }
        // MySQL 5.5 forgot the zero at the end of this.
        let plugin = reader.0.split(|&byte| byte == 0).next().unwrap_or_default();
        let plugin = String::from_utf8_lossy(plugin).into_owned();
        Ok(Self { version, capabilities, salt, plugin })
    }
}

/// What answers a command, or a step of authentication.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    Ok,
    /// The end of the column definitions, or of the rows.
    Eof,
    Error {
        code: u16,
        message: String,
    },
    /// Authenticate by another plugin.
    Switch {
        plugin: String,
        salt: Vec<u8>,
    },
    /// A step of the plugin's own.
    More(Vec<u8>),
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("an OK"),
            Self::Eof => f.write_str("an end of rows"),
            Self::Error { code, .. } => write!(f, "error {code}"),
            Self::Switch { plugin, .. } => write!(f, "a switch to {plugin:?}"),
            Self::More(_) => f.write_str("a step of authentication"),
        }
    }
}

impl Reply {
    /// The reply in an authentication, or to a command without a result set.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(payload);
        match reader.byte("first byte")? {
            0x00 => Ok(Self::Ok),
            0x01 => Ok(Self::More(reader.0.to_vec())),
            0xfe if payload.len() <= Self::LONGEST_EOF => Ok(Self::Eof),
            0xfe => {
                let plugin = reader.text("plugin")?;
                let salt = reader.0.strip_suffix(&[0]).unwrap_or(reader.0).to_vec();
                Ok(Self::Switch { plugin, salt })
            }
            0xff => Self::error(reader),
            other => Err(Malformed::Reply(other)),
        }
    }

    /// What ends a result set, or is not one at all; `None` for a packet that is part of it.
    pub(super) fn ending(payload: &[u8]) -> Result<Option<Self>, Malformed> {
        match payload.first() {
            Some(0xfe) if payload.len() <= Self::LONGEST_EOF => Ok(Some(Self::Eof)),
            Some(0xff) => Self::error(Reader(&payload[1..])).map(Some),
            Some(_) => Ok(None),
            None => Err(Malformed::CutOff("row")),
        }
    }

    /// An EOF is told by its length from a row that begins with a very long value.
    const LONGEST_EOF: usize = 8;

    fn error(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let code = reader.short("error code")?;
        // The SQL state; missing before the client has said what it can do.
        if reader.0.first() == Some(&b'#') {
            reader.take(6, "SQL state")?;
        }
        Ok(Self::Error { code, message: String::from_utf8_lossy(reader.0).into_owned() })
    }
}

/// The values of a row in the text protocol; `None` is NULL.
pub(super) fn row(payload: &[u8]) -> Result<Vec<Option<&[u8]>>, Malformed> {
    let mut reader = Reader(payload);
    let mut values = Vec::new();
    while !reader.0.is_empty() {
        values.push(reader.value()?);
    }
    Ok(values)
}

/// What a client says to be let in.
pub(super) struct Login<'a> {
    pub(super) capabilities: u32,
    pub(super) user: &'a str,
    /// What the plugin makes of password and salt.
    pub(super) response: &'a [u8],
    pub(super) database: Option<&'a str>,
    pub(super) plugin: &'a str,
}

impl Login<'_> {
    /// utf8mb4, in which statements are sent.
    const CHARACTER_SET: u8 = 45;

    /// The request for TLS, which is the beginning of the login.
    pub(super) fn tls_request(capabilities: u32) -> Vec<u8> {
        let longest = (Packet::LONGEST as u32).to_le_bytes();
        let mut payload = [capabilities.to_le_bytes(), longest].concat();
        payload.push(Self::CHARACTER_SET);
        payload.resize(payload.len() + 23, 0);
        payload
    }

    pub(super) fn emit(&self) -> Vec<u8> {
        let mut payload = Self::tls_request(self.capabilities);
        payload.extend_from_slice(self.user.as_bytes());
        payload.push(0);
        // No plugin that is known here makes more than a byte can count.
        payload.push(self.response.len() as u8);
        payload.extend_from_slice(self.response);
        if let Some(database) = self.database {
            payload.extend_from_slice(database.as_bytes());
            payload.push(0);
        }
        payload.extend_from_slice(self.plugin.as_bytes());
        payload.push(0);
        payload
    }
}

/// What is not read yet of a payload.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::CutOff(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.take(1, what).map(|taken| taken[0])
    }

    fn short(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.take(2, what).map(|taken| u16::from_le_bytes([taken[0], taken[1]]))
    }

    /// A text that ends with a zero.
    fn text(&mut self, what: &'static str) -> Result<String, Malformed> {
        let end = self.0.iter().position(|&byte| byte == 0).ok_or(Malformed::CutOff(what))?;
        let text = String::from_utf8_lossy(self.take(end, what)?).into_owned();
        self.take(1, what)?;
        Ok(text)
    }

    /// A value with its length before it.
    fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        const WHAT: &str = "value";
        let wide = match self.byte(WHAT)? {
            0xfb => return Ok(None),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            0xff => return Err(Malformed::CutOff(WHAT)),
            short => return self.take(usize::from(short), WHAT).map(Some),
        };
        let mut length = [0; 8];
        length[..wide].copy_from_slice(self.take(wide, WHAT)?);
        let length = usize::try_from(u64::from_le_bytes(length));
        self.take(length.map_err(|_| Malformed::CutOff(WHAT))?, WHAT).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of MariaDB 10.11 on Debian 12.
    const MARIADB: &[u8] =
        b"d\0\0\0\x0a5.5.5-10.11.19-MariaDB-0+deb12u1\0\x03\0\0\x0060.6agc:\0\xfe\
        \xf7\x08\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\x008JL}Ti6oNx2.\0mysql_native_password\0";
    /// "Connection Phase" in MySQL's documentation of its protocol: 5.6 with a plugin.
    const MYSQL: &[u8] = b"\x50\0\0\0\x0a5.6.4-m7-log\0\x56\x0a\0\0\x52\x42\x33\x76\x7a\x26\x47\x72\
        \0\xff\xff\x08\x02\0\x0f\xc0\x15\0\0\0\0\0\0\0\0\0\0\x2b\x79\x44\x26\x2f\x5a\x5a\x33\x30\x35\
        \x5a\x47\0mysql_native_password\0";

    fn greeting(bytes: &[u8]) -> Greeting {
        let (packet, used) = Packet::parse(bytes).unwrap().unwrap();
        assert_eq!((used, packet.sequence, packet.emit()), (bytes.len(), 0, bytes.to_vec()));
        Greeting::parse(&packet.payload).unwrap()
    }

    #[test]
    fn greetings_are_read() {
        let mysql = greeting(MYSQL);
        assert_eq!(mysql.version, "5.6.4-m7-log");
        assert_eq!(mysql.salt, b"RB3vz&Gr+yD&/ZZ305ZG");
        assert_eq!(mysql.plugin, "mysql_native_password");
        assert_eq!(mysql.capabilities, 0xc00f_ffff);
        let mariadb = greeting(MARIADB);
        assert_eq!(mariadb.version, "5.5.5-10.11.19-MariaDB-0+deb12u1");
        assert_eq!(mariadb.salt, b"60.6agc:8JL}Ti6oNx2.");
        assert_eq!(mariadb.plugin, "mysql_native_password");
        assert_ne!(mariadb.capabilities & capability::PLUGIN_AUTH, 0);
    }

    #[test]
    fn a_packet_is_awaited_and_a_payload_cut_off_is_told() {
        for count in 0..MYSQL.len() {
            assert_eq!(Packet::parse(&MYSQL[..count]), Ok(None));
        }
        for count in [0, 1, 5, 14, 18, 26, 28] {
            let cut = Greeting::parse(&MYSQL[4..4 + count]);
            assert!(matches!(cut, Err(Malformed::CutOff(_))), "{count}: {cut:?}");
        }
        assert_eq!(Packet::parse(b"\xff\xff\xff\0"), Err(Malformed::Long { length: 0xff_ffff }));
        assert_eq!(Greeting::parse(b"\x09"), Err(Malformed::Version(9)));
    }

    #[test]
    fn replies_are_told_apart() {
        let error = |code, message: &str| Reply::Error { code, message: message.to_owned() };
        for (payload, reply) in [
            (&b"\0\0\0\x02\0\0\0"[..], Reply::Ok),
            (b"\xff\x15\x04#28000Access denied", error(1045, "Access denied")),
            (b"\xff\x69\x04Host is blocked", error(1129, "Host is blocked")),
            (b"\xfe\0\0\x02\0", Reply::Eof),
            (b"\x01\x04", Reply::More(vec![4])),
        ] {
            assert_eq!(Reply::parse(payload), Ok(reply));
        }
        let switch = Reply::parse(b"\xfecaching_sha2_password\x0001234567890123456789\0");
        let Ok(Reply::Switch { plugin, salt }) = switch else { panic!("{switch:?}") };
        assert_eq!((plugin.as_str(), salt.len()), ("caching_sha2_password", 20));
        assert_eq!(Reply::parse(b""), Err(Malformed::CutOff("first byte")));
        assert_eq!(Reply::parse(b"\x42"), Err(Malformed::Reply(0x42)));
    }

    #[test]
    fn rows_are_read() {
        let values = row(b"\x09read_only\xfb\0\xfc\x02\0ON").unwrap();
        assert_eq!(values, [Some(&b"read_only"[..]), None, Some(b""), Some(b"ON")]);
        for broken in [&b"\x02a"[..], b"\xfc\x01", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff", b"\xff"]
        {
            assert_eq!(row(broken), Err(Malformed::CutOff("value")));
        }
        assert_eq!(Reply::ending(b"\x02ON"), Ok(None));
        assert_eq!(Reply::ending(b"\xfe\0\0\0\0"), Ok(Some(Reply::Eof)));
        assert!(Reply::ending(b"").is_err());
    }
}

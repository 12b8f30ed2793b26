//! Claims of addresses in TOML.

use super::reader::{Entry, Read, Table};
use crate::config::draft::claim::{Call, Claim, Holder, Http};
use crate::config::mistakes::Mistakes;

impl Read for Claim {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let claim = Self {
            command: table.take("command", r#"command = ["/usr/local/bin/claim", "argument"]"#),
            http: table.take("http", r#"http = { url = "https://api.example.org/{address}" }"#),
            interval: table.take("interval", r#"interval = "30s""#),
            timeout: table.take("timeout", r#"timeout = "10s""#),
        };
        table.finish();
        Some(claim)
    }
}

impl Read for Http {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let http = Self {
            assign: Call::take(&mut table),
            holder: table.take(
                "holder",
                r#"holder = { url = "https://api.example.org/{address}", pointer = "/server/id", value = "1" }"#,
            ),
            release: table.take("release", r#"release = { url = "https://api.example.org/{address}" }"#),
            headers: table.take("headers", r#"headers = { Content-Type = "application/json" }"#),
            token_file: table.take("token_file", r#"token_file = "/etc/vip-keeper/token""#),
            ca: table.take("ca", r#"ca = "/etc/vip-keeper/ca.pem""#),
            verify: table.take("verify", "verify = true"),
        };
        table.finish();
        Some(http)
    }
}

impl Call {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            method: table.take("method", r#"method = "POST""#),
            url: table.take("url", r#"url = "https://api.example.org/{address}""#),
            body: table.take("body", r#"body = '{ "server": 1 }'"#),
            status: table.take("status", r#"status = ["200-299"]"#),
        }
    }
}

impl Read for Call {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let call = Self::take(&mut table);
        table.finish();
        Some(call)
    }
}

impl Read for Holder {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let holder = Self {
            url: table.take("url", r#"url = "https://api.example.org/{address}""#),
            pointer: table.take("pointer", r#"pointer = "/server/id""#),
            value: table.take("value", r#"value = "1""#),
        };
        table.finish();
        Some(holder)
    }
}

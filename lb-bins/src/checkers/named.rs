//! What checks call a server that has a name.

use std::borrow::Cow;

use crate::config::check::{CheckKind, SmtpSecurity, Tls};
use crate::config::{Address, Check};

/// The check as it is run at `target`: a server that is known by a name is asked for by it, in the `Host`
/// header and in TLS, and its certificate must be for it, unless the check says another.
pub(super) fn named<'a>(check: &'a Check, target: &Address) -> Cow<'a, Check> {
    let Some(name) = target.host() else { return Cow::Borrowed(check) };
    // The dot at the end of a name is for resolvers (RFC 6066, 3).
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut check = check.clone();
    match &mut check.kind {
        // TLS follows the host.
        CheckKind::Http(http) => {
            let usual = if http.tls.is_some() { 443 } else { 80 };
            http.host.get_or_insert_with(|| authority(name, target.port(), usual));
        }
        CheckKind::Grpc(grpc) => {
            let usual = if grpc.tls.is_some() { 443 } else { 80 };
            grpc.host.get_or_insert_with(|| authority(name, target.port(), usual));
        }
        kind => {
            if let Some(tls) = tls(kind) {
                tls.sni.get_or_insert_with(|| name.to_owned());
            }
        }
    }
    Cow::Owned(check)
}

/// A name with its port, unless that is the usual one of the scheme (RFC 9110, 4.2.3 and 7.2).
fn authority(name: &str, port: u16, usual: u16) -> String {
    if port == usual { name.to_owned() } else { format!("{name}:{port}") }
}

/// How TLS is spoken by what has no host to follow.
const fn tls(kind: &mut CheckKind) -> Option<&mut Tls> {
    match kind {
        CheckKind::Agent(agent) => agent.tls.as_mut(),
        CheckKind::Ldap(directory) => directory.tls.as_mut(),
        CheckKind::Mysql(database) | CheckKind::Postgres(database) => database.tls.as_mut(),
        CheckKind::Redis(server) => server.tls.as_mut(),
        CheckKind::Smtp(server) => match &mut server.security {
            Some(SmtpSecurity::Implicit(tls) | SmtpSecurity::Starttls(tls)) => Some(tls),
            None => None,
        },
        CheckKind::Tcp(talk) => talk.tls.as_mut(),
        CheckKind::Tls(tls) => Some(tls),
        CheckKind::Dns(_)
        | CheckKind::File(_)
        | CheckKind::Grpc(_)
        | CheckKind::Http(_)
        | CheckKind::Ping(_)
        | CheckKind::Script(_)
        | CheckKind::Udp(_)
        | CheckKind::Worker(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The host and the name in TLS that a check has at `target`.
    fn names(check: &str, target: &str) -> (Option<String>, Option<String>) {
        let text = format!(
            "[[virtual_server]]\nlisten = \"127.0.0.1:1\"\n\
             backend = [{{ address = \"{target}\" }}]\ncheck = {{ {check} }}\n"
        );
        let config = Config::parse("test.toml", &text).unwrap();
        let backend = &config.virtual_servers[0].backends[0];
        let mut check = named(&backend.checks[0], &backend.address).into_owned();
        match &mut check.kind {
            CheckKind::Http(http) => (http.host.clone(), http.tls.clone().and_then(|tls| tls.sni)),
            CheckKind::Grpc(grpc) => (grpc.host.clone(), grpc.tls.clone().and_then(|tls| tls.sni)),
            kind => (None, tls(kind).and_then(|tls| tls.sni.clone())),
        }
    }

    #[test]
    fn who_has_a_name_is_called_by_it() {
        let some = |text: &str| Some(text.to_owned());
        for (check, target, wanted) in [
            (r#"type = "http""#, "192.0.2.1:80", (None, None)),
            (r#"type = "http""#, "www.example.org:80", (some("www.example.org"), None)),
            (r#"type = "http""#, "www.example.org:8080", (some("www.example.org:8080"), None)),
            (r#"type = "https""#, "www.example.org.:443", (some("www.example.org"), None)),
            (r#"type = "https""#, "www.example.org:80", (some("www.example.org:80"), None)),
            (
                r#"type = "https", host = "a.org""#,
                "www.example.org:443",
                (some("a.org"), some("a.org")),
            ),
            (
                r#"type = "https", sni = "a.org""#,
                "www.example.org:443",
                (some("www.example.org"), some("a.org")),
            ),
            (r#"type = "grpc""#, "a.org:50051", (some("a.org:50051"), None)),
            (r#"type = "tls""#, "a.org:1", (None, some("a.org"))),
            (r#"type = "tls", sni = "b.org""#, "a.org:1", (None, some("b.org"))),
            (r#"type = "smtp", starttls = true"#, "a.org:25", (None, some("a.org"))),
            (r#"type = "redis", tls = true"#, "a.org:1", (None, some("a.org"))),
            (r#"type = "tls""#, "192.0.2.1:1", (None, None)),
            (r#"type = "tls", address = "b.org:2""#, "192.0.2.1:1", (None, None)),
        ] {
            assert_eq!(names(check, target), wanted, "{check} at {target}");
        }
    }
}

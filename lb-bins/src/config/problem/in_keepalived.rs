//! Remedies for mistakes in a keepalived.conf, in its own syntax: what one writes in TOML helps nobody
//! there.

use super::{Problem, Quoted, VrrpProblem};
use crate::config::mistakes::Syntax;

/// Keys in the words of rules that all syntaxes obey, as they are called there.
const WORDS: [(&str, &str); 26] = [
    ("`addresses`", "`virtual_ipaddress`"),
    ("`advert_interval`", "`advert_int`"),
    ("`body_regex`", "`regex`"),
    ("`check_unicast_source`", "`check_unicast_src`"),
    ("`excluded_addresses`", "`virtual_ipaddress_excluded`"),
    ("`host`", "`virtualhost`"),
    ("`l_threshold`", "`lthreshold`"),
    ("`listen`", "`virtual_server`"),
    ("`md5`", "`digest`"),
    ("`members`", "`group`"),
    ("`multicast_source`", "`mcast_src_ip`"),
    ("`on_down`", "`notify_down`"),
    ("`on_quorum_down`", "`quorum_down`"),
    ("`on_quorum_up`", "`quorum_up`"),
    ("`on_up`", "`notify_up`"),
    ("`prefix`", "the length of the prefix"),
    ("`scheduler`", "`lb_algo`"),
    ("`source_port`", "`bind_port`"),
    ("`track_files`", "`track_file`"),
    ("`track_interfaces`", "`track_interface`"),
    ("`track_processes`", "`track_process`"),
    ("`track_scripts`", "`track_script`"),
    ("`u_threshold`", "`uthreshold`"),
    ("`unicast_peers`", "`unicast_peer`"),
    ("`unicast_source`", "`unicast_src_ip`"),
    ("`vmac_interface`", "`use_vmac`"),
];

impl Problem {
    /// What is wrong, in one line, in the words of that syntax.
    pub(in crate::config) fn message_in(&self, syntax: Syntax) -> String {
        self.in_words_of(syntax, self.to_string())
    }

    /// With the keys of TOML called as they are in that syntax.
    pub(super) fn in_words_of(&self, syntax: Syntax, text: String) -> String {
        match (syntax, self) {
            (Syntax::Toml, _) | (_, Self::Keepalived(_)) => text,
            _ => WORDS.iter().fold(text, |text, (key, word)| text.replace(key, word)),
        }
    }

    /// What to do about it in a keepalived.conf, in one line; `None` if that is the same in every syntax.
    pub(super) fn help_in_keepalived(&self) -> Option<String> {
        let help = match self {
            Self::Vrrp(problem) => return problem.help_in_keepalived(),

            Self::BadName { .. } => "give it a name without them; it names metrics and logs",
            Self::HysteresisNotBelowQuorum { .. } => "write less than `quorum`",
            Self::LowerWithoutUpper => "add `uthreshold`",
            Self::Missing { sample, .. } => return Some(add(sample)),
            Self::NoBackends => "add a `real_server`",
            Self::NoVirtualServers => "add a `virtual_server`, or a `vrrp_instance`",
            Self::NotAMailbox { .. } => "write user@example.org alone",
            Self::NotAPattern { .. } => {
                "see docs.rs/regex for what can be written: it looks neither ahead nor behind, and \
                 refers to nothing that was found"
            }
            Self::NotHex { open: true, .. } => "write for example 01xx, with x for any digit",
            Self::NotHex { .. } => "write for example 00ff",
            Self::NothingFor { block, other: Some(other), .. } => {
                return Some(format!("run {other}, which has with this file, or add a `{block}`"));
            }
            Self::NothingFor { block, .. } => return Some(format!("add a `{block}`")),
            Self::OtherScheme { meant: "https", .. } => "write SSL_GET, unless it is meant",
            Self::OtherScheme { .. } => "write HTTP_GET, unless it is meant",
            Self::OutOfRange { key: "u_threshold" | "l_threshold", value: 0, .. } => {
                "remove it for no limit; `weight 0` is for a server that takes no connection"
            }
            Self::PanicWithoutChecks | Self::SorryServerWithoutChecks => {
                "add a check to the real servers, such as TCP_CHECK"
            }
            Self::PathWithoutSlash { path } => return Some(format!("write /{path}")),
            Self::RelativeProgram { .. } => {
                "write the whole path of the program; there is no shell"
            }
            Self::Unreachable { hysteresis: 1.., .. } => {
                "it is gained at `quorum` and `hysteresis` together: lower one of them"
            }
            Self::ZeroDuration { .. } => "write a time above zero",
            _ => return None,
        };
        Some(help.to_owned())
    }
}

impl VrrpProblem {
    fn help_in_keepalived(&self) -> Option<String> {
        let help = match self {
            Self::AuthenticationForVersion { .. } => "remove it, or write `version 2`",
            Self::DelayBeyondSilence { .. } => {
                "write less than `advert_int` times `down_timer_adverts` less one"
            }
            Self::IntervalForVersion { .. } => {
                "write whole seconds for `version 2`, and at most 40.95 for `version 3`"
            }
            Self::IntervalRange | Self::IntervalSteps { .. } => "write for example: advert_int 1",
            Self::MacTwice { .. } => "give each its own name behind `use_vmac`",
            Self::NotAccepted { .. } => {
                "remove `no_accept` or `vrrp_strict`, or add `accept`: else packets for the address are \
                 dropped"
            }
            Self::Nothing { key: "members", .. } => "add for example: group { inside outside }",
            Self::Nothing { key: "addresses", .. } => {
                "add for example: virtual_ipaddress { 192.0.2.200/24 }"
            }
            Self::RefreshedTooOften { .. } => "write at least 1, or 0 for no refresh",
            Self::RouteToNowhere => "add `dev` for what is on the link, or `via` for what is not",
            Self::Undescribed { name, known, block, .. } if known.is_empty() => {
                return Some(format!("add {block} {} {{ … }}", Quoted(name)));
            }
            Self::V2IsIpv4 => "remove `version`, or write `version 3`",
            Self::WeightedMember { .. } => "write `weight 0`, so that a failure is a fault of all",
            _ => return None,
        };
        Some(help.to_owned())
    }
}

/// What is missing, from the `sample` of it in TOML, if a word and its value are all that there is to it.
fn add(sample: &str) -> String {
    match sample.split_once(" = ") {
        Some((word, value)) if !value.starts_with(['[', '{']) => {
            format!("add for example: {word} {}", value.trim_matches('"'))
        }
        _ => "add it to the block".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use lb_vrrp::Family;

    use super::*;
    use crate::config::mistakes::Syntax;

    #[test]
    fn no_remedy_speaks_toml() {
        let (key, name) = ("key", || "name".to_owned());
        for problem in [
            Problem::BadName { name: name() },
            Problem::HysteresisNotBelowQuorum { quorum: 2, hysteresis: 3 },
            Problem::LowerWithoutUpper,
            Problem::Missing { key, sample: "port = 80" },
            Problem::Missing { key, sample: r#"path = "/alive""# },
            Problem::Missing { key, sample: r#"command = ["/bin/check"]"# },
            Problem::NoBackends,
            Problem::NoVirtualServers,
            Problem::NotAPattern { key, text: name(), reason: name() },
            Problem::NotHex { key, text: name(), open: false },
            Problem::NotHex { key, text: name(), open: true },
            Problem::NothingFor { daemon: "", what: "", block: "vrrp_instance", other: None },
            Problem::OtherScheme { kind: "http", port: 443, meant: "https" },
            Problem::OtherScheme { kind: "https", port: 80, meant: "http" },
            Problem::OutOfRange { key: "u_threshold", value: 0, least: 1, most: 9 },
            Problem::PanicWithoutChecks,
            Problem::RelativeProgram { key, program: name() },
            Problem::SorryServerWithoutChecks,
            Problem::Unreachable { needed: 3, total: 2, hysteresis: 1 },
            Problem::ZeroDuration { key },
            VrrpProblem::AuthenticationForVersion { kind: "ah" }.into(),
            VrrpProblem::MacTwice { interface: name() }.into(),
            VrrpProblem::NotAccepted { address: [10, 0, 0, 1].into(), instance: name() }.into(),
            VrrpProblem::Nothing { what: "groups", key: "members", sample: "members = []" }.into(),
            VrrpProblem::OtherFamily { key, address: [10, 0, 0, 1].into(), expected: Family::V6 }
                .into(),
            VrrpProblem::Undescribed { key, name: name(), known: vec![], block: "vrrp_script" }
                .into(),
            VrrpProblem::V2IsIpv4.into(),
            VrrpProblem::WeightedMember { name: name() }.into(),
        ] {
            let help = problem.help_in(Syntax::Keepalived).unwrap();
            let is_toml = [" = ", "[[", "type ="].iter().any(|toml| help.contains(toml));
            assert!(!is_toml, "{problem}: {help}");
        }
    }
}

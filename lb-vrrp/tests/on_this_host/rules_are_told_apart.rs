//! Rules of one priority that differ in anything are others, for what a crash has left as for what
//! somebody takes away.

use lb_vrrp::Family;
use lb_vrrp::driver::Network;
use lb_vrrp::linux::{LinuxNetwork, Rule, RuleAction, Settings};

use crate::namespace::{Namespace, is_possible};
use crate::{channel, drain, open};

/// One of ours, which is for the same packets as another one, or for more.
fn rule(change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule::new(Family::V4);
    (rule.from, rule.priority, rule.table) = (Some("10.1.0.0/16".parse().unwrap()), Some(400), 100);
    change(&mut rule);
    rule
}

/// All rules, sorted, as `ip` would have them said.
fn rules(space: &Namespace) -> Vec<String> {
    let mut rules: Vec<_> = space.ip("rule show").lines().map(str::to_owned).collect();
    rules.sort();
    rules
}

#[test]
#[ignore = "needs root and ip"]
fn what_a_crash_has_left_goes_and_nothing_else_does() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    // Somebody else's, of the same priorities and for the same packets.
    let others = [
        "from 10.1.0.0/16 pref 100 goto 200",
        "from 10.1.0.0/16 pref 300 ipproto tcp dport 80 lookup 100",
        "from 10.1.0.0/16 pref 300 lookup 100",
    ];
    for rule in others {
        space.ip(&format!("rule add {rule} protocol static"));
    }
    let before = rules(&space);
    space.inside(async || {
        let ours = vec![rule(|rule| rule.dport = Some(443..=443))];
        let (mut network, id) = open(|settings| settings.rules = ours);
        network.add_routes(id).unwrap();
        let with_ours = rules(&space);
        assert_eq!(with_ours.len(), before.len() + 1);
        let left = [
            "from 10.1.0.0/16 pref 100 goto 200",
            "from 10.1.0.0/16 pref 110 goto 9999", // which leads nowhere
            "from 10.1.0.0/16 pref 300 ipproto udp dport 80 lookup 100",
            "from 10.1.0.0/16 pref 400 ipproto tcp sport 1-9 dport 443 lookup 100",
            "from 10.1.0.0/16 pref 400 tos 0x10 lookup 100",
            "from 10.1.0.0/16 pref 400 uidrange 5-6 lookup 100",
            "from 10.1.0.0/16 pref 400 fwmark 0x1/0xff lookup 100",
            "from 10.1.0.0/16 pref 400 iif eth0 blackhole",
            "from 10.1.0.0/16 pref 400 oif gone0 lookup 100",
            "from 10.1.0.0/16 pref 400 lookup 100 suppress_prefixlength 3",
            "not from 10.2.0.0/16 pref 400 lookup 100",
            "to 10.3.0.0/16 pref 401 prohibit",
        ];
        for rule in left {
            space.ip(&format!("rule add {rule} protocol 112"));
        }
        space.ip("-6 rule add from fd00::/16 pref 400 unreachable protocol 112");
        let (inputs, errors) = drain(&mut network);
        assert_eq!(errors, 0);
        assert!(!inputs.iter().any(|(_, input)| input.contains("Failed")), "{inputs:?}");
        assert_eq!(rules(&space), with_ours);
        assert!(!space.ip("-6 rule show").contains("fd00"));
        network.remove_routes(id).unwrap();
        assert_eq!(rules(&space), before);
    });
}

#[test]
#[ignore = "needs root and ip"]
fn only_who_had_it_is_told_that_a_rule_was_taken_away() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    let all = [
        (rule(|_| {}), "lookup 100"),
        (rule(|rule| rule.tos = Some(0x10)), "tos 0x10 lookup 100"),
        (rule(|rule| rule.dport = Some(80..=80)), "dport 80 lookup 100"),
        (rule(|rule| rule.fwmark = Some(7)), "fwmark 7 lookup 100"),
        (rule(|rule| rule.action = RuleAction::Blackhole), "blackhole"),
        (rule(|rule| rule.action = RuleAction::Goto(32766)), "goto 32766"),
    ];
    space.inside(async || {
        let mut network = LinuxNetwork::new().unwrap();
        let open = |(rule, _): &(Rule, &str)| {
            let mut settings = Settings::new("eth0");
            settings.rules = vec![rule.clone()];
            let id = network.open(&channel([10, 99, 0, 1]), settings).unwrap();
            network.add_routes(id).unwrap();
            id
        };
        let ids: Vec<_> = all.iter().map(open).collect();
        drain(&mut network);
        // The most general one comes last: the kernel would take any of the others for it.
        for (id, (_, text)) in ids.iter().zip(&all).rev() {
            space.ip(&format!("rule delete from 10.1.0.0/16 pref 400 {text}"));
            let lost = drain(&mut network).0.into_iter().filter(|(_, input)| input == "RoutesLost");
            assert_eq!(lost.map(|(id, _)| id).collect::<Vec<_>>(), [*id], "{text}");
        }
    });
}

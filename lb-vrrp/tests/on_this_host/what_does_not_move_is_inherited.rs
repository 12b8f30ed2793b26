//! What a process that was killed has left of what is static belongs to the next one.

use lb_vrrp::Family;
use lb_vrrp::linux::{Fixed, FixedSettings, Route, Rule, VirtualAddress};

use crate::namespace::{Namespace, is_possible};

fn seen(space: &Namespace) -> [String; 3] {
    ["-o address show dev eth0", "route show table all", "rule show"].map(|what| space.ip(what))
}

#[test]
#[ignore = "needs root and ip"]
fn what_is_wanted_is_taken_over_and_all_else_of_it_goes() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    // Somebody else's, of which one is wanted, too.
    space.ip("address add 10.7.0.9/24 dev eth0");
    space.ip("route add 10.70.9.0/24 dev eth0 proto static");
    space.ip("rule add from 10.71.0.0/16 pref 700 lookup 100 protocol static");
    let before = seen(&space);

    let address = |last: u8| {
        Fixed::Address(VirtualAddress::new([10, 7, 0, last].into()).prefix(24).dev("eth0"))
    };
    let route = |to: &str| {
        let mut route = Route::new(to.parse().unwrap());
        route.dev = Some("eth0".to_owned());
        Fixed::Route(route)
    };
    let rule = |priority| {
        let mut rule = Rule::new(Family::V4);
        (rule.from, rule.priority, rule.table) =
            (Some("10.71.0.0/16".parse().unwrap()), Some(priority), 100);
        Fixed::Rule(rule)
    };
    let stays = [address(1), route("10.70.1.0/24"), rule(701)];
    let goes = [address(2), route("10.70.2.0/24"), rule(702)];
    space.inside(async || {
        let mut first = FixedSettings::new().unwrap();
        for fixed in stays.iter().chain(&goes) {
            assert!(first.add(fixed).unwrap());
        }
        let full = seen(&space);
        // Beside one that is alive, nothing is anybody else's.
        let mut beside = FixedSettings::new().unwrap();
        assert_eq!(beside.inherit(&stays).kept, []);
        assert_eq!(seen(&space), full);
        drop((first, beside));

        let mut second = FixedSettings::new().unwrap();
        let mut wanted = stays.to_vec();
        wanted.push(address(9));
        let inherited = second.inherit(&wanted);
        let mut removed: Vec<_> = inherited.removed.iter().map(ToString::to_string).collect();
        removed.sort();
        let gone =
            ["address 10.7.0.2/24", "route to 10.70.2.0/24 in table 254", "rule of priority 702"];
        assert_eq!(removed, gone);
        let mut ours = inherited.kept;
        let kind = |fixed: &Fixed| std::mem::discriminant(fixed);
        ours.sort_by_key(|fixed| stays.iter().position(|one| kind(one) == kind(fixed)));
        assert_eq!(ours, stays);
        let now = seen(&space);
        assert!(now.iter().all(|text| !text.contains("10.7.0.2/") && !text.contains("10.70.2.")));
        assert!(!now[2].contains("702:") && now[2].contains("701:") && now[2].contains("700:"));
        // It is there already.
        assert!(wanted.iter().all(|fixed| !second.add(fixed).unwrap()));
        for fixed in &ours {
            second.remove(fixed).unwrap();
        }
        assert_eq!(seen(&space), before);
    });
}

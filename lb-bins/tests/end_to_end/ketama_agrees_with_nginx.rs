//! `ketama` in the place of nginx in front of the same backends, or beside it. Ignored, because nginx
//! must be installed.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::harness::*;
use crate::nginx_as_backend::{Nginx, is_installed};

/// Whose page each of the clients gets there.
fn homes(to: SocketAddr) -> Vec<String> {
    let client = |last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
    (2..62).map(|last| get_from(client(last), to, "/").unwrap().body).collect()
}

#[test]
#[ignore = "needs nginx"]
fn a_client_meets_the_same_backend_through_nginx() {
    if !is_installed() {
        return;
    }
    let (web, front) = (Port::free(), Port::free());
    let pages = [1, 3, 2, 1].map(|weight| (Port::free(), weight));
    let (mut upstream, mut list) = (String::new(), String::new());
    let mut sites = String::new();
    for (page, weight) in &pages {
        write!(upstream, "server {page} weight={weight}; ").unwrap();
        write!(list, r#"{{ address = "{page}", weight = {weight} }}, "#).unwrap();
        writeln!(sites, r#"server {{ listen {page}; location / {{ return 200 "{page}"; }} }}"#)
            .unwrap();
    }
    let _nginx = Nginx::start_with(format!(
        "upstream pages {{ hash $remote_addr consistent; {upstream} }}
         server {{ listen {front}; location / {{ proxy_pass http://pages; }} }}
         {sites}"
    ));
    let list = format!("backend = [{list}]");
    let config = |seed: &str| server("web", &web, &[r#"scheduler = "ketama""#, seed, &list]);
    let balancer = Balancer::start(&config(""));
    balancer.until_all_up();
    let through_nginx = homes(front.address());
    assert_eq!(through_nginx.iter().collect::<HashSet<_>>().len(), pages.len());
    assert_eq!(homes(web.address()), through_nginx);
    // With a secret that nginx does not know, they part.
    balancer.reload(&config(r#"hash_seed = "one""#));
    assert_ne!(homes(web.address()), through_nginx);
}

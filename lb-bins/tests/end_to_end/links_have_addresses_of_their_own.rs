//! Addresses of IPv6 that are those of one link, on both sides.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener, TcpStream};
use std::thread;

use crate::harness::*;

/// An address of this host that is of one link, with the number and the name of its interface.
fn on_a_link() -> (Ipv6Addr, u32, String) {
    let known = fs::read_to_string("/proc/net/if_inet6").unwrap();
    let find = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let address = Ipv6Addr::from(u128::from_str_radix(words[0], 16).unwrap());
        let is_local = address.segments()[0] == 0xFE80;
        is_local.then(|| (address, u32::from_str_radix(words[1], 16).unwrap(), words[5].to_owned()))
    };
    known.lines().find_map(find).expect("an address of a link")
}

/// Answers the first line of each connection, if there is one: checks leave without a word.
fn greet(listener: TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        if BufReader::new(&stream).read_line(&mut String::new()).is_ok() {
            let _ = stream.write_all(b"from the link\n");
        }
    }
}

#[test]
#[ignore = "needs an address of IPv6 that is of one link"]
fn a_virtual_server_and_its_backend_are_on_a_link() {
    let (host, index, interface) = on_a_link();
    let listener = TcpListener::bind(SocketAddrV6::new(host, 0, 0, index)).unwrap();
    let backend = listener.local_addr().unwrap().port();
    thread::spawn(|| greet(listener));
    // Free a moment ago.
    let free = TcpListener::bind(SocketAddrV6::new(host, 0, 0, index)).unwrap();
    let web = free.local_addr().unwrap().port();
    drop(free);
    for zone in [interface, index.to_string()] {
        let config = format!(
            "[[virtual_server]]\nname = \"web\"\nlisten = \"[{host}%{zone}]:{web}\"\n\
             {QUICK_CHECK}\nbackend = [{{ address = \"[{host}%{zone}]:{backend}\" }}]\n"
        );
        let balancer = Balancer::start(&config);
        balancer.until_all_up();
        let mut client = TcpStream::connect(SocketAddrV6::new(host, web, 0, index)).unwrap();
        client.write_all(b"who\n").unwrap();
        let mut answer = String::new();
        BufReader::new(&client).read_line(&mut answer).unwrap();
        assert_eq!(answer, "from the link\n");
        // An order names it as the configuration does.
        let path = format!("/virtual_servers/web/backends/[{host}%25{zone}]:{backend}/drain");
        assert_eq!(post(balancer.admin(), &path, "").unwrap().status, 200);
    }
}

//! Redis: who is let in, master and replica.

use lb_health::checkers::{Pattern, Redis, RedisRole, SendExpect};

use crate::harness::{Server, are_installed, check, failure, until};

const SERVER: &str = "/usr/bin/redis-server";

fn start(options: &[&str]) -> Server {
    let mut server = Server::prepare("redis", "redis");
    let (port, folder) = (server.port().to_string(), server.file(""));
    let own = ["--port", &port, "--dir", &folder, "--bind", "127.0.0.1", "--save", ""];
    server.start(SERVER, &[&own[..], options].concat());
    server
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_lets_in_who_knows_the_password() {
    if !are_installed(&[SERVER]) {
        return;
    }
    let open = start(&[]);
    check(Redis::new(), &open).await.unwrap();
    let (cause, text) = failure(Redis::new().with_password("x"), &open).await;
    assert_eq!((cause, text.contains("without any password")), ("rejected", true), "{text}");

    let user = ["--user", "check", "on", ">secret", "+ping", "+role"];
    let closed = start(&[&["--requirepass", "word"][..], &user].concat());
    let (cause, text) = failure(Redis::new(), &closed).await;
    assert_eq!((cause, text.contains("NOAUTH")), ("rejected", true), "{text}");
    check(Redis::new().with_password("word"), &closed).await.unwrap();
    let by_name = Redis::new().with_user("check", "secret").with_role(RedisRole::Master);
    check(by_name, &closed).await.unwrap();
    let (cause, text) = failure(Redis::new().with_user("check", "wrong"), &closed).await;
    assert_eq!((cause, text.contains("WRONGPASS")), ("rejected", true), "{text}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_tells_a_master_from_a_replica_and_whether_the_link_is_up() {
    if !are_installed(&[SERVER]) {
        return;
    }
    let master = start(&["--repl-diskless-sync-delay", "0"]);
    let replica = start(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
    let (a_master, a_replica) =
        (Redis::new().with_role(RedisRole::Master), Redis::new().with_role(RedisRole::Replica));
    check(a_master.clone(), &master).await.unwrap();
    until("the replica has its data", || {
        replica.log().contains("MASTER <-> REPLICA sync: Finished with success")
    });
    check(a_replica.clone(), &replica).await.unwrap();
    // The same by hand: only what must not be said tells them apart.
    let linked = SendExpect::new()
        .with_send("INFO replication\r\n")
        .with_refusal(Pattern::regex("(?m)^role:master|^master_link_status:down").unwrap())
        .with_expect(Pattern::text("\r\nmaster_repl_offset:").unwrap());
    check(linked.clone(), &replica).await.unwrap();
    let (cause, text) = failure(linked.clone(), &master).await;
    assert_eq!((cause, text.contains("role:master")), ("rejected", true), "{text}");
    assert_eq!(failure(a_master, &replica).await.0, "rejected");
    assert_eq!(failure(a_replica.clone(), &master).await.0, "rejected");

    drop(master);
    until("the replica has lost its master", || {
        replica.log().contains("Connection with master lost")
    });
    let (cause, text) = failure(linked, &replica).await;
    assert_eq!((cause, text.contains("link_status:down")), ("rejected", true), "{text}");
    let (cause, text) = failure(a_replica, &replica).await;
    assert_eq!((cause, text.contains("the link to the master")), ("rejected", true), "{text}");
    check(Redis::new(), &replica).await.unwrap();
}

/// The system goes on to take connections for a process that is stopped, and nobody answers them.
#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_stopped_server_is_silent_and_well_again_when_it_goes_on() {
    if !are_installed(&[SERVER]) {
        return;
    }
    let server = start(&[]);
    check(Redis::new(), &server).await.unwrap();
    server.signal("-STOP");
    assert_eq!(failure(Redis::new(), &server).await.0, "timeout-response");
    server.signal("-CONT");
    check(Redis::new(), &server).await.unwrap();
}

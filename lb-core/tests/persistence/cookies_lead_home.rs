//! A request goes where its signed cookie says, on a balancer that has never seen the client as well,
//! through queue and redispatch; and is told when it belongs elsewhere.
#![cfg(all(feature = "cookie", feature = "service", feature = "system"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use lb_core::backend::{BackendId, Limits};
use lb_core::cookie::CookieSigner;
use lb_core::director::QueueConfig;
use lb_core::flow::Sticky;
use lb_core::service::{Balance, BalanceError, Dispatch, Undelivered};
use lb_core::virtual_server::{Action, BackendConfig, SorryMode, SorryServer, VirtualServerConfig};
use lb_core::{Algorithm, Backend, Director, Health, Lease, Pool, VirtualServer, Weight};
use tower::util::BoxCloneService;
use tower::{Service, service_fn};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// A request with the cookie that it bears.
#[derive(Clone, Debug, Default)]
struct Request(Option<String>);

/// Who answered, and the cookie that the client gets with it.
type Answer = (Lease<()>, Option<String>);

type Balancer = BoxCloneService<Request, Answer, BalanceError>;

fn signer() -> CookieSigner {
    CookieSigner::new("www", &[7; 32]).unwrap()
}

/// One balancer of several: those of `closed` refuse every connection.
fn balance(director: &Arc<Director<Sticky<()>, ()>>, closed: &'static [&'static str]) -> Balancer {
    let cookie =
        |request: &Request| request.0.as_ref().and_then(|text| signer().verify(NOW, text).ok());
    let home =
        move |request: &Request| Sticky::new((), cookie(request).map(|cookie| cookie.place()));
    let connect = move |Dispatch { lease, request }: Dispatch<(), Request>| async move {
        if closed.contains(&lease.name()) {
            return Err(Undelivered::returned(request, "refused"));
        }
        let fresh = signer().refresh(NOW, cookie(&request).as_ref(), &lease);
        Ok((lease, fresh))
    };
    BoxCloneService::new(Balance::new(Arc::clone(director), home, service_fn(connect)))
}

/// The same backends on a balancer that has issued other identities to them, in another order.
fn director(first_id: u32, reversed: bool) -> Arc<Director<Sticky<()>, ()>> {
    let mut names = ["a", "b", "c"];
    if reversed {
        names.reverse();
    }
    let backends = names
        .into_iter()
        .zip(first_id..)
        .map(|(name, id)| (Arc::new(Backend::new(BackendId::new(id), name, ())), Weight::ONE));
    let pool = Pool::new(backends.collect::<Vec<_>>(), &*Algorithm::Rr.scheduler_at(0));
    Arc::new(Director::new(pool))
}

fn ask(balance: &mut Balancer, cookie: Option<&String>) -> Answer {
    let answer = balance.call(Request(cookie.cloned())).now_or_never();
    answer.expect("nobody waits").unwrap()
}

#[test]
fn through_a_failover_to_a_balancer_that_has_never_seen_the_client() {
    let mut one = balance(&director(0, false), &[]);
    let mut two = balance(&director(100, true), &[]);
    for name in ["a", "b", "c", "a"] {
        let (lease, cookie) = ask(&mut one, None);
        assert_eq!(lease.name(), name);
        for balancer in [&mut two, &mut one] {
            let (lease, renewed) = ask(balancer, cookie.as_ref());
            assert_eq!(lease.name(), name);
            assert_eq!(renewed, cookie, "it still belongs there");
        }
    }
}

#[test]
fn what_nobody_signed_leads_nowhere() {
    let mut balance = balance(&director(0, false), &[]);
    let forger = CookieSigner::new("www", &[8; 32]).unwrap();
    let cookies = ["c", "c", "c"].map(|name| forger.issue(NOW, name));
    let names = cookies.map(|cookie| ask(&mut balance, Some(&cookie)).0.name().to_owned());
    assert_eq!(HashSet::from(names).len(), 3, "by the scheduler");
    // Nor does a backend that is not there.
    let (lease, cookie) = ask(&mut balance, Some(&signer().issue(NOW, "d")));
    assert_eq!(cookie, Some(signer().issue(NOW, lease.name())), "another cookie");
}

#[test]
fn who_is_refused_is_moved_for_good() {
    let director = director(0, false);
    let mut before = balance(&director, &["b"]);
    let (lease, cookie) = ask(&mut before, Some(&signer().issue(NOW, "b")));
    assert_ne!(lease.name(), "b");
    let (again, _) = ask(&mut balance(&director, &[]), cookie.as_ref());
    assert_eq!(again.name(), lease.name());
}

#[test]
fn who_finds_it_full_is_served_elsewhere_and_belongs_there_still() {
    let director = director(0, false);
    let pool = director.pool();
    let full = &pool.backends()[1];
    full.set_limits(Limits::NONE.at_most(NonZeroU32::MIN));
    let mut balance = balance(&director, &[]);
    let cookie = signer().issue(NOW, "b");
    let (first, renewed) = ask(&mut balance, Some(&cookie));
    assert_eq!((first.name(), renewed.as_ref()), ("b", Some(&cookie)));
    director.publish(Arc::new(Pool::new(
        pool.backends().iter().map(|backend| (Arc::clone(backend), Weight::ONE)),
        &**pool.scheduler(),
    )));
    let (elsewhere, told) = ask(&mut balance, Some(&cookie));
    assert!(elsewhere.name() != "b" && told.is_none());
    drop(first);
    assert_eq!(ask(&mut balance, Some(&cookie)).0.name(), "b");
}

#[test]
fn who_waits_in_the_queue_gets_its_own_if_that_is_free_then() {
    let director = Director::<Sticky<()>, ()>::new(director(0, false).pool())
        .with_queue(QueueConfig::new(NonZeroUsize::MIN));
    for backend in director.pool().backends() {
        backend.set_limits(Limits::NONE.at_most(NonZeroU32::MIN));
    }
    let pool = director.pool();
    let members = pool.backends().iter().map(|backend| (Arc::clone(backend), Weight::ONE));
    director.publish(Arc::new(Pool::new(members, &**pool.scheduler())));
    let director = Arc::new(director);
    let mut balance = balance(&director, &[]);
    let mut three = ["a", "b", "c"].map(|_| Some(ask(&mut balance, None).0));
    let mut waiting = balance.call(Request(Some(signer().issue(NOW, "c"))));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(waiting.poll_unpin(cx).is_pending());
    // Two places become free at once: the scheduler would have taken the first.
    three[0].take();
    three[2].take();
    let std::task::Poll::Ready(Ok((lease, _))) = waiting.poll_unpin(cx) else { panic!() };
    assert_eq!(lease.name(), "c");
}

#[test]
fn a_sorry_server_keeps_nobody() {
    let sorry = SorryServer::new(BackendConfig::new("sorry", ()), SorryMode::NoneAlive);
    let backends = ["a", "b"].map(|name| BackendConfig::new(name, ()));
    let config = VirtualServerConfig::of(backends).with_sorry(sorry);
    let mut server = VirtualServer::new(config, Algorithm::Rr.scheduler_at(0)).unwrap();
    let director = Arc::new(Director::new(Arc::clone(server.published())));
    let ids: Vec<_> = server.backends().map(|status| status.id).collect();
    let mut tell = |health| {
        ids.iter().for_each(|&id| server.handle_health(support::start(), id, health));
        while let Some(action) = server.poll_action() {
            if let Action::Publish(pool) = action {
                director.publish(pool);
            }
        }
    };
    let mut balance = balance(&director, &[]);
    tell(Health::UP);
    let (home, cookie) = ask(&mut balance, None);
    tell(Health::Down);
    let (sorry, told) = ask(&mut balance, cookie.as_ref());
    assert_eq!((sorry.name(), told), ("sorry", None));
    tell(Health::UP);
    assert_eq!(ask(&mut balance, cookie.as_ref()).0.name(), home.name());
}

/// A client that a table knows as well goes by its cookie, and is remembered there from then on.
#[test]
fn a_cookie_counts_for_more_than_a_table() {
    let director = Director::<Sticky<u64>, ()>::new(director(0, false).pool())
        .with_persistence(Duration::from_secs(60), NonZeroUsize::new(10).unwrap());
    let place = |name: &str| {
        director.pool().backends().iter().find(|one| one.name() == name).map(|one| one.place())
    };
    let assign = |place| {
        let client = Sticky::new(7, place);
        director.assign(support::start(), &client, &[], &mut support::Zeros).unwrap()
    };
    assert_eq!(assign(None).name(), "a");
    assert_eq!(assign(place("c")).name(), "c");
    assert_eq!(assign(None).name(), "c");
    // One of which nothing comes counts for nothing.
    assert_eq!(assign(Some(1)).name(), "c");
    director.forget(assign(None).id());
    assert_eq!(assign(None).name(), "b");
}

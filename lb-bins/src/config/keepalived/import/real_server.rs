//! `real_server`.

use std::net::SocketAddr;

use super::checker::{self, Inherited};
use super::tracking::each_once;
use super::values::{Values, given};
use super::virtual_server::{Elsewhere, forwarding, on_failure};
use crate::config::draft::{Backend, Checks, Field, List};
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::model::{Address, Forwarding};
use crate::config::source::Spanned;

/// A virtual server, at one of its addresses.
pub(super) struct Server<'s> {
    pub(super) statement: &'s Statement,
    pub(super) listen: Spanned<SocketAddr>,
    /// Of a group, whether it is the first of its addresses.
    pub(super) is_first: bool,
    pub(super) elsewhere: &'s Elsewhere<'s>,
}

/// The largest weight here; keepalived's may be larger.
const LARGEST_WEIGHT: i64 = u16::MAX as i64;
const LARGEST_WEIGHT_OF_KEEPALIVED: i64 = i32::MAX as i64;
/// The most connections that a limit may allow.
const MOST_CONNECTIONS: i64 = 1_000_000_000;

pub(super) fn real_servers(
    server: &Server<'_>,
    method: Forwarding,
    values: &mut Values<'_>,
) -> Vec<Spanned<Backend>> {
    let default_weight = weight(server.statement, values);
    let each = server.statement.each("real_server");
    let backends = each.map(|statement| {
        let weight = match weight(statement, values) {
            Field::Absent => default_weight.clone(),
            field => field,
        };
        let inherited = Inherited { server: server.statement, real: statement };
        let checks = checker::checks(inherited, &server.elsewhere.checkers, values);
        let (u_threshold, l_threshold) = thresholds(statement, values);
        let backend = Backend {
            address: address(server, statement, method, values).map(Address::from),
            weight,
            u_threshold,
            l_threshold,
            on_failure: on_failure(statement, values),
            on_up: values.command(server.hook(statement, "notify_up")),
            on_down: values.command(server.hook(statement, "notify_down")),
            checks: match checks.is_empty() {
                true => given(Checks::Unchecked, statement.span),
                false => {
                    let list = List { elements: checks, complete: true };
                    given(Checks::Listed(list), statement.span)
                }
            },
            ..Backend::default()
        };
        Spanned { value: backend, span: statement.span }
    });
    let backends = backends.collect();
    // keepalived leaves out the second as well.
    each_once(backends, |backend| Some(backend.address.given()?.value.clone()), values)
}

/// What is larger than any weight here is as good as the largest.
fn weight(statement: &Statement, values: &mut Values<'_>) -> Field<i64> {
    match values.number(statement.last("weight"), 0..=LARGEST_WEIGHT_OF_KEEPALIVED) {
        Field::Given(Spanned { value, span }) if value > LARGEST_WEIGHT => {
            values.warning(span, Problem::WeightEnds { value, most: LARGEST_WEIGHT });
            given(LARGEST_WEIGHT, span)
        }
        field => field,
    }
}

/// The address; the port is that of the virtual server unless NAT can change it.
fn address(
    server: &Server<'_>,
    statement: &Statement,
    method: Forwarding,
    values: &mut Values<'_>,
) -> Field<SocketAddr> {
    let own = statement.last("lvs_method").map(|word| forwarding(word, values));
    if let Some(own) = own.filter(|own| own.value != method) {
        let why = "connections are proxied in any case";
        values.unused(own.span, "lvs_method", why);
    }
    let method = own.map_or(method, |own| own.value);
    let Field::Given(Spanned { value: written, span }) = values.socket(statement) else {
        return Field::Refused;
    };
    let port = server.listen.value.port();
    let (chosen, is_other) = match method {
        _ if written.port() == 0 => (port, false),
        Forwarding::DirectRouting | Forwarding::Tunnel => (port, written.port() != port),
        Forwarding::Nat | Forwarding::Proxy => (written.port(), false),
    };
    if is_other {
        values.warning(span, Problem::PortOfServer { port, written: written.port() });
    }
    given(SocketAddr::new(written.ip(), chosen), span)
}

/// 0 is none. A lower one alone says nothing.
fn thresholds(statement: &Statement, values: &mut Values<'_>) -> (Field<i64>, Field<i64>) {
    let mut threshold = |word: &str| match values.number(statement.last(word), 0..=MOST_CONNECTIONS)
    {
        Field::Given(Spanned { value: 0, .. }) => Field::Absent,
        field => field,
    };
    let (upper, lower) = (threshold("uthreshold"), threshold("lthreshold"));
    if let (Field::Absent, Some(span)) = (&upper, lower.span()) {
        values.unused(span, "lthreshold", "there is no `uthreshold`");
        return (upper, Field::Absent);
    }
    (upper, lower)
}

//! Who gets mail: `smtp_server`, `notification_email` and what belongs to them.

use std::net::{Ipv4Addr, SocketAddr};

use super::tracking::if_any;
use super::values::{Values, given};
use crate::config::draft::{Field, Mail};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

/// Where SMTP is, unless it is said.
const SMTP: u16 = 25;

/// keepalived sends mail if it knows a server and somebody who wants it.
pub(super) fn draft(globals: &[&Statement], values: &mut Values<'_>) -> Field<Mail> {
    let last = |word| globals.iter().rev().find_map(|block| block.last(word));
    let rows = globals.iter().flat_map(|block| block.each("notification_email"));
    let to: Vec<_> = rows.flat_map(Statement::rows).flatten().map(mailbox).collect();
    let Some(server) = last("smtp_server") else { return Field::Absent };
    if to.is_empty() {
        return Field::Absent;
    }
    let span = server.span;
    let address = match server.arguments.first().map(|host| host.text.parse::<std::net::IpAddr>()) {
        Some(Err(_)) => match here(server) {
            Some(address) => given(address, span),
            None => {
                values.warning(span, Problem::MailServerByName);
                return Field::Absent;
            }
        },
        _ => match values.socket(server) {
            Field::Given(Spanned { value, span }) if value.port() == 0 => {
                given(SocketAddr::new(value.ip(), SMTP), span)
            }
            field => field,
        },
    };
    let from = match last("notification_email_from") {
        None => given("keepalived@localhost".to_owned(), span),
        Some(from) => match values.argument(from).map(mailbox) {
            Some(from) => given(from.value, from.span),
            None => Field::Refused,
        },
    };
    let helo = values.text(last("smtp_helo_name"));
    given(Mail { server: address, from, to: if_any(to), helo }, span)
}

/// `localhost [PORT]`, which nearly every sample has, and for which nobody has to be asked.
fn here(server: &Statement) -> Option<SocketAddr> {
    let mut words = server.arguments.iter().map(|word| word.text.as_str());
    let is_here = words.next()? == "localhost";
    let port = words.next().map_or(Some(SMTP), |port| port.parse().ok())?;
    (is_here && words.next().is_none()).then(|| (Ipv4Addr::LOCALHOST, port).into())
}

/// The address in `Name <address>`, or all of it. A name alone is somebody on this host.
fn mailbox(word: &Word) -> Spanned<String> {
    let text = word.text.as_str();
    let inside = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let address = inside.map_or(text, |(address, _)| address);
    let host = if address.contains('@') { "" } else { "@localhost" };
    Spanned { value: format!("{address}{host}"), span: word.span }
}

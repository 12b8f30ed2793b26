//! Who gets mail: `smtp_server`, `notification_email` and what belongs to them.

use std::net::{Ipv4Addr, SocketAddr};

use super::tracking::if_any;
use super::values::{Values, given};
use crate::config::draft::{Field, Mail};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::tree::Statement;
use crate::config::model::{Address, is_host_name};
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
    let from = match last("notification_email_from") {
        None => given("keepalived@localhost".to_owned(), span),
        Some(from) => match values.argument(from).map(mailbox) {
            Some(from) => given(from.value, from.span),
            None => Field::Refused,
        },
    };
    let helo = values.text(last("smtp_helo_name"));
    let (server, to) = (self::server(server, values), if_any(to));
    given(Mail { server, from, to, helo, ..Mail::default() }, span)
}

/// A name or an address, and perhaps a port.
fn server(statement: &Statement, values: &mut Values<'_>) -> Field<Address> {
    let word = statement.keyword.name;
    let Some(name) = statement.arguments.first().filter(|host| is_host_name(&host.text)) else {
        return values.socket(statement).map(|address| match address.port() {
            0 => Address::Numeric(SocketAddr::new(address.ip(), SMTP)),
            _ => Address::Numeric(address),
        });
    };
    values.nothing_more(word, statement.arguments.get(2));
    let port = match statement.arguments.get(1) {
        None => SMTP,
        Some(port) => match values.number_of(word, port, 1..=65_535) {
            Field::Given(port) => u16::try_from(port.value).unwrap_or(SMTP),
            Field::Absent | Field::Refused => return Field::Refused,
        },
    };
    // Nearly every sample has it, and nobody has to be asked for it.
    let address = match name.text.to_ascii_lowercase() {
        here if here == "localhost" => Address::Numeric((Ipv4Addr::LOCALHOST, port).into()),
        host => Address::Named { host: host.into(), port },
    };
    given(address, name.span)
}

/// The address in `Name <address>`, or all of it. A name alone is somebody on this host.
fn mailbox(word: &Word) -> Spanned<String> {
    let text = word.text.as_str();
    let inside = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let address = inside.map_or(text, |(address, _)| address);
    let host = if address.contains('@') { "" } else { "@localhost" };
    Spanned { value: format!("{address}{host}"), span: word.span }
}

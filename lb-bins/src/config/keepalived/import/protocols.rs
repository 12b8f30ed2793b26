//! Checkers of other services: names, mail, datagrams, files and scripts.

use super::checker::Checker;
use super::notify::account_of;
use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::check::{Dns, File, Script, Smtp, Udp};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::model::check::Record;
use crate::config::source::Spanned;

/// How keepalived greets a mail server.
const HELO: &str = "smtpchecker.keepalived.org";
/// What keepalived sends where nothing else is to be sent: servers may answer no empty datagram.
const FILLER: &str = "keepalived check - keepalived ch";
/// The longest reply that keepalived takes unless it is told, if it looks at replies at all.
const MAX_REPLY: i64 = 255;
/// The longest datagram.
const LARGEST_DATAGRAM: i64 = 65_507;

pub(super) fn dns(statement: &Statement, values: &mut Values<'_>) -> Dns {
    const RECORDS: &[(&str, Record)] = &[
        ("A", Record::A),
        ("NS", Record::Ns),
        ("CNAME", Record::Cname),
        ("SOA", Record::Soa),
        ("MX", Record::Mx),
        ("TXT", Record::Txt),
        ("AAAA", Record::Aaaa),
        ("RRSIG", Record::Rrsig),
        ("DNSKEY", Record::Dnskey),
    ];
    let record = match statement.last("type") {
        None => Field::Absent,
        Some(word) => {
            let word = values.argument(word);
            let chosen =
                word.and_then(|word| Some(given(values.choice("type", word, RECORDS)?, word.span)));
            chosen.unwrap_or(Field::Refused)
        }
    };
    Dns {
        name: values.text(statement.last("name")),
        record,
        answer: Field::Absent,
        require_answer: Field::Absent,
    }
}

pub(super) fn smtp(statement: &Statement, values: &mut Values<'_>) -> Smtp {
    let helo = match values.text(statement.last("helo_name")) {
        Field::Absent => given(HELO.to_owned(), statement.span),
        field => field,
    };
    Smtp { helo, ..Smtp::default() }
}

/// Without `require_reply`, silence is a success.
pub(super) fn udp(statement: &Statement, values: &mut Values<'_>) -> Udp {
    let digits = |word: &str| {
        let statement = statement.last(word)?;
        let words: Vec<_> = statement.arguments.iter().map(|word| word.text.as_str()).collect();
        let span = statement.arguments.first().map_or(statement.span, |first| first.span);
        Some((hexadecimal(&words.join(" ")), statement, span))
    };
    let send_hex = match digits("payload") {
        None => Field::Absent,
        Some((digits, statement, _)) if digits.is_empty() => {
            let word = statement.keyword.name;
            values.error(statement.span, Problem::WithoutValue { word });
            Field::Refused
        }
        Some((digits, _, span)) => given(digits, span),
    };
    let reply = digits("require_reply");
    let required = reply.is_some();
    let expect_hex = match reply {
        Some((digits, _, span)) if !digits.is_empty() => given(digits, span),
        _ => Field::Absent,
    };
    let expects = expect_hex.given().is_some();
    let min_reply = values.number(statement.last("min_reply_length"), 0..=LARGEST_DATAGRAM);
    let max_reply = values.number(statement.last("max_reply_length"), 0..=LARGEST_DATAGRAM);
    Udp {
        send: match send_hex {
            Field::Absent => given(FILLER.to_owned(), statement.span),
            _ => Field::Absent,
        },
        send_hex,
        expect_hex,
        require_reply: given(required, statement.span),
        min_reply,
        max_reply: match (max_reply, expects) {
            (Field::Absent, true) => given(MAX_REPLY, statement.span),
            (field, _) => field,
        },
        ..Udp::default()
    }
}

/// keepalived's way of writing bytes, in which a group may have an odd number of digits, as two
/// digits each: `Ab12f 3 456` is `Ab120f034506`.
fn hexadecimal(text: &str) -> String {
    let mut digits = String::new();
    for group in text.split_whitespace() {
        let group: Vec<char> = group.chars().collect();
        for pair in group.chunks(2) {
            if pair.len() == 1 {
                digits.push('0');
            }
            digits.extend(pair);
        }
    }
    digits
}

/// The number in a file, which is described by a `track_file`, times a weight.
pub(super) fn file(checker: &Checker<'_>, values: &mut Values<'_>) -> Option<File> {
    let statement = checker.statement;
    let Some(name) = values.text(statement.last("track_file")).given().cloned() else {
        let (word, option) = (statement.keyword.name, "track_file");
        values.error(statement.span, Problem::Needs { word, option });
        return None;
    };
    let Some(&described) = checker.elsewhere.files.get(name.value.as_str()) else {
        values.error(name.span, Problem::NoTrackFile { name: name.value });
        return None;
    };
    let weight = statement.last("weight").or_else(|| described.last("weight"));
    let words = weight.map_or(&[][..], |weight| &weight.arguments);
    if let Some(weight) = weight.filter(|weight| weight.arguments.is_empty()) {
        values.error(weight.span, Problem::WithoutValue { word: "weight" });
    }
    let reversed = words.get(1).filter(|word| word.text == "reverse");
    values.nothing_more("weight", words.get(1 + usize::from(reversed.is_some())));
    Some(File {
        path: values.text(described.last("file")),
        // keepalived's weight of a file is 1 unless it is said.
        weight: match words.first() {
            Some(word) => file_weight(word, values),
            None => given(1, statement.span),
        },
        reverse: match reversed {
            Some(word) => given(true, word.span),
            None => Field::Absent,
        },
    })
}

/// What is larger than any weight here is as good as the largest: the sum of all ends there, too.
fn file_weight(word: &Word, values: &mut Values<'_>) -> Field<i64> {
    const MOST: i64 = 65_535;
    const MOST_OF_KEEPALIVED: i64 = 2_147_483_647;
    let field = values.number_of("weight", word, -MOST_OF_KEEPALIVED..=MOST_OF_KEEPALIVED);
    match field {
        Field::Given(Spanned { value, span }) if !(-MOST..=MOST).contains(&value) => {
            let most = value.clamp(-MOST, MOST);
            values.warning(span, Problem::WeightEnds { value, most });
            given(most, span)
        }
        field => field,
    }
}

pub(super) fn script(statement: &Statement, values: &mut Values<'_>) -> Script {
    let (command, behind_it) = values.command_of(statement.last("misc_path"));
    let user = match account_of(statement.last("user"), values) {
        Field::Absent => behind_it,
        user => user,
    };
    if statement.last("misc_path").is_none() {
        let (word, option) = (statement.keyword.name, "misc_path");
        values.error(statement.span, Problem::Needs { word, option });
    }
    let dynamic = values.switch(statement.last("misc_dynamic"));
    Script {
        command: match command {
            Field::Absent => Field::Refused,
            command => command,
        },
        user,
        dynamic_weight: match dynamic {
            Field::Given(Spanned { value, span }) => given(value, span),
            field => field,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn odd_groups_of_digits_have_a_zero_in_front_of_the_last() {
        assert_eq!(hexadecimal("Ab12f 3 456 546443123"), "Ab120f0345065464431203");
        assert_eq!(hexadecimal("x1 X"), "x10X");
    }
}

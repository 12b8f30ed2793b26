//! Rules for checks that pass on what another program has found out.

use super::tls::if_switched_on;
use crate::config::defaults;
use crate::config::draft::{self, Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::model::check::{Agent, File, Script, Worker};
use crate::config::problem::Problem;
use crate::config::source::Span;
use crate::config::validate::values::{self, content, integer};
use crate::config::{Account, Command};

pub(super) fn script(draft: &draft::check::Script, span: Span, mistakes: &mut Mistakes) -> Script {
    Script {
        command: command(&draft.command, &draft.user, span, mistakes),
        dynamic_weight: draft.dynamic_weight.or(defaults::DYNAMIC_WEIGHT),
    }
}

pub(super) fn worker(draft: &draft::check::Worker, span: Span, mistakes: &mut Mistakes) -> Worker {
    Worker { command: command(&draft.command, &draft.user, span, mistakes) }
}

pub(super) fn agent(draft: &draft::check::Agent, span: Span, mistakes: &mut Mistakes) -> Agent {
    Agent {
        send: content("send", &draft.send, mistakes),
        tls: if_switched_on(&draft.tls, "`tls = true`", &draft.options, span, mistakes),
    }
}

pub(super) fn file(draft: &draft::check::File, span: Span, mistakes: &mut Mistakes) -> File {
    const MOST: i32 = 65_535;
    if matches!(draft.path, Field::Absent) {
        let sample = r#"path = "/run/lb/weight""#;
        mistakes.error(span, Problem::Missing { key: "path", sample });
    }
    let path = values::file("path", &draft.path, mistakes);
    File {
        path: path.unwrap_or_default(),
        weight: integer("weight", &draft.weight, -MOST..=MOST, defaults::FILE_WEIGHT, mistakes),
        reverse: draft.reverse.or(defaults::REVERSE),
    }
}

fn command(
    field: &Field<List<String>>,
    user: &Field<Account>,
    span: Span,
    mistakes: &mut Mistakes,
) -> Command {
    if matches!(field, Field::Absent) {
        let sample = r#"command = ["/usr/local/bin/check", "argument"]"#;
        mistakes.error(span, Problem::Missing { key: "command", sample });
    }
    let nothing = Command::new(String::new(), Vec::new());
    let command = values::command("command", field, mistakes).unwrap_or(nothing);
    Command { user: user.given().map(|user| user.value.clone()), ..command }
}

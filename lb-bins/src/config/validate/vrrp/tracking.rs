//! Rules for what virtual routers depend on.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use super::{absolute, interface, name, repeated_names};
use crate::config::defaults;
use crate::config::draft::vrrp as draft;
use crate::config::draft::{Draft, Field, List, VirtualServer};
use crate::config::mistakes::Mistakes;
use crate::config::model::check::{Check, CheckKind};
use crate::config::model::{
    Command, Track, Tracks, VrrpCheck, VrrpScript, VrrpTrackFile, VrrpTrackProcess,
};
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};
use crate::config::validate::check::checks;
use crate::config::validate::values::{command, duration, duration_or_zero, integer, reachable};
use crate::config::validate::{elements, name as server_name, report_repeated};

/// More would go from one end of the priorities beyond the other.
const MOST_WEIGHT: i16 = 254;
/// The largest `rise` and `fall`; more is a mistyped number.
const MOST_RUNS: u32 = 1_000_000;

/// What is described once, and named by instances.
pub(super) struct Described {
    pub(super) scripts: Vec<VrrpScript>,
    pub(super) files: Vec<VrrpTrackFile>,
    pub(super) processes: Vec<VrrpTrackProcess>,
    pub(super) checks: Vec<VrrpCheck>,
    script_names: Names,
    file_names: Names,
    process_names: Names,
    check_names: Names,
    quorum_names: Names,
}

/// The names of one kind of thing, with what each weighs unless an instance says otherwise.
struct Names {
    block: &'static str,
    weights: HashMap<String, (i16, Span)>,
    used: RefCell<HashSet<String>>,
    /// Whether there may be others, which could not be read.
    complete: bool,
}

impl Described {
    pub(super) fn of(draft: &Draft, mistakes: &mut Mistakes) -> Self {
        let scripts: Vec<_> =
            elements(&draft.vrrp_scripts).iter().map(|draft| script(draft, mistakes)).collect();
        let files: Vec<_> =
            elements(&draft.vrrp_track_files).iter().map(|draft| file(draft, mistakes)).collect();
        let processes: Vec<_> = elements(&draft.vrrp_track_processes)
            .iter()
            .map(|draft| process(draft, mistakes))
            .collect();
        let script_names = Names::of(
            ("scripts", "vrrp_script"),
            &draft.vrrp_scripts,
            |script| &script.name,
            scripts.iter().map(|script| script.weight),
            mistakes,
        );
        let file_names = Names::of(
            ("files", "vrrp_track_file"),
            &draft.vrrp_track_files,
            |file| &file.name,
            files.iter().map(|file| file.weight),
            mistakes,
        );
        let process_names = Names::of(
            ("processes", "vrrp_track_process"),
            &draft.vrrp_track_processes,
            |process| &process.name,
            processes.iter().map(|process| process.weight),
            mistakes,
        );
        let checks: Vec<_> =
            elements(&draft.vrrp_checks).iter().map(|draft| check(draft, mistakes)).collect();
        let check_names = Names::of(
            ("checks", "vrrp_check"),
            &draft.vrrp_checks,
            |check| &check.name,
            checks.iter().map(|check| check.weight),
            mistakes,
        );
        let quorum_names = Names::of_virtual_servers(&draft.virtual_servers);
        Self {
            scripts,
            files,
            processes,
            checks,
            script_names,
            file_names,
            process_names,
            check_names,
            quorum_names,
        }
    }

    /// What an instance or an announcement depends on, each of which must be described.
    pub(super) fn tracks(&self, draft: &draft::Tracks, mistakes: &mut Mistakes) -> Tracks {
        let draft::Tracks { scripts, files, processes, checks, quorums } = draft;
        Tracks {
            scripts: self.script_names.tracks("track_scripts", scripts, mistakes),
            files: self.file_names.tracks("track_files", files, mistakes),
            processes: self.process_names.tracks("track_processes", processes, mistakes),
            checks: self.check_names.tracks("track_checks", checks, mistakes),
            quorums: self.quorum_names.tracks("track_quorums", quorums, mistakes),
        }
    }

    /// Virtual servers are there for more than that.
    pub(super) fn warn_of_unused(&self, mistakes: &mut Mistakes) {
        let Self { script_names, file_names, process_names, check_names, .. } = self;
        for names in [script_names, file_names, process_names, check_names] {
            let used = names.used.borrow();
            for (name, (_, span)) in names.weights.iter().filter(|(name, _)| !used.contains(*name))
            {
                let name = name.clone();
                mistakes.warning(*span, VrrpProblem::Unused { name }.into());
            }
        }
    }
}

impl Names {
    fn of<T>(
        (what, block): (&'static str, &'static str),
        field: &Field<List<T>>,
        name: impl Fn(&T) -> &Field<String>,
        weights: impl Iterator<Item = i16>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let drafts = elements(field);
        repeated_names(what, drafts.iter().map(|draft| name(&draft.value)), mistakes);
        let named = drafts.iter().zip(weights).filter_map(|(draft, weight)| {
            let name = name(&draft.value).given()?;
            Some((name.value.clone(), (weight, name.span)))
        });
        let complete = match field {
            Field::Absent => true,
            Field::Refused => false,
            Field::Given(list) => {
                list.value.complete && drafts.iter().all(|draft| !name(&draft.value).is_refused())
            }
        };
        Self { block, weights: named.collect(), used: RefCell::default(), complete }
    }

    /// Virtual servers, each by its name or the address that stands in for it.
    fn of_virtual_servers(field: &Field<List<VirtualServer>>) -> Self {
        let drafts = elements(field);
        let names: Vec<_> = drafts.iter().map(|draft| server_name(&draft.value)).collect();
        let complete = match field {
            Field::Absent => true,
            Field::Refused => false,
            Field::Given(list) => list.value.complete && names.iter().all(Option::is_some),
        };
        let named = names.into_iter().flatten();
        let weights = named.map(|name| (name.value, (defaults::QUORUM_WEIGHT, name.span)));
        let (block, weights) = ("virtual_server", weights.collect());
        Self { block, weights, used: RefCell::default(), complete }
    }

    fn tracks(
        &self,
        key: &'static str,
        field: &Field<List<draft::Track>>,
        mistakes: &mut Mistakes,
    ) -> Vec<Track> {
        let mut weight = |given: &Spanned<String>, mistakes: &mut Mistakes| {
            if let Some((weight, _)) = self.weights.get(&given.value) {
                self.used.borrow_mut().insert(given.value.clone());
                return *weight;
            }
            if self.complete {
                let mut known: Vec<_> = self.weights.keys().cloned().collect();
                known.sort();
                let (name, block) = (given.value.clone(), self.block);
                let problem = VrrpProblem::Undescribed { key, name, known, block };
                mistakes.error(given.span, problem.into());
            }
            defaults::TRACK_WEIGHT
        };
        tracks(key, field, &mut weight, mistakes)
    }
}

/// Interfaces, which nobody describes.
pub(super) fn interfaces(field: &Field<List<draft::Track>>, mistakes: &mut Mistakes) -> Vec<Track> {
    tracks("track_interfaces", field, &mut |_, _| defaults::TRACK_WEIGHT, mistakes)
}

/// `default` says what a thing of this name weighs unless that is said here.
fn tracks(
    key: &'static str,
    field: &Field<List<draft::Track>>,
    default: &mut dyn FnMut(&Spanned<String>, &mut Mistakes) -> i16,
    mistakes: &mut Mistakes,
) -> Vec<Track> {
    let drafts = elements(field);
    report_repeated(
        drafts.iter().filter_map(|track| track.value.name.given().cloned()),
        |name| VrrpProblem::TrackedTwice { name }.into(),
        mistakes,
    );
    let mut track = |Spanned { value: draft, span }: &Spanned<draft::Track>| {
        let Some(given) = draft.name.given() else {
            if !draft.name.is_refused() {
                let sample = r#"name = "eth1""#;
                mistakes.error(*span, Problem::Missing { key: "name", sample });
            }
            return None;
        };
        if key == "track_interfaces" {
            interface(key, given, mistakes);
        }
        let default = default(given, mistakes);
        Some(Track {
            name: given.value.clone(),
            weight: weight(&draft.weight, default, mistakes),
            reverse: draft.reverse.or(false),
        })
    };
    drafts.iter().filter_map(&mut track).collect()
}

fn weight(field: &Field<i64>, default: i16, mistakes: &mut Mistakes) -> i16 {
    integer("weight", field, -MOST_WEIGHT..=MOST_WEIGHT, default, mistakes)
}

fn script(
    Spanned { value: draft, span }: &Spanned<draft::VrrpScript>,
    mistakes: &mut Mistakes,
) -> VrrpScript {
    let interval = duration("interval", &draft.interval, defaults::SCRIPT_INTERVAL, mistakes);
    let timeout = duration("timeout", &draft.timeout, interval, mistakes);
    if let Some(given) = draft.timeout.given()
        && timeout > interval
        && !draft.interval.is_refused()
    {
        mistakes.warning(given.span, VrrpProblem::TimeoutBeyondInterval.into());
    }
    if matches!(draft.command, Field::Absent) {
        let sample = r#"command = ["/usr/local/bin/check"]"#;
        mistakes.error(*span, Problem::Missing { key: "command", sample });
    }
    let mut run = command("command", &draft.command, mistakes)
        .unwrap_or_else(|| Command::new(String::new(), Vec::new()));
    run.user = draft.user.given().map(|user| user.value.clone());
    let mut runs = |key, field| integer(key, field, 1..=MOST_RUNS, defaults::SCRIPT_RUNS, mistakes);
    let (rise, fall) = (runs("rise", &draft.rise), runs("fall", &draft.fall));
    VrrpScript {
        name: name(&draft.name, *span, r#"name = "check""#, mistakes),
        command: run,
        interval,
        timeout,
        rise,
        fall,
        weight: weight(&draft.weight, defaults::TRACK_WEIGHT, mistakes),
        initial: draft.initial.or(defaults::SCRIPT_INITIAL),
    }
}

fn check(
    Spanned { value: draft, span }: &Spanned<draft::VrrpCheck>,
    mistakes: &mut Mistakes,
) -> VrrpCheck {
    let checks = checks(&draft.checks, false, mistakes);
    if checks.is_empty() && !draft.checks.is_refused() {
        let sample = r#"check = { type = "mysql", writable = true }"#;
        mistakes.error(*span, Problem::Missing { key: "check", sample });
    }
    let target = draft.target.given().map(|target| reachable("target", *target, mistakes));
    let knows_target = |check: &Check| {
        let alone =
            matches!(check.kind, CheckKind::File(_) | CheckKind::Script(_) | CheckKind::Worker(_));
        alone || check.address.is_some()
    };
    if draft.target.is_absent() && !checks.iter().all(knows_target) {
        let sample = r#"target = "127.0.0.1:3306""#;
        mistakes.error(*span, Problem::Missing { key: "target", sample });
    }
    VrrpCheck {
        name: name(&draft.name, *span, r#"name = "primary""#, mistakes),
        target,
        checks,
        weight: weight(&draft.weight, defaults::TRACK_WEIGHT, mistakes),
    }
}

fn file(
    Spanned { value: draft, span }: &Spanned<draft::VrrpTrackFile>,
    mistakes: &mut Mistakes,
) -> VrrpTrackFile {
    if matches!(draft.file, Field::Absent) {
        let sample = r#"file = "/run/priority""#;
        mistakes.error(*span, Problem::Missing { key: "file", sample });
    }
    VrrpTrackFile {
        name: name(&draft.name, *span, r#"name = "file""#, mistakes),
        file: absolute("file", &draft.file, mistakes).unwrap_or_default(),
        weight: weight(&draft.weight, defaults::TRACK_FILE_WEIGHT, mistakes),
    }
}

fn process(
    Spanned { value: draft, span }: &Spanned<draft::VrrpTrackProcess>,
    mistakes: &mut Mistakes,
) -> VrrpTrackProcess {
    let process = match &draft.process {
        Field::Given(process) => {
            if process.value.is_empty() {
                mistakes.error(process.span, Problem::Empty { key: "process" });
            }
            process.value.clone()
        }
        Field::Absent => {
            let sample = r#"process = "haproxy""#;
            mistakes.error(*span, Problem::Missing { key: "process", sample });
            String::new()
        }
        Field::Refused => String::new(),
    };
    let quorum = integer("quorum", &draft.quorum, 0..=65_535, defaults::PROCESS_QUORUM, mistakes);
    let quorum_max = draft.quorum_max.given();
    let quorum_max = quorum_max
        .map(|_| integer("quorum_max", &draft.quorum_max, 0..=65_535, u32::MAX, mistakes));
    if let (Some(most), Some(span)) = (quorum_max, draft.quorum_max.span())
        && most < quorum
    {
        let (key, other) = ("quorum", "quorum_max");
        let (least, most) = (quorum.to_string(), most.to_string());
        mistakes.error(span, Problem::LeastAboveMost { key, least, other, most });
    }
    if let (Some(span), Field::Absent) = (draft.parameter_match.span(), &draft.parameters) {
        let (key, without) = ("parameter_match", "parameters");
        mistakes.warning(span, VrrpProblem::NoEffectWithout { key, without }.into());
    }
    let parameters = draft.parameters.given().map(|_| elements(&draft.parameters));
    let parameters =
        parameters.map(|all| all.iter().map(|parameter| parameter.value.clone()).collect());
    // The one for both, unless it is said of either.
    let delay = duration_or_zero("delay", &draft.delay, defaults::PROCESS_DELAY, mistakes);
    VrrpTrackProcess {
        name: name(&draft.name, *span, r#"name = "proxy""#, mistakes),
        process,
        parameters,
        parameter_match: draft.parameter_match.or(defaults::PARAMETER_MATCH),
        quorum,
        quorum_max,
        up_delay: duration_or_zero("up_delay", &draft.up_delay, delay, mistakes),
        down_delay: duration_or_zero("down_delay", &draft.down_delay, delay, mistakes),
        weight: weight(&draft.weight, defaults::TRACK_WEIGHT, mistakes),
    }
}

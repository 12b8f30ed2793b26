//! The script of a simulation: a line for each thing that happens.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lb_health::simulate::{Conduct, Incident, ParseIncidentError, Turn, time};

/// One line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// Something happens to a backend; of one virtual server alone, if one is named.
    Incident { server: Option<String>, incident: Incident },
    /// Another configuration is taken over.
    Reload { at: Duration, path: PathBuf },
}

/// A line with its number, from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Numbered {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) line: Line,
}

/// A script that cannot be played: where, why, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}:{number}: error: {problem}\n{number:>5} | {text}\nhelp: {}\n", path.display(), problem.help())]
pub struct ScriptError {
    /// The script.
    pub path: PathBuf,
    /// The line, from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
    /// What is wrong with it.
    pub problem: ScriptProblem,
}

/// All that is wrong with a script, in the order of its lines.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ScriptErrors(pub Vec<ScriptError>);

impl ScriptErrors {
    /// Only if there is nothing wrong.
    pub(super) fn none(errors: Vec<ScriptError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptProblem {
    /// It does not say what happens when.
    #[error(transparent)]
    Incident(#[from] ParseIncidentError),
    /// It happens without end in no time.
    #[error("`0s` is no period")]
    NoPeriod,
    /// It happens to nobody.
    #[error("there is no backend `{backend}` then{}", In(server.as_deref()))]
    UnknownBackend {
        /// Whom it names.
        backend: String,
        /// The virtual server that it names, if it does.
        server: Option<String>,
        /// Those that there are.
        known: String,
    },
    /// It happens behind no virtual server.
    #[error("there is no virtual server `{server}` then")]
    UnknownServer {
        /// The virtual server that it names.
        server: String,
        /// Those that there are.
        known: String,
    },
    /// A reload of nothing.
    #[error("expected `TIME reload FILE`")]
    Reload,
}

struct In<'a>(Option<&'a str>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |server| write!(f, " behind `{server}`"))
    }
}

impl ScriptProblem {
    /// What to do about it.
    fn help(&self) -> String {
        match self {
            Self::Incident(ParseIncidentError::Time { .. }) => {
                "write the time since the beginning first, such as 500ms, 10s or 2m".to_owned()
            }
            Self::Incident(ParseIncidentError::Form { sample }) => format!("write: {sample}"),
            Self::Incident(_) => "write for example: 10s 192.0.2.1:80 dies".to_owned(),
            Self::NoPeriod => "write for example: 10s 192.0.2.1:80 flaps 3s".to_owned(),
            Self::UnknownBackend { known, .. } => format!("there are: {known}"),
            Self::UnknownServer { known, .. } => format!("there are: {known}"),
            Self::Reload => "write for example: 30s reload next.toml".to_owned(),
        }
    }
}

/// Every line of a script that says something; what stands behind `#` is for people.
///
/// # Errors
/// [`ScriptErrors`], of every line that cannot be understood.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Numbered>, ScriptErrors> {
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    for (number, text) in (1..).zip(text.lines()) {
        let words = text.split('#').next().unwrap_or_default();
        if words.trim().is_empty() {
            continue;
        }
        let text = text.to_owned();
        match words.parse() {
            Ok(line) => lines.push(Numbered { number, text, line }),
            Err(problem) => {
                errors.push(ScriptError { path: path.to_owned(), number, text, problem });
            }
        }
    }
    ScriptErrors::none(errors).map(|()| lines)
}

impl Line {
    /// When it happens.
    pub(super) const fn at(&self) -> Duration {
        match self {
            Self::Incident { incident, .. } => incident.at,
            Self::Reload { at, .. } => *at,
        }
    }
}

impl FromStr for Line {
    type Err = ScriptProblem;

    fn from_str(line: &str) -> Result<Self, ScriptProblem> {
        if let [at, "reload", rest @ ..] = &*line.split_whitespace().collect::<Vec<_>>() {
            let [path] = rest else { return Err(ScriptProblem::Reload) };
            return Ok(Self::Reload { at: time(at)?, path: PathBuf::from(path) });
        }
        let mut incident: Incident = line.parse()?;
        if incident.turn == Turn::Conduct(Conduct::Flaps(Duration::ZERO)) {
            return Err(ScriptProblem::NoPeriod);
        }
        let server = incident.backend.rsplit_once('/').map(|(server, backend)| {
            let (server, backend) = (server.to_owned(), backend.to_owned());
            (server, backend)
        });
        let server = server.map(|(server, backend)| {
            incident.backend = backend;
            server
        });
        Ok(Self::Incident { server, incident })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_to_do() {
        let script = Path::new("trouble.txt");
        let lines =
            parse(script, "# first\n\n1s web/a:1 dies # at once\n2s reload b.toml\n").unwrap();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 4]);
        let Line::Incident { server, incident } = &lines[0].line else { panic!("{lines:?}") };
        assert_eq!((server.as_deref(), &*incident.backend), (Some("web"), "a:1"));
        let reload = Line::Reload { at: Duration::from_secs(2), path: "b.toml".into() };
        assert_eq!(lines[1].line, reload);
        for (text, message) in [
            (
                "1s a dies\n10 a dies",
                "trouble.txt:2: error: `10` is no time: 10 of what? the unit is missing\n    \
                 2 | 10 a dies\nhelp: write the time since the beginning first, such as 500ms, 10s \
                 or 2m\n",
            ),
            (
                "1s reload",
                "trouble.txt:1: error: expected `TIME reload FILE`\n    1 | 1s reload\nhelp: write \
                 for example: 30s reload next.toml\n",
            ),
            (
                "0s a flaps 0s\n\n1s",
                "trouble.txt:1: error: `0s` is no period\n    1 | 0s a flaps 0s\nhelp: write for \
                 example: 10s 192.0.2.1:80 flaps 3s\n\ntrouble.txt:3: error: expected `TIME BACKEND \
                 WHAT`, such as `10s 192.0.2.1:80 dies`\n    3 | 1s\nhelp: write: 10s 192.0.2.1:80 \
                 dies\n",
            ),
        ] {
            assert_eq!(parse(script, text).unwrap_err().to_string(), message);
        }
        let sings = parse(script, "1s a sings").unwrap_err().to_string();
        assert!(sings.contains("it dies, hangs, recovers, flaps PERIOD"), "{sings}");
    }
}

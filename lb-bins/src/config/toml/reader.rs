//! Reads TOML tables key by key: every value that is not what it should be, and every key that
//! nobody asked for, becomes a mistake with its place.

use ::toml::Spanned as TomlSpanned;
use ::toml::de::{DeTable, DeValue};

use crate::config::draft::{Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};

/// A key with its value, as found in the file.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    /// The key as written.
    pub(super) key: &'static str,
    /// A line that shows how the key is used, for the remedy of a mistake.
    pub(super) sample: &'static str,
    /// What stands after it.
    pub(super) value: &'a DeValue<'a>,
    /// Where that stands.
    pub(super) span: Span,
}

impl<'a> Entry<'a> {
    /// The same key with another value: an element of an array.
    fn element(self, element: &'a TomlSpanned<DeValue<'a>>) -> Self {
        Self { value: element.get_ref(), span: element.span().into(), ..self }
    }

    /// Reads the value, or reports that it is not what `T` is written as.
    pub(super) fn read<T: Read>(self, mistakes: &mut Mistakes) -> Option<T> {
        T::read(self, mistakes)
    }

    /// Reports that the value is not of the type that the key has.
    pub(super) fn wrong_type<T>(
        self,
        expected: &'static str,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let Self { key, sample, value, span } = self;
        let found = match value {
            DeValue::Array(_) => "an array",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Integer(_) => "an integer",
            DeValue::String(_) => "a string",
            DeValue::Table(_) => "a table",
        };
        mistakes.error(span, Problem::WrongType { key, expected, found, sample });
        None
    }
}

/// What can be the value of a key.
pub(super) trait Read: Sized {
    /// The value of `entry`; `None` when it was refused, which has then been reported.
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self>;
}

impl<T: Read> Read for List<T> {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let DeValue::Array(array) = entry.value else {
            return entry.wrong_type("an array", mistakes);
        };
        let elements: Vec<Spanned<T>> = array
            .iter()
            .filter_map(|element| {
                let entry = entry.element(element);
                entry.read(mistakes).map(|value| Spanned { value, span: entry.span })
            })
            .collect();
        let complete = elements.len() == array.len();
        Some(Self { elements, complete })
    }
}

/// A table being read. Keys are taken one by one; [`finish`](Self::finish) reports the others.
pub(super) struct Table<'a, 'm> {
    entries: &'a DeTable<'a>,
    taken: Vec<&'static str>,
    mistakes: &'m mut Mistakes,
}

impl<'a, 'm> Table<'a, 'm> {
    /// The table at the root of a file.
    pub(super) const fn root(entries: &'a DeTable<'a>, mistakes: &'m mut Mistakes) -> Self {
        Self { entries, taken: Vec::new(), mistakes }
    }

    /// The table that is the value of `entry`.
    pub(super) fn open(entry: Entry<'a>, mistakes: &'m mut Mistakes) -> Option<Self> {
        match entry.value {
            DeValue::Table(entries) => Some(Self::root(entries, mistakes)),
            _ => entry.wrong_type("a table", mistakes),
        }
    }

    /// The value of `key`. `sample` is a line that shows how it is used.
    pub(super) fn take<T: Read>(&mut self, key: &'static str, sample: &'static str) -> Field<T> {
        self.taken.push(key);
        let Some(value) = self.entries.get(key) else { return Field::Absent };
        let span = value.span().into();
        let entry = Entry { key, sample, value: value.get_ref(), span };
        match entry.read(self.mistakes) {
            Some(value) => Field::Given(Spanned { value, span }),
            None => Field::Refused,
        }
    }

    /// Whether `key` is one of those that were taken.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.taken.contains(&key)
    }

    /// Whether all keys that are there were taken.
    pub(super) fn knows_all(&self) -> bool {
        self.entries.keys().all(|key| self.knows(key.get_ref()))
    }

    /// Reports the keys that were not taken.
    pub(super) fn finish(self) {
        self.finish_with(|key, known| Problem::UnknownKey { key: key.to_owned(), known });
    }

    /// Reports each key that was not taken as what `problem` makes of it and of the known ones.
    pub(super) fn finish_with(self, problem: impl Fn(&str, Vec<&'static str>) -> Problem) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if !self.knows(name) {
                let problem = problem(name, self.taken.clone());
                self.mistakes.error(Span::from(key.span()), problem);
            }
        }
    }
}

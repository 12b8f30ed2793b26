//! The files that a line includes: which there are, and whether they may be read.

use std::path::Path;

use super::Preprocessor;
use crate::config::keepalived::include::{Strictness, readable};
use crate::config::keepalived::pattern::{alternatives, files, is_wild};
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::text::Text;

impl Preprocessor<'_> {
    /// Reads the files that the line includes; the line if it includes none.
    pub(super) fn included(
        &mut self,
        line: Text,
        directory: Option<&Path>,
        depth: usize,
    ) -> Option<Text> {
        let Some((more, name)) = Strictness::of_include(line.as_str()) else { return Some(line) };
        let name = name.trim().trim_matches('"');
        if name.is_empty() {
            self.mistakes.error(line.span(), Problem::IncludeWithoutFile.into());
            return None;
        }
        let Some(directory) = directory else {
            self.mistakes.warning(line.span(), Problem::IncludeNowhere.into());
            return None;
        };
        let strict = self.strictness.and(more);
        self.deeper(&line, depth, |this, depth| {
            this.include(name, strict, &line, directory, depth);
        });
        None
    }

    fn include(
        &mut self,
        name: &str,
        strict: Strictness,
        line: &Text,
        directory: &Path,
        depth: usize,
    ) {
        let alternatives = alternatives(name);
        let several = alternatives.len() > 1;
        let mut read_any = false;
        for pattern in &alternatives {
            let found = files(directory, pattern);
            let (mut read_this, wild) = (false, is_wild(pattern));
            for path in &found {
                let reason = match self.source(path) {
                    Ok(Some(index)) if self.open.contains(&index) => {
                        read_this = true;
                        self.mistakes.error(line.span(), Problem::IncludesItself.into());
                        continue;
                    }
                    Ok(Some(index)) => {
                        (read_any, read_this) = (true, true);
                        self.file(index, path.parent(), depth);
                        self.set_directory(Some(directory));
                        continue;
                    }
                    // Nothing is there; said below, of the whole pattern.
                    Ok(None) => continue,
                    Err(reason) => reason,
                };
                read_this = true;
                let problem = Problem::NotIncluded { path: path.clone(), reason };
                self.report(strict.readable, line, problem);
            }
            if !read_this && several && strict.brace {
                self.report(true, line, Problem::NothingIncluded { pattern: pattern.clone() });
            } else if !read_this && !several {
                let must = if wild { strict.wildcard } else { strict.matched };
                self.report(must, line, Problem::NothingIncluded { pattern: pattern.clone() });
            }
        }
        if several && !read_any {
            let problem = Problem::NothingIncluded { pattern: name.to_owned() };
            self.report(strict.matched, line, problem);
        }
    }

    /// Which source a file is, read only once; `None` if there is no such file.
    fn source(&mut self, path: &Path) -> Result<Option<usize>, String> {
        let canonical = path.canonicalize().ok();
        if let Some(&index) = canonical.as_ref().and_then(|path| self.known.get(path)) {
            return Ok(Some(index));
        }
        let Some(source) = readable(path)? else { return Ok(None) };
        self.sources.push(source);
        let index = self.sources.len() - 1;
        self.known.extend(canonical.map(|path| (path, index)));
        Ok(Some(index))
    }

    fn report(&mut self, error: bool, line: &Text, problem: Problem) {
        match error {
            true => self.mistakes.error(line.span(), problem.into()),
            false => self.mistakes.warning(line.span(), problem.into()),
        }
    }
}

//! The body of an answer, judged while it arrives: none of it is kept but its beginning.

use std::ops::ControlFlow;

use bytes::Bytes;
use md5::Digest as _;

use super::page::Page;
use crate::CheckError;
use crate::checkers::pattern::Search;
use crate::digest::Digest;
use crate::trace::Excerpt;

/// What is known of a body so far.
pub(super) struct Judge<'a> {
    page: &'a Page,
    received: usize,
    beginning: Vec<u8>,
    hasher: Hasher,
    searches: Vec<Search>,
}

enum Hasher {
    None,
    Md5(md5::Md5),
    Sha256(sha2::Sha256),
}

impl<'a> Judge<'a> {
    pub(super) fn new(page: &'a Page) -> Self {
        Self {
            page,
            received: 0,
            beginning: Vec::new(),
            hasher: match page.digest {
                None => Hasher::None,
                Some(Digest::Md5(_)) => Hasher::Md5(md5::Md5::new()),
                Some(Digest::Sha256(_)) => Hasher::Sha256(sha2::Sha256::new()),
            },
            searches: page.expected_body.iter().map(|rule| rule.pattern.search()).collect(),
        }
    }

    /// How it begins.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    /// Whether nothing of it was left unread.
    pub(super) fn is_whole(&self) -> bool {
        self.received <= self.page.body_limit
    }

    /// Takes the next piece; breaks once there is enough, whatever else may come.
    pub(super) fn take(&mut self, piece: &Bytes) -> Result<ControlFlow<()>, CheckError> {
        self.received += piece.len();
        if let missing @ 1.. = Excerpt::LIMIT - self.beginning.len() {
            self.beginning.extend_from_slice(&piece[..piece.len().min(missing)]);
        }
        if !self.is_whole() {
            return match self.page.expects_body() {
                true => Err(CheckError::BodyTooLarge { limit: self.page.body_limit }),
                false => Ok(ControlFlow::Break(())),
            };
        }
        match &mut self.hasher {
            Hasher::None => {}
            Hasher::Md5(hasher) => hasher.update(piece),
            Hasher::Sha256(hasher) => hasher.update(piece),
        }
        for search in &mut self.searches {
            search.go_on(piece);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The verdict on the whole body, or on as much of it as was to be read.
    pub(super) fn verdict(self) -> Result<(), CheckError> {
        let got = match self.hasher {
            Hasher::None => None,
            Hasher::Md5(hasher) => Some(Digest::Md5(hasher.finalize().into())),
            Hasher::Sha256(hasher) => Some(Digest::Sha256(hasher.finalize().into())),
        };
        if let (Some(got), Some(wanted)) = (got, self.page.digest)
            && got != wanted
        {
            return Err(CheckError::Digest { got: got.into(), wanted: wanted.into() });
        }
        for (rule, search) in self.page.expected_body.iter().zip(self.searches) {
            if search.ends_found() != rule.wanted {
                let does = if rule.wanted { "does not contain" } else { "contains" };
                let what = format!("{does} {}", rule.pattern).into();
                return Err(CheckError::Body { what });
            }
        }
        Ok(())
    }
}

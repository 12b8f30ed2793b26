//! Claims of addresses as a front end reads them.

use std::time::Duration;

use super::check::{Headers, Status};
use super::{Field, List};

#[derive(Debug, Default)]
pub(in crate::config) struct Claim {
    pub(in crate::config) command: Field<List<String>>,
    pub(in crate::config) http: Field<Http>,
    pub(in crate::config) interval: Field<Duration>,
    pub(in crate::config) timeout: Field<Duration>,
}

/// By calls to an API.
#[derive(Debug, Default)]
pub(in crate::config) struct Http {
    pub(in crate::config) assign: Call,
    pub(in crate::config) holder: Field<Holder>,
    pub(in crate::config) release: Field<Call>,
    pub(in crate::config) headers: Field<Headers>,
    pub(in crate::config) token_file: Field<String>,
    pub(in crate::config) ca: Field<String>,
    pub(in crate::config) verify: Field<bool>,
}

/// One of them.
#[derive(Debug, Default)]
pub(in crate::config) struct Call {
    pub(in crate::config) method: Field<String>,
    pub(in crate::config) url: Field<String>,
    pub(in crate::config) body: Field<String>,
    pub(in crate::config) status: Field<List<Status>>,
}

/// Who has it.
#[derive(Debug, Default)]
pub(in crate::config) struct Holder {
    pub(in crate::config) url: Field<String>,
    pub(in crate::config) pointer: Field<String>,
    pub(in crate::config) value: Field<String>,
}

//! What checks of databases ask for once they are let in.

use std::sync::Arc;

/// What a database is to be asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) database: Option<Arc<str>>,
    pub(super) query: Option<Arc<str>>,
    pub(super) writable: bool,
}

/// Makes the methods of a checker that has a `request`; the details end the sentences on them.
macro_rules! requesting {
    ($checker:ident, $database:literal, $query:literal, $writable:literal) => {
        impl $checker {
            #[doc = concat!("This checker, using `database`", $database, ".")]
            #[must_use]
            pub fn with_database(mut self, database: &str) -> Self {
                self.request.database = Some(database.into());
                self
            }

            /// This checker, running `query`, which must succeed; whatever the result is, as long as
            #[doc = concat!("it has ", $query, ".")]
            #[must_use]
            pub fn with_query(mut self, query: &str) -> Self {
                self.request.query = Some(query.into());
                self
            }

            #[doc = concat!("This checker, passing a server that can be written to: ", $writable, ".")]
            #[must_use]
            pub fn with_writable(mut self) -> Self {
                self.request.writable = true;
                self
            }
        }
    };
}

pub(super) use requesting;

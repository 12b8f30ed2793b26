//! Files that checks look at: a change is looked at when it happens.

use std::sync::Arc;

use lb_health::checkers::{FileChanges, FileWatch};
use lb_health::driver::Hurry;
use tokio::runtime::Handle;
use tracing::warn;

use crate::config::check::CheckKind;

/// Watches the files of checks.
#[derive(Default)]
pub(super) enum Changes {
    /// There was no file yet.
    #[default]
    Unasked,
    Told(FileChanges),
    /// Files are looked at in each run only.
    Untold,
}

impl Changes {
    /// Lets a check run as soon as the file changes that it looks at, if it looks at one, for as long
    /// as the answer is kept.
    pub(super) fn watch(&mut self, kind: &CheckKind, hurry: Hurry) -> Option<Arc<FileWatch>> {
        let CheckKind::File(file) = kind else { return None };
        if matches!(self, Self::Unasked) {
            // Nothing runs where a configuration is only rehearsed.
            Handle::try_current().ok()?;
            *self = FileChanges::new().map_or_else(
                |error| {
                    warn!(%error, "files of checks are looked at now and then, and not watched");
                    Self::Untold
                },
                Self::Told,
            );
        }
        let Self::Told(changes) = self else { return None };
        let watch = changes.watch(&file.path, move || hurry.now());
        let watch = watch.inspect_err(|error| {
            let file = file.path.display().to_string();
            warn!(file, %error, "the file of a check is looked at now and then, and not watched");
        });
        watch.ok().map(Arc::new)
    }
}

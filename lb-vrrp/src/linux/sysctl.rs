//! Settings of the kernel (`/proc/sys/net`): those of our own interfaces, and those that are only lent
//! because others go by them, too.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const ROOT: &str = "/proc/sys/net";

/// What was changed that is not ours alone, and what it was.
#[derive(Debug, Default)]
pub(super) struct Sysctls(BTreeMap<String, String>);

impl Sysctls {
    /// Has it be `value`. What is so already need not be writable, and what a host without IPv6 does not
    /// have need not be set.
    pub(super) fn set(&self, key: &str, value: &str) -> io::Result<()> {
        self.change(key, value).map(|_| ())
    }

    /// The same, until it is given back.
    pub(super) fn lend(&mut self, key: &str, value: &str) -> io::Result<()> {
        if let Some(before) = self.change(key, value)? {
            self.0.entry(key.to_owned()).or_insert(before);
        }
        Ok(())
    }

    /// What it was, unless it was so already.
    fn change(&self, key: &str, value: &str) -> io::Result<Option<String>> {
        let path = Path::new(ROOT).join(key);
        let before = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && key.starts_with("ipv6/") => {
                return Ok(None);
            }
            before => before?.trim().to_owned(),
        };
        if before == value {
            return Ok(None);
        }
        let written = std::fs::write(&path, value);
        written.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(Some(before))
    }

    /// The stricter one of `all` and an interface's own `rp_filter` counts (`IN_DEV_RPFILTER`): so that
    /// one interface may have none, every other one is told what was said to all (keepalived's
    /// `clear_rp_filter`).
    pub(super) fn each_filters_for_itself(
        &mut self,
        is_ours: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        const ALL: &str = "ipv4/conf/all/rp_filter";
        let all = std::fs::read_to_string(Path::new(ROOT).join(ALL))?;
        let all = all.trim();
        if all == "0" {
            return Ok(());
        }
        for entry in std::fs::read_dir(Path::new(ROOT).join("ipv4/conf"))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let key = format!("ipv4/conf/{name}/rp_filter");
            let own = std::fs::read_to_string(Path::new(ROOT).join(&key)).unwrap_or_default();
            if name != "all" && !is_ours(&name) && own.trim() < all {
                self.lend(&key, all)?;
            }
        }
        self.lend(ALL, "0")
    }

    /// What it was before.
    pub(super) fn give_back(&mut self, key: &str) -> io::Result<()> {
        let Some(before) = self.0.remove(key) else { return Ok(()) };
        // With its interface, it is gone.
        match std::fs::write(Path::new(ROOT).join(key), before) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    pub(super) fn give_all_back(&mut self) -> io::Result<()> {
        let keys: Vec<_> = self.0.keys().cloned().collect();
        let mut outcome = Ok(());
        for key in keys {
            outcome = outcome.and(self.give_back(&key));
        }
        outcome
    }
}

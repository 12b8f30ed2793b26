//! What instances and announcements depend on.

/// Something that an instance depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Track {
    /// What it is called: an interface, or a script, file or process that is described elsewhere.
    pub name: String,
    /// By how much it moves the priority; 0: without it the instance is at fault. Default: as the
    /// thing itself has it; for an interface 0.
    pub weight: i16,
    /// Whether the weight is subtracted instead of added, and with weight 0 the instance is at fault
    /// while the thing is up (keepalived's `reverse`); default: no.
    pub reverse: bool,
}

/// What one of them depends on beside interfaces, by the names of what is described elsewhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tracks {
    /// Scripts, which are to succeed.
    pub scripts: Vec<Track>,
    /// Files, for the number in them.
    pub files: Vec<Track>,
    /// Processes, which are to run.
    pub processes: Vec<Track>,
    /// Checks, all of which are to pass.
    pub checks: Vec<Track>,
    /// Virtual servers, which are to have their quorum; by default they weigh 0.
    pub quorums: Vec<Track>,
}

impl Tracks {
    /// Whatever kind they are of.
    pub fn all(&self) -> impl Iterator<Item = &Track> {
        let Self { scripts, files, processes, checks, quorums } = self;
        [scripts, files, processes, checks, quorums].into_iter().flatten()
    }
}

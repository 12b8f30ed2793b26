//! Memory that a daemon takes to start, and never after that.
//!
//! The largest part of a program runs once: what reads the command line and the configuration, and says what
//! is wrong with them. Its pages stay those of the process until the host is short of memory. The rooms of this
//! crate hold no `unsafe` code but this one, for one system call.

use std::io;
use std::ptr::with_exposed_provenance_mut;

use rustix::mm::{Advice, madvise};

/// Lets go of what is in memory of the program's own file. What is needed of it comes back as it is needed,
/// by a page fault that waits for no disk, as long as the file is in the kernel's cache.
///
/// # Errors
/// `/proc` is not there, or the kernel does not want to; nothing is worse than before.
#[allow(unsafe_code, reason = "one system call, which no crate offers in a safe way")]
pub fn forget_the_start() -> io::Result<()> {
    let program = std::fs::read_link("/proc/self/exe")?;
    let maps = std::fs::read_to_string("/proc/self/smaps")?;
    for Mapping { from, to } in unwritten(&maps, &program.to_string_lossy()) {
        // SAFETY: MADV_DONTNEED has these pages read from their file again (madvise(2)). The mapping is private
        // and may not be written to, and none of its pages ever was: one that was, by relocations, would count
        // as `Anonymous`, or as `Swap` when it is out. So all of them are the kernel's own copies of the file,
        // which it may drop and read again at any time anyway. It is the program itself, which stays mapped as
        // long as the process lives.
        unsafe { madvise(with_exposed_provenance_mut(from), to - from, Advice::LinuxDontNeed)? };
    }
    Ok(())
}

/// Where a part of a file is in memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Mapping {
    from: usize,
    to: usize,
}

/// The parts of `program` that are in memory as they are in the file, and cannot be written to, as
/// `/proc/PID/smaps` shows them (proc_pid_smaps(5)).
fn unwritten(maps: &str, program: &str) -> Vec<Mapping> {
    let mut unwritten: Vec<Mapping> = Vec::new();
    // What of the last one is known not to have been written to.
    let mut candidate: Option<(Mapping, Unwritten)> = None;
    for line in maps.lines() {
        if let Some((permissions, mapping, path)) = header(line) {
            let is_it = permissions.starts_with("r-") && permissions.ends_with('p');
            candidate = (is_it && path == program).then_some((mapping, Unwritten::default()));
        } else if let (Some((mapping, known)), Some((key, value))) =
            (&mut candidate, line.split_once(':'))
        {
            let is_none = value.split_whitespace().next() == Some("0");
            match key {
                "Anonymous" => known.in_memory = is_none,
                "Swap" => known.in_swap = is_none,
                _ => continue,
            }
            if known.in_memory && known.in_swap {
                unwritten.push(*mapping);
                candidate = None;
            }
        }
    }
    unwritten
}

/// Where there is no page of a mapping that was written to.
#[derive(Clone, Copy, Debug, Default)]
struct Unwritten {
    in_memory: bool,
    in_swap: bool,
}

/// `FROM-TO PERMISSIONS OFFSET DEVICE INODE PATH`.
fn header(line: &str) -> Option<(&str, Mapping, &str)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let mapping = Mapping { from: address(from)?, to: address(to)? };
    let (permissions, rest) = rest.split_once(' ')?;
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    Some((permissions, mapping, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kernel 6.1 shows, without the lines that are not looked at.
    const MAPS: &str = "\
55d0c0000000-55d0c0200000 r--p 00000000 fe:00 1234                       /usr/bin/vip-keeper
Rss:                1024 kB
Anonymous:             0 kB
Swap:                  0 kB
55d0c0200000-55d0c0900000 r-xp 00200000 fe:00 1234                       /usr/bin/vip-keeper
Anonymous:             0 kB
Swap:                  0 kB
55d0c0900000-55d0c0980000 r--p 00900000 fe:00 1234                       /usr/bin/vip-keeper
Anonymous:           500 kB
Swap:                  0 kB
55d0c0980000-55d0c0984000 r--p 00980000 fe:00 1234                       /usr/bin/vip-keeper
Anonymous:             0 kB
Swap:                 16 kB
55d0c0984000-55d0c0988000 r--p 00984000 fe:00 1234                       /usr/bin/vip-keeper
Anonymous:             0 kB
55d0c0990000-55d0c09a0000 rw-p 00990000 fe:00 1234                       /usr/bin/vip-keeper
Anonymous:             0 kB
Swap:                  0 kB
55d0c1000000-55d0c1100000 rw-p 00000000 00:00 0                          [heap]
Anonymous:          1000 kB
Swap:                  0 kB
7f0000000000-7f0000100000 r-xp 00000000 fe:00 99                         /usr/lib/libc.so.6
Anonymous:             0 kB
Swap:                  0 kB
7f0000200000-7f0000300000 r-xs 00000000 fe:00 1234                       /usr/bin/vip-keeper
Anonymous:             0 kB
Swap:                  0 kB
";

    #[test]
    fn what_was_written_to_or_is_of_others_stays() {
        let found = unwritten(MAPS, "/usr/bin/vip-keeper");
        let expected = [
            Mapping { from: 0x55d0_c000_0000, to: 0x55d0_c020_0000 },
            Mapping { from: 0x55d0_c020_0000, to: 0x55d0_c090_0000 },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_map_is_none() {
        for text in ["", "Anonymous: 0 kB", "x-y r--p 0 0 0 /a", "1-2", "\u{e4}-1 r"] {
            assert_eq!(unwritten(text, "/a"), [], "{text}");
        }
    }
}

//! Every word that keepalived knows, by block: what becomes of it here, and if nothing, why.
//!
//! The words are those of keepalived from 2.2.7 to 2.4.

mod checkers;
mod global;
mod virtual_server;
mod vrrp;

pub(super) use self::checkers::CHECKERS;
pub(super) use self::global::ROOT;

/// The words of a block.
pub(super) type Words = &'static [Keyword];

/// A word, as it may stand at the start of a line.
#[derive(Debug)]
pub(super) struct Keyword {
    /// As written.
    pub(super) name: &'static str,
    /// The same for words with the same meaning.
    pub(super) means: &'static str,
    pub(super) shape: Shape,
    pub(super) role: Role,
}

/// What follows a word.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// The rest of its line.
    Line,
    /// A block of lines without words of their own.
    Rows,
    /// A block with these words.
    Block(Words),
}

/// What becomes of a word.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// It is imported; of several the last one counts.
    Once,
    /// It is imported each time.
    Each,
    /// It is known but has no effect here, for this reason.
    Unused(&'static str),
}

const fn keyword(name: &'static str, shape: Shape, role: Role) -> Keyword {
    Keyword { name, means: name, shape, role }
}

/// A word that is imported.
const fn once(name: &'static str) -> Keyword {
    keyword(name, Shape::Line, Role::Once)
}

/// A word that is imported, each time that it is there.
const fn each(name: &'static str) -> Keyword {
    keyword(name, Shape::Line, Role::Each)
}

/// Another spelling of a word that is imported.
const fn same(name: &'static str, means: &'static str) -> Keyword {
    Keyword { name, means, shape: Shape::Line, role: Role::Once }
}

/// A block of lines that is imported, each time that it is there.
const fn rows(name: &'static str) -> Keyword {
    keyword(name, Shape::Rows, Role::Each)
}

/// A block that is imported, each time that it is there.
const fn block(name: &'static str, words: Words) -> Keyword {
    keyword(name, Shape::Block(words), Role::Each)
}

/// A word without effect.
const fn unused(name: &'static str, why: &'static str) -> Keyword {
    keyword(name, Shape::Line, Role::Unused(why))
}

/// A block of lines without effect.
const fn unused_rows(name: &'static str, why: &'static str) -> Keyword {
    keyword(name, Shape::Rows, Role::Unused(why))
}

/// A block without effect.
const fn unused_block(name: &'static str, words: Words, why: &'static str) -> Keyword {
    keyword(name, Shape::Block(words), Role::Unused(why))
}

// Why words have no effect.
const BFD: &str = "BFD is not spoken";
const DBUS: &str = "there is no D-Bus interface";
const FIREWALL: &str = "only `no_accept` needs the firewall, and has a table of nft for itself";
const KERNEL: &str = "nothing is balanced in the kernel yet";
const LATE: &str = "who is late hears first what it has missed, and then decides";
const MAIL: &str = "mail is sent of all changes of servers, or of none";
const MAIL_SERVER: &str = "a mail server has 20 s for an answer";
const NETLINK: &str = "the system's defaults hold";
const PROCESS: &str = "that is for the service manager, such as systemd";
const RELOAD: &str = "a configuration with mistakes never replaces a good one, and SIGHUP reads it";
const SNMP: &str = "SNMP is not spoken";
const STATIC: &str = "what is static and goes away is put back, and no fault of an instance";
const STATUS: &str = "what there is to know is on the admin address, which TOML has a key for";

/// The word `name` of a block.
pub(super) fn find(words: Words, name: &str) -> Option<&'static Keyword> {
    words.iter().find(|word| word.name == name)
}

/// The blocks that have the word `name`; the top of a file is the one without a name.
pub(super) fn blocks_with(name: &str) -> Vec<&'static str> {
    let mut blocks = Vec::new();
    let mut open: Vec<(&str, Words)> = vec![("", ROOT)];
    while let Some((block, words)) = open.pop() {
        for word in words {
            if word.name == name && !blocks.contains(&block) {
                blocks.push(block);
            }
            if let Shape::Block(inner) = word.shape {
                open.push((word.name, inner));
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{fs, iter};

    use super::{ROOT, Role, Shape, Words, blocks_with};

    fn each_block(words: Words, see: &mut impl FnMut(Words)) {
        see(words);
        for word in words {
            if let Shape::Block(inner) = word.shape {
                each_block(inner, see);
            }
        }
    }

    #[test]
    fn no_word_is_listed_twice() {
        each_block(ROOT, &mut |words| {
            let mut names: Vec<_> = words.iter().map(|word| word.name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        });
    }

    /// Whoever comes from keepalived is told beforehand what to do without.
    #[test]
    fn what_has_no_effect_is_in_the_manual() {
        const MANUAL: &str = include_str!("../../../../KEEPALIVED.md");
        each_block(ROOT, &mut |words| {
            for word in words.iter().filter(|word| matches!(word.role, Role::Unused(_))) {
                assert!(MANUAL.contains(&format!("`{}`", word.name)), "{} is missing", word.name);
            }
        });
    }

    /// What is imported is asked for by name somewhere.
    #[test]
    fn no_word_is_accepted_and_then_forgotten() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/keepalived");
        let files = fs::read_dir(folder.join("import")).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let files = files.chain(iter::once(folder.join("preprocess/mod.rs")));
        let code: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
        each_block(ROOT, &mut |words| {
            for word in words.iter().filter(|word| !matches!(word.role, Role::Unused(_))) {
                assert!(code.contains(&format!("\"{}\"", word.means)), "{} is lost", word.name);
            }
        });
    }

    #[test]
    fn words_know_their_blocks() {
        assert_eq!(blocks_with("uthreshold"), ["real_server"]);
        assert_eq!(blocks_with("virtual_server"), [""]);
        assert!(blocks_with("weight").contains(&"vrrp_script"));
    }
}

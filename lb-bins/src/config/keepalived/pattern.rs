//! Which files an `include` means: names with `*`, `?`, `[…]` and `{a,b}`.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// More alternatives or files than this are no configuration but an accident.
const MOST: usize = 1024;

/// Whether some of it stands for other characters; braces do not.
pub(super) fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// What the braces of `pattern` stand for, in their order: `a{b,c}` is `ab` and `ac`.
pub(super) fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        if done.len() + open.len() >= MOST {
            break;
        }
        match braces(&pattern) {
            None => done.push(pattern),
            Some((start, end, choices)) => {
                // The last in is the first out.
                open.extend(
                    choices
                        .iter()
                        .rev()
                        .map(|choice| format!("{}{choice}{}", &pattern[..start], &pattern[end..])),
                );
            }
        }
    }
    done
}

/// The first outermost `{…}` with its choices.
fn braces(pattern: &str) -> Option<(usize, usize, Vec<String>)> {
    let start = pattern.find('{')?;
    let (mut depth, mut choices, mut from) = (0_usize, Vec::new(), start + 1);
    for (index, character) in pattern.char_indices().skip_while(|&(index, _)| index < start) {
        match character {
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(pattern[from..index].to_owned());
                from = index + 1;
            }
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    choices.push(pattern[from..index].to_owned());
                    return Some((start, index + 1, choices));
                }
            }
            _ => {}
        }
    }
    None
}

/// The files that `pattern`, which has no braces, means within `directory`, in the order of their
/// names. Without wild cards it is itself, whether it is there or not.
pub(super) fn files(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    if !is_wild(pattern) {
        return vec![directory.join(pattern)];
    }
    let mut found = vec![match pattern.starts_with('/') {
        true => PathBuf::from("/"),
        false => directory.to_owned(),
    }];
    let parts = Path::new(pattern).components().filter(|part| *part != Component::RootDir);
    for part in parts {
        let part = part.as_os_str().to_string_lossy();
        found = found.iter().flat_map(|at| within(at, &part)).take(MOST).collect();
    }
    found.retain(|path| path.is_file());
    found
}

fn within(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    if !is_wild(pattern) {
        let path = directory.join(pattern);
        return if path.exists() { vec![path] } else { Vec::new() };
    }
    // What cannot be read has no files that could be.
    let readable = if directory == Path::new("") { Path::new(".") } else { directory };
    let Ok(entries) = fs::read_dir(readable) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with('.') == pattern.starts_with('.') && matches(pattern, name))
        .take(MOST)
        .collect();
    names.sort();
    names.iter().map(|name| directory.join(name)).collect()
}

/// Whether one name is meant by one part of a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut in_name) = (0, 0);
    // Where to go on if what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = fits(&pattern, at, name[in_name]) {
                    (at, in_name) = (next, in_name + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((star_at, from)) = star else { return false };
        star = Some((star_at, from + 1));
        (at, in_name) = (star_at + 1, from + 1);
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// Where the pattern goes on if `character` is what stands at `at`.
fn fits(pattern: &[char], at: usize, character: char) -> Option<usize> {
    match pattern[at] {
        '?' => Some(at + 1),
        '[' => {
            let length =
                pattern[at..].iter().skip(2).position(|end| *end == ']').map(|end| end + 2);
            let Some(length) = length else { return (character == '[').then_some(at + 1) };
            let mut set = &pattern[at + 1..at + length];
            let negated = matches!(set.first(), Some('!' | '^'));
            if negated {
                set = &set[1..];
            }
            let mut inside = false;
            while let Some((&first, rest)) = set.split_first() {
                match *rest {
                    ['-', last, ..] => {
                        inside |= (first..=last).contains(&character);
                        set = &rest[2..];
                    }
                    _ => {
                        inside |= first == character;
                        set = rest;
                    }
                }
            }
            (inside != negated).then_some(at + length + 1)
        }
        exactly => (exactly == character).then_some(at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{alternatives, matches};

    #[test]
    fn braces_are_multiplied_out() {
        assert_eq!(alternatives("a{b,c{d,e}}f"), ["abf", "acdf", "acef"]);
        assert_eq!(alternatives("foo/{,cat,dog}"), ["foo/", "foo/cat", "foo/dog"]);
        assert_eq!(alternatives("a{b"), ["a{b"]);
        assert!(alternatives(&"{a,b}".repeat(64)).len() <= 1024);
    }

    #[test]
    fn names_are_matched_as_by_a_shell() {
        for (pattern, name, matched) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.old", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("?.c", "x.c", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]x", "]x", true),
            ("[x", "[x", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), matched, "{pattern} {name}");
        }
        let stars = "*a".repeat(50);
        assert!(!matches(&stars, &"a".repeat(200).replace("aaaaa", "bbbba")));
    }
}

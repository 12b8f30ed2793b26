//! Lines become words: comments, quotes, braces.

use super::text::Text;
use crate::config::source::Span;

/// A line without its comment and the white space around it.
pub(super) struct Bare {
    pub(super) text: Text,
    /// Whether a backslash at its end says that it goes on.
    pub(super) goes_on: bool,
    /// A quote that is not closed.
    pub(super) open_quote: Option<Span>,
}

/// Takes away what follows a `#` or `!` that is neither quoted nor has a backslash before it, and
/// the backslash that did so.
pub(super) fn bare(line: &Text) -> Bare {
    let mut text = Text::default();
    let (mut copied, mut end) = (0, line.len());
    let (mut quote, mut comment, mut goes_on) = (None, false, false);
    let mut characters = line.as_str().char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' if !comment => {
                quote = if quote.is_none() { Some(index) } else { None };
            }
            '\\' => match characters.next() {
                // Comments as well go on in this way.
                None => {
                    goes_on = true;
                    if !comment {
                        end = index;
                    }
                }
                Some((next, '#' | '!')) if quote.is_none() && !comment => {
                    text.push(&line.slice(copied..index));
                    copied = next;
                }
                Some(_) => {}
            },
            '#' | '!' if quote.is_none() && !comment => {
                comment = true;
                end = index;
            }
            _ => {}
        }
    }
    text.push(&line.slice(copied..end));
    let open_quote = quote.map(|index| line.slice(index..index + 1).span());
    Bare { text: text.trim(), goes_on, open_quote }
}

/// A word and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Span,
}

impl Word {
    fn of(text: &Text) -> Self {
        Self { text: text.as_str().to_owned(), span: text.span() }
    }
}

/// What is between white space; a text in double quotes is a word of its own, without them.
pub(super) fn words(line: &Text) -> Vec<Word> {
    let text = line.as_str();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|character: char| !character.is_whitespace()) {
        let start = at + start;
        let quoted = text[start..].strip_prefix('"');
        let (from, length) = match quoted {
            Some(inside) => (start + 1, inside.find('"').unwrap_or(inside.len())),
            None => {
                let ends = |character: char| character.is_whitespace() || character == '"';
                (start, text[start..].find(ends).unwrap_or(text.len() - start))
            }
        };
        let inside = line.slice(from..from + length);
        let span = if inside.is_empty() { line.slice(start..from).span() } else { inside.span() };
        words.push(Word { text: inside.as_str().to_owned(), span });
        at = (from + length + usize::from(quoted.is_some())).min(text.len());
    }
    words
}

/// The words of a line that has a script or a pattern: both quotes group, in the middle of words,
/// too, and a backslash says what the next character stands for.
pub(super) fn escaped_words(line: &Text) -> Vec<Word> {
    let mut words = Vec::new();
    let mut characters = line.as_str().char_indices().peekable();
    // The word so far, where it starts, and the quote that is open in it.
    let mut word: Option<(String, usize)> = None;
    let mut quote: Option<char> = None;
    let mut finish = |word: &mut Option<(String, usize)>, end: usize| {
        if let Some((text, start)) = word.take() {
            words.push(Word { text, span: Word::of(&line.slice(start..end)).span });
        }
    };
    while let Some((index, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            finish(&mut word, index);
            continue;
        }
        let (text, _) = word.get_or_insert((String::new(), index));
        match (character, quote) {
            ('\\', _) => text.extend(escaped(&mut characters)),
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            _ => text.push(character),
        }
    }
    finish(&mut word, line.len());
    words
}

type Characters<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

/// The character that stands for what follows a backslash.
fn escaped(characters: &mut Characters<'_>) -> Option<char> {
    let (_, character) = characters.next()?;
    let code = match character {
        'a' => 0x07,
        'b' => 0x08,
        'E' => 0x1b,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        'c' => u8::try_from(u32::from(characters.next()?.1) & 0x1f).unwrap_or_default(),
        'x' => digits(characters, 16, usize::MAX, 0),
        '0'..='7' => {
            let first = u8::try_from(character.to_digit(8)?).unwrap_or_default();
            digits(characters, 8, 2, first)
        }
        other => return Some(other),
    };
    Some(char::from(code))
}

/// Up to `most` digits behind `start`, of which the lowest eight bits count.
fn digits(characters: &mut Characters<'_>, radix: u32, most: usize, start: u8) -> u8 {
    let mut value = u32::from(start);
    for _ in 0..most {
        let Some(digit) = characters.peek().and_then(|(_, digit)| digit.to_digit(radix)) else {
            break;
        };
        value = (value * radix + digit) & 0xff;
        characters.next();
    }
    u8::try_from(value).unwrap_or_default()
}

/// The first brace that is neither in double quotes nor part of a `${NAME}` that nothing stands for.
pub(super) fn brace(text: &str) -> Option<usize> {
    let (mut quoted, mut before, mut in_name) = (false, None, false);
    text.char_indices().find_map(|(index, character)| {
        quoted ^= character == '"';
        let is_brace = !quoted && matches!(character, '{' | '}');
        let is_of_name = match character {
            '{' => before == Some('$'),
            _ => in_name,
        };
        in_name = is_of_name && character != '}' && !character.is_whitespace();
        before = Some(character);
        (is_brace && !is_of_name).then_some(index)
    })
}

#[cfg(test)]
mod tests {
    use super::{bare, brace, escaped_words, words};
    use crate::config::keepalived::text::Text;

    fn line(text: &str) -> Text {
        Text::line(text, 0, 0, 1)
    }

    fn split(text: &str) -> Vec<String> {
        words(&line(text)).into_iter().map(|word| word.text).collect()
    }

    fn split_escaped(text: &str) -> Vec<String> {
        escaped_words(&line(text)).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn comments_start_anywhere_but_in_quotes() {
        for (written, left) in [
            ("  a b # c", "a b"),
            ("a#b", "a"),
            ("! all of it", ""),
            (r##"a "#b" !c"##, r##"a "#b""##),
            (r"a\#b\!c#d", "a#b!c"),
            (r##"a "\"#" #"##, r##"a "\"#""##),
        ] {
            assert_eq!(bare(&line(written)).text.as_str(), left, "{written}");
        }
        assert!(bare(&line(r"a \")).goes_on);
        assert!(bare(&line(r"# a \")).goes_on);
        assert!(!bare(&line(r"a \\")).goes_on);
        assert_eq!(bare(&line(r#"a "b"#)).open_quote.map(|span| span.start), Some(2));
    }

    #[test]
    fn words_are_split_at_white_space_and_at_quotes() {
        assert_eq!(split("  a\tb  c "), ["a", "b", "c"]);
        assert_eq!(split(r#"a"b c"d ''"#), ["a", "b c", "d", "''"]);
        assert_eq!(split(r#"a """#), ["a", ""]);
        assert_eq!(split(r#""a"#), ["a"]);
    }

    #[test]
    fn words_of_scripts_are_split_as_by_a_shell() {
        assert_eq!(split_escaped(r#"abcd" efg h jkl "mnop"#), ["abcd efg h jkl mnop"]);
        assert_eq!(split_escaped(r#"abcd "efg h jkl" mnop"#), ["abcd", "efg h jkl", "mnop"]);
        assert_eq!(
            split_escaped(r#"a 'b "c' \"d \x41\102\ce\q"#),
            ["a", "b \"c", "\"d", "AB\u{5}q"]
        );
        assert_eq!(split_escaped("a '' \\"), ["a", "", ""]);
    }

    #[test]
    fn braces_count_outside_of_quotes() {
        assert_eq!(brace(r#"a "{" {"#), Some(6));
        assert_eq!(brace(r#"a "{"#), None);
        assert_eq!(brace("}"), Some(0));
        assert_eq!(brace("a ${B}c }"), Some(8));
        assert_eq!(brace("a ${ b }"), Some(7));
    }

    #[test]
    fn words_know_their_places() {
        let spans: Vec<_> = words(&line(r#"ab "c d" e"#)).iter().map(|word| word.span).collect();
        assert_eq!(
            spans.iter().map(|span| (span.start, span.end)).collect::<Vec<_>>(),
            [(0, 2), (4, 7), (9, 10)]
        );
    }
}

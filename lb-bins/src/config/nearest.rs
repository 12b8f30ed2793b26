//! "Did you mean …": the known word nearest to a mistyped one.

/// The word of `known` that `word` was probably meant to be: at most a third of it mistyped.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let letters: Vec<char> = word.to_lowercase().chars().take(64).collect();
    known
        .iter()
        .map(|candidate| (distance(&letters, &candidate.chars().collect::<Vec<_>>()), *candidate))
        .filter(|&(distance, candidate)| {
            let length = candidate.len().min(letters.len());
            distance <= 1.max(length / 3) && distance < length
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove, replace or swap with their neighbour on the way from
/// one word to the other (optimal string alignment).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KNOWN: &[&str] = &["rr", "wrr", "wlc", "interval", "fast_interval"];

    #[test]
    fn finds_what_was_meant() {
        assert_eq!(nearest("intervall", KNOWN), Some("interval"));
        assert_eq!(nearest("intreval", KNOWN), Some("interval"));
        assert_eq!(nearest("WLC", KNOWN), Some("wlc"));
        assert_eq!(nearest("fast-interval", KNOWN), Some("fast_interval"));
    }

    #[test]
    fn does_not_guess_wildly() {
        assert_eq!(nearest("address", KNOWN), None);
        assert_eq!(nearest("", KNOWN), None);
        assert_eq!(nearest("3", &["2", "1.1"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), KNOWN), None);
    }
}

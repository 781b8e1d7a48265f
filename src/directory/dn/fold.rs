//! When two texts are the same to a directory (RFC 4518, `caseIgnoreMatch`).

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Folds a text: NFKC, lower case, inner spaces made one, outer spaces dropped.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return fold_ascii(text);
    }
    // Lower case can undo NFKC and the other way round; a few rounds reach what neither changes.
    let mut folded = round(text);
    for _ in 0..3 {
        let next = round(&folded);
        if next == folded {
            break;
        }
        folded = next;
    }
    Cow::Owned(folded)
}

fn fold_ascii(text: &str) -> Cow<'_, str> {
    let is_folded = !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ")
        && !text
            .bytes()
            .any(|byte| byte.is_ascii_uppercase() || matches!(byte, b'\t'..=b'\r'));
    if is_folded {
        return Cow::Borrowed(text);
    }
    Cow::Owned(one_space(text.chars().map(|c| c.to_ascii_lowercase())))
}

fn round(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    // A final sigma is a sigma: the context that `str::to_lowercase` looks at is not the directory's.
    let lower = lower.map(|c| if c == 'ς' { 'σ' } else { c });
    one_space(lower.nfkc().collect::<String>().chars())
}

fn one_space(chars: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    let mut space = false;
    for c in chars {
        if c.is_whitespace() {
            space = true;
            continue;
        }
        if space && !out.is_empty() {
            out.push(' ');
        }
        space = false;
        out.push(c);
    }
    out
}

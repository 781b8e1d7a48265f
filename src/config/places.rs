//! Where things are in a configuration file, and what is wrong there, in the words of the file.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::secret;

/// What the decoder complains about.
pub(super) enum Complaint {
    /// A key that is not known here.
    UnknownKey { key: String, known: Vec<String> },
    /// A key that is not there.
    Missing(String),
    /// A value that cannot be.
    Other(String),
}

impl Complaint {
    /// Understands an error of the decoder.
    pub(super) fn of(error: &toml::de::Error) -> Self {
        let message = error.message();
        let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
        if message.starts_with("unknown field") {
            Self::UnknownKey {
                key: quoted.next().unwrap_or_default(),
                known: quoted.collect(),
            }
        } else if message.starts_with("missing field") {
            Self::Missing(quoted.next().unwrap_or_default())
        } else if let Some(rest) = message.strip_prefix("unknown variant ") {
            Self::Other(format!(
                "found {}",
                rest.replace(", expected", "; allowed is")
            ))
        } else {
            let message = ["invalid type: ", "invalid value: "]
                .iter()
                .fold(message.to_owned(), |message, kind| {
                    message.replace(kind, "found ")
                });
            Self::Other(match message.split_once(", expected ") {
                Some((found, expected)) => format!("{found}; expected is {}", in_words(expected)),
                None => message,
            })
        }
    }
}

/// What a programmer calls by a type, as a person would.
fn in_words(expected: &str) -> &str {
    match expected {
        "i32" | "i64" | "u32" | "u64" | "usize" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list: [\"…\"]",
        "a string" => "a text: \"…\"",
        other => other,
    }
}

/// A step on the way to a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    /// Into a section, by key.
    Key(&'a str),
    /// Into one of several sections of the same name.
    Item(usize),
}

/// A step as found in a file.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Key(String),
    Item(usize),
}

impl Found {
    fn step(&self) -> Step<'_> {
        match self {
            Self::Key(key) => Step::Key(key),
            Self::Item(n) => Step::Item(*n),
        }
    }
}

/// Where everything is in the file.
pub(super) struct Places<'a> {
    pub(super) text: &'a str,
    pub(super) root: Spanned<DeTable<'a>>,
}

impl Places<'_> {
    /// A problem with a value, or with the section where it would be.
    pub(super) fn problem(&self, path: &[Step<'_>], text: impl Into<String>) -> Problem {
        Problem {
            line: self.line(path),
            key: name(path),
            text: text.into(),
        }
    }

    /// A complaint of the decoder, in the words of the file.
    pub(super) fn complain(
        &self,
        at: &[Step<'_>],
        inside: &[Found],
        complaint: &Complaint,
    ) -> Problem {
        let path: Vec<Step<'_>> = at
            .iter()
            .copied()
            .chain(inside.iter().map(Found::step))
            .collect();
        match complaint {
            Complaint::UnknownKey { key, known } => {
                let nearest = nearest(key, known);
                let hint = match nearest {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("known here are {}", known.join(", ")),
                };
                // The decoder points at the key, which is then the last step.
                let mut path = path;
                if !matches!(path.last(), Some(Step::Key(last)) if last == key) {
                    path.push(Step::Key(key));
                }
                self.problem(&path, format!("there is no such key; {hint}"))
            }
            Complaint::Missing(key) => {
                let mut path = path;
                path.push(Step::Key(key));
                self.problem(&path, "this key is missing")
            }
            Complaint::Other(_) if is_secret(&path) => self.problem(&path, secret::HOW_TO_WRITE),
            Complaint::Other(text) => self.problem(&path, text),
        }
    }

    /// The line of the deepest step that the file has.
    fn line(&self, path: &[Step<'_>]) -> Option<usize> {
        let mut line = None;
        let mut table = Some(self.root.get_ref());
        let mut array = None;
        for step in path {
            let next: &Spanned<DeValue<'_>> = match step {
                Step::Key(key) => {
                    let Some((key, value)) = table.and_then(|table| table.get_key_value(*key))
                    else {
                        break;
                    };
                    line = Some(line_at(self.text, key.span().start));
                    value
                }
                Step::Item(n) => {
                    let Some(value) = array.and_then(|array: &toml::de::DeArray<'_>| array.get(*n))
                    else {
                        break;
                    };
                    line = Some(line_at(self.text, value.span().start));
                    value
                }
            };
            table = None;
            array = None;
            match next.get_ref() {
                DeValue::Table(inner) => table = Some(inner),
                DeValue::Array(inner) => array = Some(inner),
                _ => {}
            }
        }
        line
    }
}

/// The line of an offset, from one.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// The key with its sections, as a person would say it: without numbers, since the line tells which.
fn name(path: &[Step<'_>]) -> String {
    let keys = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(*key),
        Step::Item(_) => None,
    });
    keys.collect::<Vec<_>>().join(".")
}

fn is_secret(path: &[Step<'_>]) -> bool {
    path.iter()
        .any(|step| matches!(step, Step::Key("admin_secret" | "bind_password" | "token")))
}

fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Finds the way to what lies at a place in the file.
pub(super) fn find(table: &DeTable<'_>, place: &Range<usize>) -> Option<Vec<Found>> {
    table.iter().find_map(|(key, value)| {
        let mut way = vec![Found::Key(key.get_ref().to_string())];
        if key.span() == *place {
            return Some(way);
        }
        way.extend(find_in(value, place)?);
        Some(way)
    })
}

fn find_in(value: &Spanned<DeValue<'_>>, place: &Range<usize>) -> Option<Vec<Found>> {
    let deeper = match value.get_ref() {
        DeValue::Table(table) => find(table, place),
        DeValue::Array(items) => items.iter().enumerate().find_map(|(n, item)| {
            let mut way = vec![Found::Item(n)];
            way.extend(find_in(item, place)?);
            Some(way)
        }),
        _ => None,
    };
    deeper.or_else(|| (value.span() == *place).then(Vec::new))
}

/// Takes the value at the end of a way out of the file, and says whether it was there.
pub(super) fn take_out(table: &mut DeTable<'_>, way: &[Found]) -> bool {
    match way {
        [Found::Key(last)] => table.remove(last.as_str()).is_some(),
        [Found::Key(key), rest @ ..] => table
            .get_mut(key.as_str())
            .is_some_and(|value| take_out_of(value, rest)),
        _ => false,
    }
}

fn take_out_of(value: &mut Spanned<DeValue<'_>>, way: &[Found]) -> bool {
    match (value.get_mut(), way) {
        (DeValue::Table(table), way) => take_out(table, way),
        (DeValue::Array(items), [Found::Item(n), rest @ ..]) if !rest.is_empty() => items
            .get_mut(*n)
            .is_some_and(|item| take_out_of(item, rest)),
        _ => false,
    }
}

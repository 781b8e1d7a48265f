//! From the file to the types, with every complaint in the words of the file.
//!
//! *Its one idea: the types say what is known, and one error does not hide the next.* What cannot be
//! taken is noted with its key and line, taken out, and the rest is read again.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Problem};
use super::{Config, Directory, LdapDirectory, LdifDirectory, check, secret};

/// A configuration that can be used, and what is doubtful in it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What works, and is hardly meant.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads a configuration file, and checks it as far as that is possible without asking
    /// anybody. A file that everybody may read or write is refused: it says where the secrets are
    /// and what is done with them.
    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        secret::refuse_open("the configuration", path).map_err(unreadable)??;
        parse(&text).map_err(|problems| ConfigError::Invalid {
            path: Some(path.to_owned()),
            problems,
        })
    }

    /// Takes the text of a configuration file.
    pub fn parse(text: &str) -> Result<Loaded, ConfigError> {
        parse(text).map_err(|problems| ConfigError::Invalid {
            path: None,
            problems,
        })
    }
}

fn parse(text: &str) -> Result<Loaded, Vec<Problem>> {
    let root = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        let text = format!("this is not TOML: {}", error.message());
        vec![Problem {
            line,
            key: String::new(),
            text,
        }]
    })?;
    let places = Places { text, root };
    let mut reader = Reader {
        places: &places,
        rest: places.root.get_ref().clone(),
        problems: Vec::new(),
    };
    let config = reader.config();
    reader.refuse_unknown_sections();
    let mut problems = reader.problems;
    let Some(config) = config.filter(|_| problems.is_empty()) else {
        problems.sort();
        return Err(problems);
    };

    let checked = check::check(&config, &places);
    if checked.errors.is_empty() {
        Ok(Loaded {
            config,
            warnings: checked.warnings,
        })
    } else {
        Err(checked.errors)
    }
}

/// Takes one section after the other out of the file.
struct Reader<'a> {
    places: &'a Places<'a>,
    rest: DeTable<'a>,
    problems: Vec<Problem>,
}

const SECTIONS: [&str; 7] = [
    "state",
    "kaltura",
    "directory",
    "binding",
    "policy",
    "safety",
    "schedule",
];

impl<'a> Reader<'a> {
    fn config(&mut self) -> Option<Config> {
        // All of them are read before the first that is missing ends the matter.
        let (state, kaltura) = (self.section("state"), self.section("kaltura"));
        let directory = self.sections("directory", Self::directory);
        let binding = self.sections("binding", |reader, table, at| reader.read(table, at));
        let policy = self.section_or_default("policy");
        let safety = self.section_or_default("safety");
        let schedule = self.section_or_default("schedule");
        Some(Config {
            state: state?,
            kaltura: kaltura?,
            directory,
            binding,
            policy: policy?,
            safety: safety?,
            schedule: schedule?,
        })
    }

    fn section<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let at = [Step::Key(key)];
        let Some(section) = self.rest.remove(key) else {
            self.complain(&at, format!("the section `[{key}]` is missing"));
            return None;
        };
        let span = section.span();
        if let DeValue::Table(table) = section.into_inner() {
            self.read(Spanned::new(span, table), &at)
        } else {
            self.complain(&at, format!("a section `[{key}]` is expected"));
            None
        }
    }

    fn section_or_default<T: DeserializeOwned + Default>(
        &mut self,
        key: &'static str,
    ) -> Option<T> {
        if self.rest.contains_key(key) {
            self.section(key)
        } else {
            Some(T::default())
        }
    }

    fn sections<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Self, Spanned<DeTable<'a>>, &[Step<'_>]) -> Option<T>,
    ) -> Vec<T> {
        let Some(sections) = self.rest.remove(key) else {
            return Vec::new();
        };
        let expected = format!("a section `[[{key}]]`, with two brackets, is expected");
        let DeValue::Array(items) = sections.into_inner() else {
            self.complain(&[Step::Key(key)], expected);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (n, item) in items.into_iter().enumerate() {
            let at = [Step::Key(key), Step::Item(n)];
            let span = item.span();
            if let DeValue::Table(table) = item.into_inner() {
                found.extend(read(self, Spanned::new(span, table), &at));
            } else {
                self.complain(&at, expected.clone());
            }
        }
        found
    }

    /// Which keys a directory may have depends on its kind.
    fn directory(&mut self, mut table: Spanned<DeTable<'a>>, at: &[Step<'_>]) -> Option<Directory> {
        let Some(kind) = table.get_mut().remove("kind") else {
            self.complain(at, "the key `kind` is missing: \"ldap\" or \"ldif\"");
            return None;
        };
        match kind.get_ref().as_str() {
            Some("ldap") => self.read::<LdapDirectory>(table, at).map(Directory::Ldap),
            Some("ldif") => self.read::<LdifDirectory>(table, at).map(Directory::Ldif),
            other => {
                let found = other
                    .map(|other| format!("found {other:?}; "))
                    .unwrap_or_default();
                let at: Vec<Step<'_>> = at.iter().copied().chain([Step::Key("kind")]).collect();
                self.complain(&at, format!("{found}allowed are \"ldap\" and \"ldif\""));
                None
            }
        }
    }

    /// Reads a section; again without what could not be taken, until nothing new is found.
    fn read<T: DeserializeOwned>(
        &mut self,
        mut table: Spanned<DeTable<'a>>,
        at: &[Step<'_>],
    ) -> Option<T> {
        let mut incomplete = false;
        loop {
            let error = match T::deserialize(toml::Deserializer::from(table.clone())) {
                Ok(value) => return Some(value).filter(|_| !incomplete),
                Err(error) => error,
            };
            let inside = error
                .span()
                .and_then(|span| find(table.get_ref(), &span))
                .unwrap_or_default();
            let complaint = Complaint::of(&error);
            let is_missing = matches!(complaint, Complaint::Missing(_));
            // What is missing may be missing because it was taken out.
            if !(incomplete && is_missing) {
                self.problems
                    .push(self.places.complain(at, &inside, &complaint));
            }
            incomplete = true;
            if is_missing || !take_out(table.get_mut(), &inside) {
                return None;
            }
        }
    }

    fn refuse_unknown_sections(&mut self) {
        let known = SECTIONS.map(str::to_owned);
        for key in std::mem::take(&mut self.rest).keys() {
            let complaint = Complaint::UnknownKey {
                key: key.get_ref().to_string(),
                known: known.to_vec(),
            };
            self.problems
                .push(self.places.complain(&[], &[], &complaint));
        }
    }

    fn complain(&mut self, path: &[Step<'_>], text: impl Into<String>) {
        self.problems.push(self.places.problem(path, text));
    }
}

/// What the decoder complains about.
enum Complaint {
    UnknownKey { key: String, known: Vec<String> },
    Missing(String),
    Other(String),
}

impl Complaint {
    fn of(error: &toml::de::Error) -> Self {
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
enum Found {
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
    text: &'a str,
    root: Spanned<DeTable<'a>>,
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

    fn complain(&self, at: &[Step<'_>], inside: &[Found], complaint: &Complaint) -> Problem {
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

fn line_at(text: &str, offset: usize) -> usize {
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
fn find(table: &DeTable<'_>, place: &Range<usize>) -> Option<Vec<Found>> {
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
fn take_out(table: &mut DeTable<'_>, way: &[Found]) -> bool {
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

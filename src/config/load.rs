//! From the file to the types, with every complaint in the words of the file.
//!
//! *Its one idea: the types say what is known, and one error does not hide the next.* What cannot be
//! taken is noted with its key and line, taken out, and the rest is read again.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Problem};
use super::places::{Complaint, Places, Step, find, line_at, take_out};
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
        let unreadable = |error| ConfigError::Unreadable {
            path: path.to_owned(),
            error,
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

const SECTIONS: [&str; 8] = [
    "state",
    "kaltura",
    "directory",
    "binding",
    "policy",
    "safety",
    "apply",
    "schedule",
];

impl<'a> Reader<'a> {
    fn config(&mut self) -> Option<Config> {
        // All of them are read before the first that is missing ends the matter.
        let (state, kaltura) = (self.section("state"), self.section("kaltura"));
        let directory = self.sections("directory", Self::directory);
        let binding = self.sections("binding", Self::read);
        let policy = self.section_or_default("policy");
        let safety = self.section_or_default("safety");
        let apply = self.section_or_default("apply");
        let schedule = self.section_or_default("schedule");
        Some(Config {
            state: state?,
            kaltura: kaltura?,
            directory,
            binding,
            policy: policy?,
            safety: safety?,
            apply: apply?,
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

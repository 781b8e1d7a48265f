//! What can be wrong with a configuration, said to the person who wrote it.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration, or a secret that it names, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Everybody on the machine may read or write the file.
    #[error(
        "{what} {} is open to everybody on this machine (mode {mode:03o}). Mend it with: {mend}",
        path.display()
    )]
    Open {
        /// What the file is.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The command that mends it.
        mend: String,
    },
    /// The configuration says something that it cannot mean.
    #[error("{}", list(path.as_ref(), problems))]
    Invalid {
        /// The file, where there is one.
        path: Option<PathBuf>,
        /// What is wrong, in the order of the file.
        problems: Vec<Problem>,
    },
    /// A secret cannot be had.
    #[error("the secret of `{key}` cannot be had: {problem}")]
    Secret {
        /// The key that says where it is.
        key: String,
        /// Why not.
        problem: String,
    },
}

/// One thing that is wrong, or doubtful, in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line, where the file has one for it.
    pub line: Option<usize>,
    /// The key with the sections it is in: `directory.people.user_id`. Empty for the whole file.
    pub key: String,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

fn list(path: Option<&PathBuf>, problems: &[Problem]) -> String {
    let file = path.map_or_else(
        || "the configuration".to_owned(),
        |path| path.display().to_string(),
    );
    let count = match problems {
        [_] => "an error".to_owned(),
        several => format!("{} errors", several.len()),
    };
    let mut text = format!("{file} has {count}:");
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&problem.to_string());
    }
    text
}

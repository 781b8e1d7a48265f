//! Where a secret is kept. The configuration file itself is not such a place.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::error::ConfigError;

/// What to say to somebody who wrote the secret itself.
pub(super) const HOW_TO_WRITE: &str = "say where the secret is, exactly one of: { file = \"/path\" }, \
     { env = \"VARIABLE\" }, { credential = \"name\" }; the secret itself does not belong into this file";

const READ_BY_OTHERS: u32 = 0o004;
const WRITE_BY_OTHERS: u32 = 0o002;

/// Where to find a secret: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretSource {
    /// A file that only its owner (and group) may read, or one on a read-only file system, as
    /// containers get their secrets; a line break at its end is dropped.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential (`LoadCredential=`), by name.
    Credential(String),
}

impl SecretSource {
    /// Fetches the secret; `key` names it in an error. One line break at its end is dropped, and an
    /// empty one is refused: to a directory an empty password means "nobody in particular".
    pub fn resolve(&self, key: &str) -> Result<SecretString, ConfigError> {
        self.resolve_in(key, |name| std::env::var_os(name))
    }

    fn resolve_in(
        &self,
        key: &str,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<SecretString, ConfigError> {
        let fail = |problem: String| ConfigError::Secret {
            key: key.to_owned(),
            problem,
        };
        let no_file = |path: &Path, error: io::Error| fail(format!("{}: {error}", path.display()));
        let text = match self {
            Self::File(path) => {
                refuse_open("the secret's file", path).map_err(|error| no_file(path, error))??;
                let octets = std::fs::read(path).map_err(|error| no_file(path, error))?;
                text_of(octets).map_err(|why| fail(format!("{}: {why}", path.display())))?
            }
            Self::Env(name) => environment(name)
                .ok_or_else(|| fail(format!("there is no environment variable {name}")))?
                .into_string()
                .map_err(|_| fail(format!("the environment variable {name} is not UTF-8 text")))?,
            Self::Credential(name) => {
                let directory = environment("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    fail(format!(
                        "there are no systemd credentials here; the unit needs `LoadCredential={name}:/path`"
                    ))
                })?;
                // systemd keeps these to the service itself, whatever their mode says.
                let path = Path::new(&directory).join(name);
                let octets = std::fs::read(&path).map_err(|error| no_file(&path, error))?;
                text_of(octets).map_err(|why| fail(format!("{}: {why}", path.display())))?
            }
        };
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| {
            text.strip_suffix('\r').unwrap_or(text)
        });
        if text.is_empty() {
            return Err(fail("it is empty".to_owned()));
        }
        Ok(text.into())
    }
}

/// The text of a secret's file, without the byte order mark that some editors put before it.
fn text_of(octets: Vec<u8>) -> Result<String, &'static str> {
    if octets.starts_with(b"\xff\xfe") || octets.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16 text: save it as UTF-8");
    }
    let text = String::from_utf8(octets).map_err(|_| "it is not UTF-8 text")?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map_or(text.clone(), str::to_owned))
}

/// Refuses a file that everybody on the machine may read or write.
pub(super) fn refuse_open(what: &'static str, path: &Path) -> io::Result<Result<(), ConfigError>> {
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    let read_only = rustix::fs::statvfs(path)?
        .f_flag
        .contains(StatVfsMountFlags::RDONLY);
    if !is_open(mode, read_only) {
        return Ok(Ok(()));
    }
    let mend = format!("chmod o-rwx {}", quoted(path));
    Ok(Err(ConfigError::Open {
        what,
        path: path.to_owned(),
        mode,
        mend,
    }))
}

/// Whether the mode of a file lets too many people at it.
///
/// On a read-only file system nobody can change the mode, and Docker and Kubernetes mount secrets
/// there with mode 0444, visible only inside the container.
fn is_open(mode: u32, read_only: bool) -> bool {
    mode & WRITE_BY_OTHERS != 0 || (mode & READ_BY_OTHERS != 0 && !read_only)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text
        .chars()
        .all(|c| c.is_alphanumeric() || "/._-+@%:,".contains(c));
    if is_plain {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn one_line_break_at_the_end_is_dropped() {
        for (text, secret) in [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            (" a\n\n", " a\n"),
        ] {
            let (_directory, path) = file(text, 0o640);
            assert_eq!(
                SecretSource::File(path)
                    .resolve("k")
                    .unwrap()
                    .expose_secret(),
                secret
            );
        }
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let (_directory, path) = file("\n", 0o600);
        let error = SecretSource::File(path)
            .resolve("directory.bind_password")
            .unwrap_err();
        insta::assert_snapshot!(error, @"the secret of `directory.bind_password` cannot be had: it is empty");
    }

    #[test]
    fn a_file_for_everybody_is_refused_with_the_command_that_mends_it() {
        for mode in [0o604, 0o602, 0o644] {
            let (_directory, path) = file("x", mode);
            let mend = format!("chmod o-rwx {}", path.display());
            let error = SecretSource::File(path).resolve("k").unwrap_err();
            assert!(matches!(&error, ConfigError::Open { .. }));
            assert!(error.to_string().ends_with(&mend), "{error}");
        }
        assert_eq!(quoted(Path::new("/my files/it's")), r"'/my files/it'\''s'");
    }

    #[test]
    fn a_file_for_everybody_is_accepted_on_a_read_only_file_system_unless_everybody_may_write() {
        for (mode, read_only, expected) in [
            (0o444, true, false),
            (0o644, true, false),
            (0o444, false, true),
            (0o446, true, true),
            (0o402, true, true),
            (0o440, false, false),
        ] {
            assert_eq!(is_open(mode, read_only), expected, "{mode:o} {read_only}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_dropped_and_utf_16_is_refused() {
        let (_directory, path) = file("\u{feff}s3cret\r\n", 0o600);
        let secret = SecretSource::File(path.clone()).resolve("k").unwrap();
        assert_eq!(secret.expose_secret(), "s3cret");
        for (octets, reason) in [
            (b"\xff\xfes\0" as &[u8], "UTF-16"),
            (b"\xfe\xff\0s", "UTF-16"),
            (b"\xfc", "not UTF-8"),
        ] {
            fs::write(&path, octets).unwrap();
            let error = SecretSource::File(path.clone()).resolve("k").unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_variable_and_a_credential() {
        let (directory, _) = file("from systemd\n", 0o644);
        let environment = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(directory.path().into()),
            "SECRET" => Some("from outside".into()),
            _ => None,
        };
        let resolve = |source: SecretSource| source.resolve_in("k", environment);
        let text = |source| resolve(source).unwrap().expose_secret().to_owned();
        assert_eq!(text(SecretSource::Env("SECRET".to_owned())), "from outside");
        assert_eq!(
            text(SecretSource::Credential("secret".to_owned())),
            "from systemd"
        );
        let error = resolve(SecretSource::Env("MISSING".to_owned())).unwrap_err();
        insta::assert_snapshot!(error, @"the secret of `k` cannot be had: there is no environment variable MISSING");
    }
}

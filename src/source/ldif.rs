//! An LDIF file as a source, for sites that can only get an export.
//!
//! *Its one idea: a file is a search result that somebody wrote down.* The same filters, bases and
//! meanings apply; whether it is all of the result is what its end has to show, and that nobody
//! changed it while it was read. The file is read twice, people first, so that no more than one
//! entry is in memory.

mod additions;
mod age;
mod ending;
mod foreign;
mod groups;
mod hashing;
mod joined;
mod lines;
mod reader;
mod scope;
mod sink;

pub use groups::{ExportedGroup, exported_groups};

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::additions::Additions;
use self::hashing::Hashing;
use self::reader::{ReadError, Reader, Record, RecordKind};
use self::scope::{Scope, Verdict};
use self::sink::{Sink, withhold_removals};
use super::by_people::ByPeople;
use super::check::Sample;
use super::entry::Entry;
use super::meaning::{GroupMeaning, PeopleMeaning};
use super::outbox::Outbox;
use super::stable_id::IdAttribute;
use super::{
    Changes, CheckReport, Checkpoint, Moved, Observations, Proof, Read, Seen, SourceError,
};
use crate::clock;
use crate::config::{LdifDirectory, Period};
use crate::directory::{EntryKind, EntryProblem, Left, Observation, Unusable};

/// Entries of each kind that a check looks at.
const SAMPLE: usize = 100;

/// An LDIF file.
pub struct Ldif {
    name: String,
    inner: Arc<Inner>,
}

/// What the reading thread needs.
struct Inner {
    path: PathBuf,
    end_marker: Option<String>,
    max_age: Option<Period>,
    ids: Vec<IdAttribute>,
    people: PeopleMeaning,
    groups: GroupMeaning,
    scopes: [Scope; 2],
    made_for: String,
}

/// Our form of a checkpoint: which content was read, and for what.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    format: u32,
    made_for: String,
    content: String,
}

/// The second version of [`Position`]: people and groups are read with what makes primary groups.
const FORMAT: u32 = 2;

impl Ldif {
    /// Compiles a configuration; the file is not looked at.
    pub fn new(config: &LdifDirectory) -> Result<Self, SourceError> {
        let groups = GroupMeaning::new(&config.name, &config.groups)?;
        let people = PeopleMeaning::new(&config.name, &config.people, &groups)?;
        let scope = |kind, key: &str, base: &str, filter: &str| {
            Scope::new(kind, base, filter).map_err(|reason| SourceError::Config {
                directory: config.name.clone(),
                key: format!("{key}.filter"),
                reason,
            })
        };
        let scopes = [
            scope(EntryKind::Person, "people", &people.base, &people.filter)?,
            scope(EntryKind::Group, "groups", &groups.base, &groups.filter)?,
        ];
        let ids = match &config.stable_id {
            Some(id) => vec![IdAttribute::named(id)],
            None => [IdAttribute::known(), vec![IdAttribute::Name]].concat(),
        };
        let made_for = (
            &config.people,
            &config.groups,
            &config.stable_id,
            &config.end_marker,
        );
        let made_for = serde_json::to_vec(&made_for).unwrap_or_default();
        Ok(Self {
            name: config.name.clone(),
            inner: Arc::new(Inner {
                path: config.path.clone(),
                end_marker: config.end_marker.clone(),
                max_age: config.max_age,
                ids,
                people,
                groups,
                scopes,
                made_for: HEXLOWER.encode(&Sha256::digest(made_for)),
            }),
        })
    }

    /// The directory's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Looks at the file; see [`Source::check`](super::Source::check).
    pub async fn check(&self) -> Result<CheckReport, SourceError> {
        self.on_a_thread(Inner::check).await
    }

    /// Reads everything; see [`Source::read_all`](super::Source::read_all).
    pub async fn read_all(&self, out: &Observations) -> Result<Read, SourceError> {
        let out = out.clone();
        let runtime = tokio::runtime::Handle::current();
        self.on_a_thread(move |inner| inner.read_all(&mut Sink::new(Outbox::new(&out), runtime)))
            .await
    }

    /// Says whether the file is another one than at the checkpoint; a file has no list of changes.
    pub async fn changes_since(
        &self,
        checkpoint: &Checkpoint,
    ) -> Result<(Changes, Checkpoint), SourceError> {
        let stored: Option<Position> = serde_json::from_str(&checkpoint.0).ok();
        let reason = match stored {
            None => "the checkpoint is of another kind of source".to_owned(),
            Some(stored) if stored.format != FORMAT || stored.made_for != self.inner.made_for => {
                "the directory's configuration has changed".to_owned()
            }
            Some(stored) => {
                let (content, too_old) = self.on_a_thread(Inner::content).await?;
                match too_old {
                    Some(problem) => problem,
                    None if content == stored.content => {
                        return Ok((Changes::Nothing, checkpoint.clone()));
                    }
                    None => "the file has changed".to_owned(),
                }
            }
        };
        Ok((Changes::FullReadNeeded { reason }, checkpoint.clone()))
    }

    /// Reads some entries: by reading all of the file, which has no index.
    pub async fn read_entries(
        &self,
        _moved: &[Moved],
        out: &Observations,
    ) -> Result<Read, SourceError> {
        self.read_all(out).await
    }

    /// Files are read where they may block.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let inner = self.inner.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or(Err(SourceError::Stopped))
    }
}

/// How one passage through the file went.
struct Passage {
    entries: u64,
    /// The hash of all octets read.
    content: String,
    /// What keeps it from being the whole of the directory.
    problem: Option<String>,
}

impl Inner {
    fn read_all(&self, sink: &mut Sink<'_>) -> Result<Read, SourceError> {
        let mut by_people = self.groups.by_people.then(ByPeople::default);
        let mut additions = Additions::default();
        let too_old = self.too_old()?;
        let mut passages = Vec::new();
        let mut unseen = None;
        for scope in &self.scopes {
            let identified = sink.identified();
            let is_flawed =
                too_old.is_some() || passages.iter().any(|p: &Passage| p.problem.is_some());
            let told = |entry: Entry, verdict: Verdict| {
                let mut observations = self.observe(scope.kind, &entry, verdict);
                if let Some(by_people) = &mut by_people {
                    by_people.look_at(&entry, &mut observations);
                }
                if is_flawed {
                    withhold_removals(&mut observations);
                }
                observations.into_iter().try_for_each(|o| sink.push(o))
            };
            let passage = self.pass(scope, &mut additions, told)?;
            if sink.identified() == identified {
                unseen = unseen.or(Some(scope.kind));
            }
            passages.push(passage);
        }
        sink.flush()?;
        let changed = passages
            .windows(2)
            .any(|pair| pair[0].content != pair[1].content);
        let problem = passages.iter().find_map(|p| p.problem.clone());
        let problem = problem
            .or_else(|| changed.then(|| "it was changed while it was read".to_owned()))
            .or_else(|| self.not_merged(&additions))
            .or_else(|| {
                unseen.map(|kind| format!("it holds no {kind} at all under the configured base"))
            })
            .or_else(|| self.groups.no_members(sink.sent()));
        let entries = passages.iter().map(|p| p.entries).sum();
        let reason = problem
            .map(|problem| format!("{} is not a whole export: {problem}", self.path.display()))
            .or_else(|| Some(format!("{} is too old: {}", self.path.display(), too_old?)));
        if let Some(reason) = reason {
            return Ok(Read {
                proof: Proof::Unproven { reason },
                checkpoint: None,
                seen: None,
                entries,
            });
        }
        let content = passages.pop().map(|p| p.content).unwrap_or_default();
        let seen = Seen(self.state(&content));
        let position = Position {
            format: FORMAT,
            made_for: self.made_for.clone(),
            content,
        };
        Ok(Read {
            proof: Proof::Complete,
            checkpoint: serde_json::to_string(&position).ok().map(Checkpoint),
            seen: Some(seen),
            entries,
        })
    }

    /// Goes through the file once and hands over the entries of one kind, with what is to be thought
    /// of them. Of people, who come first, values that other records add are only noted.
    fn pass(
        &self,
        scope: &Scope,
        additions: &mut Additions,
        mut told: impl FnMut(Entry, Verdict) -> Result<(), SourceError>,
    ) -> Result<Passage, SourceError> {
        let mut reader = Reader::new(BufReader::with_capacity(1 << 16, self.open()?));
        let is_first = scope.kind == EntryKind::Person;
        let (mut entries, mut seen) = (0, 0_u64);
        let broken = loop {
            let Record {
                kind,
                mut entry,
                line,
            } = match reader.next() {
                Ok(None) => break None,
                Ok(Some(record)) => record,
                Err(ReadError::Io(source)) => return Err(self.file_error(source)),
                Err(ReadError::Syntax { line, reason }) if seen == 0 => {
                    return Err(SourceError::Ldif {
                        path: self.path.clone(),
                        line,
                        reason: reason.to_owned(),
                    });
                }
                Err(error @ ReadError::Syntax { .. }) => break Some(error.to_string()),
            };
            seen += 1;
            match kind {
                RecordKind::Additions => {
                    if is_first && !additions.note(entry, line) {
                        reader.doubt(line, "the name of this record is not a distinguished name");
                    }
                    continue;
                }
                RecordKind::Entry if !is_first => additions.complete(&mut entry),
                RecordKind::Entry | RecordKind::Cut => {}
            }
            let verdict = scope.judge(&entry, kind);
            if verdict != Verdict::Elsewhere {
                entries += u64::from(verdict != Verdict::Other);
                told(entry, verdict)?;
            }
        };
        let bases = [&self.scopes[0].base, &self.scopes[1].base];
        let problem = broken.or_else(|| reader.problem(self.end_marker.as_deref(), &bases));
        let hashing = reader.into_input().into_inner();
        Ok(Passage {
            entries,
            content: hashing.finish(),
            problem,
        })
    }

    /// Says which values in records of their own have not been given to their entries.
    fn not_merged(&self, additions: &Additions) -> Option<String> {
        let [people, groups] = &self.scopes;
        let ids = self.ids.iter().filter_map(IdAttribute::attribute);
        let needed = self.people.attributes().into_iter();
        let needed = needed.chain(people.attributes().iter().cloned());
        let needed = needed.chain(ids.map(str::to_owned)).collect();
        additions
            .missing(&people.base, &needed)
            .or_else(|| additions.unclaimed(&groups.base))
    }

    fn check(&self) -> Result<CheckReport, SourceError> {
        let mut samples = [Sample::default(), Sample::default()];
        let mut additions = Additions::default();
        for (sample, scope) in samples.iter_mut().zip(&self.scopes) {
            self.pass(scope, &mut additions, |entry, verdict| {
                if sample.looked_at < SAMPLE {
                    let observations = self.observe(scope.kind, &entry, verdict);
                    sample.add(&entry, "modifytimestamp", observations);
                } else {
                    sample.more = true;
                }
                Ok(())
            })?;
        }
        let [people, groups] = samples;
        Ok(CheckReport {
            place: self.path.display().to_string(),
            server: None,
            people,
            groups,
        })
    }

    /// Which export this is: its content, and when it was written. The same content written again is
    /// another export.
    fn state(&self, content: &str) -> String {
        let written = std::fs::metadata(&self.path).and_then(|file| file.modified());
        let written = written
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        format!("{} {content}", written.unwrap_or_default().as_nanos())
    }

    /// The hash of the content, and what is to be said of the file's age.
    fn content(&self) -> Result<(String, Option<String>), SourceError> {
        let mut file = self.open()?;
        io::copy(&mut file, &mut io::sink()).map_err(|source| self.file_error(source))?;
        Ok((file.finish(), self.too_old()?))
    }

    fn too_old(&self) -> Result<Option<String>, SourceError> {
        age::too_old(&self.path, self.max_age, clock::now())
            .map_err(|source| self.file_error(source))
    }

    fn observe(&self, kind: EntryKind, entry: &Entry, verdict: Verdict) -> Vec<Observation> {
        let id = IdAttribute::of(&self.ids, entry);
        match (verdict, kind) {
            (Verdict::Unusable(problem), _) => vec![Observation::Unusable(Unusable {
                kind,
                id: id.ok().filter(|_| problem != EntryProblem::RunTogether),
                dn: entry.dn.clone(),
                problem,
                group_ids: Vec::new(),
            })],
            // It is there, and does not match the filter: that is known, not missing.
            (Verdict::Other, _) => {
                let left = id.map(|id| Observation::Left(kind, id, Left::Filter));
                left.into_iter().collect()
            }
            (_, EntryKind::Person) => self.people.observe(entry, id),
            (_, EntryKind::Group) => self.groups.observe_in_file(entry, id),
        }
    }

    fn open(&self) -> Result<Hashing, SourceError> {
        Hashing::open(&self.path).map_err(|source| self.file_error(source))
    }

    fn file_error(&self, source: io::Error) -> SourceError {
        SourceError::File {
            path: self.path.clone(),
            source,
        }
    }
}

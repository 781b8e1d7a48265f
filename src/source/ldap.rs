//! An LDAP server as a source.
//!
//! Each read is one connection and a few searches, and every entry read is an observation.
//!
//! | module | what |
//! |---|---|
//! | [`session`], [`tls`], [`wire`] | a connection, and what comes over it |
//! | [`relay`] | no more of it than somebody waits for |
//! | [`server`] | what a server says about itself |
//! | [`lookup`] | entries and attributes that did not come |
//! | [`search`] | a search whose end is judged |
//! | [`range`] | attributes that come in parts |
//! | [`probe`] | whether an attribute that did not come is absent, or cannot be read |
//! | [`replica`] | how far a server has come |
//! | [`changes`] | from where to look for changes next time |

mod changes;
mod check;
mod lookup;
mod probe;
mod range;
mod relay;
mod replica;
mod search;
mod server;
mod session;
mod tls;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use data_encoding::HEXLOWER;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use self::changes::{Mark, Position, Stamps};
use self::replica::Replica;
use self::search::{Cut, Query, Search};
use self::server::{Kind, Server};
use self::session::{Access, Session};
use super::by_people::ByPeople;
use super::entry::Entry;
use super::meaning::{GroupMeaning, PeopleMeaning, VERSION, version};
use super::outbox::Outbox;
use super::reference::Ignored;
use super::stable_id::IdAttribute;
use super::{Attempt, Changes, Checkpoint, Moved, Observations, Proof, Read, Seen, SourceError};
use crate::config::LdapDirectory;
use crate::config::directory::ChangeDetection;
use crate::directory::{EntryKind, EntryProblem, Observation, StableId, Version};

/// People first: groups name them.
const KINDS: [EntryKind; 2] = [EntryKind::Person, EntryKind::Group];

/// Ids in one search for entries.
const CHUNK: usize = 200;

/// From so many ids on, everything is searched instead: some servers have no index on them.
const MANY: usize = 5_000;

/// An LDAP server, or several with the same content.
pub struct Ldap {
    name: String,
    access: Access,
    page_size: i32,
    changes: ChangeDetection,
    overlap: Duration,
    stable_id: Option<IdAttribute>,
    people: PeopleMeaning,
    groups: GroupMeaning,
    ignored: Arc<Ignored>,
    made_for: String,
    /// The server from which to go on trying, of `urls`: those before it are behind.
    first: AtomicUsize,
}

/// A read on its way: the connection, what the server is, and where observations go.
struct Reading<'a> {
    session: Session,
    server: Server,
    ids: Vec<IdAttribute>,
    out: Outbox<'a>,
    entries: u64,
    /// In the way of `members = "memberOf"`: who says to be where.
    by_people: Option<ByPeople>,
    /// How far the server has come, and how far any has come that was read before.
    replica: Replica,
    seen: Replica,
    /// Active Directory's number of the newest change among the entries read.
    newest_usn: u64,
    /// An attribute of people that decides who is in use, and cannot be read.
    unreadable: Option<String>,
}

/// How a part of a read ended, where it did not end well.
enum Early {
    /// The search was cut.
    Cut(Cut),
    /// The whole read is over.
    Failed(SourceError),
}

impl From<Cut> for Early {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

impl From<SourceError> for Early {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

impl Ldap {
    /// Compiles a configuration; asks nothing of the network.
    pub fn new(
        config: &LdapDirectory,
        bind_password: Option<SecretString>,
    ) -> Result<Self, SourceError> {
        let groups = GroupMeaning::new(&config.name, &config.groups)?;
        Ok(Self {
            name: config.name.clone(),
            access: Access::new(config, bind_password)?,
            page_size: config.page_size,
            changes: config.changes,
            overlap: config.overlap.0,
            stable_id: config.stable_id.as_deref().map(IdAttribute::named),
            people: PeopleMeaning::new(&config.name, &config.people, &groups)?,
            groups,
            ignored: Arc::new(Ignored::new(&config.ignore_references)),
            made_for: fingerprint(config),
            first: AtomicUsize::new(0),
        })
    }

    /// The directory's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads everything; see [`Source::read_all`](super::Source::read_all).
    pub async fn read_all(
        &self,
        seen: Option<&Seen>,
        out: &Observations,
    ) -> Result<Read, SourceError> {
        let mut reading = self.begin(seen, out).await?;
        if self.groups.by_people {
            reading.by_people = Some(ByPeople::default());
        }
        let mut marks = [None, None];
        let (mut unseen, mut referred) = (None, None);
        for (mark, kind) in marks.iter_mut().zip(KINDS) {
            let filter = self.filter(kind).to_owned();
            let identified = reading.out.identified();
            match self.read_matching(&mut reading, kind, filter, None).await {
                Ok(found) => *mark = found,
                // All entries have come; what is elsewhere is not known.
                Err(Early::Cut(cut @ Cut::Referred { .. })) => _ = referred.get_or_insert(cut),
                Err(early) => return self.ended_early(reading, kind, early).await,
            }
            if reading.out.identified() == identified {
                unseen = unseen.or(Some(kind));
            }
        }
        reading.out.flush().await?;
        let [people, groups] = marks;
        let position = Position::new(&self.made_for, &reading.server, people, groups);
        reading.session.close().await;
        let unproven = referred.map(|cut| cut.to_string());
        let unproven =
            unproven.or_else(|| self.unproven(&reading.out, unseen, reading.unreadable.as_deref()));
        let seen = reading.replica.after(&reading.seen, reading.newest_usn);
        Ok(Read {
            checkpoint: position.checkpoint().filter(|_| unproven.is_none()),
            seen: seen.filter(|_| unproven.is_none()),
            proof: unproven.map_or(Proof::Complete, |reason| Proof::Unproven { reason }),
            entries: reading.entries,
        })
    }

    /// Why a read that came to its end proves nothing: no right to look and nothing to see are the same
    /// answer.
    fn unproven(
        &self,
        out: &Outbox<'_>,
        unseen: Option<EntryKind>,
        unreadable: Option<&str>,
    ) -> Option<String> {
        if let Some(kind) = unseen {
            return Some(format!(
                "no {kind} that can be identified was found under {}; an account without the right to read gets the same answer",
                self.base(kind)
            ));
        }
        if let Some(attribute) = unreadable {
            return Some(format!(
                "the account may not read the attribute {attribute} of people, which directory.people.enabled or directory.groups.members needs; let it read that"
            ));
        }
        self.groups.no_members(out)
    }

    /// Lists what may have changed; see [`Source::changes_since`](super::Source::changes_since).
    pub async fn changes_since(
        &self,
        checkpoint: &Checkpoint,
        seen: Option<&Seen>,
    ) -> Result<(Changes, Checkpoint), SourceError> {
        match self.try_changes_since(checkpoint, seen).await? {
            Ok(found) => Ok(found),
            Err(reason) => Ok((Changes::FullReadNeeded { reason }, checkpoint.clone())),
        }
    }

    async fn try_changes_since(
        &self,
        checkpoint: &Checkpoint,
        seen: Option<&Seen>,
    ) -> Result<Result<(Changes, Checkpoint), String>, SourceError> {
        let position = match self.position(checkpoint) {
            Ok(position) => position,
            Err(reason) => return Ok(Err(reason)),
        };
        let (mut session, server, _) = self.open(&Replica::seen(seen)).await?;
        if let Err(reason) = position.check_server(&server) {
            return Ok(Err(reason));
        }
        let mut moved = Vec::new();
        let mut marks = [None, None];
        for (mark, kind) in marks.iter_mut().zip(KINDS) {
            let Some(before) = position.mark(kind) else {
                return Ok(Err("the server shows no time stamps".to_owned()));
            };
            match self
                .list_moved(&mut session, &server, kind, before, &mut moved)
                .await?
            {
                Ok(found) => *mark = Some(found),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        session.close().await;
        let [people, groups] = marks;
        let next = Position::new(&self.made_for, &server, people, groups).checkpoint();
        let changes = if moved.is_empty() {
            Changes::Nothing
        } else {
            Changes::Entries(moved)
        };
        Ok(next
            .map(|next| (changes, next))
            .ok_or_else(|| "the position cannot be written".to_owned()))
    }

    fn position(&self, checkpoint: &Checkpoint) -> Result<Position, String> {
        if self.changes == ChangeDetection::Full {
            return Err("changes = \"full\"".to_owned());
        }
        if self.groups.by_people {
            return Err(
                "groups.members = \"memberOf\": servers change it without a new time stamp"
                    .to_owned(),
            );
        }
        Position::read(checkpoint, &self.made_for)
    }

    /// Lists the entries of one kind's base that changed at or after the mark, without the filter.
    async fn list_moved(
        &self,
        session: &mut Session,
        server: &Server,
        kind: EntryKind,
        before: &Mark,
        moved: &mut Vec<Moved>,
    ) -> Result<Result<Mark, String>, SourceError> {
        let ids = self.ids(server);
        let mut attributes = vec![server.stamp_attribute().to_owned(), VERSION.to_owned()];
        attributes.extend(
            ids.iter()
                .filter_map(IdAttribute::attribute)
                .map(str::to_owned),
        );
        let query = Query::subtree(
            self.base(kind),
            server.changed_since(before.since),
            attributes,
        );
        let mut stamps = Stamps::begin(server);
        let url = session.url.clone();
        let query = query.paged(self.page_size).ignoring(&self.ignored);
        let mut search = Search::new(session, query);
        let mut anchored = false;
        loop {
            let entry = match search.next().await {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(Cut::Broken { reason }) => {
                    return Err(SourceError::Unreadable { place: url, reason });
                }
                Err(cut @ Cut::NoBase { .. }) => return Err(Self::failed(&url, kind, cut)),
                Err(cut) => return Ok(Err(format!("the changes cannot be listed: {cut}"))),
            };
            // What has no id is none of ours: the full read has named it already.
            let Ok(id) = IdAttribute::of(&ids, &entry) else {
                continue;
            };
            stamps.note(&entry, &id);
            anchored |= id == before.entry;
            moved.push(Moved {
                kind,
                version: version(&entry).filter(Version::is_exact),
                id,
            });
        }
        if !anchored {
            return Ok(Err(format!(
                "the {kind} entry that had the newest time stamp is no longer there: it was deleted, or the server was put back to an older state"
            )));
        }
        Ok(stamps
            .mark(self.overlap, Some(before))
            .ok_or_else(|| "the server shows entries without a time stamp".to_owned()))
    }

    /// Reads some entries; see [`Source::read_entries`](super::Source::read_entries).
    pub async fn read_entries(
        &self,
        moved: &[Moved],
        seen: Option<&Seen>,
        out: &Observations,
    ) -> Result<Read, SourceError> {
        if self.groups.by_people && moved.iter().any(|m| m.kind == EntryKind::Group) {
            // Only all people together tell the members of a group.
            return self.read_all(seen, out).await;
        }
        let mut reading = self.begin(seen, out).await?;
        for kind in KINDS {
            let asked: Vec<&StableId> = moved
                .iter()
                .filter(|m| m.kind == kind)
                .map(|m| &m.id)
                .collect();
            if let Err(early) = self.read_asked(&mut reading, kind, &asked).await {
                return self.ended_early(reading, kind, early).await;
            }
        }
        reading.out.flush().await?;
        let entries = reading.entries;
        reading.session.close().await;
        let unproven = self.unproven(&reading.out, None, reading.unreadable.as_deref());
        let unproven = unproven.filter(|_| reading.unreadable.is_some());
        Ok(Read {
            proof: unproven.map_or(Proof::Entries, |reason| Proof::Unproven { reason }),
            checkpoint: None,
            seen: reading.replica.after(&reading.seen, reading.newest_usn),
            entries,
        })
    }

    async fn read_asked(
        &self,
        reading: &mut Reading<'_>,
        kind: EntryKind,
        asked: &[&StableId],
    ) -> Result<(), Early> {
        let all_at_once = asked.len() > MANY;
        for asked in asked.chunks(if all_at_once { asked.len() } else { CHUNK }) {
            let mut filter = self.filter(kind).to_owned();
            if !all_at_once {
                let ids = asked.iter().map(|id| IdAttribute::filter(&reading.ids, id));
                filter = format!("(&{filter}(|{}))", ids.collect::<String>());
            }
            let mut missing = asked.iter().copied().collect();
            self.read_matching(reading, kind, filter, Some(&mut missing))
                .await?;
            for (id, how) in self.how_they_left(reading, kind, &missing).await? {
                let left = Observation::Left(kind, id, how);
                reading.out.push(left).await?;
            }
        }
        Ok(())
    }

    /// Reads what matches a filter and tells it; with `asked`, only that, and takes it from there.
    async fn read_matching(
        &self,
        reading: &mut Reading<'_>,
        kind: EntryKind,
        filter: String,
        asked: Option<&mut BTreeSet<&StableId>>,
    ) -> Result<Option<Mark>, Early> {
        let attributes = self.attributes(kind, &reading.server, &reading.ids);
        let query = Query::subtree(self.base(kind), filter, attributes);
        let query = query.paged(self.page_size).ignoring(&self.ignored);
        self.read_query(reading, kind, query, asked).await
    }

    /// Reads what a query finds and tells it; with `asked`, only that, and takes it from there.
    async fn read_query(
        &self,
        reading: &mut Reading<'_>,
        kind: EntryKind,
        query: Query,
        mut asked: Option<&mut BTreeSet<&StableId>>,
    ) -> Result<Option<Mark>, Early> {
        let Reading {
            session,
            server,
            ids,
            out,
            entries,
            by_people,
            newest_usn,
            replica,
            ..
        } = reading;
        let mut stamps = Stamps::begin(server);
        let mut search = Search::new(session, query);
        // Entries without an attribute that they should have: whether they have it is asked at the end.
        let mut lacking = Vec::new();
        let end = loop {
            let mut entry = match search.next().await {
                Ok(Some(entry)) => entry,
                Ok(None) => break Ok(()),
                Err(cut) => break Err(cut),
            };
            let id = IdAttribute::of(ids, &entry);
            if let (Some(asked), Ok(id)) = (asked.as_deref_mut(), &id)
                && !asked.remove(id)
            {
                continue;
            }
            *entries += 1;
            if let Ok(id) = &id {
                stamps.note(&entry, id);
            }
            *newest_usn = usn(&entry).max(*newest_usn);
            range::complete(search.session(), &mut entry, self.ranged(kind)).await?;
            if !self.lacks(kind, &entry).is_empty() {
                lacking.push((entry, id));
                continue;
            }
            let mut observations = self.observe(kind, &entry, id);
            note_version(replica, &entry, &mut observations);
            if let Some(by_people) = by_people {
                by_people.look_at(&entry, &mut observations);
            }
            for observation in observations {
                out.push(observation).await?;
            }
        };
        match end {
            Err(cut @ Cut::Broken { .. }) => return Err(cut.into()),
            end => {
                self.tell_lacking(reading, kind, lacking).await?;
                end?;
            }
        }
        Ok(stamps.mark(self.overlap, None))
    }

    fn observe(
        &self,
        kind: EntryKind,
        entry: &Entry,
        id: Result<StableId, EntryProblem>,
    ) -> Vec<Observation> {
        match kind {
            EntryKind::Person => self.people.observe(entry, id),
            EntryKind::Group => self.groups.observe(entry, id),
        }
    }

    /// Leaves a server that is behind; see [`Source::leave_server`](super::Source::leave_server).
    pub(super) fn leave_server(&self) -> bool {
        let next = self.first.load(Ordering::Relaxed) + 1;
        let is_there = next < self.access.urls().len();
        self.first
            .store(if is_there { next } else { 0 }, Ordering::Relaxed);
        is_there
    }

    /// Goes back to trying all servers, at the beginning of a run.
    pub(super) fn begin_run(&self) {
        self.first.store(0, Ordering::Relaxed);
    }

    /// Connects to the first server that answers and is not behind, and looks which it is.
    async fn open(&self, seen: &Replica) -> Result<(Session, Server, Replica), SourceError> {
        let (mut tried, mut is_behind) = (Vec::new(), false);
        for (n, url) in self.access.urls().iter().enumerate() {
            if n < self.first.load(Ordering::Relaxed) {
                continue;
            }
            let Some(mut session) = self.access.open(url, &mut tried).await? else {
                continue;
            };
            let server = Server::discover(&mut session).await?;
            let replica = Replica::read(&mut session, &server, &self.people.base).await;
            let Some(reason) = replica.lacks(seen) else {
                self.first.store(n, Ordering::Relaxed);
                return Ok((session, server, replica));
            };
            tracing::warn!(directory = self.name, url, reason, "the server is behind");
            session.close().await;
            is_behind = true;
            tried.push(Attempt {
                url: url.clone(),
                reason,
            });
        }
        let directory = self.name.clone();
        Err(if is_behind {
            SourceError::Behind { directory, tried }
        } else {
            SourceError::Unreachable { directory, tried }
        })
    }

    async fn begin<'a>(
        &self,
        seen: Option<&Seen>,
        out: &'a Observations,
    ) -> Result<Reading<'a>, SourceError> {
        let seen = Replica::seen(seen);
        let (session, server, replica) = self.open(&seen).await?;
        Ok(Reading {
            ids: self.ids(&server),
            session,
            server,
            out: Outbox::new(out),
            entries: 0,
            by_people: None,
            replica,
            seen,
            newest_usn: 0,
            unreadable: None,
        })
    }

    /// Tells what was received before a read broke off, and that it proves nothing.
    async fn ended_early(
        &self,
        mut reading: Reading<'_>,
        kind: EntryKind,
        early: Early,
    ) -> Result<Read, SourceError> {
        let cut = match early {
            Early::Failed(error) => return Err(error),
            Early::Cut(cut) => cut,
        };
        reading.out.flush().await?;
        let url = &reading.session.url;
        if reading.entries == 0 || matches!(cut, Cut::NoBase { .. }) {
            return Err(Self::failed(url, kind, cut));
        }
        Ok(Read {
            proof: Proof::Unproven {
                reason: format!("reading each {kind} from {url} ended early: {cut}"),
            },
            checkpoint: None,
            seen: None,
            entries: reading.entries,
        })
    }

    fn failed(url: &str, kind: EntryKind, cut: Cut) -> SourceError {
        match cut {
            Cut::NoBase { base } => SourceError::NoBase {
                url: url.to_owned(),
                base,
                key: match kind {
                    EntryKind::Person => "people.base",
                    EntryKind::Group => "groups.base",
                },
            },
            cut => SourceError::Unreadable {
                place: url.to_owned(),
                reason: cut.to_string(),
            },
        }
    }

    fn ids(&self, server: &Server) -> Vec<IdAttribute> {
        match &self.stable_id {
            Some(id) => vec![id.clone()],
            None => server.ids(),
        }
    }

    fn base(&self, kind: EntryKind) -> &str {
        match kind {
            EntryKind::Person => &self.people.base,
            EntryKind::Group => &self.groups.base,
        }
    }

    fn filter(&self, kind: EntryKind) -> &str {
        match kind {
            EntryKind::Person => &self.people.filter,
            EntryKind::Group => &self.groups.filter,
        }
    }

    /// The attributes that decide whether an entry matches the filter.
    fn filter_attributes(&self, kind: EntryKind) -> Vec<String> {
        let filter = match kind {
            EntryKind::Person => &self.people.matching,
            EntryKind::Group => &self.groups.matching,
        };
        let mut names = Vec::new();
        if let Some(filter) = filter {
            filter.attributes(&mut names);
        }
        names
    }

    /// Whether an entry matches the filter, as far as that can be told here.
    fn matches(&self, kind: EntryKind, entry: &Entry) -> Option<bool> {
        let filter = match kind {
            EntryKind::Person => &self.people.matching,
            EntryKind::Group => &self.groups.matching,
        };
        filter.as_ref().map(|filter| filter.matches(entry))
    }

    /// The attributes that an entry should have and has not, where they decide about somebody's access.
    fn lacks(&self, kind: EntryKind, entry: &Entry) -> Vec<&str> {
        match kind {
            EntryKind::Person => self.people.lacks(entry),
            EntryKind::Group => self.groups.lacks(entry),
        }
    }

    /// The attributes of which a server may send a part only.
    fn ranged(&self, kind: EntryKind) -> &[String] {
        match kind {
            EntryKind::Person => &self.people.ranged,
            EntryKind::Group => &self.groups.ranged,
        }
    }

    fn attributes(&self, kind: EntryKind, server: &Server, ids: &[IdAttribute]) -> Vec<String> {
        let mut names = match kind {
            EntryKind::Person => self.people.attributes(),
            EntryKind::Group => self.groups.attributes(),
        };
        names.extend(
            ids.iter()
                .filter_map(IdAttribute::attribute)
                .map(str::to_owned),
        );
        names.push(server.stamp_attribute().to_owned());
        names.push(VERSION.to_owned());
        if server.kind == Kind::ActiveDirectory {
            names.push(USN.to_owned());
        }
        names
    }
}

/// The attribute with Active Directory's number of the last change of an entry.
const USN: &str = "usnchanged";

/// Notes the state of an entry by the server's own number, where it has no better mark.
fn note_version(replica: &Replica, entry: &Entry, observations: &mut [Observation]) {
    if let Some(Observation::Person(_, version) | Observation::Group(_, version)) =
        observations.first_mut()
        && let Some(own) = replica.version(usn(entry))
    {
        *version = Some(own);
    }
}

fn usn(entry: &Entry) -> u64 {
    let usn = entry.text(USN).ok().flatten();
    usn.and_then(|usn| usn.parse().ok()).unwrap_or(0)
}

/// What a checkpoint is made for: everything that decides which entries are read, and how.
fn fingerprint(config: &LdapDirectory) -> String {
    let parts = serde_json::to_vec(&(&config.people, &config.groups, &config.stable_id));
    HEXLOWER.encode(&Sha256::digest(parts.unwrap_or_default()))
}

//! What did not come, looked for by itself: entries that are missing, and attributes.

use std::collections::{BTreeMap, BTreeSet};

use super::probe::{Absence, Compared, absences, compare};
use super::replica::Replica;
use super::search::{Cut, Query, Search};
use super::server::Kind;
use super::{Early, KINDS, Ldap, Reading, note_version};
use crate::directory::{Dn, EntryKind, EntryProblem, Left, MemberName, Observation, StableId};
use crate::source::entry::Entry;
use crate::source::meaning::{ALWAYS_THERE, MEMBER_OF};
use crate::source::stable_id::IdAttribute;
use crate::source::{Listed, Membership, Observations, Proof, Read, Seen, SourceError};

/// Ids in one search.
const CHUNK: usize = 200;

/// Object classes of people: RFC 4519, RFC 2798, RFC 2307. An entry of one of them may be a person who is not
/// in the base, or does not match the filter.
const PERSON_CLASSES: [&str; 6] = [
    "person",
    "organizationalPerson",
    "inetOrgPerson",
    "user",
    "account",
    "posixAccount",
];

/// Object classes of groups (RFC 4519, RFC 2307, MS-ADSC).
const GROUP_CLASSES: [&str; 5] = [
    "groupOfNames",
    "groupOfUniqueNames",
    "posixGroup",
    "groupOfEntries",
    "group",
];

/// People of whom is asked whether they lack an attribute: rights rarely differ from one to another.
const MOST_PEOPLE_ASKED: usize = 50;

impl Ldap {
    /// Lists ids and names; see [`Source::list`](crate::source::Source::list).
    pub async fn list(&self, seen: Option<&Seen>) -> Result<Option<Vec<Listed>>, SourceError> {
        let (mut session, server, _) = self.open(&Replica::seen(seen)).await?;
        let ids = self.ids(&server);
        let attributes = ids.iter().filter_map(IdAttribute::attribute);
        let attributes: Vec<String> = attributes.map(str::to_owned).collect();
        let mut listed = Vec::new();
        for kind in KINDS {
            let query = Query::subtree(
                self.base(kind),
                self.filter(kind).to_owned(),
                attributes.clone(),
            );
            let query = query.paged(self.page_size).ignoring(&self.ignored);
            let mut search = Search::new(&mut session, query);
            loop {
                let entry = match search.next().await {
                    Ok(Some(entry)) => entry,
                    Ok(None) => break,
                    Err(cut) => {
                        tracing::info!(directory = self.name, %cut, "the ids could not be listed");
                        return Ok(None);
                    }
                };
                if let (Ok(id), Ok(name)) = (IdAttribute::of(&ids, &entry), Dn::parse(&entry.dn)) {
                    listed.push(Listed { kind, id, name });
                }
            }
            if !listed.iter().any(|listed| listed.kind == kind) {
                tracing::info!(
                    directory = self.name,
                    "no {kind} is listed: an account without the right to read gets the same answer, so nothing follows from it"
                );
                return Ok(None);
            }
        }
        session.close().await;
        Ok(Some(listed))
    }

    /// Looks entries up by name; see [`Source::look_up`](crate::source::Source::look_up).
    pub async fn look_up(
        &self,
        names: &[Dn],
        seen: Option<&Seen>,
        out: &Observations,
    ) -> Result<Read, SourceError> {
        let mut reading = self.begin(seen, out).await?;
        for name in names {
            let looked_up = self.look_up_one(&mut reading, name).await;
            if let Err(early) = looked_up {
                return self.ended_early(reading, EntryKind::Person, early).await;
            }
        }
        reading.out.flush().await?;
        let entries = reading.entries;
        reading.session.close().await;
        Ok(Read {
            proof: Proof::Entries,
            checkpoint: None,
            seen: None,
            entries,
        })
    }

    async fn look_up_one(&self, reading: &mut Reading<'_>, name: &Dn) -> Result<(), Early> {
        let mut found = false;
        let is_in_base =
            |kind: &EntryKind| Dn::parse(self.base(*kind)).is_ok_and(|base| name.is_under(&base));
        let kinds: Vec<EntryKind> = KINDS.into_iter().filter(is_in_base).collect();
        for &kind in &kinds {
            let filter = self.filter(kind).to_owned();
            match self.read_named(reading, kind, name, filter).await {
                Ok(read) => found |= read,
                // It is not there, or not for this account to see.
                Err(Early::Cut(Cut::NoBase { .. } | Cut::Refused { .. })) => return Ok(()),
                Err(early) => return Err(early),
            }
        }
        if found {
            return Ok(());
        }
        // Whether it is there at all. What the filters ask for may be hidden, so only an entry that shows it and
        // does not match, and that is of no class of people, is known to be none of ours.
        let mut attributes = vec!["objectClass".to_owned()];
        attributes.extend(kinds.iter().flat_map(|kind| self.filter_attributes(*kind)));
        let query = Query::entry(name.as_str(), attributes);
        let mut search = Search::new(&mut reading.session, query);
        let entry = match search.next().await {
            Ok(Some(entry)) => entry,
            Ok(None) | Err(Cut::NoBase { .. } | Cut::Refused { .. } | Cut::Referred { .. }) => {
                return Ok(());
            }
            Err(cut) => return Err(cut.into()),
        };
        while let Ok(Some(_)) = search.next().await {}
        let is_one_of = |known: &[&str]| {
            let classes = entry.values("objectclass");
            let is = |class: &[u8]| {
                let mut known = known.iter();
                known.any(|known| class.eq_ignore_ascii_case(known.as_bytes()))
            };
            classes.iter().any(|class| is(class))
        };
        // A group outside of the base may be one that was in it, and its people are still members.
        let is_group = self.groups.nested && is_one_of(&GROUP_CLASSES);
        if entry.values("objectclass").is_empty() || is_one_of(&PERSON_CLASSES) || is_group {
            return Ok(());
        }
        let mut is_other = true;
        for kind in kinds {
            is_other = is_other && self.left_the_filter(reading, kind, &entry).await;
        }
        if is_other {
            reading.out.push(Observation::Other(name.clone())).await?;
        }
        Ok(())
    }

    /// Reads one entry, where it matches.
    async fn read_named(
        &self,
        reading: &mut Reading<'_>,
        kind: EntryKind,
        name: &Dn,
        filter: String,
    ) -> Result<bool, Early> {
        let before = reading.entries;
        let mut query = Query::entry(
            name.as_str(),
            self.attributes(kind, &reading.server, &reading.ids),
        );
        query.filter = filter;
        self.read_query(reading, kind, query, None).await?;
        Ok(reading.entries > before)
    }

    /// Asks about values that do not come; see [`Source::hides`](crate::source::Source::hides).
    pub async fn hides(
        &self,
        questions: &[Membership],
        seen: Option<&Seen>,
    ) -> Result<Vec<bool>, SourceError> {
        if self.groups.by_people {
            return self.hides_groups(questions, seen).await;
        }
        let (mut asked, mut of) = (Vec::new(), Vec::new());
        for (n, question) in questions.iter().enumerate() {
            for (attribute, value) in self.groups.values_of(&question.role, &question.member) {
                asked.push((
                    question.group.as_str().to_owned(),
                    attribute.to_owned(),
                    value,
                ));
                of.push(n);
            }
        }
        let mut hidden = vec![false; questions.len()];
        if asked.is_empty() {
            return Ok(hidden);
        }
        let (mut session, _, _) = self.open(&Replica::seen(seen)).await?;
        let answers = compare(&mut session, &asked).await;
        session.close().await;
        for (n, answer) in of.into_iter().zip(answers) {
            hidden[n] |= answer.may_be();
        }
        Ok(hidden)
    }

    /// The same where people name their groups: asked are the person and the group. A person whose entry cannot be
    /// seen has left only if the group says so.
    async fn hides_groups(
        &self,
        questions: &[Membership],
        seen: Option<&Seen>,
    ) -> Result<Vec<bool>, SourceError> {
        let mut asked = Vec::new();
        for question in questions {
            let (MemberName::Dn(person), group) = (&question.member, &question.group) else {
                continue;
            };
            let (person, group) = (person.as_str().to_owned(), group.as_str().to_owned());
            asked.push((person.clone(), MEMBER_OF.to_owned(), group.clone()));
            asked.push((group, "member".to_owned(), person));
        }
        if asked.is_empty() {
            return Ok(vec![false; questions.len()]);
        }
        let (mut session, _, _) = self.open(&Replica::seen(seen)).await?;
        let answers = compare(&mut session, &asked).await;
        session.close().await;
        let mut pairs = answers.chunks_exact(2);
        let answers = questions.iter().map(|question| {
            let MemberName::Dn(_) = question.member else {
                return false;
            };
            let Some([by_person, by_group]) = pairs.next() else {
                return true;
            };
            let is_seen = *by_person != Compared::NoEntry;
            by_person.may_be()
                || *by_group == Compared::Yes
                || (!is_seen && *by_group != Compared::No)
        });
        Ok(answers.collect())
    }

    /// How these entries have left, which a search with the filter has not found: without the filter they
    /// may be there.
    pub(super) async fn how_they_left(
        &self,
        reading: &mut Reading<'_>,
        kind: EntryKind,
        missing: &BTreeSet<&StableId>,
    ) -> Result<Vec<(StableId, Left)>, Early> {
        let missing: Vec<&StableId> = missing.iter().copied().collect();
        let mut left: BTreeMap<StableId, Left> = missing
            .iter()
            .map(|id| ((*id).clone(), Left::Gone))
            .collect();
        let mut attributes = self.filter_attributes(kind);
        let names = reading.ids.iter().filter_map(IdAttribute::attribute);
        attributes.extend(names.map(str::to_owned));
        for chunk in missing.chunks(CHUNK) {
            let ids = chunk.iter().map(|id| IdAttribute::filter(&reading.ids, id));
            let filter = format!("(|{})", ids.collect::<String>());
            let query = Query::subtree(self.base(kind), filter, attributes.clone());
            let query = query.paged(self.page_size).ignoring(&self.ignored);
            let mut search = Search::new(&mut reading.session, query);
            let mut found = Vec::new();
            while let Some(entry) = search.next().await? {
                if let Ok(id) = IdAttribute::of(&reading.ids, &entry) {
                    found.push((id, entry));
                }
            }
            for (id, entry) in found {
                if self.left_the_filter(reading, kind, &entry).await {
                    left.insert(id, Left::Filter);
                }
            }
        }
        Ok(left.into_iter().collect())
    }

    /// Whether an entry that the server does not find with the filter does not match it, rather than that
    /// the account may not read what the filter asks for.
    async fn left_the_filter(
        &self,
        reading: &mut Reading<'_>,
        kind: EntryKind,
        entry: &Entry,
    ) -> bool {
        // A filter that only the server can evaluate tells nothing here.
        if self.matches(kind, entry) != Some(false) {
            return false;
        }
        let attributes = self.filter_attributes(kind);
        for attribute in attributes
            .iter()
            .filter(|name| entry.values(name).is_empty())
        {
            let asked = self.absences(reading, kind, attribute, &[&entry.dn]).await;
            let asked = asked.unwrap_or_else(|_| vec![Absence::Unreadable]);
            if asked.iter().any(|absence| *absence != Absence::Absent) {
                return false;
            }
        }
        true
    }

    /// Tells about entries that lack an attribute which they should have, once it is known whether they
    /// lack it or the account may not read it.
    pub(super) async fn tell_lacking(
        &self,
        reading: &mut Reading<'_>,
        kind: EntryKind,
        lacking: Vec<(Entry, Result<StableId, EntryProblem>)>,
    ) -> Result<(), Early> {
        let mut by_attribute: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (n, (entry, _)) in lacking.iter().enumerate() {
            for attribute in self.lacks(kind, entry) {
                by_attribute.entry(attribute).or_default().push(n);
            }
        }
        let mut unreadable: BTreeMap<usize, &str> = BTreeMap::new();
        for (attribute, mut entries) in by_attribute {
            let names_groups =
                kind == EntryKind::Person && !self.people.is_of_the_account(attribute);
            if names_groups {
                entries.truncate(MOST_PEOPLE_ASKED);
            }
            let names: Vec<&str> = entries.iter().map(|n| lacking[*n].0.dn.as_str()).collect();
            let asked = self.absences(reading, kind, attribute, &names).await?;
            let (mut hidden, of) = (0, asked.len());
            for (n, absence) in entries.into_iter().zip(asked) {
                hidden += usize::from(absence == Absence::Unreadable);
                // A state that cannot be read says more than groups that cannot.
                let is_first = !names_groups || !unreadable.contains_key(&n);
                if self.is_unreadable(kind, absence) && is_first {
                    unreadable.insert(n, attribute);
                }
            }
            // One person may be hidden from the account. Where it is most of those without the attribute, the
            // account has no right to it.
            let is_of_many = hidden > 1 && hidden * 2 > of;
            if kind == EntryKind::Person && hidden > 0 && (names_groups || is_of_many) {
                reading
                    .unreadable
                    .get_or_insert_with(|| attribute.to_owned());
            }
        }
        for (n, (entry, id)) in lacking.into_iter().enumerate() {
            let mut observations = self.observe(kind, &entry, id);
            note_version(&reading.replica, &entry, &mut observations);
            if let Some(attribute) = unreadable.remove(&n) {
                let keeps_state =
                    kind == EntryKind::Person && self.people.is_of_the_account(attribute);
                note_unreadable(&entry, attribute.to_owned(), keeps_state, &mut observations);
            }
            if let Some(by_people) = &mut reading.by_people {
                by_people.look_at(&entry, &mut observations);
            }
            for observation in observations {
                reading.out.push(observation).await?;
            }
        }
        Ok(())
    }

    /// Asks of each of these entries whether it has the attribute. Active Directory does not tell by a
    /// comparison (Samba says `compareFalse` of an attribute that is absent); there people still name the
    /// groups whose members the account may not read.
    async fn absences(
        &self,
        reading: &mut Reading<'_>,
        kind: EntryKind,
        attribute: &str,
        entries: &[&str],
    ) -> Result<Vec<Absence>, Early> {
        if reading.server.kind != Kind::ActiveDirectory {
            return Ok(absences(&mut reading.session, attribute, entries).await);
        }
        if kind == EntryKind::Person {
            let base = self.people.base.clone();
            let is_shown = !ALWAYS_THERE.contains(&attribute)
                && self
                    .has_any(reading, base, &format!("({attribute}=*)"))
                    .await?
                    == Some(true);
            // In whose account it decides keeps the state that was known; a group that nobody names is empty.
            let absence = match (is_shown, self.people.is_of_the_account(attribute)) {
                (false, _) => Absence::Unreadable,
                (true, true) => Absence::NotAnswered,
                (true, false) => Absence::Absent,
            };
            return Ok(vec![absence; entries.len()]);
        }
        // Without any sign that the account may read `memberOf`, the answer would mean nothing.
        let may_ask = attribute == "member"
            && self
                .has_any(reading, self.people.base.clone(), "(memberOf=*)")
                .await?
                == Some(true);
        let root = reading.server.default_naming_context.clone();
        let mut found = Vec::with_capacity(entries.len());
        for dn in entries {
            let filter = format!("(memberOf={})", ldap3::ldap_escape(*dn));
            found.push(match &root {
                Some(root) if may_ask => {
                    match self.has_any(reading, root.clone(), &filter).await? {
                        Some(true) => Absence::Unreadable,
                        Some(false) => Absence::Absent,
                        None => Absence::NotAnswered,
                    }
                }
                // Nobody tells. A group of this class may be without the attribute.
                _ if attribute != "member" => Absence::Absent,
                _ => Absence::NotAnswered,
            });
        }
        Ok(found)
    }

    /// Whether any entry matches; `None` where the server does not tell.
    async fn has_any(
        &self,
        reading: &mut Reading<'_>,
        base: String,
        filter: &str,
    ) -> Result<Option<bool>, Early> {
        let mut query = Query::subtree(&base, filter.to_owned(), vec!["1.1".to_owned()]);
        query.size_limit = 1;
        let mut search = Search::new(&mut reading.session, query.ignoring(&self.ignored));
        let mut found = false;
        loop {
            match search.next().await {
                Ok(Some(_)) => found = true,
                Ok(None) => return Ok(Some(found)),
                Err(cut @ Cut::Broken { .. }) => return Err(cut.into()),
                Err(_) => return Ok(found.then_some(true)),
            }
        }
    }

    /// Whether an attribute that did not come counts as unreadable. Where the server does not answer, a
    /// group without members is only believed where the configuration says that there may be one.
    fn is_unreadable(&self, kind: EntryKind, absence: Absence) -> bool {
        match absence {
            Absence::Absent => false,
            Absence::Unreadable => true,
            // Of a person only Active Directory does not answer: the state that was known stays.
            Absence::NotAnswered => kind == EntryKind::Person || !self.groups.may_be_empty,
        }
    }
}

/// Notes that an attribute of an entry cannot be read. A person whose account state is not known keeps the
/// state that was last known.
fn note_unreadable(
    entry: &Entry,
    attribute: String,
    keeps_state: bool,
    observations: &mut Vec<Observation>,
) {
    let Some(first) = observations.first_mut() else {
        return;
    };
    let (kind, id) = match first {
        Observation::Group(group, _) => {
            let reason = crate::directory::Reason::AttributeUnreadable;
            group.evidence = crate::directory::Evidence::unknown(reason);
            (EntryKind::Group, group.id.clone())
        }
        Observation::Person(person, _) => (EntryKind::Person, person.id.clone()),
        _ => return,
    };
    let unusable = crate::directory::Unusable {
        kind,
        id: Some(id),
        dn: entry.dn.clone(),
        problem: EntryProblem::Hidden { attribute },
        group_ids: Vec::new(),
    };
    if keeps_state {
        *observations = vec![Observation::Unusable(unusable)];
    } else {
        observations.push(Observation::Flawed(unusable));
    }
}

//! What must hold after each run, judged by what was asked of the sandbox and what is in it.

use std::collections::{BTreeMap, BTreeSet};

use rollbook::category::PermissionLevel;
use rollbook::plan::membership::Objection;
use rollbook::plan::{Action, Decision};
use rollbook::reconcile::{Report, Task};
use rollbook::store::files::Waiting;
use rollbook::store::history::Chain;

use super::directory::{Rank, Wanted};
use super::site::{Channel, PROTECTED, Row, Snapshot};
use super::step::{Export, Kind};
use super::world::{Past, Seen, World};

const MANUAL: i64 = 0;
const ACTIVE: i64 = 1;
const PENDING: i64 = 2;
const NOT_ACTIVE: i64 = 3;

/// Channel and folded user ID.
pub(super) type Pair = (i64, String);

fn rank(level: i64) -> Rank {
    4 - level
}

/// What somebody may do by all their rows together.
fn access(rows: &[Row]) -> Rank {
    let active = rows.iter().filter(|row| row.2 == ACTIVE);
    active.map(|row| rank(row.0)).max().unwrap_or(0)
}

fn rows<'a>(snapshot: &'a Snapshot, pair: &Pair) -> &'a [Row] {
    let channel = snapshot.get(&pair.0);
    channel
        .and_then(|users| users.get(&pair.1))
        .map_or(&[], Vec::as_slice)
}

/// The memberships that a run changed.
fn changed(before: &Snapshot, after: &Snapshot) -> BTreeSet<Pair> {
    let pairs = |snapshot: &Snapshot| -> BTreeSet<Pair> {
        let of = |(id, users): (&i64, &BTreeMap<String, Vec<Row>>)| {
            users
                .keys()
                .map(|user| (*id, user.clone()))
                .collect::<Vec<_>>()
        };
        snapshot.iter().flat_map(of).collect()
    };
    let mut all = pairs(before);
    all.extend(pairs(after));
    all.retain(|pair| rows(before, pair) != rows(after, pair));
    all
}

impl Seen {
    fn report(&self) -> Option<&Report> {
        self.result.as_ref().ok()
    }

    fn is_sync(&self) -> bool {
        self.request.task == Task::Sync
    }

    /// Whether the directory says what is to be done.
    fn is_by_directory(&self) -> bool {
        !matches!(self.request.task, Task::Undo { .. })
    }

    fn is_whole(&self) -> bool {
        matches!(self.export, Export::Whole | Export::Torn(_))
    }

    fn changed(&self) -> BTreeSet<Pair> {
        changed(&self.before, &self.after)
    }

    fn losses(&self) -> BTreeSet<Pair> {
        let mut lost = self.changed();
        lost.retain(|pair| access(rows(&self.after, pair)) < access(rows(&self.before, pair)));
        lost
    }

    fn nothing_dry_is_done(&self) {
        if self.request.dry_run {
            assert_eq!(self.writes, [], "a dry run writes");
            assert_eq!(self.before, self.after, "a dry run changes something");
        }
    }

    /// Whether a wanted membership was to be removed and added, and the second half failed.
    fn is_made_anew(&self, pair: &Pair) -> bool {
        let anew = |decision| match decision {
            Decision::Merge { .. } | Decision::Replace { .. } => true,
            Decision::Activate { from, .. } => from == PermissionLevel::None,
            _ => false,
        };
        let is_said = self
            .lines
            .iter()
            .any(|line| (line.category.0, line.user.key()) == *pair && anew(line.decision));
        self.faulty
            && (is_said || self.result.is_err())
            && (rows(&self.before, pair).len() > 1
                || rows(&self.before, pair).iter().any(|row| row.0 == 4))
    }

    fn has_line(&self, category: i64, action: &Action) -> bool {
        self.lines.iter().any(|line| {
            line.category.0 == category
                && line.user == action.user
                && line.decision == action.decision
        })
    }

    /// Promise 1.
    fn half_an_answer_takes_nothing(&self) {
        if self.is_by_directory() && !self.is_whole() {
            // What is made anew in two calls may be cut off between them; it is made by the next run.
            let mut lost = self.losses();
            lost.retain(|pair| !self.is_made_anew(pair));
            assert_eq!(lost, BTreeSet::new(), "taken away on {:?}", self.export);
        }
    }

    /// Whether it is not known yet how it ended.
    fn is_unsure(&self, pair: &Pair) -> bool {
        self.result.is_err() || self.open.contains(pair)
    }

    /// Whether somebody is left alone because they may have been renamed in Kaltura.
    fn says_renamed(&self, pair: &Pair) -> bool {
        let parts = self.report().map(|report| &report.plan.categories);
        let mut parts = parts.into_iter().flatten();
        parts.any(|part| {
            part.category.id.0 == pair.0
                && part.actions.iter().any(|action| {
                    action.user.key() == pair.1
                        && action.decision == Decision::Skip(Objection::PerhapsRenamed)
                })
        })
    }

    /// What lies in a folder is nobody's but whose who uploads it.
    fn what_waits_is_left_alone(&self) {
        for pair in self.waited.intersection(&self.open) {
            let (before, after) = (rows(&self.before, pair), rows(&self.after, pair));
            assert_eq!(before, after, "{pair:?} waits in a file: {:#?}", self.lines);
        }
    }

    fn approved_by(&self, pair: &Pair) -> bool {
        self.lines
            .iter()
            .any(|line| line.approved_by.is_some() && (line.category.0, line.user.key()) == *pair)
    }
}

impl World {
    /// Looks at a run by each of the promises.
    pub(super) async fn judge(&mut self, seen: &Seen) {
        let read = match &seen.result {
            Ok(_) => true,
            Err(_) if seen.happened.was_killed => seen.has_read,
            Err(error) => !matches!(error, rollbook::reconcile::RunError::Source(_)),
        };
        if seen.is_by_directory() && read {
            if seen.is_whole() {
                self.known.whole(&self.directory);
                self.known.doubtful |= matches!(seen.export, Export::Torn(_));
            } else {
                self.known.half(&self.directory);
            }
        }
        if let Some(report) = seen.report()
            && seen.is_by_directory()
        {
            assert_eq!(report.is_proven(), seen.is_whole(), "what a read proves");
        }
        self.settle_undone(seen);
        seen.nothing_dry_is_done();
        seen.half_an_answer_takes_nothing();
        self.nobody_is_taken_who_is_wanted(seen);
        self.what_is_kept_by_hand_stays(seen);
        self.limits_are_kept(seen);
        self.what_was_undone_is_asked_for(seen);
        seen.what_waits_is_left_alone();
        self.the_books_agree(seen);
        Self::each_write_has_its_line(seen);
        self.accept(seen);
        if let Some(report) = seen.report()
            && !seen.request.dry_run
        {
            self.past.push(Past {
                run: report.run,
                before: seen.before.clone(),
                after: seen.after.clone(),
            });
        }
        if self.is_clean(seen) {
            self.totals.clean += 1;
            self.kaltura_is_as_wanted(seen);
            self.the_second_run_does_nothing().await;
        }
    }

    fn channel(&self, id: i64) -> &Channel {
        &self.site.channels[&id]
    }

    fn wanted(&self, id: i64) -> Wanted {
        self.known.directory.wanted(self.channel(id).reference)
    }

    /// Promises 1, 2 and 4: what a run takes, the directory must not want.
    fn nobody_is_taken_who_is_wanted(&self, seen: &Seen) {
        if !seen.is_by_directory() || !seen.is_whole() {
            return;
        }
        for pair in seen.losses() {
            let channel = self.channel(pair.0);
            let why = || {
                format!(
                    "{pair:?} in {channel:?}: {:?} became {:?}; {:#?}",
                    rows(&seen.before, &pair),
                    rows(&seen.after, &pair),
                    seen.lines
                )
            };
            let reference = channel.reference;
            // A channel that the index does not show yet nobody can know of.
            let is_one = self.lagging || self.site.of(reference).len() == 1;
            assert!(is_one, "ambiguous: {}", why());
            assert!(!channel.inherits, "inherits: {}", why());
            if !self.site.policy.remove_vanished {
                assert!(!self.known.must_keep(reference), "not known: {}", why());
            }
            if self.known.fuzzy || seen.is_made_anew(&pair) {
                continue;
            }
            let wanted = self.wanted(pair.0);
            let level = wanted.people.get(&pair.1).copied().unwrap_or(0);
            assert!(
                access(rows(&seen.after, &pair)) >= level,
                "wanted: {}",
                why()
            );
            assert!(
                !self.known.is_still_listed(reference, &pair.1),
                "still listed: {}",
                why()
            );
            assert!(
                !self.known.directory.shared().contains(&pair.1),
                "shared: {}",
                why()
            );
        }
    }

    /// Promise 3.
    fn what_is_kept_by_hand_stays(&self, seen: &Seen) {
        for (id, users) in &seen.before {
            let owner = self.channel(*id).owner.clone();
            for (user, before) in users {
                let after = rows(&seen.after, &(*id, user.clone()));
                let why = || {
                    format!(
                        "{user} in {id}: {before:?} became {after:?}; {:#?}",
                        seen.lines
                    )
                };
                if user == PROTECTED || (owner.as_ref() == Some(user) && !self.lagging) {
                    assert_eq!(after, before, "protected: {}", why());
                }
                if self.site.policy.override_manual || !seen.is_by_directory() {
                    continue;
                }
                if seen.too_late.as_ref() == Some(&(*id, user.clone())) {
                    continue;
                }
                for row in before
                    .iter()
                    .filter(|row| row.1 == MANUAL && row.2 != PENDING)
                {
                    assert!(after.contains(row), "manual: {}", why());
                }
                for row in before
                    .iter()
                    .filter(|row| row.1 == MANUAL && row.2 == PENDING)
                {
                    // Who is let in because of a group leaves with it.
                    let granted = |after: &Row| after.1 != MANUAL && after.2 != NOT_ACTIVE;
                    let kept = after.contains(row)
                        || after.iter().any(granted)
                        || before.len() > 1
                        || seen.is_made_anew(&(*id, user.clone()));
                    assert!(kept, "a request: {}", why());
                }
            }
        }
    }

    /// Promise 4.
    fn limits_are_kept(&mut self, seen: &Seen) {
        for pair in seen.changed() {
            let given = self.approved.contains(&pair.0);
            assert!(
                given || !seen.approved_by(&pair),
                "nobody approved {pair:?}"
            );
        }
        let is_new = self.accepted.as_ref() != Some(&self.site.policy.decisive());
        if seen.is_by_directory() && self.site.policy.hold_first && is_new {
            for pair in seen.changed() {
                let given = self.approved.contains(&pair.0);
                assert!(given, "a first plan is applied unasked: {pair:?}");
            }
        }
        let unasked: BTreeSet<Pair> = seen
            .losses()
            .into_iter()
            .filter(|pair| {
                let maybe = seen.is_unsure(pair) && self.approved.contains(&pair.0);
                !(seen.approved_by(pair) || maybe)
            })
            .collect();
        if self.lagging {
            return;
        }
        let active = |id: i64| {
            let rows = seen.before[&id].values().flatten();
            rows.filter(|row| row.2 == ACTIVE).count() as u64
        };
        let beyond = |(percent, few): (u64, u64), lost: u64, of: u64| {
            lost > 0 && lost >= few && lost * 100 > percent * of
        };
        let (one, all) = self.site.policy.limits();
        let mut by_channel: BTreeMap<i64, u64> = BTreeMap::new();
        for pair in &unasked {
            *by_channel.entry(pair.0).or_default() += 1;
        }
        for (id, lost) in by_channel {
            assert!(
                !beyond(one, lost, active(id)),
                "channel {id} loses {lost} of {}: {unasked:?}",
                active(id)
            );
        }
        let total = self.site.channels.keys().map(|id| active(*id)).sum();
        let lost = unasked.len() as u64;
        assert!(
            !beyond(all, lost, total),
            "{lost} of {total} are lost: {unasked:?}"
        );
    }

    /// A configuration counts as accepted once its first plan is made and answered.
    fn accept(&mut self, seen: &Seen) {
        let request = &seen.request;
        let is_plain = seen.is_sync() && request.users.is_empty() && request.groups.is_empty();
        let Some(report) = seen.report() else { return };
        let held = self.site.store().held(rollbook::clock::now()).unwrap();
        if is_plain
            && !report.dry_run
            && report.is_proven()
            && report.unread == 0
            && !held
                .iter()
                .any(|held| held.command == "sync" && held.open + held.approved > 0)
        {
            self.accepted = Some(self.site.policy.decisive());
        }
    }

    fn what_was_undone_is_asked_for(&self, seen: &Seen) {
        if !seen.is_by_directory() {
            return;
        }
        for pair in seen.changed() {
            let asked = seen.approved_by(&pair)
                || (seen.is_unsure(&pair) && self.approved.contains(&pair.0));
            assert!(
                asked || !self.undone.contains(&pair),
                "done again unasked: {pair:?} {:#?}",
                seen.lines
            );
        }
    }

    /// A membership on which directory and Kaltura agree, or that nothing may touch, needs no asking.
    /// What is forgotten here too early is asked for less strictly, never more.
    fn settle_undone(&mut self, seen: &Seen) {
        // Said no, and then yes, and that was done.
        let is_released = |pair: &Pair| {
            seen.approved_by(pair) || seen.open.contains(pair) && self.approved.contains(&pair.0)
        };
        self.undone.retain(|pair| !is_released(pair));
        if !seen.is_by_directory() || !seen.is_whole() {
            return;
        }
        let known = &self.known;
        let (site, lagging) = (&self.site, self.lagging);
        let shared = known.directory.shared();
        self.undone.retain(|pair| {
            let Some(channel) = site.channels.get(&pair.0) else {
                return false;
            };
            let wanted = known.directory.wanted(channel.reference);
            let level = wanted.people.get(&pair.1).copied();
            let there = rows(&seen.before, pair);
            let is_plain =
                there.iter().all(|row| row.1 != MANUAL && row.2 == ACTIVE) && there.len() < 2;
            let agree = level.unwrap_or(0) == access(there) && level.is_some() != there.is_empty();
            is_plain
                && !agree
                && !lagging
                && known.is_clear(channel.reference)
                && site.of(channel.reference).len() == 1
                && !channel.inherits
                && !shared.contains(&pair.1)
                && wanted.fed
                && channel.owner.as_ref() != Some(&pair.1)
        });
    }

    /// Promises 7 and 9: journal, history and ledger.
    fn the_books_agree(&self, seen: &Seen) {
        let Some(report) = seen.report() else { return };
        let state = self.site.state();
        let (open, ours): (i64, i64) = state
            .query_row(
                "SELECT count(*), count(*) FILTER (WHERE run = ?2) FROM journal WHERE file IS NULL
                 OR NOT ?1 AND file NOT IN (SELECT id FROM file WHERE state IN ('handed', 'left'))",
                // A dry run does not settle the files of a run that was killed.
                rusqlite::params![report.dry_run, report.run],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        // What could not be looked at after a lost answer stays open for the next run.
        let unknown = i64::try_from(report.applied.passing).unwrap();
        assert!(
            open == 0 || (seen.faulty && ours <= unknown),
            "{open} rows of the journal are open"
        );
        let chain = self.site.store().verify_history(None).unwrap();
        assert!(matches!(chain, Chain::Whole { .. }), "{chain:?}");
        if report.held.is_none()
            && !report.dry_run
            && seen.is_whole()
            && seen.is_by_directory()
            && self
                .site
                .store()
                .rejections("sync", &self.site.engine.config.fingerprint())
                .unwrap()
                .is_empty()
        {
            for (part, action) in report.plan.changes() {
                let pair = (part.category.id.0, action.user.key());
                assert!(
                    seen.has_line(part.category.id.0, action) || seen.open.contains(&pair),
                    "left out: {action:?}"
                );
            }
        }
        if self.lagging || report.dry_run {
            return;
        }
        let mut statement = state
            .prepare("SELECT category_id, user_key, state, level FROM ledger WHERE run = ?1")
            .unwrap();
        let mut found = statement.query([seen.run]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let pair: Pair = (row.get(0).unwrap(), row.get(1).unwrap());
            let edit = seen.happened.edit.as_ref();
            if edit.is_some_and(|edit| edit.pair == pair) {
                continue;
            }
            let (word, level): (String, String) = (row.get(2).unwrap(), row.get(3).unwrap());
            let levels = ["none", "member", "contributor", "moderator", "manager"];
            let there = rows(&seen.after, &pair);
            let fits = match word.as_str() {
                "active" => there.iter().any(|row| {
                    row.2 == ACTIVE && levels[usize::try_from(rank(row.0)).unwrap()] == level
                }),
                "deactivated" => there.iter().all(|row| row.2 != ACTIVE),
                _ => there.is_empty(),
            };
            assert!(
                fits,
                "the ledger says {word} {level} of {pair:?}: {there:?} {:#?}",
                seen.lines
            );
        }
    }

    fn each_write_has_its_line(seen: &Seen) {
        let mut told: BTreeSet<Pair> = seen
            .lines
            .iter()
            .filter(|line| line.decision.is_change())
            .map(|line| (line.category.0, line.user.key()))
            .collect();
        told.extend(seen.open.iter().cloned());
        for write in &seen.writes {
            let pair = (write.category_id, write.user_id.to_lowercase());
            assert!(told.contains(&pair), "no line for {write:?}");
        }
        for line in &seen.lines {
            let needs = matches!(
                line.decision,
                Decision::Add { .. } | Decision::SetLevel { .. }
            );
            assert!(!needs || line.why.is_some(), "without a reason: {line:?}");
        }
    }

    /// Whether all went well, so that Kaltura must be as the directory wants it.
    fn is_clean(&self, seen: &Seen) -> bool {
        let Some(report) = seen.report() else {
            return false;
        };
        seen.is_sync()
            && seen.request.full
            && !report.dry_run
            && seen.export == Export::Whole
            && !self.lagging
            && !self.known.doubtful
            && seen.happened.edit.is_none()
            // What became of a file nobody knows yet.
            && report.in_files.iter().all(|waiting| waiting.folder.is_some())
            && self.site.has_root()
            && report.held.is_none()
            && report.applied.failed() + report.unread == 0
            && (seen.settled.as_ref()).is_none_or(|settled| settled.applied.failed() == 0)
            && !self
                .site
                .store()
                .held(rollbook::clock::now())
                .unwrap()
                .iter()
                .any(|held| held.command == "sync")
    }

    /// Promise 6, first half.
    fn kaltura_is_as_wanted(&self, seen: &Seen) {
        let shared = self.known.directory.shared();
        for (id, channel) in &self.site.channels {
            let wanted = self.wanted(*id);
            let is_ours = self.site.of(channel.reference).len() == 1 && !channel.inherits;
            if !is_ours || !wanted.fed {
                let vanished = self.site.policy.remove_vanished;
                assert!(
                    seen.before[id] == seen.after[id] || (is_ours && vanished),
                    "{channel:?} is none of ours"
                );
                continue;
            }
            if !self.known.is_clear(channel.reference) {
                continue;
            }
            let mut users: BTreeSet<&String> = wanted.people.keys().collect();
            users.extend(seen.before[id].keys());
            users.extend(seen.after[id].keys());
            for user in users {
                let pair = (*id, user.clone());
                let (before, after) = (rows(&seen.before, &pair), rows(&seen.after, &pair));
                let level = wanted.people.get(user).copied();
                let is_untouchable = user == PROTECTED
                    || channel.owner.as_ref() == Some(user)
                    || shared.contains(user)
                    || seen.waited.contains(&pair);
                // Nobody knows that they have left, or that nothing grants them more.
                let has_more = access(before) > level.unwrap_or(0) || level.is_none();
                let is_kept = has_more && self.known.may_be_listed(channel.reference, user);
                if is_kept && before == after {
                    continue;
                }
                if seen.open.contains(&pair) {
                    continue;
                }
                if self.has_renamed && before == after && seen.says_renamed(&pair) {
                    continue;
                }
                let right = if is_untouchable {
                    before == after
                } else {
                    self.is_as_wanted(&pair, level, before, after)
                };
                assert!(
                    right,
                    "{pair:?} in {channel:?} is wanted at {level:?}: {before:?} became {after:?}; {:#?}",
                    seen.lines
                );
            }
        }
    }

    fn is_as_wanted(
        &self,
        pair: &Pair,
        level: Option<Rank>,
        before: &[Row],
        after: &[Row],
    ) -> bool {
        let policy = &self.site.policy;
        let by_hand = before.iter().any(|row| row.1 == MANUAL && row.2 != PENDING);
        if by_hand && !policy.override_manual {
            return before == after;
        }
        let unchanged = before == after;
        let request =
            before.iter().any(|row| row.1 == MANUAL && row.2 == PENDING) && !policy.override_manual;
        match level {
            Some(level) => {
                let is_so = after.len() == 1 && after[0].2 == ACTIVE && rank(after[0].0) == level;
                let kept =
                    before.iter().any(|row| row.2 == NOT_ACTIVE) && self.deactivated.contains(pair);
                let asked = request && after.len() == 1 && after[0].2 == ACTIVE;
                let removed = policy.skip_removed && before.is_empty();
                is_so || (unchanged && (kept || removed)) || asked
            }
            None if request || policy.by_ledger && unchanged => true,
            None if policy.deactivate => after.iter().all(|row| row.2 == NOT_ACTIVE),
            None => after.is_empty(),
        }
    }

    /// Promise 6, second half.
    async fn the_second_run_does_nothing(&mut self) {
        for kind in [Kind::Full, Kind::Incremental] {
            let request = self.request(kind);
            let store = self.site.store();
            let before = (store.marks().unwrap(), store.waiting().unwrap());
            let again = self.watch(request).await;
            assert_eq!(
                again.writes,
                [],
                "{kind:?} writes again: {:#?}",
                again.lines
            );
            let report = again.result.unwrap();
            assert!(report.held.is_none(), "{:?}", report.trips);
            let (marks, waiting) = (before.0, before.1);
            let nobody_knows = |waiting: &Waiting| waiting.folder.is_none();
            let has_cause =
                report.in_files.iter().any(nobody_knows) || self.waits_where_nothing_may_be_done();
            if kind == Kind::Incremental && !has_cause {
                assert_eq!(
                    again.requests, 0,
                    "an incremental run asks without a cause: {marks:?}, {waiting:?}"
                );
            }
        }
    }

    /// Whether something is to be tried again in a channel that is blocked: each run looks whether it
    /// still is.
    fn waits_where_nothing_may_be_done(&self) -> bool {
        let waiting = self.site.store().waiting().unwrap();
        waiting.iter().any(|item| {
            let channel = self.site.channels.get(&item.category.0);
            channel.is_none_or(|channel| {
                channel.inherits
                    || self.site.of(channel.reference).len() > 1
                    || !self.known.is_clear(channel.reference)
                    || !self.known.directory.wanted(channel.reference).fed
            })
        })
    }

    /// Promise 10.
    pub(super) fn judge_undo(&mut self, past: &Past, seen: &Seen) {
        let Some(report) = seen.report() else { return };
        let touched = changed(&past.before, &past.after);
        for pair in seen.changed() {
            assert!(
                touched.contains(&pair),
                "the undone run did nothing to {pair:?}: {:#?}",
                seen.lines
            );
            self.undone.insert(pair);
        }
        let rejected = |command: &str| {
            let fingerprint = self.site.engine.config.fingerprint();
            let store = self.site.store();
            !store.rejections(command, &fingerprint).unwrap().is_empty()
        };
        if report.held.is_some()
            || report.applied.failed() + report.unread > 0
            || rejected("sync")
            || rejected(&seen.request.command)
        {
            return;
        }
        for pair in touched {
            let Some(channel) = self.site.channels.get(&pair.0) else {
                continue;
            };
            if channel.inherits || channel.owner.as_ref() == Some(&pair.1) || pair.1 == PROTECTED {
                continue;
            }
            // What became of it is not known yet, or it waits.
            if seen.open.contains(&pair) {
                continue;
            }
            let (was, left) = (rows(&past.before, &pair), rows(&past.after, &pair));
            let (now, after) = (rows(&seen.before, &pair), rows(&seen.after, &pair));
            let is_refused = |decision| {
                matches!(
                    decision,
                    Decision::Skip(Objection::NoWayBack | Objection::OutsideRoot)
                )
            };
            let no_way_back = seen.lines.iter().any(|line| {
                (line.category.0, line.user.key()) == pair && is_refused(line.decision)
            });
            let single = was.len() < 2 && left.len() < 2;
            let request = was.iter().any(|row| row.2 == PENDING);
            let is_told = report.plan.categories.iter().any(|part| {
                part.category.id.0 == pair.0
                    && part
                        .actions
                        .iter()
                        .any(|action| action.user.key() == pair.1)
            });
            if now != left {
                assert_eq!(now, after, "changed since, and touched: {pair:?}");
            } else if single && !request && !no_way_back {
                assert_eq!(
                    after, was,
                    "{pair:?} is not back (in the plan: {is_told}); {:#?}",
                    seen.lines
                );
            }
        }
    }
}

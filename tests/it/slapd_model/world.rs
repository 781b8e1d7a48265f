//! A site to which things happen, and what must hold after each run.

use std::collections::BTreeSet;
use std::time::Duration;

use rollbook::reconcile::report::ReadReport;
use rollbook::reconcile::{Report, Request, RunError, Verdict, reconcile};

use super::Totals;
use super::campus;
use super::change::Change;
use super::directory::{self, Directory};
use super::site::{CHANNELS, Site, Snapshot, Variant};
use super::step::{Export, Other, Run, Server, Step};

pub(super) struct World {
    directory: Directory,
    site: Site,
    /// The channels of groups that a run may have seen with this state file, by group ID.
    ever: BTreeSet<String>,
    /// Whether rights have changed, or the name of a unit, since the last complete full read. Additions that
    /// only a list of all names shows are not made: see
    /// `found::somebody_joins_and_the_unit_is_renamed_and_entries_are_listed`.
    unannounced: bool,
    pub(super) totals: Totals,
}

/// A run, and what came of it.
struct Seen {
    run: Run,
    result: Result<Report, RunError>,
    before: Snapshot,
    after: Snapshot,
    writes: usize,
}

impl Seen {
    /// What was read of a directory; `None` where the run ended before.
    fn read(&self, directory: &str) -> Option<&ReadReport> {
        let reads = &self.result.as_ref().ok()?.reads;
        reads.iter().find(|read| read.directory == directory)
    }

    fn is_complete(&self, directory: &str) -> bool {
        let read = self.read(directory);
        read.is_some_and(|read| read.unproven.is_none())
    }

    /// Whether the test had the directory unreadable.
    fn is_broken(&self, directory: &str) -> bool {
        match directory {
            "campus" => self.run.campus == Server::Down,
            "lab" => !self.run.lab,
            _ => self.run.export != Export::Whole,
        }
    }

    /// Who has less access in a channel than before.
    fn losses(&self, channel: &str) -> BTreeSet<&String> {
        let after = &self.after[channel];
        let lost = self.before[channel].iter();
        let lost = lost.filter(|(user, rank)| after.get(*user).is_none_or(|now| now < *rank));
        lost.map(|(user, _)| user).collect()
    }

    fn members(&self, channel: &str) -> BTreeSet<String> {
        self.after[channel].keys().cloned().collect()
    }

    /// The run as the message of a failure.
    fn why(&self, promise: &str, channel: &str) -> String {
        let said = match &self.result {
            Ok(report) => format!("{:#?}\n{:#?}", report.plan, report.reads),
            Err(error) => error.to_string(),
        };
        format!(
            "{promise}, {channel}, {:?}: {:?} became {:?}; {said}",
            self.run, self.before[channel], self.after[channel]
        )
    }
}

impl World {
    pub(super) async fn start(refint: bool, seed: u32) -> Self {
        let directory = Directory::new(refint);
        let site = Site::start(&directory, Variant::new(refint, seed), seed).await;
        let mut world = Self {
            directory,
            site,
            ever: BTreeSet::new(),
            unannounced: false,
            totals: Totals::default(),
        };
        world.run(Run::FULL).await;
        world
    }

    pub(super) async fn step(&mut self, step: &Step) {
        self.totals.steps += 1;
        match *step {
            Step::Run(run) => self.run(run).await,
            Step::NewState => {
                self.site.new_state();
                self.ever.clear();
                self.directory.forget();
            }
            Step::Restart => {
                campus::settle(&self.site.campus, &self.directory);
                self.site.campus.stop();
                self.site.campus.resume();
            }
            Step::Other(Other::Export, p, g, joins) => {
                self.site.export.change(g, p, joins);
            }
            Step::Other(Other::Lab, p, g, joins) => self.site.change_lab(g, p, joins),
            _ => {
                campus::settle(&self.site.campus, &self.directory);
                let before = self.site.campus.database().to_owned();
                let mut change = Change {
                    directory: &mut self.directory,
                    slapd: &mut self.site.campus,
                };
                change.make(step);
                self.unannounced |= self.site.campus.database() != before;
                self.unannounced |= matches!(step, Step::RenameUnit(_));
            }
        }
    }

    /// Everything can be seen, and the directories agree with the channels.
    pub(super) async fn come_to_rest(&mut self) {
        self.step(&Step::Tidy).await;
        self.run(Run::FULL).await;
    }

    async fn run(&mut self, run: Run) {
        let seen = self.watch(run).await;
        self.judge(&seen);
        if run.full && seen.is_complete("campus") {
            self.unannounced = false;
        }
        if self.is_clean(&seen) {
            self.totals.clean += 1;
            let again = Run {
                full: self.totals.runs.is_multiple_of(2),
                ..Run::FULL
            };
            let second = self.watch(again).await;
            self.judge(&second);
            assert_eq!(
                second.writes,
                0,
                "{}",
                second.why("a second run writes", "bio")
            );
            let verdict = second.result.as_ref().map(Report::verdict);
            assert_eq!(verdict.ok(), Some(Verdict::Done));
        }
    }

    async fn watch(&mut self, run: Run) -> Seen {
        if run.settled || run.campus != Server::Up {
            campus::settle(&self.site.campus, &self.directory);
        }
        self.site.write_export(run.export);
        if run.campus == Server::Down {
            self.site.campus.stop();
        }
        if !run.lab {
            self.site.lab_server.stop();
        }
        self.ever
            .extend(self.directory.group_ids().map(str::to_owned));
        let calls = self.site.account().calls();
        calls.reset();
        let before = self.site.snapshot();
        let request = Request {
            command: "sync".to_owned(),
            full: run.full,
            ..Request::default()
        };
        let engine = self.site.engine.clone().unwrap();
        let dying = async {
            if let Server::Dies(after) = run.campus {
                tokio::time::sleep(Duration::from_millis(u64::from(after))).await;
                self.site.campus.ask_to_end();
            }
        };
        let (result, ()) = tokio::join!(reconcile(&engine, &request), dying);
        if let Server::Dies(_) = run.campus {
            self.site.campus.stop();
        }
        if run.campus != Server::Up {
            self.site.campus.resume();
        }
        if !run.lab {
            self.site.lab_server.resume();
        }
        let is_read = |result: &Result<Report, RunError>| {
            let reads = result.as_ref().map_or(&[][..], |report| &report.reads);
            reads
                .iter()
                .any(|read| read.directory == "campus" && read.unproven.is_none())
        };
        if is_read(&result) {
            self.directory.note_read(run.full);
        }
        self.totals.runs += 1;
        let writes = calls.writes().len();
        self.totals.writes += writes as u64;
        Seen {
            run,
            result,
            before,
            after: self.site.snapshot(),
            writes,
        }
    }

    /// The directories of which groups feed a channel by the truth.
    fn directories(&self, channel: &str) -> Vec<&'static str> {
        let campus = self.directory.truth(channel).fed;
        let campus = campus.then_some("campus");
        let others: &[&str] = match channel {
            "mix" => &["lab", "export"],
            "lab" => &["lab"],
            "exp" => &["export"],
            _ => &[],
        };
        campus.into_iter().chain(others.iter().copied()).collect()
    }

    /// Who is a member by the truth.
    fn members(&self, channel: &str) -> BTreeSet<String> {
        let mut members = self.directory.truth(channel).members;
        match channel {
            "mix" => {
                members.extend(self.site.lab.members(1));
                members.extend(self.site.export.members(1));
            }
            "lab" => members.extend(self.site.lab.members(0)),
            "exp" => members.extend(self.site.export.members(0)),
            _ => {}
        }
        members
    }

    fn judge(&mut self, seen: &Seen) {
        let broken = ["campus", "lab", "export"];
        let broken = broken.iter().filter(|name| seen.is_broken(name));
        for directory in broken {
            assert!(!seen.is_complete(directory), "{directory} was read");
            if let Ok(report) = &seen.result {
                let said = seen.why("the verdict", "mix");
                assert_ne!(report.verdict(), Verdict::Done, "{directory}: {said}");
            }
        }
        for channel in CHANNELS {
            let members = self.members(channel);
            let former = self.directory.truth(channel).former;
            let losses = seen.losses(channel);
            let is_kept = |user: &&&String| members.contains(**user) || former.contains(**user);
            let wrong: Vec<_> = losses.iter().filter(is_kept).collect();
            assert!(
                wrong.is_empty(),
                "{wrong:?}: {}",
                seen.why("a member is taken away", channel)
            );
            let directories = self.directories(channel);
            let mut unread = directories.iter().filter(|name| !seen.is_complete(name));
            if let Some(name) = unread.next() {
                let said = seen.why("somebody is taken away on half an answer", channel);
                assert!(losses.is_empty(), "{name}, {losses:?}: {said}");
            } else {
                self.judge_exactly(seen, channel, &members);
            }
        }
        self.totals.judged += 1;
    }

    /// Whether the directory's server shows all there is, and a run sees it.
    fn shows_all(&self, seen: &Seen) -> bool {
        let sees_all = seen.run.full || self.site.variant.lists && !self.unannounced;
        self.directory.is_plain() && seen.run.settled && sees_all && seen.is_complete("campus")
    }

    fn judge_exactly(&self, seen: &Seen, channel: &str, members: &BTreeSet<String>) {
        let of_campus = directory::CHANNELS.contains(&channel);
        let truth = self.directory.truth(channel);
        if of_campus && (!self.shows_all(seen) || truth.doubtful) {
            return;
        }
        if of_campus && self.is_vanished(channel) {
            return;
        }
        let after = seen.members(channel);
        // What a server changes without a new time stamp is seen by a full run only.
        let is_late = !seen.run.full;
        // Not who was deleted, made anew and disabled: see `found::an_account_made_anew_is_disabled`.
        let is_known = |user: &&String| {
            !of_campus || members.contains(*user) || !self.directory.deleted.contains(*user)
        };
        let after: BTreeSet<String> = after.iter().filter(is_known).cloned().collect();
        if !of_campus || !truth.dangling && !is_late {
            assert_eq!(after, *members, "{}", seen.why("not as wanted", channel));
            return;
        }
        // Whoever has no entry may be the one that is meant.
        let missing: Vec<_> = truth.by_name.difference(&after).collect();
        assert!(
            missing.is_empty(),
            "{missing:?}: {}",
            seen.why("not added", channel)
        );
        let extra = after.difference(members).filter(|user| {
            self.directory.has_entry(user) && !self.directory.deleted.contains(*user)
        });
        let extra: Vec<_> = extra.filter(|_| !is_late).collect();
        assert!(
            extra.is_empty(),
            "{extra:?}: {}",
            seen.why("not taken away", channel)
        );
    }

    /// Asserts that the channels of the first directory have exactly the members by the truth.
    pub(super) fn channels_are_as_wanted(&self) {
        let there = self.site.snapshot();
        for channel in directory::CHANNELS {
            let there: BTreeSet<String> = there[channel].keys().cloned().collect();
            assert_eq!(there, self.members(channel), "in {channel}");
        }
    }

    /// Whether a group of the channel is gone, or nothing feeds it any more.
    fn is_vanished(&self, channel: &str) -> bool {
        if !self.directory.truth(channel).fed {
            return true;
        }
        let there: BTreeSet<&str> = self.directory.group_ids().collect();
        let mut gone = self.ever.iter().filter(|id| !there.contains(id.as_str()));
        !self.site.variant.remove_vanished && gone.any(|id| directory::channel_of(id) == channel)
    }

    /// Whether nothing at all was wrong.
    fn is_clean(&self, seen: &Seen) -> bool {
        let odd = |channel: &&str| {
            let truth = self.directory.truth(channel);
            truth.dangling || truth.doubtful
        };
        seen.run == Run::FULL
            && seen.result.is_ok()
            && self.shows_all(seen)
            && !directory::CHANNELS.iter().any(odd)
    }
}

//! The world of the model: the site, its directory, what was approved, and what earlier runs did.

#![expect(
    clippy::print_stderr,
    reason = "a trace is printed for whoever asks for it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use rollbook::category::UserId;
use rollbook::directory::GroupId;
use rollbook::plan::{Decision, Plan};
use rollbook::reconcile::uploaded::Settled;
use rollbook::reconcile::{Report, Request, RunError, Task};
use rollbook::sandbox::MembershipWrite;
use rollbook::store::held::{Answer, Answered};
use rollbook::store::history::{Asked, Line};

use super::Totals;
use super::directory::{Directory, END, Flaw, Known, Member, NAMES, PEOPLE};
use super::meanwhile::Happened;
use super::promises::Pair;
use super::put_back::Backup;
use super::site::{Policy, Site, Snapshot};
use super::step::{Cut, Export, Kind, Login, Run, Setting, Step, Way};

pub(super) struct World {
    pub(super) site: Site,
    pub(super) directory: Directory,
    pub(super) known: Known,
    pub(super) lagging: bool,
    /// Channels that a person has approved something of.
    pub(super) approved: BTreeSet<i64>,
    /// Memberships of which a person has said no to something.
    pub(super) undone: BTreeSet<(i64, String)>,
    /// Memberships that somebody deactivated by hand.
    pub(super) deactivated: BTreeSet<(i64, String)>,
    /// The configuration whose first plan has been applied, as far as it decides who is wanted.
    pub(super) accepted: Option<Policy>,
    /// What earlier runs did, newest last.
    pub(super) past: Vec<Past>,
    pub(super) backup: Option<Backup>,
    /// Whether somebody was renamed or deleted in Kaltura.
    pub(super) has_renamed: bool,
    saved: Vec<Arc<Plan>>,
    pub(super) totals: Totals,
    fresh_names: u32,
}

/// What a run left behind.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) run: i64,
    pub(super) before: Snapshot,
    pub(super) after: Snapshot,
}

/// All that is to be seen of a run from outside.
pub(super) struct Seen {
    pub(super) request: Request,
    pub(super) export: Export,
    pub(super) faulty: bool,
    pub(super) before: Snapshot,
    pub(super) after: Snapshot,
    pub(super) writes: Vec<MembershipWrite>,
    pub(super) requests: u64,
    pub(super) result: Result<Report, RunError>,
    /// The lines of the history that the run wrote.
    pub(super) lines: Vec<Line>,
    pub(super) run: i64,
    /// What lay in the folder before.
    pub(super) waited: BTreeSet<Pair>,
    /// What is not closed in the journal.
    pub(super) open: BTreeSet<Pair>,
    /// What came of the files that somebody uploaded.
    pub(super) settled: Option<Settled>,
    pub(super) happened: Happened,
    /// Whether the directory was read.
    pub(super) has_read: bool,
    /// The membership that somebody edited when it was too late to see it.
    pub(super) too_late: Option<Pair>,
}

/// Whether each step is to be printed.
fn is_traced() -> bool {
    std::env::var_os("ROLLBOOK_MODEL_TRACE").is_some()
}

impl Seen {
    /// Prints what was planned and what was done.
    fn trace(&self) {
        eprintln!("  run {}, {}:", self.run, self.request.command);
        match &self.result {
            Ok(report) => {
                for part in &report.plan.categories {
                    eprintln!("    plan of {}, {:?}:", part.category.id, part.block);
                    for action in &part.actions {
                        eprintln!("      {} {:?}", action.user.as_str(), action.decision);
                    }
                }
                for trip in &report.trips {
                    eprintln!("    {trip}");
                }
            }
            Err(error) => eprintln!("    {error}"),
        }
        for line in &self.lines {
            let (channel, user) = (line.category, line.user.as_str());
            let (did, outcome, by) = (line.decision, line.outcome, &line.approved_by);
            eprintln!("    {user} in {channel}: {did:?}, {outcome:?}, {by:?}");
        }
    }
}

impl World {
    pub(super) async fn start(seed: u64) -> Self {
        Self {
            site: Site::start(seed).await,
            directory: Directory::new(),
            known: Known::nothing(),
            lagging: false,
            approved: BTreeSet::new(),
            undone: BTreeSet::new(),
            deactivated: BTreeSet::new(),
            accepted: None,
            past: Vec::new(),
            backup: None,
            has_renamed: false,
            saved: Vec::new(),
            totals: Totals::default(),
            fresh_names: 0,
        }
    }

    /// Lets one thing happen.
    pub(super) async fn step(&mut self, step: &Step) {
        self.totals.steps += 1;
        if is_traced() {
            eprintln!("{step:?}");
        }
        match step {
            Step::Run(run) => _ = self.run(run).await,
            Step::DryAndWet(full) => self.dry_and_wet(*full).await,
            Step::Undo(back, by_file) => self.undo(*back, *by_file).await,
            Step::Settle(discard) => self.settle_later(*discard).await,
            Step::Approve(which, whole) => self.answer(*which, *whole, true),
            Step::Reject(which, whole) => self.answer(*which, *whole, false),
            Step::Retry => {
                let now = rollbook::clock::now();
                self.site.store().retry(None, now).unwrap();
            }
            Step::Hour => self.site.an_hour(),
            Step::Clock(is_on) => self.set_clock(*is_on),
            Step::BackUp => self.back_up(),
            Step::PutBack(is_poured) => self.put_back(*is_poured),
            Step::Save(full) => self.save(*full).await,
            Step::Apply(which, cut) => self.apply(*which, *cut).await,
            Step::Configure(setting) => self.configure(*setting),
            Step::Put(..)
            | Step::Drop(..)
            | Step::Twin(..)
            | Step::Owned(..)
            | Step::RenameUser(..)
            | Step::DeleteUser(_)
            | Step::DeleteChannel(_)
            | Step::AddChannel(_)
            | Step::Inherit(_)
            | Step::Lag(_)
            | Step::Root(_) => self.in_kaltura(step),
            _ => self.in_the_directory(step),
        }
    }

    fn in_the_directory(&mut self, step: &Step) {
        let groups = &mut self.directory.groups;
        match *step {
            Step::Join(g, p) => _ = groups[g].members.insert(Member::Person(p)),
            Step::Leave(g, p) => _ = groups[g].members.remove(&Member::Person(p)),
            Step::Owner(g, p, true) => _ = groups[g].owners.insert(p),
            Step::Owner(g, p, false) => _ = groups[g].owners.remove(&p),
            Step::Nest(g, h, true) if g != h => _ = groups[g].members.insert(Member::Group(h)),
            Step::Nest(g, h, _) => _ = groups[g].members.remove(&Member::Group(h)),
            Step::Stranger(g, true) => _ = groups[g].members.insert(Member::Stranger(0)),
            Step::Stranger(g, false) => _ = groups[g].members.remove(&Member::Stranger(0)),
            Step::Rename(p) => {
                self.fresh_names += 1;
                self.directory.people[p].name = format!("renamed{}", self.fresh_names);
            }
            Step::Login(p, login) => self.login(p, login),
            Step::Enable(p, yes) => self.directory.people[p].enabled = yes,
            Step::Person(p, yes) => self.directory.people[p].there = yes,
            Step::Group(g, yes) => {
                let name = &groups[g].name;
                let taken = groups
                    .iter()
                    .any(|group| group.there && group.name == *name);
                groups[g].there = yes && (groups[g].there || !taken);
            }
            Step::RenameGroup(g, n) if !groups.iter().any(|group| group.name == NAMES[n]) => {
                NAMES[n].clone_into(&mut groups[g].name);
            }
            Step::BreakPerson(p, yes) => self.directory.people[p].broken = yes,
            Step::BreakGroup(g, how) => {
                groups[g].flaw = [Flaw::None, Flaw::NoName, Flaw::BadMember][usize::from(how)];
            }
            Step::Refill(g, bits) => {
                let inside = (0..PEOPLE).filter(|p| bits >> p & 1 == 1);
                groups[g].members = inside.map(Member::Person).collect();
            }
            _ => {}
        }
    }

    fn login(&mut self, p: usize, login: Login) {
        self.fresh_names += 1;
        let people = &mut self.directory.people;
        match login {
            Login::Fresh => people[p].login = format!("n{}", self.fresh_names),
            Login::Uppercase => people[p].login = people[p].login.to_uppercase(),
            Login::Swap(q) => {
                let (mine, other) = (people[p].login.clone(), people[q].login.clone());
                people[p].login = other;
                people[q].login = mine;
            }
            Login::Share(q) => {
                let other = people[q].login.clone();
                people[p].login = other;
            }
        }
    }

    fn in_kaltura(&mut self, step: &Step) {
        let account = self.site.account();
        let user = |p: &usize| self.directory.people[*p].login.clone();
        let first = |channel: &usize| self.site.of(NAMES[*channel]).first().copied();
        match step {
            Step::Put(c, p, level, method, status) => {
                let Some(id) = first(c) else { return };
                account.set_membership(id, &user(p), *level, *method, *status);
                self.note_status(id, &user(p), *status);
            }
            Step::Drop(c, p) => {
                let Some(id) = first(c) else { return };
                account.remove_membership(id, &user(p));
                self.note_status(id, &user(p), 1);
            }
            Step::Twin(c, p, level, method) => {
                let Some(id) = first(c) else { return };
                if account.member(id, &user(p)).is_some() {
                    account.add_twin(id, &user(p), *level, *method);
                }
            }
            Step::Owned(c, p) => {
                let Some(id) = first(c).filter(|_| self.site.has_root()) else {
                    return;
                };
                let user = user(p);
                self.site.own(id, &user);
            }
            Step::RenameUser(p, q) => {
                let (old, new) = (user(p), user(q));
                if account.user(&new).is_none() {
                    self.has_renamed = true;
                    account.rename_user(&old, &new);
                    let (old_key, new_key) = (old.to_lowercase(), new.to_lowercase());
                    let renamed = |(id, user): &(i64, String)| {
                        let user = if *user == old_key { &new_key } else { user };
                        (*id, user.clone())
                    };
                    self.deactivated = self.deactivated.iter().map(renamed).collect();
                    self.forget_owner(&old);
                }
            }
            Step::DeleteUser(p) => {
                let user = user(p);
                self.has_renamed = true;
                // Whoever owns a channel goes on being named as its owner.
                account.delete_user(&user);
                account.work(None);
            }
            Step::DeleteChannel(c) => {
                let Some(id) = first(c) else { return };
                account.delete_category(id);
                account.work(None);
                self.site.channels.remove(&id);
            }
            Step::Root(there) => self.site.root(*there),
            Step::AddChannel(c) if self.site.of(NAMES[*c]).len() < 2 && self.site.has_root() => {
                self.site.add_channel(NAMES[*c]);
            }
            Step::Inherit(c) => {
                let Some(id) = first(c) else { return };
                account.inherit(id);
                account.work(None);
                self.site.channels.get_mut(&id).unwrap().inherits = true;
            }
            Step::Lag(yes) => {
                self.lagging = *yes;
                let hour = std::time::Duration::from_hours(100);
                account.set_index_lag(yes.then_some(hour));
                if !yes {
                    account.catch_up();
                }
            }
            _ => {}
        }
    }

    /// Who was renamed in Kaltura owns nothing by the old name.
    fn forget_owner(&mut self, user: &str) {
        let key = user.to_lowercase();
        for channel in self.site.channels.values_mut() {
            if channel.owner.as_ref() == Some(&key) {
                channel.owner = None;
            }
        }
    }

    fn note_status(&mut self, id: i64, user: &str, status: i64) {
        let pair = (id, user.to_lowercase());
        if status == 3 {
            self.deactivated.insert(pair);
        } else {
            self.deactivated.remove(&pair);
        }
    }

    fn configure(&mut self, setting: Setting) {
        self.site.configure(|policy| match setting {
            Setting::Departure(yes) => policy.deactivate = yes,
            Setting::Manual(yes) => policy.override_manual = yes,
            Setting::Ownership(yes) => policy.by_ledger = yes,
            Setting::Loose(yes) => policy.loose = yes,
            Setting::Window(yes) => policy.window = yes,
            Setting::FirstRun(yes) => policy.hold_first = yes,
            Setting::RemovedByHand(yes) => policy.skip_removed = yes,
            Setting::VanishedGroup(yes) => policy.remove_vanished = yes,
        });
    }

    /// Answers one of the held plans, or its first channel alone.
    fn answer(&mut self, which: usize, whole: bool, yes: bool) {
        let store = self.site.store().clone();
        let held = store.held(rollbook::clock::now()).unwrap();
        let Some(plan) = held.get(which % held.len().max(1)) else {
            return;
        };
        let is_of_sync = plan.command == "sync";
        let Answered::Given(digest, plan) = store.held_plan(&plan.digest.0).unwrap() else {
            panic!("a plan that is held is not found");
        };
        let mut channels: Vec<_> = plan
            .categories
            .iter()
            .map(|part| part.category.id)
            .collect();
        channels.truncate(if whole { usize::MAX } else { 1 });
        let now = rollbook::clock::now();
        let answer = if yes {
            let until = now.checked_add(SignedDuration::from_hours(1)).unwrap();
            Answer::Approved { until }
        } else {
            Answer::Rejected
        };
        let answered = store
            .answer(&digest.0, &channels, answer, "Ruth", now)
            .unwrap();
        let Answered::Given(_, answered) = answered else {
            panic!("a plan that is held is not answered");
        };
        for (part, action) in answered.changes() {
            // A refusal of an undo says nothing about what the directory wants.
            if !yes && is_of_sync {
                self.undone.insert((part.category.id.0, action.user.key()));
            }
        }
        if yes {
            self.approved.extend(channels.iter().map(|id| id.0));
        }
    }

    /// Writes the export, as good or bad as it is to be. A person who is renamed meanwhile is so from
    /// now on.
    fn export(&mut self, export: Export) {
        let before = self.directory.clone();
        if let Export::Torn(person) = export {
            self.in_the_directory(&Step::Rename(person));
        }
        let people_as = match export {
            Export::Torn(_) => &before,
            _ => &self.directory,
        };
        let mut text = self.directory.ldif(people_as);
        match export {
            Export::Whole | Export::Torn(_) => text += END,
            Export::Endless => {}
            Export::Empty => text.clear(),
            Export::Cut(share) => {
                let length = text.len() * usize::try_from(share).unwrap() / 1000;
                text.truncate(length);
            }
        }
        if matches!(export, Export::Whole | Export::Torn(_)) {
            text += "\n";
        }
        self.site.export(&text);
    }

    pub(super) async fn run(&mut self, run: &Run) -> Seen {
        self.export(run.export);
        let by_us = (run.way == Way::Files).then_some(&run.bulk_fault);
        for line in run.faults.iter().chain(by_us.into_iter().flatten()) {
            self.site.account().faults().add(line.parse().unwrap());
        }
        let request = Request {
            via: self.site.via(run.way),
            ..self.request(run.kind)
        };
        let seen = self.watch_run(request, run).await;
        self.judge(&seen).await;
        seen
    }

    pub(super) fn request(&self, kind: Kind) -> Request {
        let request = Request {
            command: "sync".to_owned(),
            ..Request::default()
        };
        match kind {
            Kind::Incremental => request,
            Kind::Full => Request {
                full: true,
                ..request
            },
            Kind::User(person) => Request {
                users: vec![UserId::new(self.directory.people[person].login.as_str())],
                ..request
            },
            Kind::Group(group) => Request {
                groups: vec![GroupId::new(self.directory.groups[group].name.as_str())],
                ..request
            },
        }
    }

    /// Runs without a fault, and sees what comes of it.
    pub(super) async fn watch(&mut self, request: Request) -> Seen {
        self.watch_run(request, &Run::plain(Kind::Full)).await
    }

    /// Runs, and sees what comes of it; also of the files that somebody uploads at once.
    async fn watch_run(&mut self, request: Request, how: &Run) -> Seen {
        let calls = self.site.account().calls();
        let struck = |site: &Site| -> u64 { site.account().faults().injected().values().sum() };
        let before_it = struck(&self.site);
        calls.reset();
        let mut before = self.site.snapshot();
        let waited = self.site.waiting();
        let looks = self.site.looks();
        let (result, happened) = self.site.reconcile(&request, how.meanwhile).await;
        let edit = happened.edit.as_ref();
        if let Some(edit) = edit {
            // As if it had been made before.
            let users = before.get_mut(&edit.pair.0).unwrap();
            users.insert(edit.pair.1.clone(), edit.rows.clone());
            self.deactivated.remove(&edit.pair);
        }
        let late = edit.filter(|edit| edit.could_not_be_known(&self.site.account()));
        let too_late = late.map(|edit| edit.pair.clone());
        self.site.account().faults().clear();
        let run = self.site.store().runs(1).unwrap()[0].id;
        let requests = calls.requests();
        let settled = match how.way {
            Way::Folder(hands) => self.lend(run, hands, how.bulk_fault.as_deref()).await,
            _ => None,
        };
        let after = self.site.snapshot();
        let mut lines = Vec::new();
        let asked = Asked {
            run: Some(run),
            ..Asked::default()
        };
        let each = |line| {
            lines.push(line);
            Ok::<_, rollbook::store::StoreError>(())
        };
        self.site.store().history(&asked, each).unwrap();
        let seen = Seen {
            request,
            export: how.export,
            faulty: !how.faults.is_empty(),
            before,
            after,
            writes: calls.writes(),
            requests,
            result,
            lines,
            run,
            waited,
            open: self.site.unsettled(),
            settled,
            has_read: self.site.looks() > looks,
            happened,
            too_late,
        };
        if is_traced() {
            seen.trace();
        }
        self.totals.runs += 1;
        self.totals.faults += struck(&self.site) - before_it;
        self.totals.writes += seen.writes.len() as u64;
        self.totals.files += calls.count_of("categoryUser.addFromBulkUpload");
        seen
    }

    /// A dry run says what the next run does, when nothing happens in between.
    async fn dry_and_wet(&mut self, full: bool) {
        self.export(Export::Whole);
        let wet = self.request(if full { Kind::Full } else { Kind::Incremental });
        let dry = Request {
            dry_run: true,
            ..wet.clone()
        };
        let said = self.watch(dry).await;
        self.judge(&said).await;
        // The files of a run that was killed are taken away by the next one in earnest.
        let doubtful = self.known.doubtful || self.site.unsettled() != self.site.waiting();
        let done = self.watch(wet).await;
        self.judge(&done).await;
        let changes = |seen: &Seen| -> Option<BTreeMap<(i64, String), Decision>> {
            let report = seen.result.as_ref().ok()?;
            let changes = report.plan.changes();
            let pair =
                |(part, action): (&rollbook::plan::CategoryPlan, &rollbook::plan::Action)| {
                    ((part.category.id.0, action.user.key()), action.decision)
                };
            Some(changes.map(pair).collect())
        };
        if let (Some(said), Some(done)) = (changes(&said), changes(&done))
            && !doubtful
        {
            assert_eq!(said, done, "a dry run said something else");
        }
    }

    async fn undo(&mut self, back: usize, by_file: bool) {
        let Some(at) = self.past.len().checked_sub(back + 1) else {
            return;
        };
        let past = self.past[at].clone();
        let request = Request {
            command: format!("undo {}", past.run),
            task: Task::Undo {
                run: past.run,
                users: BTreeSet::new(),
                categories: BTreeSet::new(),
            },
            via: self.site.via(if by_file { Way::Files } else { Way::Calls }),
            ..Request::default()
        };
        let seen = self.watch(request).await;
        self.judge(&seen).await;
        self.judge_undo(&past, &seen);
    }

    /// Keeps what a dry run says.
    async fn save(&mut self, full: bool) {
        self.export(Export::Whole);
        let request = Request {
            dry_run: true,
            ..self.request(if full { Kind::Full } else { Kind::Incremental })
        };
        let seen = self.watch(request).await;
        self.judge(&seen).await;
        if let Ok(report) = seen.result {
            self.saved.push(Arc::new(report.plan));
        }
    }

    /// Applies a saved plan, or a part of it.
    async fn apply(&mut self, which: usize, cut: Cut) {
        let Some(saved) = self.saved.iter().rev().nth(which).cloned() else {
            return;
        };
        let mut parts = saved.categories.clone();
        if cut != Cut::Whole {
            parts.truncate(1);
        }
        if cut == Cut::FirstChange {
            for part in &mut parts {
                let mut cut = (**part).clone();
                cut.actions.retain(|action| action.decision.is_change());
                cut.actions.truncate(1);
                *part = Arc::new(cut);
            }
        }
        self.export(Export::Whole);
        let request = Request {
            command: "apply plan.json".to_owned(),
            task: Task::Apply {
                file: "plan.json".to_owned(),
                plan: Arc::new(Plan::new(parts)),
            },
            ..Request::default()
        };
        let seen = self.watch(request).await;
        self.judge(&seen).await;
    }

    /// Everything is approved, nothing goes wrong any more: then directory and Kaltura agree soon.
    pub(super) async fn come_to_rest(&mut self) {
        self.in_kaltura(&Step::Lag(false));
        self.in_kaltura(&Step::Root(true));
        self.site.configure(|policy| policy.hold_first = false);
        self.settle_later(true).await;
        let full = Run::plain(Kind::Full);
        let by_file = Run {
            way: Way::Files,
            ..full.clone()
        };
        // What does not fit into a file goes by call in the end.
        for run in [&by_file, &by_file, &full, &full] {
            self.site.an_hour();
            self.run(run).await;
            let now = rollbook::clock::now();
            for plan in 0..self.site.store().held(now).unwrap().len() {
                self.answer(plan, true, true);
            }
        }
        let last = self.run(&full).await;
        assert_eq!(last.writes, [], "no rest: {:#?}", last.lines);
        if self.site.channels.is_empty() {
            assert!(matches!(last.result, Err(RunError::NoChannels { .. })));
            return;
        }
        let report = last.result.unwrap();
        assert!(report.held.is_none(), "no rest: {:?}", report.trips);
        assert!(last.open.is_empty(), "no rest: {:?}", last.open);
    }
}

//! What happens while a run is under way: it is killed, or somebody edits a membership by hand.
//!
//! *Its one idea: time is counted in requests.* So chance picks moments at which something is at stake.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rollbook::reconcile::{Report, RunError};
use rollbook::sandbox::{Account, CallRecord};
use rollbook::store::StoreError;

use super::promises::Pair;
use super::site::Row;

/// A look at one membership.
const LOOK: &str = "categoryUser.get";
/// A file is handed in.
const UPLOAD: &str = "categoryUser.addFromBulkUpload";
/// Calls that may be under way at once: two requests of three.
const UNDER_WAY: u64 = 6;

/// Something that happens once Kaltura has got so many requests of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meanwhile {
    pub(super) after: u64,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The run ends there and then.
    Kill,
    /// Somebody makes a membership theirs, at this level, in one of the first channels.
    ByHand {
        channel: usize,
        person: usize,
        level: i64,
    },
}

/// An edit that somebody made during a run.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) pair: Pair,
    /// As it is spelled.
    pub(super) user: String,
    pub(super) level: i64,
    /// What there is since then.
    pub(super) rows: Vec<Row>,
    /// The number of the last call before it.
    number: u64,
}

/// What happened during a run.
#[derive(Debug, Default)]
pub(super) struct Happened {
    pub(super) was_killed: bool,
    pub(super) edit: Option<Edit>,
}

/// Polls a run until it ends, or until it is killed.
pub(super) async fn watch(
    account: &Account,
    plan: Option<(Meanwhile, Option<Edit>)>,
    mut run: Pin<&mut impl Future<Output = Result<Report, RunError>>>,
) -> (Result<Report, RunError>, Happened) {
    let mut happened = Happened::default();
    let mut plan = plan;
    let calls = account.calls();
    let result = poll_fn(|context| {
        if let Some((meanwhile, edit)) = &mut plan
            && calls.requests() >= meanwhile.after
        {
            match (meanwhile.what, edit.take()) {
                (What::Kill, _) => {
                    happened.was_killed = true;
                    return Poll::Ready(Err(RunError::Store(StoreError::BrokenOff)));
                }
                (What::ByHand { .. }, Some(mut edit)) => {
                    edit.make(account);
                    happened.edit = Some(edit);
                    plan = None;
                }
                (What::ByHand { .. }, None) => plan = None,
            }
        }
        run.as_mut().poll(context)
    })
    .await;
    (result, happened)
}

/// Lets what a killed run had sent arrive: the request is on its way, whatever becomes of who sent it.
pub(super) async fn let_it_arrive(account: &Account) {
    tokio::time::sleep(Duration::from_millis(10)).await;
    account.work(None);
}

impl Edit {
    pub(super) fn new(category: i64, user: String, level: i64) -> Self {
        Self {
            pair: (category, user.to_lowercase()),
            user,
            level,
            rows: Vec::new(),
            number: 0,
        }
    }

    fn make(&mut self, account: &Account) {
        let (category, user) = (self.pair.0, &self.user);
        account.set_membership(category, user, self.level, 0, 1);
        let members = account.members(category).into_iter();
        let mut rows: Vec<Row> = members
            .filter(|member| member.user_id.to_lowercase() == self.pair.1)
            .map(|member| (member.permission_level, member.update_method, member.status))
            .collect();
        rows.sort_unstable();
        self.rows = rows;
        let last = account.calls().recent(1);
        self.number = last.first().map_or(0, |call| call.number);
    }

    /// Whether the run had looked at the membership before the edit, and did not look again before it wrote: then it
    /// could not know.
    pub(super) fn could_not_be_known(&self, account: &Account) -> bool {
        let (category, user) = (self.pair.0, &self.pair.1);
        let is_about_it = |call: &CallRecord| {
            let about = call.about.to_lowercase();
            let told: Vec<&str> = about.split(", ").collect();
            let has = |text: String| told.contains(&text.as_str());
            has(format!("categoryid {category}")) && has(format!("userid {user}"))
        };
        let is_look = |call: &&CallRecord| call.call == LOOK && is_about_it(call);
        let calls = account.calls().recent(500);
        // A look after the write tells nothing that the write could have known. A file may write anything.
        let writes = calls
            .iter()
            .filter(|call| call.call == UPLOAD || call.call != LOOK && is_about_it(call));
        let written = writes
            .map(|call| call.number)
            .filter(|number| *number > self.number)
            .min();
        // A call that is being answered is not in the log yet.
        let (after, before): (Vec<_>, Vec<_>) = calls
            .iter()
            .filter(is_look)
            .filter(|call| written.is_none_or(|written| call.number < written))
            .partition(|call| call.number > self.number + UNDER_WAY);
        !before.is_empty() && after.is_empty()
    }
}

//! Changes that go by CSV file: handed in, or left in a folder for somebody to upload.
//!
//! *Its one idea: a file is uploaded at once, or never.* One that is uploaded late says what was right once,
//! which no promise covers; one that is never uploaded waits until somebody gives it up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use rollbook::apply::route::Via;
use rollbook::category::UserId;
use rollbook::config;
use rollbook::reconcile::uploaded::{Settled, Settling, settle};
use rollbook::reconcile::{Report, Request, RunError, reconcile};
use rollbook::store::files::{File, Way as On};
use rollbook::store::history::{Asked, Chain, Line};
use rollbook::store::journal::{FOUND_SO, Outcome};

use super::directory::NAMES;
use super::meanwhile::{self, Edit, Happened, Meanwhile, What};
use super::promises::Pair;
use super::site::Site;
use super::step::{Hands, Proof, Way};
use super::world::World;
use crate::sandbox::client;

fn is_handed(file: &File) -> bool {
    matches!(file.way, On::Handed { .. })
}

impl Site {
    /// The way as a request names it.
    pub(super) fn via(&self, way: Way) -> Option<Via> {
        Some(match way {
            Way::Calls => return None,
            Way::Files => Via::Either(config::apply::Via::Csv),
            Way::Either => Via::Either(config::apply::Via::Auto),
            Way::Folder(_) => Via::Folder(self.folder()),
        })
    }

    fn folder(&self) -> PathBuf {
        self.path("out")
    }

    /// Runs, and where it may send files, Kaltura's workers do what they are given, so that nothing is left to
    /// be done later. The index catches up with them.
    pub(super) async fn reconcile(
        &self,
        request: &Request,
        meanwhile: Option<Meanwhile>,
    ) -> (Result<Report, RunError>, Happened) {
        let account = self.account();
        let plan = meanwhile.map(|meanwhile| (meanwhile, self.edit(meanwhile.what)));
        let mut run = Box::pin(reconcile(&self.engine, request));
        let work = async {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                account.work(None);
            }
        };
        let watched = meanwhile::watch(&account, plan, run.as_mut());
        let (result, happened) = if request.via.is_none() {
            watched.await
        } else {
            tokio::select! {
                watched = watched => watched,
                never = work => never,
            }
        };
        drop(run);
        if happened.was_killed {
            meanwhile::let_it_arrive(&account).await;
            // The next process finds that this one is gone.
            let sql = "UPDATE lease SET seen_at = 0, process = NULL";
            self.state().execute(sql, []).unwrap();
        }
        if request.via.is_some() {
            account.work(None);
        }
        (result, happened)
    }

    /// The edit that somebody is about to make.
    fn edit(&self, what: What) -> Option<Edit> {
        let What::ByHand {
            channel,
            person,
            level,
        } = what
        else {
            return None;
        };
        let id = *self.of(NAMES[channel]).first()?;
        Some(Edit::new(id, format!("p{}", 10 + person), level))
    }

    /// What is not closed in the journal, with its run; only what lies in the folder, or all.
    fn open(&self, in_folder: bool) -> BTreeMap<Pair, i64> {
        let state = self.state();
        let condition = if in_folder {
            "WHERE file IN (SELECT id FROM file WHERE state = 'handed')"
        } else {
            ""
        };
        let sql = format!("SELECT category_id, user_id, run FROM journal {condition}");
        let mut statement = state.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| {
            let user = UserId::new(row.get::<_, String>(1)?);
            Ok(((row.get(0)?, user.key()), row.get(2)?))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// What lies in the folder.
    pub(super) fn waiting(&self) -> BTreeSet<Pair> {
        self.open(true).into_keys().collect()
    }

    /// What is not closed in the journal.
    pub(super) fn unsettled(&self) -> BTreeSet<Pair> {
        self.open(false).into_keys().collect()
    }

    /// Uploads what a run has left in the folder, and answers the logs.
    async fn upload(&self, run: i64) -> Vec<Vec<u8>> {
        let files = self.store().files().unwrap().into_iter();
        let mut logs = Vec::new();
        for file in files.filter(|file| file.run == run && is_handed(file)) {
            let job = client::upload(&self.sandbox, &self.folder().join(&file.name)).await;
            logs.extend(self.account().bulk_log(job).map(String::into_bytes));
        }
        logs
    }
}

impl World {
    /// Does with what a run has left in the folder what somebody does with it; answers what was settled.
    pub(super) async fn lend(
        &mut self,
        run: i64,
        hands: Hands,
        fault: Option<&str>,
    ) -> Option<Settled> {
        match hands {
            Hands::Wait => None,
            Hands::Discard => self.settle(Vec::new(), true).await,
            Hands::Upload(proof) => {
                let faults = self.site.account().faults().clone();
                let rule = |line: &str| faults.add(line.parse().unwrap());
                fault.map(rule);
                let logs = self.site.upload(run).await;
                faults.clear();
                // Who may not ask about jobs needs the logs, or looks at what is there.
                if proof != Proof::Jobs {
                    rule("bulkupload_bulk.*: error=SERVICE_FORBIDDEN");
                }
                let brought = if proof == Proof::Log {
                    logs
                } else {
                    Vec::new()
                };
                let settled = self.settle(brought, false).await;
                faults.clear();
                settled
            }
        }
    }

    /// Gives up what lies in the folder, or only looks what has become of it.
    pub(super) async fn settle_later(&mut self, discard: bool) {
        let before = self.site.snapshot();
        self.site.account().calls().reset();
        self.settle(Vec::new(), discard).await;
        assert_eq!(self.site.account().calls().writes(), [], "settling writes");
        assert_eq!(self.site.snapshot(), before, "settling changes something");
    }

    async fn settle(&mut self, logs: Vec<Vec<u8>>, discard: bool) -> Option<Settled> {
        let before = self.site.open(true);
        if before.is_empty() {
            return None;
        }
        let files = self.site.store().files().unwrap().into_iter();
        let files: Vec<File> = files.filter(is_handed).collect();
        let settling = Settling {
            folder: self.site.folder(),
            logs,
            discard,
            sure: false,
        };
        let settled = settle(&self.site.engine, &settling).await.unwrap();
        let after = self.site.waiting();
        assert_eq!(
            settled.waiting,
            after.len() as u64,
            "what waits is miscounted"
        );
        assert_eq!(
            settled.edited,
            Vec::<String>::new(),
            "who has edited a file?"
        );
        let chain = self.site.store().verify_history(None).unwrap();
        assert!(matches!(chain, Chain::Whole { .. }), "{chain:?}");
        if discard {
            assert_eq!(after, BTreeSet::new(), "what was given up waits");
            for file in files {
                let path = self.site.folder().join(&file.name);
                assert!(
                    !path.exists(),
                    "{} is given up, and still there",
                    path.display()
                );
            }
        }
        for (pair, run) in before.iter().filter(|(pair, _)| !after.contains(pair)) {
            self.note_late(pair, *run);
        }
        Some(settled)
    }

    /// What turns out to be done counts as done by the run that wrote the file.
    fn note_late(&mut self, pair: &Pair, run: i64) {
        let Some(past) = self.past.iter_mut().find(|past| past.run == run) else {
            return;
        };
        let mut is_ours = false;
        let each = |line: Line| {
            is_ours |= (line.category.0, line.user.key()) == *pair
                && line.outcome == Outcome::Done
                && line.answer.as_deref() != Some(FOUND_SO);
            Ok::<_, rollbook::store::StoreError>(())
        };
        let asked = Asked {
            run: Some(run),
            ..Asked::default()
        };
        self.site.store().history(&asked, each).unwrap();
        let now = self.site.snapshot();
        let (Some(channel), Some(now)) = (past.after.get_mut(&pair.0), now.get(&pair.0)) else {
            return;
        };
        if is_ours {
            let rows = now.get(&pair.1).cloned();
            channel.remove(&pair.1);
            channel.extend(rows.map(|rows| (pair.1.clone(), rows)));
        }
    }
}

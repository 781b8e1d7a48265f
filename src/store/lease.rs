//! One run at a time, also between processes.
//!
//! *Its one idea: the fence.* Each holder gets a higher number and shows it with every write to the
//! state file, and before every request that writes to Kaltura. A process that slept through its lease
//! finds a higher number there and stops.
//!
//! A lease that was not given back is free after a minute without a sign of life; at once, where its
//! holder is a process of this machine that is known to be gone.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Store, StoreError};
use crate::plan::gate::Fence;
use process::Process;

mod process;

/// A lease that has not been renewed for this long, in seconds, may be taken over.
pub const STALE_AFTER_S: i64 = 60;

/// The right to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Grows with every holder.
    pub fence: i64,
}

/// What became of the wish to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is ours now.
    Granted(Lease),
    /// Somebody else runs.
    Refused {
        /// Who, as they said.
        holder: String,
        /// When they last showed themselves.
        seen_at: Timestamp,
    },
}

impl Store {
    /// Asks for the right to run, for this process.
    pub fn claim(&self, holder: &str, now: Timestamp) -> Result<Claim, StoreError> {
        self.is_in_place()?;
        self.claim_for(holder, Process::current().as_ref(), now)
    }

    fn claim_for(
        &self,
        holder: &str,
        process: Option<&Process>,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let mut connection = self.lock();
        // A look first: it never waits, also when the holder is in the middle of a long write.
        if let Some(held) = current(&connection)?.filter(|held| held.seen_at <= now.as_second())
            && let Some(refused) = held.refusal(now)
        {
            return Ok(refused);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let held = current(&transaction)?;
        if let Some(refused) = held.as_ref().and_then(|held| held.refusal(now)) {
            // Seen in times to come: the clock was set back. A holder who lives shows itself again; of
            // one who is dead, this is when the wait begins.
            transaction.execute(
                "UPDATE lease SET seen_at = min(seen_at, ?1)",
                [now.as_second()],
            )?;
            transaction.commit()?;
            return Ok(refused);
        }
        let fence = held.map_or(1, |held| held.fence + 1);
        transaction.execute(
            "INSERT OR REPLACE INTO lease (id, holder, fence, seen_at, process)
             VALUES (1, ?1, ?2, ?3, ?4)",
            params![
                holder,
                fence,
                now.as_second(),
                process.map(ToString::to_string)
            ],
        )?;
        transaction.commit()?;
        Ok(Claim::Granted(Lease { fence }))
    }

    /// Shows that the holder is still there.
    pub fn renew(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        let renewed = self.lock().execute(
            "UPDATE lease SET seen_at = ?2 WHERE fence = ?1 AND seen_at > 0",
            params![lease.fence, now.as_second()],
        )?;
        if renewed == 0 {
            Err(StoreError::LeaseLost)
        } else {
            Ok(())
        }
    }

    /// Makes sure that nobody has taken over: to be asked right before Kaltura is written to.
    pub fn is_ours(&self, lease: Lease) -> Result<(), StoreError> {
        check(&self.lock(), lease)
    }

    /// Tells, right before each request that writes to Kaltura, whether the right to run is still that of whoever
    /// uses the state file [under](Store::under) it.
    pub fn fence(&self) -> Fence {
        let store = self.clone();
        let may_write = |store: &Self| store.is_ours(store.lease.ok_or(StoreError::LeaseLost)?);
        Fence::new(move || {
            let store = store.clone();
            Box::pin(async move { store.run(may_write).await.is_ok() })
        })
    }

    /// Gives the right to run back.
    pub fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.lock().execute(
            "UPDATE lease SET seen_at = 0, process = NULL WHERE fence = ?1",
            [lease.fence],
        )?;
        Ok(())
    }
}

/// The lease as it stands.
struct Held {
    holder: String,
    fence: i64,
    seen_at: i64,
    process: Option<Process>,
}

impl Held {
    /// What a newcomer is told while the holder has been seen lately and is not known to be gone.
    fn refusal(&self, now: Timestamp) -> Option<Claim> {
        let is_fresh = now.as_second() - self.seen_at < STALE_AFTER_S;
        let is_gone = || self.process.as_ref().is_some_and(Process::is_gone);
        (is_fresh && !is_gone()).then(|| Claim::Refused {
            holder: self.holder.clone(),
            seen_at: Timestamp::from_second(self.seen_at).unwrap_or(now).min(now),
        })
    }
}

fn current(connection: &Connection) -> rusqlite::Result<Option<Held>> {
    connection
        .prepare_cached("SELECT holder, fence, seen_at, process FROM lease WHERE id = 1")?
        .query_row([], |row| {
            Ok(Held {
                holder: row.get(0)?,
                fence: row.get(1)?,
                seen_at: row.get(2)?,
                process: row
                    .get::<_, Option<String>>(3)?
                    .and_then(|text| Process::parse(&text)),
            })
        })
        .optional()
}

/// Makes sure, within the transaction of a write, that the lease is still ours.
pub(super) fn check(connection: &Connection, lease: Lease) -> Result<(), StoreError> {
    let fence: Option<i64> = connection
        .prepare_cached("SELECT fence FROM lease WHERE id = 1 AND seen_at > 0")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if fence == Some(lease.fence) {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::category::{CategoryId, UserId};
    use crate::store::dirty::Mark;
    use crate::store::set_aside::SetAside;
    use crate::store::tests::scratch;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn granted(claim: &Claim) -> Lease {
        match claim {
            Claim::Granted(lease) => *lease,
            Claim::Refused { .. } => panic!("refused"),
        }
    }

    #[test]
    fn the_second_to_ask_is_told_who_runs() {
        let (_folder, store) = scratch();
        granted(&store.claim("first", at(0)).unwrap());
        assert_eq!(
            store.claim("second", at(5)).unwrap(),
            Claim::Refused {
                holder: "first".to_owned(),
                seen_at: at(0)
            }
        );
    }

    #[test]
    fn a_lease_given_back_is_free_at_once() {
        let (_folder, store) = scratch();
        let lease = granted(&store.claim("first", at(0)).unwrap());
        store.release(lease).unwrap();
        granted(&store.claim("second", at(1)).unwrap());
    }

    #[test]
    fn the_lease_of_a_process_that_is_gone_is_free_at_once() {
        let (_folder, store) = scratch();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = Process::of(child.id()).unwrap();
        let lease = store.claim_for("dead", Some(&process), at(0)).unwrap();
        let dead = granted(&lease);
        let refused = store.claim("second", at(1)).unwrap();
        assert!(matches!(refused, Claim::Refused { .. }));
        child.kill().unwrap();
        child.wait().unwrap();
        let heir = granted(&store.claim("third", at(2)).unwrap());
        assert!(heir.fence > dead.fence);
    }

    #[test]
    fn the_lease_of_an_unknown_process_is_waited_for() {
        let (_folder, store) = scratch();
        granted(&store.claim_for("unknown", None, at(0)).unwrap());
        let refused = store.claim("second", at(STALE_AFTER_S - 1)).unwrap();
        assert!(matches!(refused, Claim::Refused { .. }));
        granted(&store.claim("third", at(STALE_AFTER_S)).unwrap());
    }

    #[test]
    fn a_lease_from_times_to_come_is_refused_for_a_minute_and_not_for_ever() {
        let (_folder, store) = scratch();
        let dead = granted(&store.claim("dead", at(86_400)).unwrap());
        let refused = store.claim("second", at(0)).unwrap();
        let seen_at = at(0);
        let holder = "dead".to_owned();
        assert_eq!(refused, Claim::Refused { holder, seen_at });
        let refused = store.claim("third", at(STALE_AFTER_S - 1)).unwrap();
        assert!(matches!(refused, Claim::Refused { .. }));
        let heir = granted(&store.claim("fourth", at(STALE_AFTER_S)).unwrap());
        assert!(heir.fence > dead.fence);
    }

    #[test]
    fn a_living_holder_whose_clock_was_set_back_keeps_the_lease() {
        let (_folder, store) = scratch();
        let lease = granted(&store.claim("first", at(86_400)).unwrap());
        store.claim("second", at(0)).unwrap();
        store.renew(lease, at(15)).unwrap();
        let refused = store.claim("third", at(STALE_AFTER_S)).unwrap();
        assert!(matches!(refused, Claim::Refused { .. }));
    }

    #[test]
    fn a_sleeper_writes_nothing_into_the_state_of_its_heir() {
        let (_folder, store) = scratch();
        let sleeper = store.under(granted(&store.claim("sleeper", at(0)).unwrap()));
        sleeper.set_setting("name", "before").unwrap();
        store.mark(&[Mark::Everything]).unwrap();
        granted(&store.claim("heir", at(STALE_AFTER_S)).unwrap());
        for refused in [
            sleeper.set_setting("name", "after"),
            sleeper.drop_setting("name"),
            sleeper.clear_marks(100),
            sleeper.release_over(&[CategoryId(1)], None),
            sleeper.note(1, &[], at(61)),
            sleeper.settle(&[]),
            sleeper.put_off(&SetAside {
                category: CategoryId(1),
                user: UserId::new("ada"),
                reason: String::new(),
                at: at(61),
                first_wait_s: 60,
            }),
            sleeper.mark_due(at(61)).map(drop),
            sleeper.forget_checkpoint("campus"),
        ] {
            assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
        }
        assert_eq!(store.setting("name").unwrap().as_deref(), Some("before"));
        assert_eq!(store.marks().unwrap().marks, [Mark::Everything]);
    }

    #[test]
    fn a_sleeper_whose_lease_was_taken_over_can_write_nothing_more() {
        let (_folder, store) = scratch();
        let sleeper = granted(&store.claim("sleeper", at(0)).unwrap());
        let heir = granted(&store.claim("heir", at(STALE_AFTER_S)).unwrap());
        assert!(heir.fence > sleeper.fence);
        assert!(matches!(
            store.renew(sleeper, at(61)),
            Err(StoreError::LeaseLost)
        ));
        let connection = store.lock();
        assert!(matches!(
            check(&connection, sleeper),
            Err(StoreError::LeaseLost)
        ));
        check(&connection, heir).unwrap();
    }
}

//! A state file that is put back to an earlier state, and a clock that jumps.

use std::collections::BTreeSet;
use std::fs;

use rollbook::store::Store;

use super::directory::Known;
use super::site::Site;
use super::world::{Past, World};

/// A backup, and what was known when it was made.
pub(super) struct Backup {
    known: Known,
    undone: BTreeSet<(i64, String)>,
    past: Vec<Past>,
    number: u32,
}

impl World {
    /// Makes a backup in the place of the last one.
    pub(super) fn back_up(&mut self) {
        let number = self.backup.as_ref().map_or(0, |backup| backup.number + 1);
        let path = self.site.path(&format!("backup-{number}.db"));
        self.site.store().backup(&path).unwrap();
        self.backup = Some(Backup {
            known: self.known.clone(),
            undone: self.undone.clone(),
            past: self.past.clone(),
            number,
        });
    }

    /// Puts the last backup in the place of the state file: as another file, or poured into the one that is there.
    pub(super) fn put_back(&mut self, is_poured: bool) {
        let Some(backup) = &self.backup else { return };
        let path = self.site.path(&format!("backup-{}.db", backup.number));
        let came = self.site.generation();
        self.site.put_back(&path, is_poured);
        if is_poured && self.site.generation() == came {
            // Nothing has happened since: it is the same file in the same state.
            return;
        }
        self.known = backup.known.clone();
        self.undone.clone_from(&backup.undone);
        self.past.clone_from(&backup.past);
        // An approval is for the state file in which it was given, and so is the word on a configuration.
        self.approved.clear();
        self.accepted = None;
        // Whom was it that deactivated them?
        for (id, users) in self.site.snapshot() {
            let is_off = |rows: &Vec<(i64, i64, i64)>| rows.iter().any(|row| row.2 == 3);
            let off = users.into_iter().filter(|(_, rows)| is_off(rows));
            self.deactivated.extend(off.map(|(user, _)| (id, user)));
        }
    }

    /// Sets the clock on, or back, as the state file sees it. What was approved for an hour lapses.
    pub(super) fn set_clock(&mut self, is_on: bool) {
        self.site.set_clock(if is_on { 7200 } else { -7200 });
        if is_on {
            self.approved.clear();
        }
    }
}

impl Site {
    fn generation(&self) -> Option<String> {
        let sql = "SELECT value FROM setting WHERE name = 'generation'";
        self.state().query_row(sql, [], |row| row.get(0)).ok()
    }

    fn put_back(&mut self, backup: &std::path::Path, is_poured: bool) {
        let elsewhere = Store::open(&self.path("elsewhere.db")).unwrap();
        self.use_state(elsewhere);
        let file = self.path("rollbook.db");
        for beside in ["rollbook.db-wal", "rollbook.db-shm"] {
            let _ = fs::remove_file(self.path(beside));
        }
        if is_poured {
            fs::write(&file, fs::read(backup).unwrap()).unwrap();
        } else {
            fs::remove_file(&file).unwrap();
            fs::copy(backup, &file).unwrap();
        }
        self.use_state(Store::open(&file).unwrap());
    }

    /// Lets so many seconds pass at once for all that the state file has a time of, but for the history, which is sealed.
    fn set_clock(&self, seconds: i64) {
        self.state()
            .execute_batch(&format!(
                "UPDATE set_aside SET retry_at = retry_at - {seconds}, since = since - {seconds};
                 UPDATE held_category SET expires_at = expires_at - {seconds};
                 UPDATE departure SET since = since - {seconds};
                 UPDATE vanished_group SET since = since - {seconds};
                 UPDATE lease SET seen_at = max(seen_at - {seconds}, 0) WHERE seen_at > 0;"
            ))
            .unwrap();
        self.account().expire_sessions();
    }
}

//! The list of jobs, to its end.
//!
//! *Its one idea: a list is complete when it adds up.* It shows the newest first, so that jobs which
//! others hand in meanwhile push rows to the next page, where they come again; and an aborted job
//! leaves the list and pulls a row to the page before. What does not add up is read again once.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::kaltura::error::KalturaError;
use crate::kaltura::request::{Client, required};
use crate::kaltura::wire::{self, Call, JobRow, Listed};

/// Reads what was handed in at or after a time, newest first.
pub(super) async fn jobs_since(
    client: &Client,
    since: Timestamp,
) -> Result<Vec<JobRow>, KalturaError> {
    let mut reading = Reading::of(client, since).await?;
    if !reading.adds_up() {
        tracing::warn!(
            expected_rows = reading.expected,
            found_rows = reading.rows.len(),
            "the list of bulk uploads does not add up; reading it again"
        );
        tokio::time::sleep(client.pace.settle).await;
        reading = Reading::of(client, since).await?;
    }
    if reading.adds_up() {
        Ok(reading.rows.into_values().rev().collect())
    } else {
        Err(KalturaError::Incomplete {
            subject: format!("the bulk uploads since {since}"),
            expected: reading.expected,
            found: reading.rows.len() as u64,
        })
    }
}

/// What one reading has brought.
#[derive(Default)]
struct Reading {
    /// By number, which grows from job to job.
    rows: BTreeMap<i64, JobRow>,
    /// How many there are, as the server said last.
    expected: u64,
    /// Whether it has said something else before.
    moved: bool,
}

impl Reading {
    async fn of(client: &Client, since: Timestamp) -> Result<Self, KalturaError> {
        let mut reading = Self::default();
        for page in 1.. {
            let call = Call::list_jobs(since, page);
            let before = reading.rows.len();
            for answer in client.read_lists(std::slice::from_ref(&call)).await? {
                let listed: Listed<JobRow> = wire::read(&call.name(), required(&call, answer)?)?;
                let total = u64::try_from(listed.total_count).unwrap_or_default();
                reading.moved |= page > 1 && total != reading.expected;
                reading.expected = total;
                let rows = listed.objects.into_iter().flatten();
                reading.rows.extend(rows.map(|row| (row.id().0, row)));
            }
            // A page without news is behind the end, whatever the number of rows says.
            let found = reading.rows.len();
            if found as u64 >= reading.expected || found == before {
                break;
            }
        }
        Ok(reading)
    }

    fn adds_up(&self) -> bool {
        !self.moved && self.rows.len() as u64 == self.expected
    }
}

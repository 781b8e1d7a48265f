//! The right to run: asked for, shown to be in use, given back.
//!
//! *Its one idea: whoever has lost the right to run stops at once.*

use std::time::Duration;

use super::RunError;
use crate::clock;
use crate::store::lease::{Claim, Lease};
use crate::store::{Store, StoreError};

/// How often a run shows that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Asks for the right to run.
pub(super) async fn claim(store: &Store) -> Result<Lease, RunError> {
    let holder = format!("process {}", std::process::id());
    let claimed = store
        .run(move |store| store.claim(&holder, clock::now()))
        .await;
    match claimed {
        Ok(Claim::Granted(lease)) => Ok(lease),
        Ok(Claim::Refused { holder, seen_at }) => Err(RunError::Leased { holder, seen_at }),
        // A holder in the middle of a long write cannot show itself; it is there all the same.
        Err(StoreError::Busy) => Err(RunError::Leased {
            holder: "a process that is writing to the state file".to_owned(),
            seen_at: clock::now(),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Works for as long as the right to run is ours, and shows meanwhile that it is in use.
pub(super) async fn keep<T>(
    store: &Store,
    lease: Lease,
    work: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    let work = async {
        let done = work.await?;
        // Who slept while another did the work finds nothing to do, which is not what happened.
        store.run(move |store| store.is_ours(lease)).await?;
        Ok(done)
    };
    tokio::select! {
        result = work => result,
        lost = beat(store, lease) => Err(lost.into()),
    }
}

/// Gives the right to run back.
pub(super) async fn release(store: &Store, lease: Lease) -> Result<(), RunError> {
    Ok(store.run(move |store| store.release(lease)).await?)
}

/// Shows, again and again, that the run goes on. Ends when somebody else has taken over.
async fn beat(store: &Store, lease: Lease) -> StoreError {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let renewed = store
            .run(move |store| store.renew(lease, clock::now()))
            .await;
        match renewed {
            Ok(()) => {}
            Err(error @ StoreError::LeaseLost) => return error,
            Err(error) => tracing::error!(%error, "the lease could not be renewed"),
        }
    }
}

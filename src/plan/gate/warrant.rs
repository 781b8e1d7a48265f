//! By what right Kaltura is written to.
//!
//! *Its one idea: whoever writes shows a warrant, and only the gate makes one.* Kaltura's client takes it for its own
//! account only, and asks its fence right before each request that writes: between the decision and the request there
//! may be waits, for the agreed pace, for a session, before another attempt; and the process itself may be stopped.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::directory::Evidence;

type Ask = dyn Fn() -> BoxFuture<'static, bool> + Send + Sync;

/// Tells whether this process may still write. The default never says yes.
#[derive(Clone, Default)]
pub struct Fence(Option<Arc<Ask>>);

impl Fence {
    /// A fence that asks this. Where it cannot be told, the answer must be `false`.
    pub fn new(ask: impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ask)))
    }

    /// A fence that always says yes: for what needs no run of its own.
    pub fn open() -> Self {
        Self::new(|| Box::pin(std::future::ready(true)))
    }

    /// Whether this process may write now.
    pub async fn is_open(&self) -> bool {
        match &self.0 {
            Some(ask) => ask().await,
            None => false,
        }
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence")
    }
}

/// What a plan rests on.
#[derive(Debug, Clone, Default)]
pub struct Grounds {
    /// The Kaltura account that it was made for, as [`account`](crate::config::Kaltura::account) names it.
    pub account: String,
    /// The fingerprint of the configuration that it was made by.
    pub configuration: String,
    /// Whether the run that made it still holds the lease.
    pub fence: Fence,
    /// How much was known of each directory. None is named where a plan rests on the history alone: the way back
    /// from a run.
    pub evidence: BTreeMap<String, Evidence>,
}

/// The right to write to Kaltura. There is no way to have one but the gate.
#[derive(Debug, Clone)]
pub struct Warrant(Arc<Grounds>);

impl Warrant {
    pub(super) fn new(grounds: Grounds) -> Self {
        Self(Arc::new(grounds))
    }

    /// What it rests on.
    pub fn grounds(&self) -> &Grounds {
        &self.0
    }

    /// Whether it is for this account.
    pub fn is_for(&self, account: &str) -> bool {
        self.0.account == account
    }
}

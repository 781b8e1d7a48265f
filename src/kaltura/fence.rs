//! The right to write, asked for right before a request that writes goes out.
//!
//! Between the decision to write and the request there may be waits: for the agreed pace, for a session, before
//! another attempt; and the process itself may be stopped.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Tells whether this process may still write.
#[derive(Clone)]
pub struct Fence(Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>);

impl Fence {
    /// A fence that asks this. Where it cannot be told, the answer must be `false`.
    pub fn new(ask: impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(super) async fn is_open(fence: Option<&Self>) -> bool {
        match fence {
            Some(fence) => (fence.0)().await,
            None => true,
        }
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence")
    }
}

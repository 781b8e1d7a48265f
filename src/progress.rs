//! Progress on long work: a bar at a terminal, nothing anywhere else.

use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal;

/// Where progress shows. Cheap to clone; clones show in the same place.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    at_terminal: bool,
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Progress {
    /// Shows progress if the standard error is a terminal.
    pub fn at_terminal() -> Self {
        Self {
            at_terminal: terminal::is_stderr_terminal(),
            bar: Arc::default(),
        }
    }

    /// Begins something of a known length; 0: of an unknown one.
    pub fn begin(&self, what: &'static str, length: u64) {
        self.end();
        if !self.at_terminal {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let template = match length {
            0 => "{spinner} {msg} {human_pos}",
            _ => "{msg:>12} {bar:40} {human_pos}/{human_len}, {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        *self.slot() = Some(bar);
    }

    /// Goes on by so much.
    pub fn advance(&self, by: u64) {
        if let Some(bar) = &*self.slot() {
            bar.inc(by);
        }
    }

    /// Ends, and leaves nothing on the screen.
    pub fn end(&self) {
        if let Some(bar) = self.slot().take() {
            bar.finish_and_clear();
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

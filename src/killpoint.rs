//! Named points at which the process kills itself, to see what a crash leaves behind.
//!
//! *Its one idea: a crash is tested where it hurts, not only where chance puts it.* A test names a point
//! and the how-many-th passage through it, `ROLLBOOK_KILL_AT=after-planning:1`, and there the process
//! ends by SIGKILL, as if the machine's memory had run out: no destructor runs, nothing is flushed, no
//! transaction is rolled back by anybody who is still alive. (`abort` would do; but what a test waits
//! for should be what an operator sees.) Of all this there is nothing in a release build.

/// Ends the process if this is the point, and the passage, that it was told to end at.
pub(crate) fn here(point: &'static str) {
    #[cfg(debug_assertions)]
    wanted::pass(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
mod wanted {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Wanted {
        point: String,
        passage: u64,
    }

    fn wanted() -> Option<&'static Wanted> {
        static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
        let read = || {
            let text = std::env::var("ROLLBOOK_KILL_AT").ok()?;
            let (point, passage) = text.split_once(':').unwrap_or((&text, "1"));
            Some(Wanted {
                point: point.to_owned(),
                passage: passage.parse().ok()?,
            })
        };
        WANTED.get_or_init(read).as_ref()
    }

    pub(super) fn pass(point: &str) {
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let Some(wanted) = wanted().filter(|wanted| wanted.point == point) else {
            return;
        };
        if PASSED.fetch_add(1, Ordering::Relaxed) + 1 == wanted.passage {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }
}

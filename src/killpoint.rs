//! Named points at which the process kills itself, to see what a crash leaves behind.
//!
//! *Its one idea: a crash is tested where it hurts, not only where chance puts it.* A test names a point
//! and the how-many-th passage through it, `ROLLBOOK_KILL_AT=after-planning:1`, and there the process
//! ends by SIGKILL, as if the machine's memory had run out: no destructor runs, nothing is flushed, no
//! transaction is rolled back by anybody who is still alive. (`abort` would do; but what a test waits
//! for should be what an operator sees.) With `ROLLBOOK_STOP_AT` it falls asleep there, by SIGSTOP, until
//! somebody wakes it. Of all this there is nothing in a release build.

/// Ends or stops the process if this is the point, and the passage, at which it was told to.
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
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    struct Wanted {
        signal: Signal,
        point: String,
        passage: u64,
    }

    fn wanted() -> Option<&'static Wanted> {
        static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
        let read = || {
            let told = |name, signal| std::env::var(name).ok().map(|text| (text, signal));
            let (text, signal) = told("ROLLBOOK_KILL_AT", Signal::KILL)
                .or_else(|| told("ROLLBOOK_STOP_AT", Signal::STOP))?;
            let (point, passage) = text.split_once(':').unwrap_or((&text, "1"));
            Some(Wanted {
                signal,
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
            let _ = kill_process(getpid(), wanted.signal);
            // Another thread may be the one that takes the signal: this one must not go on meanwhile.
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

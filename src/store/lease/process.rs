//! The process that holds the lease, and whether it is gone.
//!
//! A process is known by its number, by when it started (numbers are used again), by the boot of its
//! machine, and by its namespaces: containers on one machine number their processes independently. Only
//! where boot and namespaces are ours can we tell that a process is gone. Everywhere else, and where
//! anything cannot be read, it counts as alive.

use std::fmt;
use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// A process of some machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    id: i32,
    /// Clock ticks after the boot.
    started: u64,
    place: Place,
}

/// Where the number of a process and its start mean the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    boot: String,
    /// The namespaces of process numbers and of time.
    namespaces: String,
}

impl Process {
    /// This process, where the system tells.
    pub(super) fn current() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// The process of this machine that has this number now.
    pub(super) fn of(id: u32) -> Option<Self> {
        let id = i32::try_from(id).ok()?;
        Some(Self {
            id,
            started: Stat::of(id).ok()??.started,
            place: Place::ours()?,
        })
    }

    /// Reads what `Display` writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut word = || words.next().filter(|word| !word.is_empty());
        Some(Self {
            id: word()?.parse().ok()?,
            started: word()?.parse().ok()?,
            place: Place {
                boot: word()?.to_owned(),
                namespaces: word()?.to_owned(),
            },
        })
    }

    /// Whether it is known to be gone.
    pub(super) fn is_gone(&self) -> bool {
        if Place::ours().as_ref() != Some(&self.place) {
            return false;
        }
        let Some(pid) = Pid::from_raw(self.id) else {
            return false;
        };
        // /proc may hide the processes of other users; a signal reaches them, or is not permitted.
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        match Stat::of(self.id) {
            Ok(Some(stat)) => stat.started != self.started || stat.is_over,
            Ok(None) | Err(_) => false,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { boot, namespaces } = &self.place;
        write!(f, "{} {} {boot} {namespaces}", self.id, self.started)
    }
}

impl Place {
    fn ours() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = |name: &str| {
            let link = fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
            Some(link.to_str()?.to_owned())
        };
        let processes = namespace("pid")?;
        // Old kernels have no namespaces of time.
        let time = namespace("time").unwrap_or_default();
        Some(Self {
            boot: boot.trim().to_owned(),
            namespaces: format!("{processes}{time}"),
        })
    }
}

/// What the system says of a process.
struct Stat {
    started: u64,
    /// Killed, all its threads ended, and only waiting for its parent to take notice.
    is_over: bool,
}

impl Stat {
    /// `None` where the text is not understood.
    fn of(id: i32) -> io::Result<Option<Self>> {
        Ok(Self::parse(&fs::read_to_string(format!(
            "/proc/{id}/stat"
        ))?))
    }

    /// `proc_pid_stat(5)`: number, name in parentheses (which may hold anything), state; of all fields the
    /// 20th is the count of threads, and the 22nd the start.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let threads: u64 = fields.get(17)?.parse().ok()?;
        Some(Self {
            started: fields.get(19)?.parse().ok()?,
            is_over: matches!(*fields.first()?, "Z" | "X") && threads <= 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A process of ours that does nothing until it is ended.
    fn child() -> (std::process::Child, Process) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        (child, process)
    }

    #[test]
    fn a_process_is_gone_once_it_is_killed_whether_or_not_its_parent_has_taken_notice() {
        let (mut child, process) = child();
        assert!(!process.is_gone());
        child.kill().unwrap();
        let is_zombie = || Stat::of(process.id).unwrap().unwrap().is_over;
        while !is_zombie() {
            std::thread::yield_now();
        }
        assert!(process.is_gone());
        child.wait().unwrap();
        assert!(process.is_gone());
    }

    #[test]
    fn a_number_that_another_process_has_now_is_not_that_process() {
        let ours = Process::current().unwrap();
        assert!(!ours.is_gone());
        let before = Process {
            started: ours.started - 1,
            ..ours
        };
        assert!(before.is_gone());
    }

    #[test]
    fn a_process_of_another_boot_or_container_is_not_known_to_be_gone() {
        let (mut child, process) = child();
        child.kill().unwrap();
        child.wait().unwrap();
        let place = process.place.clone();
        let elsewhere = |boot: &str, namespaces: &str| Process {
            place: Place {
                boot: boot.to_owned(),
                namespaces: namespaces.to_owned(),
            },
            ..process.clone()
        };
        assert!(elsewhere(&place.boot, &place.namespaces).is_gone());
        assert!(!elsewhere("another", &place.namespaces).is_gone());
        assert!(!elsewhere(&place.boot, "pid:[1]").is_gone());
    }

    #[test]
    fn a_process_is_stored_as_a_text() {
        let ours = Process::current().unwrap();
        assert_eq!(Process::parse(&ours.to_string()), Some(ours));
        assert_eq!(Process::parse(""), None);
        assert_eq!(Process::parse("12 13 boot "), None);
    }

    #[test]
    fn a_name_with_parentheses_is_no_field() {
        let text = "7 (a) Z (b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 4711 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.started, stat.is_over), (4711, false));
    }
}

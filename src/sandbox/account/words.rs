//! Kaltura's numbers in the words of people.
//!
//! *Its one idea: a person at the page says "manager" and "by hand", never 0 and 0.*

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $number:literal $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$of])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The one of Kaltura's number; the last where there is none.
            pub fn of(number: i64) -> Self {
                let all = [$(($number, Self::$variant),)*];
                let found = all.iter().find(|(known, _)| *known == number);
                found.unwrap_or(&all[all.len() - 1]).1
            }

            /// Kaltura's number.
            pub fn number(self) -> i64 {
                match self {
                    $(Self::$variant => $number,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)*
                })
            }
        }
    };
}

words! {
    /// What a member may do (`permissionLevel`).
    Level {
        /// Everything.
        Manager = 0 "manager",
        /// Approve what others add.
        Moderator = 1 "moderator",
        /// Add media.
        Contributor = 2 "contributor",
        /// Watch.
        Member = 3 "member",
        /// Nothing.
        None = 4 "none",
    }
}

words! {
    /// Who takes care of a membership (`updateMethod`).
    Method {
        /// A person.
        Manual = 0 "manual",
        /// A program.
        Automatic = 1 "automatic",
    }
}

words! {
    /// Whether a membership counts (`status`).
    Status {
        /// It does.
        Active = 1 "active",
        /// It waits for somebody to agree.
        Pending = 2 "pending",
        /// It is kept, and does not.
        Deactivated = 3 "deactivated",
    }
}

words! {
    /// Who may join by themselves (`userJoinPolicy`).
    JoinPolicy {
        /// Everybody.
        Everybody = 1 "everybody",
        /// Who asks, and is let in.
        OnRequest = 2 "on request",
        /// Nobody.
        Nobody = 3 "nobody",
    }
}

words! {
    /// Where a bulk upload stands (`KalturaBatchJobStatus`).
    BulkStatus {
        /// No worker has taken it yet.
        HandedIn = 11 "handed in",
        /// A worker reads the file.
        BeingRead = 1 "being read",
        /// A worker has it in hand.
        InHand = 2 "in a worker's hand",
        /// More rows than one run takes, or a run that came to nothing.
        WaitsForNextRun = 9 "waits for its next run",
        /// Only the closer has yet to come.
        AlmostDone = 8 "almost done",
        /// Over, without an error.
        Done = 5 "done",
        /// Over, with some rows in error.
        DoneWithErrors = 12 "done, with errors",
        /// Over, because somebody wanted it so.
        Aborted = 7 "aborted",
        /// Over, with nothing done or a worker that gave up.
        Failed = 6 "failed",
    }
}

//! What an account holds before anybody synchronises.
//!
//! *Its one idea: the same account every time*, so that what somebody tried can be tried again.

use std::collections::HashSet;

use super::account::{Account, CHANNELS, Level, Method, NewCategory, Status};

/// Where the made-up university comes from.
const UNIVERSITY: u64 = 2026;

/// Courses of each subject.
const COURSES: u32 = 150;

/// The longest name Kaltura takes for a category.
const NAME_CHARACTERS: usize = 60;

const SUBJECTS: [(&str, &str); 20] = [
    ("ANT", "Anthropology"),
    ("ART", "History of Art"),
    ("AST", "Astronomy"),
    ("BIO", "Biology"),
    ("CHE", "Chemistry"),
    ("CLA", "Classics"),
    ("CSC", "Computer Science"),
    ("ECO", "Economics"),
    ("EDU", "Education"),
    ("ENG", "English Literature"),
    ("GEO", "Geography"),
    ("HIS", "History"),
    ("LAW", "Law"),
    ("LIN", "Linguistics"),
    ("MAT", "Mathematics"),
    ("MED", "Medicine"),
    ("MUS", "Music"),
    ("PHI", "Philosophy"),
    ("PHY", "Physics"),
    ("PSY", "Psychology"),
];

const FIRST_NAMES: [&str; 16] = [
    "Ada", "Alan", "Barbara", "Carl", "Dorothy", "Edsger", "Emmy", "Fritz", "Grace", "Hedy",
    "Kurt", "Lise", "Marie", "Niels", "Otto", "Sofia",
];

const LAST_NAMES: [&str; 16] = [
    "Bohr",
    "Curie",
    "Dijkstra",
    "Fischer",
    "Gauss",
    "Haber",
    "Hahn",
    "Hodgkin",
    "Hopper",
    "Lamarr",
    "Lovelace",
    "McClintock",
    "Meitner",
    "Noether",
    "Pauling",
    "Turing",
];

/// A handful of channels and users: those of `rollbook demo`, and what people did there by hand.
pub fn small(account: &Account) {
    let channel = |reference: &str, name: &str, owner: &str| {
        account.add_category(&NewCategory {
            path: format!("{CHANNELS}>{name}"),
            reference_id: Some(reference.to_owned()),
            owner: Some(owner.to_owned()),
            inherit: false,
        })
    };
    for user in ["ada", "alan", "grace", "linus", "marie", "otto"] {
        account.add_user(user, Some(&format!("{user}@example.edu")));
    }
    let biology = channel("BIO-101", "Biology 101", "media-team");
    channel("CHE-110", "Chemistry 110", "media-team");
    channel("HIS-230", "Medieval History", "bede");
    channel("STAFF", "Teaching Staff", "media-team");
    account.add_category(&NewCategory {
        path: format!("{CHANNELS}>Campus News"),
        ..NewCategory::default()
    });
    put(account, biology, "linus", Level::Moderator, Method::Manual);
    put(account, biology, "otto", Level::Member, Method::Automatic);
}

/// Three thousand channels, eight thousand users, and fifty thousand memberships.
pub fn university(account: &Account) {
    let mut random = fastrand::Rng::with_seed(UNIVERSITY);
    let mut users = Vec::with_capacity(8000);
    for number in 0..8000_u32 {
        let first = FIRST_NAMES[random.usize(..FIRST_NAMES.len())];
        let last = LAST_NAMES[random.usize(..LAST_NAMES.len())];
        let id = format!("{first}.{last}.{number:04}").to_lowercase();
        account.add_user(&id, Some(&format!("{id}@example.edu")));
        users.push(id);
    }
    for (code, subject) in SUBJECTS {
        for course in 101..101 + COURSES {
            let id = account.add_category(&NewCategory {
                path: format!("{CHANNELS}>{subject} {course}"),
                reference_id: Some(format!("{code}-{course}")),
                owner: Some("media-team".to_owned()),
                inherit: false,
            });
            for place in 0..random.usize(4..29) {
                let user = &users[random.usize(..users.len())];
                let level = if place == 0 {
                    Level::Manager
                } else {
                    Level::Member
                };
                let by_hand = random.u8(..) < 8;
                let method = if by_hand {
                    Method::Manual
                } else {
                    Method::Automatic
                };
                put(account, id, user, level, method);
            }
        }
    }
}

/// A channel for each of these groups, given by ID and name: the ID becomes the reference ID, letter by
/// letter. Answers how many channels there are.
pub fn groups(account: &Account, groups: impl IntoIterator<Item = (String, String)>) -> usize {
    let mut made = HashSet::new();
    let mut names = HashSet::new();
    for (id, name) in groups {
        if !made.insert(id.clone()) {
            continue;
        }
        let mut name = channel_name(&name);
        // Two channels of one place cannot have one name; case does not count.
        if name.is_empty() || !names.insert(name.to_lowercase()) {
            name = channel_name(&id);
            names.insert(name.to_lowercase());
        }
        account.add_category(&NewCategory {
            path: format!("{CHANNELS}>{name}"),
            reference_id: Some(id),
            owner: Some("media-team".to_owned()),
            inherit: false,
        });
    }
    made.len()
}

/// A name that a category can have.
fn channel_name(name: &str) -> String {
    let name: String = name
        .replace(['>', '\n', '\r'], " ")
        .trim()
        .chars()
        .take(NAME_CHARACTERS)
        .collect();
    name.trim_end().to_owned()
}

fn put(account: &Account, channel: i64, user: &str, level: Level, method: Method) {
    let (level, method) = (level.number(), method.number());
    account.set_membership(channel, user, level, method, Status::Active.number());
}

//! An ordinary year of a university, week by week: how often is somebody asked?
//!
//! With the limits as they are by default. Each question is answered with yes. Their list is told at the end; the
//! channels must be as the groups at the end of each week.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::site::{Site, with};
use crate::slapd::{self, SUFFIX};

const PEOPLE: usize = 240;
const COURSES: usize = 24;
const IN_A_COURSE: usize = 14;
const WEEK_S: i64 = 7 * 24 * 3600;
/// Fewer questions than a dozen in a year.
const MOST_QUESTIONS: usize = 11;

struct Year {
    site: Site,
    groups: BTreeMap<String, BTreeSet<usize>>,
    there: BTreeSet<usize>,
    random: u64,
    /// What happens in the directory, not yet sent.
    changes: String,
    questions: Vec<String>,
}

impl Year {
    /// A number below this one.
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % limit as u64).unwrap()
    }

    fn somebody(&mut self) -> usize {
        let all: Vec<usize> = self.there.iter().copied().collect();
        all[self.below(all.len())]
    }

    fn course(&mut self) -> String {
        let courses = self.groups.keys().filter(|name| name.starts_with("course"));
        let courses: Vec<String> = courses.cloned().collect();
        courses[self.below(courses.len())].clone()
    }

    fn member(&mut self, group: &str, change: &str, person: usize) {
        let members = self.groups.get_mut(group).unwrap();
        let is_change = match change {
            "add" => members.insert(person),
            _ => members.len() > 1 && members.remove(&person),
        };
        if is_change {
            write!(
                self.changes,
                "dn: cn={group},ou=groups,{SUFFIX}\nchangetype: modify\n{change}: member\n\
                 member: uid=p{person},ou=people,{SUFFIX}\n\n"
            )
            .unwrap();
        }
    }

    /// A few people come to courses, go, or go over to another.
    fn ordinary_week(&mut self) {
        for _ in 0..5 {
            let (from, to, person) = (self.course(), self.course(), self.somebody());
            match self.below(3) {
                0 => self.member(&to, "add", person),
                1 => self.member(&from, "delete", person),
                _ => {
                    self.member(&from, "delete", person);
                    self.member(&to, "add", person);
                }
            }
        }
    }

    /// New courses with new channels; a portal makes the channel first.
    fn new_courses(&mut self, term: &str) {
        for number in 0..8 {
            let name = format!("course-{term}-{number}");
            self.site.add_channel(&name);
            let members: BTreeSet<usize> = (0..IN_A_COURSE).map(|_| self.somebody()).collect();
            let entry = slapd::group(&name, members.iter().copied());
            self.changes += &entry.replacen('\n', "\nchangetype: add\n", 1);
            self.groups.insert(name, members);
        }
    }

    /// The groups of courses that are over are deleted; their channels stay as archives.
    fn courses_end(&mut self) {
        let over: Vec<String> = self.groups.keys().take(8).cloned().collect();
        for name in over {
            writeln!(
                self.changes,
                "dn: cn={name},ou=groups,{SUFFIX}\nchangetype: delete\n"
            )
            .unwrap();
            self.groups.remove(&name);
        }
    }

    /// Many go over from one course to another in the first weeks.
    fn mass_move(&mut self) {
        for _ in 0..40 {
            let (from, to) = (self.course(), self.course());
            let members: Vec<usize> = self.groups[&from].iter().copied().collect();
            let person = members[self.below(members.len())];
            self.member(&from, "delete", person);
            self.member(&to, "add", person);
        }
    }

    /// Some finish: their entries are deleted, and the groups follow.
    fn graduation(&mut self) {
        for _ in 0..20 {
            let person = self.somebody();
            let groups: Vec<String> = self.groups.keys().cloned().collect();
            for group in groups {
                self.member(&group, "delete", person);
            }
            if self
                .groups
                .values()
                .all(|members| !members.contains(&person))
            {
                self.there.remove(&person);
                writeln!(
                    self.changes,
                    "dn: uid=p{person},ou=people,{SUFFIX}\nchangetype: delete\n"
                )
                .unwrap();
            }
        }
    }

    /// The week's runs, and the answers to what they ask.
    async fn runs(&mut self, week: usize, what: &str) {
        if !self.changes.is_empty() {
            self.site.slapd.modify(&std::mem::take(&mut self.changes));
        }
        for _ in 0..4 {
            let run = self.site.sync().await;
            let Some(4) = run.code else {
                assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
                break;
            };
            let held = run.stdout.lines().find(|line| line.starts_with("Held: "));
            let held = held.unwrap_or_default().to_owned();
            self.questions.push(format!("week {week}, {what}: {held}"));
            let digest = run.digest();
            self.site.rollbook(&["approve", &digest]).await.is(0);
        }
        for (name, members) in &self.groups {
            let mut wanted: Vec<String> = members.iter().map(|p| format!("p{p}")).collect();
            wanted.sort();
            assert_eq!(self.site.members(name), wanted, "week {week}: {name}");
        }
        // A week passes, for what counts losses over a time.
        let state = rusqlite::Connection::open(self.site.path("rollbook.db")).unwrap();
        let sql = format!("UPDATE history SET at = at - {WEEK_S}");
        state.execute_batch(&sql).unwrap();
    }
}

#[tokio::test]
async fn an_ordinary_year_asks_fewer_than_a_dozen_questions() {
    let seed = crate::slapd_model::fresh_seed();
    let names = (0..COURSES).map(|number| &*format!("course-0-{number:02}").leak());
    let groups: Vec<(&'static str, Vec<usize>)> = names
        .enumerate()
        .map(|(n, name)| {
            (
                name,
                (0..IN_A_COURSE).map(|m| (n * 9 + m) % PEOPLE).collect(),
            )
        })
        .collect();
    let slices: Vec<(&'static str, &[usize])> =
        groups.iter().map(|(name, all)| (*name, &all[..])).collect();
    let site = with(PEOPLE, &slices)
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    let mut year = Year {
        site,
        groups: groups
            .iter()
            .map(|(name, all)| ((*name).to_owned(), all.iter().copied().collect()))
            .collect(),
        there: (0..PEOPLE).collect(),
        random: seed | 1,
        changes: String::new(),
        questions: Vec::new(),
    };
    for week in 1..=52 {
        let what = match week {
            8 | 34 => {
                year.new_courses(&week.to_string());
                "new courses"
            }
            10 | 36 => {
                year.mass_move();
                "first weeks of a term"
            }
            26 | 51 => {
                year.courses_end();
                "courses end"
            }
            28 => {
                year.graduation();
                "graduation"
            }
            _ => "an ordinary week",
        };
        year.ordinary_week();
        year.runs(week, what).await;
    }
    let questions = year.questions.len();
    let told = format!(
        "a year, seed {seed}: {questions} questions\n  {}",
        year.questions.join("\n  ")
    );
    assert!(questions <= MOST_QUESTIONS, "{told}");
    crate::figures::tell("year", &told);
}

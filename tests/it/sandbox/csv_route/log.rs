//! What the engine says became of a file, read by Rollbook, also when it comes damaged.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use rollbook::category::PermissionLevel;
use rollbook::kaltura::csv::{Log, Row, RowVerdict, Style};
use rollbook::sandbox::BulkFault;

use super::{Deed, Site, deed, file, runner};

/// Something that happens to a log on its way.
#[derive(Debug, Clone)]
enum Accident {
    Lose(Index),
    Double(Index),
    Swap(Index, Index),
    Garbage(Index, String),
    Insert(Index, char),
    Erase(Index),
    Cut(Index),
}

fn accident() -> impl Strategy<Value = Accident> {
    let garbage = "[0-9a-z,\" äö\\\\]{0,30}";
    prop_oneof![
        any::<Index>().prop_map(Accident::Lose),
        any::<Index>().prop_map(Accident::Double),
        any::<(Index, Index)>().prop_map(|(one, other)| Accident::Swap(one, other)),
        (any::<Index>(), garbage).prop_map(|(at, text)| Accident::Garbage(at, text)),
        (any::<Index>(), select(b"\",\\012x \r\0".to_vec()))
            .prop_map(|(at, byte)| Accident::Insert(at, char::from(byte))),
        any::<Index>().prop_map(Accident::Erase),
        any::<Index>().prop_map(Accident::Cut),
    ]
}

impl Accident {
    fn befall(&self, log: &mut String) {
        let mut lines: Vec<&str> = log.split_inclusive('\n').collect();
        if lines.is_empty() {
            return;
        }
        *log = match self {
            Self::Lose(at) => {
                lines.remove(at.index(lines.len()));
                lines.concat()
            }
            Self::Double(at) => {
                let at = at.index(lines.len());
                lines.insert(at, lines[at]);
                lines.concat()
            }
            Self::Swap(one, other) => {
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                lines.concat()
            }
            Self::Garbage(at, text) => {
                let text = format!("{text}\n");
                lines.insert(at.index(lines.len()), &text);
                lines.concat()
            }
            Self::Insert(at, c) => {
                let at = log.floor_char_boundary(at.index(log.len()));
                format!("{}{c}{}", &log[..at], &log[at..])
            }
            Self::Erase(at) => {
                let at = log.floor_char_boundary(at.index(log.len()));
                let mut rest = log[at..].chars();
                rest.next();
                format!("{}{}", &log[..at], rest.as_str())
            }
            Self::Cut(at) => log[..log.floor_char_boundary(at.index(log.len()))].to_owned(),
        };
    }
}

/// What became of a row, without the text.
fn kind(verdict: &RowVerdict) -> &'static str {
    match verdict {
        RowVerdict::Done => "done",
        RowVerdict::Refused(_) => "refused",
        RowVerdict::DoneBut(_) => "done, but",
        RowVerdict::Unknown => "unknown",
    }
}

/// What became of each row of a job, as the account itself knows it; rows are of one person each.
fn truth(site: &Site, job: i64, rows: &[Row]) -> Vec<&'static str> {
    let writes = site.sandbox.account().calls().writes();
    let writes: Vec<_> = writes
        .iter()
        .filter(|write| write.bulk_job == Some(job))
        .collect();
    let truth = rows.iter().map(|row| {
        let mut of = writes
            .iter()
            .filter(|write| write.user_id == row.user().as_str());
        match of.next().map(|write| write.error.is_none()) {
            Some(true) => "done",
            _ => "refused",
        }
    });
    truth.collect()
}

#[test]
fn a_log_says_what_happened_or_nothing_whatever_happens_to_it() {
    let site = Site::new();
    let case = std::cell::Cell::new(0);
    let people = vec((prop::option::of((0..4_i64, 0..2_i64)), deed()), 1..30);
    let accidents = vec(accident(), 1..6);
    let some = || vec(any::<Index>(), 0..4);
    runner(120)
        .run(
            &(people, some(), some(), accidents),
            |(people, halves, doubts, accidents)| {
                case.set(case.get() + 1);
                let case = case.get();
                let id = site.channel(&format!("{case}"), "");
                let account = site.sandbox.account();
                let style = Style::default();
                let mut rows = Vec::new();
                for (number, (before, deed)) in people.into_iter().enumerate() {
                    // Of one length: no accident with one letter makes somebody of somebody else.
                    let user = format!("-{case:06}@{number:02}");
                    if let Some((level, method)) = before {
                        account.set_membership(id, &user, level, method, 1);
                    }
                    let piece = style.piece(&[deed.write(id, &user)], None, ()).unwrap();
                    rows.extend(piece.rows);
                }
                let job = site.hand_in("categoryUser", &file(style, &rows));
                let mut log = site.log(job);
                let mut truth = truth(&site, job, &rows);
                let read = |log: &str| Log::read(log.as_bytes()).verdicts(&rows);

                let verdicts = read(&log);
                let kinds: Vec<_> = verdicts.iter().map(kind).collect();
                prop_assert_eq!(&kinds, &truth, "{}", log);
                for (row, verdict) in rows.iter().zip(&verdicts) {
                    if let RowVerdict::Refused(text) = verdict {
                        prop_assert!(!text.contains(row.user().as_str()), "{}", text);
                    }
                }
                let shuffled: String = log.split_inclusive('\n').rev().collect();
                prop_assert_eq!(read(&shuffled), verdicts);

                // Statuses that could not be set, as the server says it. The lines are still those of the rows.
                let mut lines: Vec<String> = log.split_inclusive('\n').map(str::to_owned).collect();
                for row in halves.iter().map(|half| half.index(rows.len())) {
                    if truth[row] == "done" {
                        let done = lines[row].trim_end();
                        lines[row] =
                            format!("{done},\"Timed out while attempting to grab lock\"\n");
                        truth[row] = "done, but";
                    }
                }
                log = lines.concat();
                let kinds: Vec<_> = read(&log).iter().map(kind).collect();
                prop_assert_eq!(&kinds, &truth, "{}", log);

                let mut doubtful = truth.clone();
                for row in doubts.iter().map(|doubt| doubt.index(rows.len())) {
                    let line = lines[row].splitn(7, ',').collect::<Vec<_>>()[..6].join(",");
                    let other = if truth[row] == "refused" {
                        "2,,1"
                    } else {
                        "1,,0"
                    };
                    lines.push(format!("{line},{other}\n"));
                    doubtful[row] = "unknown";
                }
                for lines in [
                    lines.concat(),
                    lines.iter().rev().map(String::as_str).collect(),
                ] {
                    let kinds: Vec<_> = read(&lines).iter().map(kind).collect();
                    prop_assert_eq!(&kinds, &doubtful, "{}", lines);
                }

                for accident in accidents {
                    accident.befall(&mut log);
                }
                for (verdict, truth) in read(&log).iter().zip(truth) {
                    let kind = kind(verdict);
                    prop_assert!(
                        kind == truth || kind == "unknown",
                        "{verdict:?}, {truth}: {log}"
                    );
                }
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn logs_that_go_wrong_on_demand_are_read_as_far_as_they_go() {
    let site = Site::new();
    let style = Style::default();
    let verdicts = |number: usize, fault| {
        let id = site.channel(&format!("{number}"), "");
        let rows: Vec<Row> = ["ada", "-bob", "@joe"]
            .iter()
            .flat_map(|user| {
                let write = Deed::Add(PermissionLevel::Member).write(id, user);
                style.piece(&[write], None, ()).unwrap().rows
            })
            .collect();
        site.sandbox.account().faults().next_bulk_job(fault);
        let job = site.hand_in("categoryUser", &file(style, &rows));
        let log = Log::read(site.log(job).as_bytes());
        let kinds: Vec<&str> = log.verdicts(&rows).iter().map(kind).collect();
        kinds
    };
    assert_eq!(
        verdicts(1, BulkFault::LogLacksRows(2)),
        ["done", "unknown", "unknown"]
    );
    assert_eq!(
        verdicts(2, BulkFault::LogHasAnotherCell),
        ["done", "done", "done"]
    );
    assert_eq!(
        verdicts(3, BulkFault::LogRepeatsRows),
        ["done", "done", "done"]
    );
    assert_eq!(
        verdicts(4, BulkFault::Fail),
        ["unknown", "unknown", "unknown"]
    );
}

//! Categories and people by file: what Rollbook writes, read by the engine.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use rollbook::category::{ReferenceId, UserId};
use rollbook::kaltura::csv::channel::{ChannelRow, Contribution, Making, Privacy};
use rollbook::kaltura::csv::person::PersonRow;
use rollbook::kaltura::csv::{Heading, Log, RowVerdict, Sheet, write_sheet};
use rollbook::sandbox::NewCategory;

use super::client::call;
use super::csv_route::{Site, runner};

const ROOT: &str = "MediaSpace>site>channels";

fn file<S: Sheet>(rows: &[S]) -> Vec<u8> {
    let mut file = Vec::new();
    let heading = Heading::new(["Rollbook, \"channels\" to be made", "\\"]);
    write_sheet(&mut file, &heading, rows).unwrap();
    file
}

/// What people write, and what engines stumble over.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-zäöÅé日 ._:/@()&;!$=~'\\[\\]{}+-]{1,30}",
        "\\PC{1,20}",
        "[ \u{a0}àÂ£Р†*#\"',{}:0-9a-z\\\\<>]{1,12}",
        "[a\"]{0,3},?(\\{1:result)?\\PC[ \"]{0,2}\\PC",
    ]
}

/// Kaltura may say "done", or be misread; it may never be taken to have refused what it did.
fn is_done(verdicts: &[RowVerdict]) -> bool {
    verdicts
        .iter()
        .all(|verdict| matches!(verdict, RowVerdict::Done | RowVerdict::Unknown))
}

#[test]
fn whoever_fits_an_end_users_file_is_in_kaltura_byte_for_byte() {
    let site = Site::new();
    let case = Cell::new(0);
    let person = (text(), prop::option::of(text()), prop::option::of(text()));
    runner(60)
        .run(&vec(person, 1..20), |people| {
            case.set(case.get() + 1);
            let rows: Vec<PersonRow> = people
                .iter()
                .enumerate()
                .filter_map(|(n, (first, last, mail))| {
                    let user = UserId::new(format!("u{}.{n}", case.get()));
                    PersonRow::new(&user, Some(first), last.as_deref(), mail.as_deref()).ok()
                })
                .collect();
            // Twice: who is added is then updated.
            for _ in 0..2 {
                let job = site.hand_in("user", &file(&rows));
                let log = site.log(job);
                prop_assert!(is_done(&Log::read(log.as_bytes()).verdicts(&rows)), "{log}");
            }
            for row in &rows {
                let asked = json!({"ks": site.ks, "userId": row.user().as_str()});
                let user = site
                    .runtime
                    .block_on(call(&site.sandbox, "user.get", asked));
                let cells = [&user["id"], &user["firstName"], &user["lastName"]]
                    .map(|cell| cell.as_str().unwrap_or_default().to_owned());
                let n: usize = row
                    .user()
                    .as_str()
                    .rsplit_once('.')
                    .unwrap()
                    .1
                    .parse()
                    .unwrap();
                let (first, last, mail) = &people[n];
                prop_assert_eq!(&cells[0], row.user().as_str());
                prop_assert_eq!(&cells[1], first);
                prop_assert_eq!(&cells[2], last.as_deref().unwrap_or_default());
                let screen = format!("{first} {}", last.as_deref().unwrap_or_default());
                // Where a name is nothing but white space, Kaltura shows the user ID.
                let shown = match screen.trim() {
                    "" => row.user().as_str(),
                    screen => screen,
                };
                prop_assert_eq!(&user["screenName"], shown);
                prop_assert_eq!(user["email"].as_str(), mail.as_deref());
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_channel_that_fits_a_categories_file_is_in_kaltura_byte_for_byte() {
    let site = Site::new();
    site.sandbox.account().add_category(&NewCategory {
        path: ROOT.to_owned(),
        ..NewCategory::default()
    });
    let making = Making::new(
        ROOT,
        UserId::new("rector"),
        Privacy::Members,
        Contribution::Members,
    );
    let making = Arc::new(making.unwrap());
    let case = Cell::new(0);
    runner(60)
        .run(&vec((text(), text()), 1..20), |channels| {
            case.set(case.get() + 1);
            let mut rows: BTreeMap<String, ChannelRow> = BTreeMap::new();
            for (n, (name, reference_id)) in channels.iter().enumerate() {
                // Names of siblings are to differ, reference IDs need not.
                let name = format!("{name}{}-{n}", case.get());
                if let Ok(row) = making.row(&name, &ReferenceId::new(reference_id.as_str())) {
                    rows.insert(name, row);
                }
            }
            let rows: Vec<ChannelRow> = rows.into_values().collect();
            if rows.is_empty() {
                return Ok(());
            }
            let job = site.hand_in("category", &file(&rows));
            let log = site.log(job);
            prop_assert!(is_done(&Log::read(log.as_bytes()).verdicts(&rows)), "{log}");
            for row in &rows {
                let path = format!("{ROOT}>{}", row.name());
                let id = site.sandbox.account().category_at(&path);
                prop_assert!(id.is_some(), "{path}: {log}");
                let asked = json!({"ks": site.ks, "id": id});
                let made = site
                    .runtime
                    .block_on(call(&site.sandbox, "category.get", asked));
                prop_assert_eq!(&made["name"], row.name());
                prop_assert_eq!(&made["referenceId"], row.reference_id().as_str());
                prop_assert_eq!(&made["owner"], "rector");
                let policies = [
                    "privacy",
                    "appearInList",
                    "contributionPolicy",
                    "inheritanceType",
                ];
                let policies = policies.map(|policy| made[policy].as_i64().unwrap_or_default());
                prop_assert_eq!(policies, [3, 3, 2, 2]);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_channel_whose_name_is_taken_is_refused_and_the_others_are_made() {
    let site = Site::new();
    site.sandbox.account().add_category(&NewCategory {
        path: format!("{ROOT}>Biology"),
        ..NewCategory::default()
    });
    let making = Making::new(ROOT, UserId::new("rector"), Privacy::All, Contribution::All);
    let making = Arc::new(making.unwrap());
    let rows = ["biology", "Chemistry"].map(|name| {
        let row = making.row(name, &ReferenceId::new(name));
        row.unwrap()
    });
    let job = site.hand_in("category", &file(&rows));
    let verdicts = Log::read(site.log(job).as_bytes()).verdicts(&rows);
    assert!(
        matches!(&verdicts[0], RowVerdict::Refused(text) if text.contains("already exists")),
        "{verdicts:?}"
    );
    assert_eq!(verdicts[1], RowVerdict::Done);
}

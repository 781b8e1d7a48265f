use jiff::SignedDuration;

use super::*;
use crate::category::PermissionLevel;
use crate::directory::GroupId;
use crate::store::tests::scratch;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
}

fn event(category: i64, user: &str, decision: Decision) -> Event {
    Event {
        category: CategoryId(category),
        user: UserId::new(user),
        decision,
        cause: crate::plan::category::Cause::default(),
        before: None,
        why: Some(Grant::direct(GroupId::new("bio"))),
        outcome: Outcome::Done,
        answer: None,
        approved_by: None,
    }
}

fn add(user: &str) -> Event {
    let level = PermissionLevel::Member;
    event(1, user, Decision::Add { level })
}

fn write(store: &Store, events: &[Event], hour: i64) {
    let mut connection = store.lock();
    let transaction = connection.transaction().unwrap();
    append(&transaction, 7, events, at(hour)).unwrap();
    transaction.commit().unwrap();
}

fn lines(store: &Store, asked: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    store
        .history(asked, |line| {
            found.push(format!("{} {}", line.number, line.user));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    found
}

fn three(store: &Store) {
    write(store, &[add("ada"), add("bob")], 0);
    write(store, &[event(2, "ADA", Decision::Remove { copies: 1 })], 5);
}

#[test]
fn a_whole_chain_is_whole() {
    let (_folder, store) = scratch();
    assert_eq!(
        store.verify_history(None).unwrap(),
        Chain::Whole { lines: 0 }
    );
    three(&store);
    assert_eq!(
        store.verify_history(None).unwrap(),
        Chain::Whole { lines: 3 }
    );
}

#[test]
fn a_history_that_was_written_anew_is_not_the_one_of_a_known_head() {
    let (_folder, store) = scratch();
    assert_eq!(store.history_head().unwrap(), None);
    three(&store);
    let head = store.history_head().unwrap().unwrap();
    let known: Head = head.to_string().parse().unwrap();
    let verified = |store: &Store| store.verify_history(Some(&known)).unwrap();
    assert_eq!(verified(&store), Chain::Whole { lines: 3 });
    write(&store, &[add("dora")], 6);
    assert_eq!(verified(&store), Chain::Whole { lines: 4 });

    let (_other, forged) = scratch();
    write(&forged, &[add("ada")], 0);
    assert_eq!(verified(&forged), Chain::CutOff { last: 1, was: 3 });
    write(&forged, &[add("eve"), add("dora"), add("cy")], 5);
    assert_eq!(verified(&forged), Chain::Broken { number: 3 });
    store.prune_history(at(9)).unwrap();
    assert_eq!(verified(&store), Chain::Pruned { up_to: 4 });
    assert!("3".parse::<Head>().is_err());
}

#[test]
fn a_line_that_is_removed_or_changed_shows() {
    for (damage, expected) in [
        (
            "DELETE FROM history WHERE seq = 1",
            Chain::Broken { number: 2 },
        ),
        (
            "DELETE FROM history WHERE seq = 2",
            Chain::Broken { number: 3 },
        ),
        (
            "UPDATE history SET user_id = 'eve' WHERE seq = 2",
            Chain::Broken { number: 2 },
        ),
        (
            "UPDATE history SET approved_by = 'eve' WHERE seq = 1",
            Chain::Broken { number: 1 },
        ),
        (
            "DELETE FROM history WHERE seq = 3",
            Chain::CutOff { last: 2, was: 3 },
        ),
        ("DELETE FROM history", Chain::CutOff { last: 0, was: 3 }),
    ] {
        let (_folder, store) = scratch();
        three(&store);
        store.lock().execute(damage, []).unwrap();
        assert_eq!(store.verify_history(None).unwrap(), expected, "{damage}");
    }
}

#[test]
fn old_lines_go_and_the_chain_stays_whole() {
    let (_folder, store) = scratch();
    three(&store);
    assert_eq!(store.prune_history(at(3)).unwrap(), 2);
    assert_eq!(
        store.verify_history(None).unwrap(),
        Chain::Whole { lines: 1 }
    );
    write(&store, &[add("cy")], 6);
    assert_eq!(
        store.verify_history(None).unwrap(),
        Chain::Whole { lines: 2 }
    );
    assert_eq!(store.prune_history(at(99)).unwrap(), 2);
    assert_eq!(
        store.verify_history(None).unwrap(),
        Chain::Whole { lines: 0 }
    );
    write(&store, &[add("dora")], 100);
    assert_eq!(lines(&store, &Asked::default()), ["5 dora"]);
    assert_eq!(
        store.verify_history(None).unwrap(),
        Chain::Whole { lines: 1 }
    );
}

#[test]
fn lines_are_found_by_person_channel_and_time() {
    let (_folder, store) = scratch();
    three(&store);
    let of = |asked| lines(&store, &asked);
    let user = Some(UserId::new("Ada"));
    assert_eq!(
        of(Asked {
            user,
            ..Asked::default()
        }),
        ["1 ada", "3 ADA"]
    );
    let categories = vec![CategoryId(1)];
    assert_eq!(
        of(Asked {
            categories,
            ..Asked::default()
        }),
        ["1 ada", "2 bob"]
    );
    let since = Some(at(1));
    assert_eq!(
        of(Asked {
            since,
            ..Asked::default()
        }),
        ["3 ADA"]
    );
    let until = at(0).checked_add(SignedDuration::from_mins(1)).ok();
    assert_eq!(
        of(Asked {
            until,
            ..Asked::default()
        }),
        ["1 ada", "2 bob"]
    );
    let run = Some(8);
    assert!(
        of(Asked {
            run,
            ..Asked::default()
        })
        .is_empty()
    );
}

#[test]
fn losses_that_nobody_approved_are_counted() {
    let (_folder, store) = scratch();
    let leave = || event(1, "ada", Decision::Remove { copies: 1 });
    let approved = Event {
        approved_by: Some("boss".to_owned()),
        ..leave()
    };
    let refused = Event {
        outcome: Outcome::Refused,
        ..leave()
    };
    write(&store, &[leave()], 0);
    write(&store, &[leave(), approved, refused, add("bob")], 5);
    let since = |hour| store.losses_since(at(hour)).unwrap();
    assert_eq!(since(0), BTreeMap::from([(CategoryId(1), 2)]));
    assert_eq!(since(1), BTreeMap::from([(CategoryId(1), 1)]));
    assert_eq!(since(6), BTreeMap::new());
}

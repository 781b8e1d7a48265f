//! What has changed since the last read, and what must not be missed.

use std::collections::HashMap;

use rollbook::directory::{StableId, Version};

use super::*;

/// The versions that a mirror would know after a read.
fn versions(told: &Told) -> HashMap<(EntryKind, StableId), Version> {
    let all = told.observations.iter();
    all.filter_map(|observation| match observation {
        Observation::Person(p, Some(v)) => Some(((EntryKind::Person, p.id.clone()), v.clone())),
        Observation::Group(g, Some(v)) => Some(((EntryKind::Group, g.id.clone()), v.clone())),
        _ => None,
    })
    .collect()
}

/// Asks for changes, drops what is known, and reads the rest, as the core does.
async fn catch_up(source: &Source, checkpoint: &Checkpoint, known: &Told) -> (Checkpoint, Told) {
    let known = versions(known);
    let (changes, next) = source.changes_since(checkpoint, None).await.unwrap();
    let mut moved = match changes {
        Changes::Nothing => Vec::new(),
        Changes::Entries(moved) => moved,
        Changes::FullReadNeeded { reason } => panic!("{reason}"),
    };
    moved.retain(|m| {
        m.version.is_none() || known.get(&(m.kind, m.id.clone())) != m.version.as_ref()
    });
    let (read, told) = read_entries(source, &moved).await;
    assert_eq!(read.unwrap().proof, Proof::Entries);
    (next, told)
}

fn small() -> Slapd {
    Slapd::start(&SlapdOptions {
        ldif: slapd::people(5) + &slapd::group("g", [0, 1]) + &slapd::group("h", [2]),
        memberof: true,
        ..SlapdOptions::default()
    })
}

#[tokio::test]
async fn no_change_tells_nothing_new() {
    let slapd = small();
    let source = source(&slapd);
    let (checkpoint, all) = read_complete(&source).await;
    let (checkpoint, first) = catch_up(&source, &checkpoint, &all).await;
    let (_, second) = catch_up(&source, &checkpoint, &all).await;
    for told in [first, second] {
        assert_eq!(told.people().len() + told.groups().len(), 0);
        // The two containers are in the window; they were never anybody.
        assert!(told.left().len() <= 2, "{:?}", told.left());
    }
}

#[tokio::test]
async fn a_change_in_the_second_of_the_checkpoint_is_not_lost() {
    let slapd = small();
    let source = source(&slapd);
    for n in 0..10 {
        let dn = format!("uid=p3,ou=people,{SUFFIX}");
        slapd.modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: givenName\ngivenName: A{n}\n"
        ));
        let (checkpoint, all) = read_complete(&source).await;
        slapd.modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: givenName\ngivenName: B{n}\n"
        ));
        let (_, told) = catch_up(&source, &checkpoint, &all).await;
        assert_eq!(told.person("p3").first_name, Some(format!("B{n}")));
    }
}

#[tokio::test]
async fn people_and_groups_keep_their_ids_through_renames_and_moves() {
    let slapd = small();
    let source = source(&slapd);
    let (checkpoint, before) = read_complete(&source).await;
    slapd.modify(&format!(
        "dn: ou=deep,ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: deep\n\n\
         dn: ou=deep,ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: deep\n"
    ));
    slapd.rename(&format!("uid=p0,ou=people,{SUFFIX}"), "uid=renamed", None);
    let deep = format!("ou=deep,ou=people,{SUFFIX}");
    slapd.rename(&format!("uid=p1,ou=people,{SUFFIX}"), "uid=p1", Some(&deep));
    let deep = format!("ou=deep,ou=groups,{SUFFIX}");
    slapd.rename(&format!("cn=h,ou=groups,{SUFFIX}"), "cn=h2", Some(&deep));

    let (_, after) = catch_up(&source, &checkpoint, &before).await;

    assert_eq!(after.person("renamed").id, before.person("p0").id);
    assert_eq!(after.person("p1").id, before.person("p1").id);
    assert_ne!(after.person("p1").dn, before.person("p1").dn);
    assert_eq!(after.group("h2").id, before.group("h").id);
}

#[tokio::test]
async fn who_leaves_the_filter_or_the_base_is_told_to_have_left() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(4).replace("mail:", "employeeType: active\nmail:")
            + &slapd::group("g", [0])
            + &format!(
                "dn: ou=elsewhere,{SUFFIX}\nobjectClass: organizationalUnit\nou: elsewhere\n\n"
            ),
        ..SlapdOptions::default()
    });
    let sections = SECTIONS.replace(
        "user_id = \"uid\"",
        "user_id = \"uid\"\nfilter = \"(employeeType=active)\"",
    );
    let source = source_with(&slapd, "", &sections);
    let (checkpoint, before) = read_complete(&source).await;
    slapd.modify(&format!(
        "dn: uid=p1,ou=people,{SUFFIX}\nchangetype: modify\nreplace: employeeType\nemployeeType: gone\n"
    ));

    let (_, after) = catch_up(&source, &checkpoint, &before).await;

    let p1 = &before.person("p1").id;
    assert!(after.left().contains(&(EntryKind::Person, p1.as_str())));

    // What is no longer under the base does not show in the list; asked for, it has left.
    slapd.rename(
        &format!("uid=p2,ou=people,{SUFFIX}"),
        "uid=p2",
        Some(&format!("ou=elsewhere,{SUFFIX}")),
    );
    slapd.delete(&format!("uid=p3,ou=people,{SUFFIX}"));
    let asked = ["p0", "p2", "p3"].map(|p| Moved {
        kind: EntryKind::Person,
        id: before.person(p).id.clone(),
        version: None,
    });
    let (read, told) = read_entries(&source, &asked).await;
    assert_eq!(read.unwrap().proof, Proof::Entries);
    assert_eq!(told.people().len(), 1);
    assert_eq!(told.left().len(), 2);
}

#[tokio::test]
async fn an_emptied_group_is_told_without_members() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(2)
            + "dn: cn=g,ou=groups,dc=example,dc=edu\nobjectClass: posixGroup\ncn: g\n\
               gidNumber: 7\nmemberUid: p1\n\n",
        ..SlapdOptions::default()
    });
    let sections =
        format!("{SECTIONS}filter = \"(objectClass=posixGroup)\"\nmembers = \"memberUid\"\n");
    let source = source_with(&slapd, "", &sections);
    let (checkpoint, before) = read_complete(&source).await;
    slapd.modify(&format!(
        "dn: cn=g,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: memberUid\n"
    ));

    let (_, after) = catch_up(&source, &checkpoint, &before).await;

    assert_eq!(after.group("g").members, []);
    assert!(after.group("g").evidence.is_known());
}

#[tokio::test]
async fn a_deleted_entry_is_missing_from_the_next_full_read() {
    let slapd = small();
    let source = source(&slapd);
    let (_, before) = read_complete(&source).await;
    slapd.delete(&format!("uid=p4,ou=people,{SUFFIX}"));
    slapd.delete(&format!("cn=h,ou=groups,{SUFFIX}"));
    let (_, after) = read_complete(&source).await;
    assert_eq!(before.people().len() - after.people().len(), 1);
    assert_eq!(before.groups().len() - after.groups().len(), 1);
}

#[tokio::test]
async fn a_server_put_back_to_an_older_state_asks_for_a_full_read() {
    let slapd = small();
    slapd.modify(&slapd::group("newest", [0]));
    let newer = source(&slapd);
    let (checkpoint, _) = read_complete(&newer).await;
    let older = small();
    let source = source(&older);

    let (changes, same) = source.changes_since(&checkpoint, None).await.unwrap();

    assert!(
        matches!(changes, Changes::FullReadNeeded { .. }),
        "{changes:?}"
    );
    assert_eq!(same, checkpoint);
}

#[tokio::test]
async fn another_configuration_asks_for_a_full_read() {
    let slapd = small();
    let (checkpoint, _) = read_complete(&source(&slapd)).await;
    let other = SECTIONS.replace("user_id = \"uid\"", "user_id = \"mail\"");
    for (lines, sections) in [("", other.as_str()), ("changes = \"full\"", SECTIONS)] {
        let source = source_with(&slapd, lines, sections);
        let (changes, _) = source.changes_since(&checkpoint, None).await.unwrap();
        assert!(
            matches!(changes, Changes::FullReadNeeded { .. }),
            "{changes:?}"
        );
    }
}

#[tokio::test]
async fn one_base_for_both_kinds_is_fine() {
    let slapd = small();
    let sections = SECTIONS.replace("ou=people,", "").replace("ou=groups,", "");
    let source = source_with(&slapd, "", &sections);
    let (checkpoint, before) = read_complete(&source).await;
    assert_eq!(before.people().len(), 5);
    slapd.modify(&slapd::group("new", [3]));

    let (_, after) = catch_up(&source, &checkpoint, &before).await;

    assert_eq!(after.groups().len(), 1);
    assert_eq!(members(&before, "g").len(), 2);
}

#[tokio::test]
async fn thousands_of_entries_are_read_again_at_once() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(6_000) + &slapd::group("g", [0]),
        ..SlapdOptions::default()
    });
    let source = source(&slapd);
    let (_, before) = read_complete(&source).await;
    slapd.delete(&format!("uid=p7,ou=people,{SUFFIX}"));
    let moved: Vec<_> = before
        .people()
        .into_iter()
        .take(5_500)
        .map(|person| Moved {
            kind: EntryKind::Person,
            id: person.id.clone(),
            version: None,
        })
        .collect();

    let (read, told) = read_entries(&source, &moved).await;

    assert_eq!(read.unwrap().proof, Proof::Entries);
    assert_eq!(told.people().len(), 5_499);
    assert_eq!(told.left().len(), 1);
}

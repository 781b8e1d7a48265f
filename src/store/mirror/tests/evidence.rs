//! What proves that somebody has left, and what does not.

use super::*;

#[test]
fn somebody_renamed_between_people_and_groups_is_not_taken_for_a_leaver() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.full(vec![is(person("ada")), has(group("bio", &["augusta"]))]);
    assert_eq!(
        mirror.departures(),
        [("ada".to_owned(), Reason::Unconfirmed)]
    );
    let again = mirror.to_confirm();
    assert_eq!(again, ["id-ada", "id-bio"]);

    let mut renamed = person("ada");
    renamed.dn = dn("augusta");
    mirror.entries(vec![is(renamed), has(group("bio", &["augusta"]))]);
    assert_eq!(mirror.members("bio"), ["ada"]);
    assert_eq!(mirror.departures(), []);
}

#[test]
fn a_leaver_and_a_stranger_at_once_are_believed_when_both_have_been_read_again() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    let now = || vec![is(person("ada")), has(group("bio", &["stranger"]))];
    mirror.full(now());
    mirror.settle(2);
    assert_eq!(mirror.departures().len(), 1, "seen once");
    mirror.entries(now());
    mirror.forget_marks();
    mirror.settle(3);
    assert_eq!(mirror.departures(), []);
    let ada = Mark::Membership(GroupId::new("bio"), UserId::new("ada"));
    assert_eq!(mirror.marks(), [ada]);
}

#[test]
fn somebody_who_is_gone_while_the_group_has_a_new_name_may_have_that_name() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.full(vec![is(person("alan")), has(group("bio", &["augusta"]))]);
    mirror.full(vec![is(person("alan")), has(group("bio", &["augusta"]))]);
    mirror.settle(3);
    let ada = ("ada".to_owned(), Reason::PerhapsListed);
    assert_eq!(mirror.departures(), [ada]);
    // The name goes: until a second look it may have been a mistake, as for everybody else.
    mirror.full(vec![is(person("alan")), has(group("bio", &["alan"]))]);
    mirror.settle(4);
    let name = ("?".to_owned(), Reason::Unconfirmed);
    assert_eq!(
        mirror.departures(),
        [("ada".to_owned(), Reason::PerhapsListed), name]
    );
    mirror.full(vec![is(person("alan")), has(group("bio", &["alan"]))]);
    mirror.settle(5);
    assert_eq!(mirror.departures(), []);
}

#[test]
fn a_name_that_left_a_group_before_its_entry_came_is_looked_at_twice_like_a_person() {
    let mirror = Mirror::of(vec![is(person("alan")), has(group("bio", &["zoe"]))]);
    let alan = || is(person("alan"));
    mirror.full(vec![alan(), has(group("bio", &[]))]);
    mirror.full(vec![alan(), is(person("zoe")), has(group("bio", &[]))]);
    let zoe = ("zoe".to_owned(), Reason::Unconfirmed);
    assert_eq!(mirror.departures(), [zoe]);
    mirror.settle(3);
    assert_eq!(mirror.departures(), []);
}

#[test]
fn a_read_that_proves_nothing_disables_nobody() {
    let mirror = Mirror::of(vec![is(person("ada")), is(person("alan"))]);
    let disabled = || Person {
        enabled: false,
        ..person("ada")
    };
    let is_enabled = || {
        let roster = mirror.store.whole_roster(&terms()).unwrap();
        let ada = roster.people.values().find(|p| p.user.as_str() == "ada");
        ada.unwrap().enabled
    };
    mirror.cut_off(vec![is(disabled())]);
    assert!(is_enabled());
    mirror.full(vec![is(disabled()), is(person("alan"))]);
    assert!(!is_enabled());
}

#[test]
fn a_name_that_was_there_before_somebody_went_is_not_theirs() {
    let before = || has(group("bio", &["ada", "placeholder"]));
    let mirror = Mirror::of(vec![is(person("ada")), is(person("alan")), before()]);
    mirror.full(vec![is(person("ada")), is(person("alan")), before()]);
    mirror.full(vec![
        is(person("alan")),
        has(group("bio", &["placeholder"])),
    ]);
    mirror.full(vec![
        is(person("alan")),
        has(group("bio", &["placeholder"])),
    ]);
    mirror.settle(4);
    assert_eq!(mirror.departures(), []);
}

#[test]
fn a_group_that_lists_a_former_name_lists_whoever_had_it() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    let renamed = || Person {
        dn: dn("augusta"),
        ..person("ada")
    };
    mirror.full(vec![is(renamed()), has(group("bio", &["ada"]))]);
    assert_eq!(mirror.members("bio"), ["ada"]);
    mirror.full(vec![is(renamed()), has(group("bio", &["ada", "stranger"]))]);
    assert_eq!(mirror.members("bio"), ["ada"]);
    let state = mirror.store.directory_state(DIRECTORY).unwrap().unwrap();
    assert_eq!(state.stale, [("bio".to_owned(), 1)]);
    mirror.full(vec![is(renamed()), has(group("bio", &["augusta"]))]);
    let state = mirror.store.directory_state(DIRECTORY).unwrap().unwrap();
    assert_eq!(
        (mirror.members("bio"), state.stale),
        (vec!["ada".to_owned()], vec![])
    );
}

#[test]
fn whose_former_name_another_person_has_is_kept_until_the_group_says_who_is_meant() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    let now = |members: &[&str]| {
        let renamed = Person {
            dn: dn("augusta"),
            ..person("ada")
        };
        let heir = Person {
            dn: dn("ada"),
            ..person("heir")
        };
        vec![is(renamed), is(heir), has(group("bio", members))]
    };
    mirror.full(now(&["ada"]));
    mirror.full(now(&["ada"]));
    mirror.settle(3);
    assert_eq!(mirror.members("bio"), ["heir"]);
    let ada = ("ada".to_owned(), Reason::FormerName);
    assert_eq!(mirror.departures(), [ada]);
    mirror.full(now(&[]));
    mirror.full(now(&[]));
    mirror.settle(5);
    assert_eq!(mirror.departures(), []);
}

#[test]
fn a_group_read_twice_with_different_members_has_them_all() {
    for order in [["ada", "alan"], ["alan", "ada"]] {
        let people = || vec![is(person("ada")), is(person("alan"))];
        let mut all = people();
        all.push(has(group("bio", &["ada", "alan"])));
        let mirror = Mirror::of(all.clone());
        all.truncate(2);
        all.extend(order.map(|name| has(group("bio", &[name]))));
        mirror.full(all.clone());
        assert_eq!(mirror.members("bio"), ["ada", "alan"]);
        assert_eq!(
            mirror.evidence("bio"),
            Evidence::partial(Reason::EntryTwice)
        );
        assert_eq!(mirror.departures(), []);
        all.truncate(3);
        mirror.full(all);
        assert_eq!(mirror.evidence("bio"), Evidence::Known);
        assert_eq!(mirror.departures().len(), 1);
    }
}

#[test]
fn a_person_read_twice_with_two_user_ids_keeps_both_from_harm() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    let other = || Person {
        user_id: UserId::new("augusta"),
        ..person("ada")
    };
    mirror.full(vec![
        is(person("ada")),
        is(other()),
        has(group("bio", &["ada"])),
    ]);
    let roster = mirror.store.whole_roster(&terms()).unwrap();
    let mut former: Vec<String> = roster
        .former_ids
        .values()
        .flatten()
        .map(ToString::to_string)
        .collect();
    former.sort();
    assert_eq!(former, ["ada", "augusta"]);
    assert!(roster.people.values().all(|person| !person.is_usable));
}

#[test]
fn a_person_read_twice_keeps_the_primary_group_and_the_login_that_were_known() {
    let own = || Group {
        primary_key: Some("gid:100".to_owned()),
        ..group("staff", &[])
    };
    let ada = |number: &str, login: &str| {
        is(Person {
            primary_group: Some(format!("gid:{number}")),
            login: Some(login.to_owned()),
            ..person("ada")
        })
    };
    let (right, wrong) = (|| ada("100", "ada"), || ada("200", "eve"));
    let mirror = Mirror::of(vec![right(), has(own())]);
    for copies in [[right(), wrong()], [wrong(), right()]] {
        mirror.full([copies.to_vec(), vec![has(own())]].concat());
        assert_eq!(mirror.members("staff"), ["ada"]);
    }
    // What cannot be read any more is no change either.
    mirror.full(vec![is(person("ada")), has(own())]);
    assert_eq!(mirror.members("staff"), ["ada"]);
}

#[test]
fn a_group_that_lists_a_former_login_means_who_had_it() {
    let with_login = |name: &str, login: &str| {
        is(Person {
            login: Some(login.to_owned()),
            ..person(name)
        })
    };
    let by_login = || Group {
        members: vec![Member {
            role: Role::member(),
            name: MemberName::Login("ada".to_owned()),
        }],
        ..group("bio", &[])
    };
    let mirror = Mirror::of(vec![with_login("ada", "ada"), has(by_login())]);
    for _ in 0..2 {
        mirror.full(vec![with_login("ada", "ada2"), has(by_login())]);
        mirror.settle(i64::MAX);
        assert_eq!(mirror.members("bio"), ["ada"]);
    }
    // Somebody else has it now: both may be meant.
    let both = || vec![with_login("ada", "ada2"), with_login("eve", "ada")];
    for _ in 0..2 {
        mirror.full([both(), vec![has(by_login())]].concat());
        mirror.settle(i64::MAX);
        assert_eq!(mirror.members("bio"), ["eve"]);
        assert_eq!(
            mirror.departures(),
            [("ada".to_owned(), Reason::FormerName)]
        );
    }
}

#[test]
fn a_copy_that_does_not_match_the_filter_does_not_send_away_whose_other_copy_does() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    let left = Observation::Left(EntryKind::Person, person("ada").id, Left::Filter);
    mirror.full(vec![is(person("ada")), left, has(group("bio", &["ada"]))]);
    assert_eq!(mirror.members("bio"), ["ada"]);
}

#[test]
fn who_is_not_in_a_group_that_was_created_again_has_left_it_like_any_other() {
    let people = || vec![is(person("ada")), is(person("bob"))];
    let mirror = Mirror::of([people(), vec![has(group("bio", &["ada", "bob"]))]].concat());
    let again = Group {
        id: StableId::new("id-other"),
        ..group("bio", &["ada"])
    };
    mirror.full([people(), vec![has(again)]].concat());
    assert_eq!(mirror.members("bio"), ["ada"]);
    assert_eq!(
        mirror.departures(),
        [("bob".to_owned(), Reason::Unconfirmed)]
    );
}

#[test]
fn two_groups_with_one_stable_id_take_neither_away() {
    let mirror = Mirror::of(vec![
        is(person("ada")),
        has(group("bio", &["ada"])),
        has(group("art", &["ada"])),
    ]);
    let same = Group {
        id: group("bio", &[]).id,
        ..group("art", &["ada"])
    };
    mirror.full(vec![
        is(person("ada")),
        has(group("bio", &["ada"])),
        has(same),
    ]);
    assert_eq!(mirror.members("bio"), ["ada"]);
    assert_eq!(mirror.members("art"), ["ada"]);
}

#[test]
fn when_most_groups_lose_all_members_at_once_the_attribute_cannot_be_read() {
    let people = ["ada", "alan", "grace"];
    let everybody = || people.map(|name| is(person(name))).to_vec();
    let groups = |is_empty: [bool; 3]| {
        people.map(|name| {
            let members: &[&str] =
                if is_empty[usize::from(name != "ada") + usize::from(name == "grace")] {
                    &[]
                } else {
                    &[name]
                };
            has(group(&format!("g-{name}"), members))
        })
    };
    let mirror = Mirror::of([everybody(), groups([false; 3]).to_vec()].concat());
    let read = |is_empty| mirror.full([everybody(), groups(is_empty).to_vec()].concat());
    assert_eq!(read([true; 3]).collapsed, 3);
    assert_eq!(read([true; 3]).collapsed, 3, "also when it is read again");
    assert_eq!(mirror.members("g-ada"), ["ada"]);
    let unreadable = Evidence::unknown(Reason::AttributeCollapsed);
    assert_eq!(mirror.evidence("g-ada"), unreadable);
    assert_eq!(mirror.departures(), []);
    // It can be read again, and one group is empty indeed.
    assert_eq!(read([true, false, false]).collapsed, 0);
    assert_eq!(mirror.evidence("g-grace"), Evidence::Known);
    assert_eq!(mirror.departures().len(), 1);
    // A person says that it is right.
    assert!(mirror.store.accept_directory(DIRECTORY).unwrap());
    assert_eq!(read([true; 3]).collapsed, 0);
    assert_eq!(mirror.departures().len(), 3);
}

#[test]
fn the_group_of_an_unusable_entry_is_not_known_in_full_until_it_can_be_used() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    let unusable = |name: &str| {
        Observation::Unusable(Unusable {
            kind: EntryKind::Group,
            id: Some(StableId::new(format!("id-{name}"))),
            dn: format!("cn={name},dc=example"),
            problem: EntryProblem::Several {
                attribute: "cn".to_owned(),
                count: 2,
            },
            group_ids: vec![GroupId::new(name), GroupId::new("other")],
        })
    };
    mirror.full(vec![is(person("ada")), unusable("bio"), unusable("new")]);
    assert_eq!(
        mirror.evidence("bio"),
        Evidence::partial(Reason::EntryUnusable)
    );
    let names = mirror.store.group_names().unwrap();
    let ids: Vec<&str> = names
        .unusable
        .iter()
        .map(|name| name.group_id.as_str())
        .collect();
    assert_eq!(ids, ["new", "other"]);
    mirror.full(vec![
        is(person("ada")),
        has(group("bio", &["ada"])),
        has(group("new", &[])),
    ]);
    assert_eq!(mirror.evidence("bio"), Evidence::Known);
    assert_eq!(mirror.store.group_names().unwrap().unusable, []);
}

#[test]
fn people_are_members_of_their_primary_group() {
    let has_primary = |name: &str, key: &str| {
        is(Person {
            primary_group: Some(key.to_owned()),
            ..person(name)
        })
    };
    let staff = || {
        has(Group {
            primary_key: Some("gid:500".to_owned()),
            ..group("staff", &["alan"])
        })
    };
    let mirror = Mirror::of(vec![
        has_primary("ada", "gid:500"),
        is(person("alan")),
        staff(),
    ]);
    assert_eq!(mirror.members("staff"), ["ada", "alan"]);
    mirror.entries(vec![has_primary("ada", "gid:600")]);
    assert_eq!(mirror.members("staff"), ["alan"]);
    let ada = Mark::Membership(GroupId::new("staff"), UserId::new("ada"));
    assert!(mirror.marks().contains(&ada));
}

#[test]
fn who_leaves_a_primary_group_is_looked_at_twice_whatever_has_changed() {
    let has_primary = |key: &str| {
        is(Person {
            primary_group: Some(key.to_owned()),
            ..person("ada")
        })
    };
    let staff = |key: &str, members: &[&str]| {
        has(Group {
            primary_key: Some(key.to_owned()),
            ..group("staff", members)
        })
    };
    let alan = || is(person("alan"));
    for now in [
        vec![alan(), has_primary("gid:600"), staff("gid:500", &[])],
        vec![alan(), has_primary("gid:500"), staff("gid:600", &[])],
    ] {
        let mirror = Mirror::of(vec![alan(), has_primary("gid:500"), staff("gid:500", &[])]);
        mirror.full(now.clone());
        let ada = ("ada".to_owned(), Reason::Unconfirmed);
        assert_eq!(mirror.departures(), [ada]);
        mirror.settle(2);
        assert_eq!(mirror.departures().len(), 1, "seen once");
        mirror.full(now);
        mirror.settle(3);
        assert_eq!(mirror.departures(), []);
    }
    // Nothing but their own entry could say that somebody has left whose entry is gone or hidden.
    let mirror = Mirror::of(vec![alan(), has_primary("gid:500"), staff("gid:500", &[])]);
    for look in 3..6 {
        mirror.full(vec![alan(), staff("gid:500", &[])]);
        mirror.settle(look);
        assert_eq!(mirror.departures(), [], "as if it was listed");
        let roster = mirror.store.whole_roster(&terms()).unwrap();
        assert_eq!(roster.gone.len(), 1);
        let listed = roster.groups.values().map(|group| group.members.len());
        assert_eq!(listed.sum::<usize>(), 1);
    }
    mirror.full(vec![alan(), has_primary("gid:600"), staff("gid:500", &[])]);
    mirror.settle(9);
    assert_eq!(mirror.departures(), []);
    // Active Directory adds a member value when a group is nobody's primary group any more.
    let mirror = Mirror::of(vec![has_primary("gid:500"), staff("gid:500", &[])]);
    mirror.full(vec![has_primary("gid:600"), staff("gid:500", &["ada"])]);
    assert_eq!(mirror.departures(), []);
    assert_eq!(mirror.members("staff"), ["ada"]);
}

#[test]
fn entries_in_two_directories_are_one_person_where_they_are_joined() {
    let mirror = Mirror::of(vec![is(person("ada"))]);
    let joined = |key: Option<&str>| Person {
        join_key: key.map(str::to_owned),
        ..person("ada")
    };
    let shared = || mirror.store.shared_user_ids().unwrap().len();
    mirror.absorb_as("other", vec![is(joined(None))], Proof::Complete);
    assert_eq!(shared(), 1);
    mirror.absorb_as("other", vec![is(joined(Some("42")))], Proof::Complete);
    assert_eq!(shared(), 1, "the first one is not joined");
    mirror.full(vec![is(joined(Some("42")))]);
    assert_eq!(shared(), 0);
    let twin = Person {
        id: StableId::new("id-twin"),
        dn: dn("twin"),
        ..joined(Some("42"))
    };
    mirror.full(vec![is(joined(Some("42"))), is(twin)]);
    assert_eq!(shared(), 1, "two entries of one directory are two people");
}

fn at(version: &str, group: Group) -> Observation {
    Observation::Group(group, Some(Version(version.to_owned())))
}

#[test]
fn of_a_server_that_is_behind_nothing_is_merged() {
    let mirror = Mirror::of(vec![
        is(person("ada")),
        at("5", group("bio", &["ada"])),
        at("5", group("chem", &["ada"])),
    ]);
    let behind = mirror.full(vec![
        is(person("ada")),
        at("3", group("bio", &[])),
        at("6", group("chem", &[])),
    ]);
    assert_eq!((behind.older, behind.changed), (1, 0));
    assert_eq!(mirror.members("chem"), ["ada"]);
    // It has caught up: what was read before is there, and the change is believed.
    let caught_up = mirror.full(vec![
        is(person("ada")),
        at("5", group("bio", &["ada"])),
        at("6", group("chem", &[])),
    ]);
    assert_eq!(caught_up.older, 0);
    assert_eq!(mirror.departures().len(), 1);
}

#[test]
fn a_server_that_went_back_is_not_believed_once_the_entry_is_written_again() {
    let mirror = Mirror::of(vec![is(person("ada")), at("5", group("bio", &["ada"]))]);
    let read = |version| mirror.full(vec![is(person("ada")), at(version, group("bio", &[]))]);
    assert_eq!(read("3").older, 1);
    for _ in 0..2 {
        let rewritten = read("9");
        assert_eq!((rewritten.older, rewritten.rewritten), (0, 1));
        assert_eq!(mirror.members("bio"), ["ada"]);
    }
    mirror.store.accept_directory(DIRECTORY).unwrap();
    assert_eq!(read("9").rewritten, 0);
    assert_eq!(mirror.departures().len(), 1);
}

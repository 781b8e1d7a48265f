mod evidence;

use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::category::UserId;
use crate::directory::{
    Dn, EntryProblem, Evidence, Group, GroupId, Member, MemberName, Person, Reason, Role,
};
use crate::store::mirror::departure::Confirmation;
use crate::store::roster::Terms;
use crate::store::tests::scratch;

const DIRECTORY: &str = "campus";

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn dn(name: &str) -> Dn {
    Dn::parse(&format!("cn={name},dc=example")).unwrap()
}

fn person(name: &str) -> Person {
    Person {
        id: StableId::new(format!("id-{name}")),
        dn: dn(name),
        login: None,
        user_id: UserId::new(name),
        first_name: None,
        last_name: None,
        mail: None,
        enabled: true,
        primary_group: None,
        join_key: None,
    }
}

fn group(name: &str, members: &[&str]) -> Group {
    Group {
        id: StableId::new(format!("id-{name}")),
        dn: dn(name),
        group_id: GroupId::new(name),
        name: None,
        members: members
            .iter()
            .map(|member| Member {
                role: Role::member(),
                name: MemberName::Dn(dn(member)),
            })
            .collect(),
        evidence: Evidence::Known,
        primary_key: None,
    }
}

fn is(person: Person) -> Observation {
    Observation::Person(person, None)
}

fn has(group: Group) -> Observation {
    Observation::Group(group, None)
}

fn left(kind: EntryKind, name: &str) -> Observation {
    Observation::Left(kind, StableId::new(format!("id-{name}")), Left::Gone)
}

fn terms() -> Terms {
    Terms {
        depths: [(DIRECTORY.to_owned(), 8)].into(),
        kept_after: i64::MIN,
    }
}

/// A mirror, and the reads it has absorbed.
struct Mirror {
    _folder: TempDir,
    store: Store,
}

impl Mirror {
    /// Begins with a full read, and without marks.
    fn of(observations: Vec<Observation>) -> Self {
        let (folder, store) = scratch();
        let mirror = Self {
            _folder: folder,
            store,
        };
        mirror.full(observations);
        mirror.forget_marks();
        mirror
    }

    /// Drops the departures that are proven, of those seen before this read.
    fn settle(&self, before_look: i64) {
        let confirmation = Confirmation {
            seen_until: now(),
            vanished_until: None,
            before_look,
            other_source: false,
            read_again: true,
        };
        let settled = self.store.settle_departures(DIRECTORY, &confirmation);
        settled.unwrap();
    }

    fn to_confirm(&self) -> Vec<String> {
        let found = self.store.to_confirm(DIRECTORY, now(), now()).unwrap();
        found.iter().map(|moved| moved.id.to_string()).collect()
    }

    /// Who is not listed any more, and why that is not proven.
    fn departures(&self) -> Vec<(String, Reason)> {
        let roster = self.store.whole_roster(&terms()).unwrap();
        let departures = roster.departures.values().flatten();
        departures
            .map(|(_, member, reason)| {
                let person = roster.people.get(member).map(|person| &person.user);
                let gone = roster.gone.get(member).map(|gone| &gone.user);
                let user = person.or(gone).map_or("?", UserId::as_str);
                (user.to_owned(), *reason)
            })
            .collect()
    }

    fn evidence(&self, name: &str) -> Evidence {
        let roster = self.store.whole_roster(&terms()).unwrap();
        let mut groups = roster.groups.into_values();
        let found = groups.find(|group| group.group_id.as_str() == name);
        found.unwrap().evidence
    }

    fn forget_marks(&self) {
        let up_to = self.store.marks().unwrap().up_to;
        self.store.clear_marks(up_to).unwrap();
    }

    fn full(&self, observations: Vec<Observation>) -> Absorbed {
        self.absorb(observations, Proof::Complete)
    }

    fn entries(&self, observations: Vec<Observation>) -> Absorbed {
        self.absorb(observations, Proof::Entries)
    }

    fn cut_off(&self, observations: Vec<Observation>) -> Absorbed {
        self.absorb(
            observations,
            Proof::Unproven {
                reason: "cut".to_owned(),
            },
        )
    }

    fn absorb(&self, observations: Vec<Observation>, proof: Proof) -> Absorbed {
        self.absorb_as(DIRECTORY, observations, proof)
    }

    fn absorb_as(&self, directory: &str, observations: Vec<Observation>, proof: Proof) -> Absorbed {
        let checkpoint = match proof {
            Proof::Unproven { .. } => None,
            _ => Some(Checkpoint("next".to_owned())),
        };
        let read = Read {
            proof,
            checkpoint,
            seen: Some(Seen("a state".to_owned())),
            entries: observations.len() as u64,
        };
        let (out, received) = mpsc::channel(1);
        let (say_end, end) = oneshot::channel();
        out.try_send(observations).unwrap();
        drop(out);
        say_end.send(read).unwrap();
        self.store
            .absorb(directory, received, end, now())
            .unwrap()
            .unwrap()
    }

    /// The user IDs in a group, as the planner will see them.
    fn members(&self, name: &str) -> Vec<String> {
        let roster = self.store.whole_roster(&terms()).unwrap();
        let listing = roster
            .groups
            .values()
            .find(|listing| listing.group_id.as_str() == name);
        let mut users: Vec<String> = listing
            .into_iter()
            .flat_map(|listing| &listing.members)
            .filter_map(|(_, member)| roster.people.get(member))
            .map(|person| person.user.to_string())
            .collect();
        users.sort();
        users
    }

    fn marks(&self) -> Vec<Mark> {
        self.store.marks().unwrap().marks
    }
}

fn membership(group: &str, user: &str) -> Mark {
    Mark::Membership(GroupId::new(group), UserId::new(user))
}

#[test]
fn reading_the_same_again_changes_nothing_and_leaves_no_mark() {
    let all = || {
        vec![
            is(person("ada")),
            is(person("alan")),
            has(group("bio", &["ada", "alan"])),
        ]
    };
    let mirror = Mirror::of(all());
    let absorbed = mirror.full(all());
    assert_eq!(
        absorbed,
        Absorbed {
            seen: 3,
            ..Absorbed::default()
        }
    );
    assert_eq!(mirror.marks(), []);
}

#[test]
fn the_first_read_is_one_mark() {
    let (folder, store) = scratch();
    let mirror = Mirror {
        _folder: folder,
        store,
    };
    mirror.full(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    assert_eq!(mirror.marks(), [Mark::Everything]);
}

#[test]
fn who_comes_and_who_goes_is_marked_alone() {
    let mirror = Mirror::of(vec![
        is(person("ada")),
        is(person("alan")),
        is(person("grace")),
        has(group("bio", &["ada", "alan"])),
    ]);
    mirror.entries(vec![has(group("bio", &["ada", "grace"]))]);
    assert_eq!(mirror.members("bio"), ["ada", "grace"]);
    assert_eq!(
        mirror.marks(),
        [membership("bio", "grace"), membership("bio", "alan")]
    );
}

#[test]
fn a_renamed_person_keeps_their_memberships() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.entries(vec![is(Person {
        dn: dn("ada king"),
        ..person("ada")
    })]);
    assert_eq!(
        mirror.members("bio"),
        ["ada"],
        "before the group is read again"
    );
    mirror.entries(vec![has(group("bio", &["ada king"]))]);
    assert_eq!(mirror.members("bio"), ["ada"], "and after");
    assert_eq!(mirror.marks(), []);
}

#[test]
fn a_group_that_is_read_before_the_renamed_member_is_right_in_the_end() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.entries(vec![has(group("bio", &["ada king"]))]);
    mirror.entries(vec![is(Person {
        dn: dn("ada king"),
        ..person("ada")
    })]);
    assert_eq!(mirror.members("bio"), ["ada"]);
}

#[test]
fn two_people_who_swap_names_are_still_themselves() {
    let mirror = Mirror::of(vec![
        is(person("a")),
        is(person("b")),
        has(group("bio", &["a"])),
    ]);
    mirror.full(vec![
        is(Person {
            dn: dn("b"),
            ..person("a")
        }),
        is(Person {
            dn: dn("a"),
            ..person("b")
        }),
        has(group("bio", &["a"])),
    ]);
    assert_eq!(
        mirror.members("bio"),
        ["b"],
        "the group names whoever is called a now"
    );
}

#[test]
fn a_changed_user_id_marks_the_old_and_the_new() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.entries(vec![is(Person {
        user_id: UserId::new("countess"),
        ..person("ada")
    })]);
    let marks = mirror.marks();
    assert!(marks.contains(&membership("bio", "ada")), "{marks:?}");
    assert!(marks.contains(&membership("bio", "countess")), "{marks:?}");
    assert!(
        marks.contains(&Mark::Person(UserId::new("ada"))),
        "{marks:?}"
    );
}

#[test]
fn a_disabled_person_is_marked_where_they_are() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.entries(vec![is(Person {
        enabled: false,
        ..person("ada")
    })]);
    assert!(mirror.marks().contains(&membership("bio", "ada")));
}

#[test]
fn somebody_who_is_gone_is_dropped_by_us_although_no_group_was_touched() {
    let mirror = Mirror::of(vec![
        is(person("ada")),
        is(person("alan")),
        has(group("bio", &["ada", "alan"])),
    ]);
    let absorbed = mirror.full(vec![
        is(person("alan")),
        has(group("bio", &["ada", "alan"])),
    ]);
    assert_eq!(absorbed.gone, 1);
    assert_eq!(mirror.members("bio"), ["alan"]);
    assert!(mirror.marks().contains(&membership("bio", "ada")));
}

#[test]
fn somebody_who_left_the_filter_and_comes_back_is_where_they_were() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.entries(vec![left(EntryKind::Person, "ada")]);
    assert_eq!(mirror.members("bio"), [""; 0]);
    mirror.forget_marks();
    mirror.entries(vec![is(person("ada"))]);
    assert_eq!(mirror.members("bio"), ["ada"]);
    assert!(mirror.marks().contains(&membership("bio", "ada")));
}

#[test]
fn another_person_under_an_old_name_does_not_inherit() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.entries(vec![left(EntryKind::Person, "ada")]);
    let stranger = Person {
        id: StableId::new("another"),
        user_id: UserId::new("stranger"),
        ..person("ada")
    };
    mirror.entries(vec![is(stranger.clone())]);
    assert_eq!(
        mirror.members("bio"),
        [""; 0],
        "until the group itself says so"
    );
    mirror.entries(vec![has(group("bio", &["ada"]))]);
    assert_eq!(mirror.members("bio"), ["stranger"]);
}

#[test]
fn a_read_that_was_cut_off_drops_nobody_and_keeps_the_checkpoint() {
    let mirror = Mirror::of(vec![
        is(person("ada")),
        is(person("alan")),
        has(group("bio", &["ada", "alan"])),
    ]);
    mirror
        .store
        .set_checkpoint(DIRECTORY, &Checkpoint("before".to_owned()), now())
        .unwrap();
    mirror.cut_off(vec![is(person("ada"))]);
    assert_eq!(mirror.members("bio"), ["ada", "alan"]);
    assert_eq!(
        mirror.store.checkpoint(DIRECTORY).unwrap(),
        Some(Checkpoint("before".to_owned()))
    );
}

#[test]
fn a_first_read_that_was_cut_off_is_no_base_for_changes() {
    let (folder, store) = scratch();
    let mirror = Mirror {
        _folder: folder,
        store,
    };
    mirror.cut_off(vec![is(person("ada"))]);
    assert_eq!(mirror.store.checkpoint(DIRECTORY).unwrap(), None);
}

#[test]
fn a_source_that_fails_leaves_the_mirror_as_it_was() {
    let mirror = Mirror::of(vec![is(person("ada"))]);
    let (out, received) = mpsc::channel(1);
    let (say_end, end) = oneshot::channel::<Read>();
    out.try_send(vec![is(person("alan"))]).unwrap();
    drop((out, say_end));
    assert_eq!(
        mirror
            .store
            .absorb(DIRECTORY, received, end, now())
            .unwrap(),
        None
    );
    assert_eq!(
        mirror
            .store
            .directory_state(DIRECTORY)
            .unwrap()
            .unwrap()
            .people,
        1
    );
}

#[test]
fn a_group_with_members_that_cannot_be_read_may_gain_and_not_lose() {
    let mirror = Mirror::of(vec![
        is(person("ada")),
        is(person("alan")),
        has(group("bio", &["ada"])),
    ]);
    mirror.entries(vec![has(Group {
        evidence: Evidence::partial(Reason::ValueNotUnderstood),
        ..group("bio", &["alan"])
    })]);
    assert_eq!(mirror.members("bio"), ["ada", "alan"]);
    mirror.forget_marks();
    mirror.entries(vec![has(group("bio", &["alan"]))]);
    assert_eq!(mirror.members("bio"), ["alan"]);
    assert!(
        mirror.marks().contains(&Mark::Group(GroupId::new("bio"))),
        "all of it is looked at again"
    );
}

#[test]
fn an_entry_that_cannot_be_used_stays_as_it_was_and_is_named() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    let unusable = Unusable {
        kind: EntryKind::Person,
        id: Some(StableId::new("id-ada")),
        dn: "cn=ada,dc=example".to_owned(),
        problem: EntryProblem::Missing {
            attribute: "uid".to_owned(),
        },
        group_ids: Vec::new(),
    };
    mirror.full(vec![
        Observation::Unusable(unusable),
        has(group("bio", &["ada"])),
    ]);
    assert_eq!(mirror.members("bio"), ["ada"]);
    let problems = mirror
        .store
        .directory_state(DIRECTORY)
        .unwrap()
        .unwrap()
        .problems;
    assert_eq!(
        problems,
        [(
            "cn=ada,dc=example".to_owned(),
            "it has no attribute uid".to_owned()
        )]
    );
    mirror.full(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    assert_eq!(
        mirror
            .store
            .directory_state(DIRECTORY)
            .unwrap()
            .unwrap()
            .problems,
        [],
        "mended"
    );
}

#[test]
fn a_renamed_group_is_known_to_have_had_another_name() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.entries(vec![has(Group {
        group_id: GroupId::new("biology"),
        ..group("bio", &["ada"])
    })]);
    let vanished = || {
        mirror
            .store
            .directory_state(DIRECTORY)
            .unwrap()
            .unwrap()
            .vanished
    };
    assert_eq!(vanished(), ["bio"]);
    assert_eq!(
        mirror.marks(),
        [
            Mark::Group(GroupId::new("bio")),
            Mark::Group(GroupId::new("biology"))
        ]
    );
    mirror.entries(vec![has(group("bio", &["ada"]))]);
    assert_eq!(vanished(), ["biology"], "and back");
}

#[test]
fn a_moved_group_is_the_same_group() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.entries(vec![has(Group {
        dn: dn("bio,ou=elsewhere"),
        ..group("bio", &["ada"])
    })]);
    assert_eq!(mirror.marks(), []);
    assert_eq!(mirror.members("bio"), ["ada"]);
}

#[test]
fn a_group_made_anew_under_its_name_is_in_the_groups_that_were_read_before_it() {
    let all = |inner: Group| {
        let people = vec![is(person("ann")), is(person("bob"))];
        let groups = [has(group("outer", &["inner"])), has(inner)];
        people.into_iter().chain(groups).collect::<Vec<_>>()
    };
    let mirror = Mirror::of(all(group("inner", &["ann"])));
    mirror.full(all(Group {
        id: StableId::new("another"),
        ..group("inner", &["ann", "bob"])
    }));

    let roster = mirror.store.whole_roster(&terms()).unwrap();
    let find = |name: &str| {
        let mut groups = roster.groups.iter();
        groups
            .find(|(_, listing)| listing.group_id.as_str() == name)
            .unwrap()
    };
    let (inner, _) = find("inner");
    let (_, outer) = find("outer");
    assert!(outer.members.iter().any(|(_, member)| member == inner));
    assert!(mirror.marks().contains(&Mark::Group(GroupId::new("outer"))));
}

#[test]
fn a_group_that_leaves_marks_itself_and_the_groups_around_it() {
    let mirror = Mirror::of(vec![
        is(person("ada")),
        has(group("inner", &["ada"])),
        has(group("outer", &["inner"])),
    ]);
    mirror.full(vec![is(person("ada")), has(group("outer", &["inner"]))]);
    let marks = mirror.marks();
    assert!(
        marks.contains(&Mark::Group(GroupId::new("outer"))),
        "{marks:?}"
    );
    assert!(
        marks.contains(&Mark::Group(GroupId::new("inner"))),
        "{marks:?}"
    );
    let roster = mirror.store.whole_roster(&terms()).unwrap();
    assert_eq!(
        roster.vanished.len(),
        1,
        "the outer group mentions a group that is not there"
    );
}

#[test]
fn a_group_may_mention_somebody_before_they_are_there() {
    let mirror = Mirror::of(vec![has(group("bio", &["ada"]))]);
    assert_eq!(mirror.members("bio"), [""; 0]);
    mirror.entries(vec![is(person("ada"))]);
    assert_eq!(mirror.members("bio"), ["ada"]);
    assert!(mirror.marks().contains(&membership("bio", "ada")));
}

#[test]
fn logins_lead_to_people_who_come_before_or_after() {
    let by_login = || Group {
        members: ["ada", "alan"]
            .map(|login| Member {
                role: Role::member(),
                name: MemberName::Login(login.to_owned()),
            })
            .into(),
        ..group("unix", &[])
    };
    let with_login = |name: &str| {
        is(Person {
            login: Some(name.to_owned()),
            ..person(name)
        })
    };
    let mirror = Mirror::of(vec![with_login("ada"), has(by_login())]);
    assert_eq!(mirror.members("unix"), ["ada"]);
    mirror.entries(vec![with_login("alan")]);
    assert_eq!(mirror.members("unix"), ["ada", "alan"]);
    assert!(mirror.marks().contains(&membership("unix", "alan")));
}

#[test]
fn an_unknown_version_is_asked_for_and_a_known_one_is_not() {
    let mirror = Mirror::of(vec![Observation::Person(
        person("ada"),
        Some(Version("1".to_owned())),
    )]);
    let moved = |id: &str, version: Option<&str>| Moved {
        kind: EntryKind::Person,
        id: StableId::new(id),
        version: version.map(|version| Version(version.to_owned())),
    };
    let all = vec![
        moved("id-ada", Some("1")),
        moved("id-ada", Some("2")),
        moved("id-ada", None),
        moved("new", Some("1")),
    ];
    let unknown = mirror.store.unknown_of(DIRECTORY, all.clone()).unwrap();
    assert_eq!(unknown, all[1..]);
}

#[test]
fn too_many_marks_become_one() {
    let many: Vec<String> = (0..u32::try_from(MOST_MARKS).unwrap() / 100)
        .map(|number| format!("g{number}"))
        .collect();
    let people: Vec<String> = (0..101).map(|number| format!("p{number}")).collect();
    let members: Vec<&str> = people.iter().map(String::as_str).collect();
    let mut all: Vec<Observation> = people.iter().map(|name| is(person(name))).collect();
    all.extend(many.iter().map(|name| has(group(name, &[]))));
    let mirror = Mirror::of(all);
    mirror.entries(many.iter().map(|name| has(group(name, &members))).collect());
    assert_eq!(mirror.marks(), [Mark::Everything]);
}

fn unusable(id: Option<&str>, dn: &str) -> Observation {
    Observation::Unusable(Unusable {
        kind: EntryKind::Person,
        id: id.map(StableId::new),
        dn: dn.to_owned(),
        problem: EntryProblem::Several {
            attribute: "uid".to_owned(),
            count: 2,
        },
        group_ids: Vec::new(),
    })
}

#[test]
fn somebody_who_is_renamed_and_cannot_be_used_keeps_their_memberships() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.full(vec![
        unusable(Some("id-ada"), "cn=ada king,dc=example"),
        has(group("bio", &["ada king"])),
    ]);
    assert_eq!(mirror.members("bio"), ["ada"]);
}

#[test]
fn an_entry_that_may_be_anybody_lets_nobody_be_swept() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.full(vec![
        unusable(None, "not a name"),
        has(group("bio", &["ada"])),
    ]);
    assert_eq!(mirror.members("bio"), ["ada"]);
}

#[test]
fn a_group_that_turns_into_a_person_is_a_group_no_more() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.full(vec![
        is(person("ada")),
        is(Person {
            id: StableId::new("id-bio"),
            ..person("bio")
        }),
    ]);
    let state = mirror.store.directory_state(DIRECTORY).unwrap().unwrap();
    assert_eq!((state.people, state.groups), (2, 0));
    assert_eq!(state.vanished, ["bio"]);
}

#[test]
fn a_login_that_another_person_has_now_is_resolved_again() {
    let by_login = || Group {
        members: vec![Member {
            role: Role::member(),
            name: MemberName::Login("jdoe".to_owned()),
        }],
        ..group("unix", &[])
    };
    let doe = |name: &str| {
        is(Person {
            login: Some("jdoe".to_owned()),
            ..person(name)
        })
    };
    let mirror = Mirror::of(vec![doe("old"), has(by_login())]);
    mirror.full(vec![doe("new"), has(by_login())]);
    assert!(
        !mirror
            .store
            .groups_to_resolve(DIRECTORY)
            .unwrap()
            .is_empty()
    );
    mirror.entries(vec![has(by_login())]);
    assert_eq!(mirror.members("unix"), ["new"]);
}

#[test]
fn a_directory_that_is_not_configured_any_more_grants_nothing() {
    let mirror = Mirror::of(vec![is(person("ada")), has(group("bio", &["ada"]))]);
    mirror.store.keep_directories(&["another"]).unwrap();
    assert_eq!(mirror.members("bio"), [""; 0]);
    assert_eq!(mirror.store.group_names().unwrap().there, []);
    mirror.store.keep_directories(&[DIRECTORY]).unwrap();
}

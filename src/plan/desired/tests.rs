use super::*;
use crate::category::PermissionLevel;
use crate::config::Binding;

fn named(entry: EntryId, group: &str) -> NamedGroup {
    NamedGroup {
        entry,
        directory: "campus".into(),
        group_id: GroupId::new(group),
    }
}

fn category(id: i64, reference: &str) -> Category {
    Category {
        id: CategoryId(id),
        reference_id: Some(ReferenceId::new(reference)),
        full_name: format!("channels>{reference}"),
        owner: None,
        inherits_from: None,
        members_count: 0,
        created_at: 0,
    }
}

fn default_bindings() -> Bindings {
    Bindings::new(&[]).unwrap()
}

fn by_course() -> Bindings {
    let binding = |group: &str, level| Binding {
        group: Some(group.to_owned()),
        groups: None,
        directory: None,
        category: Some(crate::config::CategorySelector::ReferenceId(
            "{course}".to_owned(),
        )),
        level,
        roles: BTreeMap::new(),
        manual: None,
        departure: None,
    };
    Bindings::new(&[
        binding("(?<course>[a-z]+)-students", PermissionLevel::Member),
        binding("(?<course>[a-z]+)-staff", PermissionLevel::Manager),
    ])
    .unwrap()
}

fn names(there: &[NamedGroup], vanished: &[VanishedName]) -> GroupNames {
    GroupNames {
        there: there.to_vec(),
        vanished: vanished.to_vec(),
        unusable: Vec::new(),
    }
}

fn assigned(groups: &[NamedGroup], bindings: &Bindings, categories: &[Category]) -> Assignment {
    assign(
        &names(groups, &[]),
        bindings,
        categories,
        VanishedGroup::Keep,
    )
}

#[test]
fn a_group_finds_the_category_of_its_name() {
    let (groups, bindings) = ([named(1, "bio")], default_bindings());
    let assignment = assigned(
        &groups,
        &bindings,
        &[category(7, "bio"), category(8, "che")],
    );
    assert_eq!(
        assignment.categories.keys().collect::<Vec<_>>(),
        [&CategoryId(7)]
    );
    assert_eq!(assignment.findings, []);
}

#[test]
fn a_group_without_a_category_is_reported_with_the_one_that_differs_by_case() {
    let (groups, bindings) = ([named(1, "bio"), named(2, "che")], default_bindings());
    let assignment = assigned(&groups, &bindings, &[category(7, "BIO")]);
    assert!(assignment.categories.is_empty());
    let texts: Vec<String> = assignment
        .findings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        texts,
        [
            "group bio: no category has the reference ID bio; one has BIO, which differs by case",
            "group che: no category has the reference ID che",
        ]
    );
}

#[test]
fn a_reference_id_of_two_categories_blocks_both() {
    let (groups, bindings) = ([named(1, "bio")], default_bindings());
    let assignment = assigned(
        &groups,
        &bindings,
        &[category(7, "bio"), category(8, "bio")],
    );
    let ids = vec![CategoryId(7), CategoryId(8)];
    for id in &ids {
        let block = assignment.categories[id].block.clone();
        assert_eq!(block, Some(Block::AmbiguousReference { ids: ids.clone() }));
    }
}

#[test]
fn a_group_id_of_two_groups_blocks_its_category() {
    let (groups, bindings) = ([named(1, "bio"), named(2, "bio")], default_bindings());
    let assignment = assigned(&groups, &bindings, &[category(7, "bio")]);
    let group = GroupId::new("bio");
    assert_eq!(
        assignment.categories[&CategoryId(7)].block,
        Some(Block::AmbiguousGroup { group })
    );
}

#[test]
fn a_category_that_inherits_is_blocked() {
    let (groups, bindings) = ([named(1, "bio")], default_bindings());
    let inheriting = Category {
        inherits_from: Some(CategoryId(2)),
        ..category(7, "bio")
    };
    let assignment = assigned(&groups, &bindings, &[inheriting]);
    let id = CategoryId(2);
    assert_eq!(
        assignment.categories[&CategoryId(7)].block,
        Some(Block::InheritsFrom { id })
    );
}

#[test]
fn one_of_two_groups_that_vanished_lets_nobody_lose_anything() {
    let (groups, bindings) = ([named(1, "bio-staff")], by_course());
    let vanished = [VanishedName {
        directory: "campus".into(),
        group_id: GroupId::new("bio-students"),
    }];
    let categories = [category(7, "bio")];
    let kept = assign(
        &names(&groups, &vanished),
        &bindings,
        &categories,
        VanishedGroup::Keep,
    );
    let group = GroupId::new("bio-students");
    assert_eq!(
        kept.categories[&CategoryId(7)].block,
        Some(Block::NoSuchGroup { group })
    );
    let removed = assign(
        &names(&groups, &vanished),
        &bindings,
        &categories,
        VanishedGroup::Remove,
    );
    assert_eq!(removed.categories[&CategoryId(7)].block, None);
}

#[test]
fn two_categories_of_a_group_that_vanished_are_blocked_whatever_the_policy() {
    let vanished = [VanishedName {
        directory: "campus".into(),
        group_id: GroupId::new("bio"),
    }];
    let categories = [category(7, "bio"), category(8, "bio")];
    let remove = VanishedGroup::Remove;
    let assignment = assign(
        &names(&[], &vanished),
        &default_bindings(),
        &categories,
        remove,
    );
    for fed in assignment.categories.values() {
        let blocked = matches!(fed.block, Some(Block::AmbiguousReference { .. }));
        assert!(blocked, "{:?}", fed.block);
    }
    assert_eq!(assignment.categories.len(), 2);
}

/// A roster of people 1 to 9, who are in the groups given.
fn roster(groups: &[(EntryId, &[EntryId])]) -> Roster {
    Roster {
        people: (1..10)
            .map(|id| {
                (
                    id,
                    Listed {
                        user: UserId::new(format!("user{id}")),
                        enabled: id != 9,
                        is_usable: true,
                        directory: 1,
                    },
                )
            })
            .collect(),
        groups: groups
            .iter()
            .map(|(id, members)| {
                let listing = Listing {
                    group_id: GroupId::new(format!("g{id}")),
                    evidence: Evidence::Known,
                    depth: 3,
                    members: members
                        .iter()
                        .map(|member| (Role::member(), *member))
                        .collect(),
                };
                (*id, listing)
            })
            .collect(),
        vanished: HashSet::from([99]),
        ..Roster::default()
    }
}

fn wanted(groups: &[(EntryId, &[EntryId])], of: &[EntryId]) -> Desired {
    let (names, bindings): (Vec<_>, _) = (
        of.iter().map(|id| named(*id, "bio-students")).collect(),
        by_course(),
    );
    let categories = [category(7, "bio")];
    let assignment = assigned(&names, &bindings, &categories);
    desired(
        &assignment.categories[&CategoryId(7)].feeds,
        &roster(groups),
    )
}

fn users(desired: &Desired) -> Vec<&str> {
    desired.people.keys().map(UserId::as_str).collect()
}

#[test]
fn disabled_people_and_mere_names_are_wanted_nowhere() {
    let desired = wanted(&[(10, &[1, 9, 50])], &[10]);
    assert_eq!(users(&desired), ["user1"]);
    assert_eq!(desired.gap, None);
}

#[test]
fn groups_in_groups_are_followed_and_a_cycle_ends_and_is_reported() {
    let desired = wanted(&[(10, &[1, 11]), (11, &[2, 12]), (12, &[3, 10])], &[10]);
    assert_eq!(users(&desired), ["user1", "user2", "user3"]);
    let group = GroupId::new("bio-students");
    assert_eq!(desired.findings, BTreeSet::from([Finding::Cycle { group }]));
    assert_eq!(desired.gap, None, "a cycle is odd and complete");
}

#[test]
fn deeper_than_the_limit_is_not_known_so_nobody_loses_anything() {
    let chain: &[(EntryId, &[EntryId])] = &[
        (10, &[1, 11]),
        (11, &[2, 12]),
        (12, &[3, 13]),
        (13, &[4, 14]),
        (14, &[5]),
    ];
    let desired = wanted(chain, &[10]);
    assert_eq!(users(&desired), ["user1", "user2", "user3", "user4"]);
    assert!(matches!(desired.gap, Some(Block::UnprovenGroup { .. })));
}

#[test]
fn a_group_in_it_that_is_not_there_any_more_leaves_a_gap() {
    let desired = wanted(&[(10, &[1, 99])], &[10]);
    assert_eq!(users(&desired), ["user1"]);
    assert!(matches!(desired.gap, Some(Block::UnprovenGroup { .. })));
}

fn wanted_of(roster: &Roster) -> Desired {
    let names = [named(10, "bio-students")];
    let assignment = assigned(&names, &by_course(), &[category(7, "bio")]);
    desired(&assignment.categories[&CategoryId(7)].feeds, roster)
}

#[test]
fn a_listed_person_whose_entry_is_gone_is_kept_as_the_policy_says() {
    let mut roster = roster(&[(10, &[1, 60])]);
    for (is_kept, kept, causes) in [(true, 1, 0), (false, 0, 1)] {
        let gone = Gone {
            user: UserId::new("gone"),
            cause: Cause::PersonGone,
            is_kept,
        };
        roster.gone.insert(60, gone);
        let desired = wanted_of(&roster);
        assert_eq!(users(&desired), ["user1"]);
        assert_eq!((desired.kept.len(), desired.causes.len()), (kept, causes));
    }
}

#[test]
fn names_that_no_entry_has_may_be_anybody_and_the_newest_counts() {
    let mut roster = roster(&[(10, &[1, 61, 62, 11]), (11, &[63])]);
    for (name, look) in [(61, 3), (62, 7), (63, 5)] {
        let directory = 1;
        roster
            .unaccounted
            .insert(name, Unaccounted { directory, look });
    }
    assert_eq!(wanted_of(&roster).unaccounted, BTreeMap::from([(1, 7)]));
}

#[test]
fn former_user_ids_of_somebody_whose_present_one_cannot_be_used_are_kept() {
    let mut roster = roster(&[(10, &[1])]);
    roster.former_ids.insert(1, vec![UserId::new("before")]);
    assert_eq!(
        wanted_of(&roster).causes,
        BTreeMap::from([(UserId::new("before"), Cause::OtherId)])
    );
    roster.people.get_mut(&1).unwrap().is_usable = false;
    let desired = wanted_of(&roster);
    assert_eq!(
        desired.kept,
        BTreeMap::from([(UserId::new("before"), Reason::IdUnusable)])
    );
    assert_eq!(desired.unaccounted, BTreeMap::from([(1, 0)]));
}

#[test]
fn a_departure_that_is_not_proven_keeps_everybody_it_concerns() {
    let mut roster = roster(&[(10, &[1]), (11, &[2, 3])]);
    let member = Role::member;
    let unconfirmed = |id| (member(), id, Reason::Unconfirmed);
    roster
        .departures
        .insert(10, vec![unconfirmed(4), unconfirmed(11)]);
    let desired = wanted_of(&roster);
    assert_eq!(users(&desired), ["user1"]);
    let kept: Vec<&str> = desired.kept.keys().map(UserId::as_str).collect();
    assert_eq!(kept, ["user2", "user3", "user4"]);
}

#[test]
fn an_entry_that_cannot_be_used_blocks_the_category_it_may_feed() {
    let names = GroupNames {
        there: vec![named(1, "bio-students")],
        unusable: vec![UnusableName {
            directory: "campus".into(),
            group_id: GroupId::new("bio-staff"),
        }],
        ..GroupNames::default()
    };
    let categories = [category(7, "bio"), category(8, "che")];
    let keep = VanishedGroup::Keep;
    let assignment = assign(&names, &by_course(), &categories, keep);
    let block = &assignment.categories[&CategoryId(7)].block;
    assert!(
        matches!(block, Some(Block::UnprovenGroup { .. })),
        "{block:?}"
    );
    assert_eq!(assignment.categories.len(), 1);
}

#[test]
fn of_several_grants_the_highest_level_wins_in_any_order() {
    let (groups, bindings) = (
        [named(10, "bio-staff"), named(11, "bio-students")],
        by_course(),
    );
    let categories = [category(7, "bio")];
    let assignment = assigned(&groups, &bindings, &categories);
    let mut feeds = assignment.categories[&CategoryId(7)].feeds.clone();
    let roster = roster(&[(10, &[1]), (11, &[1, 2])]);
    for _ in 0..2 {
        let desired = desired(&feeds, &roster);
        let levels: Vec<_> = desired
            .people
            .values()
            .map(|want| (want.level, want.via.group.as_str()))
            .collect();
        assert_eq!(
            levels,
            [
                (PermissionLevel::Manager, "bio-staff"),
                (PermissionLevel::Member, "bio-students")
            ]
        );
        feeds.reverse();
    }
}

/// What becomes of manual memberships where the bindings of two groups feed one category, the second
/// of which may have vanished.
fn manual_by(said: [Option<ManualPolicy>; 2], policy: ManualPolicy, is_gone: bool) -> ManualPolicy {
    let binding = |group: &str, manual| Binding {
        group: Some(group.to_owned()),
        groups: None,
        directory: None,
        category: Some(crate::config::CategorySelector::Id(7)),
        level: PermissionLevel::Member,
        roles: BTreeMap::new(),
        manual,
        departure: None,
    };
    let bindings = Bindings::new(&[binding("one", said[0]), binding("other", said[1])]).unwrap();
    let mut groups = vec![named(1, "one"), named(2, "other")];
    let gone: Vec<VanishedName> = groups
        .drain(if is_gone { 1.. } else { 2.. })
        .map(|group| VanishedName {
            directory: group.directory,
            group_id: group.group_id,
        })
        .collect();
    let categories = [category(7, "bio")];
    let remove = VanishedGroup::Remove;
    let assignment = assign(&names(&groups, &gone), &bindings, &categories, remove);
    assignment.categories[&CategoryId(7)].manual(policy)
}

#[test]
fn a_manual_membership_is_respected_where_any_binding_respects_it() {
    const RESPECT: ManualPolicy = ManualPolicy::Respect;
    const OVERRIDE: ManualPolicy = ManualPolicy::Override;
    for is_gone in [false, true] {
        let manual = |said, policy| manual_by(said, policy, is_gone);
        assert_eq!(manual([None, None], RESPECT), RESPECT);
        assert_eq!(manual([None, None], OVERRIDE), OVERRIDE);
        assert_eq!(manual([Some(OVERRIDE), None], RESPECT), RESPECT);
        assert_eq!(manual([Some(OVERRIDE), Some(OVERRIDE)], RESPECT), OVERRIDE);
        assert_eq!(manual([None, Some(RESPECT)], OVERRIDE), RESPECT);
    }
}

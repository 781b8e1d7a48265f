//! What may happen, one thing at a time.

use proptest::prelude::*;

use super::directory::{Flaw, GROUPS, INNER, NAMES, PEOPLE, Place};

/// One thing that happens. Numbers are of people and groups; what is not possible is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Nest(usize, usize, bool),
    Placeholder(usize, bool),
    Delete(usize),
    /// The same name, and another entry.
    Recreate(usize),
    Rename(usize, Name),
    Move(usize, Place),
    RenameUnit(usize),
    Login(usize),
    Enable(usize, bool),
    Flaw(usize, Flaw),
    RenameGroup(usize, usize),
    MoveGroup(usize, Place),
    DeleteGroup(usize),
    CreateGroup(usize),
    HideMembers(bool),
    HideMembersOf(usize, bool),
    HidePerson(usize, bool),
    HideEnabled(bool),
    HideFilter(bool),
    HideFilterOf(usize, bool),
    /// Everything can be seen and used, and no group lists a name that is not the entry's own.
    Tidy,
    Restart,
    /// A person joins or leaves a group of one of the other directories.
    Other(Other, usize, usize, bool),
    NewState,
    Run(Run),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Fresh,
    /// The one of the beginning.
    First,
    /// One that others have, too, one after the other.
    Shared(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    Export,
    Lab,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) full: bool,
    pub(super) campus: Server,
    pub(super) lab: bool,
    pub(super) export: Export,
    /// Whether what the server does by and by is waited for.
    pub(super) settled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Up,
    Down,
    /// Ends so many milliseconds after the run has begun.
    Dies(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Export {
    Whole,
    /// So many thousandths of it.
    Cut(u16),
    Empty,
}

impl Run {
    /// A run with which nothing is wrong.
    pub(super) const FULL: Self = Self {
        full: true,
        campus: Server::Up,
        lab: true,
        export: Export::Whole,
        settled: true,
    };
}

fn run() -> impl Strategy<Value = Run> {
    let campus = prop_oneof![
        8 => Just(Server::Up),
        1 => Just(Server::Down),
        1 => (0u8..40).prop_map(Server::Dies),
    ];
    let export = prop_oneof![
        8 => Just(Export::Whole),
        1 => (0u16..1000).prop_map(Export::Cut),
        1 => Just(Export::Empty),
    ];
    let lab = prop::bool::weighted(0.9);
    (any::<bool>(), campus, lab, export, any::<bool>()).prop_map(
        |(full, campus, lab, export, settled)| Run {
            full,
            campus,
            lab,
            export,
            settled,
        },
    )
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let person = || 0..PEOPLE;
    let group = || 0..GROUPS;
    let yes = any::<bool>;
    let place = prop_oneof![
        Just(Place::Base),
        (0..2usize).prop_map(Place::Unit),
        Just(Place::Outside),
    ];
    let name = prop_oneof![
        2 => Just(Name::Fresh),
        2 => Just(Name::First),
        3 => (0u8..3).prop_map(Name::Shared),
    ];
    // Not Flaw::BadId: see `found::somebody_whose_user_id_cannot_be_used_is_hidden`.
    let flaw = prop_oneof![Just(Flaw::None), Just(Flaw::TwoIds)];
    let other = prop_oneof![Just(Other::Export), Just(Other::Lab)];
    let inner = (0..INNER.len()).prop_map(|n| INNER[n]);
    let members = prop_oneof![
        6 => (person(), group()).prop_map(|(p, g)| Step::Join(p, g)),
        6 => (person(), group()).prop_map(|(p, g)| Step::Leave(p, g)),
        3 => (group(), inner, yes()).prop_map(|(g, i, on)| Step::Nest(g, i, on)),
        1 => (group(), yes()).prop_map(|(g, on)| Step::Placeholder(g, on)),
        3 => (other, 0..4usize, 0..2usize, yes()).prop_map(|(o, p, g, on)| Step::Other(o, p, g, on)),
    ];
    let people = prop_oneof![
        2 => person().prop_map(Step::Delete),
        3 => person().prop_map(Step::Recreate),
        4 => (person(), name).prop_map(|(p, n)| Step::Rename(p, n)),
        4 => (person(), place.clone()).prop_map(|(p, to)| Step::Move(p, to)),
        2 => (0..2usize).prop_map(Step::RenameUnit),
        1 => person().prop_map(Step::Login),
        2 => (person(), yes()).prop_map(|(p, on)| Step::Enable(p, on)),
        2 => (person(), flaw).prop_map(|(p, flaw)| Step::Flaw(p, flaw)),
    ];
    let groups = prop_oneof![
        4 => (group(), 0..NAMES.len()).prop_map(|(g, n)| Step::RenameGroup(g, n)),
        2 => (group(), place).prop_map(|(g, to)| Step::MoveGroup(g, to)),
        1 => group().prop_map(Step::DeleteGroup),
        3 => group().prop_map(Step::CreateGroup),
    ];
    let rights = prop_oneof![
        1 => yes().prop_map(Step::HideMembers),
        2 => (group(), yes()).prop_map(|(g, on)| Step::HideMembersOf(g, on)),
        3 => (person(), yes()).prop_map(|(p, on)| Step::HidePerson(p, on)),
        // Not Step::HideEnabled: see `found::the_attribute_behind_enabled_is_hidden`.
        1 => yes().prop_map(Step::HideFilter),
        1 => (person(), yes()).prop_map(|(p, on)| Step::HideFilterOf(p, on)),
    ];
    prop_oneof![
        5 => members,
        5 => people,
        2 => groups,
        2 => rights,
        2 => Just(Step::Tidy),
        1 => Just(Step::Restart),
        1 => Just(Step::NewState),
        7 => run().prop_map(Step::Run),
        3 => Just(Step::Run(Run::FULL)),
    ]
}

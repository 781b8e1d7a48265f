//! What the random steps have found, as few steps as it takes. The seed is of a site: see
//! [`Variant`](super::site::Variant).

use super::directory::Flaw;
use super::play;
use super::step::{Run, Step};
use super::world::World;

const FULL: Step = Step::Run(Run::FULL);
const INCREMENTAL: Step = Step::Run(Run {
    full: false,
    ..Run::FULL
});
/// Each run lists the ids of all entries.
const LISTS: u32 = 4;

/// Lets these things happen, after which the channels must be as wanted.
async fn in_step_after(refint: bool, seed: u32, steps: &[Step]) {
    let mut world = World::start(refint, seed).await;
    for step in steps {
        world.step(step).await;
    }
    world.channels_are_as_wanted();
}

#[test]
fn the_attribute_behind_enabled_is_hidden() {
    play(true, 0, &[Step::HideEnabled(true), FULL, INCREMENTAL]);
}

#[test]
fn somebody_whose_user_id_cannot_be_used_is_hidden() {
    let bad = Step::Flaw(2, Flaw::BadId);
    play(true, 0, &[bad, FULL, Step::HidePerson(2, true), FULL]);
}

#[tokio::test]
async fn an_account_made_anew_is_disabled() {
    let steps = [
        Step::Recreate(1),
        Step::Join(1, 0),
        FULL,
        Step::Enable(1, false),
        FULL,
        FULL,
    ];
    in_step_after(true, 0, &steps).await;
}

/// The overlay takes the name from the group without a new time stamp: the second run sees it.
#[tokio::test]
async fn a_person_is_deleted_and_the_server_takes_the_name_from_the_groups() {
    let steps = [Step::Delete(5), INCREMENTAL, INCREMENTAL];
    in_step_after(true, LISTS, &steps).await;
}

#[tokio::test]
async fn the_name_of_nobody_leaves_the_group() {
    let steps = [
        Step::NewState,
        Step::Delete(2),
        INCREMENTAL,
        Step::Tidy,
        INCREMENTAL,
        INCREMENTAL,
    ];
    in_step_after(false, LISTS, &steps).await;
}

/// The group lists a name that the mirror does not have, because only the organisational unit has changed.
#[tokio::test]
async fn somebody_joins_and_the_unit_is_renamed_before_the_next_run() {
    let steps = [
        Step::Join(4, 6),
        Step::RenameUnit(0),
        INCREMENTAL,
        INCREMENTAL,
    ];
    in_step_after(true, 0, &steps).await;
}

/// The same, where each run lists the ids of all entries.
#[tokio::test]
async fn somebody_joins_and_the_unit_is_renamed_and_entries_are_listed() {
    let steps = [
        Step::Join(4, 6),
        Step::RenameUnit(0),
        INCREMENTAL,
        INCREMENTAL,
    ];
    in_step_after(true, LISTS, &steps).await;
}

/// A run reads the group, which has changed otherwise, too, before it knows that the person is gone.
#[tokio::test]
async fn a_person_is_deleted_and_a_group_changes_before_the_next_run() {
    let steps = [
        Step::Delete(5),
        Step::Join(0, 3),
        INCREMENTAL,
        INCREMENTAL,
        INCREMENTAL,
    ];
    in_step_after(true, 0, &steps).await;
}

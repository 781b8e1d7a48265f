//! What the random steps have found, as few steps as it takes.

use super::play;
use super::step::{Run, Step};

const FULL: Step = Step::Run(Run::FULL);
const INCREMENTAL: Step = Step::Run(Run {
    full: false,
    ..Run::FULL
});

#[test]
#[ignore = "open: the run after the one that says what it may not read removes everybody as disabled"]
fn the_attribute_behind_enabled_is_hidden() {
    play(true, 0, &[Step::HideEnabled(true), FULL, INCREMENTAL]);
}

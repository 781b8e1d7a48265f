//! Random steps against a real OpenLDAP server: with the limits wide open, nothing but evidence protects
//! people, and nobody may lose what a group grants them by the truth.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `ROLLBOOK_SLAPD_MODEL_CASES` | sites that are started by each test | 14 |
//! | `ROLLBOOK_SLAPD_MODEL_STEPS` | things that happen to each, at most | 60 |
//! | `ROLLBOOK_SLAPD_MODEL_SHRINK_MS` | how long a failure is made smaller | 20000 |
//! | `ROLLBOOK_SLAPD_MODEL_SEED` | where chance begins | another one each time |
//!
//! What once failed is in `proptest-regressions/slapd_model.txt` and is tried first.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};

mod campus;
mod change;
mod churn;
mod directory;
mod found;

mod site;
mod soak;

mod step;
mod world;

use step::{Step, step};
use world::World;

/// What was done, to be printed at the end.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    steps: u64,
    runs: u64,
    clean: u64,
    judged: u64,
    writes: u64,
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.runs += other.runs;
        self.clean += other.clean;
        self.judged += other.judged;
        self.writes += other.writes;
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(format!("ROLLBOOK_SLAPD_MODEL_{name}")).ok();
    text.map(|text| text.parse().unwrap())
}

/// Where chance begins: elsewhere each time, if nobody says where.
fn seed() -> u64 {
    number("SEED").unwrap_or_else(fresh_seed)
}

#[test]
fn a_server_that_keeps_the_names_of_members_right() {
    play_all("slapd_model_refint", true);
}

#[test]
fn a_server_that_lets_the_names_of_members_grow_old() {
    play_all("slapd_model", false);
}

fn play_all(name: &str, refint: bool) {
    let cases = u32::try_from(number("CASES").unwrap_or(14)).unwrap();
    let steps = usize::try_from(number("STEPS").unwrap_or(60)).unwrap();
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        max_shrink_time: u32::try_from(number("SHRINK_MS").unwrap_or(20_000)).unwrap(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/slapd_model.txt",
        ))),
        ..Config::default()
    };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let totals = RefCell::new(Totals::default());
    let scenes = (
        proptest::arbitrary::any::<u32>(),
        vec(step(), steps / 2..=steps),
    );
    let result = runner.run(&scenes, |(seed, steps)| {
        totals.borrow_mut().add(play(refint, seed, &steps));
        Ok::<_, TestCaseError>(())
    });
    let Totals {
        steps,
        runs,
        clean,
        judged,
        writes,
    } = *totals.borrow();
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, (site, steps))) => {
            panic!("ROLLBOOK_SLAPD_MODEL_SEED={seed}: {why}\nsite {site}, steps {steps:?}")
        }
        Err(error) => panic!("ROLLBOOK_SLAPD_MODEL_SEED={seed}: {error}"),
    }
    let overlay = if refint { "with" } else { "without" };
    let told = format!(
        "slapd {overlay} refint, seed {seed}: {cases} sites, {steps} steps, {runs} runs ({clean} of \
         them clean), {writes} writes, {judged} runs judged, wrong removals: 0"
    );
    crate::figures::tell(name, &told);
}

/// Lets these things happen to a new site, and then has everything come to rest.
fn play(refint: bool, seed: u32, steps: &[Step]) -> Totals {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::start(refint, seed).await;
        for step in steps {
            world.step(step).await;
        }
        world.come_to_rest().await;
        world.totals
    })
}

/// A seed that no run before had, as far as the clock can tell.
pub(crate) fn fresh_seed() -> u64 {
    u64::try_from(rollbook::clock::now().as_microsecond()).unwrap() % 1_000_000_000
}

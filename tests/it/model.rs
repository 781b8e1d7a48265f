//! A model test: whatever happens to directory, network and channels, in whatever order, the promises
//! hold.
//!
//! *Its one idea: a second opinion that is too simple to be wrong.* Steps are made up at random; after
//! each run, what was asked of the sandbox and what is in it are judged by a model in plain maps
//! ([`directory`]) and by the promises of the design ([`promises`]).
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `ROLLBOOK_MODEL_CASES` | sites that are started | 48 |
//! | `ROLLBOOK_MODEL_STEPS` | things that happen to each, at most | 80 |
//! | `ROLLBOOK_MODEL_SHRINK_MS` | how long a failure is made smaller | 20000 |
//! | `ROLLBOOK_MODEL_TRACE` | print each step and what each run did | |
//! | `ROLLBOOK_MODEL_SEED` | where chance begins: the same seed, the same test | 7001; `fresh`: another each time, printed |
//!
//! `ROLLBOOK_MODEL_CASES=3400` is a soak of about 200,000 steps, which takes about an hour.
//!
//! What once failed is in `proptest-regressions/model.txt` and is tried first.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::strategy::Strategy as _;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner,
};

mod directory;
mod files;
mod meanwhile;
mod promises;
mod put_back;
mod site;
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
    faults: u64,
    writes: u64,
    files: u64,
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.runs += other.runs;
        self.clean += other.clean;
        self.faults += other.faults;
        self.writes += other.writes;
        self.files += other.files;
    }
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap())
}

#[test]
fn model_of_everything() {
    let cases = u32::try_from(number("ROLLBOOK_MODEL_CASES", 48)).unwrap();
    let steps = usize::try_from(number("ROLLBOOK_MODEL_STEPS", 80)).unwrap();
    let seed = match std::env::var("ROLLBOOK_MODEL_SEED") {
        Ok(text) if text == "fresh" => crate::slapd_model::fresh_seed(),
        _ => number("ROLLBOOK_MODEL_SEED", 7001),
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        max_shrink_time: u32::try_from(number("ROLLBOOK_MODEL_SHRINK_MS", 20_000)).unwrap(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/model.txt",
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
    let scenes = scenes.prop_map(|(seed, steps)| (u64::from(seed), steps));
    let result = runner.run(&scenes, |(seed, steps)| {
        totals.borrow_mut().add(play(seed, &steps));
        Ok::<_, TestCaseError>(())
    });
    let Totals {
        steps,
        runs,
        clean,
        faults,
        writes,
        files,
    } = *totals.borrow();
    if let Err(error) = result {
        panic!("seed {seed}: {error}");
    }
    let told = format!(
        "model, seed {seed}: {cases} sites, {steps} steps, {runs} runs ({clean} of them clean), \
         {faults} faults, {writes} writes, {files} CSV files, wrong removals: 0"
    );
    crate::figures::tell("model", &told);
}

/// Lets these things happen to a new site, and then has everything come to rest.
fn play(seed: u64, steps: &[Step]) -> Totals {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::start(seed).await;
        for step in steps {
            world.step(step).await;
        }
        world.come_to_rest().await;
        world.totals
    })
}

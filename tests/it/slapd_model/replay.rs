use super::directory::{Flaw, Place, Flaw::*, Place::*};
use super::step::{Name::*, Other::*, Server::*, Step::*, *};
use super::step::Export::*;
const INC: super::step::Run = super::step::Run { full: false, ..super::step::Run::FULL };
#[test]
fn replay_steps() {
    let die = Run(super::step::Run { campus: Dies(10), ..INC });
    let inc = Run(INC);
    let all: Vec<(u32, Vec<Step>)> = vec![
      (7, vec![NewState, Delete(2), inc.clone(), Tidy, die.clone(), inc.clone()]),
      (7, vec![NewState, Delete(2), inc.clone(), Tidy, inc.clone(), inc.clone()]),
      (7, vec![Delete(2), inc.clone(), Tidy, die.clone(), inc.clone()]),
      (7, vec![NewState, Login(1), Delete(2), inc.clone(), Tidy, inc.clone(), inc.clone()]),
      (7, vec![NewState, Login(1), Delete(2), inc.clone(), Tidy, die.clone(), inc.clone()]),
    ];
    for (n, (seed, steps)) in all.iter().enumerate() {
        let result = std::panic::catch_unwind(|| super::play(false, *seed, steps));
        eprintln!("CASE {n} {}", if result.is_ok() { "ok" } else { "FAILED" });
    }
}

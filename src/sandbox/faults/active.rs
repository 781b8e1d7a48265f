//! A rule in force: which calls it strikes.
//!
//! *Its one idea: chance is a hash*, of the seed, the rule, what the call asks for, and how often the
//! same was asked before.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::rule::{FaultRule, When};

/// A rule in force, with what it remembers.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) id: u64,
    pub(super) line: String,
    pub(super) rule: FaultRule,
    pub(super) since_ms: i64,
    /// Calls that were meant.
    seen: u32,
    pub(super) struck: u64,
    /// How often the same was asked before.
    before: HashMap<u64, u32>,
}

impl Active {
    /// Puts a rule in force.
    pub(super) fn new(id: u64, rule: FaultRule, now_ms: i64) -> Self {
        Self {
            id,
            line: rule.to_string(),
            rule,
            since_ms: now_ms,
            seen: 0,
            struck: 0,
            before: HashMap::new(),
        }
    }

    /// Whether it has struck often enough, or its time is over.
    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        let When { next, lasts, .. } = self.rule.when;
        let used_up = next.is_some_and(|next| self.struck >= next.into());
        let over = lasts.is_some_and(|lasts| {
            u128::try_from(now_ms - self.since_ms).is_ok_and(|ms| ms >= lasts.as_millis())
        });
        used_up || over
    }

    /// Counts a call that is meant, and answers whether the rule strikes it: with a number from 0 to 1
    /// that is the call's own.
    pub(super) fn strike(
        &mut self,
        seed: u64,
        digest: u64,
        injected: &mut BTreeMap<String, u64>,
    ) -> Option<f64> {
        let When {
            next,
            after,
            every,
            rate,
            ..
        } = self.rule.when;
        self.seen = self.seen.saturating_add(1);
        let turn = self.seen.checked_sub(after).filter(|turn| *turn > 0)?;
        if every.is_some_and(|every| turn % every != 0)
            || next.is_some_and(|next| self.struck >= next.into())
        {
            return None;
        }
        let before = self.before.entry(digest).or_default();
        let [chance, other] = chances(seed, &self.line, digest, *before);
        *before += 1;
        if rate.is_some_and(|rate| chance >= rate) {
            return None;
        }
        self.struck += 1;
        *injected.entry(self.line.clone()).or_default() += 1;
        Some(other)
    }
}

/// Two numbers from 0 to 1 that depend on nothing but these.
fn chances(seed: u64, line: &str, digest: u64, before: u32) -> [f64; 2] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(digest.to_be_bytes());
    hash.update(before.to_be_bytes());
    hash.update(line);
    let hash = hash.finalize();
    [&hash[..4], &hash[4..8]].map(|part| {
        let number = part.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        f64::from(number) / 4_294_967_296.0
    })
}

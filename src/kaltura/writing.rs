//! The writes of one batch, attempt by attempt.
//!
//! What is sent again is only what the server certainly did not begin, in the same order. Between two attempts
//! the caller looks whether it is still right.

use secrecy::ExposeSecret;

use super::api_error::ApiError;
use super::change::{Write, WriteOutcome};
use super::error::{Fault, KalturaError};
use super::pace::Patience;
use super::request::{Client, is_untouched, worst};
use super::transport::Answer;
use super::wire::Call;
use crate::plan::gate::Fence;

/// The attempts at the writes of one batch.
pub struct Writing<'k> {
    client: &'k Client,
    fence: &'k Fence,
    patience: Patience<'k>,
    attempts: usize,
    /// What the rest met when it was sent before.
    refusal: Option<ApiError>,
}

impl<'k> Writing<'k> {
    pub(super) fn new(client: &'k Client, fence: &'k Fence) -> Self {
        Self {
            client,
            fence,
            patience: Patience::new(&client.pace),
            attempts: 0,
            refusal: None,
        }
    }

    /// Sends writes in one request, in order. The outcomes are those of the first writes; where they are fewer
    /// than the writes, nothing of the rest was begun, and it is time for another attempt. An error means that
    /// nothing of these was done.
    pub async fn attempt(&mut self, writes: &[Write]) -> Result<Vec<WriteOutcome>, KalturaError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.attempts += 1;
        let client = self.client;
        let ticket = match client.session.ticket(&client.transport, &client.pace).await {
            Ok(ticket) => ticket,
            Err(error) => return self.give_up(writes, error),
        };
        let calls: Vec<Call> = writes.iter().map(Write::call).collect();
        let asked: Vec<&Call> = calls.iter().collect();
        let ks = ticket.ks.expose_secret();
        let sent = client
            .transport
            .multirequest(ks, &asked, Some(self.fence))
            .await;
        let mut answers = match sent {
            Ok(answers) => answers,
            Err(Fault::Withdrawn) => return Err(KalturaError::Withdrawn),
            Err(fault) if fault.is_harmless() => {
                let Some(wait) = self.patience.after_fault(&fault) else {
                    let action = calls.first().map(Call::name).unwrap_or_default();
                    let attempts = self.attempts;
                    let error = KalturaError::NoAnswer {
                        action,
                        attempts,
                        fault,
                    };
                    return self.give_up(writes, error);
                };
                tokio::time::sleep(wait).await;
                return Ok(Vec::new());
            }
            Err(fault) => return Ok(unknown(Vec::new(), writes.len(), &fault)),
        };
        if answers.len() != calls.len() {
            let fault = Fault::Mismatch {
                calls: calls.len(),
                answers: answers.len(),
            };
            // Too few: those that came are in order. Too many: nothing can be told.
            answers.truncate(if answers.len() < calls.len() {
                answers.len()
            } else {
                0
            });
            return Ok(unknown(outcomes(writes, answers), writes.len(), &fault));
        }
        let rest = answers
            .iter()
            .rev()
            .take_while(|answer| is_untouched(answer));
        let begun = answers.len() - rest.count();
        let refusals = answers.split_off(begun);
        let mut outcomes = outcomes(writes, answers);
        let wish = worst(&refusals);
        self.refusal = refusals.iter().find_map(|answer| answer.clone().err());
        if let Some(wait) = client.wait(&mut self.patience, wish, &ticket).await {
            tokio::time::sleep(wait).await;
        } else {
            let rest = writes[begun..].iter().zip(refusals);
            outcomes.extend(rest.map(|(write, answer)| write.outcome(answer)));
        }
        Ok(outcomes)
    }

    /// Ends the attempts. What was refused before is known; only where nothing is known at all is there
    /// nothing but the error.
    fn give_up(
        &self,
        writes: &[Write],
        error: KalturaError,
    ) -> Result<Vec<WriteOutcome>, KalturaError> {
        let Some(refusal) = &self.refusal else {
            return Err(error);
        };
        let refused = writes
            .iter()
            .map(|write| write.outcome(Err(refusal.clone())));
        Ok(refused.collect())
    }
}

fn outcomes(writes: &[Write], answers: Vec<Answer>) -> Vec<WriteOutcome> {
    let answered = writes.iter().zip(answers);
    answered
        .map(|(write, answer)| write.outcome(answer))
        .collect()
}

fn unknown(mut outcomes: Vec<WriteOutcome>, of: usize, fault: &Fault) -> Vec<WriteOutcome> {
    let unknown = of - outcomes.len();
    tracing::warn!(writes = unknown, %fault, "it is not known whether Kaltura did these writes");
    outcomes.resize(of, WriteOutcome::Unknown);
    outcomes
}

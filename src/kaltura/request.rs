//! Many calls, with patience: what may be repeated and what may not.
//!
//! *Its one idea: a question may be asked twice, an order may not.* A read is repeated until it is
//! answered. A write whose outcome is unknown stays unknown until somebody reads; what is sent
//! again is only what the server certainly did not begin.

use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::Credentials;
use super::api_error::{ApiError, Disposition};
use super::error::{Fault, KalturaError};
use super::pace::{Pace, Patience};
use super::session::{Session, Ticket};
use super::transport::{Answer, Transport};
use super::wire::Call;
use crate::config;

/// Lists in one request, at most: all of them together have the server's sixty seconds.
const LISTS_PER_REQUEST: usize = 20;

pub(super) struct Client {
    /// Which account this is.
    pub(super) account: String,
    pub(super) transport: Transport,
    pub(super) session: Session,
    pub(super) pace: Pace,
    pub(super) batch: usize,
    concurrency: usize,
}

/// What became of one write.
#[derive(Debug)]
pub(super) enum Sent {
    /// The server answered.
    Answered(Answer),
    /// Nobody knows whether the server did it.
    Unknown,
}

impl Client {
    pub(super) fn new(
        config: &config::Kaltura,
        credentials: Credentials,
    ) -> Result<Self, KalturaError> {
        Ok(Self {
            account: config.account(),
            transport: Transport::new(config)?,
            session: Session::new(config, credentials)?,
            pace: Pace::new(config.retries),
            batch: config.batch.max(1),
            concurrency: config.concurrency.max(1),
        })
    }

    /// Asks lists, as many in one request as is good for the server.
    pub(super) async fn read_lists(&self, calls: &[Call]) -> Result<Vec<Answer>, KalturaError> {
        self.read_in(calls, LISTS_PER_REQUEST.min(self.batch)).await
    }

    /// Asks small things, in requests of the configured size.
    pub(super) async fn read_many(&self, calls: &[Call]) -> Result<Vec<Answer>, KalturaError> {
        self.read_in(calls, self.batch).await
    }

    async fn read_in(&self, calls: &[Call], size: usize) -> Result<Vec<Answer>, KalturaError> {
        stream::iter(calls.chunks(size).map(|calls| self.read(calls)))
            .buffered(self.concurrency)
            .try_concat()
            .await
    }

    /// Asks in one request, and again what met a passing error.
    async fn read(&self, calls: &[Call]) -> Result<Vec<Answer>, KalturaError> {
        let mut answers: Vec<Option<Answer>> = vec![None; calls.len()];
        let mut patience = Patience::new(&self.pace);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let ticket = self.session.ticket(&self.transport, &self.pace).await?;
            let open: Vec<usize> = (0..calls.len())
                .filter(|n| !is_final(answers[*n].as_ref()))
                .collect();
            let asked: Vec<&Call> = open.iter().map(|n| &calls[*n]).collect();
            let wait = match self.multirequest(ticket.ks.expose_secret(), &asked).await {
                Ok(got) => {
                    let todo = worst(&got);
                    for (n, answer) in open.into_iter().zip(got) {
                        answers[n] = Some(answer);
                    }
                    self.wait(&mut patience, todo, &ticket).await
                }
                Err(fault) => {
                    let wait = patience.after_fault(&fault);
                    if wait.is_none() {
                        let action = calls.first().map(Call::name).unwrap_or_default();
                        return Err(KalturaError::NoAnswer {
                            action,
                            attempts,
                            fault,
                        });
                    }
                    tracing::warn!(attempt = attempts, %fault, "Kaltura gave no usable answer; asking again");
                    wait
                }
            };
            let Some(wait) = wait else { break };
            tokio::time::sleep(wait).await;
        }
        // After a request that was answered there is no gap.
        Ok(answers.into_iter().flatten().collect())
    }

    /// The wait before the next attempt, with the session given up where that is wished.
    pub(super) async fn wait(
        &self,
        patience: &mut Patience<'_>,
        wish: Disposition,
        ticket: &Ticket,
    ) -> Option<Duration> {
        let wait = patience.after(wish)?;
        if wish == Disposition::Renew {
            self.session.give_up(ticket.number).await;
        }
        Some(wait)
    }

    /// A request that has as many answers as calls.
    async fn multirequest(&self, ks: &str, calls: &[&Call]) -> Result<Vec<Answer>, Fault> {
        let answers = self.transport.multirequest(ks, calls, None).await?;
        if answers.len() == calls.len() {
            Ok(answers)
        } else {
            Err(Fault::Mismatch {
                calls: calls.len(),
                answers: answers.len(),
            })
        }
    }
}

fn is_final(answer: Option<&Answer>) -> bool {
    match answer {
        None => false,
        Some(Ok(_)) => true,
        Some(Err(error)) => error.disposition() == Disposition::Permanent,
    }
}

/// Whether the server answered before it did anything, so that the same call may be sent again.
pub(super) fn is_untouched(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(|error| {
        error.is_before_anything() && error.disposition() != Disposition::Permanent
    })
}

/// What must be done before the request is sent again: the gravest of its answers' wishes.
pub(super) fn worst(answers: &[Answer]) -> Disposition {
    let wishes: Vec<Disposition> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .map(ApiError::disposition)
        .collect();
    [
        Disposition::Renew,
        Disposition::Throttled,
        Disposition::Passing,
    ]
    .into_iter()
    .find(|wish| wishes.contains(wish))
    .unwrap_or(Disposition::Permanent)
}

/// What a read that must succeed answered.
pub(super) fn required(call: &Call, answer: Answer) -> Result<Value, KalturaError> {
    answer.map_err(|error| refused(call.name(), error))
}

/// The error of a read that must succeed.
pub(super) fn refused(action: String, error: ApiError) -> KalturaError {
    if error.code == "INVALID_KS" {
        KalturaError::Session {
            how: "with a new session, too",
            error,
        }
    } else {
        KalturaError::Refused { action, error }
    }
}

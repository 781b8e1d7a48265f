//! Calls that go alone: a file is handed in, a log is fetched.
//!
//! *Its one idea: alone or with others, a question may be asked twice and an order may not.* The
//! rules are those of [`request`](super::request); only the body of the request or of the answer is
//! no multirequest.

use secrecy::ExposeSecret;

use super::api_error::Disposition;
use super::bulk::{JobId, JobLog};
use super::error::{Fault, KalturaError};
use super::pace::Patience;
use super::request::{Client, Sent, is_untouched, refused};
use super::wire::{LogRequest, Upload};
use crate::plan::gate::Fence;

impl Client {
    /// Hands in a file, once. It may be handed in again only where the server certainly did not begin with it: then
    /// the answer is nothing, after a wait. An error means that nothing was done.
    pub(super) async fn hand_in(
        &self,
        upload: &Upload<'_>,
        (patience, attempts): (&mut Patience<'_>, &mut usize),
        fence: &Fence,
    ) -> Result<Option<Sent>, KalturaError> {
        *attempts += 1;
        let ticket = self.session.ticket(&self.transport, &self.pace).await?;
        let ks = ticket.ks.expose_secret();
        let wait = match self.transport.upload(ks, upload, fence).await {
            Ok(answer) => {
                let wish = match &answer {
                    Err(error) if is_untouched(&answer) => error.disposition(),
                    _ => Disposition::Permanent,
                };
                let Some(wait) = self.wait(patience, wish, &ticket).await else {
                    return Ok(Some(Sent::Answered(answer)));
                };
                wait
            }
            Err(Fault::Withdrawn) => return Err(KalturaError::Withdrawn),
            Err(fault) if fault.is_harmless() => {
                let Some(wait) = patience.after_fault(&fault) else {
                    return Err(no_answer(upload.action(), *attempts, fault));
                };
                wait
            }
            Err(fault) => {
                let file = upload.name;
                tracing::warn!(file, %fault, "it is not known whether Kaltura took the file");
                return Ok(Some(Sent::Unknown));
            }
        };
        tokio::time::sleep(wait).await;
        Ok(None)
    }

    /// Fetches the log of a job.
    pub(super) async fn job_log(&self, job: JobId) -> Result<JobLog, KalturaError> {
        let mut patience = Patience::new(&self.pace);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let ticket = self.session.ticket(&self.transport, &self.pace).await?;
            let ks = ticket.ks.expose_secret();
            let wait = match self.transport.job_log(ks, job).await {
                Ok(Ok(log)) => return Ok(log),
                Ok(Err(error)) => {
                    let wish = error.disposition();
                    let Some(wait) = self.wait(&mut patience, wish, &ticket).await else {
                        return Err(refused(LogRequest::ACTION.to_owned(), error));
                    };
                    wait
                }
                Err(fault) => {
                    let Some(wait) = patience.after_fault(&fault) else {
                        return Err(no_answer(LogRequest::ACTION, attempts, fault));
                    };
                    tracing::warn!(attempt = attempts, %fault, "Kaltura gave no usable answer; asking again");
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }
}

fn no_answer(action: &str, attempts: usize, fault: Fault) -> KalturaError {
    KalturaError::NoAnswer {
        action: action.to_owned(),
        attempts,
        fault,
    }
}

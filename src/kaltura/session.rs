//! The session under which everything is asked, kept fresh.
//!
//! *Its one idea: one session, made by whoever needs it first.* The lock is held while it is made,
//! so that the others wait for that one instead of making their own.

use std::time::Duration;

use data_encoding::HEXLOWER;
use md5::Md5;
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Credentials;
use super::api_error::Disposition;
use super::error::{Fault, KalturaError};
use super::ks::{self, Claims};
use super::pace::Pace;
use super::transport::Transport;
use super::wire::{self, ADMIN_SESSION_KIND, JSON, Login, SessionInfo};
use crate::clock;
use crate::config::{self, kaltura::TokenHash};

/// How long a session is asked for. Long enough that a clock an hour or two off does no harm.
const LIFE: Duration = Duration::from_hours(6);
/// How long the widget session lives, from which an app token makes the real one.
const WIDGET_LIFE: Duration = Duration::from_mins(10);

pub(super) struct Session {
    way: Way,
    partner_id: i64,
    user_id: String,
    privileges: String,
    held: Mutex<Held>,
}

enum Way {
    /// Made here from the administrator secret.
    Local(SecretString),
    /// Made by the server from the administrator secret.
    Start(SecretString),
    /// Made by the server from an app token.
    AppToken {
        id: String,
        token: SecretString,
        hash: TokenHash,
    },
}

#[derive(Default)]
struct Held {
    /// How many there have been; names the one at hand.
    number: u64,
    session: Option<(SecretString, Instant)>,
    privileges: Option<String>,
}

/// A session to ask with.
pub(super) struct Ticket {
    pub(super) ks: SecretString,
    /// Which one it is, to be named when the server no longer accepts it.
    pub(super) number: u64,
}

impl Session {
    pub(super) fn new(
        config: &config::Kaltura,
        credentials: Credentials,
    ) -> Result<Self, KalturaError> {
        let way = match (credentials, &config.app_token) {
            (Credentials::AdminSecret(secret), _) if config.session_start => Way::Start(secret),
            (Credentials::AdminSecret(secret), _) => Way::Local(secret),
            (Credentials::AppToken(token), Some(app_token)) => Way::AppToken {
                id: app_token.id.clone(),
                token,
                hash: app_token.hash,
            },
            (Credentials::AppToken(_), None) => {
                return Err(KalturaError::Setup {
                    problem: "an app token's value without `kaltura.app_token`".to_owned(),
                });
            }
        };
        let role = config.role.as_ref().map(|role| format!(",setrole:{role}"));
        Ok(Self {
            way,
            partner_id: config.partner_id,
            user_id: config.user_id.clone(),
            privileges: format!("disableentitlement{}", role.unwrap_or_default()),
            held: Mutex::default(),
        })
    }

    /// Hands out the session, made anew where there is none or it is near its end.
    pub(super) async fn ticket(
        &self,
        transport: &Transport,
        pace: &Pace,
    ) -> Result<Ticket, KalturaError> {
        let mut held = self.held.lock().await;
        if let Some((ks, renew_at)) = &held.session
            && Instant::now() < *renew_at
        {
            return Ok(Ticket {
                ks: ks.clone(),
                number: held.number,
            });
        }
        let (ks, life, privileges) = self.make(transport, pace).await?;
        held.number += 1;
        // At four fifths of its life, so that no request meets its end.
        held.session = Some((ks.clone(), Instant::now() + life * 4 / 5));
        held.privileges = Some(privileges);
        Ok(Ticket {
            ks,
            number: held.number,
        })
    }

    /// Gives up a session that the server no longer accepts, unless that has been done already.
    pub(super) async fn give_up(&self, number: u64) {
        let mut held = self.held.lock().await;
        if held.number == number {
            held.session = None;
        }
    }

    /// The privileges of the session at hand, as far as they are known.
    pub(super) async fn privileges(&self) -> Option<String> {
        self.held.lock().await.privileges.clone()
    }

    async fn make(
        &self,
        transport: &Transport,
        pace: &Pace,
    ) -> Result<(SecretString, Duration, String), KalturaError> {
        match &self.way {
            Way::Local(secret) => {
                let claims = Claims {
                    partner_id: self.partner_id,
                    user_id: &self.user_id,
                    kind: ADMIN_SESSION_KIND,
                    expiry: clock::now().as_second() + seconds(LIFE),
                    privileges: &self.privileges,
                };
                Ok((ks::sign(&claims, secret), LIFE, self.privileges.clone()))
            }
            Way::Start(secret) => {
                let start = Login::Start {
                    secret: secret.expose_secret(),
                    user_id: &self.user_id,
                    partner_id: self.partner_id,
                    expiry: LIFE.as_secs(),
                    privileges: &self.privileges,
                    r#type: ADMIN_SESSION_KIND,
                    format: JSON,
                };
                let ks: String = ask(transport, pace, &start).await?;
                Ok((ks.into(), LIFE, self.privileges.clone()))
            }
            Way::AppToken { id, token, hash } => {
                let widget = Login::Widget {
                    widget_id: format!("_{}", self.partner_id),
                    expiry: WIDGET_LIFE.as_secs(),
                    format: JSON,
                };
                let widget: SessionInfo = ask(transport, pace, &widget).await?;
                let start = Login::AppToken {
                    ks: &widget.ks,
                    id,
                    token_hash: token_hash(*hash, &widget.ks, token),
                    expiry: LIFE.as_secs(),
                    format: JSON,
                };
                let info: SessionInfo = ask(transport, pace, &start).await?;
                // The token may allow less than was asked for.
                let life = info
                    .expiry
                    .and_then(|expiry| u64::try_from(expiry - clock::now().as_second()).ok())
                    .map_or(LIFE, |left| LIFE.min(Duration::from_secs(left)));
                Ok((info.ks.into(), life, info.privileges.unwrap_or_default()))
            }
        }
    }
}

/// Asks for a session, again where the fault is a passing one: asking twice does no harm.
async fn ask<T: serde::de::DeserializeOwned>(
    transport: &Transport,
    pace: &Pace,
    login: &Login<'_>,
) -> Result<T, KalturaError> {
    let mut delays = pace.delays();
    let mut attempts = 0;
    loop {
        attempts += 1;
        match transport.login(login).await {
            Ok(Ok(answer)) => return wire::read(login.name(), answer),
            Ok(Err(error)) => {
                let wait = match error.disposition() {
                    Disposition::Passing => delays.next(),
                    Disposition::Throttled => delays.next().map(|wait| wait.max(pace.throttled)),
                    Disposition::Renew | Disposition::Permanent => None,
                };
                let Some(wait) = wait else {
                    return Err(KalturaError::Session {
                        how: login.name(),
                        error,
                    });
                };
                tokio::time::sleep(wait).await;
            }
            Err(fault) => {
                let wait = if fault.is_passing() {
                    delays.next()
                } else {
                    None
                };
                let Some(wait) = wait else {
                    return Err(no_answer(login.name(), attempts, fault));
                };
                tokio::time::sleep(wait).await;
            }
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

/// The hash of the widget session and the token, in lower-case hexadecimal: the server compares
/// the text.
fn token_hash(hash: TokenHash, ks: &str, token: &SecretString) -> String {
    fn hex<D: Digest>(ks: &str, token: &SecretString) -> String {
        let digest = D::new()
            .chain_update(ks)
            .chain_update(token.expose_secret())
            .finalize();
        HEXLOWER.encode(&digest)
    }
    match hash {
        TokenHash::Md5 => hex::<Md5>(ks, token),
        TokenHash::Sha1 => hex::<Sha1>(ks, token),
        TokenHash::Sha256 => hex::<Sha256>(ks, token),
        TokenHash::Sha512 => hex::<Sha512>(ks, token),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_token_hashes() {
        let ks = "djJ8MTAxfFrtYJRRp0EGQ4_LZREXbAHf8f7SvMBhBJu2K-jZR9iKUKP_IuEQLWx545IFFoVbklvLDGCUlj7hzHe3nJvftC8RGph77-ZiRG8-tXaa7_2Kgw_n4zy-IQ9DRpmLBVNTEA3PCMINkZkUvsE9Tb7k_Xc=";
        let token = SecretString::from("00112233445566778899aabbccddeeff");
        for (hash, expected) in [
            (TokenHash::Sha1, "b021b06a1e50e888cd77ccbdd3921713beb350dd"),
            (TokenHash::Md5, "f68b1d492fcd8db28458c5135bfd1bdc"),
            (
                TokenHash::Sha256,
                "55816a400bc27d57a485efd9bad4e2e7eefb9a1b6146174a69e1ed06b3d58e3b",
            ),
        ] {
            assert_eq!(token_hash(hash, ks, &token), expected);
        }
        assert_eq!(token_hash(TokenHash::Sha512, ks, &token).len(), 128);
    }
}

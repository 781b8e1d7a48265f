//! One connection to one server.
//!
//! *Its one idea: no way to end a search looks like its success.* The LDAP library reports a cut
//! connection once and success after that, reports limits only to those who ask, waits for ever on a
//! mute server, and panics on what it does not expect. All of that ends here.

use std::time::Duration;

use futures_util::FutureExt;
use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, LdapResult};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;

use super::super::{Attempt, SourceError};
use super::relay::{self, Meter};
use super::tls;
use crate::config::LdapDirectory;
use crate::config::directory::BindMethod;

/// How to reach a directory, with everything resolved that can be without the network.
pub(super) struct Access {
    directory: String,
    urls: Vec<String>,
    starttls: bool,
    tls: Option<std::sync::Arc<rustls::ClientConfig>>,
    bind: Bind,
    connect_timeout: Duration,
    /// How long the server may stay silent in an operation.
    pub(super) search_timeout: Duration,
}

enum Bind {
    Simple(String, SecretString),
    External,
    Anonymous,
}

/// A connection that has been bound.
pub(super) struct Session {
    pub(super) ldap: ldap3::Ldap,
    /// The server, as the configuration writes it.
    pub(super) url: String,
    driver: Option<JoinHandle<Result<(), LdapError>>>,
    pub(super) meter: Meter,
    timeout: Duration,
}

impl Access {
    /// Checks the configuration and reads the certificates.
    pub(super) fn new(
        config: &LdapDirectory,
        password: Option<SecretString>,
    ) -> Result<Self, SourceError> {
        let wrong = |key: &str, reason: String| SourceError::Config {
            directory: config.name.clone(),
            key: key.to_owned(),
            reason,
        };
        if config.urls.is_empty() {
            return Err(wrong("urls", "name at least one server".to_owned()));
        }
        for url in &config.urls {
            check_url(url, config.starttls).map_err(|reason| wrong("urls", reason))?;
        }
        let encrypted = |url: &String| url.starts_with("ldaps:") || config.starttls;
        let tls = config.urls.iter().any(encrypted);
        let tls = tls.then(|| tls::client_config(config)).transpose();
        Ok(Self {
            directory: config.name.clone(),
            urls: config.urls.clone(),
            starttls: config.starttls,
            tls: tls.map_err(|(key, reason)| wrong(key, reason))?,
            bind: bind_method(config, password).map_err(|(key, reason)| wrong(key, reason))?,
            connect_timeout: config.connect_timeout.0,
            search_timeout: config.search_timeout.0,
        })
    }

    /// The servers, in the order in which they are tried.
    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Connects to a server and binds. `None`, with a note in `tried`: another one is to be tried, because
    /// this one cannot be reached or is not ready. One that refuses the bind is an error: the next one
    /// holds the same password.
    pub(super) async fn open(
        &self,
        url: &str,
        tried: &mut Vec<Attempt>,
    ) -> Result<Option<Session>, SourceError> {
        match Box::pin(self.open_at(url)).await {
            Ok(session) => Ok(Some(session)),
            Err(Failure::Refused(reason)) => Err(SourceError::BindRefused {
                url: url.to_owned(),
                reason,
            }),
            Err(Failure::Unreachable(reason)) => {
                tracing::debug!(directory = %self.directory, url, reason, "server cannot be reached");
                tried.push(Attempt {
                    url: url.to_owned(),
                    reason,
                });
                Ok(None)
            }
        }
    }

    /// Whether nobody on the way can listen to a connection to this server.
    pub(super) fn is_private(&self, url: &str) -> bool {
        self.starttls || !url.starts_with("ldap:")
    }

    async fn open_at(&self, url: &str) -> Result<Session, Failure> {
        let meter = Meter::default();
        let connecting = relay::connect(url, &meter);
        let stream = tokio::time::timeout(self.connect_timeout, connecting).await;
        let stream = stream
            .map_err(LdapError::from)
            .and_then(|stream| stream.map_err(LdapError::from))
            .map_err(|error| Failure::Unreachable(self.explain(&error)))?;
        let mut settings = LdapConnSettings::new()
            .set_conn_timeout(self.connect_timeout)
            .set_std_stream(stream);
        if let Some(tls) = &self.tls {
            settings = settings
                .set_config(tls.clone())
                .set_starttls(self.starttls && url.starts_with("ldap:"));
        }
        let connecting = LdapConnAsync::with_settings(settings, url);
        let (connection, ldap) = caught(&meter, connecting).await.map_err(|why| {
            let why = why.unwrap_or_else(|error| self.explain(&error));
            Failure::Unreachable(meter.end().map_or(why, str::to_owned))
        })?;
        let mut session = Session {
            ldap,
            url: url.to_owned(),
            driver: Some(tokio::spawn(connection.drive())),
            meter,
            timeout: self.search_timeout,
        };
        // A connection that answers slower than it was made is as good as none.
        session.ldap.with_timeout(self.connect_timeout);
        let answer = match &self.bind {
            Bind::Anonymous => return Ok(session),
            Bind::External => caught(&session.meter, session.ldap.sasl_external_bind()).await,
            Bind::Simple(dn, password) => {
                let binding = session.ldap.simple_bind(dn, password.expose_secret());
                caught(&session.meter, binding).await
            }
        };
        match answer {
            Ok(result) => judge_bind(&result).map(|()| session),
            Err(Ok(reason)) => Err(Failure::Unreachable(reason)),
            Err(Err(error)) => {
                let reason = session.why(&error).await;
                Err(Failure::Unreachable(format!("in the bind: {reason}")))
            }
        }
    }

    fn explain(&self, error: &LdapError) -> String {
        if let LdapError::Timeout { .. } = error {
            return format!(
                "no connection within {:?} (connect_timeout)",
                self.connect_timeout
            );
        }
        explain(error)
    }
}

impl Session {
    /// Says why an operation failed: the library's error says only that the connection is gone, and
    /// its driver knows the cause.
    pub(super) async fn why(&mut self, error: &LdapError) -> String {
        if let LdapError::Timeout { .. } = error {
            return format!(
                "the server stayed silent for {:?} (search_timeout)",
                self.timeout
            );
        }
        let gone = matches!(
            error,
            LdapError::EndOfStream
                | LdapError::OpSend { .. }
                | LdapError::ResultRecv { .. }
                | LdapError::IdScrubSend { .. }
        );
        if !gone {
            return explain(error);
        }
        if let Some(end) = self.meter.end() {
            return format!("the connection was lost: {end}");
        }
        let Some(driver) = self.driver.take() else {
            return "the connection was lost before".to_owned();
        };
        match tokio::time::timeout(Duration::from_secs(1), driver).await {
            Ok(Ok(Err(cause))) => format!("the connection was lost: {}", explain(&cause)),
            Ok(Err(panic)) if panic.is_panic() => {
                "the server sent something that is not LDAP".to_owned()
            }
            _ => "the server closed the connection".to_owned(),
        }
    }

    /// Asks the server to stop working on an operation, as far as it still listens.
    pub(super) async fn abandon(&mut self, id: ldap3::RequestId) {
        self.ldap.with_timeout(Duration::from_secs(1));
        if let Err(error) = self.ldap.abandon(id).await {
            tracing::debug!(url = self.url, %error, "abandon was not sent");
        }
    }

    /// The connection, for operations side by side.
    pub(super) fn line(&self) -> (ldap3::Ldap, Meter) {
        (self.ldap.clone(), self.meter.clone())
    }

    /// How long the server may stay silent.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Says good-bye.
    pub(super) async fn close(mut self) {
        self.ldap.with_timeout(Duration::from_secs(1));
        if let Err(error) = self.ldap.unbind().await {
            tracing::debug!(url = self.url, %error, "unbind was not sent");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

enum Failure {
    Unreachable(String),
    Refused(String),
}

/// Awaits something of the LDAP library; its panics become the reason in an inner `Ok`.
pub(super) async fn caught<T>(
    meter: &Meter,
    operation: impl Future<Output = Result<T, LdapError>>,
) -> Result<T, Result<String, LdapError>> {
    // Nothing of a failed operation is used afterwards, so no broken state can be seen.
    let operation = std::panic::AssertUnwindSafe(operation).catch_unwind();
    match meter.wait(operation).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Err(error)),
        Err(_) => Err(Ok("the server sent something that is not LDAP".to_owned())),
    }
}

fn check_url(url: &str, starttls: bool) -> Result<(), String> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some("ldaps") if starttls => Err(format!(
            "{url} is encrypted from the start; starttls is for ldap:// only"
        )),
        Some("ldap" | "ldapi" | "ldaps") => Ok(()),
        _ => Err(format!(
            "found {url:?}; a server is written ldap://host, ldaps://host or ldapi://%2Fpath%2Fto%2Fsocket"
        )),
    }
}

fn bind_method(
    config: &LdapDirectory,
    password: Option<SecretString>,
) -> Result<Bind, (&'static str, String)> {
    let default = match config.bind_dn {
        Some(_) => BindMethod::Simple,
        None => BindMethod::Anonymous,
    };
    match config.bind.unwrap_or(default) {
        BindMethod::Anonymous => Ok(Bind::Anonymous),
        BindMethod::External => Ok(Bind::External),
        BindMethod::Simple => {
            let dn = config.bind_dn.clone().filter(|dn| !dn.is_empty());
            let dn = dn.ok_or(("bind_dn", "a simple bind needs a name".to_owned()))?;
            // Servers take a name without a password for an anonymous bind (RFC 4513, section 5.1.2).
            let password = password.filter(|password| !password.expose_secret().is_empty());
            let password = password.ok_or((
                "bind_password",
                "a simple bind needs a password that is not empty".to_owned(),
            ))?;
            Ok(Bind::Simple(dn, password))
        }
    }
}

fn judge_bind(result: &LdapResult) -> Result<(), Failure> {
    let advice = match result.rc {
        0 => return Ok(()),
        // Busy and unavailable: another server may have time.
        51 | 52 => return Err(Failure::Unreachable(answer(result))),
        49 => "look at bind_dn and bind_password",
        8 | 13 => "it wants an encrypted connection: use ldaps:// or starttls = true",
        7 => "it does not know this way to bind: look at bind",
        48 => "it does not let us in this way: look at bind",
        53 => "it is not willing",
        _ => "look at bind, bind_dn and bind_password",
    };
    Err(Failure::Refused(format!("{}; {advice}", answer(result))))
}

/// A server's answer as a text: the code, its name and what the server says about it.
pub(super) fn answer(result: &LdapResult) -> String {
    let name = match result.rc {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        32 => "noSuchObject",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        _ => "",
    };
    let mut text = format!("result {}", result.rc);
    for part in [name, result.text.as_str()] {
        if !part.is_empty() {
            text.push(' ');
            text.push_str(part);
        }
    }
    text
}

/// An error of the library with its causes, and what to do about it.
fn explain(error: &LdapError) -> String {
    let mut text = match error {
        LdapError::Io { source } => {
            let tls = source
                .get_ref()
                .and_then(|e| e.downcast_ref::<rustls::Error>());
            let advice = tls.and_then(tls::advice);
            let mut text = source.to_string();
            if let Some(advice) = advice {
                text.push_str(": ");
                text.push_str(advice);
            }
            text
        }
        LdapError::LdapResult { result } => answer(result),
        other => other.to_string(),
    };
    text.retain(|c| !c.is_control());
    text
}

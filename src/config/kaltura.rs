//! `[kaltura]`: the account whose channels are kept.

use serde::{Deserialize, Serialize};

use super::{Period, SecretSource};

/// The Kaltura account and how gently it is asked.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kaltura {
    /// The service's address: `https://www.kaltura.com`, or your own server's.
    pub url: String,
    /// The account's number.
    pub partner_id: i64,
    /// The account's administrator secret: a session is made from it here, and it never travels.
    /// Either this or `app_token`.
    pub admin_secret: Option<SecretSource>,
    /// With `admin_secret`: have the server make the session (`session.start`) instead of making it
    /// here. Default false.
    #[serde(default)]
    pub session_start: bool,
    /// An app token, which can be limited to what Rollbook needs and withdrawn: recommended.
    pub app_token: Option<AppToken>,
    /// The Kaltura user in whose name Rollbook acts. Default `rollbook`.
    #[serde(default = "default_user_id")]
    pub user_id: String,
    /// A role (number or system name) to which the session is limited. Default none; with an app
    /// token put the role into the token.
    pub role: Option<String>,
    /// Where the channels are, for example `MediaSpace>site>channels`; only categories below it are
    /// ever touched. Default: the whole account.
    pub root: Option<String>,
    /// Active members that Kaltura allows in one category (its `max_users_per_category`). Default 5000.
    #[serde(default = "default_members_per_category")]
    pub members_per_category: u64,
    /// Calls in one request, 1 to 100. Default 50.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Requests under way at once, 1 to 32. Default 4.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Requests per second, at most. Default 10.
    #[serde(default = "default_requests_per_second")]
    pub requests_per_second: u32,
    /// How long one call may take. A request of n calls may take this long and half a second more
    /// for each call. Default `"60s"`.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// How often a request is tried again when the fault is a passing one. Default 5.
    #[serde(default = "default_retries")]
    pub retries: usize,
    /// A certificate authority of your own, as a PEM file. Default: the system's.
    pub ca_file: Option<std::path::PathBuf>,
    /// The address of an HTTP proxy, or `none`. Default: `HTTPS_PROXY` and `ALL_PROXY` of the environment, for
    /// https:// only, and never for this machine.
    pub proxy: Option<String>,
    /// Whether the address may be http://, where anybody on the way can read the session. Default no.
    #[serde(default)]
    pub insecure: bool,
}

impl Kaltura {
    /// The value of `proxy` that means none.
    pub const NO_PROXY: &str = "none";

    /// Which account this is: its server and its number.
    pub fn account(&self) -> String {
        format!("{} {}", self.server(), self.partner_id)
    }

    /// The server's address, written in one way.
    pub(super) fn server(&self) -> String {
        self.url.trim_end_matches('/').to_ascii_lowercase()
    }

    /// The proxy through which the server is reached, and where that is said: `None`, where it is reached directly.
    pub fn proxy_used(&self) -> Option<(String, &'static str)> {
        if let Some(proxy) = &self.proxy {
            return (proxy != Self::NO_PROXY).then(|| (proxy.clone(), "kaltura.proxy"));
        }
        let url = reqwest::Url::parse(&self.url).ok()?;
        if url.scheme() != "https" || url.host_str().is_some_and(super::check::is_loopback) {
            return None;
        }
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .into_iter()
            .find_map(|name| {
                let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
                Some((value, name))
            })
    }
}

/// An app token (`appToken.add`) and its ID.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AppToken {
    /// The token's ID, such as `0_abcd1234`.
    pub id: String,
    /// The token itself.
    pub token: SecretSource,
    /// The hash the token was made with. Default `sha1`, as on the server.
    #[serde(default)]
    pub hash: TokenHash,
}

/// How an app token is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenHash {
    /// `MD5`
    Md5,
    /// `SHA1`, the server's default.
    #[default]
    Sha1,
    /// `SHA256`
    Sha256,
    /// `SHA512`
    Sha512,
}

fn default_user_id() -> String {
    "rollbook".to_owned()
}
fn default_members_per_category() -> u64 {
    5000
}
fn default_batch() -> usize {
    50
}
fn default_concurrency() -> usize {
    4
}
fn default_requests_per_second() -> u32 {
    10
}
fn default_timeout() -> Period {
    Period::seconds(60)
}
fn default_retries() -> usize {
    5
}

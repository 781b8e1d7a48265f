//! A Kaltura account in a box: a server that answers Kaltura's API as the real one does.
//!
//! *Its one idea: what the real server was recorded to do is the specification*, its mistakes
//! included; they are what a client has to live with. Nothing here is shared with the client, so that
//! one mistake cannot hide in both.
//!
//! ```text
//!  HTTP ─► http ─► dispatch ─► service ─► state: database ──(index: later)──► search engine
//!           │         │           │          │                                   │
//!         faults    access      error      jobs (later)              lists ◄─────┘
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | `http`, `connection` | bodies, formats, headers; connections that break |
//! | `params`, `classes` | how PHP reads what was sent; Kaltura's classes as tables |
//! | `dispatch`, `access`, `entitlement` | the order of checks; who may call what, who sees what |
//! | `service` | one file a service |
//! | `bulk` | what workers do with CSV files |
//! | `state` | what there is, twice: stored and indexed; background work |
//! | `xml`, `xsd` | custom metadata: documents and schemas, with libxml's complaints |
//! | `file` | the account in a SQLite file |
//! | `control`, `page` | what people see and do at `/sandbox` and `/`, past the API |
//! | `answer`, `error` | what goes back, in JSON, XML and PHP |
//! | [`ks`] | session strings |
//! | [`Faults`], [`CallLog`], [`Account`] | the handles of tests, demo and benchmarks |

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod access;
mod account;
mod answer;
mod bulk;
mod calls;
mod classes;
mod clock;
mod connection;
mod control;
mod dispatch;
mod entitlement;
mod error;
mod faults;
mod file;
mod filter;
mod http;
pub mod ks;
mod page;
mod params;
pub mod seed;
mod service;
mod state;
mod text;
mod xml;
mod xsd;

pub use account::{
    Account, Act, ActError, BulkStatus, BulkUploadView, CHANNELS, ChannelId, ChannelView, JobView,
    JoinPolicy, Level, Look, MemberRow, MemberView, Method, NewCategory, Overview, Rows, Status,
    UserView,
};
pub use calls::{CallLog, CallRecord, MembershipWrite};
pub use clock::Clock;
pub use faults::{
    ActiveFault, BulkFault, Calls, Fault, FaultRule, Faults, RuleError, TransportFault, When,
};
pub use file::FileError;
pub use state::JobKind;

use file::File;
use state::{BulkJobs, Partner, State};

/// How a sandbox is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens. Default: a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// The account's number. Default: 101.
    pub partner_id: i64,
    /// The secret that makes and verifies sessions; random (from the seed) if none is given.
    pub admin_secret: Option<String>,
    /// The secret that starts user sessions; random (from the seed) if none is given.
    pub user_secret: Option<String>,
    /// Whether the account has `FEATURE_ENTITLEMENT`. Default: yes, as every new account.
    pub entitlement: bool,
    /// The account's limits.
    pub limits: Limits,
    /// Where random numbers come from: the same seed gives the same secrets, tokens and faults.
    pub seed: u64,
    /// How long background work waits; without a delay until [`Account::work`] is called.
    /// Default: a quarter of a second.
    pub job_delay: Option<Duration>,
    /// How long a bulk upload with more rows than one run takes waits for its next run, if not as long
    /// as other background work. Kaltura ships with 30 seconds (`job_retry_intervals`).
    pub bulk_retry_delay: Option<Duration>,
    /// The file that keeps the account; without one it ends with the server. A file that has an
    /// account already gives its own number and secrets to it.
    pub data: Option<PathBuf>,
    /// Other accounts on the same server, with their admin secrets. They exist, and hold nothing.
    pub neighbours: Vec<(i64, String)>,
}

/// The number of an account that is given none.
const DEFAULT_PARTNER: i64 = 101;

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            partner_id: DEFAULT_PARTNER,
            admin_secret: None,
            user_secret: None,
            entitlement: true,
            limits: Limits::default(),
            seed: 0,
            job_delay: Some(Duration::from_millis(250)),
            bulk_retry_delay: None,
            data: None,
            neighbours: Vec::new(),
        }
    }
}

/// The limits of an account, as a Kaltura server ships them.
#[derive(Debug, Clone, Serialize)]
pub struct Limits {
    /// Active members of a category, its owner counted (`max_users_per_category`). Default: 5000.
    pub users_per_category: i64,
    /// Groups a user may be in. Default: 1024.
    pub groups_per_user: usize,
    /// Rows of a page when the pager names no size. Default: 30.
    pub default_page_size: usize,
    /// Rows of a page at most. Default: 500.
    pub max_page_size: usize,
    /// Categories in a list without a pager. Default: 1500.
    pub categories_unpaged: usize,
    /// Rows of a filter that can be reached at all. Default: 10,000.
    pub max_matches: usize,
    /// Values of a comma list that count. Default: 150.
    pub list_values: usize,
    /// The longest life of a session that the server starts, in seconds. Default: a day.
    pub session_seconds: i64,
    /// Rows of a bulk upload that are handled at all (`maxRecords`). Default: 1000.
    pub bulk_rows: usize,
    /// Rows of a bulk upload that one run handles. Default: 101, one more than `maxRecordsEachRun` says.
    pub bulk_rows_per_run: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            users_per_category: 5000,
            groups_per_user: 1024,
            default_page_size: 30,
            max_page_size: 500,
            categories_unpaged: 1500,
            max_matches: 10_000,
            list_values: 150,
            session_seconds: 86_400,
            bulk_rows: 1000,
            bulk_rows_per_run: 101,
        }
    }
}

/// Why a sandbox did not start.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The address is taken or not this machine's.
    #[error("the sandbox cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A running sandbox. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Sandbox {
    url: String,
    server: Arc<Server>,
    partner: Partner,
    end: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Sandbox {
    /// Starts a server over HTTP.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Listen {
            address: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let server = Arc::new(Server::new(&options)?);
        let partner = server.lock_first().partner.clone();
        let (end, ended) = oneshot::channel::<()>();
        let routes = http::router(Arc::clone(&server))
            .into_make_service_with_connect_info::<connection::Peer>();
        let task = tokio::spawn(async move {
            let serving = axum::serve(connection::CuttableListener(listener), routes)
                // A dropped sender is a stop, too.
                .with_graceful_shutdown(async { _ = ended.await });
            if let Err(error) = serving.await {
                tracing::warn!(%error, "the sandbox has stopped");
            }
        });
        tracing::debug!(%address, partner_id = partner.id, "the sandbox listens");
        Ok(Self {
            url: format!("http://{address}"),
            server,
            partner,
            end: Some(end),
            task,
        })
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account's number.
    pub fn partner_id(&self) -> i64 {
        self.partner.id
    }

    /// The secret that makes and verifies sessions.
    pub fn admin_secret(&self) -> &str {
        &self.partner.admin_secret
    }

    /// The secret that starts user sessions.
    pub fn user_secret(&self) -> &str {
        &self.partner.user_secret
    }

    /// A handle to act on the account directly, past HTTP.
    pub fn account(&self) -> Account {
        Account::new(Arc::clone(&self.server))
    }

    /// Stops the server: requests under way are answered, the port is closed.
    pub async fn stop(mut self) {
        self.end.take();
        let mut task = std::mem::replace(&mut self.task, tokio::spawn(async {}));
        // A client that holds a connection open must not hold the sandbox open.
        if tokio::time::timeout(Duration::from_secs(2), &mut task)
            .await
            .is_err()
        {
            task.abort();
            _ = task.await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.task.abort();
        self.server.close();
    }
}

/// What the running server and its handles share.
#[derive(Debug)]
struct Server {
    /// The account, and its neighbours after it.
    accounts: Vec<Mutex<State>>,
    /// The file that keeps the account.
    file: Mutex<Option<File>>,
    clock: Clock,
    faults: Faults,
    calls: CallLog,
}

impl Server {
    fn new(options: &Options) -> Result<Self, FileError> {
        let mut random = fastrand::Rng::with_seed(options.seed);
        let mut secret = || ks::hex(&random.u128(..).to_be_bytes());
        let clock = Clock::default();
        let mut partners = vec![Partner {
            id: options.partner_id,
            admin_secret: options.admin_secret.clone().unwrap_or_else(&mut secret),
            user_secret: options.user_secret.clone().unwrap_or_else(&mut secret),
            entitlement: options.entitlement,
        }];
        let mut file = options.data.as_deref().map(File::open).transpose()?;
        if let Some(file) = &file
            && let Some(found) = file.partner()?
        {
            let wanted = &mut partners[0];
            let other = |wanted: &Option<String>, found: &str| {
                wanted.as_ref().is_some_and(|wanted| wanted != found)
            };
            if (found.id != wanted.id && wanted.id != DEFAULT_PARTNER)
                || other(&options.admin_secret, &found.admin_secret)
                || other(&options.user_secret, &found.user_secret)
            {
                return Err(file.is_not(found.id));
            }
            *wanted = found;
        }
        partners.extend(options.neighbours.iter().map(|(id, admin_secret)| Partner {
            id: *id,
            admin_secret: admin_secret.clone(),
            user_secret: secret(),
            entitlement: options.entitlement,
        }));
        let faults = Faults::new(options.seed, clock.clone());
        let calls = CallLog::default();
        let mut accounts: Vec<State> = partners
            .into_iter()
            .map(|partner| {
                let mut state = State::new(
                    partner,
                    options.limits.clone(),
                    options.seed,
                    options.job_delay,
                    clock.now(),
                );
                state.jobs.set_retry_delay(options.bulk_retry_delay);
                state.bulk = BulkJobs::new(calls.clone(), faults.clone());
                state
            })
            .collect();
        if let Some(file) = &mut file {
            file.load(&mut accounts[0])?;
        }
        Ok(Self {
            accounts: accounts.into_iter().map(Mutex::new).collect(),
            file: Mutex::new(file),
            faults,
            calls,
            clock,
        })
    }

    /// Saves what was written to the account. A file that cannot be written is reported and tried
    /// again with the next write: the sandbox goes on from memory.
    fn save(&self, state: &mut State) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = file.as_mut()
            && let Err(error) = file.save(state)
        {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "the sandbox could not save its account");
        }
    }

    /// Takes the file away for a while, in which nothing is saved.
    fn lend_file(&self) -> Option<File> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.take()
    }

    /// Puts a file that was taken away back.
    fn return_file(&self, lent: Option<File>) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        *file = lent;
    }

    /// Gives the file back, though handles to the account may live on.
    fn close(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.take();
    }

    /// All accounts, for the length of a request.
    fn lock(&self) -> Vec<MutexGuard<'_, State>> {
        let lock = |state| Mutex::lock(state).unwrap_or_else(PoisonError::into_inner);
        self.accounts.iter().map(lock).collect()
    }

    /// The account itself.
    fn lock_first(&self) -> MutexGuard<'_, State> {
        let state = &self.accounts[0];
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The client of Kaltura's API: what the account has, and what is changed in it.
//!
//! *Its one idea: an answer is compared with the question.* Kaltura drops filters it does not
//! understand, echoes sessions, and stops in the middle of a request without a word; what leaves
//! this module is typed, asked for, and complete.
//!
//! | File | Its part |
//! |---|---|
//! | `wire` | the API's words and numbers |
//! | `ks`, `session` | the session, made and kept fresh |
//! | `transport` | one request, at the agreed pace |
//! | `request` | many calls, with patience: what may be repeated |
//! | `question`, `list`, `pack` | lists to their end, in few pages |
//! | `change`, `writing` | writes and their outcomes |
//! | [`csv`] | the same writes as files, and what the log of a file says became of them |
//! | `bulk`, `single` | files of changes: handed in, followed, found again |
//! | `standing` | what the session may do |
//! | `error`, `api_error` | what can go wrong, and what to do about it |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use crate::category::{Category, CategoryId, Entitlement, UserId};
use crate::config::{self, ConfigError};
use crate::plan::gate::Warrant;

mod api_error;
mod bulk;
mod change;
pub mod csv;
mod error;
mod ks;
mod list;
mod pace;
mod pack;
mod question;
mod request;
mod session;
mod single;
mod standing;
mod transport;
mod wire;
mod writing;

pub use api_error::{ApiError, Disposition};
pub use bulk::{FileKind, FoundJobs, Job, JobId, JobLog, JobStatus, Submission, Submitted};
pub use change::{Write, WriteOutcome};
pub use error::{Fault, KalturaError};
pub use pace::Pace;
pub use standing::Standing;
pub use writing::Writing;

use list::Reading;
use question::{Categories, Members};
use request::{Client, refused};
use wire::{Call, CategoryRow, Listed, MemberRow};

/// The IDs in one `category.list`: the server's search cuts a list of IDs at 150, silently.
const IDS_PER_LIST: usize = 100;

/// So many single memberships are asked for at once where there may be very many: memory stays flat,
/// and progress shows.
pub const PAIRS_AT_ONCE: usize = 1_000;

/// What proves to Kaltura who we are.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// The account's administrator secret.
    AdminSecret(SecretString),
    /// The app token whose ID the configuration names.
    AppToken(SecretString),
}

impl Credentials {
    /// Fetches what the configuration names.
    pub fn resolve(config: &config::Kaltura) -> Result<Self, ConfigError> {
        match (&config.app_token, &config.admin_secret) {
            (Some(app_token), _) => app_token
                .token
                .resolve("kaltura.app_token.token")
                .map(Self::AppToken),
            (None, Some(secret)) => secret
                .resolve("kaltura.admin_secret")
                .map(Self::AdminSecret),
            (None, None) => Err(ConfigError::Secret {
                key: "kaltura.admin_secret".to_owned(),
                problem: "neither `admin_secret` nor `app_token` is given".to_owned(),
            }),
        }
    }
}

/// A Kaltura account. Cheap to clone; clones share the session and the pace.
#[derive(Clone)]
pub struct Kaltura(Arc<Client>);

impl fmt::Debug for Kaltura {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kaltura")
            .field("traffic", &self.traffic())
            .finish_non_exhaustive()
    }
}

/// Requests and calls so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// HTTP requests.
    pub requests: u64,
    /// Calls in them; a multirequest holds several.
    pub calls: u64,
}

/// What is known of one person in one category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is a membership.
    Present(Entitlement),
    /// There is none.
    Absent,
    /// There is no such category.
    NoSuchCategory,
    /// The category has no members of its own; this is another's.
    Inherited {
        /// The category whose members apply.
        from: CategoryId,
    },
    /// It could not be read.
    Failed(ApiError),
}

impl Kaltura {
    /// Sets up a client. Nothing is sent before the first question.
    pub fn new(config: &config::Kaltura, credentials: Credentials) -> Result<Self, KalturaError> {
        Client::new(config, credentials).map(|client| Self(Arc::new(client)))
    }

    /// The same with other waits between attempts. Only for a client that has not been cloned.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        if let Some(client) = Arc::get_mut(&mut self.0) {
            client.pace = pace;
        }
        self
    }

    /// Which account this is, as [`account`](config::Kaltura::account) names it.
    pub fn account(&self) -> &str {
        &self.0.account
    }

    /// The waits between attempts.
    pub fn pace(&self) -> &Pace {
        &self.0.pace
    }

    /// Asks whether the server is there, and what the session may do.
    pub async fn check(&self) -> Result<Standing, KalturaError> {
        standing::check(&self.0).await
    }

    /// Lists the categories below a root, or the account's, complete or not at all;
    /// `created_since` (Unix seconds) narrows it to those made then or later. In the order of their
    /// numbers.
    pub async fn categories(
        &self,
        root: Option<&str>,
        created_since: Option<i64>,
    ) -> Result<Vec<Category>, KalturaError> {
        let question = Categories::new(root, created_since);
        let mut found = BTreeMap::new();
        for reading in list::read_all(&self.0, std::slice::from_ref(&question)).await? {
            let rows = reading.required(&question)?;
            let categories = rows.into_iter().filter_map(CategoryRow::into_category);
            found.extend(categories.map(|category| (category.id, category)));
        }
        Ok(found.into_values().collect())
    }

    /// Looks up categories by number: those that exist, in the order of their numbers. What the
    /// list does not show is asked for singly, since its index lags behind.
    pub async fn categories_by_id(
        &self,
        ids: &[CategoryId],
    ) -> Result<Vec<Category>, KalturaError> {
        let ids: BTreeSet<CategoryId> = ids.iter().copied().collect();
        let all: Vec<CategoryId> = ids.iter().copied().collect();
        let calls: Vec<Call> = all
            .chunks(IDS_PER_LIST)
            .map(Call::list_categories_by_id)
            .collect();
        let mut found: BTreeMap<CategoryId, Category> = BTreeMap::new();
        for (call, answer) in calls.iter().zip(self.0.read_lists(&calls).await?) {
            let listed: Listed<CategoryRow> =
                wire::read(&call.name(), request::required(call, answer)?)?;
            let asked_for = listed
                .objects
                .into_iter()
                .flatten()
                .filter(|row| ids.contains(&row.id()));
            let categories = asked_for.filter_map(CategoryRow::into_category);
            found.extend(categories.map(|category| (category.id, category)));
        }

        let missing: Vec<Call> = all
            .into_iter()
            .filter(|id| !found.contains_key(id))
            .map(Call::get_category)
            .collect();
        for (call, answer) in missing.iter().zip(self.0.read_many(&missing).await?) {
            match answer {
                Ok(row) => {
                    let category = wire::read::<CategoryRow>(&call.name(), row)?.into_category();
                    found.extend(
                        category
                            .filter(|found| ids.contains(&found.id))
                            .map(|category| (category.id, category)),
                    );
                }
                Err(error) if error.code == "CATEGORY_NOT_FOUND" => {}
                Err(error) => return Err(refused(call.name(), error)),
            }
        }
        Ok(found.into_values().collect())
    }

    /// Lists the members of categories, in as few pages as there can be.
    ///
    /// **No entry means that nothing is known**, and absent is not empty: the category inherits its
    /// members, or is not there, or its list did not add up. One such category does not spoil the
    /// others. A person who is in a category twice (Kaltura allows that under concurrent additions)
    /// comes twice. The search behind the list lags some seconds behind writes, so a removal that
    /// rests on it is to be confirmed with [`memberships`](Self::memberships).
    pub async fn members(
        &self,
        categories: &[Category],
    ) -> Result<BTreeMap<CategoryId, Vec<Entitlement>>, KalturaError> {
        let own: Vec<&Category> = categories
            .iter()
            .filter(|category| category.inherits_from.is_none())
            .collect();
        let together: Vec<Members> = pack::pack(&own)
            .into_iter()
            .map(|chunk| Members::of(chunk.categories, chunk.rows))
            .collect();
        let mut found = BTreeMap::new();
        let mut doubtful: BTreeSet<CategoryId> = BTreeSet::new();
        for (question, reading) in together
            .iter()
            .zip(list::read_all(&self.0, &together).await?)
        {
            match reading {
                Reading::Complete(rows) => take_members(&mut found, question, &rows),
                // Of several categories the server drops the unknown ones, and the whole filter
                // where all are unknown. One by one there is no doubt.
                _ if question.categories().len() > 1 => doubtful.extend(question.categories()),
                other => explain(question, &other),
            }
        }
        let singly: Vec<Members> = own
            .iter()
            .filter(|category| doubtful.contains(&category.id))
            .map(|category| Members::of(vec![category.id], category.members_count))
            .collect();
        for (question, reading) in singly.iter().zip(list::read_all(&self.0, &singly).await?) {
            match reading {
                Reading::Complete(rows) => take_members(&mut found, question, &rows),
                other => explain(question, &other),
            }
        }
        Ok(found)
    }

    /// Reads single memberships, fresh from the database: one answer for each pair, in their order.
    pub async fn memberships(
        &self,
        pairs: &[(CategoryId, UserId)],
    ) -> Result<Vec<Found>, KalturaError> {
        let calls: Vec<Call> = pairs
            .iter()
            .map(|(category, user)| Call::get_member(*category, user))
            .collect();
        let answers = self.0.read_many(&calls).await?;
        pairs
            .iter()
            .zip(calls.iter().zip(answers))
            .map(|((category, user), (call, answer))| match answer {
                Ok(row) => Ok(found(*category, user, &wire::read(&call.name(), row)?)),
                Err(error) => match error.code.as_str() {
                    // The first is said of a person whom Kaltura has never seen, or has deleted.
                    "INVALID_USER_ID" | "INVALID_CATEGORY_USER_ID" => Ok(Found::Absent),
                    "CATEGORY_NOT_FOUND" => Ok(Found::NoSuchCategory),
                    "INVALID_KS" => Err(refused(call.name(), error)),
                    _ => Ok(Found::Failed(error)),
                },
            })
            .collect()
    }

    /// Who of these is no user of the account, of people who are in no such membership: deleted there, or known by
    /// another ID by now.
    pub async fn unknown_users(
        &self,
        pairs: &[(CategoryId, UserId)],
    ) -> Result<BTreeSet<UserId>, KalturaError> {
        let calls = pairs.iter();
        let calls: Vec<Call> = calls
            .map(|(category, user)| Call::get_member(*category, user))
            .collect();
        let answers = self.0.read_many(&calls).await?;
        let unknown = pairs.iter().zip(answers).filter(|(_, answer)| {
            let error = answer.as_ref().err();
            error.is_some_and(|error| error.code == "INVALID_USER_ID")
        });
        Ok(unknown.map(|((_, user), _)| user.clone()).collect())
    }

    /// Lists one person's memberships, by category. Those of a category that has just been deleted
    /// may still be among them.
    pub async fn categories_of(
        &self,
        user: &UserId,
    ) -> Result<Vec<(CategoryId, Entitlement)>, KalturaError> {
        let question = Members::of_user(user);
        let mut found = Vec::new();
        for reading in list::read_all(&self.0, std::slice::from_ref(&question)).await? {
            let rows = reading.required(&question)?;
            for row in rows.iter().filter(|row| !row.is_deleted()) {
                let entitlement = row.entitlement().ok_or_else(unreadable)?;
                found.push((row.category(), entitlement));
            }
        }
        found.sort_by_key(|(category, _)| *category);
        Ok(found)
    }

    /// Begins with the writes of one batch. An error: the warrant is for another account.
    pub fn writing<'k>(&'k self, warrant: &'k Warrant) -> Result<Writing<'k>, KalturaError> {
        self.honour(warrant)?;
        Ok(Writing::new(&self.0, &warrant.grounds().fence))
    }

    fn honour(&self, warrant: &Warrant) -> Result<(), KalturaError> {
        if warrant.is_for(self.account()) {
            Ok(())
        } else {
            Err(KalturaError::OtherAccount)
        }
    }

    /// How many writes belong in one batch.
    pub fn batch(&self) -> usize {
        self.0.batch
    }

    /// Requests and calls so far, of this client and its clones.
    pub fn traffic(&self) -> Traffic {
        self.0.transport.traffic()
    }
}

/// Takes the members of a chunk's categories, except of one with a row that means nothing to us.
fn take_members(
    found: &mut BTreeMap<CategoryId, Vec<Entitlement>>,
    question: &Members,
    rows: &[MemberRow],
) {
    for category in question.categories() {
        found.insert(*category, Vec::new());
    }
    for row in rows.iter().filter(|row| !row.is_deleted()) {
        match (row.entitlement(), found.get_mut(&row.category())) {
            (Some(entitlement), Some(members)) => members.push(entitlement),
            (None, _) => {
                tracing::warn!(category = %row.category(), "a membership cannot be understood; the category is left out");
                found.remove(&row.category());
            }
            // Left out already.
            (_, None) => {}
        }
    }
}

/// Says why a category has no entry.
fn explain(question: &Members, reading: &Reading<MemberRow>) {
    for category in question.categories() {
        match reading {
            Reading::Complete(_) => {}
            Reading::Incomplete { expected, found } => {
                tracing::warn!(%category, expected_rows = expected, found_rows = found, "the category's list of members does not add up");
            }
            Reading::NoSuchThing | Reading::Misunderstood => {
                tracing::warn!(%category, "the category has no members of its own, or is not there any more");
            }
        }
    }
}

fn unreadable() -> KalturaError {
    KalturaError::Unreadable {
        action: "categoryUser.list".to_owned(),
    }
}

fn found(category: CategoryId, user: &UserId, row: &MemberRow) -> Found {
    if row.category() != category {
        return Found::Inherited {
            from: row.category(),
        };
    }
    if row.user() != *user {
        return Found::Failed(ApiError::unexpected("the answer is about somebody else"));
    }
    // A deleted row is as good as none.
    row.entitlement().map_or(Found::Absent, Found::Present)
}

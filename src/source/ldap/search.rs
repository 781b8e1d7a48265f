//! A search that cannot be mistaken for complete: pages fetched one by one, each end judged.

use std::sync::Arc;

use ldap3::controls::{PagedResults, RawControl};
use ldap3::{LdapResult, Scope, SearchOptions};

use super::super::entry::Entry;
use super::super::reference::{Ignored, References};
use super::session::{Session, answer, caught};
use super::wire;

/// More entries than any directory of people has.
const MOST_ENTRIES: u64 = 20_000_000;

/// What to search for.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) base: String,
    pub(super) scope: Scope,
    pub(super) filter: String,
    pub(super) attributes: Vec<String>,
    /// Entries in one page; `None` for no paging.
    pub(super) page_size: Option<i32>,
    /// The most entries to return; 0 for no limit of ours.
    pub(super) size_limit: i32,
    /// The places of which references to other servers are of no concern.
    pub(super) ignored: Option<Arc<Ignored>>,
}

/// Why a search ended without having told everything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    /// The base is not there, or not for us to see.
    #[error("there is no entry {base}")]
    NoBase {
        /// Where the search was to begin.
        base: String,
    },
    /// The server ended it with another result than success.
    #[error("{reason}")]
    Refused {
        /// The result code (RFC 4511, appendix A).
        code: u32,
        /// The server's answer.
        reason: String,
    },
    /// The server pointed elsewhere for a part of the answer.
    #[error(
        "the server refers to other servers for {}, which {} not read. If nothing of ours is there, name the place in directory.ignore_references",
        .references.shown.join("; "), if .references.count == 1 { "was" } else { "were" }
    )]
    Referred {
        /// The references.
        references: References,
    },
    /// The connection broke, or the server went silent.
    #[error("{reason}")]
    Broken {
        /// What happened.
        reason: String,
    },
}

impl Query {
    /// A search of everything below a base.
    pub(super) fn subtree(base: &str, filter: String, attributes: Vec<String>) -> Self {
        Self {
            base: base.to_owned(),
            scope: Scope::Subtree,
            filter,
            attributes,
            page_size: None,
            size_limit: 0,
            ignored: None,
        }
    }

    /// A search of one entry.
    pub(super) fn entry(dn: &str, attributes: Vec<String>) -> Self {
        Self {
            scope: Scope::Base,
            ..Self::subtree(dn, "(objectClass=*)".to_owned(), attributes)
        }
    }

    /// The same, in pages.
    pub(super) fn paged(self, page_size: i32) -> Self {
        Self {
            page_size: Some(page_size.max(1)),
            ..self
        }
    }

    /// The same, without heed of references to these places.
    pub(super) fn ignoring(self, ignored: &Arc<Ignored>) -> Self {
        Self {
            ignored: Some(Arc::clone(ignored)),
            ..self
        }
    }
}

type Stream = ldap3::SearchStream<'static, String, Vec<String>>;

/// A search on its way.
pub(super) struct Search<'s> {
    session: &'s mut Session,
    query: Query,
    state: State,
    /// Entries received.
    pub(super) received: u64,
    references: References,
}

enum State {
    /// A page is to be asked for, with this cookie.
    Asking(Vec<u8>),
    /// A page is coming in.
    Reading(Box<Stream>),
    /// It is over, and how.
    Over(Result<(), Cut>),
}

impl<'s> Search<'s> {
    /// Prepares a search; nothing is sent before the first entry is asked for.
    pub(super) fn new(session: &'s mut Session, query: Query) -> Self {
        Self {
            session,
            query,
            state: State::Asking(Vec::new()),
            received: 0,
            references: References::default(),
        }
    }

    /// The connection, for a small search in between: operations do not disturb each other
    /// (RFC 4511, section 3.1), as long as only one of them is in pages.
    pub(super) fn session(&mut self) -> &mut Session {
        self.session
    }

    /// The next entry. `Ok(None)` proves that the server has told everything; each other end is an
    /// error, now and however often it is asked again.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>, Cut> {
        loop {
            match &mut self.state {
                State::Over(end) => return end.clone().map(|()| None),
                State::Asking(cookie) => {
                    let cookie = std::mem::take(cookie);
                    self.state = match self.ask(cookie).await {
                        Ok(stream) => State::Reading(Box::new(stream)),
                        Err(cut) => State::Over(Err(cut)),
                    };
                }
                State::Reading(stream) => match caught(&self.session.meter, stream.next()).await {
                    Ok(Some(item)) if item.is_ref() => {
                        let none = Arc::new(Ignored::new(&[]));
                        let ignored = self.query.ignored.as_ref().unwrap_or(&none);
                        self.references.add(&wire::references(item.0), ignored);
                    }
                    Ok(Some(item)) if item.is_intermediate() => {}
                    Ok(Some(item)) => {
                        let Some(entry) = wire::entry(item.0) else {
                            let id = stream.ldap_handle().last_id();
                            self.session.abandon(id).await;
                            self.state = State::Over(Err(Cut::Broken {
                                reason: "the server sent an entry that cannot be decoded"
                                    .to_owned(),
                            }));
                            continue;
                        };
                        self.received += 1;
                        if self.received > MOST_ENTRIES {
                            let id = stream.ldap_handle().last_id();
                            self.session.abandon(id).await;
                            self.state = State::Over(Err(Cut::Broken {
                                reason: format!(
                                    "the server sent more than {MOST_ENTRIES} entries in answer to one search"
                                ),
                            }));
                            continue;
                        }
                        return Ok(Some(entry));
                    }
                    Ok(None) => {
                        let result = stream.finish().await;
                        self.state = self.after_page(&result);
                    }
                    Err(failure) => {
                        let id = stream.ldap_handle().last_id();
                        let reason = self.broken(failure, Some(id)).await;
                        self.state = State::Over(Err(Cut::Broken { reason }));
                    }
                },
            }
        }
    }

    async fn ask(&mut self, cookie: Vec<u8>) -> Result<Stream, Cut> {
        let query = &self.query;
        let (timeout, meter) = (self.session.timeout(), self.session.meter.clone());
        let ldap = &mut self.session.ldap;
        ldap.with_timeout(timeout)
            .with_search_options(SearchOptions::new().sizelimit(query.size_limit));
        if let Some(size) = query.page_size {
            ldap.with_controls(RawControl::from(PagedResults { size, cookie }));
        }
        let asked = ldap.streaming_search(
            &query.base,
            query.scope,
            &query.filter,
            query.attributes.clone(),
        );
        match caught(&meter, asked).await {
            Ok(stream) => Ok(stream),
            Err(failure) => Err(Cut::Broken {
                reason: self.broken(failure, None).await,
            }),
        }
    }

    async fn broken(
        &mut self,
        failure: Result<String, ldap3::LdapError>,
        operation: Option<ldap3::RequestId>,
    ) -> String {
        match (failure, operation) {
            (Ok(reason), _) => reason,
            (Err(error @ ldap3::LdapError::Timeout { .. }), Some(id)) => {
                // The library forgets the operation; the server would go on with it.
                self.session.abandon(id).await;
                self.session.why(&error).await
            }
            (Err(error), _) => self.session.why(&error).await,
        }
    }

    fn after_page(&mut self, result: &LdapResult) -> State {
        if result.rc == 0 {
            let cookie = match self.query.page_size {
                Some(_) => wire::next_page(&result.ctrls),
                None => Some(Vec::new()),
            };
            return match cookie {
                None => State::Over(Err(Cut::Broken {
                    reason: "the server sent a page control that cannot be decoded".to_owned(),
                })),
                Some(cookie) if !cookie.is_empty() => State::Asking(cookie),
                _ if self.references.count > 0 => State::Over(Err(Cut::Referred {
                    references: self.references.clone(),
                })),
                _ => State::Over(Ok(())),
            };
        }
        // A server that allows only smaller pages says so before the first entry.
        if let (11, 0, Some(size @ 51..)) = (result.rc, self.received, self.query.page_size) {
            self.query.page_size = Some((size / 10).max(50));
            return State::Asking(Vec::new());
        }
        // One that does not know pages, or forbids them, may send everything at once.
        let forbids_pages = matches!(result.rc, 2 | 11 | 12 | 53);
        if forbids_pages && self.received == 0 && self.query.page_size.is_some() {
            self.query.page_size = None;
            return State::Asking(Vec::new());
        }
        State::Over(Err(match result.rc {
            32 => Cut::NoBase {
                base: self.query.base.clone(),
            },
            code => Cut::Refused {
                code,
                reason: answer(result),
            },
        }))
    }
}

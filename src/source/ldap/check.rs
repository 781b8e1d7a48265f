//! A look at a server, for `rollbook check`: enough to see what is wrong, and no more.

use ldap3::exop::WhoAmI;

use super::super::SourceError;
use super::super::check::{CheckReport, Sample, ServerReport};
use super::super::stable_id::IdAttribute;
use super::search::{Cut, Query, Search};
use super::server::Server;
use super::session::{Session, caught};
use super::{KINDS, Ldap, range};
use crate::directory::EntryKind;

/// Entries of each kind to look at.
const SAMPLE: i32 = 100;

/// Result code of a search that has reached its size limit (RFC 4511, appendix A).
const SIZE_LIMIT: u32 = 4;

impl Ldap {
    /// Looks at the server and at the first entries of each kind.
    pub async fn check(&self) -> Result<CheckReport, SourceError> {
        let (mut session, server, _) = self.open(&super::replica::Replica::default()).await?;
        let bound_as = who_am_i(&mut session).await;
        let mut samples = [Sample::default(), Sample::default()];
        for (sample, kind) in samples.iter_mut().zip(KINDS) {
            *sample = self.sample(&mut session, &server, kind).await?;
        }
        let [people, groups] = samples;
        let report = CheckReport {
            place: session.url.clone(),
            server: Some(ServerReport {
                kind: server.kind.to_string(),
                bound_as,
                private: self.access.is_private(&session.url),
            }),
            people,
            groups,
        };
        session.close().await;
        Ok(report)
    }

    async fn sample(
        &self,
        session: &mut Session,
        server: &Server,
        kind: EntryKind,
    ) -> Result<Sample, SourceError> {
        let ids = self.ids(server);
        let attributes = self.attributes(kind, server, &ids);
        let mut query = Query::subtree(self.base(kind), self.filter(kind).to_owned(), attributes);
        query.size_limit = SAMPLE;
        let url = session.url.clone();
        let mut search = Search::new(session, query);
        let mut sample = Sample::default();
        loop {
            let mut entry = match search.next().await {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(sample),
                Err(Cut::Refused {
                    code: SIZE_LIMIT, ..
                }) => {
                    sample.more = true;
                    return Ok(sample);
                }
                Err(cut) => return Err(Self::failed(&url, kind, cut)),
            };
            let ranged = range::complete(search.session(), &mut entry, self.ranged(kind));
            ranged.await.map_err(|cut| Self::failed(&url, kind, cut))?;
            let observations = self.observe(kind, &entry, IdAttribute::of(&ids, &entry));
            sample.add(&entry, server.stamp_attribute(), observations);
        }
    }
}

/// Whom the server takes us for (RFC 4532); not every server knows the question.
async fn who_am_i(session: &mut Session) -> Option<String> {
    let timeout = session.timeout();
    session.ldap.with_timeout(timeout);
    let answer = caught(&session.meter, session.ldap.extended(WhoAmI))
        .await
        .ok()?;
    let (exop, _) = answer.success().ok()?;
    let value = exop
        .val
        .as_deref()
        .and_then(|octets| str::from_utf8(octets).ok())?;
    (!value.is_empty()).then(|| value.strip_prefix("dn:").unwrap_or(value).to_owned())
}

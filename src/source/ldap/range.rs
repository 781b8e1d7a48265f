//! Attributes with so many values that the server sends them in ranges (Active Directory sends at
//! most 1500 at once: MS-ADTS, section 3.1.1.3.1.3.3).

use super::super::entry::{Entry, Part};
use super::search::{Cut, Query, Search};
use super::session::Session;

/// Fetches what is missing of these attributes. What the server then still holds back stays marked
/// as a part.
pub(super) async fn complete(
    session: &mut Session,
    entry: &mut Entry,
    names: &[String],
) -> Result<(), Cut> {
    for name in names {
        let mut part = entry.part(name);
        while let Part::Until(next) = part {
            let Some(mut more) = fetch(session, &entry.dn, name, next).await? else {
                break;
            };
            part = match entry.append_range(name, &mut more) {
                // A range that does not advance would be asked for again for ever.
                Some(Part::Until(later)) if later <= next => break,
                Some(part) => part,
                None => break,
            };
        }
    }
    Ok(())
}

/// The values from this index on, as many as the server likes. `None` where it does not give any.
async fn fetch(
    session: &mut Session,
    dn: &str,
    name: &str,
    from: usize,
) -> Result<Option<Entry>, Cut> {
    let query = Query::entry(dn, vec![format!("{name};range={from}-*")]);
    let mut search = Search::new(session, query);
    let mut found = None;
    loop {
        match search.next().await {
            Ok(Some(entry)) => found = Some(entry),
            Ok(None) => return Ok(found),
            // The entry has gone or moved meanwhile: what we have of it is a part.
            Err(Cut::NoBase { .. } | Cut::Refused { .. } | Cut::Referred { .. }) => {
                return Ok(None);
            }
            Err(cut @ Cut::Broken { .. }) => return Err(cut),
        }
    }
}

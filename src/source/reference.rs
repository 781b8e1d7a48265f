//! References to other servers that come with the answer to a search (RFC 4511, section 4.5.3), or stand in
//! an export.

use percent_encoding::percent_decode_str;

use crate::directory::Dn;

/// References that a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct References {
    /// Those of places that may hold people or groups, a few of them.
    pub(super) shown: Vec<String>,
    /// How many of these there are.
    pub(super) count: usize,
}

/// So many are named.
const MOST_SHOWN: usize = 5;

impl References {
    /// Adds a reference, unless it is to a place that the configuration says is of no concern.
    pub(super) fn add(&mut self, urls: &[String], ignored: &Ignored) {
        let places: Vec<Option<String>> = urls.iter().map(|url| place(url)).collect();
        let is_ignored =
            |place: &Option<String>| place.as_deref().is_some_and(|place| ignored.covers(place));
        if !places.is_empty() && places.iter().all(is_ignored) {
            return;
        }
        self.count += 1;
        if self.shown.len() < MOST_SHOWN {
            let named = places.into_iter().flatten().next();
            let named = named.or_else(|| urls.first().cloned());
            self.shown
                .push(named.unwrap_or_else(|| "an unknown place".to_owned()));
        }
    }
}

/// The places of which references are of no concern (`directory.ignore_references`).
#[derive(Debug, Clone)]
pub(super) struct Ignored {
    names: Vec<String>,
    places: Vec<Dn>,
}

impl Ignored {
    /// Names are the value of the first part of a DN, such as `ForestDnsZones`; with a `=` they are DNs.
    pub(super) fn new(configured: &[String]) -> Self {
        let is_dn = |name: &&String| name.contains('=');
        let places = configured.iter().filter(is_dn);
        let names = configured.iter().filter(|name| !is_dn(name));
        Self {
            places: places.filter_map(|dn| Dn::parse(dn).ok()).collect(),
            names: names.map(|name| name.to_lowercase()).collect(),
        }
    }

    fn covers(&self, place: &str) -> bool {
        let Ok(dn) = Dn::parse(place) else {
            return false;
        };
        let first = dn.as_str().split(',').next().unwrap_or_default();
        let name = first.split_once('=').map_or("", |(_, value)| value);
        self.names.iter().any(|ignored| ignored == name)
            || self.places.iter().any(|ignored| dn.is_under(ignored))
    }
}

/// The DN in an LDAP URL (RFC 4516); `None` where there is none.
fn place(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (_, dn) = rest.split_once('/')?;
    let dn = dn.split('?').next()?;
    let dn = percent_decode_str(dn).decode_utf8().ok()?;
    (!dn.is_empty()).then(|| dn.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(urls: &[&str], ignored: &[&str]) -> References {
        let ignored: Vec<String> = ignored.iter().map(|name| (*name).to_owned()).collect();
        let mut references = References::default();
        for url in urls {
            references.add(&[(*url).to_owned()], &Ignored::new(&ignored));
        }
        references
    }

    #[test]
    fn places_that_are_of_no_concern_do_not_count() {
        let zones = [
            "ldap://ForestDnsZones.example.edu/DC=ForestDnsZones,DC=example,DC=edu",
            "ldap://example.edu/CN=Configuration,DC=example,DC=edu",
        ];
        let ignored = ["forestdnszones", "Configuration"];
        assert_eq!(references(&zones, &ignored), References::default());
        let child = "ldap://child.example.edu/DC=child,DC=example,DC=edu??sub";
        assert_eq!(
            references(&[child], &ignored).shown,
            ["DC=child,DC=example,DC=edu"]
        );
        assert_eq!(references(&[child], &["dc=example,dc=edu"]).count, 0);
    }

    #[test]
    fn a_reference_without_a_name_always_counts() {
        assert_eq!(
            references(&["ldap://other.example.edu", ""], &["Configuration"]).count,
            2
        );
    }
}

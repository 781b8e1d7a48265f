//! What a server knows of object classes from its schema, and a file does not say.

use super::Wanted;
use crate::directory::{Dn, fold};

impl Wanted {
    /// Whether an object class is the wanted one or derived from it; an export may name the most
    /// special class alone.
    pub(super) fn is_class_of(&self, value: &[u8]) -> bool {
        let Ok(text) = str::from_utf8(value) else {
            return false;
        };
        let class = fold(text);
        let mut class = &*class;
        loop {
            if self.folded.as_deref() == Some(class) {
                return true;
            }
            class = match class {
                "inetorgperson" | "user" => "organizationalperson",
                "organizationalperson" | "residentialperson" => "person",
                "computer" => "user",
                "top" => return false,
                _ => "top",
            };
        }
    }

    /// Whether an object category of Active Directory is that of the wanted class: the value is a
    /// name (`CN=Person,CN=Schema,…`), and a filter may have the class alone (MS-ADTS, section
    /// 3.1.1.3.1.3.5).
    pub(super) fn is_category(&self, value: &[u8]) -> bool {
        let Some(wanted) = self.folded.as_deref() else {
            return false;
        };
        let wanted = match wanted {
            "user" | "contact" | "inetorgperson" | "organizationalperson" => "person",
            other => other,
        };
        let name = str::from_utf8(value)
            .ok()
            .and_then(|text| Dn::parse(text).ok());
        name.is_some_and(|name| {
            let own = name.as_str().split(',').next().unwrap_or_default();
            own.split_once('=')
                .is_some_and(|(_, value)| value == wanted)
        })
    }
}

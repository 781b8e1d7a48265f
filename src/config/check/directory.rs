//! The checks of `[[directory]]`.

use std::collections::BTreeSet;

use super::{Check, is_loopback, not_a_pattern};
use crate::config::binding;
use crate::config::directory::{BindMethod, Directory, Groups, LdapDirectory, People};
use crate::config::places::Step;

impl Check<'_> {
    pub(super) fn directories(&mut self, directories: &[Directory]) {
        if directories.is_empty() {
            self.error(
                &[Step::Key("directory")],
                "at least one section `[[directory]]` is needed",
            );
        }
        let mut names = BTreeSet::new();
        for (n, directory) in directories.iter().enumerate() {
            let at = |key| [Step::Key("directory"), Step::Item(n), Step::Key(key)];
            if directory.name().is_empty() {
                self.error(&at("name"), "it is empty");
            }
            if !names.insert(directory.name()) {
                self.error(
                    &at("name"),
                    format!(
                        "found {:?} a second time; each directory needs its own name",
                        directory.name()
                    ),
                );
            }
            match directory {
                Directory::Ldap(ldap) => {
                    self.servers(n, ldap);
                    self.bind(n, ldap);
                    self.range(&at("page_size"), ldap.page_size, 1, i64::from(i32::MAX));
                    self.mapping(n, &ldap.people, &ldap.groups);
                }
                Directory::Ldif(ldif) => {
                    if ldif.path.as_os_str().is_empty() {
                        self.error(&at("path"), "it is empty");
                    }
                    self.mapping(n, &ldif.people, &ldif.groups);
                }
            }
        }
    }

    fn servers(&mut self, n: usize, ldap: &LdapDirectory) {
        let at = |key| [Step::Key("directory"), Step::Item(n), Step::Key(key)];
        if ldap.urls.is_empty() {
            self.error(
                &at("urls"),
                "at least one address is needed, such as \"ldaps://ldap.example.edu\"",
            );
        }
        for url in &ldap.urls {
            let rest = ["ldap://", "ldaps://", "ldapi://"]
                .iter()
                .find_map(|scheme| url.strip_prefix(scheme));
            if rest.is_none_or(str::is_empty) {
                self.error(&at("urls"), format!("found {url:?}; an address begins with ldap://, ldaps:// or ldapi:// and names a server"));
            }
        }
        let is_plain = |url: &String| url.starts_with("ldap://");
        if ldap.starttls && !ldap.urls.iter().all(is_plain) {
            self.error(
                &at("starttls"),
                "this goes with ldap:// addresses only; ldaps:// is encrypted from the start",
            );
        }
        let travels_open = |url: &String| {
            let host = url
                .trim_start_matches("ldap://")
                .split(['/', ':'])
                .next()
                .unwrap_or_default();
            is_plain(url) && !is_loopback(host)
        };
        if !ldap.starttls && ldap.bind_password.is_some() && ldap.urls.iter().any(travels_open) {
            self.warn(
                &at("urls"),
                "the password travels unencrypted: use ldaps://, or `starttls = true`",
            );
        }
    }

    fn bind(&mut self, n: usize, ldap: &LdapDirectory) {
        let at = |key| [Step::Key("directory"), Step::Item(n), Step::Key(key)];
        let implied = if ldap.bind_dn.is_some() {
            BindMethod::Simple
        } else {
            BindMethod::Anonymous
        };
        match ldap.bind.unwrap_or(implied) {
            BindMethod::Simple => {
                if ldap.bind_dn.as_ref().is_none_or(String::is_empty) {
                    self.error(&at("bind_dn"), "a simple bind needs a name");
                }
                if ldap.bind_password.is_none() {
                    self.error(&at("bind_password"), "a bind without a password is an anonymous one; give the password, or say `bind = \"anonymous\"` and leave `bind_dn` out");
                }
            }
            BindMethod::External => {
                let proves_itself = ldap.client_certificate.is_some()
                    || (!ldap.urls.is_empty()
                        && ldap.urls.iter().all(|url| url.starts_with("ldapi://")));
                if !proves_itself {
                    self.error(
                        &at("bind"),
                        "\"external\" needs `client_certificate`, or ldapi:// addresses",
                    );
                }
            }
            BindMethod::Anonymous => {
                if ldap.bind_dn.is_some() || ldap.bind_password.is_some() {
                    self.error(
                        &at("bind"),
                        "an anonymous bind has no `bind_dn` and no `bind_password`",
                    );
                }
            }
        }
        if ldap.client_certificate.is_some() != ldap.client_key.is_some() {
            self.error(
                &at("client_key"),
                "`client_certificate` and `client_key` go together",
            );
        }
    }

    fn mapping(&mut self, n: usize, people: &People, groups: &Groups) {
        let at = |section, key| {
            [
                Step::Key("directory"),
                Step::Item(n),
                Step::Key(section),
                Step::Key(key),
            ]
        };
        for (section, key, text) in [
            ("people", "user_id", &people.user_id),
            ("groups", "group_id", &groups.group_id),
            ("groups", "members", &groups.members),
        ] {
            if text.is_empty() {
                self.error(
                    &at(section, key),
                    "it is empty; the name of an attribute is needed",
                );
            }
        }
        let filters = [
            ("people", "filter", Some(&people.filter)),
            ("people", "enabled", people.enabled.as_ref()),
            ("groups", "filter", Some(&groups.filter)),
        ];
        for (section, key, filter) in filters {
            if filter.is_some_and(|filter| ldap3::parse_filter(filter).is_err()) {
                self.error(
                    &at(section, key),
                    "this is not an LDAP filter, such as \"(objectClass=person)\"",
                );
            }
        }
        if let Some(pattern) = &people.user_id_transform.pattern
            && let Err(error) = binding::whole(pattern)
        {
            let path = [
                Step::Key("directory"),
                Step::Item(n),
                Step::Key("people"),
                Step::Key("user_id_transform"),
                Step::Key("pattern"),
            ];
            self.error(&path, not_a_pattern(&error));
        }
        self.range(
            &at("groups", "depth"),
            i64::try_from(groups.depth).unwrap_or(i64::MAX),
            1,
            1000,
        );
    }
}

//! What the types cannot say: which values go together.

use std::net::IpAddr;

use tokio_cron_scheduler::Job;

use super::apply::Csv;
use super::binding::{self, Binding, CategorySelector};
use super::directory::Directory;
use super::error::Problem;
use super::places::{Places, Step};
use super::{Config, Kaltura, Schedule};
use crate::category::UserId;

mod directory;

/// What was found.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// Checks a configuration.
pub(super) fn check(config: &Config, places: &Places<'_>) -> Checked {
    let mut check = Check {
        places,
        found: Checked::default(),
    };
    check.kaltura(&config.kaltura);
    check.directories(&config.directory);
    check.bindings(config);
    check.safety(config);
    check.csv(&config.apply.csv);
    check.schedule(&config.schedule);
    if config.policy.protected.iter().any(String::is_empty) {
        check.error(
            &[Step::Key("policy"), Step::Key("protected")],
            "a user ID is empty",
        );
    }
    check.found.errors.sort();
    check.found.warnings.sort();
    check.found
}

struct Check<'a> {
    places: &'a Places<'a>,
    found: Checked,
}

impl Check<'_> {
    fn error(&mut self, path: &[Step<'_>], text: impl Into<String>) {
        self.found.errors.push(self.places.problem(path, text));
    }

    fn warn(&mut self, path: &[Step<'_>], text: impl Into<String>) {
        self.found.warnings.push(self.places.problem(path, text));
    }

    fn range(&mut self, path: &[Step<'_>], value: impl TryInto<i64>, least: i64, most: i64) {
        let value = value.try_into().unwrap_or(i64::MAX);
        if !(least..=most).contains(&value) {
            let allowed = if most == i64::MAX {
                format!("at least {least}")
            } else {
                format!("{least} to {most}")
            };
            self.error(path, format!("found {value}; allowed is {allowed}"));
        }
    }

    fn kaltura(&mut self, kaltura: &Kaltura) {
        let at = |key| [Step::Key("kaltura"), Step::Key(key)];
        self.kaltura_url(&kaltura.url, kaltura.insecure);
        if let Some(proxy) = &kaltura.proxy {
            self.proxy(proxy);
        }
        self.range(&at("partner_id"), kaltura.partner_id, 1, i64::MAX);
        self.range(&at("batch"), kaltura.batch, 1, 100);
        self.range(&at("concurrency"), kaltura.concurrency, 1, 32);
        self.range(
            &at("requests_per_second"),
            kaltura.requests_per_second,
            1,
            i64::MAX,
        );
        if kaltura.timeout.0.is_zero() {
            self.error(
                &at("timeout"),
                "found no time at all; allowed is at least \"1ms\"",
            );
        }
        match (&kaltura.admin_secret, &kaltura.app_token) {
            (None, None) => {
                self.error(
                    &[Step::Key("kaltura")],
                    "either `admin_secret` or `app_token` is needed",
                );
            }
            (Some(_), Some(_)) => {
                self.error(
                    &at("app_token"),
                    "found `admin_secret` as well; exactly one of them is needed",
                );
            }
            (None, Some(_)) if kaltura.session_start => {
                self.error(
                    &at("session_start"),
                    "this goes with `admin_secret`, not with `app_token`",
                );
            }
            (None, Some(_)) if kaltura.role.is_some() => {
                self.warn(&at("role"), "an app token's session has the role that is in the token (`setrole`); this has no effect");
            }
            _ => {}
        }
        if let Some(problem) = UserId::new(kaltura.user_id.as_str()).problem() {
            self.error(
                &at("user_id"),
                format!("Kaltura would not take it: {problem}"),
            );
        }
        if kaltura
            .role
            .as_ref()
            .is_some_and(|role| role.is_empty() || role.contains(','))
        {
            self.error(&at("role"), "a role is one number or one system name");
        }
        if kaltura
            .root
            .as_ref()
            .is_some_and(|root| root.trim_matches('>').is_empty())
        {
            self.error(
                &at("root"),
                "it is empty; leave the key out to mean the whole account",
            );
        }
    }

    fn kaltura_url(&mut self, text: &str, insecure: bool) {
        let path = [Step::Key("kaltura"), Step::Key("url")];
        let Ok(url) = reqwest::Url::parse(text) else {
            self.error(
                &path,
                format!(
                    "found {text:?}; expected is an address such as \"https://www.kaltura.com\""
                ),
            );
            return;
        };
        if !matches!(url.scheme(), "http" | "https") {
            self.error(&path, "expected is an address that begins with https://");
        } else if url.host_str().is_none()
            || !url.username().is_empty()
            || url.password().is_some()
            || url.path() != "/"
            || url.query().is_some()
            || url.fragment().is_some()
        {
            self.error(
                &path,
                "expected is the server's address alone, without a user, a path or a query",
            );
        } else if url.scheme() == "http" && !url.host_str().is_some_and(is_loopback) {
            let unencrypted = "the session travels unencrypted";
            if insecure {
                self.warn(&path, format!("{unencrypted}: use https://"));
            } else {
                self.error(
                    &path,
                    format!("{unencrypted}: use https://, or accept it with `insecure = true`"),
                );
            }
        }
    }

    fn proxy(&mut self, proxy: &str) {
        let is_address = reqwest::Url::parse(proxy).is_ok_and(|url| url.has_host());
        if proxy != Kaltura::NO_PROXY && !is_address {
            self.error(
                &[Step::Key("kaltura"), Step::Key("proxy")],
                "expected is an address such as \"http://proxy.example.edu:3128\", or \"none\"",
            );
        }
    }

    fn bindings(&mut self, config: &Config) {
        for (n, binding) in config.binding.iter().enumerate() {
            self.binding(n, binding, config);
        }
    }

    fn binding(&mut self, n: usize, binding: &Binding, config: &Config) {
        let at = |key| [Step::Key("binding"), Step::Item(n), Step::Key(key)];
        if binding.group.is_some() == binding.groups.is_some() {
            self.error(
                &at("group"),
                "exactly one of `group` and `groups` is needed",
            );
        }
        let mut names: Vec<String> = vec!["group".to_owned()];
        match binding
            .group
            .as_ref()
            .map(|pattern| binding::whole(pattern))
        {
            Some(Ok(pattern)) => names.extend(pattern.capture_names().flatten().map(str::to_owned)),
            Some(Err(error)) => {
                self.error(&at("group"), not_a_pattern(&error));
                return;
            }
            None => {}
        }
        if binding
            .groups
            .as_ref()
            .is_some_and(|groups| groups.is_empty() || groups.iter().any(String::is_empty))
        {
            self.error(
                &at("groups"),
                "at least one group ID is needed, and none may be empty",
            );
        }
        match &binding.category {
            Some(CategorySelector::Id(id)) => self.range(&at("category"), *id, 1, i64::MAX),
            Some(CategorySelector::ReferenceId(template)) => {
                match binding::placeholders(template) {
                    None => self.error(&at("category"), "a brace is not closed"),
                    Some(used) => {
                        for name in used
                            .iter()
                            .filter(|name| !names.iter().any(|known| known == **name))
                        {
                            let known: Vec<String> =
                                names.iter().map(|name| format!("{{{name}}}")).collect();
                            self.error(&at("category"), format!("found {{{name}}}, which the pattern does not catch; known are {}", known.join(", ")));
                        }
                    }
                }
            }
            None => {}
        }
        let Some(name) = &binding.directory else {
            return;
        };
        if !config
            .directory
            .iter()
            .any(|directory| directory.name() == name)
        {
            let names: Vec<&str> = config.directory.iter().map(Directory::name).collect();
            self.error(
                &at("directory"),
                format!("found {name:?}; the directories are {}", names.join(", ")),
            );
        }
    }

    fn safety(&mut self, config: &Config) {
        let safety = &config.safety;
        if config.state.history.0 < safety.window.0 {
            self.error(
                &[Step::Key("state"), Step::Key("history")],
                "it is shorter than `safety.window`: losses would be forgotten before they count no more",
            );
        }
        for (key, threshold) in [
            ("category", safety.category),
            ("total", safety.total),
            ("demotions", safety.demotions),
        ] {
            let path = [Step::Key("safety"), Step::Key(key), Step::Key("percent")];
            self.range(&path, threshold.percent, 0, 100);
        }
    }

    fn csv(&mut self, csv: &Csv) {
        let at = |key| [Step::Key("apply"), Step::Key("csv"), Step::Key(key)];
        self.range(&at("rows"), csv.rows, 1, 100_000);
        self.range(&at("bytes"), csv.bytes, 1_000, i64::MAX);
        self.range(&at("jobs"), csv.jobs, 1, 32);
        for (key, period) in [("poll", csv.poll), ("patience", csv.patience)] {
            if period.0.is_zero() {
                self.error(
                    &at(key),
                    "found no time at all; allowed is at least \"1ms\"",
                );
            }
        }
    }

    fn schedule(&mut self, schedule: &Schedule) {
        for (key, text) in [
            ("incremental", &schedule.incremental),
            ("full", &schedule.full),
        ] {
            let path = [Step::Key("schedule"), Step::Key(key)];
            if text.split_whitespace().count() != 5 {
                self.error(&path, format!("found {text:?}; five fields are needed: minute, hour, day of month, month, day of week"));
            } else if Job::new(format!("0 {text}"), |_, _| {}).is_err() {
                self.error(&path, format!("found {text:?}, which is no time, such as \"*/5 * * * *\" or \"0 3 * * MON-FRI\""));
            }
        }
    }
}

fn not_a_pattern(error: &regex::Error) -> String {
    let reason = error.to_string();
    let reason = reason
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    format!("this is not a regular expression: {reason}")
}

pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

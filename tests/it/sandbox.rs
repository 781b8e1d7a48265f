//! The sandbox from outside, over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by failing, and a replay says what it played"
)]

mod bulk;
pub(crate) mod client;
mod control;
mod csv_route;
mod csv_sheets;
mod faults;
mod file;
mod findings;
mod groups;
mod metadata;
mod program;
mod python_client;
mod replay;
mod rules;

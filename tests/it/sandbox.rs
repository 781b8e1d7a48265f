//! The sandbox from outside, over HTTP.

mod client;
mod faults;
mod replay;
mod rules;

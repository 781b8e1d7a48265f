//! Rollbook keeps the members of Kaltura MediaSpace channels in step with the groups of an
//! organisation's directory.

pub mod apply;
pub mod category;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod directory;
pub mod kaltura;
pub mod plan;
pub mod progress;
pub mod reconcile;
pub mod sandbox;
pub mod source;
pub mod store;
pub mod telemetry;

//! Rollbook keeps the members of Kaltura MediaSpace channels in step with the groups of an
//! organisation's directory.
//!
//! This page is the map. [`reconcile`] is the page to read first: one run, told from top to bottom.
//!
//! ```text
//!  LDAP ──┐                                ┌─ marks: where to look ─┐
//!         ├─► source ─► observations ─► mirror ─────────────────────┴─► desired ─┐
//!  LDIF ──┘                            (SQLite)                                  ├─► plan ─► gate ─► apply ─► Kaltura
//!                                          Kaltura ─────────────────► actual ────┤  (pure)  (holds)    │
//!                                          ledger (what we last did) ────────────┘                     └─► journal, history, ledger
//! ```
//!
//! | Step | Module | Its one idea |
//! |---|---|---|
//! | what the directory says | [`source`], [`directory`] | a source says what it saw, and how much of it is known ([`directory::Evidence`]) |
//! | what is known | [`store`] | merging is one transaction with the checkpoint, and leaves marks; departures are kept until they are proven ([`store::mirror::departure`]) |
//! | who is wanted where | [`plan::binding`], [`plan::desired`] | first which groups feed which category, then who is in them |
//! | what Kaltura has | [`kaltura`], [`category`] | an answer is compared with the question |
//! | what is to be done | [`plan::membership`], [`plan::category`] | what would change, and who objects, are two questions; access goes only with a [`directory::Known`] |
//! | whether it may be | [`plan::gate`] | only the gate makes an `Approved`, and only that can be applied |
//! | doing it | [`apply`] | what is written is known before and after |
//! | all of it, once | [`reconcile`] | a trigger only says where to look |
//! | again and again | [`daemon`] | a trigger only pokes |
//! | by hand | [`cli`] | decide in the library, explain there |
//! | without an account | [`sandbox`], [`demo`] | a Kaltura account in a box, which shares no code with the client |
//!
//! Dependencies point one way: `cli → daemon → reconcile → {source, kaltura, apply, store} → plan →
//! {directory, category}`. Three checks by eye: nothing in [`plan`] is `async`; SQL is only in
//! [`store`] (and in the sandbox's own file); Kaltura's numbers for levels and the like are only in `kaltura/wire.rs` (and, on the
//! other side of the wire, in the sandbox).

pub mod apply;
pub mod category;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod directory;
pub mod kaltura;
mod killpoint;
pub mod plan;
pub mod progress;
pub mod reconcile;
pub mod sandbox;
pub mod shown;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod terminal;

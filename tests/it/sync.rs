//! `rollbook sync` from outside: a real directory server, an account in a box, the real program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod approvals;
mod bad_input;
mod command_line;
mod crash;
mod csv;
mod decisions;
mod directories;
mod doubt;
mod evidence;
mod export;
mod faults;
mod first_run;
mod gone_back;
mod groups;
mod held;
mod history;
mod kaltura_side;
mod kills;
mod leases;
mod network;
mod people;
mod policy;
mod renames;
mod rights;
mod saved;
mod shown;
mod site;
mod state;
mod state_file;
mod two_things;
mod undo;
mod year;

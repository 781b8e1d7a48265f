//! The client of Kaltura's API.

//! A Kaltura account in a box.

use super::*;
use crate::category::{CategoryId, PermissionLevel, UpdateMethod, UserId};
use crate::kaltura::Write;
use crate::kaltura::csv::Style;

/// Additions of people to channel 57, as members.
fn rows(users: &[&str]) -> Vec<Row> {
    let row = |user: &&str| {
        let write = Write::Add {
            category: CategoryId(57),
            user: UserId::new(*user),
            level: PermissionLevel::Member,
            method: UpdateMethod::Automatic,
        };
        Style::default().piece(&[write], None, ()).unwrap().rows
    };
    users.iter().flat_map(row).collect()
}

fn verdicts(log: &str, users: &[&str]) -> Vec<RowVerdict> {
    Log::read(log.as_bytes()).verdicts(&rows(users))
}

fn verdict(log: &str) -> RowVerdict {
    verdicts(log, &["ada"]).remove(0)
}

fn refused(text: &str) -> RowVerdict {
    RowVerdict::Refused(text.to_owned())
}

fn done_but(text: &str) -> RowVerdict {
    RowVerdict::DoneBut(text.to_owned())
}

#[test]
fn each_row_has_what_its_own_line_says() {
    let log = "1,57,bob,3,1,,1,,0,\"CategoryUser already exists\"\n\
               1,57,ada,3,1,,2,777001,1\n\
               1,57,joe,3,1,,2,,1,\"Timed out while attempting to grab lock\"\n\
               1,57,liz,3,1,,3,,1\n";
    assert_eq!(
        verdicts(log, &["ada", "bob", "joe", "liz", "eve"]),
        [
            RowVerdict::Done,
            refused("CategoryUser already exists"),
            done_but("Timed out while attempting to grab lock"),
            RowVerdict::Unknown,
            RowVerdict::Unknown,
        ]
    );
}

#[test]
fn what_is_served_instead_of_a_log_says_nothing() {
    for log in [
        "",
        "\n",
        "Log file is not ready",
        "<html>503</html>\n",
        "\u{0}\u{1}\n",
    ] {
        assert_eq!(verdict(log), RowVerdict::Unknown, "{log:?}");
    }
    let unreadable = Log::read(b"1,57,a\xffda,3,1,,2,,1\n");
    assert_eq!(unreadable.verdicts(&rows(&["ada"])), [RowVerdict::Unknown]);
}

#[test]
fn a_header_line_and_other_line_ends_are_fine() {
    let log = "action,categoryId,userId,permissionLevel,updateMethod,status,resultStatus,objectId,objectStatus\r\n\
               1,57,ada,3,1,,2,,1\r\n";
    assert_eq!(verdict(log), RowVerdict::Done);
}

#[test]
fn a_line_that_was_cut_off_says_nothing() {
    let whole = "1,57,ada,3,1,,2,,1,\"Invalid user id\"\n";
    assert_eq!(verdict(whole), done_but("Invalid user id"));
    for end in 0..whole.len() {
        assert_eq!(verdict(&whole[..end]), RowVerdict::Unknown, "{end}");
    }
}

#[test]
fn a_row_of_which_two_things_are_said_is_unknown() {
    let done = "1,57,ada,3,1,,2,,1\n";
    assert_eq!(verdict(&done.repeat(2)), RowVerdict::Done);
    for other in [
        "1,57,ada,3,1,,1,,0,\"Internal server error occurred\"\n",
        "1,57,ada,3,1,,3,,0\n",
        "1,57,ada,3,1,,x\n",
    ] {
        for log in [format!("{done}{other}"), format!("{other}{done}{done}")] {
            assert_eq!(verdict(&log), RowVerdict::Unknown, "{log}");
        }
    }
}

#[test]
fn a_row_that_is_in_the_file_twice_is_unknown() {
    let log = "1,57,ada,3,1,,2,,1\n1,57,bob,3,1,,2,,1\n1,57,ada,3,1,,2,,1\n";
    assert_eq!(
        verdicts(log, &["ada", "bob", "ada"]),
        [RowVerdict::Unknown, RowVerdict::Done, RowVerdict::Unknown]
    );
}

#[test]
fn one_cell_more_is_looked_over_where_that_leaves_no_doubt() {
    assert_eq!(verdict("1,57,ada,3,1,,another,2,,1\n"), RowVerdict::Done);
    assert_eq!(
        verdict("1,57,ada,3,1,,2,1,,0,\"Invalid user id\"\n"),
        refused("Invalid user id")
    );
    // Done, with "0" for an error, or refused after a cell that says 2?
    assert_eq!(verdict("1,57,ada,3,1,,2,1,5,0\n"), RowVerdict::Unknown);
    assert_eq!(
        verdict("1,57,ada,3,1,,one,another,2,,1\n"),
        RowVerdict::Unknown
    );
}

#[test]
fn an_id_that_looks_like_a_formula_has_an_apostrophe() {
    let log = "1,57,'-ada,3,1,,2,,1\n1,57,'@bob,3,1,,2,,1\n1,57,-joe,3,1,,2,,1\n";
    assert_eq!(
        verdicts(log, &["-ada", "@bob", "-joe"]),
        [RowVerdict::Done, RowVerdict::Done, RowVerdict::Done]
    );
}

#[test]
fn the_text_is_one_line_and_names_nobody() {
    let log = "1,57,ada,3,1,,1,,0,\"Invalid CategoryUser for category [\"\"57\"\"] and for user [\"\"ada\"\"]\"\n";
    assert_eq!(
        verdict(log),
        refused("Invalid CategoryUser for category [\"57\"] and for user [\"…\"]")
    );
    let endless = format!("1,57,ada,3,1,,1,,0,\"{}\tdjJ8MTAz\"\n", "x".repeat(999));
    let RowVerdict::Refused(text) = verdict(&endless) else {
        panic!("refused");
    };
    assert_eq!(text, "x".repeat(300));
    let session = verdict("1,57,ada,3,1,,1,,0,\"a\tb djJ8MTAz\"\n");
    assert_eq!(session, refused("a b [session]"));
    assert_eq!(
        verdict("1,57,ada,3,1,,1,,0\n"),
        refused("Kaltura gave no reason")
    );
}

#[test]
fn a_backslash_before_a_quotation_mark_is_phps_way() {
    let log = "1,57,ada,3,1,,1,,0,\"no \\\"such\\\", thing\"\n1,57,bob,3,1,,2,,1\n";
    assert_eq!(
        verdicts(log, &["ada", "bob"]),
        [refused("no \"such\", thing"), RowVerdict::Done]
    );
}

#[test]
fn a_quotation_mark_that_is_never_closed_spoils_its_own_line_only() {
    let log = "1,57,\"eve,3,1,,2,,1\n1,57,ada,3,1,,2,,1\n";
    assert_eq!(
        verdicts(log, &["eve", "ada"]),
        [RowVerdict::Unknown, RowVerdict::Done]
    );
}

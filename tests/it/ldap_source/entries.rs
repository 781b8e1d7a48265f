//! What entries become.

use super::*;

#[tokio::test]
async fn people_and_groups_are_read_over_three_pages() {
    let slapd = Slapd::start(SlapdOptions {
        ldif: slapd::people(25) + &slapd::group("bio-101", 0..5) + &slapd::group("bio-102", [7]),
        ..SlapdOptions::default()
    });
    let source = source_with(&slapd, "page_size = 10", SECTIONS);

    let (_, told) = read_complete(&source).await;

    assert_eq!(told.people().len(), 25);
    let p3 = told.person("p3");
    assert_eq!(p3.first_name.as_deref(), Some("Given3"));
    assert_eq!(p3.last_name.as_deref(), Some("Family3"));
    assert_eq!(p3.mail.as_deref(), Some("p3@example.edu"));
    assert_eq!(p3.login.as_deref(), Some("p3"));
    assert!(p3.enabled);
    assert_eq!(told.groups().len(), 2);
    assert_eq!(members(&told, "bio-101").len(), 5);
    assert!(told.group("bio-101").members_complete);
    assert_eq!(told.problems(), []);
}

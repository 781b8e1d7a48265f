//! Plans that wait for a person, and what a person says.

use super::site::{ACTIVE, MANAGER, MANUAL, Run, Site, with};

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2]);
const CHEM: (&str, &[usize]) = ("chem", &[0, 3]);

/// Two channels whose first plan is held.
async fn waiting() -> (Site, String) {
    let site = with(5, &[BIO, CHEM])
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    let digest = site.sync().await.is(4).digest();
    (site, digest)
}

#[tokio::test]
async fn a_held_plan_is_listed_and_shown_whole() {
    let (site, digest) = waiting().await;
    let held = site.rollbook(&["held"]).await.is(4);
    let held = held
        .says("5 to add")
        .says("first plan of this configuration");
    held.says(&format!("rollbook approve {digest}"));
    let shown = site.rollbook(&["show", &digest]).await.is(0);
    shown
        .says("+ p3")
        .says("through chem")
        .says("It is held because");
    let one = site.rollbook(&["show", &digest, "--category", "bio"]).await;
    one.is(0).says("through bio").says_nothing_of("chem");
    let other = site
        .rollbook(&["show", &digest, "--category", "maths"])
        .await;
    other.is(1);
}

#[tokio::test]
async fn a_run_that_finds_nothing_new_says_that_a_plan_still_waits() {
    let (site, _) = waiting().await;
    let told = site.sync().await.is(4);
    told.says("Still held, since an earlier run: 5 to add")
        .says("rollbook show");
    let told = site.rollbook(&["sync", "--format", "json"]).await.is(4);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["report"]["still_held"].as_array().unwrap().len(), 1);
    assert_eq!(told["report"]["held"], serde_json::Value::Null);
    site.rollbook(&["held"]).await.is(4);
}

#[tokio::test]
async fn a_channel_is_approved_alone_and_the_other_waits() {
    let (site, digest) = waiting().await;
    site.rollbook(&["approve", &digest, "--category", "chem", "--by", "Ruth"])
        .await
        .is(0)
        .says("2 to add");
    site.sync().await.is(4);
    assert_eq!(site.members("chem"), ["p0", "p3"]);
    assert_eq!(site.members("bio"), [""; 0]);
    site.rollbook(&["held"]).await.is(4).says("first plan");
    let told = site.rollbook(&["history", "--category", "chem"]).await;
    told.is(0).says("through chem").says("approved by Ruth");
}

#[tokio::test]
async fn a_rejected_plan_is_not_done_and_nobody_is_asked_again() {
    let (site, digest) = waiting().await;
    site.rollbook(&["reject", &digest, "--category", "bio"])
        .await
        .is(0);
    site.rollbook(&["approve", &digest, "--category", "chem"])
        .await
        .is(0);
    site.sync_full().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), [""; 0]);
    assert_eq!(site.members("chem"), ["p0", "p3"]);
    site.rollbook(&["held"]).await.is(0).says("rejected by");
    site.join("bio", 4);
    let held = site.sync().await.is(4);
    held.says("to 3 people what was undone or rejected");
    assert_eq!(site.members("bio"), [""; 0]);
}

#[tokio::test]
async fn a_rejected_plan_can_still_be_approved() {
    let (site, digest) = waiting().await;
    site.rollbook(&["reject", &digest]).await.is(0);
    site.sync_full().await.is(0);
    site.rollbook(&["approve", &digest]).await.is(1);
    let named = [
        "approve",
        &digest,
        "--category",
        "bio",
        "--category",
        "chem",
    ];
    site.rollbook(&named).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn an_approval_that_is_not_used_in_time_lapses() {
    let site = with(5, &[BIO])
        .set(|settings| settings.safety = "approval_expires = \"1s\"".into())
        .start()
        .await;
    let digest = site.sync().await.is(4).digest();
    site.rollbook(&["approve", &digest]).await.is(0);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    site.sync_full().await.is(4);
    assert_eq!(site.members("bio"), [""; 0]);
}

#[tokio::test]
async fn an_approval_that_has_lapsed_is_none_any_more() {
    let site = with(5, &[BIO])
        .set(|settings| settings.safety = "approval_expires = \"1s\"".into())
        .start()
        .await;
    let digest = site.sync().await.is(4).digest();
    site.rollbook(&["approve", &digest]).await.is(0);
    site.rollbook(&["held"])
        .await
        .is(0)
        .says("approved by tester");
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let held = site.rollbook(&["held"]).await.is(4);
    held.says(&format!("rollbook approve {digest}"))
        .says_nothing_of("approved by");
    site.rollbook(&["reject", &digest])
        .await
        .is(0)
        .says("3 to add");
    site.rollbook(&["held"])
        .await
        .is(0)
        .says("rejected by tester");
}

#[tokio::test]
async fn what_is_done_is_not_held_any_more() {
    let (site, digest) = waiting().await;
    site.rollbook(&["reject", &digest, "--category", "bio"])
        .await
        .is(0);
    site.rollbook(&["approve", &digest, "--category", "chem"])
        .await
        .is(0);
    site.sync().await.is(0);
    let held = site.rollbook(&["held"]).await.is(0);
    held.says(&format!("{digest}  3 to add"));
}

#[tokio::test]
async fn a_plan_that_is_made_again_is_held_since_it_was_first_made() {
    let (site, digest) = waiting().await;
    let an_hour_ago = "UPDATE held SET held_at = held_at - 3600";
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    state.execute(an_hour_ago, []).unwrap();
    let said = |run: Run| {
        let held: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(held.as_array().unwrap().len(), 1);
        (held[0]["held_at"].clone(), held[0]["run"].clone())
    };
    let first = said(site.rollbook(&["held", "--json"]).await);
    assert_eq!(site.sync_full().await.is(4).digest(), digest);
    assert_eq!(said(site.rollbook(&["held", "--json"]).await), first);
    site.join("chem", 4);
    site.sync().await.is(4);
    assert_ne!(said(site.rollbook(&["held", "--json"]).await), first);
}

#[tokio::test]
async fn many_small_losses_of_one_day_are_one_big_one() {
    let everybody: Vec<usize> = (0..20).collect();
    let site = with(20, &[("bio", &everybody)]).in_step().await;
    for person in 0..4 {
        site.leave("bio", person);
        site.sync().await.is(0);
    }
    site.leave("bio", 4);
    site.sync().await.is(0);
    site.leave("bio", 5);
    let held = site.sync().await.is(4);
    held.says("6 of 20 memberships would be lost");
    assert_eq!(site.members("bio").len(), 15);
}

#[tokio::test]
async fn a_channel_that_would_be_left_empty_is_held() {
    let site = with(5, &[BIO, CHEM]).in_step().await;
    let suffix = crate::slapd::SUFFIX;
    site.slapd.modify(&format!(
        "dn: cn=chem,ou=groups,{suffix}\nchangetype: modify\nreplace: member\nmember: cn=nobody,{suffix}\n"
    ));
    site.join("bio", 4);
    let held = site.sync().await.is(4);
    held.says("chem: nobody of 2 would be left");
    assert_eq!(site.members("chem"), ["p0", "p3"]);
    assert_eq!(
        site.members("bio"),
        ["p0", "p1", "p2", "p4"],
        "the others go on"
    );
}

#[tokio::test]
async fn the_last_manager_does_not_go_unseen() {
    let site = with(5, &[BIO])
        .set(|settings| {
            settings.groups = "roles = { owner = \"teacher\" }".to_owned();
            settings.bindings =
                "[[binding]]\ngroup = \".+\"\nroles = { teacher = \"manager\" }".to_owned();
        })
        .in_step()
        .await;
    let owner = |change, person| {
        let suffix = crate::slapd::SUFFIX;
        format!(
            "dn: cn=bio,ou=groups,{suffix}\nchangetype: modify\n{change}: owner\n\
             owner: uid=p{person},ou=people,{suffix}\n"
        )
    };
    for person in [1, 2] {
        site.slapd.modify(&owner("add", person));
    }
    site.sync().await.is(0);
    site.slapd.modify(&owner("delete", 1));
    site.sync().await.is(0);
    site.slapd.modify(&owner("delete", 2));
    site.sync().await.is(4).says("no manager would be left");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2 manager"]);
    // Another manager by hand is no answer to what was asked.
    site.put("bio", "p0", (MANAGER, MANUAL, ACTIVE));
    let held = site.sync_full().await.is(4);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0 manager manual", "p1", "p2"]);
}

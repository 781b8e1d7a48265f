//! Plans that were saved, reviewed, and applied.

use super::site::{ACTIVE, MANUAL, MEMBER, Run, Site, with};

async fn saved() -> (Site, String) {
    let site = with(6, &[("bio", &[0, 1, 2])]).in_step().await;
    site.leave("bio", 1);
    site.join("bio", 3);
    let file = site.path("plan.json").display().to_string();
    site.rollbook(&["sync", "--dry-run", "--out", &file])
        .await
        .is(0);
    (site, file)
}

async fn apply(site: &Site, file: &str) -> Run {
    site.rollbook(&["apply", file]).await
}

#[tokio::test]
async fn a_saved_plan_is_applied_as_it_was_reviewed() {
    let (site, file) = saved().await;
    apply(&site, &file).await.is(0).says("Done: 2 changes");
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
    site.sync_full().await.is(0).says("Nothing to do");
}

#[tokio::test]
async fn what_has_come_since_is_left_to_the_next_run() {
    let (site, file) = saved().await;
    site.join("bio", 4);
    apply(&site, &file).await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3", "p4"]);
}

#[tokio::test]
async fn a_plan_of_which_the_directory_thinks_otherwise_now_is_refused() {
    let (site, file) = saved().await;
    site.join("bio", 1);
    let refused = apply(&site, &file).await.is(1);
    assert!(refused.stderr.contains("out of date"), "{}", refused.stderr);
    assert!(refused.stderr.contains("bio, p1"), "{}", refused.stderr);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn a_plan_of_which_kaltura_has_moved_is_refused() {
    let (site, file) = saved().await;
    site.put("bio", "p1", (MEMBER, MANUAL, ACTIVE));
    let refused = apply(&site, &file).await.is(1);
    assert!(refused.stderr.contains("set by hand"), "{}", refused.stderr);
    assert_eq!(site.members("bio"), ["p0", "p1 manual", "p2"]);
}

#[tokio::test]
async fn a_plan_is_applied_once() {
    let (site, file) = saved().await;
    apply(&site, &file).await.is(0);
    apply(&site, &file).await.is(1);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn a_saved_plan_that_takes_too_much_is_held_like_any_other() {
    let site = with(9, &[("bio", &[0, 1, 2, 3, 4, 5, 6, 7, 8])])
        .in_step()
        .await;
    for person in 0..6 {
        site.leave("bio", person);
    }
    let file = site.path("plan.json").display().to_string();
    site.rollbook(&["sync", "--dry-run", "--out", &file])
        .await
        .is(0);
    let digest = apply(&site, &file).await.is(4).digest();
    assert_eq!(site.members("bio").len(), 9);
    let approved = site.rollbook(&["approve", &digest]).await.is(0);
    approved.says(&format!("rollbook apply {file}"));
    apply(&site, &file).await.is(0);
    assert_eq!(site.members("bio"), ["p6", "p7", "p8"]);
}

#[tokio::test]
async fn a_file_that_is_no_plan_is_named() {
    let (site, _) = saved().await;
    let notes = site.path("notes.txt");
    std::fs::write(&notes, "milk, bread").unwrap();
    let refused = apply(&site, notes.to_str().unwrap()).await.is(1);
    assert!(
        refused.stderr.contains("is not a plan"),
        "{}",
        refused.stderr
    );
}

//! Looking after the state file.

use super::site::{ACTIVE, AUTOMATIC, MEMBER, Site, with};

async fn lived() -> Site {
    with(4, &[("bio", &[0, 1, 2])]).in_step().await
}

#[tokio::test]
async fn a_backup_is_a_state_file_like_the_original() {
    let site = lived().await;
    let copy = site.path("copy.db").display().to_string();
    site.rollbook(&["state", "backup", &copy]).await.is(0);
    site.rollbook(&["state", "backup", &copy]).await.is(1);
    site.leave("bio", 1);
    site.sync().await.is(0);
    std::fs::copy(site.path("copy.db"), site.path("rollbook.db")).unwrap();
    for end in ["-wal", "-shm"] {
        _ = std::fs::remove_file(site.path(&format!("rollbook.db{end}")));
    }
    site.rollbook(&["state", "verify"])
        .await
        .is(0)
        .says("is sound");
    site.sync_full().await;
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn a_sound_file_is_said_to_be_sound() {
    let site = lived().await;
    let said = site.rollbook(&["state", "verify"]).await.is(0);
    said.says("is sound; the history has 3 lines");
}

#[tokio::test]
async fn a_file_made_anew_adopts_what_is_right_and_holds_the_rest() {
    let site = lived().await;
    site.put("bio", "p3", (MEMBER, AUTOMATIC, ACTIVE));
    site.account().remove_membership(site.channel("bio"), "p0");
    std::fs::write(
        site.path("rollbook.db"),
        "this was a state file".repeat(500),
    )
    .unwrap();
    for end in ["-wal", "-shm"] {
        _ = std::fs::remove_file(site.path(&format!("rollbook.db{end}")));
    }
    site.sync().await.is(1);
    site.account().calls().reset();
    let rebuilt = site.rollbook(&["state", "rebuild"]).await.is(4);
    let digest = rebuilt.digest();
    rebuilt
        .says("is kept as")
        .says("+ p0")
        .says("- p3")
        .says("first plan of a state file that was made anew");
    assert_eq!(site.account().calls().writes(), []);
    site.rollbook(&["approve", &digest]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    site.sync_full().await.is(0).says("Nothing to do");
}

#[tokio::test]
async fn what_somebody_said_no_to_is_known_to_a_file_made_anew() {
    let site = with(6, &[("bio", &[0, 1, 2]), ("chem", &[0, 1])])
        .in_step()
        .await;
    site.leave("bio", 1);
    site.sync().await.is(0);
    site.rollbook(&["undo", "2"]).await.is(0);
    site.account().remove_membership(site.channel("chem"), "p0");
    site.account().remove_membership(site.channel("chem"), "p1");
    let digest = site
        .rollbook(&["state", "rebuild"])
        .await
        .is(4)
        .says("of 1 membership.")
        .says("undone or rejected")
        .digest();
    site.rollbook(&["reject", &digest]).await.is(0);
    let again = site.rollbook(&["state", "rebuild"]).await.is(0);
    again.says("of 3 memberships.").says("somebody rejected it");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    assert_eq!(site.members("chem"), [""; 0]);
}

#[tokio::test]
async fn a_state_file_in_use_is_not_made_anew() {
    let site = lived().await;
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    let held = "UPDATE lease SET holder = 'another', seen_at = unixepoch()";
    state.execute(held, []).unwrap();
    let refused = site.rollbook(&["state", "rebuild"]).await.is(6);
    assert!(
        refused.stderr.contains("another run is going on: another"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stdout.contains("is kept as"));
}

#[tokio::test]
async fn nobody_else_can_read_what_names_everybody_in_the_channels() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let site = lived().await;
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(site.path("rollbook.db"), open).unwrap();
    let copy = site.path("copy.db");
    let backup = ["state", "backup", copy.to_str().unwrap()];
    site.rollbook(&backup).await.is(0);
    assert_eq!(
        (mode(&site.path("rollbook.db")), mode(&copy)),
        (0o600, 0o600)
    );
}

#[tokio::test]
async fn a_state_file_is_not_followed_through_a_link() {
    let site = lived().await;
    std::fs::rename(site.path("rollbook.db"), site.path("elsewhere.db")).unwrap();
    std::os::unix::fs::symlink(site.path("elsewhere.db"), site.path("rollbook.db")).unwrap();
    let refused = site.sync().await.is(1);
    assert!(
        refused.stderr.contains("symbolic link"),
        "{}",
        refused.stderr
    );
}

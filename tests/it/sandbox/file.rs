//! An account that outlives its server.

use std::path::Path;

use serde_json::{Value, json};

use rollbook::sandbox::{JobKind, NewCategory, Options, Sandbox, SandboxError};

use super::client::call;

fn kept_in(file: &Path) -> Options {
    Options {
        data: Some(file.to_owned()),
        job_delay: None,
        ..Options::default()
    }
}

async fn ask(sandbox: &Sandbox, action: &str, mut params: Value) -> Value {
    let ks = sandbox
        .account()
        .session("admin", 2, "disableentitlement", 3600);
    params["ks"] = json!(ks);
    call(sandbox, action, params).await
}

async fn members(sandbox: &Sandbox, category: i64) -> Value {
    let filter = json!({"filter": {"categoryIdEqual": category}});
    ask(sandbox, "categoryUser.list", filter).await
}

#[tokio::test]
async fn what_was_done_in_one_go_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.db");
    let before = Sandbox::start(kept_in(&file)).await.unwrap();
    before.account().in_one_go(rollbook::sandbox::seed::small);
    before.account().add_user("late", None);
    before.stop().await;
    let after = Sandbox::start(kept_in(&file)).await.unwrap();
    let biology = after.account().channels_of("BIO-101")[0];
    assert!(after.account().member(biology, "otto").is_some());
    assert!(after.account().user("late").is_some());
}

#[tokio::test]
async fn groups_and_metadata_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.db");
    let before = Sandbox::start(kept_in(&file)).await.unwrap();
    let channel = before.account().add_category(&NewCategory {
        path: "MediaSpace>site>channels>Physics".to_owned(),
        ..NewCategory::default()
    });
    before.account().add_user("ada", None);
    for group in ["kept", "left"] {
        ask(&before, "group_group.add", json!({"group": {"id": group}})).await;
        let row = json!({"userId": "ada", "groupId": group});
        ask(&before, "groupUser.add", json!({"groupUser": row})).await;
    }
    let pair = json!({"userId": "ada", "groupId": "left"});
    ask(&before, "groupUser.delete", pair).await;
    let xsd = "<s:schema xmlns:s=\"http://www.w3.org/2001/XMLSchema\"><s:element name=\"metadata\">\
               <s:complexType><s:sequence><s:element name=\"A\"/></s:sequence></s:complexType>\
               </s:element></s:schema>";
    let profile = json!({"name": "Rules", "metadataObjectType": "2"});
    let profile = json!({"metadataProfile": profile, "xsdData": xsd});
    let profile = ask(&before, "metadata_metadataProfile.add", profile).await["id"].clone();
    let document = |xml: &str| json!({"metadataProfileId": profile, "objectType": "2", "objectId": channel, "xmlData": xml});
    let added = document("<metadata><A>1</A></metadata>");
    let added = ask(&before, "metadata_metadata.add", added).await;
    before.stop().await;

    let after = Sandbox::start(kept_in(&file)).await.unwrap();
    let rows = json!({"filter": {"userIdEqual": "ada"}});
    let rows = ask(&after, "groupUser.list", rows).await;
    assert_eq!(rows["totalCount"], 1);
    assert_eq!(rows["objects"][0]["groupId"], "kept");
    let id = json!({"id": added["id"]});
    assert_eq!(ask(&after, "metadata_metadata.get", id).await, added);
    let again = ask(&after, "metadata_metadata.add", document("<metadata/>")).await;
    assert_eq!(again["code"], "METADATA_ALREADY_EXISTS");
    let wrong = json!({"id": added["id"], "xmlData": "<metadata/>"});
    let wrong = ask(&after, "metadata_metadata.update", wrong).await;
    assert_eq!(wrong["code"], "INVALID_METADATA_DATA");
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.db");
    let before = Sandbox::start(kept_in(&file)).await.unwrap();
    let channel = before.account().add_category(&NewCategory {
        path: "MediaSpace>site>channels>Physics".to_owned(),
        reference_id: Some("phy".to_owned()),
        owner: Some("prof".to_owned()),
        ..NewCategory::default()
    });
    for (user, level) in [("ada", 3), ("bob", 2), ("cy", 1)] {
        let row = json!({"categoryId": channel, "userId": user, "permissionLevel": level});
        ask(&before, "categoryUser.add", json!({"categoryUser": row})).await;
    }
    let names = json!({"permissionNames": "CATEGORY_VIEW,CATEGORY_SUBSCRIBE"});
    let change =
        json!({"categoryId": channel, "userId": "cy", "categoryUser": names, "override": true});
    ask(&before, "categoryUser.update", change).await;
    let pair = json!({"categoryId": channel, "userId": "bob"});
    ask(&before, "categoryUser.delete", pair.clone()).await;
    let person = json!({"user": {"id": "dora", "firstName": "Dora", "title": "Dr", "email": "d@example.edu"}});
    ask(&before, "user.add", person).await;
    let role = json!({"userRole": {"name": "sync", "permissionNames": "ADMIN_BASE"}});
    let role = ask(&before, "userRole.add", role).await;
    let token = json!({"appToken": {"sessionUserId": "admin", "sessionType": 2}});
    let token = ask(&before, "appToken.add", token).await;

    let asked = [
        ("user.get", json!({"userId": "dora"})),
        ("category.get", json!({"id": channel})),
        ("userRole.get", json!({"userRoleId": role["id"]})),
        ("appToken.get", json!({"id": token["id"]})),
        (
            "category.list",
            json!({"filter": {"referenceIdEqual": "phy"}}),
        ),
        ("categoryUser.get", pair),
    ];
    let mut told = vec![members(&before, channel).await];
    for (action, params) in &asked {
        told.push(ask(&before, action, params.clone()).await);
    }
    let secret = before.admin_secret().to_owned();
    before.stop().await;

    let after = Sandbox::start(kept_in(&file)).await.unwrap();
    let mut tells = vec![members(&after, channel).await];
    for (action, params) in &asked {
        tells.push(ask(&after, action, params.clone()).await);
    }
    assert_eq!(tells, told);
    assert_eq!(after.admin_secret(), secret);
    let next = after.account().add_category(&NewCategory {
        path: "MediaSpace>site>channels>Chemistry".to_owned(),
        ..NewCategory::default()
    });
    assert!(next > channel, "a number is given once");
}

#[tokio::test]
async fn work_that_waits_still_waits_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.db");
    let before = Sandbox::start(kept_in(&file)).await.unwrap();
    let account = before.account();
    let channel = account.add_category(&NewCategory {
        path: "Physics".to_owned(),
        ..NewCategory::default()
    });
    account.set_membership(channel, "ada", 3, 1, 1);
    account.delete_user("ada");
    before.stop().await;

    let after = Sandbox::start(kept_in(&file)).await.unwrap();
    assert_eq!(members(&after, channel).await["totalCount"], 1);
    assert_eq!(after.account().work(Some(JobKind::Delete)), 1);
    assert_eq!(members(&after, channel).await["totalCount"], 0);
    after.stop().await;

    let later = Sandbox::start(kept_in(&file)).await.unwrap();
    assert_eq!(members(&later, channel).await["totalCount"], 0);
    assert_eq!(later.account().work(None), 0);
}

#[tokio::test]
async fn two_sandboxes_do_not_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.db");
    let first = Sandbox::start(kept_in(&file)).await.unwrap();
    let second = Sandbox::start(kept_in(&file)).await.unwrap_err();
    let said = second.to_string();
    assert!(
        said.starts_with("another sandbox serves ") && said.contains("account.db already"),
        "{said}"
    );
    first.stop().await;
    Sandbox::start(kept_in(&file)).await.unwrap();
}

#[tokio::test]
async fn a_file_keeps_its_own_account() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.db");
    let options = |partner_id, secret: Option<&str>| Options {
        partner_id,
        admin_secret: secret.map(str::to_owned),
        ..kept_in(&file)
    };
    let first = Sandbox::start(options(7, Some("s3cret"))).await.unwrap();
    first.stop().await;
    let again = Sandbox::start(kept_in(&file)).await.unwrap();
    assert_eq!((again.partner_id(), again.admin_secret()), (7, "s3cret"));
    again.stop().await;
    for other in [options(8, None), options(7, Some("another"))] {
        let refused = Sandbox::start(other).await.unwrap_err();
        assert!(matches!(refused, SandboxError::File(_)));
        assert!(
            refused.to_string().contains("holds the account 7"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    let notes = "Milk, bread, a longer text than a header of SQLite. ".repeat(40);
    std::fs::write(&file, &notes).unwrap();
    let refused = Sandbox::start(kept_in(&file)).await.unwrap_err();
    assert!(
        refused.to_string().contains("is not the file of a sandbox"),
        "{refused}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), notes);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.db");
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("CREATE TABLE x (y)").unwrap();
    drop(other);
    let refused = Sandbox::start(kept_in(&file)).await.unwrap_err();
    assert!(refused.to_string().contains("another program"), "{refused}");
    let other = rusqlite::Connection::open(&file).unwrap();
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = other.query_one(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

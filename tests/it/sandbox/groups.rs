//! Groups where no recording looks: limits, sessions of plain users, the worker behind a
//! synchronisation.

use serde_json::{Value, json};

use rollbook::sandbox::{JobKind, Options, Sandbox};

use super::client::{call, start};

async fn add_group(sandbox: &Sandbox, ks: &str, id: &str) {
    let group = json!({"id": id});
    let added = call(
        sandbox,
        "group_group.add",
        json!({"ks": ks, "group": group}),
    )
    .await;
    assert_eq!(added["id"], id);
}

async fn join(sandbox: &Sandbox, ks: &str, user: &str, group: &str) -> Value {
    let row = json!({"userId": user, "groupId": group});
    call(
        sandbox,
        "groupUser.add",
        json!({"ks": ks, "groupUser": row}),
    )
    .await
}

async fn groups_of(sandbox: &Sandbox, ks: &str, user: &str) -> Vec<String> {
    let filter = json!({"userIdEqual": user});
    let list = call(
        sandbox,
        "groupUser.list",
        json!({"ks": ks, "filter": filter}),
    )
    .await;
    let rows = list["objects"].as_array().unwrap().iter();
    rows.map(|row| row["groupId"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_user_is_in_so_many_groups_and_no_more() {
    let mut options = Options::default();
    options.limits.groups_per_user = 1;
    let sandbox = Sandbox::start(options).await.unwrap();
    let account = sandbox.account();
    let ks = account.session("admin", 2, "disableentitlement", 86_400);
    account.add_user("ada", None);
    add_group(&sandbox, &ks, "one").await;
    add_group(&sandbox, &ks, "two").await;
    assert_eq!(join(&sandbox, &ks, "ada", "one").await["userId"], "ada");
    let refused = join(&sandbox, &ks, "ada", "two").await;
    assert_eq!(refused["code"], "USER_EXCEEDED_MAX_GROUPS");
    let again = join(&sandbox, &ks, "ada", "one").await;
    assert_eq!(again["code"], "GROUP_USER_ALREADY_EXISTS");
}

#[tokio::test]
async fn what_a_synchronisation_makes_or_removes_waits_for_the_worker() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    account.add_user("ada", None);
    add_group(&sandbox, &ks, "by-hand").await;
    add_group(&sandbox, &ks, "old").await;
    join(&sandbox, &ks, "ada", "by-hand").await;
    let sync = |ids: &str| json!({"ks": ks, "userId": "ada", "groupIds": ids});
    call(&sandbox, "groupUser.sync", sync("old")).await;
    let job = call(&sandbox, "groupUser.sync", sync("new")).await;
    assert_eq!(job["objectType"], "KalturaBulkUpload");
    assert_eq!(groups_of(&sandbox, &ks, "ada").await, ["by-hand", "old"]);
    assert_eq!(account.work(Some(JobKind::Bulk)), 1);
    assert_eq!(groups_of(&sandbox, &ks, "ada").await, ["by-hand", "new"]);
}

#[tokio::test]
async fn a_plain_user_sees_the_own_groups_and_those_it_manages() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    account.add_user("ada", None);
    account.add_user("ben", None);
    add_group(&sandbox, &ks, "led").await;
    let row = json!({"userId": "ada", "groupId": "led", "userRole": 2});
    call(
        &sandbox,
        "groupUser.add",
        json!({"ks": ks, "groupUser": row}),
    )
    .await;
    let ada = account.session("ada", 0, "", 86_400);
    assert_eq!(groups_of(&sandbox, &ada, "ada").await, ["led"]);
    assert_eq!(join(&sandbox, &ada, "ben", "led").await["userId"], "ben");
    let ben = account.session("ben", 0, "", 86_400);
    let refused = join(&sandbox, &ben, "ada", "led").await;
    assert_eq!(refused["code"], "SERVICE_FORBIDDEN");
    let other = call(
        &sandbox,
        "groupUser.list",
        json!({"ks": ben, "filter": {"userIdEqual": "ada"}}),
    )
    .await;
    assert_eq!(other["code"], "SERVICE_FORBIDDEN");
}

#[tokio::test]
async fn a_clone_of_a_group_has_its_members_and_not_its_name() {
    let (sandbox, ks) = start().await;
    sandbox.account().add_user("ada", None);
    add_group(&sandbox, &ks, "model").await;
    join(&sandbox, &ks, "ada", "model").await;
    let clone = json!({"ks": ks, "originalGroupId": "model", "newGroupId": "copy"});
    let copy = call(&sandbox, "group_group.clone", clone.clone()).await;
    assert_eq!(copy["membersCount"], 1);
    assert_eq!(copy["screenName"], "copy");
    assert_eq!(groups_of(&sandbox, &ks, "ada").await, ["model", "copy"]);
    let again = call(&sandbox, "group_group.clone", clone).await;
    assert_eq!(again["code"], "DUPLICATE_GROUP_BY_ID");
}

#[tokio::test]
async fn a_clone_of_a_large_group_is_filled_by_the_worker() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    add_group(&sandbox, &ks, "large").await;
    for number in 0..51 {
        let user = format!("u{number}");
        account.add_user(&user, None);
        join(&sandbox, &ks, &user, "large").await;
    }
    let clone = json!({"ks": ks, "originalGroupId": "large", "newGroupId": "copy"});
    let copy = call(&sandbox, "group_group.clone", clone).await;
    assert_eq!(
        (&copy["membersCount"], &copy["processStatus"]),
        (&json!(0), &json!(1))
    );
    account.work(Some(JobKind::Bulk));
    let get = json!({"ks": ks, "groupId": "copy"});
    let copy = call(&sandbox, "group_group.get", get).await;
    assert_eq!(
        (&copy["membersCount"], &copy["processStatus"]),
        (&json!(51), &json!(0))
    );
}

#[tokio::test]
async fn who_is_deleted_leaves_the_groups_at_once_and_comes_back_into_none() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    account.add_user("ada", None);
    add_group(&sandbox, &ks, "staff").await;
    join(&sandbox, &ks, "ada", "staff").await;
    account.delete_user("ada");
    let filter = json!({"groupIdEqual": "staff"});
    let list = json!({"ks": ks, "filter": filter});
    let list = call(&sandbox, "groupUser.list", list).await;
    assert_eq!(list["totalCount"], 0);
    account.add_user("ada", None);
    assert!(groups_of(&sandbox, &ks, "ada").await.is_empty());
}

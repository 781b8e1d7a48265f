//! Rules that no single recording shows, one test each.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use rollbook::sandbox::{Account, NewCategory, Sandbox};

use super::client::{call, send, start};

fn channel(account: &Account, name: &str) -> i64 {
    account.add_category(&NewCategory {
        path: format!("MediaSpace>site>channels>{name}"),
        reference_id: Some(name.to_owned()),
        owner: Some("owner".to_owned()),
        inherit: false,
    })
}

fn member(category: i64, user: &str) -> Value {
    json!({"categoryId": category, "userId": user, "permissionLevel": 3, "updateMethod": 1})
}

async fn list(sandbox: &Sandbox, ks: &str, filter: Value) -> Value {
    call(
        sandbox,
        "categoryUser.list",
        json!({"ks": ks, "filter": filter}),
    )
    .await
}

#[tokio::test]
async fn a_channel_has_its_ancestors_and_their_context() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox.account(), "Biology 101");
    let found = call(&sandbox, "category.get", json!({"ks": ks, "id": id})).await;
    assert_eq!(found["fullName"], "MediaSpace>site>channels>Biology 101");
    assert_eq!(found["privacyContexts"], "MediaSpace");
    assert_eq!(found["membersCount"], 1);
}

#[tokio::test]
async fn a_list_in_a_multirequest_does_not_see_its_own_writes_while_a_get_does() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox.account(), "a");
    let answers = call(
        &sandbox,
        "multirequest.null",
        json!({
            "ks": ks,
            "1": {"service": "categoryUser", "action": "add", "categoryUser": member(id, "ada")},
            "2": {"service": "categoryUser", "action": "list", "filter": {"categoryIdEqual": id}},
            "3": {"service": "categoryUser", "action": "get", "categoryId": id, "userId": "ada"},
        }),
    )
    .await;
    assert_eq!(answers[1]["totalCount"], 1);
    assert_eq!(answers[2]["userId"], "ada");
    let after = list(&sandbox, &ks, json!({"categoryIdEqual": id})).await;
    assert_eq!(after["totalCount"], 2);
}

#[tokio::test]
async fn lists_lag_behind_writes_when_a_test_wants_them_to() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let id = channel(&account, "a");
    account.set_index_lag(Some(Duration::from_mins(1)));
    call(
        &sandbox,
        "categoryUser.add",
        json!({"ks": ks, "categoryUser": member(id, "ada")}),
    )
    .await;
    let filter = json!({"categoryIdEqual": id});
    assert_eq!(list(&sandbox, &ks, filter.clone()).await["totalCount"], 1);
    account.clock().advance(Duration::from_secs(61));
    assert_eq!(list(&sandbox, &ks, filter).await["totalCount"], 2);
}

#[tokio::test]
async fn a_row_the_database_has_lost_makes_a_short_page() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let id = channel(&account, "a");
    account.set_membership(id, "ada", 3, 1, 1);
    account.set_index_lag(Some(Duration::from_mins(1)));
    account.remove_membership(id, "ada");
    let found = list(&sandbox, &ks, json!({"categoryIdEqual": id})).await;
    assert_eq!(found["totalCount"], 2);
    assert_eq!(found["objects"].as_array().unwrap().len(), 1);
    account.catch_up();
    assert_eq!(
        list(&sandbox, &ks, json!({"categoryIdEqual": id})).await["totalCount"],
        1
    );
}

#[tokio::test]
async fn a_list_of_unknown_users_only_lists_everybody() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let id = channel(&account, "a");
    account.set_membership(id, "ada", 3, 1, 1);
    let everybody = list(
        &sandbox,
        &ks,
        json!({"categoryIdEqual": id, "userIdIn": "x,y"}),
    )
    .await;
    assert_eq!(everybody["totalCount"], 2);
    let ada = list(
        &sandbox,
        &ks,
        json!({"categoryIdEqual": id, "userIdIn": "x,ADA"}),
    )
    .await;
    assert_eq!(ada["totalCount"], 1);
    let nobody = list(
        &sandbox,
        &ks,
        json!({"categoryIdEqual": id, "userIdIn": ","}),
    )
    .await;
    assert_eq!(nobody["totalCount"], 0);
}

#[tokio::test]
async fn a_list_of_users_is_cut_after_150_known_ones() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let id = channel(&account, "a");
    let users: Vec<String> = (0..160).map(|number| format!("u{number}")).collect();
    for user in &users {
        account.set_membership(id, user, 3, 1, 1);
    }
    let wanted = format!("nosuch,{}", users.join(","));
    let found = list(
        &sandbox,
        &ks,
        json!({"categoryIdEqual": id, "userIdIn": wanted}),
    )
    .await;
    assert_eq!(found["totalCount"], 150);
}

#[tokio::test]
async fn a_twin_row_is_listed_and_deleted_one_at_a_time() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let id = channel(&account, "a");
    account.set_membership(id, "ada", 3, 1, 1);
    account.add_twin(id, "ada", 2, 1);
    let pair = json!({"ks": ks, "categoryId": id, "userId": "ada"});
    let filter = json!({"categoryIdEqual": id, "userIdEqual": "ada"});
    assert_eq!(list(&sandbox, &ks, filter.clone()).await["totalCount"], 2);
    assert_eq!(
        call(&sandbox, "categoryUser.delete", pair.clone()).await,
        Value::Null
    );
    assert_eq!(list(&sandbox, &ks, filter).await["totalCount"], 1);
    let left = call(&sandbox, "categoryUser.get", pair).await;
    assert_eq!(left["permissionLevel"], 2);
}

#[tokio::test]
async fn an_inheriting_channel_lists_its_ancestor_and_refuses_members() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let parent = channel(&account, "a");
    let child = account.add_category(&NewCategory {
        path: "MediaSpace>site>channels>a>b".to_owned(),
        inherit: true,
        ..NewCategory::default()
    });
    let found = list(
        &sandbox,
        &ks,
        json!({"categoryIdIn": format!("{parent},{child}")}),
    )
    .await;
    assert_eq!(found["totalCount"], 1);
    assert_eq!(found["objects"][0]["categoryId"], parent);
    let refused = call(
        &sandbox,
        "categoryUser.add",
        json!({"ks": ks, "categoryUser": member(child, "ada")}),
    );
    assert_eq!(refused.await["code"], "CATEGORY_INHERIT_MEMBERS");
}

#[tokio::test]
async fn memberships_of_a_deleted_user_are_listed_until_the_worker_has_run() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let id = channel(&account, "a");
    account.set_membership(id, "ada", 3, 1, 1);
    account.delete_user("ada");
    let filter = json!({"categoryIdEqual": id});
    assert_eq!(list(&sandbox, &ks, filter.clone()).await["totalCount"], 2);
    let pair = json!({"ks": ks, "categoryId": id, "userId": "ada"});
    let gone = call(&sandbox, "categoryUser.delete", pair).await;
    assert_eq!(gone["code"], "INVALID_USER_ID");
    assert_eq!(account.work(None), 1);
    assert_eq!(list(&sandbox, &ks, filter).await["totalCount"], 1);
}

#[tokio::test]
async fn a_moved_tree_locks_the_account_until_the_worker_has_run() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let moved = channel(&account, "a");
    account.add_category(&NewCategory {
        path: "MediaSpace>site>channels>a>b".to_owned(),
        ..NewCategory::default()
    });
    let other = channel(&account, "c");
    let update = |id: i64, category: Value| json!({"ks": ks, "id": id, "category": category});
    call(
        &sandbox,
        "category.update",
        update(moved, json!({"parentId": other})),
    )
    .await;
    let locked = call(
        &sandbox,
        "category.update",
        update(other, json!({"tags": "x"})),
    )
    .await;
    assert_eq!(locked["code"], "CATEGORIES_LOCKED");
    account.work(None);
    let open = call(
        &sandbox,
        "category.update",
        update(other, json!({"tags": "x"})),
    )
    .await;
    assert_eq!(open["tags"], "x");
}

#[tokio::test]
async fn background_work_is_done_by_itself_when_its_delay_is_over() {
    let sandbox = Sandbox::start(rollbook::sandbox::Options::default())
        .await
        .unwrap();
    let account = sandbox.account();
    let ks = account.session("admin", 2, "disableentitlement", 86_400);
    let id = channel(&account, "a");
    account.set_membership(id, "ada", 3, 1, 1);
    account.delete_user("ada");
    account.clock().advance(Duration::from_secs(1));
    let found = list(&sandbox, &ks, json!({"categoryIdEqual": id})).await;
    assert_eq!(found["totalCount"], 1);
}

#[tokio::test]
async fn deleting_a_token_ends_its_sessions() {
    let (sandbox, ks) = start().await;
    let token = json!({"sessionType": 2, "sessionUserId": "sync", "sessionPrivileges": "disableentitlement"});
    let token = call(
        &sandbox,
        "appToken.add",
        json!({"ks": ks, "appToken": token}),
    )
    .await;
    let id = token["id"].as_str().unwrap();
    let proof = {
        use sha1::{Digest, Sha1};
        use std::fmt::Write as _;
        let text = format!("{ks}{}", token["token"].as_str().unwrap());
        Sha1::digest(text)
            .iter()
            .fold(String::new(), |mut out, byte| {
                write!(out, "{byte:02x}").unwrap();
                out
            })
    };
    let session = call(
        &sandbox,
        "appToken.startSession",
        json!({"ks": ks, "id": id, "tokenHash": proof}),
    )
    .await;
    let bearer = session["ks"].as_str().unwrap().to_owned();
    let seen = call(&sandbox, "category.list", json!({"ks": bearer})).await;
    assert_eq!(seen["totalCount"], 0);
    call(&sandbox, "appToken.delete", json!({"ks": ks, "id": id})).await;
    let ended = call(&sandbox, "category.list", json!({"ks": bearer})).await;
    assert_eq!(ended["args"]["KSID"], "LOGOUT");
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let (sandbox, ks) = start().await;
    sandbox
        .account()
        .clock()
        .advance(Duration::from_secs(86_401));
    let answer = call(&sandbox, "category.list", json!({"ks": ks})).await;
    assert_eq!(answer["args"]["KSID"], "EXPIRED");
}

#[tokio::test]
async fn the_log_has_every_write_with_its_outcome() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let id = channel(&account, "a");
    for _ in 0..2 {
        call(
            &sandbox,
            "categoryUser.add",
            json!({"ks": ks, "categoryUser": member(id, "ada")}),
        )
        .await;
    }
    let calls = account.calls();
    assert_eq!(calls.count_of("categoryUser.add"), 2);
    assert_eq!(calls.requests(), 2);
    let errors: Vec<Option<String>> = calls
        .writes()
        .into_iter()
        .map(|write| write.error)
        .collect();
    assert_eq!(
        errors,
        [None, Some("CATEGORY_USER_ALREADY_EXISTS".to_owned())]
    );
    calls.reset();
    assert!(calls.writes().is_empty());
}

#[tokio::test]
async fn a_multipart_body_has_its_parameters_in_a_field_of_json() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox.account(), "a");
    let json = json!({"ks": ks, "format": 1, "id": id});
    let body =
        format!("--x\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{json}\r\n--x--\r\n");
    let kind = (
        "Content-Type".to_owned(),
        "multipart/form-data; boundary=x".to_owned(),
    );
    let path = "/api_v3/service/category/action/get";
    let reply = send(&sandbox, "POST", path, &[kind], &body).await.unwrap();
    assert_eq!(reply.value()["id"], id);
}

#[tokio::test]
async fn a_stopped_sandbox_has_closed_its_port() {
    let (sandbox, _) = start().await;
    let address = sandbox.url().trim_start_matches("http://").to_owned();
    sandbox.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn stopping_waits_for_no_idle_connection() {
    let (sandbox, _) = start().await;
    let address = sandbox.url().trim_start_matches("http://").to_owned();
    let _idle = tokio::net::TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    sandbox.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_token_may_mean_a_field_of_all_objects_of_a_list() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox.account(), "a");
    sandbox.account().set_membership(id, "ada", 3, 1, 1);
    let answers = call(
        &sandbox,
        "multirequest.null",
        json!({
            "ks": ks,
            "1": {"service": "categoryUser", "action": "list", "filter": {"categoryIdEqual": id}},
            "2": {
                "service": "user", "action": "list",
                "filter": {"idIn": "{1:result:objects:_all:userId}"}
            },
        }),
    )
    .await;
    assert_eq!(answers[1]["totalCount"], 2);
}

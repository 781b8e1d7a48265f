//! Bad days on demand.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use rollbook::sandbox::{NewCategory, Sandbox, TransportFault};

use super::client::{call, send, start};

async fn add(sandbox: &Sandbox, ks: &str, id: i64, user: &str) -> std::io::Result<(u16, String)> {
    let body = json!({"ks": ks, "format": 1, "categoryUser": {"categoryId": id, "userId": user}});
    let path = "/api_v3/service/categoryUser/action/add";
    let kind = ("Content-Type".to_owned(), "application/json".to_owned());
    let reply = send(sandbox, "POST", path, &[kind], &body.to_string()).await?;
    Ok((reply.status, reply.body))
}

fn channel(sandbox: &Sandbox) -> i64 {
    sandbox.account().add_category(&NewCategory {
        path: "MediaSpace>a".to_owned(),
        ..NewCategory::default()
    })
}

#[tokio::test]
async fn a_connection_cut_before_leaves_nothing_done() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    sandbox
        .account()
        .faults()
        .break_next(TransportFault::CutBefore, 1);
    assert!(add(&sandbox, &ks, id, "ada").await.is_err());
    assert!(sandbox.account().members(id).is_empty());
    assert_eq!(add(&sandbox, &ks, id, "ada").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_connection_cut_after_leaves_everything_done() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    sandbox
        .account()
        .faults()
        .break_next(TransportFault::CutAfter, 1);
    assert!(add(&sandbox, &ks, id, "ada").await.is_err());
    assert_eq!(sandbox.account().members(id).len(), 1);
}

#[tokio::test]
async fn a_front_end_answers_in_the_servers_place() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    for status in [502, 503, 413] {
        sandbox
            .account()
            .faults()
            .break_next(TransportFault::Status(status), 1);
        assert_eq!(add(&sandbox, &ks, id, "ada").await.unwrap().0, status);
    }
    assert!(sandbox.account().members(id).is_empty());
}

#[tokio::test]
async fn an_empty_answer_has_status_200_and_is_done() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    sandbox
        .account()
        .faults()
        .break_next(TransportFault::Empty, 1);
    let (status, body) = add(&sandbox, &ks, id, "ada").await.unwrap();
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(sandbox.account().members(id).len(), 1);
}

#[tokio::test]
async fn the_next_calls_of_an_action_fail_with_a_code() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    sandbox
        .account()
        .faults()
        .fail_next("categoryUser.add", 1, "LOCK_TIMED_OUT");
    let (_, failed) = add(&sandbox, &ks, id, "ada").await.unwrap();
    assert!(failed.contains("Timed out while attempting to grab lock"));
    let (_, done) = add(&sandbox, &ks, id, "ada").await.unwrap();
    assert!(done.contains("KalturaCategoryUser"));
}

#[tokio::test]
async fn chance_fails_about_as_often_as_it_was_asked_to() {
    let (sandbox, ks) = start().await;
    let faults = sandbox.account().faults().clone();
    faults.fail_randomly("*", 0.5, "INTERNAL_SERVERL_ERROR");
    let mut failed = 0;
    for _ in 0..100 {
        let answer = call(&sandbox, "category.list", json!({"ks": ks})).await;
        failed += u32::from(answer["code"] == "INTERNAL_SERVERL_ERROR");
    }
    assert!((25..75).contains(&failed), "{failed}");
    faults.clear();
    assert!(call(&sandbox, "category.list", json!({"ks": ks})).await["code"].is_null());
}

#[tokio::test]
async fn all_sessions_expire_at_once_and_new_ones_work() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    call(&sandbox, "category.list", json!({"ks": ks})).await;
    account.expire_sessions();
    let old = call(&sandbox, "category.list", json!({"ks": ks})).await;
    assert_eq!(old["args"]["KSID"], "EXPIRED");
    let new = account.session("admin", 2, "disableentitlement", 3600);
    let answer = call(&sandbox, "category.list", json!({"ks": new})).await;
    assert_eq!(answer["objectType"], "KalturaCategoryListResponse");
}

#[tokio::test]
async fn answers_and_pages_come_short() {
    let (sandbox, ks) = start().await;
    let faults = sandbox.account().faults().clone();
    let id = channel(&sandbox);
    sandbox.account().set_membership(id, "ada", 3, 1, 1);
    let ping = json!({"service": "system", "action": "ping"});
    let pings = json!({"ks": ks, "1": ping, "2": ping, "3": ping});
    faults.shorten_answers(1, 2);
    assert_eq!(
        call(&sandbox, "multirequest.null", pings).await,
        json!([true, true])
    );
    faults.shorten_pages(1, 1);
    let filter = json!({"ks": ks, "filter": {"categoryIdEqual": id}});
    let page = call(&sandbox, "categoryUser.list", filter).await;
    assert_eq!(page["totalCount"], 1);
    assert_eq!(page["objects"], Value::Array(vec![]));
}

#[tokio::test]
async fn latency_delays_every_answer() {
    let (sandbox, _) = start().await;
    sandbox
        .account()
        .faults()
        .latency(Duration::from_millis(120));
    let began = Instant::now();
    call(&sandbox, "system.ping", json!({})).await;
    assert!(began.elapsed() >= Duration::from_millis(120));
}

fn rule(sandbox: &Sandbox, line: &str) {
    sandbox.account().faults().add(line.parse().unwrap());
}

#[tokio::test]
async fn a_time_out_before_leaves_nothing_done_and_one_after_leaves_all_done() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    for (line, members) in [
        ("timeout-before=100ms next=1", 0),
        ("timeout-after=100ms next=1", 1),
    ] {
        rule(&sandbox, line);
        let began = Instant::now();
        assert!(add(&sandbox, &ks, id, "ada").await.is_err());
        assert!(began.elapsed() >= Duration::from_millis(100));
        assert_eq!(sandbox.account().members(id).len(), members, "{line}");
    }
}

#[tokio::test]
async fn a_session_expires_in_the_middle_of_a_run() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    rule(&sandbox, "expire-session after=2 calls");
    for user in ["ada", "bob"] {
        let (_, done) = add(&sandbox, &ks, id, user).await.unwrap();
        assert!(done.contains("KalturaCategoryUser"), "{done}");
    }
    let (_, refused) = add(&sandbox, &ks, id, "eve").await.unwrap();
    assert!(refused.contains("EXPIRED"), "{refused}");
    let ks = sandbox.account().session("admin", 2, "", 3600);
    let (_, done) = add(&sandbox, &ks, id, "eve").await.unwrap();
    assert!(done.contains("KalturaCategoryUser"), "{done}");
}

#[tokio::test]
async fn a_list_sees_a_write_later_by_the_rule() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    rule(&sandbox, "categoryUser.add: index-lag=5s");
    add(&sandbox, &ks, id, "ada").await.unwrap();
    let filter = json!({"ks": ks, "filter": {"categoryIdEqual": id}});
    let listed = call(&sandbox, "categoryUser.list", filter.clone()).await;
    assert_eq!(listed["totalCount"], 0);
    assert_eq!(sandbox.account().members(id).len(), 1);
    sandbox.account().clock().advance(Duration::from_secs(5));
    let listed = call(&sandbox, "categoryUser.list", filter).await;
    assert_eq!(listed["totalCount"], 1);
}

#[tokio::test]
async fn a_rule_about_an_action_strikes_the_request_that_holds_it_and_no_other() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox);
    rule(&sandbox, "categoryUser.*: status=503");
    let list = call(&sandbox, "category.list", json!({"ks": ks})).await;
    assert_eq!(list["objectType"], "KalturaCategoryListResponse");
    assert_eq!(add(&sandbox, &ks, id, "ada").await.unwrap().0, 503);
    let item =
        json!({"service": "categoryUser", "action": "get", "categoryId": id, "userId": "ada"});
    let multi = call(&sandbox, "multirequest.null", json!({"ks": ks, "1": item})).await;
    assert!(multi.as_str().unwrap().contains("503"), "{multi}");
    let injected = sandbox.account().faults().injected();
    assert_eq!(injected["categoryUser.*: status=503"], 2);
}

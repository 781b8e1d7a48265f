//! What scripts do past the API: look, act by hand, make bad days.

use serde_json::{Value, json};

use rollbook::sandbox::{JobKind, NewCategory, Sandbox};

use super::client::{Reply, call, multipart, send, send_bytes, start};

async fn ask(sandbox: &Sandbox, method: &str, path: &str, body: Value) -> Reply {
    let kind = ("Content-Type".to_owned(), "application/json".to_owned());
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    send(sandbox, method, path, &[kind], &body).await.unwrap()
}

async fn look(sandbox: &Sandbox, path: &str) -> Value {
    let reply = ask(sandbox, "GET", path, Value::Null).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.value()
}

async fn act(sandbox: &Sandbox, act: Value) -> Value {
    ask(sandbox, "POST", "/sandbox/act", act).await.value()
}

fn channel(sandbox: &Sandbox, reference: &str) -> i64 {
    sandbox.account().add_category(&NewCategory {
        path: format!("MediaSpace>site>channels>{reference}"),
        reference_id: Some(reference.to_owned()),
        owner: Some("bede".to_owned()),
        ..NewCategory::default()
    })
}

/// Hands in a file of memberships, and answers the number of the job.
async fn hand_in(sandbox: &Sandbox, ks: &str, file: &str) -> i64 {
    let path = "/api_v3/service/categoryUser/action/addFromBulkUpload";
    let (kind, body) = multipart(
        &[("format", "1"), ("ks", ks)],
        &[("fileData", "C:\\files\\run.csv", file.as_bytes())],
    );
    let reply = send_bytes(sandbox, "POST", path, &[kind], &body).await;
    reply.unwrap().value()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn every_example_of_the_list_is_understood() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox, "BIO-101");
    let upload = hand_in(&sandbox, &ks, "*categoryId,userId\n").await;
    let list = look(&sandbox, "/sandbox").await;
    for (path, _) in list["look"].as_object().unwrap() {
        let of = if path.contains("bulk") { upload } else { id };
        let path = path
            .trim_start_matches("GET ")
            .replace("ID", &of.to_string());
        look(&sandbox, &path.replace("TEXT", "b")).await;
    }
    for (what, examples) in list["act"].as_object().unwrap() {
        let Some(path) = what.strip_prefix("POST ") else {
            continue;
        };
        for example in examples.as_array().unwrap() {
            let mut example = example.clone();
            if example["channel"] == 12 {
                example["channel"] = id.into();
            }
            let reply = ask(&sandbox, "POST", path, example.clone()).await;
            // Some are of people and channels that earlier examples have removed or made again.
            let missing = ["there is no", "there is a", "is not in", "by its number"];
            let said = reply.body.as_str();
            assert!(
                reply.status == 200 || missing.iter().any(|part| said.contains(part)),
                "{example}: {said}"
            );
        }
    }
    let faults = &list["faults"];
    let rules = faults["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| json!({"rule": rule}));
    let posts = faults["POST /sandbox/faults"]
        .as_array()
        .unwrap()
        .iter()
        .cloned();
    for rule in rules.chain(posts) {
        let reply = ask(&sandbox, "POST", "/sandbox/faults", rule.clone()).await;
        assert_eq!(reply.status, 200, "{rule}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_membership_is_made_changed_and_removed_in_words() {
    let (sandbox, _) = start().await;
    let id = channel(&sandbox, "BIO-101");
    let made = act(
        &sandbox,
        json!({"act": "set-member", "channel": "BIO-101", "user": "ada"}),
    )
    .await;
    assert_eq!(made["done"], "ada is in BIO-101: member, manual, active.");
    act(
        &sandbox,
        json!({"act": "set-member", "channel": id, "user": "ADA", "level": "manager", "status": "deactivated"}),
    )
    .await;
    let members = look(&sandbox, &format!("/sandbox/channels/{id}/members")).await;
    let ada = &members["rows"][0];
    assert_eq!(
        (
            &ada["user_id"],
            &ada["level"],
            &ada["method"],
            &ada["status"]
        ),
        (
            &json!("ada"),
            &json!("manager"),
            &json!("manual"),
            &json!("deactivated")
        )
    );
    act(
        &sandbox,
        json!({"act": "remove-member", "channel": id, "user": "ada"}),
    )
    .await;
    assert_eq!(sandbox.account().member(id, "ada"), None);
}

#[tokio::test]
async fn an_act_that_means_nobody_is_refused() {
    let (sandbox, _) = start().await;
    channel(&sandbox, "BIO-101");
    for (asked, said) in [
        (
            json!({"act": "remove-member", "channel": "BIO-101", "user": "ada"}),
            "ada is not in BIO-101.",
        ),
        (
            json!({"act": "remove-member", "channel": "BIO-102", "user": "ada"}),
            "there is no channel BIO-102.",
        ),
        (
            json!({"act": "delete-user", "user": "ada"}),
            "there is no user ada.",
        ),
        (
            json!({"act": "rename-user", "user": "bede", "new_id": "owner@example.edu"}),
            "there is a user owner@example.edu already.",
        ),
    ] {
        let reply = ask(&sandbox, "POST", "/sandbox/act", asked).await;
        assert_eq!(
            (reply.status, reply.value()["error"].as_str()),
            (400, Some(said))
        );
    }
    let wrong = ask(&sandbox, "POST", "/sandbox/act", json!({"act": "dance"})).await;
    assert!(
        wrong
            .body
            .contains("unknown variant `dance`, expected one of `set-member`"),
        "{}",
        wrong.body
    );
}

#[tokio::test]
async fn a_page_of_another_origin_does_nothing() {
    let (sandbox, _) = start().await;
    channel(&sandbox, "BIO-101");
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", "https://evil.example"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = "act=set-member&channel=BIO-101&user=eve";
    let reply = send(&sandbox, "POST", "/sandbox/act", &headers, body)
        .await
        .unwrap();
    assert_eq!(reply.status, 403);
    assert_eq!(sandbox.account().user("eve"), None);
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn the_last_calls_tell_who_did_what_and_no_secret() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox, "BIO-101");
    let member = json!({"categoryId": id, "userId": "ada"});
    call(
        &sandbox,
        "categoryUser.add",
        json!({"ks": ks, "categoryUser": member}),
    )
    .await;
    call(
        &sandbox,
        "categoryUser.add",
        json!({"ks": ks, "categoryUser": member}),
    )
    .await;
    let start = json!({"partnerId": 101, "secret": sandbox.admin_secret(), "type": 2});
    call(&sandbox, "session.start", start).await;
    let calls = look(&sandbox, "/sandbox/calls?last=2").await;
    assert_eq!(calls["requests"], 3);
    assert_eq!(calls["last"][0]["call"], "session.start");
    let again = &calls["last"][1];
    assert_eq!(again["call"], "categoryUser.add");
    assert_eq!(again["outcome"], "CATEGORY_USER_ALREADY_EXISTS");
    assert_eq!(again["user"], "admin");
    assert_eq!(again["about"], format!("categoryId {id}, userId ada"));
    let text = calls.to_string();
    assert!(!text.contains(&ks) && !text.contains(sandbox.admin_secret()));
}

#[tokio::test]
async fn faults_are_put_in_force_counted_and_ended() {
    let (sandbox, ks) = start().await;
    let rule = json!({"rule": "category.list: error=ACTION_BLOCKED"});
    ask(&sandbox, "POST", "/sandbox/faults", rule).await;
    let blocked = call(&sandbox, "category.list", json!({"ks": ks})).await;
    assert_eq!(blocked["code"], "ACTION_BLOCKED");
    let faults = look(&sandbox, "/sandbox/faults").await;
    assert_eq!(faults["rules"][0]["struck"], 1);
    assert_eq!(faults["rules"][0]["rule"]["error"], "ACTION_BLOCKED");
    ask(&sandbox, "DELETE", "/sandbox/faults/1", Value::Null).await;
    assert_eq!(look(&sandbox, "/sandbox/faults").await["rules"], json!([]));
    let wrong = ask(
        &sandbox,
        "POST",
        "/sandbox/faults",
        json!({"rule": "latenzy=5s"}),
    )
    .await;
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.body.contains("did you mean `latency`?"),
        "{}",
        wrong.body
    );
}

#[tokio::test]
async fn bulk_uploads_are_looked_at_and_their_logs_read() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox, "BIO-101");
    let file = format!("*action,categoryId,userId\n1,{id},ada\n3,{id},nobody\n");
    let job = hand_in(&sandbox, &ks, &file).await;
    let new = look(&sandbox, "/sandbox/bulk-uploads").await["rows"][0].clone();
    assert_eq!(
        (&new["file_name"], &new["objects"], &new["status"]),
        (
            &json!("run.csv"),
            &json!("memberships"),
            &json!("handed in")
        )
    );
    for (kind, status) in [("bulk", "almost done"), ("bulk-close", "done, with errors")] {
        ask(&sandbox, "POST", "/sandbox/work", json!({"kind": kind})).await;
        let now = look(&sandbox, "/sandbox/bulk-uploads?q=RUN").await["rows"][0].clone();
        assert_eq!(now["status"], status);
        assert_eq!(
            (&now["rows"], &now["errors"], &now["uploaded_by"]),
            (&json!(2), &json!(1), &json!("admin"))
        );
    }
    let path = format!("/sandbox/bulk-uploads/{job}/log");
    let log = ask(&sandbox, "GET", &path, Value::Null).await;
    let kind = log.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    assert!(
        log.body
            .starts_with(&format!("1,{id},ada,2,,1\n3,{id},nobody,1,")),
        "{}",
        log.body
    );
    let none = ask(&sandbox, "GET", "/sandbox/bulk-uploads/77/log", Value::Null).await;
    assert_eq!(none.status, 404);
    let page = send(&sandbox, "GET", "/?view=bulk", &[], "").await.unwrap();
    assert!(page.body.contains("done, with errors") && page.body.contains(&path));
}

#[tokio::test]
async fn bulk_uploads_fail_by_a_rule() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox, "BIO-101");
    let rule = json!({"bulk-job": "log-lacks", "rows": 1, "calls": "categoryUser.*", "next": 1});
    for rule in [rule, json!({"rule": "bulk-job=fail after=1"})] {
        let reply = ask(&sandbox, "POST", "/sandbox/faults", rule).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    for user in ["ada", "bob", "carl"] {
        hand_in(&sandbox, &ks, &format!("*categoryId,userId\n{id},{user}\n")).await;
    }
    ask(&sandbox, "POST", "/sandbox/work", json!({})).await;
    let jobs = look(&sandbox, "/sandbox/bulk-uploads").await;
    let seen = ["status", "fault"].map(|name| {
        let rows = jobs["rows"].as_array().unwrap().iter();
        rows.map(|job| job[name].clone()).collect::<Vec<_>>()
    });
    assert_eq!(
        seen,
        [
            vec![json!("failed"), json!("done"), json!("done")],
            vec![
                json!("bulk-job=fail"),
                Value::Null,
                json!("bulk-job=log-lacks rows=1")
            ],
        ]
    );
    let log = ask(&sandbox, "GET", "/sandbox/bulk-uploads/1/log", Value::Null).await;
    assert_eq!(log.body, "Log file is not ready");
    let faults = look(&sandbox, "/sandbox/faults").await;
    assert_eq!(faults["rules"][0]["struck"], 1);
    assert_eq!(faults["rules"][0]["line"], "bulk-job=fail after=1");
}

#[tokio::test]
async fn each_worker_can_be_sent_for_by_its_name() {
    let (sandbox, _) = start().await;
    for kind in JobKind::ALL {
        let reply = ask(&sandbox, "POST", "/sandbox/work", json!({"kind": kind})).await;
        assert_eq!(reply.status, 200, "{kind:?}: {}", reply.body);
    }
    let wrong = ask(&sandbox, "POST", "/sandbox/work", json!({"kind": "mail"})).await;
    assert!(
        wrong.body.contains("expected one of `index`, `delete`"),
        "{}",
        wrong.body
    );
}

#[tokio::test]
async fn workers_clock_and_lists_are_in_the_testers_hand() {
    let (sandbox, ks) = start().await;
    let id = channel(&sandbox, "BIO-101");
    ask(&sandbox, "POST", "/sandbox/index", json!({"lag": "1h"})).await;
    act(
        &sandbox,
        json!({"act": "set-member", "channel": id, "user": "ada"}),
    )
    .await;
    let filter = json!({"ks": ks, "filter": {"categoryIdEqual": id, "userIdEqual": "ada"}});
    let listed =
        async || call(&sandbox, "categoryUser.list", filter.clone()).await["totalCount"].clone();
    assert_eq!(listed().await, 0);
    ask(&sandbox, "POST", "/sandbox/clock", json!({"advance": "1h"})).await;
    assert_eq!(listed().await, 1);
    act(&sandbox, json!({"act": "delete-user", "user": "ada"})).await;
    let jobs = look(&sandbox, "/sandbox/jobs").await;
    assert_eq!(jobs[0]["what"], "remove the memberships of ada");
    let done = ask(&sandbox, "POST", "/sandbox/work", json!({"kind": "delete"})).await;
    assert_eq!(
        done.value()["done"],
        "One piece of background work is done."
    );
    assert_eq!(sandbox.account().member(id, "ada"), None);
}

#[tokio::test]
async fn ten_thousand_channels_make_a_small_page() {
    let (sandbox, _) = start().await;
    for number in 0..10_000 {
        channel(&sandbox, &format!("C-{number:05}"));
    }
    let page = send(&sandbox, "GET", "/", &[], "").await.unwrap();
    assert_eq!(page.status, 200);
    assert!(page.body.contains("10,000 channels") && page.body.contains("page 1 of 200"));
    assert!(page.body.len() < 100_000, "{}", page.body.len());
    let found = send(&sandbox, "GET", "/?q=c-00042", &[], "").await.unwrap();
    assert!(found.body.contains("1 channel with") && found.body.contains("C-00042"));
}

#[tokio::test]
async fn a_form_without_a_script_leads_back_to_its_page() {
    let (sandbox, _) = start().await;
    let id = channel(&sandbox, "BIO-101");
    let page = format!("{}/?channel={id}", sandbox.url());
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", sandbox.url()),
        ("Referer", page.as_str()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = format!("act=set-member&channel={id}&user=bede&method=automatic");
    let reply = send(&sandbox, "POST", "/sandbox/act", &headers, &body)
        .await
        .unwrap();
    assert_eq!(reply.status, 303);
    assert_eq!(
        reply.header("location"),
        Some(format!("/?channel={id}").as_str())
    );
    assert_eq!(
        sandbox.account().member(id, "bede").unwrap().update_method,
        1
    );
    let wrong = format!("act=set-member&channel={id}&user=no+spaces");
    let reply = send(&sandbox, "POST", "/sandbox/act", &headers, &wrong)
        .await
        .unwrap();
    assert_eq!(reply.status, 400);
    assert!(
        reply.body.contains("cannot be a user&#39;s id") && reply.body.contains("Back"),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn what_people_write_is_not_html() {
    let (sandbox, _) = start().await;
    let id = channel(&sandbox, "BIO-101");
    let name = "<script>alert(1)</script>";
    let renamed = act(
        &sandbox,
        json!({"act": "set-reference-id", "channel": id, "reference_id": name}),
    )
    .await;
    assert!(renamed["done"].is_string(), "{renamed}");
    let page = send(&sandbox, "GET", "/", &[], "").await.unwrap();
    assert!(!page.body.contains("<script>alert"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
}

#[tokio::test]
async fn json_that_curl_calls_a_form_is_json() {
    let (sandbox, _) = start().await;
    let kind = (
        "Content-Type".to_owned(),
        "application/x-www-form-urlencoded".to_owned(),
    );
    let rule = r#" {"fault": "latency", "for": "5ms"}"#;
    for (path, body) in [
        ("/sandbox/work", r#"{"kind": "delete"}"#),
        ("/sandbox/faults", rule),
    ] {
        let reply = send(&sandbox, "POST", path, std::slice::from_ref(&kind), body).await;
        let reply = reply.unwrap();
        assert!(reply.value().is_object(), "{path}: {}", reply.body);
    }
}

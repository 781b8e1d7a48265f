//! The client against a scripted server: recorded answers and faults in, typed results out.
//!
//! The tests named `surprise_…` go through the list of what the real server does unexpectedly;
//! those that need no server are beside the code.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails by panicking, as they do"
)]

mod bulk;
mod scripted;
mod tls;

use std::collections::BTreeMap;
use std::time::Duration;

use rollbook::category::{Category, CategoryId, PermissionLevel, Status, UpdateMethod, UserId};
use rollbook::config;
use rollbook::kaltura::{
    ApiError, Credentials, FileKind, Found, Kaltura, KalturaError, Pace, Submitted, Write,
    WriteOutcome,
};
use rollbook::plan::gate::{self, Fence, Grounds, Warrant};
use serde_json::{Value, json};

use scripted::{Asked, Play, Scripted, each, error, recorded};

fn config(url: &str, more: &str) -> config::Kaltura {
    let text = format!(
        "url = {url:?}\npartner_id = 103\nadmin_secret = {{ env = \"UNUSED\" }}\n\
         timeout = \"2s\"\nrequests_per_second = 10000\nretries = 2\n{more}"
    );
    toml::from_str(&text).unwrap()
}

fn hurried(kaltura: Kaltura) -> Kaltura {
    let pace = Pace {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(2),
        throttled: Duration::from_millis(40),
        settle: Duration::from_millis(1),
        ..kaltura.pace().clone()
    };
    kaltura.with_pace(pace)
}

fn client_with(server: &Scripted, more: &str) -> Kaltura {
    let secret = "dbd0c6d82cd6ad045446f28fc70c8bc9".into();
    hurried(Kaltura::new(&config(&server.url, more), Credentials::AdminSecret(secret)).unwrap())
}

fn client(server: &Scripted) -> Kaltura {
    client_with(server, "")
}

fn category(id: i64, members_count: u64) -> Category {
    Category {
        id: CategoryId(id),
        reference_id: None,
        full_name: format!("c{id}"),
        owner: None,
        inherits_from: None,
        members_count,
        created_at: 1,
    }
}

fn row(category: i64, user: &str, created_at: i64) -> Value {
    json!({
        "categoryId": category, "userId": user, "permissionLevel": 3, "status": 1,
        "createdAt": created_at, "updateMethod": 1, "permissionNames": "CATEGORY_VIEW",
        "objectType": "KalturaCategoryUser"
    })
}

fn listed(rows: &[Value], total: usize) -> Value {
    json!({"totalCount": total, "objects": rows, "objectType": "KalturaCategoryUserListResponse"})
}

/// Answers `categoryUser.list` from rows, as the real search does, ceiling and all.
fn search(rows: &[Value], call: &Value) -> Value {
    let filter = &call["filter"];
    let ids: Option<Vec<i64>> = filter["categoryIdEqual"]
        .as_i64()
        .map(|id| vec![id])
        .or_else(|| {
            let ids = filter["categoryIdIn"].as_str()?;
            Some(ids.split(',').map(|id| id.parse().unwrap()).collect())
        });
    let since = filter["createdAtGreaterThanOrEqual"]
        .as_i64()
        .unwrap_or_default();
    let matching: Vec<Value> = rows
        .iter()
        .filter(|row| row["createdAt"].as_i64().unwrap() >= since)
        .filter(|row| {
            ids.as_ref()
                .is_none_or(|ids| ids.contains(&row["categoryId"].as_i64().unwrap()))
        })
        .cloned()
        .collect();
    let size = usize::try_from(call["pager"]["pageSize"].as_u64().unwrap()).unwrap();
    let offset =
        (usize::try_from(call["pager"]["pageIndex"].as_u64().unwrap()).unwrap() - 1) * size;
    if offset >= 10_000 {
        return error(
            "QUERY_EXCEEDED_MAX_MATCHES_ALLOWED",
            "max matches",
            &json!([]),
        );
    }
    let page: Vec<Value> = matching.iter().skip(offset).take(size).cloned().collect();
    listed(&page, matching.len())
}

fn users(
    found: &BTreeMap<CategoryId, Vec<rollbook::category::Entitlement>>,
    id: i64,
) -> Vec<String> {
    found[&CategoryId(id)]
        .iter()
        .map(|row| row.user.to_string())
        .collect()
}

fn add(user: &str) -> Write {
    Write::Add {
        category: CategoryId(50),
        user: UserId::new(user),
        level: PermissionLevel::Member,
        method: UpdateMethod::Automatic,
    }
}

fn remove(user: &str) -> Write {
    Write::Remove {
        category: CategoryId(50),
        user: UserId::new(user),
    }
}

/// The right to write to a client's account.
pub(crate) fn warrant(client: &Kaltura) -> Warrant {
    let grounds = Grounds {
        account: client.account().to_owned(),
        fence: Fence::open(),
        ..Grounds::default()
    };
    gate::release_export(grounds)
}

#[tokio::test]
async fn nothing_is_written_by_a_warrant_for_another_account_or_without_the_lease() {
    let server = Scripted::start(|_, _| Play::Json(json!([]))).await;
    let client = client(&server);
    for (account, fence) in [
        ("https://elsewhere.example 103", Fence::open()),
        (client.account(), Fence::default()),
    ] {
        let warrant = gate::release_export(Grounds {
            account: account.to_owned(),
            fence,
            ..Grounds::default()
        });
        let written = match client.writing(&warrant) {
            Ok(mut writing) => writing.attempt(&[add("ada")]).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(
            written.unwrap_err(),
            KalturaError::OtherAccount | KalturaError::Withdrawn
        ));
        let content = b"*categoryId,userId\n5,ada\n".to_vec();
        let handed = match client.submission(FileKind::Entitlements, "run-1.csv", &warrant) {
            Ok(mut submission) => submission.attempt(&content).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(handed.is_err());
    }
    let asked = server.asked();
    assert!(
        asked.iter().all(|asked| asked.path == "session"),
        "{asked:?}"
    );
}

/// Hands in a file, attempt by attempt.
pub(crate) async fn submit(
    client: &Kaltura,
    kind: FileKind,
    name: &str,
    content: Vec<u8>,
) -> Result<Submitted, KalturaError> {
    let warrant = warrant(client);
    let mut submission = client.submission(kind, name, &warrant).unwrap();
    loop {
        if let Some(answer) = submission.attempt(&content).await? {
            return Ok(answer);
        }
    }
}

/// Writes to the end, attempt by attempt.
pub(crate) async fn write(
    client: &Kaltura,
    writes: &[Write],
) -> Result<Vec<WriteOutcome>, KalturaError> {
    let warrant = warrant(client);
    let (mut writing, mut outcomes) = (client.writing(&warrant).unwrap(), Vec::new());
    while outcomes.len() < writes.len() {
        outcomes.extend(writing.attempt(&writes[outcomes.len()..]).await?);
    }
    Ok(outcomes)
}

#[tokio::test]
async fn surprise_01_errors_come_with_status_200_one_by_one() {
    let server = Scripted::start(|_, _| Play::Json(recorded("mixed"))).await;
    let user = |name: &str| (CategoryId(50), UserId::new(name));
    let found = client(&server)
        .memberships(&[
            user("m1-1795294821"),
            user("x"),
            user("y"),
            user("M1-1795294821"),
        ])
        .await
        .unwrap();
    assert!(matches!(&found[0], Found::Present(row) if row.method == UpdateMethod::Manual));
    assert!(
        matches!(&found[1], Found::Failed(ApiError { code, .. }) if code == "CATEGORY_USER_ALREADY_EXISTS")
    );
    assert!(matches!(&found[2], Found::Failed(_)));
    assert!(
        matches!(&found[3], Found::Present(_)),
        "surprise 8: case makes no other person"
    );
}

#[tokio::test]
async fn surprise_02_the_content_type_is_bare() {
    let server =
        Scripted::start(|_, _| Play::Json(json!([true, "CONTENT_MANAGE_ASSIGN_CATEGORIES"]))).await;
    let standing = client_with(&server, "role = \"rollbook\"")
        .check()
        .await
        .unwrap();
    assert!(standing.missing.is_empty() && standing.sees_everything);
    let asked = server.asked();
    assert_eq!(asked[0].content_type, "application/json");
    assert_eq!(asked[0].path, "/api_v3/service/multirequest");
    assert_eq!(asked[0].body["1"]["service"], "system", "numbered from one");
    assert_eq!(asked[0].body["format"], 1);
}

#[tokio::test]
async fn surprise_06_the_owners_row_is_refused() {
    let server = Scripted::start(|_, _| {
        Play::Json(json!([error(
            "CANNOT_UPDATE_CATEGORY_USER_OWNER",
            "Cannot change",
            &json!([])
        )]))
    })
    .await;
    let outcomes = write(&client(&server), &[remove("prof")]).await.unwrap();
    assert!(matches!(&outcomes[0], WriteOutcome::Refused(_)));
}

#[tokio::test]
async fn surprise_09_unknown_ids_drop_the_filter_and_foreign_rows_are_ignored() {
    let server = Scripted::start(|_, asked| {
        Play::Json(each(asked, |call| {
            if call["filter"]["categoryIdIn"].is_string() {
                recorded("whole account instead")
            } else if call["filter"]["categoryIdEqual"] == 7 {
                listed(&[row(7, "ada", 1)], 1)
            } else {
                recorded("unknown category list")
            }
        }))
    })
    .await;
    let found = client(&server)
        .members(&[category(7, 1), category(99_999_999, 1)])
        .await
        .unwrap();
    assert_eq!(users(&found, 7), ["ada"]);
    assert_eq!(
        found.len(),
        1,
        "a category that is not there has no entry: absent is not empty"
    );
}

#[tokio::test]
async fn surprise_09_one_persons_list_with_somebody_elses_rows_is_refused() {
    let server = Scripted::start(|_, _| {
        Play::Json(json!([listed(&[row(7, "ada", 1), row(8, "bob", 1)], 2)]))
    })
    .await;
    let error = client(&server)
        .categories_of(&UserId::new("ADA"))
        .await
        .unwrap_err();
    assert!(matches!(error, KalturaError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn surprise_10_a_category_outside_the_root_is_left_out() {
    let server = Scripted::start(|_, _| Play::Json(json!([recorded("categories")]))).await;
    let below = client(&server)
        .categories(Some("MediaSpace>site>channels"), None)
        .await
        .unwrap();
    assert_eq!(below, []);
    assert_eq!(
        server.asked()[0].body["1"]["filter"],
        json!({
            "objectType": "KalturaCategoryFilter", "orderBy": "+createdAt",
            "fullNameStartsWith": "MediaSpace>site>channels>"
        })
    );
    let all = client(&server).categories(None, None).await.unwrap();
    assert_eq!(all[0].owner, Some(UserId::new("admin")));
    assert_eq!(
        all[0].reference_id.as_ref().unwrap().as_str(),
        "s02A-1795294285"
    );
    assert_eq!(all[0].members_count, 42);
}

#[tokio::test]
async fn surprise_11_two_categories_with_one_reference_id_are_both_handed_out() {
    let category = |id: i64| json!({"id": id, "fullName": "c", "referenceId": "bio", "createdAt": 1, "inheritanceType": 2});
    let server = Scripted::start(move |_, _| {
        Play::Json(json!([{"totalCount": 2, "objects": [category(2), category(1)]}]))
    })
    .await;
    let ids: Vec<_> = client(&server)
        .categories(None, None)
        .await
        .unwrap()
        .into_iter()
        .map(|c| c.id.0)
        .collect();
    assert_eq!(ids, [1, 2]);
}

#[tokio::test]
async fn surprise_12_a_short_page_is_not_the_end_and_a_list_that_does_not_add_up_is_read_again() {
    let all: Vec<Value> = (0..700).map(|n| row(7, &format!("u{n}"), 1)).collect();
    let server = Scripted::start(move |n, asked| {
        Play::Json(each(asked, |call| {
            let mut answer = search(&all, call);
            // The first reading misses a row of the first page.
            if n == 0 && call["pager"]["pageIndex"] == 1 {
                answer["objects"].as_array_mut().unwrap().pop();
            }
            answer
        }))
    })
    .await;
    let found = client(&server).members(&[category(7, 700)]).await.unwrap();
    assert_eq!(found[&CategoryId(7)].len(), 700);
    assert_eq!(server.asked().len(), 2, "both pages in one request, twice");
}

#[tokio::test]
async fn surprise_12_a_list_that_never_adds_up_is_no_list_and_spoils_no_other() {
    let server = Scripted::start(|_, asked| {
        Play::Json(each(
            asked,
            |call| match call["filter"]["categoryIdEqual"].as_i64() {
                Some(8) => listed(&[row(8, "bob", 1)], 1),
                Some(_) => listed(&[row(7, "ada", 1)], 2),
                None => listed(&[row(7, "ada", 1), row(8, "bob", 1)], 3),
            },
        ))
    })
    .await;
    let found = client(&server)
        .members(&[category(7, 2), category(8, 1)])
        .await
        .unwrap();
    assert_eq!(users(&found, 8), ["bob"]);
    assert!(!found.contains_key(&CategoryId(7)));
}

#[tokio::test]
async fn surprise_12_categories_that_never_add_up_are_an_error() {
    let server = Scripted::start(|_, asked| {
        Play::Json(each(asked, |_| json!({"totalCount": 2, "objects": []})))
    })
    .await;
    let error = client(&server)
        .categories(Some("a"), None)
        .await
        .unwrap_err();
    assert!(error.is_passing());
    insta::assert_snapshot!(error, @r#"the list of the categories below "a" is not complete: Kaltura says 2 and gave 0, and a second reading did not agree either. Nothing is concluded from it; the next run reads it again"#);
}

#[tokio::test]
async fn surprise_12_a_row_that_slips_to_the_next_page_is_noticed() {
    let all: Vec<Value> = (0..600).map(|n| row(7, &format!("u{n}"), 1)).collect();
    let server = Scripted::start(move |n, asked| {
        Play::Json(each(asked, |call| {
            let mut answer = search(&all, call);
            if n == 0 && call["pager"]["pageIndex"] == 2 {
                // u499 again, and u500 never.
                answer["objects"][0] = row(7, "u499", 1);
            }
            answer
        }))
    })
    .await;
    let found = client(&server).members(&[category(7, 600)]).await.unwrap();
    assert!(users(&found, 7).contains(&"u500".to_owned()));
}

#[tokio::test]
async fn surprise_12_ten_thousand_rows_are_not_the_end() {
    let all: Vec<Value> = (0..12_345)
        .map(|n| row(7, &format!("u{n}"), 1_000 + n / 10))
        .collect();
    let server =
        Scripted::start(move |_, asked| Play::Json(each(asked, |call| search(&all, call)))).await;
    let kaltura = client(&server);
    let found = kaltura.members(&[category(7, 12_000)]).await.unwrap();
    let unique: std::collections::BTreeSet<_> = users(&found, 7).into_iter().collect();
    assert_eq!(
        (unique.len(), found[&CategoryId(7)].len()),
        (12_345, 12_345)
    );
    assert_eq!(kaltura.traffic().calls, 25, "as many pages as rows need");
}

#[tokio::test]
async fn surprise_12_lists_hold_at_most_a_hundred_ids() {
    let server = Scripted::start(|_, asked| Play::Json(each(asked, |_| listed(&[], 0)))).await;
    let categories: Vec<_> = (1..=250).map(|id| category(id, 0)).collect();
    let found = client(&server).members(&categories).await.unwrap();
    assert_eq!(found.len(), 250);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    for n in ["1", "2", "3"] {
        let ids = asked[0].body[n]["filter"]["categoryIdIn"]
            .as_str()
            .unwrap()
            .split(',')
            .count();
        assert!(ids <= 100, "{ids}");
    }
}

#[tokio::test]
async fn surprise_13_an_inheriting_category_is_not_listed_and_its_get_says_from_whom() {
    let server = Scripted::start(|_, _| Play::Json(json!([recorded("inherited get")]))).await;
    let heir = Category {
        inherits_from: Some(CategoryId(4)),
        ..category(5, 9)
    };
    let kaltura = client(&server);
    assert!(kaltura.members(&[heir]).await.unwrap().is_empty());
    assert_eq!(kaltura.traffic().requests, 0);
    let owner = UserId::new("owner02@example.org");
    let found = kaltura
        .memberships(&[(CategoryId(5), owner)])
        .await
        .unwrap();
    assert_eq!(
        found,
        [Found::Inherited {
            from: CategoryId(4)
        }]
    );
}

#[tokio::test]
async fn surprise_14_an_addition_to_a_deactivated_row_is_a_conflict() {
    let server = Scripted::start(|_, _| {
        Play::Json(json!([error(
            "CATEGORY_USER_ALREADY_EXISTS",
            "CategoryUser already exists",
            &json!([])
        )]))
    })
    .await;
    assert_eq!(
        write(&client(&server), &[add("ada")]).await.unwrap(),
        [WriteOutcome::Conflict]
    );
}

#[tokio::test]
async fn surprise_15_the_state_is_changed_by_its_own_actions() {
    let server = Scripted::start(|_, _| {
        let mut off = row(50, "ada", 1);
        off["status"] = json!(3);
        Play::Json(json!([off, row(50, "ada", 1)]))
    })
    .await;
    let (category, user) = (CategoryId(50), UserId::new("ada"));
    let writes = [
        Write::Deactivate {
            category,
            user: user.clone(),
        },
        Write::Activate { category, user },
    ];
    let outcomes = write(&client(&server), &writes).await.unwrap();
    assert_eq!(outcomes, [WriteOutcome::Done, WriteOutcome::Done]);
    let body = &server.asked()[0].body;
    assert_eq!(
        (&body["1"]["action"], &body["2"]["action"]),
        (&json!("deactivate"), &json!("activate"))
    );
}

#[tokio::test]
async fn surprise_16_a_deleted_person_is_absent_and_their_removal_is_done() {
    let server = Scripted::start(|_, asked| {
        Play::Json(each(asked, |call| match call["userId"].as_str().unwrap() {
            "gone" => recorded("unknown user"),
            "elsewhere" => recorded("not a member"),
            "nowhere" => recorded("unknown category"),
            _ => Value::Null,
        }))
    })
    .await;
    let kaltura = client(&server);
    let pairs = ["gone", "elsewhere", "nowhere"].map(|user| (CategoryId(3), UserId::new(user)));
    let found = kaltura.memberships(&pairs).await.unwrap();
    assert_eq!(found, [Found::Absent, Found::Absent, Found::NoSuchCategory]);
    let outcomes = write(
        &kaltura,
        &[remove("gone"), remove("elsewhere"), remove("ada")],
    )
    .await
    .unwrap();
    assert_eq!(
        outcomes,
        [
            WriteOutcome::AlreadySo,
            WriteOutcome::AlreadySo,
            WriteOutcome::Done
        ]
    );
}

#[tokio::test]
async fn surprise_17_the_count_of_members_is_only_an_estimate() {
    let all: Vec<Value> = (0..1_100).map(|n| row(7, &format!("u{n}"), 1)).collect();
    let server =
        Scripted::start(move |_, asked| Play::Json(each(asked, |call| search(&all, call)))).await;
    for estimate in [0, 6, 1_100, 4_000] {
        let found = client(&server)
            .members(&[category(7, estimate)])
            .await
            .unwrap();
        assert_eq!(found[&CategoryId(7)].len(), 1_100);
    }
}

#[tokio::test]
async fn surprise_17_four_rows_of_one_person_are_four_rows() {
    let server =
        Scripted::start(|_, _| Play::Json(json!([recorded("four rows of one person")]))).await;
    let found = client(&server).members(&[category(85, 1)]).await.unwrap();
    assert_eq!(found[&CategoryId(85)].len(), 4);
}

#[tokio::test]
async fn surprise_18_an_answer_that_is_not_as_wished_is_a_conflict() {
    let server = Scripted::start(|_, _| {
        let mut pending = row(50, "ada", 1);
        pending["status"] = json!(2);
        Play::Json(json!([pending]))
    })
    .await;
    assert_eq!(
        write(&client(&server), &[add("ada")]).await.unwrap(),
        [WriteOutcome::Conflict]
    );
}

#[tokio::test]
async fn surprise_19_a_lock_passes_and_the_refused_tail_is_sent_again_in_order() {
    let locked = error(
        "LOCK_TIMED_OUT",
        "Timed out while attempting to grab lock",
        &json!([]),
    );
    let server = Scripted::start(move |n, _| {
        Play::Json(if n == 0 {
            json!([row(50, "a", 1), locked, locked])
        } else {
            json!([row(50, "b", 1), row(50, "c", 1)])
        })
    })
    .await;
    let outcomes = write(&client(&server), &[add("a"), add("b"), add("c")])
        .await
        .unwrap();
    assert_eq!(
        outcomes,
        [WriteOutcome::Done, WriteOutcome::Done, WriteOutcome::Done]
    );
    assert_eq!(server.asked()[1].body["1"]["categoryUser"]["userId"], "b");
}

#[tokio::test]
async fn a_passing_refusal_in_the_middle_is_not_repeated_out_of_order() {
    let locked = error(
        "LOCK_TIMED_OUT",
        "Timed out while attempting to grab lock",
        &json!([]),
    );
    let server = Scripted::start(move |_, _| Play::Json(json!([locked, row(50, "b", 1)]))).await;
    let outcomes = write(&client(&server), &[remove("b"), add("b")])
        .await
        .unwrap();
    assert!(matches!(
        &outcomes[..],
        [WriteOutcome::Passing(_), WriteOutcome::Done]
    ));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn surprise_20_a_session_that_ends_in_mid_run_is_renewed_once() {
    let server = Scripted::start(|n, _| {
        Play::Json(json!([if n == 0 {
            recorded("expired")
        } else {
            recorded("member")
        }]))
    })
    .await;
    let pair = (CategoryId(3), UserId::new("u1-1795294285"));
    let found = client(&server).memberships(&[pair]).await.unwrap();
    assert!(matches!(&found[0], Found::Present(row) if row.status == Status::Active));
    let asked = server.asked();
    assert_ne!(asked[0].body["ks"], asked[1].body["ks"]);
}

#[tokio::test]
async fn surprise_20_a_session_that_is_never_accepted_ends_the_matter_without_naming_it() {
    let server =
        Scripted::start(|_, asked| Play::Json(each(asked, |_| recorded("tampered")))).await;
    let error = client(&server).categories(None, None).await.unwrap_err();
    insta::assert_snapshot!(error, @"Kaltura gave no session (with a new session, too): INVALID_KS (the session is not accepted (unreadable)). Check `kaltura.partner_id` and the secret or app token");
    assert!(!format!("{error:?}").contains("djJ8"));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn surprise_20_writes_refused_for_the_session_are_sent_again() {
    let server = Scripted::start(|n, _| {
        Play::Json(if n == 0 {
            json!([row(50, "a", 1), recorded("expired")])
        } else {
            json!([row(50, "b", 1)])
        })
    })
    .await;
    let outcomes = write(&client(&server), &[add("a"), add("b")])
        .await
        .unwrap();
    assert_eq!(outcomes, [WriteOutcome::Done, WriteOutcome::Done]);
}

#[tokio::test]
async fn surprise_21_fewer_answers_than_writes_leave_the_rest_unknown() {
    let server = Scripted::start(|_, _| Play::Json(json!([row(50, "a", 1)]))).await;
    let outcomes = write(&client(&server), &[add("a"), add("b"), add("c")])
        .await
        .unwrap();
    assert_eq!(
        outcomes,
        [
            WriteOutcome::Done,
            WriteOutcome::Unknown,
            WriteOutcome::Unknown
        ]
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn surprise_21_fewer_answers_than_questions_are_asked_again() {
    let server = Scripted::start(|n, asked| {
        Play::Json(if n == 0 {
            json!([])
        } else {
            each(asked, |_| recorded("unknown user"))
        })
    })
    .await;
    let found = client(&server)
        .memberships(&[(CategoryId(1), UserId::new("a"))])
        .await
        .unwrap();
    assert_eq!(found, [Found::Absent]);
}

#[tokio::test]
async fn reads_outlive_what_passes() {
    let faults = [
        Play::Raw(502, "<html>bad gateway</html>"),
        Play::Raw(200, ""),
        Play::Raw(200, "<xml/>"),
        Play::Cut,
    ];
    for fault in faults {
        let name = format!("{fault:?}");
        let server = Scripted::start(move |n, asked| {
            if n == 0 {
                fault.clone()
            } else {
                Play::Json(each(asked, |_| listed(&[], 0)))
            }
        })
        .await;
        let found = client(&server).members(&[category(7, 1)]).await;
        assert!(found.is_ok(), "{name}");
        assert_eq!(server.asked().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn writes_whose_answer_is_lost_are_unknown_and_never_repeated() {
    let faults = [
        Play::Raw(502, "<html>bad gateway</html>"),
        Play::Raw(500, ""),
        Play::Raw(200, ""),
        Play::Cut,
        Play::Slow(Duration::from_secs(5)),
    ];
    for fault in faults {
        let name = format!("{fault:?}");
        let server = Scripted::start(move |_, _| fault.clone()).await;
        let kaltura = client_with(&server, "").clone();
        let outcomes = write(&kaltura, &[remove("a")]).await.unwrap();
        assert_eq!(outcomes, [WriteOutcome::Unknown], "{name}");
        assert_eq!(server.asked().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_since_nothing_was_sent() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let kaltura =
        hurried(Kaltura::new(&config(&url, ""), Credentials::AdminSecret("x".into())).unwrap());
    let error = write(&kaltura, &[add("a")]).await.unwrap_err();
    insta::assert_snapshot!(error, @"Kaltura gave no usable answer to categoryUser.add in 3 attempts: no connection could be made (Connection refused (os error 111)). Check `kaltura.url`, the network, and `kaltura.ca_file` if the server's certificate is your own");
    assert_eq!(kaltura.traffic().requests, 3);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Scripted::start(|_, _| Play::Raw(301, "")).await;
    let error = client(&server).check().await.unwrap_err();
    insta::assert_snapshot!(error, @"Kaltura gave no usable answer to system.ping in 1 attempts: HTTP status 301. The server redirects: put its final address into `kaltura.url`");
}

#[tokio::test]
async fn asking_too_often_is_answered_by_waiting() {
    let blocked = error(
        "ACTION_BLOCKED",
        "Action \"get\" in service \"categoryuser\" is blocked",
        &json!([]),
    );
    let server = Scripted::start(move |n, asked| {
        Play::Json(each(asked, |call| {
            if n == 0 && call["userId"] == "b" {
                blocked.clone()
            } else {
                recorded("unknown user")
            }
        }))
    })
    .await;
    let begun = std::time::Instant::now();
    let pairs = ["a", "b"].map(|user| (CategoryId(1), UserId::new(user)));
    assert_eq!(
        client(&server).memberships(&pairs).await.unwrap(),
        [Found::Absent, Found::Absent]
    );
    assert!(begun.elapsed() >= Duration::from_millis(40));
    assert_eq!(
        server.asked()[1].body.get("2"),
        None,
        "only what was blocked is asked again"
    );
}

#[tokio::test]
async fn an_app_token_makes_a_session_from_a_widget_session() {
    let server = Scripted::start(|_, asked| {
        Play::Json(match asked.path.as_str() {
            "/api_v3/service/session/action/startWidgetSession" => recorded("widget session"),
            "/api_v3/service/appToken/action/startSession" => recorded("app token session"),
            _ => json!([true, "CONTENT_MANAGE_ASSIGN_CATEGORIES"]),
        })
    })
    .await;
    let config: config::Kaltura = toml::from_str(&format!(
        "url = {:?}\npartner_id = 103\nretries = 0\n\
         app_token = {{ id = \"0_o3lnwxt5\", token = {{ env = \"UNUSED\" }} }}",
        server.url
    ))
    .unwrap();
    let kaltura = Kaltura::new(&config, Credentials::AppToken("token".into())).unwrap();
    assert!(kaltura.check().await.unwrap().sees_everything);
    let asked = server.asked();
    assert_eq!(asked[0].body["widgetId"], "_103");
    assert_eq!(asked[1].body["ks"], recorded("widget session")["ks"]);
    assert_eq!(asked[1].body["tokenHash"].as_str().unwrap().len(), 40);
    assert_eq!(asked[2].body["ks"], recorded("app token session")["ks"]);
    assert!(asked[2].body["1"].get("ks").is_none());
}

#[tokio::test]
async fn the_server_makes_a_session_once_for_everybody() {
    let server = Scripted::start(|_, asked| {
        Play::Json(if asked.path.ends_with("session/action/start") {
            json!("djJ8MTAzfA")
        } else {
            each(asked, |_| recorded("unknown user"))
        })
    })
    .await;
    let kaltura = client_with(&server, "session_start = true\nbatch = 1\nrole = \"rb\"");
    let pairs: Vec<_> = (0..6).map(|n| (CategoryId(n), UserId::new("a"))).collect();
    kaltura.memberships(&pairs).await.unwrap();
    let asked = server.asked();
    let logins: Vec<&Asked> = asked
        .iter()
        .filter(|asked| asked.path.contains("session"))
        .collect();
    assert_eq!((logins.len(), asked.len()), (1, 7));
    assert_eq!(
        logins[0].body["privileges"],
        "disableentitlement,setrole:rb"
    );
    assert_eq!(logins[0].body["type"], 2);
}

#[tokio::test]
async fn a_wrong_secret_is_told_with_what_to_check() {
    let server = Scripted::start(|_, _| Play::Json(recorded("wrong secret"))).await;
    let error = client_with(&server, "session_start = true")
        .check()
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"Kaltura gave no session (session.start): START_SESSION_ERROR (Error while starting session for partner [102]). Check `kaltura.partner_id` and the administrator secret");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn categories_by_id_asks_singly_for_what_the_index_does_not_show() {
    let category =
        |id: i64| json!({"id": id, "fullName": "c", "createdAt": 1, "inheritanceType": 2});
    let server = Scripted::start(move |_, asked| {
        Play::Json(each(asked, |call| {
            match (call["action"].as_str().unwrap(), call["id"].as_i64()) {
                ("list", _) => json!({"totalCount": 2, "objects": [category(1), category(77)]}),
                (_, Some(2)) => category(2),
                _ => recorded("unknown category"),
            }
        }))
    })
    .await;
    let found = client(&server)
        .categories_by_id(&[1, 2, 3].map(CategoryId))
        .await
        .unwrap();
    let ids: Vec<i64> = found.iter().map(|category| category.id.0).collect();
    assert_eq!(ids, [1, 2], "77 was not asked for, 3 is not there");
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_trusted_when_its_file_is_named() {
    let answer = json!([true, "CONTENT_MANAGE_ASSIGN_CATEGORIES"]);
    let server = tls::Server::start(&answer);
    let ca_file = format!("ca_file = {:?}", server.ca_file);
    let client = |more: &str| {
        let config = config(&server.url, more);
        hurried(Kaltura::new(&config, Credentials::AdminSecret("x".into())).unwrap())
    };
    assert!(client(&ca_file).check().await.is_ok());

    let stranger = tls::Server::start(&answer);
    let ca_file = format!("ca_file = {:?}", stranger.ca_file);
    let error = client(&ca_file).check().await.unwrap_err();
    assert!(
        error.to_string().contains("no connection could be made"),
        "{error}"
    );
}

#[test]
fn a_file_that_holds_no_certificate_is_told() {
    let config = config("https://localhost", "ca_file = \"/dev/null\"");
    let error = Kaltura::new(&config, Credentials::AdminSecret("x".into())).unwrap_err();
    insta::assert_snapshot!(error, @"the Kaltura client cannot be set up: `kaltura.ca_file` (/dev/null) cannot be used: it holds no certificate");
}

#[tokio::test]
async fn a_session_is_renewed_before_it_ends() {
    let server = Scripted::start(|_, asked| {
        Play::Json(match asked.path.as_str() {
            "/api_v3/service/session/action/startWidgetSession" => recorded("widget session"),
            "/api_v3/service/appToken/action/startSession" => {
                let mut session = recorded("app token session");
                session["expiry"] = json!(rollbook::clock::now().as_second() + 2);
                session
            }
            _ => each(asked, |_| recorded("unknown user")),
        })
    })
    .await;
    let config: config::Kaltura = toml::from_str(&format!(
        "url = {:?}\npartner_id = 103\napp_token = {{ id = \"0_x\", token = {{ env = \"UNUSED\" }} }}",
        server.url
    ))
    .unwrap();
    let kaltura = Kaltura::new(&config, Credentials::AppToken("token".into())).unwrap();
    let pair = [(CategoryId(1), UserId::new("a"))];
    kaltura.memberships(&pair).await.unwrap();
    kaltura.memberships(&pair).await.unwrap();
    assert_eq!(server.asked().len(), 4, "one session for two questions");
    tokio::time::sleep(Duration::from_millis(1_650)).await;
    kaltura.memberships(&pair).await.unwrap();
    assert_eq!(
        server.asked().len(),
        7,
        "and another one before the server refuses it"
    );
}

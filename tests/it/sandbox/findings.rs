//! What was measured on the real server and is known from its description only, not from a
//! recording: inheritance, incremental lists, null and relative time. One test a claim.

use std::time::Duration;

use serde_json::{Value, json};

use rollbook::sandbox::{JobKind, Sandbox};

use super::client::{call, start};

struct Site {
    sandbox: Sandbox,
    ks: String,
}

impl Site {
    async fn start() -> Self {
        let (sandbox, ks) = start().await;
        Self { sandbox, ks }
    }

    async fn ask(&self, action: &str, mut params: Value) -> Value {
        params["ks"] = json!(self.ks);
        call(&self.sandbox, action, params).await
    }

    /// Makes a category and answers its number.
    async fn category(&self, name: &str, parent: i64, more: Value) -> i64 {
        let mut category = json!({"name": name});
        if parent != 0 {
            category["parentId"] = json!(parent);
        }
        for (key, value) in more.as_object().unwrap() {
            category[key] = value.clone();
        }
        let added = self
            .ask("category.add", json!({"category": category}))
            .await;
        added["id"].as_i64().unwrap_or_else(|| panic!("{added}"))
    }

    /// A category with a privacy context of its own.
    async fn root(&self, name: &str) -> i64 {
        let more = json!({"privacyContext": "MediaSpace", "owner": "prof"});
        self.category(name, 0, more).await
    }

    async fn get(&self, id: i64) -> Value {
        self.ask("category.get", json!({"id": id})).await
    }

    async fn add(&self, category: i64, user: &str, level: i64) -> Value {
        let row = json!({
            "categoryId": category, "userId": user, "permissionLevel": level, "updateMethod": 1
        });
        self.ask("categoryUser.add", json!({"categoryUser": row}))
            .await
    }

    async fn list(&self, filter: Value) -> Value {
        self.ask("categoryUser.list", json!({"filter": filter}))
            .await
    }

    /// `user@category` for each row of a list.
    async fn rows(&self, filter: Value) -> Vec<String> {
        let list = self.list(filter).await;
        let rows = list["objects"].as_array();
        let rows = rows.unwrap_or_else(|| panic!("{list}")).iter();
        rows.map(|row| format!("{}@{}", row["userId"].as_str().unwrap(), row["categoryId"]))
            .collect()
    }

    async fn users(&self, filter: Value) -> Vec<String> {
        let rows = self.rows(filter).await.into_iter();
        rows.map(|row| row.split('@').next().unwrap().to_owned())
            .collect()
    }

    fn work(&self) {
        self.sandbox.account().work(None);
    }

    fn wait(&self, seconds: u64) {
        let clock = self.sandbox.account().clock().clone();
        clock.advance(Duration::from_secs(seconds));
    }

    fn now(&self) -> i64 {
        self.sandbox.account().clock().now()
    }
}

fn inherit() -> Value {
    json!({"inheritanceType": 1})
}

// Inheritance.

#[tokio::test]
async fn a_child_without_a_word_is_the_sessions_own_even_below_one_that_inherits() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let heir = site.category("H", root, inherit()).await;
    let child = site.category("C", heir, json!({})).await;
    let seen = site.get(child).await;
    assert_eq!(
        (&seen["inheritanceType"], &seen["owner"]),
        (&json!(2), &json!("admin"))
    );
    let row = json!({"categoryId": child, "userId": "admin"});
    assert_eq!(
        site.ask("categoryUser.get", row).await["permissionLevel"],
        0
    );
}

#[tokio::test]
async fn an_heir_of_an_heir_inherits_from_the_nearest_that_has_members() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let heir = site.category("H", root, inherit()).await;
    let grandchild = site.category("G", heir, inherit()).await;
    assert_eq!(site.get(grandchild).await["inheritedParentId"], root);
}

#[tokio::test]
async fn an_heir_shows_its_ancestors_members_and_refuses_its_own() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let heir = site.category("H", root, inherit()).await;
    site.add(root, "ada", 3).await;

    let filter = json!({"categoryIdEqual": heir});
    assert_eq!(
        site.rows(filter).await,
        [format!("prof@{root}"), format!("ada@{root}")]
    );
    let pair = json!({"categoryId": heir, "userId": "ada"});
    assert_eq!(
        site.ask("categoryUser.get", pair.clone()).await["categoryId"],
        root
    );
    assert_eq!(
        site.add(heir, "bob", 3).await["code"],
        "CATEGORY_INHERIT_MEMBERS"
    );
    let mut change = pair.clone();
    change["categoryUser"] = json!({"permissionLevel": 2});
    for (action, params) in [
        ("update", change),
        ("delete", pair.clone()),
        ("activate", pair.clone()),
        ("deactivate", pair),
    ] {
        let refused = site.ask(&format!("categoryUser.{action}"), params).await;
        assert_eq!(refused["code"], "INVALID_CATEGORY_USER_ID", "{action}");
    }
    let both = json!({"categoryIdIn": format!("{root},{heir}")});
    assert_eq!(site.list(both).await["totalCount"], 2);
    assert_eq!(site.get(heir).await["membersCount"], 2);
    assert_eq!(
        site.rows(json!({"userIdEqual": "ada"})).await,
        [format!("ada@{root}")]
    );
    let found = site
        .ask("category.list", json!({"filter": {"memberEqual": "ada"}}))
        .await;
    assert_eq!(found["totalCount"], 2);
}

#[tokio::test]
async fn members_are_copied_from_the_parent_by_a_worker_and_are_manual() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let child = site.category("C", root, json!({"owner": "prof"})).await;
    for (user, level) in [("ada", 1), ("bob", 2)] {
        site.add(root, user, level).await;
    }
    site.add(child, "bob", 3).await;
    let copy = json!({"categoryId": child});
    assert_eq!(
        site.ask("categoryUser.copyFromCategory", copy.clone())
            .await,
        Value::Null
    );
    assert_eq!(
        site.users(json!({"categoryIdEqual": child})).await,
        ["prof", "bob"]
    );

    assert_eq!(site.sandbox.account().work(Some(JobKind::Copy)), 1);
    let members = site.sandbox.account().members(child);
    let told: Vec<_> = members
        .iter()
        .map(|m| (m.user_id.as_str(), m.permission_level, m.update_method))
        .collect();
    assert_eq!(told, [("prof", 0, 0), ("bob", 3, 1), ("ada", 1, 0)]);
    site.ask("categoryUser.copyFromCategory", copy).await;
    site.work();
    assert_eq!(site.sandbox.account().members(child).len(), 3);
}

#[tokio::test]
async fn what_has_no_parent_copies_nothing_and_an_heir_neither() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let heir = site.category("H", root, inherit()).await;
    let refused = site
        .ask("categoryUser.copyFromCategory", json!({"categoryId": root}))
        .await;
    assert_eq!(refused["code"], "CATEGORY_DOES_NOT_HAVE_PARENT_CATEGORY");
    let nothing = site
        .ask("categoryUser.copyFromCategory", json!({"categoryId": heir}))
        .await;
    assert_eq!(nothing, Value::Null);
    site.work();
    assert!(site.sandbox.account().members(heir).is_empty());
}

#[tokio::test]
async fn who_becomes_an_heir_loses_its_members_and_gets_only_its_owner_back() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let child = site.category("C", root, json!({"owner": "dean"})).await;
    site.add(child, "ada", 3).await;
    let turn = |to: i64| json!({"id": child, "category": {"inheritanceType": to}});
    site.ask("category.update", turn(1)).await;
    assert_eq!(
        site.users(json!({"categoryIdEqual": child})).await,
        ["prof"]
    );
    site.work();
    site.ask("category.update", turn(2)).await;
    assert_eq!(
        site.users(json!({"categoryIdEqual": child})).await,
        ["dean"]
    );
}

#[tokio::test]
async fn an_heir_refuses_an_owner_and_a_default_level_but_not_privacy() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let heir = site.category("H", root, inherit()).await;
    let update = async |change: Value| {
        let answer = site
            .ask("category.update", json!({"id": heir, "category": change}))
            .await;
        answer["code"].as_str().unwrap_or("done").to_owned()
    };
    assert_eq!(
        update(json!({"owner": "ada"})).await,
        "CANNOT_SET_OWNER_WHEN_CATEGORY_INHERIT_MEMBERS"
    );
    assert_eq!(
        update(json!({"defaultPermissionLevel": 2})).await,
        "CANNOT_SET_DEFAULT_PERMISSION_LEVEL_WHEN_CATEGORY_INHERIT_MEMBERS"
    );
    assert_eq!(update(json!({"privacy": 3})).await, "done");
    assert_eq!(update(json!({"contributionPolicy": 2})).await, "done");
}

// Moving.

#[tokio::test]
async fn an_heir_that_moves_shows_its_old_ancestors_members_until_the_worker_comes() {
    let site = Site::start().await;
    let (old, new) = (site.root("Old").await, site.root("New").await);
    let heir = site.category("H", old, inherit()).await;
    site.add(old, "ada", 3).await;
    site.add(new, "bob", 3).await;
    let moved = site
        .ask(
            "category.move",
            json!({"categoryIds": heir.to_string(), "targetCategoryParentId": new}),
        )
        .await;
    assert_eq!(moved, json!(true));
    assert_eq!(
        site.users(json!({"categoryIdEqual": heir})).await,
        ["prof", "ada"]
    );
    site.work();
    assert_eq!(
        site.users(json!({"categoryIdEqual": heir})).await,
        ["prof", "bob"]
    );
    assert_eq!(site.get(heir).await["fullName"], "New>H");
}

#[tokio::test]
async fn a_move_wants_children_of_one_parent_and_no_place_below_itself() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let child = site.category("C", root, json!({})).await;
    let grandchild = site.category("G", child, json!({})).await;
    let code = async |ids: String, target: i64| {
        let params = json!({"categoryIds": ids, "targetCategoryParentId": target});
        let answer = site.ask("category.move", params).await;
        answer["code"].as_str().unwrap_or("done").to_owned()
    };
    assert_eq!(
        code(format!("{child},{grandchild}"), root).await,
        "CANNOT_MOVE_CATEGORIES_FROM_DIFFERENT_PARENT_CATEGORIES"
    );
    assert_eq!(
        code(child.to_string(), grandchild).await,
        "PARENT_CATEGORY_IS_CHILD"
    );
    assert_eq!(code("999999".to_owned(), root).await, "CATEGORY_NOT_FOUND");
    assert_eq!(code(child.to_string(), 999_999).await, "CATEGORY_NOT_FOUND");
}

#[tokio::test]
async fn who_leaves_its_privacy_context_loses_all_members_to_the_worker() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let plain = site.category("Plain", 0, json!({})).await;
    let child = site.category("C", root, json!({"owner": "dean"})).await;
    site.add(child, "ada", 3).await;
    let params = json!({"categoryIds": child.to_string(), "targetCategoryParentId": plain});
    site.ask("category.move", params).await;
    site.work();
    assert_eq!(
        site.list(json!({"categoryIdEqual": child})).await["totalCount"],
        0
    );
    assert_eq!(site.get(child).await["membersCount"], 0);
}

#[tokio::test]
async fn an_emptied_context_takes_the_members_below_with_it() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let child = site.category("C", root, json!({"owner": "dean"})).await;
    site.add(child, "ada", 3).await;
    let change = json!({"id": root, "category": {"privacyContext": ""}});
    site.ask("category.update", change).await;
    assert_eq!(site.get(child).await["privacyContexts"], "MediaSpace");
    site.work();
    assert_eq!(site.get(child).await["privacyContexts"], "");
    assert_eq!(site.get(child).await["membersCount"], 0);
}

// Incremental lists.

#[tokio::test]
async fn a_row_that_changes_while_a_list_is_paged_makes_another_be_skipped() {
    let site = Site::start().await;
    let root = site.root("R").await;
    for user in ["a", "b", "c", "d"] {
        site.wait(1);
        site.add(root, user, 3).await;
    }
    let page = async |number: i64| {
        let filter = json!({"categoryIdEqual": root, "orderBy": "+updatedAt"});
        let pager = json!({"pageSize": 2, "pageIndex": number});
        let list = json!({"filter": filter, "pager": pager});
        let list = site.ask("categoryUser.list", list).await;
        let rows = list["objects"].as_array().unwrap().iter();
        rows.map(|row| row["userId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(page(1).await, ["prof", "a"]);
    site.wait(1);
    let change = json!({"categoryId": root, "userId": "a", "categoryUser": {"permissionLevel": 2}});
    site.ask("categoryUser.update", change).await;
    assert_eq!(page(2).await, ["c", "d"], "b is skipped");
    assert_eq!(page(3).await, ["a"]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_and_a_users_new_name_leave_the_time_of_a_row() {
    let site = Site::start().await;
    let root = site.root("R").await;
    site.add(root, "ada", 3).await;
    let since = site.now() + 5;
    site.wait(10);
    let pair = json!({"categoryId": root, "userId": "ada", "categoryUser": {"permissionLevel": 3}});
    site.ask("categoryUser.update", pair).await;
    let name = json!({"userId": "ada", "user": {"screenName": "Ada L."}});
    site.ask("user.update", name).await;
    let newer = json!({"categoryIdEqual": root, "updatedAtGreaterThanOrEqual": since});
    assert_eq!(site.list(newer.clone()).await["totalCount"], 0);
    let off = json!({"categoryId": root, "userId": "ada"});
    site.ask("categoryUser.deactivate", off).await;
    assert_eq!(site.users(newer).await, ["ada"]);
}

#[tokio::test]
async fn a_new_member_is_news_of_the_category_and_not_of_the_user() {
    let site = Site::start().await;
    let root = site.root("R").await;
    site.add(root, "ada", 3).await;
    let other = site.root("S").await;
    site.wait(10);
    let since = site.now();
    site.add(other, "ada", 3).await;
    let filter = json!({"filter": {"updatedAtGreaterThanOrEqual": since}});
    let categories = site.ask("category.list", filter.clone()).await;
    assert_eq!(categories["objects"][0]["id"], other);
    assert_eq!(categories["totalCount"], 1);
    assert_eq!(site.ask("user.list", filter).await["totalCount"], 0);
}

#[tokio::test]
async fn windows_of_time_are_inclusive_at_both_ends() {
    let site = Site::start().await;
    let root = site.root("R").await;
    site.wait(5);
    site.add(root, "ada", 3).await;
    let at = site.now();
    let window = json!({
        "categoryIdEqual": root, "createdAtGreaterThanOrEqual": at, "createdAtLessThanOrEqual": at
    });
    assert_eq!(site.users(window).await, ["ada"]);
}

#[tokio::test]
async fn small_times_are_relative_to_now() {
    let site = Site::start().await;
    let root = site.root("R").await;
    site.wait(100);
    let since = |time: i64| json!({"categoryIdEqual": root, "updatedAtGreaterThanOrEqual": time});
    for (time, found) in [(0, 0), (1, 0), (-50, 0), (-86_400, 1), (315_360_001, 1)] {
        assert_eq!(site.list(since(time)).await["totalCount"], found, "{time}");
    }
}

#[tokio::test]
async fn paths_of_numbers_start_at_the_root() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let child = site.category("C", root, json!({"owner": "dean"})).await;
    let starts = |start: String| json!({"categoryFullIdsStartsWith": start});
    let at_and_below = site.users(starts(root.to_string())).await;
    assert_eq!(at_and_below, ["prof", "dean"]);
    assert_eq!(site.users(starts(format!("{root}>"))).await, ["dean"]);
    assert!(site.users(starts(child.to_string())).await.is_empty());
    let two = starts(format!("{root}>{child},{root}"));
    assert!(site.users(two).await.is_empty());
    let equal = json!({"categoryFullIdsEqual": format!("{root}>{child}")});
    assert!(site.users(equal).await.is_empty());
    let ids = format!("{root}>{child}");
    for (name, value, found) in [
        ("fullIdsEqual", ids.clone(), 1),
        ("fullIdsStartsWith", root.to_string(), 2),
        ("fullIdsMatchOr", format!("999,{ids}"), 1),
        ("fullIdsMatchOr", root.to_string(), 2),
    ] {
        let list = site
            .ask("category.list", json!({"filter": {name: value}}))
            .await;
        assert_eq!(list["totalCount"], found, "{name}");
    }
}

#[tokio::test]
async fn lists_of_users_and_categories_that_nobody_knows_are_no_filter() {
    let site = Site::start().await;
    let (r, s) = (site.root("R").await, site.root("S").await);
    site.add(r, "ada", 3).await;
    site.ask("user.add", json!({"user": {"id": "gone"}})).await;
    site.ask("user.delete", json!({"userId": "gone"})).await;
    let count = async |filter: Value| site.list(filter).await["totalCount"].clone();
    for (users, found) in [
        ("ada,nobody", 1),
        ("nobody", 2),
        ("gone", 2),
        ("", 2),
        (",", 0),
    ] {
        let filter = json!({"categoryIdEqual": r, "userIdIn": users});
        assert_eq!(count(filter).await, found, "{users:?}");
    }
    let nowhere = json!({"categoryIdIn": "999999", "userIdEqual": "prof"});
    assert_eq!(count(nowhere).await, 2);
    let two = json!({"categoryIdEqual": r, "categoryIdIn": s.to_string()});
    assert_eq!(count(two).await, 2);
    let crossed = json!({"categoryIdEqual": r, "userIdEqual": "ada", "userIdIn": "prof"});
    assert_eq!(count(crossed).await, 0);
}

#[tokio::test]
async fn a_list_of_levels_is_none() {
    let site = Site::start().await;
    let root = site.root("R").await;
    for (user, level) in [("mod", 1), ("con", 2), ("mem", 3)] {
        site.add(root, user, level).await;
    }
    let users = async |filter: Value| {
        let mut filter = filter;
        filter["categoryIdEqual"] = json!(root);
        site.users(filter).await.join(" ")
    };
    assert_eq!(
        users(json!({"permissionLevelIn": "0,3"})).await,
        "prof mod con mem"
    );
    assert_eq!(
        users(json!({"permissionLevelIn": "1,2"})).await,
        "prof mod con"
    );
    assert_eq!(users(json!({"permissionLevelIn": "0"})).await, "prof");
    assert_eq!(users(json!({"permissionLevelEqual": 0})).await, "prof");
    assert_eq!(users(json!({"permissionLevelEqual": 3})).await, "mem");
    assert_eq!(users(json!({"statusIn": "abc"})).await, "");
    assert_eq!(users(json!({"statusIn": ""})).await, "prof mod con mem");
    assert_eq!(users(json!({"updateMethodEqual": 0})).await, "");
    assert_eq!(users(json!({"updateMethodIn": "0"})).await, "prof");
}

#[tokio::test]
async fn a_profile_without_a_type_hides_what_it_names() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let fields = async |profile: Value| {
        let params = json!({"id": root, "responseProfile": profile});
        let answer = site.ask("category.get", params).await;
        answer
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let include = json!({"objectType": "KalturaDetachedResponseProfile", "type": 1, "fields": "id,name,nosuch"});
    let mut shown = fields(include).await;
    shown.sort();
    assert_eq!(shown, ["id", "name", "objectType"]);
    let hidden =
        fields(json!({"objectType": "KalturaDetachedResponseProfile", "fields": "name"})).await;
    assert!(!hidden.contains(&"name".to_owned()) && hidden.contains(&"fullName".to_owned()));
    let all = fields(json!({})).await;
    for ignored in [
        json!({"type": 1, "fields": ""}),
        json!({"id": 4711}),
        json!({"systemName": "x"}),
    ] {
        assert_eq!(fields(ignored).await, all);
    }
}

#[tokio::test]
async fn what_is_deleted_is_never_listed() {
    let site = Site::start().await;
    let root = site.root("R").await;
    site.add(root, "ada", 3).await;
    let pair = json!({"categoryId": root, "userId": "ada"});
    site.ask("categoryUser.delete", pair).await;
    let deleted = json!({"categoryIdEqual": root, "statusEqual": 4});
    assert_eq!(site.list(deleted).await["totalCount"], 0);
    let child = site.category("C", root, json!({})).await;
    site.ask("category.delete", json!({"id": child})).await;
    let filter = json!({"filter": {"statusIn": "1,2,3", "parentIdEqual": root}});
    assert_eq!(site.ask("category.list", filter).await["totalCount"], 0);
}

// Null.

#[tokio::test]
async fn a_level_that_is_null_or_false_makes_a_manager() {
    let site = Site::start().await;
    let root = site.root("R").await;
    for (user, nothing) in [("ada", Value::Null), ("bob", json!(false))] {
        let row = json!({"categoryId": root, "userId": user, "permissionLevel": nothing});
        let added = site
            .ask("categoryUser.add", json!({"categoryUser": row}))
            .await;
        assert_eq!(added["permissionLevel"], 0, "{user}");
    }
}

#[tokio::test]
async fn a_status_that_is_null_is_no_status() {
    let site = Site::start().await;
    let root = site.root("R").await;
    let filter = json!({"categoryIdEqual": root, "statusEqual": null});
    assert_eq!(site.list(filter).await["code"], "INVALID_ENUM_VALUE");
}

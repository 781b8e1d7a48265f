//! Custom metadata where no recording looks: the worker, nested searches, forms, who may.

use serde_json::{Value, json};

use rollbook::sandbox::{JobKind, NewCategory, Sandbox};

use super::client::{call, start};

fn xsd(fields: &[&str]) -> String {
    let fields = fields.iter().map(|name| {
        format!(
            "<xsd:element name=\"{name}\" minOccurs=\"0\" maxOccurs=\"unbounded\"><xsd:annotation>\
             <xsd:appinfo><searchable>true</searchable></xsd:appinfo></xsd:annotation>\
             <xsd:simpleType><xsd:restriction base=\"xsd:string\"/></xsd:simpleType></xsd:element>"
        )
    });
    format!(
        "<xsd:schema xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><xsd:element name=\"metadata\">\
         <xsd:complexType><xsd:sequence>{}</xsd:sequence></xsd:complexType></xsd:element></xsd:schema>",
        fields.collect::<String>()
    )
}

async fn profile(sandbox: &Sandbox, ks: &str, fields: &[&str]) -> i64 {
    let added = call(
        sandbox,
        "metadata_metadataProfile.add",
        json!({
            "ks": ks,
            "metadataProfile": {"name": "Rules", "metadataObjectType": "2"},
            "xsdData": xsd(fields),
        }),
    )
    .await;
    added["id"].as_i64().unwrap()
}

async fn add(sandbox: &Sandbox, ks: &str, profile: i64, category: i64, xml: &str) -> Value {
    call(
        sandbox,
        "metadata_metadata.add",
        json!({
            "ks": ks,
            "metadataProfileId": profile,
            "objectType": 2,
            "objectId": category,
            "xmlData": xml,
        }),
    )
    .await
}

async fn found(sandbox: &Sandbox, ks: &str, search: Value) -> Vec<i64> {
    let list = call(
        sandbox,
        "category.list",
        json!({"ks": ks, "filter": {"advancedSearch": search}}),
    )
    .await;
    let rows = list["objects"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_i64().unwrap()).collect()
}

fn channel(sandbox: &Sandbox, name: &str) -> i64 {
    sandbox.account().add_category(&NewCategory {
        path: format!("MediaSpace>site>channels>{name}"),
        ..NewCategory::default()
    })
}

#[tokio::test]
async fn the_worker_takes_old_documents_along() {
    let (sandbox, ks) = start().await;
    let category = channel(&sandbox, "a");
    let profile = profile(&sandbox, &ks, &["A", "B"]).await;
    let xml = "<metadata><A>1</A><B>2</B></metadata>";
    let id = add(&sandbox, &ks, profile, category, xml).await["id"].clone();
    let update = json!({"ks": ks, "id": profile, "metadataProfile": {}, "xsdData": xsd(&["A"])});
    let updated = call(&sandbox, "metadata_metadataProfile.update", update.clone()).await;
    assert_eq!(
        (&updated["version"], &updated["status"]),
        (&json!(12), &json!(3))
    );
    let closed = call(&sandbox, "metadata_metadataProfile.update", update).await;
    assert_eq!(closed["code"], "METADATA_TRANSFORMING");
    // A document of the old version may stay as it was for the while.
    let stays = json!({"ks": ks, "id": id, "xmlData": "<metadata><B>3</B></metadata>"});
    let stays = call(&sandbox, "metadata_metadata.update", stays).await;
    assert_eq!(stays["metadataProfileVersion"], 2);

    let account = sandbox.account();
    assert_eq!(account.work(Some(JobKind::TransformMetadata)), 1);
    let after = call(
        &sandbox,
        "metadata_metadata.get",
        json!({"ks": ks, "id": id}),
    )
    .await;
    assert_eq!(after["xml"], "<metadata></metadata>");
    assert_eq!(after["metadataProfileVersion"], 12);
    let get = json!({"ks": ks, "id": profile});
    let open = call(&sandbox, "metadata_metadataProfile.get", get).await;
    assert_eq!(open["status"], 1);
}

#[tokio::test]
async fn searches_nest_and_exclude() {
    let (sandbox, ks) = start().await;
    let profile = profile(&sandbox, &ks, &["Rule", "Code"]).await;
    let (a, b) = (channel(&sandbox, "a"), channel(&sandbox, "b"));
    let one = "<metadata><Rule>x</Rule><Code>1</Code></metadata>";
    let two = "<metadata><Rule>X</Rule><Code>2</Code></metadata>";
    add(&sandbox, &ks, profile, a, one).await;
    add(&sandbox, &ks, profile, b, two).await;
    let field = |name: &str, value: &str| json!({"objectType": "KalturaSearchCondition", "field": format!("/*[local-name()='metadata']/*[local-name()='{name}']"), "value": value});
    let search = |kind: i64, items: Value| json!({"objectType": "KalturaMetadataSearchItem", "type": kind, "metadataProfileId": profile, "items": items});
    let both = search(1, json!([field("Rule", "x"), field("Code", "1")]));
    assert_eq!(found(&sandbox, &ks, both).await, [a]);
    let any = search(2, json!([field("Code", "1"), field("Code", "2")]));
    assert_eq!(found(&sandbox, &ks, any).await, [a, b]);
    let inner = search(2, json!([field("Code", "2"), field("Code", "3")]));
    let nested = search(1, json!([field("Rule", "x"), inner]));
    assert_eq!(found(&sandbox, &ks, nested).await, [b]);
    let mut greater = field("Code", "1");
    greater["comparison"] = json!("2");
    let greater = search(1, json!([greater]));
    assert_eq!(found(&sandbox, &ks, greater).await, [b]);
}

#[tokio::test]
async fn a_search_lags_behind_like_every_list() {
    let (sandbox, ks) = start().await;
    let profile = profile(&sandbox, &ks, &["Rule"]).await;
    let category = channel(&sandbox, "a");
    let account = sandbox.account();
    account.set_index_lag(Some(std::time::Duration::from_mins(1)));
    let xml = "<metadata><Rule>x</Rule></metadata>";
    add(&sandbox, &ks, profile, category, xml).await;
    let field = "/*[local-name()='metadata']/*[local-name()='Rule']";
    let search = json!({"metadataProfileId": profile, "items": [{"field": field, "value": "x"}]});
    assert_eq!(
        found(&sandbox, &ks, search.clone()).await,
        Vec::<i64>::new()
    );
    account.catch_up();
    assert_eq!(found(&sandbox, &ks, search).await, [category]);
}

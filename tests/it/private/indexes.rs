use super::{ALICE, BOB, ROOT, listed, make_index, private_house, release};
use serde_json::json;

#[tokio::test]
async fn an_index_is_made_changed_in_both_forms_and_deleted() {
    let house = private_house().await;
    let shown = house.api("GET", "/alice/dev?no_projects=", None, json!({})).await.json();
    assert_eq!(
        shown["result"],
        json!({
            "acl_upload": ["alice"], "bases": ["root/pypi"], "acl_toxresult_upload": [":ANONYMOUS:"], "volatile": true,
            "mirror_whitelist": [], "mirror_whitelist_inheritance": "intersection", "type": "stage"
        })
    );
    for (auth, status) in [(None, 401), (BOB, 403), (ALICE, 200)] {
        let changed = house.api("PATCH", "/alice/dev", auth, json!(["acl_upload+=bob", "title=Dev"])).await;
        assert_eq!(changed.status, status, "{}", changed.text());
    }
    let changed = house.api("PATCH", "/alice/dev", ALICE, json!({ "volatile": false })).await.json();
    assert_eq!(changed["result"]["acl_upload"], json!(["alice", "bob"]));
    assert_eq!(
        (changed["result"]["volatile"].as_bool(), changed["result"]["title"].as_str()),
        (Some(false), Some("Dev"))
    );
    for wrong in
        [json!({ "shoe": 1 }), json!({ "bases": "no/where" }), json!({ "type": "mirror" }), json!(["volatile=perhaps"])]
    {
        assert_eq!(house.api("PATCH", "/alice/dev", ALICE, wrong.clone()).await.status, 400, "{wrong}");
    }
    let noop = house.api("PATCH", "/alice/dev?error_on_noop=", ALICE, json!({ "volatile": false })).await;
    assert_eq!(noop.status, 400, "{}", noop.text());
    assert_eq!(house.api("PUT", "/alice/dev", ALICE, json!({})).await.status, 409);
    assert_eq!(house.api("PUT", "/alice/x", BOB, json!({})).await.status, 403);
    assert_eq!(house.api("DELETE", "/alice/dev", ALICE, json!({})).await.status, 403, "not volatile");
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, json!(["volatile=yes"])).await.status, 200);
    let house = house.restart(|_| {}).await;
    assert_eq!(house.api("GET", "/alice/dev", None, json!({})).await.json()["result"]["title"], "Dev");
    assert_eq!(house.api("DELETE", "/alice/dev", ALICE, json!({})).await.status, 201);
    assert_eq!(house.api("GET", "/alice/dev", None, json!({})).await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn a_deleted_index_leaves_no_bytes_and_no_name_behind() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    assert_eq!(listed(&house, "alice/dev", "demo").await.len(), 1);
    assert_eq!(house.private_files().len(), 2, "the wheel and its metadata");
    assert_eq!(house.api("DELETE", "/alice/dev", ALICE, json!({})).await.status, 201);
    assert!(house.private_files().is_empty());
    make_index(&house, "alice/dev", json!({ "bases": [] })).await;
    assert!(listed(&house, "alice/dev", "demo").await.is_empty());
    house.end().await;
}

#[tokio::test]
async fn a_mirror_can_be_made_by_its_settings_and_moved() {
    let house = private_house().await;
    house.upstream.project("demo").wheel("demo-1.0-py3-none-any.whl", crate::support::wheel("demo", "1.0", 10, 1));
    let settings = json!({ "type": "mirror", "mirror_url": house.upstream.base() });
    make_index(&house, "root/mine", settings.clone()).await;
    assert_eq!(listed(&house, "root/mine", "demo").await, ["demo-1.0-py3-none-any.whl"]);
    let moved = json!({ "mirror_url": house.upstream.url("/elsewhere/") });
    assert_eq!(house.api("PATCH", "/root/mine", ROOT, moved).await.status, 200);
    assert!(listed(&house, "root/mine", "demo").await.is_empty(), "what another upstream said is forgotten");
    let nowhere = house.api("PUT", "/root/bad", ROOT, json!({ "type": "mirror" })).await;
    assert_eq!(nowhere.status, 400, "{}", nowhere.text());
    // Alice may not look around in the server's network.
    make_index(&house, "alice/mine", settings).await;
    house.upstream.forget_requests();
    assert_eq!(house.get("/alice/mine/+simple/demo/").await.status, 502);
    house.upstream.assert_untouched().await;
    // Where the settings' own mirror leads is said there.
    let fixed = house.api("PATCH", "/root/pypi", ROOT, json!({ "mirror_url": "https://index.example/simple/" })).await;
    assert_eq!(fixed.status, 400, "{}", fixed.text());
    assert_eq!(house.api("PATCH", "/root/pypi", ROOT, json!({ "title": "All" })).await.status, 200);
    house.end().await;
}

#[tokio::test]
async fn a_mirror_may_send_clients_to_upstream() {
    let house = private_house().await;
    house.upstream.project("demo").wheel("demo-1.0-py3-none-any.whl", crate::support::wheel("demo", "1.0", 10, 1));
    assert_eq!(house.api("PATCH", "/root/pypi", ROOT, json!(["mirror_use_external_urls=True"])).await.status, 200);
    let path = house.file_path("demo", "demo-1.0-py3-none-any.whl").await;
    let answer = house.get(&path).await;
    assert_eq!(answer.status, 302);
    assert!(answer.header("location").starts_with(&house.upstream.origin()), "{}", answer.header("location"));
    house.end().await;
}

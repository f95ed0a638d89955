use super::{ALICE, BOB, ROOT, listed, make_index, private_house, private_house_with, release};
use crate::support::house::Options;
use crate::support::{sha256, wheel, wheel_filename};
use serde_json::json;
use sidewheel::upstream::Origin;

#[tokio::test]
async fn a_release_is_promoted_with_all_that_hangs_on_it() {
    let house = private_house().await;
    make_index(&house, "alice/prod", json!({ "volatile": false, "bases": [] })).await;
    let bytes = release(&house, "alice/dev", "demo", "1.0").await;
    let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
    assert_eq!(house.api("POST", &path, None, json!({ "testenvs": {} })).await.status, 200);
    let wish = json!({ "name": "demo", "version": "1.0", "targetindex": "alice/prod" });
    assert_eq!(house.api("PUSH", "/alice/dev", BOB, wish.clone()).await.status, 401);
    let pushed = house.api("PUSH", "/alice/dev", ALICE, wish.clone()).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    let steps: Vec<_> =
        pushed.json()["result"].as_array().unwrap().iter().map(|step| step[1].as_str().unwrap().to_owned()).collect();
    assert_eq!(steps, ["register", "store_releasefile", "store_toxresult"]);
    // The bytes are kept once, and stay when the source goes.
    assert_eq!(house.api("DELETE", "/alice/dev/demo", ALICE, json!({})).await.status, 200);
    let path = house.file_path_in("alice/prod", "demo", &wheel_filename("demo", "1.0")).await;
    assert_eq!(sha256(&house.get(&path).await.body), sha256(&bytes));
    assert_eq!(house.get(&format!("{path}.metadata")).await.status, 200);
    release(&house, "alice/dev", "demo", "1.0").await;
    assert_eq!(house.api("PUSH", "/alice/dev", ALICE, wish).await.status, 200, "the same bytes again are no conflict");
    let other = wheel("demo", "1.0", 50, 99);
    assert_eq!(super::upload(&house, "alice/dev", ALICE, "demo", "1.0", &other).await.status, 200);
    let wish = json!({ "name": "demo", "version": "1.0", "targetindex": "alice/prod" });
    let conflict = house.api("PUSH", "/alice/dev", ALICE, wish).await;
    assert_eq!(conflict.status, 409, "{}", conflict.text());
    for (wish, status) in [
        (json!({ "name": "demo", "version": "7", "targetindex": "alice/prod" }), 400),
        (json!({ "name": "demo", "version": "1.0", "targetindex": "prod" }), 400),
        (json!({ "name": "demo", "version": "1.0", "targetindex": "no/where" }), 404),
        (json!({ "name": "demo", "version": "1.0", "targetindex": "alice/prod", "shoe": 1 }), 400),
        (json!({ "name": "demo", "version": "1.0" }), 400),
        (json!({}), 400),
    ] {
        assert_eq!(house.api("PUSH", "/alice/dev", ALICE, wish.clone()).await.status, status, "{wish}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_mirrors_release_is_promoted_and_stays_when_upstream_and_cache_are_gone() {
    let house = private_house_with(Options { disk_bytes: 1_000_000, ..Options::default() }).await;
    make_index(&house, "alice/prod", json!({ "bases": [] })).await;
    let bytes = wheel("demo", "1.0", 600_000, 1);
    house.upstream.project("demo").wheel(&wheel_filename("demo", "1.0"), bytes.clone());
    let wish = json!({ "name": "demo", "version": "1.0", "targetindex": "alice/prod" });
    let pushed = house.api("PUSH", "/root/pypi", ALICE, wish).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    // Another large file pushes the first out of the cache.
    house.upstream.project("big").wheel(&wheel_filename("big", "1.0"), wheel("big", "1.0", 900_000, 2));
    let path = house.file_path("big", &wheel_filename("big", "1.0")).await;
    assert_eq!(house.get(&path).await.status, 200);
    house.index.tidy_now().await;
    house.upstream.set_down(true);
    let path = house.file_path_in("alice/prod", "demo", &wheel_filename("demo", "1.0")).await;
    assert_eq!(sha256(&house.get(&path).await.body), sha256(&bytes));
    assert_eq!(house.get(&format!("{path}.metadata")).await.status, 200);
    house.upstream.set_down(false);
    house.end().await;
}

#[tokio::test]
async fn a_release_is_pushed_to_another_server() {
    let other = private_house().await;
    let origin = Origin::parse(&other.url("")).unwrap();
    let house = private_house_with(Options { push_origins: vec![origin], ..Options::default() }).await;
    let bytes = release(&house, "alice/dev", "demo", "1.0").await;
    let (username, password) = ALICE.unwrap();
    let wish = |url: String| json!({ "name": "demo", "version": "1.0", "posturl": url, "username": username, "password": password });
    let pushed = house.api("PUSH", "/alice/dev", ALICE, wish(other.url("/alice/dev/"))).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    assert_eq!(pushed.json()["result"][0][1], "upload");
    let path = other.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
    assert_eq!(sha256(&other.get(&path).await.body), sha256(&bytes));
    let refused = house.api("PUSH", "/alice/dev", ALICE, wish(other.url("/bob/dev/"))).await;
    assert_eq!(refused.status, 502, "{}", refused.text());
    // An address of the server's own network that nobody listed is not spoken to.
    house.upstream.forget_requests();
    let private = house.api("PUSH", "/alice/dev", ALICE, wish(house.upstream.url("/upload/"))).await;
    assert_eq!(private.status, 502, "{}", private.text());
    house.upstream.assert_untouched().await;
    assert_eq!(house.api("PUSH", "/alice/dev", None, wish(other.url("/alice/dev/"))).await.status, 401);
    house.end().await;
    other.end().await;
}

#[tokio::test]
async fn files_versions_and_projects_are_removed_by_devpis_rules() {
    let house = private_house().await;
    make_index(&house, "alice/prod", json!({ "volatile": false, "bases": [] })).await;
    for index in ["alice/dev", "alice/prod"] {
        release(&house, index, "demo", "1.0").await;
        release(&house, index, "demo", "2.0").await;
    }
    let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
    for (auth, status) in [(None, 401), (BOB, 403), (ALICE, 200), (ALICE, 410)] {
        assert_eq!(house.api("DELETE", &path, auth, json!({})).await.status, status, "{auth:?}");
    }
    assert_eq!(house.get(&path).await.status, 410);
    assert_eq!(listed(&house, "alice/dev", "demo").await, [wheel_filename("demo", "2.0")]);
    for (target, auth, status) in [
        ("/alice/prod/demo/1.0", ALICE, 403),
        ("/alice/prod/demo", ALICE, 403),
        ("/alice/prod/demo/1.0?force", ALICE, 200),
        ("/alice/prod/demo/1.0?force", ALICE, 404),
        ("/alice/dev/demo/2.0", ROOT, 200),
        ("/alice/prod/demo?force", ALICE, 200),
        ("/root/pypi/demo", ROOT, 403),
    ] {
        let answer = house.api("DELETE", target, auth, json!({})).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    assert!(house.private_files().is_empty(), "{:?}", house.private_files());
    house.end().await;
}

#[tokio::test]
async fn a_yank_is_shown_with_its_reason_and_taken_back() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    release(&house, "alice/dev", "demo", "2.0").await;
    let yanked = || async {
        let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
        let page = house.get_with("/alice/dev/+simple/demo/", &[accept]).await.json();
        let files = page["files"].as_array().unwrap().clone();
        files.iter().map(|file| file.get("yanked").cloned().unwrap_or_default()).collect::<Vec<_>>()
    };
    for (auth, status) in [(None, 401), (BOB, 403), (ALICE, 200)] {
        let answer = house.api("PATCH", "/alice/dev/demo/2.0", auth, json!({ "yanked": "broken" })).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    assert!(yanked().await.contains(&json!("broken")));
    assert!(house.get("/alice/dev/+simple/demo/").await.text().contains("data-yanked=\"broken\""));
    assert_eq!(house.api("PATCH", "/alice/dev/demo/2.0", ALICE, json!({ "yanked": false })).await.status, 200);
    assert!(!yanked().await.contains(&json!("broken")));
    let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
    assert_eq!(house.api("PATCH", &path, ALICE, json!({ "yanked": true })).await.status, 200);
    assert!(yanked().await.contains(&json!(true)));
    assert_eq!(house.api("PATCH", "/alice/dev/demo/7", ALICE, json!({ "yanked": true })).await.status, 404);
    assert_eq!(house.api("PATCH", "/alice/dev/demo/1.0", ALICE, json!({ "shoe": true })).await.status, 400);
    house.end().await;
}

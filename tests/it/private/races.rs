//! What happens to a request that is under way when what it is about is changed, moved or deleted, and to what memory
//! holds of things that are gone.

use super::{ALICE, BOB, ROOT, listed, make_index, private_house, private_house_with, release, upload};
use crate::support::house::{House, Options};
use crate::support::{sha256, wheel, wheel_filename};
use serde_json::json;
use sidewheel::index::TokenWish;
use sidewheel::names::{IndexName, UserName};

/// The address of these bytes in an index.
fn path_of(index: &str, filename: &str, bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    format!("/{index}/+f/{}/{}/{filename}", &digest[..3], &digest[3..16])
}

async fn asked_thrice(house: &House, path: &str) {
    for _ in 0..3 {
        assert_eq!(house.get(path).await.status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn memory_does_not_outlive_the_user_whose_index_it_is_of() {
    let house = private_house().await;
    make_index(&house, "bob/dev", json!({ "bases": [], "acl_upload": "bob,alice" })).await;
    let bytes = release(&house, "bob/dev", "demo", "1.0").await;
    let path = path_of("bob/dev", &wheel_filename("demo", "1.0"), &bytes);
    asked_thrice(&house, &path).await;
    assert_eq!(house.api("DELETE", "/bob", ROOT, json!({})).await.status, 200);
    assert_eq!(house.get(&path).await.status, 404);
    assert_eq!(house.api("PUT", "/bob", ROOT, json!({ "password": BOB.unwrap().1 })).await.status, 201);
    make_index(&house, "bob/dev", json!({ "bases": [] })).await;
    assert_eq!(house.get(&path).await.status, 404, "another index of the same name");
    house.end().await;
}

#[tokio::test]
async fn memory_of_a_mirror_does_not_outlive_it() {
    let house = private_house().await;
    let bytes = wheel("demo", "1.0", 100, 1);
    house.upstream.project("demo").wheel(&wheel_filename("demo", "1.0"), bytes.clone());
    make_index(&house, "root/mine", json!({ "type": "mirror", "mirror_url": house.upstream.base() })).await;
    let path = path_of("root/mine", &wheel_filename("demo", "1.0"), &bytes);
    asked_thrice(&house, &path).await;
    assert_eq!(house.api("DELETE", "/root/mine", ROOT, json!({})).await.status, 201);
    make_index(&house, "root/mine", json!({ "bases": [] })).await;
    assert_eq!(house.get(&path).await.status, 404, "now a stage, which has nothing");
    house.end().await;
}

#[tokio::test]
async fn a_token_for_an_index_ends_with_the_index_at_once() {
    let house = private_house().await;
    let wish = TokenWish {
        user: UserName::parse("alice").unwrap(),
        name: "ci".to_owned(),
        index: Some(IndexName::parse("alice/dev").unwrap()),
        read: true,
        upload: true,
        expires: None,
    };
    let token = house.index.create_token(wish).await.unwrap().expose().to_owned();
    let (auth, bytes) = (Some(("__token__", &*token)), wheel("demo", "1.0", 100, 1));
    assert_eq!(upload(&house, "alice/dev", auth, "demo", "1.0", &bytes).await.status, 200);
    assert_eq!(house.api("DELETE", "/alice/dev", ALICE, json!({})).await.status, 201);
    make_index(&house, "alice/dev", json!({ "bases": [] })).await;
    assert_eq!(upload(&house, "alice/dev", auth, "demo", "1.0", &bytes).await.status, 401);
    house.end().await;
}

#[tokio::test]
async fn a_file_that_moves_to_another_project_leaves_the_page_of_the_first() {
    let house = private_house().await;
    make_index(&house, "alice/alone", json!({ "bases": [] })).await;
    for (name, version, bytes) in [("foo", "2", &b"MZ one"[..]), ("foo-2", "1", &b"MZ two"[..])] {
        let fields = [(":action", "file_upload"), ("name", name), ("version", version), ("filetype", "bdist_wininst")];
        let answer = house.post_form("/alice/alone/", ALICE, &fields, Some(("foo-2-1.exe", bytes))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(listed(&house, "alice/alone", name).await, ["foo-2-1.exe"]);
    }
    assert!(listed(&house, "alice/alone", "foo").await.is_empty());
    house.end().await;
}

#[tokio::test]
async fn a_mirrors_release_larger_than_the_cache_is_promoted_whole() {
    let house = private_house_with(Options { disk_bytes: 1_000_000, ..Options::default() }).await;
    make_index(&house, "alice/prod", json!({ "bases": [] })).await;
    let mut files = Vec::new();
    for tag in ["cp310", "cp311", "cp312", "cp313"] {
        let (filename, bytes) =
            (format!("demo-1.0-{tag}-none-any.whl"), wheel("demo", "1.0", 600_000, files.len() as u64));
        house.upstream.project("demo").wheel(&filename, bytes.clone());
        files.push((filename, bytes));
    }
    let wish = json!({ "name": "demo", "version": "1.0", "targetindex": "alice/prod" });
    let pushed = house.api("PUSH", "/root/pypi", ALICE, wish).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    for (filename, bytes) in files {
        let path = house.file_path_in("alice/prod", "demo", &filename).await;
        assert_eq!(sha256(&house.get(&path).await.body), sha256(&bytes));
    }
    house.end().await;
}

#[tokio::test]
async fn a_push_that_fails_leaves_no_bytes_behind() {
    let house = private_house().await;
    make_index(&house, "alice/prod", json!({ "bases": [] })).await;
    for (seed, tag) in [(1, "cp310"), (2, "cp311")] {
        let (filename, bytes) = (format!("demo-1.0-{tag}-none-any.whl"), wheel("demo", "1.0", 1000, seed));
        house.upstream.project("demo").wheel(&filename, bytes);
    }
    house.upstream.change_bytes("demo-1.0-cp311-none-any.whl", &b"other bytes"[..]);
    let wish = json!({ "name": "demo", "version": "1.0", "targetindex": "alice/prod" });
    assert_ne!(house.api("PUSH", "/root/pypi", ALICE, wish).await.status, 200);
    assert!(house.private_files().is_empty(), "{:?}", house.private_files());
    house.end().await;
}

#[tokio::test]
async fn a_file_that_upstream_lists_without_a_digest_is_promoted_too() {
    let house = private_house().await;
    make_index(&house, "alice/prod", json!({ "bases": [] })).await;
    let wish = |name: &str| json!({ "name": name, "version": "1.0", "targetindex": "alice/prod" });
    for name in ["one", "two", "three"] {
        let bytes = wheel(name, "1.0", 1000, 1);
        house.upstream.project(name).wheel(&wheel_filename(name, "1.0"), bytes.clone()).without_hash();
        let pushed = house.api("PUSH", "/root/pypi", ALICE, wish(name)).await;
        assert_eq!(pushed.status, 200, "{}", pushed.text());
        let path = house.file_path_in("alice/prod", name, &wheel_filename(name, "1.0")).await;
        assert_eq!(sha256(&house.get(&path).await.body), sha256(&bytes));
    }
    house.end().await;
}

#[tokio::test]
async fn a_push_asks_again_whether_it_may_when_it_has_the_bytes() {
    let house = private_house().await;
    let settings = json!({ "bases": [] });
    make_index(&house, "alice/prod", settings.clone()).await;
    make_index(&house, "alice/gone", settings.clone()).await;
    let mirror = json!({ "type": "mirror", "mirror_url": "https://mirror.example/simple/" });
    for (name, target) in [("one", "alice/prod"), ("two", "alice/gone")] {
        let filename = wheel_filename(name, "1.0");
        house.upstream.project(name).wheel(&filename, wheel(name, "1.0", 1000, 1));
        let gate = house.upstream.hold(&format!("/files/{filename}"));
        let wish = json!({ "name": name, "version": "1.0", "targetindex": target });
        let (pushed, ()) = tokio::join!(house.api("PUSH", "/root/pypi", ALICE, wish), async {
            gate.reached(1).await;
            if target == "alice/prod" {
                let taken = house.api("PATCH", "/alice/prod", ALICE, json!({ "acl_upload": "bob" })).await;
                assert_eq!(taken.status, 200);
            } else {
                assert_eq!(house.api("DELETE", "/alice/gone", ALICE, json!({})).await.status, 201);
                make_index(&house, "alice/gone", mirror.clone()).await;
            }
            gate.release();
        });
        assert_eq!(pushed.status, 401, "{target}: {}", pushed.text());
        assert!(house.private_files().is_empty(), "{target}");
    }
    house.end().await;
}

#[tokio::test]
async fn results_of_tests_do_not_take_each_others_place() {
    let house = private_house().await;
    let bytes = release(&house, "alice/dev", "demo", "1.0").await;
    let path = path_of("alice/dev", &wheel_filename("demo", "1.0"), &bytes);
    let mut stored = Vec::new();
    for run in 0..2 {
        let answer = house.api("POST", &path, None, json!({ "testenvs": {}, "run": run })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let result = answer.json()["result"].as_str().unwrap().to_owned();
        stored.push(format!("/{}", result.split('#').next().unwrap()));
    }
    assert_eq!(house.api("DELETE", &stored[0], ALICE, json!({})).await.status, 200);
    assert_eq!(house.api("POST", &path, None, json!({ "testenvs": {}, "run": 2 })).await.status, 200);
    assert_eq!(house.get(&stored[1]).await.json()["run"], 1);
    house.end().await;
}

#[tokio::test]
async fn what_an_upstream_says_after_the_mirror_was_moved_is_not_kept() {
    let house = private_house().await;
    house.upstream.project("demo").wheel("demo-1.0-py3-none-any.whl", wheel("demo", "1.0", 10, 1));
    make_index(&house, "root/mine", json!({ "type": "mirror", "mirror_url": house.upstream.base() })).await;
    let gate = house.upstream.hold("demo");
    let (_, ()) = tokio::join!(house.get("/root/mine/+simple/demo/"), async {
        gate.reached(1).await;
        let moved = json!({ "mirror_url": house.upstream.url("/elsewhere/") });
        assert_eq!(house.api("PATCH", "/root/mine", ROOT, moved).await.status, 200);
        gate.release();
    });
    assert!(listed(&house, "root/mine", "demo").await.is_empty());
    house.end().await;
}

#[tokio::test]
async fn a_list_that_comes_after_the_mirror_was_moved_is_not_kept() {
    let house = private_house().await;
    house.upstream.project("demo").wheel("demo-1.0-py3-none-any.whl", wheel("demo", "1.0", 10, 1));
    make_index(&house, "root/mine", json!({ "type": "mirror", "mirror_url": house.upstream.base() })).await;
    let gate = house.upstream.hold("/simple/");
    let (_, ()) = tokio::join!(house.get("/root/mine/+simple/"), async {
        gate.reached(1).await;
        let moved = json!({ "mirror_url": house.upstream.url("/elsewhere/") });
        assert_eq!(house.api("PATCH", "/root/mine", ROOT, moved).await.status, 200);
        gate.release();
    });
    let list = house.get("/root/mine/+simple/").await;
    assert!(!list.text().contains("demo"), "{}", list.text());
    house.end().await;
}

#[tokio::test]
async fn a_name_that_is_reserved_while_its_file_arrives_is_closed_when_it_has() {
    let house = private_house().await;
    let (filename, bytes) = (wheel_filename("acme", "1.0"), wheel("acme", "1.0", 1000, 1));
    house.upstream.project("acme").wheel(&filename, bytes.clone());
    let path = path_of("root/pypi", &filename, &bytes);
    let gate = house.upstream.hold(&format!("/files/{filename}"));
    let (_, ()) = tokio::join!(house.get(&path), async {
        gate.reached(1).await;
        assert_eq!(house.api("PATCH", "/root/pypi", ROOT, json!({ "reserved": ["acme"] })).await.status, 200);
        gate.release();
    });
    for _ in 0..3 {
        assert_eq!(house.get(&path).await.status, 404);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    house.end().await;
}

#[tokio::test]
async fn a_stages_list_names_nothing_that_its_rule_hides() {
    let house = private_house().await;
    for name in ["acme", "acme-tools", "other"] {
        house.upstream.project(name).wheel(&wheel_filename(name, "9"), wheel(name, "9", 10, 1));
        assert_eq!(listed(&house, "root/pypi", name).await.len(), 1);
    }
    release(&house, "alice/dev", "acme", "1.0").await;
    assert_eq!(house.api("DELETE", "/alice/dev/acme", ALICE, json!({})).await.status, 200);
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, json!({ "reserved": "acme-tools" })).await.status, 200);
    let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
    let list = house.get_with("/alice/dev/+simple/", &[accept]).await.json();
    assert_eq!(list["projects"], json!([{ "name": "other" }]));
    house.end().await;
}

#[tokio::test]
async fn a_page_that_was_served_is_listed_before_it_is_saved() {
    let house = private_house().await;
    let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
    for name in ["one", "two", "three"] {
        house.upstream.project(name).wheel(&wheel_filename(name, "9"), wheel(name, "9", 10, 1));
        assert_eq!(listed(&house, "root/pypi", name).await.len(), 1);
        let list = house.get_with("/alice/dev/+simple/", &[accept]).await.json();
        assert!(list["projects"].as_array().unwrap().contains(&json!({ "name": name })), "{list}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_time_that_is_taken_back_is_the_houses_own_again() {
    let house = private_house().await;
    house.upstream.project("demo").wheel("demo-1.0-py3-none-any.whl", wheel("demo", "1.0", 10, 1));
    make_index(&house, "root/mine", json!({ "type": "mirror", "mirror_url": house.upstream.base() })).await;
    for change in ["mirror_cache_expiry=60", "mirror_cache_expiry-="] {
        let changed = house.api("PATCH", "/root/mine", ROOT, json!([change])).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
    }
    assert_eq!(listed(&house, "root/mine", "demo").await.len(), 1);
    house.clock.advance(std::time::Duration::from_secs(120));
    house.upstream.forget_requests();
    assert_eq!(listed(&house, "root/mine", "demo").await.len(), 1);
    assert_eq!(house.upstream.count("/simple/demo/"), 0, "believed for ten minutes");
    house.end().await;
}

#[tokio::test]
async fn what_answers_get_answers_head_for_who_wants_json_too() {
    let house = private_house().await;
    let bytes = release(&house, "alice/dev", "demo", "1.0").await;
    let path = path_of("alice/dev", &wheel_filename("demo", "1.0"), &bytes);
    let answer = house.request("HEAD", &path, &[("Accept", "application/json")]).await.unwrap();
    assert_eq!(answer.status, 200);
    house.end().await;
}

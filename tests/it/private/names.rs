//! The one rule for names, and what never reaches upstream.

use super::{ALICE, ROOT, listed, make_index, private_house, release};
use crate::support::house::House;
use crate::support::{sha256, wheel, wheel_filename};
use serde_json::json;

/// Puts the version 99 of a project upstream.
fn evil(house: &House, name: &str) -> Vec<u8> {
    let bytes = wheel(name, "99.0", 500, 9);
    house.upstream.project(name).wheel(&wheel_filename(name, "99.0"), bytes.clone());
    bytes
}

fn asked_for(house: &House, name: &str) -> bool {
    house.upstream.requests().iter().any(|seen| seen.path.contains(name))
}

#[tokio::test]
async fn an_owned_name_is_never_asked_upstream_by_any_way() {
    let house = private_house().await;
    let bytes = evil(&house, "acme-internal");
    release(&house, "alice/dev", "Acme_Internal", "1.0").await;
    let digest = sha256(&bytes);
    for path in [
        "/alice/dev/+simple/acme-internal/".to_owned(),
        "/alice/dev/+simple/".to_owned(),
        "/alice/dev/acme-internal".to_owned(),
        "/alice/dev/acme-internal/99.0".to_owned(),
        format!("/alice/dev/+f/{}/{}/acme_internal-99.0-py3-none-any.whl", &digest[..3], &digest[3..16]),
        format!("/alice/dev/+f/{}/{}/acme_internal-99.0-py3-none-any.whl.metadata", &digest[..3], &digest[3..16]),
        "/alice/dev/+packages/files/acme_internal-99.0-py3-none-any.whl".to_owned(),
    ] {
        let answer = house.get_with(&path, &[("Cache-Control", "no-cache")]).await;
        assert!(!answer.text().contains("99.0") || answer.status == 404, "{path}: {} {}", answer.status, answer.text());
    }
    assert_eq!(house.api("POST", "/alice/dev/+simple/acme-internal/refresh", None, json!({})).await.status, 302);
    let pushed = json!({ "name": "acme-internal", "version": "99.0", "targetindex": "alice/dev" });
    assert_ne!(house.api("PUSH", "/alice/dev", ALICE, pushed).await.status, 200);
    assert!(
        !asked_for(&house, "acme"),
        "{:?}",
        house.upstream.requests().iter().map(|s| s.path.clone()).collect::<Vec<_>>()
    );
    assert_eq!(listed(&house, "alice/dev", "acme-internal").await, ["acme_internal-1.0-py3-none-any.whl"]);
    house.end().await;
}

#[tokio::test]
async fn deleting_the_last_release_does_not_reopen_a_name() {
    let house = private_house().await;
    evil(&house, "acme");
    release(&house, "alice/dev", "acme", "1.0").await;
    assert_eq!(house.api("DELETE", "/alice/dev/acme/1.0", ALICE, json!({})).await.status, 200);
    assert!(listed(&house, "alice/dev", "acme").await.is_empty());
    release(&house, "alice/dev", "acme", "2.0").await;
    assert_eq!(house.api("DELETE", "/alice/dev/acme", ALICE, json!({})).await.status, 200);
    let house = house.restart(|_| {}).await;
    assert!(listed(&house, "alice/dev", "acme").await.is_empty());
    assert!(!asked_for(&house, "acme"));
    house.end().await;
}

#[tokio::test]
async fn a_name_that_becomes_owned_loses_what_was_cached_of_it_at_once() {
    let house = private_house().await;
    let bytes = evil(&house, "acme");
    assert_eq!(listed(&house, "alice/dev", "acme").await, ["acme-99.0-py3-none-any.whl"]);
    let digest = sha256(&bytes);
    let path = format!("/alice/dev/+f/{}/{}/acme-99.0-py3-none-any.whl", &digest[..3], &digest[3..16]);
    for _ in 0..3 {
        assert_eq!(house.get(&path).await.status, 200, "inherited");
    }
    release(&house, "alice/dev", "acme", "1.0").await;
    assert_eq!(listed(&house, "alice/dev", "acme").await, ["acme-1.0-py3-none-any.whl"]);
    assert_eq!(house.get(&path).await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn a_whitelisted_name_is_merged_and_the_first_of_two_equal_names_counts() {
    let house = private_house().await;
    evil(&house, "acme");
    let ours = release(&house, "alice/dev", "acme", "1.0").await;
    house.upstream.project("acme").wheel("acme-1.0-py3-none-any.whl", wheel("acme", "1.0", 9, 9));
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, json!(["mirror_whitelist+=acme"])).await.status, 200);
    let mut files = listed(&house, "alice/dev", "acme").await;
    files.sort();
    assert_eq!(files, ["acme-1.0-py3-none-any.whl", "acme-99.0-py3-none-any.whl"]);
    for (filename, index) in [("acme-1.0-py3-none-any.whl", "alice/dev"), ("acme-99.0-py3-none-any.whl", "root/pypi")] {
        let path = house.file_path_in("alice/dev", "acme", filename).await;
        assert!(path.starts_with(&format!("/{index}/+f/")), "{path}");
        assert_eq!(house.get(&path).await.status, 200);
    }
    let path = house.file_path_in("alice/dev", "acme", "acme-1.0-py3-none-any.whl").await;
    assert_eq!(sha256(&house.get(&path).await.body), sha256(&ours));
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, json!(["mirror_whitelist-=acme"])).await.status, 200);
    assert_eq!(listed(&house, "alice/dev", "acme").await.len(), 1);
    house.end().await;
}

#[tokio::test]
async fn a_reserved_name_is_never_asked_before_the_first_upload() {
    let house = private_house().await;
    for name in ["acme", "acme-tools", "other"] {
        evil(&house, name);
    }
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, json!({ "reserved": "acme,Acme_*" })).await.status, 200);
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, json!(["mirror_whitelist=*"])).await.status, 200);
    for (name, count) in [("acme", 0), ("acme-tools", 0), ("other", 1)] {
        assert_eq!(listed(&house, "alice/dev", name).await.len(), count, "{name}");
    }
    assert!(!asked_for(&house, "acme"));
    // On the mirror itself it closes the mirror's own address too, and what was stored before.
    assert_eq!(listed(&house, "root/pypi", "acme").await.len(), 1);
    assert_eq!(house.api("PATCH", "/root/pypi", ROOT, json!({ "reserved": ["acme"] })).await.status, 200);
    house.upstream.forget_requests();
    assert!(listed(&house, "root/pypi", "acme").await.is_empty());
    assert!(!asked_for(&house, "acme"));
    house.end().await;
}

#[tokio::test]
async fn bases_are_followed_in_order_and_mirrors_come_last() {
    let house = private_house().await;
    evil(&house, "tool");
    make_index(&house, "alice/base", json!({ "bases": [] })).await;
    make_index(&house, "alice/top", json!({ "bases": "root/pypi,alice/base" })).await;
    release(&house, "alice/base", "tool", "1.0").await;
    assert_eq!(listed(&house, "alice/top", "tool").await, ["tool-1.0-py3-none-any.whl"]);
    let path = house.file_path_in("alice/top", "tool", "tool-1.0-py3-none-any.whl").await;
    assert!(path.starts_with("/alice/base/+f/"), "{path}");
    // Through the index that was asked it is the same file.
    assert_eq!(house.get(&path.replace("/alice/base/", "/alice/top/")).await.status, 200);
    release(&house, "alice/base", "tool", "2.0").await;
    assert_eq!(listed(&house, "alice/top", "tool").await.len(), 2, "a change of a base is seen at once");
    // A circle does no harm.
    assert_eq!(house.api("PATCH", "/alice/base", ALICE, json!({ "bases": "alice/top" })).await.status, 200);
    assert_eq!(listed(&house, "alice/top", "tool").await.len(), 2);
    house.end().await;
}

#[tokio::test]
async fn an_upstream_that_cannot_be_asked_is_not_a_page_that_lacks_releases() {
    let house = private_house().await;
    evil(&house, "tool");
    release(&house, "alice/dev", "tool", "1.0").await;
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, json!(["mirror_whitelist=*"])).await.status, 200);
    house.upstream.set_down(true);
    assert_eq!(house.get("/alice/dev/+simple/tool/").await.status, 502);
    assert_eq!(house.get("/alice/dev/+simple/other/").await.status, 502, "never a false 404");
    house.upstream.set_down(false);
    house.end().await;
}

//! Read-protected indexes and tokens.

use super::{ALICE, Auth, BOB, ROOT, listed, make_index, private_house, release, upload};
use crate::support::house::basic;
use crate::support::wheel;
use serde_json::json;
use sidewheel::index::TokenWish;
use sidewheel::names::{IndexName, UserName};

#[tokio::test]
async fn a_protected_index_is_401_for_nobody_and_403_for_others_and_never_404() {
    let house = private_house().await;
    make_index(&house, "alice/secret", json!({ "bases": "root/pypi", "acl_read": "alice" })).await;
    make_index(&house, "bob/top", json!({ "bases": "alice/secret" })).await;
    release(&house, "alice/secret", "demo", "1.0").await;
    let path = {
        let page = house
            .get_as("/alice/secret/+simple/demo/", ALICE, &[("Accept", "application/vnd.pypi.simple.v1+json")])
            .await;
        assert_eq!((page.status, page.header("cache-control")), (200, "no-cache, private"));
        page.json()["files"][0]["url"].as_str().unwrap().replace("../../", "/alice/secret/")
    };
    let bases = ["/alice/secret", "/bob/top"];
    for base in bases {
        for way in ["/+simple/demo/", "/+simple/none/", "/+simple/", "", "/demo", "/demo/1.0"] {
            let answer = house.get_as(&format!("{base}{way}"), None, &[]).await;
            assert_eq!(answer.status, 401, "{base}{way}");
            assert!(answer.header("www-authenticate").starts_with("Basic realm="));
        }
        let wrong = house.get_as(&format!("{base}/+simple/demo/"), Some(("alice", "wrong")), &[]).await;
        assert_eq!(wrong.status, 401, "{base}");
    }
    for way in ["/+simple/demo/", "/+simple/none/", "", "/demo"] {
        assert_eq!(house.get_as(&format!("/alice/secret{way}"), BOB, &[]).await.status, 403, "{way}");
        assert_eq!(house.get_as(&format!("/bob/top{way}"), BOB, &[]).await.status, 403, "{way}: through a base");
    }
    for (auth, status) in [(None, 401), (BOB, 403), (ALICE, 200), (ROOT, 200)] {
        for ending in ["", ".metadata"] {
            let answer = house.get_as(&format!("{path}{ending}"), auth, &[]).await;
            assert_eq!(answer.status, status, "{auth:?} {ending}");
            assert!(status != 200 || answer.header("cache-control").contains("private"));
        }
    }
    let all = house.api("GET", "/", None, json!({})).await.json();
    assert!(all["result"]["alice"]["indexes"]["secret"].is_null(), "its settings are not shown either");
    assert!(!house.get("/").await.text().contains("secret"));
    house.end().await;
}

#[tokio::test]
async fn a_token_does_what_it_is_made_for_and_no_more() {
    let house = private_house().await;
    make_index(&house, "alice/secret", json!({ "bases": [], "acl_read": "alice" })).await;
    let token = |index: Option<&str>, read, upload, expires| {
        let wish = TokenWish {
            user: UserName::parse("alice").unwrap(),
            name: "ci".to_owned(),
            index: index.map(|index| IndexName::parse(index).unwrap()),
            read,
            upload,
            expires,
        };
        let house = &house;
        async move { house.index.create_token(wish).await.unwrap().expose().to_owned() }
    };
    let up = token(Some("alice/dev"), false, true, None).await;
    let read = token(Some("alice/secret"), true, false, None).await;
    let past = token(None, true, true, Some(1)).await;
    let bytes = wheel("demo", "1.0", 100, 1);
    for (user, secret, index, status) in [
        ("__token__", &up, "alice/dev", 200),
        ("alice", &up, "alice/dev", 200),
        ("bob", &up, "alice/dev", 401),
        ("__token__", &up, "alice/secret", 403),
        ("__token__", &read, "alice/dev", 403),
        ("__token__", &past, "alice/dev", 401),
    ] {
        let answer = upload(&house, index, Some((user, secret)), "demo", "1.0", &bytes).await;
        assert_eq!(answer.status, status, "{user} {index}: {}", answer.text());
    }
    let reader: Auth<'_> = Some(("__token__", &read));
    assert_eq!(house.get_as("/alice/secret/+simple/", reader, &[]).await.status, 200);
    assert_eq!(house.get_as("/alice/secret/+simple/", Some(("__token__", &up)), &[]).await.status, 403);
    // No token changes users or indexes, or deletes.
    for (method, path, body) in [
        ("PATCH", "/alice", json!({ "password": "x" })),
        ("PUT", "/alice/more", json!({})),
        ("PATCH", "/alice/dev", json!({ "volatile": false })),
        ("DELETE", "/alice/dev", json!({})),
        ("DELETE", "/alice/dev/demo", json!({})),
        ("POST", "/+login", json!({ "user": "alice", "password": up })),
    ] {
        let answer = house.api(method, path, Some(("__token__", &up)), body).await;
        assert!(matches!(answer.status, 401 | 403), "{method} {path}: {}", answer.status);
    }
    let id =
        house.index.tokens(None).await.unwrap().into_iter().find(|row| row.upload && row.expires.is_none()).unwrap().id;
    assert!(house.index.revoke_token(&id).await.unwrap());
    assert_eq!(
        upload(&house, "alice/dev", Some(("__token__", &up)), "demo", "2.0", &bytes).await.status,
        401,
        "at once"
    );
    house.end().await;
}

#[tokio::test]
async fn credentials_are_believed_on_every_request_without_being_checked_on_each() {
    let house = private_house().await;
    make_index(&house, "alice/secret", json!({ "bases": [], "acl_read": "alice" })).await;
    release(&house, "alice/secret", "demo", "1.0").await;
    for _ in 0..50 {
        assert_eq!(house.get_as("/alice/secret/+simple/demo/", ALICE, &[]).await.status, 200);
    }
    // devpi's own header wins, and what is no credential is nobody.
    let good = basic(ALICE.unwrap());
    for (name, value, status) in [
        ("X-Devpi-Auth", good.clone(), 200),
        ("Authorization", format!("Basic {good}"), 200),
        ("Authorization", format!("basic {good}"), 200),
        ("Authorization", "Basic ?".to_owned(), 401),
        ("Authorization", "Basic".to_owned(), 401),
    ] {
        let answer = house.get_with("/alice/secret/+simple/demo/", &[(name, &value)]).await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    assert_eq!(listed(&house, "alice/dev", "none").await.len(), 0);
    house.end().await;
}

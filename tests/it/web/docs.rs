//! Uploaded documents: served out of their archive, in a sandbox, to who may read the index.

use super::Browser;
use crate::private::{ALICE, Auth, BOB, make_index, private_house, release};
use crate::support::house::{Answer, House};
use serde_json::json;
use std::io::{Cursor, Write};

const INDEX: &[u8] = b"<!doctype html><title>demo</title><script src=x.js></script><a href=sub/>sub</a>";

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

async fn upload(house: &House, index: &str, auth: Auth<'_>, version: &str, members: &[(&str, &[u8])]) -> Answer {
    let fields = [(":action", "doc_upload"), ("name", "demo"), ("version", version)];
    house.post_form(&format!("/{index}/"), auth, &fields, Some(("demo.zip", &zip_of(members)))).await
}

/// demo 1.0 with documents, 2.0rc1 with others, 3.0 without.
async fn documented() -> House {
    let house = private_house().await;
    for version in ["1.0", "2.0rc1", "3.0"] {
        release(&house, "alice/dev", "demo", version).await;
    }
    let members: [(&str, &[u8]); 5] = [
        ("index.html", INDEX),
        ("sub/index.html", b"sub"),
        ("x.js", b"alert(1)"),
        ("style.css", b"p {}"),
        ("objects.inv", b"inv"),
    ];
    let stored = upload(&house, "alice/dev", ALICE, "1.0", &members).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(upload(&house, "alice/dev", ALICE, "2.0rc1", &[("index.html", b"candidate")]).await.status, 200);
    house
}

#[tokio::test]
async fn members_are_served_in_a_sandbox_without_scripts() {
    let house = documented().await;
    for (path, content_type, body) in [
        ("", "text/html; charset=utf-8", INDEX),
        ("index.html", "text/html; charset=utf-8", INDEX),
        ("sub/", "text/html; charset=utf-8", b"sub"),
        ("x.js", "text/javascript; charset=utf-8", b"alert(1)"),
        ("style.css", "text/css; charset=utf-8", b"p {}"),
        ("objects.inv", "application/octet-stream", b"inv"),
    ] {
        let path = format!("/alice/dev/demo/1.0/+doc/{path}");
        let answer = house.get(&path).await;
        assert_eq!((answer.status, answer.header("content-type"), &*answer.body), (200, content_type, body), "{path}");
        let policy = answer.header("content-security-policy");
        let mut directives = policy.split(';').map(str::trim);
        let sandbox = directives.next().unwrap().split(' ').collect::<Vec<_>>();
        assert_eq!(sandbox[0], "sandbox", "{policy}");
        assert!(!sandbox.contains(&"allow-scripts"), "{policy}");
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(answer.header("cache-control"), "max-age=60, public");
        let attached = answer.header("content-disposition") == "attachment";
        assert_eq!(attached, content_type == "application/octet-stream", "{path}");
        let head = house.head(&path).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        for name in ["content-type", "content-length", "etag", "content-security-policy", "cache-control"] {
            assert_eq!(head.header(name), answer.header(name), "HEAD {path}: {name}");
        }
        let same = house.get_with(&path, &[("If-None-Match", answer.header("etag"))]).await;
        assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, answer.header("etag")), "{path}");
        assert!(same.header("content-security-policy").contains("sandbox"));
    }
    assert_eq!(house.private_files().len(), 3 + 3 + 2, "wheels, their metadata, archives: nothing is unpacked");
    house.end().await;
}

#[tokio::test]
async fn links_find_their_slash_and_versions_their_documents() {
    let house = documented().await;
    make_index(&house, "bob/top", json!({ "bases": "alice/dev" })).await;
    let to = |path: &str| format!("/alice/dev/demo/1.0/+doc/{path}");
    for (path, location) in [
        ("/alice/dev/demo/1.0/+doc", to("")),
        ("/alice/dev/demo/1.0/+doc/sub", to("sub/")),
        ("/alice/dev/demo/1.0/+d/index.html", to("index.html")),
    ] {
        let answer = house.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (302, &*location), "{path}");
    }
    for (version, body) in [("stable", INDEX), ("latest", b"candidate"), ("1", INDEX), ("2.0.0rc1", b"candidate")] {
        for index in ["alice/dev", "bob/top"] {
            let answer = house.get(&format!("/{index}/demo/{version}/+doc/")).await;
            assert_eq!((answer.status, &*answer.body), (200, body), "{index} {version}: {}", answer.text());
        }
    }
    for path in ["demo/1.0/+doc/none.html", "demo/3.0/+doc/", "demo/9/+doc/", "other/1.0/+doc/", "demo/1.0/+doc/sub/x/"]
    {
        assert_eq!(house.get(&format!("/alice/dev/{path}")).await.status, 404, "{path}");
    }
    // The first index of the order counts.
    let wheel = crate::support::wheel("demo", "1.0", 10, 1);
    let released = crate::private::upload(&house, "bob/top", BOB, "demo", "1.0", &wheel).await;
    assert_eq!(released.status, 200, "{}", released.text());
    let own = upload(&house, "bob/top", BOB, "1.0", &[("index.html", b"bob's")]).await;
    assert_eq!(own.status, 200, "{}", own.text());
    assert_eq!(house.get("/bob/top/demo/1.0/+doc/").await.text(), "bob's");
    assert_eq!(house.get("/alice/dev/demo/1.0/+doc/").await.body, INDEX);
    house.end().await;
}

#[tokio::test]
async fn archives_that_lead_out_or_swell_are_not_served() {
    let house = documented().await;
    let refused =
        upload(&house, "alice/dev", ALICE, "3.0", &[("index.html", b"x"), ("../../root-password", b"x")]).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    for path in ["../../../../root-password", "%2e%2e/%2e%2e/private.db", "..%2findex.html", "sub/../index.html", "%00"]
    {
        // The client would tidy the path before it asks.
        let asked =
            format!("GET /alice/dev/demo/1.0/+doc/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = house.raw(asked.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "404"].contains(&status), "{path}: {answer}");
    }
    let zeros = vec![0; 33 * 1024 * 1024];
    let bomb = upload(&house, "alice/dev", ALICE, "3.0", &[("index.html", b"x"), ("big.txt", &zeros)]).await;
    assert_eq!(bomb.status, 200, "{}", bomb.text());
    let answer = house.get("/alice/dev/demo/3.0/+doc/big.txt").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("too large"), "{}", answer.text());
    assert_eq!(house.get("/alice/dev/demo/3.0/+doc/").await.status, 200);
    house.end().await;
}

#[tokio::test]
async fn documents_are_read_by_who_may_read_the_index() {
    let house = documented().await;
    let set = house.api("PATCH", "/alice/dev", ALICE, json!({ "acl_read": ["alice"] })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let path = "/alice/dev/demo/1.0/+doc/";
    assert_eq!(house.get_as(path, None, &[]).await.status, 401);
    assert_eq!(house.get_as(path, BOB, &[]).await.status, 403);
    let way = house.get_with(path, &[("Accept", "text/html")]).await;
    assert_eq!((way.status, way.header("location")), (303, "/+login?next=%2Falice%2Fdev%2Fdemo%2F1.0%2F%2Bdoc%2F"));
    let bob = Browser::logged_in(&house, BOB).await;
    assert_eq!(bob.get(path).await.status, 403);
    for answer in [house.get_as(path, ALICE, &[]).await, Browser::logged_in(&house, ALICE).await.get(path).await] {
        assert_eq!((answer.status, &*answer.body), (200, INDEX), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-cache, private");
        assert!(answer.header("vary").contains("Cookie"));
    }
    house.end().await;
}

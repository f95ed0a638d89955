//! How the answers of private indexes are headed: who may keep them, where they lead, and what HEAD hears.

use super::{ALICE, BOB, ROOT, make_index, private_house, release};
use crate::support::house::{Answer, House};
use serde_json::json;

/// One path as alice, who may read everything here.
async fn ask(house: &House, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let auth = format!("Basic {}", crate::support::house::basic(ALICE.unwrap()));
    house.request(method, path, &[&[("Authorization", &*auth)], headers].concat()).await.unwrap()
}

const JSON: (&str, &str) = ("Accept", "application/json");
const SIMPLE: (&str, &str) = ("Accept", "application/vnd.pypi.simple.v1+json");

#[tokio::test]
async fn no_shared_cache_may_keep_what_was_shown_to_one() {
    let house = private_house().await;
    make_index(&house, "alice/secret", json!({ "bases": "root/pypi", "acl_read": "alice" })).await;
    release(&house, "alice/secret", "demo", "1.0").await;
    let page = ask(&house, "GET", "/alice/secret/+simple/demo/", &[SIMPLE]).await;
    let path = page.json()["files"][0]["url"].as_str().unwrap().replace("../../", "/alice/secret/");
    let tox = house.api("POST", &path, ALICE, json!({ "testenvs": {} })).await.json();
    let tox = format!("/{}", tox["result"].as_str().unwrap());
    let metadata = format!("{path}.metadata");
    for (path, headers, status) in [
        ("/alice/secret/+simple/", &[][..], 200),
        ("/alice/secret/+simple/", &[SIMPLE], 200),
        ("/alice/secret/+simple/demo/", &[], 200),
        ("/alice/secret/+simple/demo/", &[SIMPLE], 200),
        ("/alice/secret/+simple/none/", &[], 404),
        ("/alice/secret/", &[("User-Agent", "pip/26.3")], 302),
        ("/alice/secret", &[JSON], 200),
        ("/alice/secret/demo", &[JSON], 200),
        ("/alice/secret/demo/1.0", &[JSON], 200),
        ("/alice", &[JSON], 200),
        ("/", &[JSON], 200),
        ("/+api", &[JSON], 200),
        ("/alice/secret/+api", &[JSON], 200),
        ("/+status", &[], 200),
        (&path, &[], 200),
        (&path, &[JSON], 200),
        (&path, &[("Range", "bytes=0-9")], 206),
        (&path, &[("Range", "bytes=999999999-")], 416),
        (&metadata, &[], 200),
        (&metadata, &[JSON], 200),
        (&tox, &[], 200),
        (&tox, &[JSON], 200),
    ] {
        let answer = ask(&house, "GET", path, headers).await;
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.text());
        not_shared(&answer, path);
        let head = ask(&house, "HEAD", path, headers).await;
        let whole = if answer.status == 206 || answer.status == 416 { 200 } else { answer.status };
        assert_eq!((head.status, head.body.len()), (whole, 0), "HEAD {path} {headers:?}");
        if whole == answer.status {
            let names = ["content-type", "content-length", "cache-control", "vary", "etag", "location", "allow"];
            for name in names.into_iter().filter(|name| *name != "content-length" || path != "/+status") {
                assert_eq!(head.header(name), answer.header(name), "HEAD {path} {headers:?}: {name}");
            }
        }
        if !answer.header("etag").is_empty() && status == 200 {
            let same = [headers, &[("If-None-Match", answer.header("etag"))]].concat();
            let same = ask(&house, "GET", path, &same).await;
            assert_eq!(same.status, 304, "{path}");
            not_shared(&same, path);
        }
        for auth in [None, BOB] {
            let refused = house.get_as(path, auth, headers).await;
            not_shared(&refused, path);
        }
    }
    house.end().await;
}

/// Anybody may post results to a public index; on a protected one he would learn which files there are.
#[tokio::test]
async fn results_are_taken_from_readers_only() {
    let house = private_house().await;
    make_index(&house, "alice/secret", json!({ "bases": [], "acl_read": "alice" })).await;
    release(&house, "alice/secret", "demo", "1.0").await;
    let page = ask(&house, "GET", "/alice/secret/+simple/demo/", &[SIMPLE]).await;
    let path = page.json()["files"][0]["url"].as_str().unwrap().replace("../../", "/alice/secret/");
    for (auth, status) in [(None, 401), (BOB, 403), (ALICE, 200)] {
        for (path, status) in [(&path, status), (&path.replace("1.0", "2.0"), if status == 200 { 404 } else { status })]
        {
            let answer = house.api("POST", path, auth, json!({ "testenvs": {} })).await;
            assert_eq!(answer.status, status, "{auth:?} {path}: {}", answer.text());
        }
    }
    house.end().await;
}

fn not_shared(answer: &Answer, path: &str) {
    let caching = answer.header("cache-control");
    assert!(caching.contains("private") || caching.contains("no-store"), "{path} {}: {caching:?}", answer.status);
    assert!(!caching.contains("public"), "{path} {}: {caching:?}", answer.status);
}

#[tokio::test]
async fn names_outside_ascii_are_encoded_wherever_they_lead() {
    let house = private_house().await;
    for (method, path, body, status) in [
        ("PUT", "/j%C3%BCrgen", json!({ "password": "x" }), 201),
        ("PUT", "/j%C3%BCrgen/d%C3%A9v", json!({ "bases": "root/pypi" }), 200),
    ] {
        let made = house.api(method, path, ROOT, body).await;
        assert_eq!(made.status, status, "{}", made.text());
    }
    let at = "/j%C3%BCrgen/d%C3%A9v";
    for (method, path, headers, location) in [
        ("GET", format!("{at}/"), &[("User-Agent", "pip/26.3")][..], format!("{at}/+simple/")),
        ("GET", format!("{at}/demo"), &[("User-Agent", "uv/0.9")], format!("{at}/+simple/demo/")),
        ("GET", format!("{at}/Demo"), &[], format!("{at}/demo")),
        ("GET", format!("{at}/+simple/Demo"), &[], format!("{at}/+simple/demo/")),
        ("POST", format!("{at}/+simple/demo/refresh"), &[], format!("{at}/+simple/demo/")),
    ] {
        let answer = house.request(method, &path, headers).await.unwrap();
        assert!(matches!(answer.status, 301 | 302), "{method} {path}: {} {}", answer.status, answer.text());
        assert_eq!(answer.header("location"), location, "{method} {path}");
    }
    let api = house.get(&format!("{at}/+api")).await.json();
    for key in ["index", "simpleindex", "pypisubmit"] {
        let url = api["result"][key].as_str().unwrap();
        assert!(url.contains(at), "{key}: {url}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    let auth = format!("Basic {}", crate::support::house::basic(ALICE.unwrap()));
    for guard in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
    ] {
        for (method, path) in [
            ("POST", "/+login"),
            ("PUT", "/alice/more"),
            ("PATCH", "/alice"),
            ("DELETE", "/alice"),
            ("PATCH", "/alice/dev"),
            ("DELETE", "/alice/dev"),
            ("POST", "/alice/dev/"),
            ("PUSH", "/alice/dev"),
            ("DELETE", "/alice/dev/demo"),
            ("DELETE", "/alice/dev/demo/1.0"),
            ("PATCH", "/alice/dev/demo/1.0"),
            ("POST", "/alice/dev/+simple/demo/refresh"),
            ("POST", "/alice/dev/demo/refresh"),
        ] {
            let headers = [("Authorization", &*auth), guard];
            let answer = house.request_with(method, path, &headers, b"{}").await;
            assert_eq!(answer.status, 403, "{method} {path} {guard:?}: {}", answer.text());
        }
    }
    assert_eq!(super::listed(&house, "alice/dev", "demo").await.len(), 1);
    house.end().await;
}

/// devpi-client forgets its login at a 401 with a place to log in at: only who sent it one shall hear of that.
#[tokio::test]
async fn every_401_says_how_to_prove_oneself_and_few_where() {
    let house = private_house().await;
    let wrong = crate::support::house::basic(("alice", "wrong"));
    let right = crate::support::house::basic(ALICE.unwrap());
    let basic = format!("Basic {wrong}");
    let login = serde_json::to_vec(&json!({ "user": "alice", "password": "wrong" })).unwrap();
    for (method, path, headers, body, location) in [
        ("PATCH", "/alice", vec![], &b"{}"[..], false),
        ("PATCH", "/alice", vec![("Authorization", &*basic)], b"{}", false),
        ("PATCH", "/alice", vec![("X-Devpi-Auth", &*wrong)], b"{}", true),
        ("POST", "/+login", vec![("X-Devpi-Auth", &*right)], &login, false),
    ] {
        let answer = house.request_with(method, path, &headers, body).await;
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
        assert!(answer.header("www-authenticate").starts_with("Basic realm="), "{method} {path} {headers:?}");
        assert_eq!(answer.header("location").ends_with("/+login"), location, "{method} {path} {headers:?}");
    }
    house.end().await;
}

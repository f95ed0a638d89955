//! `/+search`: what is found, by whom, and what it costs others: nothing.

use crate::private::{ALICE, Auth, BOB, ROOT, make_index, private_house, private_house_with, upload};
use crate::support::house::{Answer, House, Options};
use crate::support::{wheel, wheel_filename};
use serde_json::{Value, json};
use std::time::Duration;

const LIST: &str = "/simple/";

/// Waits until all that has changed can be searched.
async fn settle(house: &House) {
    for _ in 0..1_000 {
        if house.index.under_way() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what has changed is not learned");
}

async fn search(house: &House, query: &str, auth: Auth<'_>) -> Value {
    let answer = house.get_as(&format!("/+search?{query}"), auth, &[("Accept", "application/json")]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text());
    answer.json()
}

/// What is found, as `index project`.
async fn found(house: &House, query: &str, auth: Auth<'_>) -> Vec<String> {
    let answer = search(house, query, auth).await;
    let hits = answer["hits"].as_array().unwrap();
    hits.iter().map(|hit| format!("{} {}", hit["index"].as_str().unwrap(), hit["project"].as_str().unwrap())).collect()
}

async fn register(house: &House, index: &str, auth: Auth<'_>, name: &str, summary: &str) {
    let fields = [
        (":action", "submit"),
        ("name", name),
        ("version", "1.0"),
        ("summary", summary),
        ("keywords", "colours,paint"),
        ("classifiers", "Topic :: Artistic Software"),
    ];
    let answer = house.post_form(&format!("/{index}/"), auth, &fields, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn list(house: &House, names: &[&str]) {
    let projects: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
    let body = json!({ "meta": { "api-version": "1.0" }, "projects": projects }).to_string();
    house.upstream.put(LIST, "application/vnd.pypi.simple.v1+json", body);
}

fn mirrored(house: &House, name: &str, version: &str) {
    house.upstream.project(name).wheel(&wheel_filename(name, version), wheel(name, version, 100, 1));
}

async fn want_list(house: &House, index: &str, auth: Auth<'_>) -> Answer {
    house.api("POST", &format!("/+search?index={index}"), auth, json!({})).await
}

/// What is said of the whole list of root/pypi.
async fn standing(house: &House) -> Value {
    let answer = search(house, "q=", None).await;
    answer["lists"].as_array().unwrap().iter().find(|list| list["index"] == "root/pypi").unwrap().clone()
}

#[tokio::test]
async fn what_is_ours_is_found_by_name_and_by_what_it_says() {
    let house = private_house().await;
    register(&house, "alice/dev", ALICE, "Acme_Brushes", "Draws lines on a canvas").await;
    register(&house, "alice/dev", ALICE, "acme-easel", "Holds the picture").await;
    settle(&house).await;
    for (query, expected) in [
        ("q=acme-brushes", vec!["alice/dev acme-brushes"]),
        ("q=ACME.br", vec!["alice/dev acme-brushes"]),
        ("query=brush", vec!["alice/dev acme-brushes"]),
        ("q=acme", vec!["alice/dev acme-easel", "alice/dev acme-brushes"]),
        ("q=canvas+lines", vec!["alice/dev acme-brushes"]),
        ("q=pict", vec!["alice/dev acme-easel"]),
        ("q=picutre", vec!["alice/dev acme-easel"]),
        ("q=acme-burshes", vec!["alice/dev acme-brushes"]),
        ("q=artistic&index=alice/dev", vec!["alice/dev acme-brushes", "alice/dev acme-easel"]),
        ("q=acme&index=root/pypi", vec![]),
        ("q=nothing", vec![]),
    ] {
        let mut hits = found(&house, query, None).await;
        if query.contains("artistic") {
            hits.sort();
        }
        assert_eq!(hits, expected, "{query}");
    }
    let answer = search(&house, "q=brushes", None).await;
    let hit = &answer["hits"][0];
    let told = ["kind", "why", "version", "summary", "path"].map(|key| hit[key].as_str().unwrap());
    assert_eq!(told, ["private", "words", "1.0", "Draws lines on a canvas", "/alice/dev/acme-brushes"]);
    house.upstream.assert_untouched().await;
    house.end().await;
}

#[tokio::test]
async fn the_page_shows_what_the_json_says_and_escapes_it() {
    let house = private_house().await;
    register(&house, "alice/dev", ALICE, "acme-brushes", "<script>alert(1)</script> & more").await;
    settle(&house).await;
    let page = house.get_with("/+search?q=brush%22%3E%3Cscript%3E", &[("Accept", "text/html")]).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(!page.text().contains("<script>"), "{}", page.text());
    let page = house.get_with("/+search?q=brush", &[("Accept", "text/html")]).await.text();
    assert!(page.contains("href=\"/alice/dev/acme-brushes\"") && page.contains("&lt;script&gt;alert(1)"), "{page}");
    let json = house.get_with("/+search?q=brush&format=json", &[("Accept", "text/html")]).await;
    assert_eq!(json.header("content-type"), "application/json");
    house.end().await;
}

#[tokio::test]
async fn a_private_name_is_invisible_to_others() {
    let house = private_house().await;
    make_index(&house, "alice/secret", json!({ "bases": "root/pypi", "acl_read": ["alice"] })).await;
    make_index(&house, "alice/above", json!({ "bases": "alice/secret" })).await;
    register(&house, "alice/secret", ALICE, "acme-plans", "Plans that nobody knows").await;
    register(&house, "alice/above", ALICE, "acme-roof", "Above the acme-plans").await;
    settle(&house).await;
    for query in ["q=acme-plans", "q=plans", "q=nobody", "q=acme-plnas", "q=acme"] {
        for auth in [None, BOB] {
            assert_eq!(found(&house, query, auth).await, [""; 0], "{query}");
        }
        assert!(found(&house, query, ALICE).await.contains(&"alice/secret acme-plans".to_owned()), "{query}");
    }
    for auth in [None, BOB] {
        for index in ["alice/secret", "alice/above"] {
            let path = format!("/+search?q=acme&index={index}");
            let answer = house.get_as(&path, auth, &[("Accept", "application/json")]).await;
            assert!(matches!(answer.status, 401 | 403), "{}", answer.text());
        }
    }
    assert_eq!(found(&house, "q=plans&index=alice/above", ALICE).await.len(), 2);
    // Who may not read the index is not told of the name by what is missing elsewhere either.
    list(&house, &["acme-plans", "acme-roof"]);
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    settle(&house).await;
    assert_eq!(found(&house, "q=acme-plans", BOB).await, ["root/pypi acme-plans"]);
    assert_eq!(found(&house, "q=acme-plans", ALICE).await, ["alice/secret acme-plans", "alice/above acme-roof"]);
    house.end().await;
}

#[tokio::test]
async fn an_owned_or_reserved_name_is_shown_as_ours_alone() {
    let house = private_house().await;
    make_index(&house, "alice/reserved", json!({ "bases": "root/pypi", "reserved": ["corp-*"] })).await;
    mirrored(&house, "acme-tools", "1.0");
    assert_eq!(house.page("acme-tools").await.status, 200);
    settle(&house).await;
    assert_eq!(found(&house, "q=acme-tools", None).await, ["root/pypi acme-tools"]);
    register(&house, "alice/dev", ALICE, "acme-tools", "Ours").await;
    list(&house, &["acme-tools", "acme-toolz", "corp-secret"]);
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    settle(&house).await;
    for query in ["q=acme-tools", "q=acme-tools&index=alice/dev"] {
        let hits = found(&house, query, None).await;
        assert_eq!(hits.iter().filter(|hit| hit.ends_with("acme-tools")).collect::<Vec<_>>(), ["alice/dev acme-tools"]);
    }
    assert_eq!(found(&house, "q=corp-secret", None).await, [""; 0]);
    assert_eq!(found(&house, "q=corp-secret&index=alice/reserved", None).await, [""; 0]);
    assert_eq!(found(&house, "q=corp-secret&index=alice/dev", None).await, ["root/pypi corp-secret"]);
    // The name stays owned when its project goes.
    assert_eq!(house.api("DELETE", "/alice/dev/acme-tools", ALICE, json!({})).await.status, 200);
    let hits = found(&house, "q=acme-tools", None).await;
    assert!(hits.iter().all(|hit| hit.ends_with("acme-toolz")), "{hits:?}");
    house.end().await;
}

#[tokio::test]
async fn what_is_removed_is_gone_at_once() {
    let house = private_house().await;
    register(&house, "alice/dev", ALICE, "acme-brushes", "Draws").await;
    make_index(&house, "bob/dev", json!({ "bases": "", "volatile": true })).await;
    register(&house, "bob/dev", BOB, "acme-chairs", "To sit on").await;
    settle(&house).await;
    assert_eq!(found(&house, "q=acme", None).await.len(), 2);
    assert_eq!(house.api("DELETE", "/alice/dev/acme-brushes", ALICE, json!({})).await.status, 200);
    assert_eq!(found(&house, "q=acme", None).await, ["bob/dev acme-chairs"]);
    assert_eq!(house.api("DELETE", "/bob/dev", BOB, json!({})).await.status, 201);
    assert_eq!(found(&house, "q=acme", None).await, [""; 0]);
    house.end().await;
}

#[tokio::test]
async fn a_cached_project_is_found_by_what_its_wheel_says_and_after_a_restart() {
    let house = private_house().await;
    mirrored(&house, "paintbox", "1.0");
    mirrored(&house, "paintbox", "2.0rc1");
    assert_eq!(house.page("paintbox").await.status, 200);
    settle(&house).await;
    let asked = house.upstream.requests().len();
    let answer = search(&house, "q=paintb", None).await;
    let hit = &answer["hits"][0];
    assert_eq!((hit["kind"].as_str(), hit["version"].as_str()), (Some("cached"), Some("1.0")));
    let house = house.restart(|_| {}).await;
    assert_eq!(found(&house, "q=panitbox", None).await, ["root/pypi paintbox"]);
    assert_eq!(found(&house, "q=paintbox&index=alice/dev", None).await, ["root/pypi paintbox"]);
    assert_eq!(house.upstream.requests().len(), asked, "a search asks nobody");
    house.end().await;
}

#[tokio::test]
async fn what_is_known_is_made_again_when_the_database_is_lost() {
    let house = private_house().await;
    register(&house, "alice/dev", ALICE, "acme-brushes", "Draws").await;
    settle(&house).await;
    for file in ["sidewheel.db", "sidewheel.db-wal", "sidewheel.db-shm"] {
        let _ = std::fs::rename(house.data().join(file), house.data().join(format!("lost-{file}")));
    }
    let house = house.restart(|_| {}).await;
    settle(&house).await;
    assert_eq!(found(&house, "q=draws", None).await, ["alice/dev acme-brushes"]);
    house.end().await;
}

#[tokio::test]
async fn the_whole_list_is_fetched_once_and_only_when_somebody_asks() {
    let house = private_house().await;
    list(&house, &["Requests", "requests-toolbelt", "Flask", "zope.interface"]);
    assert_eq!(found(&house, "q=requests", None).await, [""; 0]);
    assert_eq!(standing(&house).await["state"], "absent");
    for (auth, status) in [(None, 401), (ALICE, 403)] {
        assert_eq!(want_list(&house, "root/pypi", auth).await.status, status);
    }
    assert_eq!(want_list(&house, "alice/dev", ROOT).await.status, 400);
    assert_eq!(want_list(&house, "no-name", ROOT).await.status, 400);
    house.upstream.assert_untouched().await;

    let gate = house.upstream.hold(LIST);
    for _ in 0..3 {
        assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    }
    house.upstream.asked(LIST, 1).await;
    assert_eq!(standing(&house).await["state"], "fetching");
    assert_eq!(found(&house, "q=requests", None).await, [""; 0], "a search during the fetch answers");
    gate.release();
    settle(&house).await;
    let ready = standing(&house).await;
    assert_eq!((ready["state"].as_str(), ready["names"].as_u64()), (Some("ready"), Some(4)));
    for (query, first) in [("q=requ", "requests"), ("q=toolbelt", "requests-toolbelt"), ("q=falsk", "flask")] {
        assert_eq!(found(&house, query, None).await[0], format!("root/pypi {first}"), "{query}");
    }
    let answer = search(&house, "q=flask", None).await;
    let hit = &answer["hits"][0];
    assert_eq!((hit["kind"].as_str(), hit["summary"].is_null()), (Some("listed"), true));
    let house = house.restart(|_| {}).await;
    assert_eq!(found(&house, "q=zope", None).await, ["root/pypi zope-interface"]);
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    settle(&house).await;
    assert_eq!(house.upstream.count(LIST), 1, "the list is young");
    house.end().await;
}

#[tokio::test]
async fn a_search_renews_a_list_that_is_a_day_old() {
    let house = private_house().await;
    list(&house, &["one"]);
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    settle(&house).await;
    house.clock.advance(Duration::from_secs(90_000));
    list(&house, &["one", "oneself"]);
    assert_eq!(found(&house, "q=one", None).await, ["root/pypi one"], "the old one is there meanwhile");
    settle(&house).await;
    assert_eq!(found(&house, "q=one", None).await, ["root/pypi one", "root/pypi oneself"]);
    assert_eq!(house.upstream.count(LIST), 2);
    // An upstream that fails is left alone for a while.
    house.clock.advance(Duration::from_secs(90_000));
    house.upstream.set_down(true);
    for _ in 0..3 {
        assert_eq!(found(&house, "q=one", None).await.len(), 2);
        settle(&house).await;
    }
    house.end().await;
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_told() {
    let house = private_house().await;
    house.upstream.put(LIST, "application/vnd.pypi.simple.v1+json", "{\"projects\":3}");
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    settle(&house).await;
    assert_eq!(standing(&house).await["state"], "failed");
    list(&house, &["one"]);
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    settle(&house).await;
    assert_eq!(standing(&house).await["state"], "ready");
    house.end().await;
    let house = private_house_with(Options { offline: true, ..Options::default() }).await;
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 400);
    house.end().await;
}

#[tokio::test]
async fn a_damaged_file_of_names_is_made_anew() {
    let house = private_house().await;
    list(&house, &["one", "two"]);
    let before = house.cached();
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    settle(&house).await;
    let is_names = |path: &std::path::PathBuf| std::fs::read(path).unwrap().ends_with(b"SWNAMES1");
    let names: Vec<_> = house.cached().into_iter().filter(|path| !before.contains(path) && is_names(path)).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let mut bytes = std::fs::read(&names[0]).unwrap();
    bytes[10] ^= 0xff;
    std::fs::write(&names[0], bytes).unwrap();
    assert_eq!(found(&house, "q=one", None).await, [""; 0]);
    settle(&house).await;
    assert_eq!(found(&house, "q=one", None).await, ["root/pypi one"]);
    assert_eq!(house.upstream.count(LIST), 1);
    house.end().await;
}

#[tokio::test]
async fn hits_come_in_pages() {
    let house = private_house().await;
    let names: Vec<_> = (0..50).map(|n| format!("part-{n:02}")).collect();
    list(&house, &names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(want_list(&house, "root/pypi", ROOT).await.status, 202);
    settle(&house).await;
    let mut all = Vec::new();
    for page in 1..=3 {
        let answer = search(&house, &format!("q=part&page={page}"), None).await;
        assert_eq!(answer["more"], page < 3);
        all.extend(answer["hits"].as_array().unwrap().iter().map(|hit| hit["project"].as_str().unwrap().to_owned()));
    }
    assert_eq!(all, names);
    house.end().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let house = private_house().await;
    let long = format!("q={}", "x".repeat(201));
    let many = format!("q={}", "x+".repeat(9));
    for (query, status) in [
        (long.as_str(), 400),
        (many.as_str(), 400),
        ("q=x&index=nobody", 400),
        ("q=x&index=no/where", 404),
        ("q=%ff%00%22%27%29OR+1%3D1", 200),
        ("q=NEAR(a+b)+col:x*+AND", 200),
        ("q=x&page=-1", 200),
        ("q=x&page=99999999999999999999", 200),
        ("", 200),
    ] {
        let answer = house.get_with(&format!("/+search?{query}"), &[("Accept", "application/json")]).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        let page = house.get_with(&format!("/+search?{query}"), &[("Accept", "text/html")]).await;
        assert!(matches!(page.status, 200 | 400 | 404), "{query}: {}", page.text());
    }
    assert_eq!(house.request_with("DELETE", "/+search", &[], b"").await.status, 405);
    house.end().await;
}

#[tokio::test]
async fn uploads_are_found_with_their_latest_version() {
    let house = private_house().await;
    for version in ["1.0", "1.10", "1.9", "2.0a1"] {
        let bytes = wheel("acme-paint", version, 500, 1);
        assert_eq!(upload(&house, "alice/dev", ALICE, "acme-paint", version, &bytes).await.status, 200);
    }
    settle(&house).await;
    let answer = search(&house, "q=acme-paint", None).await;
    assert_eq!(answer["hits"][0]["version"], "1.10");
    house.end().await;
}

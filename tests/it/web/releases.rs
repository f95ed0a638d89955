use super::Browser;
use crate::private::{ALICE, BOB, ROOT, listed, make_index, private_house, release};
use crate::support::{wheel, wheel_filename};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_release_is_yanked_with_a_reason_and_taken_back() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let page = alice.get("/alice/dev/demo/1.0").await.text();
    assert!(page.contains("/+do/yank") && page.contains("name=\"back\" value=\"/alice/dev/demo/1.0\""), "{page}");
    let yanked = || async {
        let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
        house.get_with("/alice/dev/+simple/demo/", &[accept]).await.json()["files"][0]["yanked"].clone()
    };
    let what = [("index", "alice/dev"), ("project", "demo"), ("version", "1.0"), ("back", "/alice/dev/demo/1.0")];
    let done = alice.act("yank", &[&what[..], &[("reason", " broken <b> ")]].concat()).await;
    assert_eq!((done.status, done.header("location")), (303, "/alice/dev/demo/1.0?done=yanked"), "{}", done.text());
    assert_eq!(yanked().await, json!("broken <b>"));
    let page = alice.get("/alice/dev/demo/1.0?done=yanked").await.text();
    assert!(
        page.contains("It is yanked") && page.contains("broken &lt;b&gt;") && page.contains("/+do/unyank"),
        "{page}"
    );
    assert_eq!(alice.act("unyank", &what).await.status, 303);
    assert_eq!(yanked().await, json!(null));
    let long = "x".repeat(2_001);
    let refused = alice.act("yank", &[&what[..], &[("reason", &*long)]].concat()).await;
    assert!(refused.status == 400 && refused.text().contains("at most 2000 bytes"), "{}", refused.text());
    // One file, by its address.
    let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
    let place = path.split("/+f/").nth(1).unwrap().rsplit_once('/').unwrap().0.to_owned();
    let filename = wheel_filename("demo", "1.0");
    let file = [("index", "alice/dev"), ("project", "demo"), ("file", &*filename), ("place", &*place)];
    assert_eq!(alice.act("yank", &file).await.header("location"), "/alice/dev/demo?done=yanked");
    assert_eq!(yanked().await, json!(true));
    for wrong in
        [vec![("project", "demo")], vec![("index", "alice/dev")], vec![("index", "alice/dev"), ("project", "demo")]]
    {
        assert_eq!(alice.act("yank", &wrong).await.status, 400, "{wrong:?}");
    }
    let none = [("index", "alice/dev"), ("project", "demo"), ("version", "9")];
    assert_eq!(alice.act("yank", &none).await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn a_release_is_promoted_and_the_page_tells_what_was_done() {
    let house = private_house().await;
    let bytes = release(&house, "alice/dev", "demo", "1.0").await;
    make_index(&house, "alice/prod", json!({ "volatile": false })).await;
    make_index(&house, "bob/dev", json!({})).await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let page = alice.get("/alice/dev/demo/1.0").await.text();
    assert!(page.contains("<option value=\"alice/prod\"") && !page.contains("<option value=\"bob/dev\""), "{page}");
    let what = [("index", "alice/dev"), ("project", "demo"), ("version", "1.0"), ("docs", "yes")];
    let done = alice.act("promote", &[&what[..], &[("target", "alice/prod")]].concat()).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(
        done.text().contains("store_releasefile") && done.text().contains("href=\"/alice/prod/demo\""),
        "{}",
        done.text()
    );
    let path = house.file_path_in("alice/prod", "demo", &wheel_filename("demo", "1.0")).await;
    assert_eq!(house.get(&path).await.body, bytes);
    let refused = alice.act("promote", &[&what[..], &[("target", "bob/dev")]].concat()).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(listed(&house, "bob/dev", "demo").await, Vec::<String>::new());
    let nowhere = alice.act("promote", &[&what[..], &[("target", "alice/none")]].concat()).await;
    assert_eq!(nowhere.status, 404, "{}", nowhere.text());
    house.end().await;
}

#[tokio::test]
async fn a_cached_project_is_refreshed_by_readers_and_purged_by_who_may_change_the_mirror() {
    let house = private_house().await;
    let filename = wheel_filename("pkg", "1.0");
    house.upstream.project("pkg").wheel(&filename, wheel("pkg", "1.0", 1000, 7));
    let path = house.file_path("pkg", &filename).await;
    house.get(&path).await;
    // Its metadata is read out of it as soon as somebody wants to know what it is.
    assert!(!house.cached().is_empty());
    let (bob, root) = (Browser::logged_in(&house, BOB).await, Browser::logged_in(&house, ROOT).await);
    let what = [("index", "root/pypi"), ("project", "pkg"), ("back", "/root/pypi/pkg")];
    let page = bob.get("/root/pypi/pkg").await.text();
    assert!(page.contains("/+do/refresh") && !page.contains("/+do/purge"), "{page}");
    assert!(root.get("/root/pypi/pkg").await.text().contains("/+do/purge"));
    // What was asked for a moment ago is new enough.
    house.clock.advance(Duration::from_secs(60));
    let before = house.upstream.requests().len();
    let refreshed = bob.act("refresh", &what).await;
    assert_eq!(refreshed.header("location"), "/root/pypi/pkg?done=refreshed", "{}", refreshed.text());
    assert!(house.upstream.requests().len() > before, "upstream was not asked");
    let cached = house.cached().len();
    assert_eq!(bob.act("purge", &what).await.status, 403);
    assert_eq!(house.cached().len(), cached);
    let purged = root.act("purge", &what).await;
    assert_eq!(purged.header("location"), "/root/pypi/pkg?done=purged", "{}", purged.text());
    assert_eq!(house.cached().len(), 0);
    let stage = [("index", "alice/dev"), ("project", "pkg")];
    assert_eq!(root.act("purge", &stage).await.status, 400);
    assert_eq!(root.act("purge", &[("index", "root/pypi"), ("project", "")]).await.status, 400);
    house.end().await;
}

#[tokio::test]
async fn a_file_that_not_everybody_may_read_is_downloaded_within_a_session() {
    let house = private_house().await;
    let bytes = release(&house, "alice/dev", "demo", "1.0").await;
    let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let link = format!("href=\"{path}\"");
    assert!(alice.get("/alice/dev/demo/1.0").await.text().contains(&link), "a public file needs no form");
    house.api("PATCH", "/alice/dev", ALICE, json!({ "acl_read": ["alice"] })).await;
    let page = alice.get("/alice/dev/demo/1.0").await.text();
    assert!(page.contains(&format!("name=\"file\" value=\"{path}\"")) && !page.contains(&link), "{page}");
    assert_eq!(house.get_with(&path, &[("Cookie", &alice.cookie)]).await.status, 401, "the API took a cookie");
    let file = alice.act("download", &[("file", &path)]).await;
    assert_eq!((file.status, &file.body[..]), (200, &bytes[..]));
    assert_eq!(file.header("content-disposition"), "attachment");
    assert!(file.header("cache-control").ends_with("private"), "{}", file.header("cache-control"));
    let bob = Browser::logged_in(&house, BOB).await;
    assert_eq!(bob.act("download", &[("file", &path)]).await.status, 403);
    for wrong in ["", "/alice/dev", "//evil.example/x", "https://evil.example/"] {
        assert_eq!(alice.act("download", &[("file", wrong)]).await.status, 400, "{wrong}");
    }
    house.end().await;
}

//! Pages that anybody reads: what is there, where it comes from, and why there is not more.

use super::Browser;
use crate::private::{ALICE, BOB, make_index, private_house, release, upload};
use crate::support::house::{Answer, House};
use crate::support::{wheel, wheel_filename};
use serde_json::json;

/// Most bytes of a page (the bound, for a project with 40,000 files).
const PAGE_BYTES_MAX: usize = 300_000;

async fn page(house: &House, path: &str) -> String {
    let answer = Browser::new(house).get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    whole(path, &answer)
}

/// What holds for every page.
fn whole(path: &str, answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
    assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    let text = answer.text();
    assert!(!text.contains("<style") && !text.contains(" style="), "{path}: the policy forbids styles in a page");
    for script in text.split("<script").skip(1) {
        assert!(script.starts_with(" defer src=\"/+static/"), "{path}: {}", &script[..script.len().min(60)]);
    }
    text
}

#[tokio::test]
async fn every_place_has_a_page_and_programs_still_get_json() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    for (path, words) in [
        ("/", ["alice/dev", "root/pypi"]),
        ("/alice", ["alice/dev", "Indexes"]),
        ("/alice/dev", ["demo", "1.0"]),
        ("/alice/dev/demo", ["demo-1.0-py3-none-any.whl", "has no description"]),
        ("/alice/dev/demo/1.0", ["demo-1.0-py3-none-any.whl", "demo==1.0"]),
        ("/alice/dev/demo/latest", ["demo-1.0-py3-none-any.whl", "demo==1.0"]),
        ("/alice/dev/demo/stable", ["demo-1.0-py3-none-any.whl", "demo==1.0"]),
    ] {
        let text = page(&house, path).await;
        words.iter().for_each(|word| assert!(text.contains(word), "{path} does not say {word}: {text}"));
        let json = house.get_with(path, &[("Accept", "application/json")]).await;
        assert_eq!((json.status, json.header("content-type")), (200, "application/json"), "{path}");
        let head = house.request("HEAD", path, &[("Accept", "text/html")]).await.unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
    }
    for path in ["/nobody", "/alice/none", "/alice/dev/none", "/alice/dev/demo/9", "/a/b/c/d/e/f/g"] {
        let answer = Browser::new(&house).get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        whole(path, &answer);
    }
    house.end().await;
}

#[tokio::test]
async fn a_hidden_index_is_on_no_page_of_those_who_may_not_read_it() {
    let house = private_house().await;
    make_index(&house, "alice/secret", json!({ "acl_read": "alice" })).await;
    release(&house, "alice/secret", "hush", "1.0").await;
    let (alice, bob) = (Browser::logged_in(&house, ALICE).await, Browser::logged_in(&house, BOB).await);
    for path in ["/", "/alice"] {
        assert!(!page(&house, path).await.contains("alice/secret"), "{path}");
        assert!(!bob.get(path).await.text().contains("alice/secret"), "{path}");
        assert!(alice.get(path).await.text().contains("alice/secret"), "{path}");
    }
    for path in ["/alice/secret", "/alice/secret/hush", "/alice/secret/hush/1.0", "/alice/secret/none"] {
        let nobody = Browser::new(&house).get(path).await;
        assert_eq!(nobody.status, 303, "{path}: {}", nobody.text());
        assert_eq!(bob.get(path).await.status, 403, "{path}");
    }
    assert_eq!(alice.get("/alice/secret/hush/1.0").await.status, 200);
    house.end().await;
}

#[tokio::test]
async fn a_private_name_says_why_nothing_comes_from_the_mirror() {
    let house = private_house().await;
    house.upstream.project("demo").wheel("demo-9.0-py3-none-any.whl", wheel("demo", "9.0", 10, 1));
    release(&house, "alice/dev", "demo", "1.0").await;
    let text = page(&house, "/alice/dev/demo").await;
    assert!(text.contains("Private name.") && !text.contains("9.0"), "{text}");
    assert_eq!(house.upstream.count_prefix("/simple/demo"), 0, "a private name is never asked upstream");
    let open = json!({ "bases": "root/pypi", "mirror_whitelist": "demo" });
    let opened = house.api("PATCH", "/alice/dev", ALICE, open).await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    let text = page(&house, "/alice/dev/demo").await;
    assert!(text.contains("9.0") && text.contains("1.0") && !text.contains("Private name."), "{text}");
    house.end().await;
}

#[tokio::test]
async fn a_mirrored_release_is_described_by_its_metadata() {
    let house = private_house().await;
    let filename = wheel_filename("demo", "2.0");
    house.upstream.project("demo").wheel(&filename, wheel("demo", "2.0", 5_000, 1)).with_metadata();
    let text = page(&house, "/root/pypi/demo").await;
    assert!(text.contains("A test") && text.contains("at upstream") && !text.contains(">cached<"), "{text}");
    let path = house.file_path("demo", &filename).await;
    assert_eq!(house.get(&path).await.status, 200);
    house.index.write_books().await;
    let text = page(&house, "/root/pypi/demo").await;
    assert!(text.contains(">cached<") && text.contains("1 ×"), "{text}");
    let text = page(&house, "/root/pypi").await;
    assert!(text.contains("/root/pypi/demo") && text.contains("1 ×"), "{text}");
    house.end().await;
}

#[tokio::test]
async fn a_release_without_wheels_is_described_by_the_legacy_api() {
    let house = private_house().await;
    house.upstream.project("demo").wheel("demo-2.0.tar.gz", vec![1; 100]);
    let info = json!({ "info": { "summary": "Told by JSON", "description": "# Long", "license": null,
        "description_content_type": "text/markdown" } });
    house.upstream.put("/pypi/demo/2.0/json", "application/json", info.to_string());
    let text = page(&house, "/root/pypi/demo").await;
    assert!(text.contains("Told by JSON") && text.contains("Long</h"), "{text}");
    house.end().await;
}

#[tokio::test]
async fn a_mirror_that_is_down_is_named_and_the_rest_is_shown() {
    let house = private_house().await;
    let open = json!({ "bases": "root/pypi", "mirror_whitelist": "*" });
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, open).await.status, 200);
    release(&house, "alice/dev", "demo", "1.0").await;
    house.upstream.set_down(true);
    let text = page(&house, "/alice/dev/demo").await;
    assert!(text.contains("1.0") && text.contains("cannot be asked at the moment"), "{text}");
    house.upstream.set_down(false);
    house.end().await;
}

#[tokio::test]
async fn what_is_yanked_says_so_and_why() {
    let house = private_house().await;
    for version in ["1.0", "1.1"] {
        release(&house, "alice/dev", "demo", version).await;
    }
    let yank = house.api("PATCH", "/alice/dev/demo/1.1", ALICE, json!({ "yanked": "it <breaks>" })).await;
    assert_eq!(yank.status, 200, "{}", yank.text());
    let text = page(&house, "/alice/dev/demo").await;
    assert!(text.contains("it &lt;breaks&gt;") && !text.contains("<breaks>"), "{text}");
    assert!(text.contains("Files of 1.0"), "what is yanked is not what is shown first");
    assert!(page(&house, "/alice/dev/demo/1.1").await.contains("Yanked."));
    house.end().await;
}

#[tokio::test]
async fn a_project_with_forty_thousand_files_is_a_small_page() {
    let house = private_house().await;
    let files: Vec<_> = (0..40_000)
        .map(|at| {
            let filename = format!("demo-{}.{}-py3-none-any.whl", at / 40, at % 40);
            let url = format!("{}/files/{filename}", house.upstream.origin());
            json!({ "filename": filename, "url": url, "size": 10, "hashes": { "sha256": format!("{at:064x}") },
                "upload-time": "2026-01-01T00:00:00.000000Z", "requires-python": ">=3.8" })
        })
        .collect();
    let listed = json!({ "meta": { "api-version": "1.1" }, "name": "demo", "files": files, "versions": ["1.0"] });
    house.upstream.put("/simple/demo/", "application/vnd.pypi.simple.v1+json", listed.to_string());
    let mut pages = 0;
    for path in
        ["/root/pypi/demo", "/root/pypi/demo?page=400", "/root/pypi/demo/999.39", "/root/pypi/demo?page=9999999"]
    {
        let text = page(&house, path).await;
        assert!(text.len() < PAGE_BYTES_MAX, "{path}: {} bytes", text.len());
        pages += usize::from(text.contains("999.39"));
    }
    assert_eq!(pages, 4, "the newest release is named on each of them");
    house.end().await;
}

#[tokio::test]
async fn names_and_texts_from_outside_are_escaped() {
    let house = private_house().await;
    let evil = "<img src=x onerror=alert(1)>\"'&";
    let title = json!({ "title": evil, "description": evil });
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, title.clone()).await.status, 200);
    assert_eq!(house.api("PATCH", "/alice", ALICE, title).await.status, 200);
    let bytes = wheel("demo", "1.0", 10, 1);
    let fields = [
        (":action", "file_upload"),
        ("name", "demo"),
        ("version", "1.0"),
        ("filetype", "bdist_wheel"),
        ("summary", evil),
        ("author", evil),
        ("license", evil),
        ("keywords", evil),
        ("classifiers", evil),
        ("project_urls", "<b>, https://example.org/\"onclick=alert(1)"),
        ("requires_dist", "<b>; extra == '<b>'"),
    ];
    let file = (wheel_filename("demo", "1.0"), bytes);
    let answer = house.post_form("/alice/dev/", ALICE, &fields, Some((&file.0, &file.1))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for path in
        ["/", "/alice", "/alice/dev", "/alice/dev/demo", "/alice/dev/demo/1.0", "/alice/dev?filter=%3Cimg%20src"]
    {
        let text = page(&house, path).await;
        assert!(!text.contains("<img src=x") && !text.contains("<b>") && !text.contains("\"onclick"), "{path}: {text}");
    }
    assert!(page(&house, "/alice/dev?filter=%3Cimg%20src").await.contains("&lt;img src"));
    house.end().await;
}

#[tokio::test]
async fn long_lists_have_pages_and_a_filter() {
    let house = private_house().await;
    for at in 0..3 {
        let name = format!("demo-{at}");
        let answer = upload(&house, "alice/dev", ALICE, &name, "1.0", &wheel(&name, "1.0", 10, at)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let text = page(&house, "/alice/dev?filter=-1").await;
    assert!(text.contains("demo-1") && !text.contains("demo-2"), "{text}");
    assert!(page(&house, "/alice/dev?filter=zzz").await.contains("No project"));
    assert!(page(&house, "/alice/dev?page=7").await.contains("demo-2"), "a page outside is the last there is");
    house.end().await;
}

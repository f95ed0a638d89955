//! The journey of a page, against an upstream that counts and misbehaves.

use crate::support::house::{House, Options, PAGE_TTL};
use crate::support::upstream::Misbehaviour;
use crate::support::{wheel, wheel_filename};
use sidewheel::metrics::{Kind, Tier};
use std::time::Duration;

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const PAGE: &str = "/root/pypi/+simple/demo/";

async fn with_demo() -> House {
    let house = House::start().await;
    add_release(&house, "1.0");
    house
}

fn add_release(house: &House, version: &str) {
    house.upstream.project("demo").wheel(&wheel_filename("demo", version), wheel("demo", version, 1000, 1));
}

#[tokio::test]
async fn a_page_is_fetched_once_and_then_served_from_memory() {
    let house = with_demo().await;
    let cold = house.page("demo").await;
    assert_eq!((cold.status, cold.tier()), (200, "miss"));
    let warm = house.page("demo").await;
    assert_eq!((warm.status, warm.tier()), (200, "memory"));
    assert_eq!(cold.body, warm.body);
    assert_eq!(house.upstream.count("/simple/demo/"), 1);
    let file = &warm.json()["files"][0];
    assert!(file["url"].as_str().unwrap().starts_with("../../+f/"), "{file}");
    for key in ["hashes", "size", "upload-time", "filename"] {
        assert!(!file[key].is_null(), "{key} is gone: {file}");
    }
    assert_eq!(house.metrics.answered_times(Kind::Page, Tier::Memory), 1);
    house.end().await;
}

#[tokio::test]
async fn the_form_follows_the_accept_field() {
    let house = with_demo().await;
    let html = "text/html; charset=utf-8";
    for (accept, content_type) in [
        (None, html),
        (Some("*/*"), html),
        (Some("text/html"), html),
        (Some(JSON), JSON),
        (
            Some("application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"),
            JSON,
        ),
        (Some("application/vnd.pypi.simple.latest+json"), JSON),
    ] {
        let headers: Vec<_> = accept.map(|accept| ("Accept", accept)).into_iter().collect();
        let page = house.get_with(PAGE, &headers).await;
        assert_eq!((page.status, page.header("content-type")), (200, content_type), "{accept:?}");
        assert_eq!(page.header("vary"), "Accept, Accept-Encoding");
        assert_eq!(page.header("content-length"), page.body.len().to_string());
    }
    let asked = house.get(&format!("{PAGE}?format={JSON}")).await;
    assert_eq!(asked.header("content-type"), JSON);
    assert_eq!(house.get_with(PAGE, &[("Accept", "image/png;q=1, text/html;q=0, */*;q=0")]).await.status, 406);
    assert_eq!(house.upstream.count("/simple/demo/"), 1, "forms are rendered, not fetched");
    house.end().await;
}

#[tokio::test]
async fn a_page_is_compressed_and_conditional() {
    let house = House::start().await;
    for minor in 0..30 {
        add_release(&house, &format!("1.{minor}"));
    }
    let plain = house.page("demo").await;
    for encoding in ["gzip", "zstd", "br"] {
        let headers = [("Accept", JSON), ("Accept-Encoding", encoding)];
        let page = house.get_with(PAGE, &headers).await;
        assert_eq!(page.header("content-encoding"), encoding);
        assert!(page.body.len() < plain.body.len() / 2, "{encoding} does not compress");
        assert_eq!(page.header("content-length"), page.body.len().to_string());
        assert_ne!(page.header("etag"), plain.header("etag"), "another representation, the same strong tag");
        let again = house.get_with(PAGE, &[headers[0], headers[1], ("If-None-Match", page.header("etag"))]).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(again.header("etag"), page.header("etag"));
    }
    let (gzip, etag) = (("Accept-Encoding", "gzip"), plain.header("etag").to_owned());
    let other = house.get_with(PAGE, &[("Accept", JSON), gzip, ("If-None-Match", &etag)]).await;
    assert_eq!(other.status, 200, "the tag of the plain page is not that of the compressed one");
    let max_age: u64 = plain.header("cache-control").split(['=', ',']).nth(1).unwrap().parse().unwrap();
    assert!(max_age <= 600);
    house.end().await;
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let house = with_demo().await;
    let (get, head) = (house.page("demo").await, house.head(PAGE).await);
    assert_eq!((head.status, head.body.len()), (200, 0));
    let html = house.get(PAGE).await;
    for name in ["content-length", "etag", "content-type", "vary", "cache-control"] {
        assert_eq!(head.header(name), html.header(name), "{name}");
    }
    assert_eq!(get.status, 200);
    house.end().await;
}

#[tokio::test]
async fn other_spellings_lead_to_the_one_page() {
    let house = with_demo().await;
    for (path, location) in [
        ("/root/pypi/+simple/demo", PAGE),
        ("/root/pypi/+simple/Demo/", PAGE),
        ("/root/pypi/%2Bsimple/DEMO/?format=x", "/root/pypi/+simple/demo/?format=x"),
        ("/simple/Demo", "/simple/demo/"),
        ("/root/pypi/+simple", "/root/pypi/+simple/"),
    ] {
        let answer = house.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (301, location), "{path}");
    }
    for path in ["/root/pypi/%2Bsimple/demo/", "/root/pypi/+simple//demo/", "//root/pypi/+simple/demo/"] {
        assert_eq!(house.get(path).await.status, 200, "{path}");
    }
    assert_eq!(house.request("POST", PAGE, &[]).await.unwrap().status, 405);
    assert_eq!(house.request("DELETE", PAGE, &[]).await.unwrap().header("allow"), "GET, HEAD");
    assert_eq!(house.get("/root/none/+simple/demo/").await.status, 404);
    assert_eq!(house.get("/nothing/here/at/all").await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn the_alias_has_links_that_lead_to_the_same_files() {
    let house = with_demo().await;
    let page = house.get_with("/simple/demo/", &[("Accept", JSON)]).await.json();
    let url = page["files"][0]["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("../../").unwrap();
    assert_eq!(house.get(&format!("/{path}")).await.status, 200, "{url}");
    house.end().await;
}

#[tokio::test]
async fn fifty_first_clients_get_the_full_page_from_one_request() {
    let house = with_demo().await;
    let gate = house.upstream.hold("demo");
    let asking = (0..50).map(|_| house.page("demo"));
    let release = async {
        gate.reached(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.release();
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), release);
    for answer in &answers {
        assert_eq!((answer.status, answer.json()["files"].as_array().unwrap().len()), (200, 1));
    }
    assert_eq!(house.upstream.count("/simple/demo/"), 1);
    house.end().await;
}

#[tokio::test]
async fn a_page_that_ran_out_is_asked_about_and_a_change_is_seen() {
    let house = with_demo().await;
    house.page("demo").await;
    house.clock.advance(PAGE_TTL);
    assert_eq!(house.page("demo").await.status, 200);
    let seen = house.upstream.requests();
    assert!(seen.last().unwrap().header("if-none-match").is_some(), "upstream was not asked conditionally");
    add_release(&house, "2.0");
    assert_eq!(
        house.page("demo").await.json()["files"].as_array().unwrap().len(),
        1,
        "fresh pages are not asked about"
    );
    house.clock.advance(PAGE_TTL);
    assert_eq!(house.page("demo").await.json()["files"].as_array().unwrap().len(), 2);
    assert_eq!(house.upstream.count("/simple/demo/"), 3);
    house.end().await;
}

#[tokio::test]
async fn an_upstream_without_validators_costs_no_writes() {
    let house = with_demo().await;
    house.upstream.set_etags(false);
    let first = house.page("demo").await;
    house.clock.advance(PAGE_TTL);
    let second = house.page("demo").await;
    assert_eq!(first.header("etag"), second.header("etag"));
    assert_eq!(house.metrics.happened_times(sidewheel::metrics::Event::PageUnchanged), 1);
    assert_eq!(house.metrics.happened_times(sidewheel::metrics::Event::PageChanged), 1);
    house.end().await;
}

#[tokio::test]
async fn the_same_page_under_a_new_tag_is_asked_about_by_the_new_tag() {
    let house = with_demo().await;
    house.upstream.set_etags(false);
    let first = house.page("demo").await;
    house.upstream.set_etags(true);
    house.clock.advance(PAGE_TTL);
    house.page("demo").await;
    house.clock.advance(PAGE_TTL);
    assert_eq!(house.page("demo").await.body, first.body);
    let seen = house.upstream.requests();
    assert!(seen.last().unwrap().header("if-none-match").is_some(), "the tag was not taken over");
    house.end().await;
}

#[tokio::test]
async fn no_cache_asks_upstream_but_not_in_a_storm() {
    let house = with_demo().await;
    house.page("demo").await;
    add_release(&house, "2.0");
    let headers = [("Accept", JSON), ("Cache-Control", "no-cache")];
    for _ in 0..20 {
        house.get_with(PAGE, &headers).await;
    }
    assert_eq!(house.upstream.count("/simple/demo/"), 1, "asked about within five seconds");
    house.clock.advance(Duration::from_secs(6));
    let newer = house.get_with(PAGE, &headers).await;
    assert_eq!(newer.json()["files"].as_array().unwrap().len(), 2);
    house.clock.advance(Duration::from_secs(6));
    house.get_with(PAGE, &[("Accept", JSON), ("Cache-Control", "max-age=0")]).await;
    assert_eq!(house.upstream.count("/simple/demo/"), 2, "pip before 26.2 always sends max-age=0");
    house.end().await;
}

#[tokio::test]
async fn when_upstream_is_gone_old_pages_are_served_and_new_ones_are_no_404() {
    let house = with_demo().await;
    let good = house.page("demo").await;
    house.upstream.set_down(true);
    house.clock.advance(PAGE_TTL);
    let stale = house.page("demo").await;
    assert_eq!((stale.status, stale.tier(), stale.header("cache-control")), (200, "stale", "no-cache"));
    assert_eq!(stale.body, good.body);
    let unknown = house.page("other").await;
    assert_eq!(unknown.status, 502, "{}", unknown.text());
    assert!(!unknown.header("retry-after").is_empty());
    assert_eq!(house.metrics.answered_times(Kind::Page, Tier::Stale), 1);
    house.upstream.set_down(false);
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.page("demo").await.tier(), "miss", "upstream is back");
    house.end().await;
}

#[tokio::test]
async fn errors_of_upstream_are_no_404() {
    let house = with_demo().await;
    for how in [
        Misbehaviour::Status(500),
        Misbehaviour::Status(503),
        Misbehaviour::Status(403),
        Misbehaviour::Reset,
        Misbehaviour::Garbage,
        Misbehaviour::Truncate(100),
        Misbehaviour::HtmlInsteadOfJson,
        Misbehaviour::WrongName,
        Misbehaviour::DeepJson,
        Misbehaviour::ContentType("image/png"),
        Misbehaviour::GzipBomb,
        Misbehaviour::TruncatedGzip,
    ] {
        let what = format!("{how:?}");
        house.upstream.misbehave_always("demo", how);
        let answer = house.page("demo").await;
        assert!((502..=504).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        house.upstream.behave("demo");
    }
    assert_eq!(house.page("demo").await.status, 200, "nothing of it was kept");
    house.end().await;
}

#[tokio::test]
async fn a_good_page_is_replaced_only_by_a_valid_one() {
    let house = with_demo().await;
    house.upstream.set_etags(false);
    let good = house.page("demo").await;
    for how in [
        Misbehaviour::Truncate(100),
        Misbehaviour::HtmlInsteadOfJson,
        Misbehaviour::WrongName,
        Misbehaviour::DeepJson,
        Misbehaviour::Status(500),
        Misbehaviour::Garbage,
    ] {
        let what = format!("{how:?}");
        house.clock.advance(PAGE_TTL + Duration::from_secs(120));
        house.upstream.misbehave_always("demo", how);
        let answer = house.page("demo").await;
        assert_eq!((answer.status, answer.tier()), (200, "stale"), "{what}");
        assert_eq!(answer.body, good.body, "{what}");
        house.upstream.behave("demo");
    }
    house.end().await;
}

#[tokio::test]
async fn a_real_404_is_believed_for_half_a_minute() {
    let house = House::start().await;
    for _ in 0..3 {
        assert_eq!(house.page("demo").await.status, 404);
    }
    assert_eq!(house.upstream.count("/simple/demo/"), 1);
    add_release(&house, "1.0");
    house.clock.advance(Duration::from_secs(31));
    assert_eq!(house.page("demo").await.status, 200);
    house.end().await;
}

#[tokio::test]
async fn after_a_restart_pages_are_served_before_upstream_is_asked() {
    let house = with_demo().await;
    let before = house.page("demo").await;
    house.clock.advance(PAGE_TTL * 2);
    let house = house.restart(|_| {}).await;
    house.upstream.forget_requests();
    let gate = house.upstream.hold("demo");
    let after = house.page("demo").await;
    assert_eq!((after.status, after.tier()), (200, "disk"));
    assert_eq!(after.body, before.body);
    gate.reached(1).await;
    gate.release();
    house.end().await;
}

#[tokio::test]
async fn the_serial_never_goes_back() {
    let house = House::start().await;
    let page = |serial: u64, version: &str| {
        format!(
            r#"{{"meta":{{"api-version":"1.1","_last-serial":{serial}}},"name":"demo","versions":["{version}"],
            "files":[{{"filename":"demo-{version}.tar.gz","url":"{}","hashes":{{"sha256":"{}"}},"size":3}}]}}"#,
            house.upstream.url(&format!("/files/demo-{version}.tar.gz")),
            "ab".repeat(32),
        )
    };
    house.upstream.put("/simple/demo/", JSON, page(7, "1.0"));
    let first = house.page("demo").await;
    assert_eq!(first.header("x-pypi-last-serial"), "7");
    house.upstream.put("/simple/demo/", JSON, page(6, "2.0"));
    house.clock.advance(PAGE_TTL);
    let second = house.page("demo").await;
    assert_eq!((second.tier(), second.header("x-pypi-last-serial")), ("stale", "7"));
    assert_eq!(second.body, first.body);
    house.end().await;
}

#[tokio::test]
async fn an_html_upstream_works_as_well() {
    let house = House::start().await;
    let bytes = wheel("demo", "1.0", 1000, 1);
    let filename = wheel_filename("demo", "1.0");
    house.upstream.project("demo").html_only().wheel(&filename, bytes.clone());
    let path = house.file_path("demo", &filename).await;
    assert_eq!(house.get(&path).await.body, bytes);
    assert_eq!(house.page("demo").await.json()["meta"]["api-version"], "1.0");
    house.end().await;
}

#[tokio::test]
async fn a_second_mirror_of_bare_html_pages_has_names_of_its_own() {
    let house = with_demo().await;
    let (filename, bytes) = ("torch-2.9.0+cpu-cp313-cp313-linux_x86_64.whl", wheel("torch", "2.9.0+cpu", 5000, 1));
    house.upstream.put("/mirror/torch-2.9.0%2Bcpu-cp313-cp313-linux_x86_64.whl", "binary/octet-stream", bytes.clone());
    // Relative links, a fragment, an attribute, no sizes, another directory than the page's.
    let page = r#"<!DOCTYPE html><html><body><h1>Links for torch</h1>
        <a href="../../mirror/torch-2.9.0%2Bcpu-cp313-cp313-linux_x86_64.whl#sha256=DIGEST"
           data-requires-python="&gt;=3.10">torch-2.9.0+cpu-cp313-cp313-linux_x86_64.whl</a><br/>
        <a href="/mirror/torch-2.8.0.tar.gz">torch-2.8.0.tar.gz</a><br/></body></html>"#;
    house.upstream.put("/whl/torch/", "text/html", page.replace("DIGEST", &crate::support::sha256(&bytes)));
    let page = house.get_with("/team/torch/+simple/torch/", &[("Accept", JSON)]).await.json();
    let files = page["files"].as_array().unwrap();
    assert_eq!((files.len(), files[0]["filename"].as_str()), (2, Some(filename)), "{page}");
    assert_eq!((&files[0]["requires-python"], &page["meta"]["api-version"]), (&">=3.10".into(), &"1.0".into()));
    let path = files[0]["url"].as_str().unwrap().strip_prefix("../../").unwrap();
    assert_eq!(house.get(&format!("/team/torch/{path}")).await.body, bytes);
    assert_eq!(house.get(&format!("/root/pypi/{path}")).await.status, 404, "the other index does not list it");
    assert_eq!(house.get("/team/torch/+simple/demo/").await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn offline_lists_only_what_is_there() {
    let house = with_demo().await;
    add_release(&house, "2.0");
    let path = house.file_path("demo", &wheel_filename("demo", "1.0")).await;
    let bytes = house.get(&path).await.body;
    house.upstream.set_down(true);
    let house = house.restart(|options| options.offline = true).await;
    let page = house.page("demo").await.json();
    let names: Vec<_> = page["files"].as_array().unwrap().iter().map(|file| file["filename"].clone()).collect();
    assert_eq!(names, [wheel_filename("demo", "1.0")]);
    assert_eq!(house.get(&path).await.body, bytes);
    assert_eq!(house.page("other").await.status, 504);
    let list = house.get_with("/root/pypi/+simple/", &[("Accept", JSON)]).await;
    assert_eq!(list.json()["projects"][0]["name"], "demo");
    house.end().await;
}

#[tokio::test]
async fn the_list_of_projects_is_kept_compressed() {
    let house = House::start().await;
    let names: Vec<_> = (0..2000).map(|n| format!(r#"{{"name":"Project.{n}","_last-serial":{n}}}"#)).collect();
    let list = format!(r#"{{"meta":{{"api-version":"1.1","_last-serial":9}},"projects":[{}]}}"#, names.join(","));
    house.upstream.put("/simple/", JSON, list);
    let cold = house.get_with("/root/pypi/+simple/", &[("Accept", JSON)]).await;
    assert_eq!((cold.status, cold.tier()), (200, "miss"), "{}", cold.text());
    assert_eq!(cold.json()["projects"].as_array().unwrap().len(), 2000);
    assert_eq!(cold.header("content-length"), cold.body.len().to_string());
    assert_eq!(cold.header("x-pypi-last-serial"), "9");
    let gzip = house.get_with("/root/pypi/+simple/", &[("Accept", JSON), ("Accept-Encoding", "gzip")]).await;
    assert_eq!((gzip.tier(), gzip.header("content-encoding")), ("disk", "gzip"));
    assert!(gzip.body.len() * 3 < cold.body.len());
    let html = house.get("/simple/").await.text();
    assert!(html.contains(r#"<a href="project-7/">"#), "{}", &html[..500]);
    assert_eq!(house.upstream.count("/simple/"), 1);
    let etag = gzip.header("etag").to_owned();
    let headers = [("Accept", JSON), ("Accept-Encoding", "gzip"), ("If-None-Match", &*etag)];
    assert_eq!(house.get_with("/root/pypi/+simple/", &headers).await.status, 304);
    house.end().await;
}

#[tokio::test]
async fn legacy_json_leads_to_our_files() {
    let house = with_demo().await;
    let filename = wheel_filename("demo", "1.0");
    let path = house.file_path("demo", &filename).await;
    let digest = house.page("demo").await.json()["files"][0]["hashes"]["sha256"].clone();
    let file =
        format!(r#"{{"filename":"{filename}","url":"https://elsewhere.example/x","digests":{{"sha256":{digest}}}}}"#);
    let body = format!(r#"{{"info":{{"name":"demo"}},"releases":{{"1.0":[{file}]}},"urls":[{file}],"last_serial":3}}"#);
    house.upstream.put("/pypi/demo/json", "application/json", body.clone());
    house.upstream.put("/pypi/demo/1.0/json", "application/json", body);
    for (at, up) in [("/pypi/demo/json", "../../"), ("/pypi/demo/1.0/json", "../../../")] {
        let answer = house.get(at).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{}", answer.text());
        let url = answer.json()["urls"][0]["url"].as_str().unwrap().to_owned();
        assert_eq!(format!("/{}", url.strip_prefix(up).unwrap()), path);
        assert_eq!(answer.json()["releases"]["1.0"][0]["url"], url);
        assert_eq!(house.get(at).await.tier(), "memory");
    }
    assert_eq!(house.upstream.count("/pypi/demo/json"), 1);
    assert_eq!(house.get("/pypi/other/json").await.status, 404);
    house.end().await;
}

/// A page of `count` files.
fn long_page(house: &House, count: u32) -> String {
    let file = |n: u32| {
        format!(
            r#"{{"filename":"demo-1.{n}.tar.gz","url":"{}","hashes":{{"sha256":"{n:064x}"}},"size":3,"requires-python":">=3.8","upload-time":"2026-01-01T00:00:00.000000Z","yanked":false}}"#,
            house.upstream.url(&format!("/files/demo-1.{n}.tar.gz")),
        )
    };
    let files: Vec<_> = (0..count).map(file).collect();
    let versions: Vec<_> = (0..count).map(|n| format!("\"1.{n}\"")).collect();
    format!(
        r#"{{"meta":{{"api-version":"1.1"}},"name":"demo","versions":[{}],"files":[{}]}}"#,
        versions.join(","),
        files.join(",")
    )
}

#[tokio::test]
async fn a_page_that_is_read_while_it_arrives_is_whole_or_none() {
    // Too small for the parsed page: what is on its way into the database is shown, then what is there.
    let house = House::with(Options { memory_bytes: 4 << 20, ..Options::default() }).await;
    let page = long_page(&house, 4_000);
    assert!(page.len() > 800_000, "it must be longer than what is taken at once");
    house.upstream.put("/simple/demo/", JSON, format!("{page}}}"));
    assert_eq!(house.page("demo").await.status, 502, "an end too many");
    house.clock.advance(PAGE_TTL);
    house.upstream.put("/simple/demo/", JSON, page.replacen("\"name\":\"demo\"", "\"name\":\"other\"", 1));
    assert_eq!(house.page("demo").await.status, 502, "another project's");
    house.clock.advance(PAGE_TTL);
    house.upstream.put("/simple/demo/", JSON, page.clone());
    house.upstream.misbehave("/simple/demo/", Misbehaviour::Truncate(700_000));
    assert_eq!(house.page("demo").await.status, 502, "a part of a page");
    house.clock.advance(PAGE_TTL);
    let gate = house.upstream.hold_after("/simple/demo/", 700_000);
    let (asked, also) = tokio::join!(house.page("demo"), async {
        gate.reached(1).await;
        gate.release();
        house.page("demo").await
    });
    assert_eq!((asked.status, also.status), (200, 200));
    assert_eq!(asked.json()["files"].as_array().unwrap().len(), 4_000);
    assert_eq!(asked.body, also.body);
    let headers = [("Accept", JSON), ("Accept-Encoding", "br")];
    let brotli = house.get_with(PAGE, &headers).await;
    assert_eq!(brotli.header("content-encoding"), "br");
    // Made while the page arrived, and made of the page that was read: the same bytes under the same tag.
    house.clock.advance(PAGE_TTL);
    house.upstream.put("/simple/demo/", JSON, page.replacen("1.3999\"", "1.4000\"", 1));
    let first = house.get_with(PAGE, &headers).await;
    assert_ne!(first.body, brotli.body);
    house.index.tidy_now().await;
    let house = house.restart(|_| {}).await;
    let again = house.get_with(PAGE, &headers).await;
    assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")));
    let asked = house.page("demo").await;
    let house = house.restart(|_| {}).await;
    house.upstream.set_down(true);
    assert_eq!(house.page("demo").await.body, asked.body, "it was not saved");
    house.end().await;
}

#[tokio::test]
async fn a_project_with_forty_thousand_files_is_a_page_like_any_other() {
    let house = House::with(Options { memory_bytes: 512 << 20, ..Options::default() }).await;
    let count = 40_000;
    let page = long_page(&house, count);
    house.upstream.put("/simple/demo/", JSON, page);
    let headers = [("Accept", JSON), ("Accept-Encoding", "zstd")];
    let cold = house.get_with(PAGE, &headers).await;
    assert_eq!((cold.status, cold.tier()), (200, "miss"));
    let warm = house.get_with(PAGE, &headers).await;
    assert_eq!((warm.tier(), warm.header("content-encoding")), ("memory", "zstd"));
    assert_eq!(
        zstd::decode_all(&*warm.body).unwrap().windows(10).filter(|w| w == b"\"filename\"").count(),
        count as usize
    );
    assert_eq!(house.upstream.count("/simple/demo/"), 1);
    let house = house.restart(|_| {}).await;
    assert_eq!(house.get_with(PAGE, &headers).await.body, cold.body);
    house.end().await;
}

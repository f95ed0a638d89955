//! Faults that a reading found: each of these failed once.

use crate::support::house::{House, Options, PAGE_TTL};
use crate::support::upstream::Misbehaviour;
use crate::support::{noise, sha256, wheel, wheel_filename};
use sqlx::{ConnectOptions, Connection};
use std::time::Duration;

const JSON: &str = "application/vnd.pypi.simple.v1+json";

const LARGE: usize = 3_000_000;

/// The address of a file by its digest, without asking for a page.
fn address(filename: &str, bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    format!("/root/pypi/+f/{}/{}/{filename}", &digest[..3], &digest[3..16])
}

fn release(house: &House, version: &str, size: usize) -> (String, Vec<u8>) {
    let (filename, bytes) = (wheel_filename("demo", version), wheel("demo", version, size, 7));
    house.upstream.project("demo").wheel(&filename, bytes.clone());
    (filename, bytes)
}

#[tokio::test]
async fn an_absence_that_ran_out_is_no_404_while_upstream_is_gone() {
    let house = House::start().await;
    assert_eq!(house.page("demo").await.status, 404);
    house.upstream.set_down(true);
    house.clock.advance(Duration::from_secs(31));
    for _ in 0..3 {
        assert_eq!(house.page("demo").await.status, 502);
    }
    house.end().await;
}

#[tokio::test]
async fn a_file_that_only_upstream_could_know_is_no_404_while_it_is_gone() {
    let house = House::start().await;
    release(&house, "1.0", 100);
    house.page("demo").await;
    let (filename, bytes) = release(&house, "2.0", 100);
    house.upstream.set_down(true);
    house.clock.advance(PAGE_TTL);
    for _ in 0..3 {
        let answer = house.get(&address(&filename, &bytes)).await;
        assert!((502..=504).contains(&answer.status), "{}: {}", answer.status, answer.text());
    }
    let house = house.restart(|options| options.offline = true).await;
    assert_eq!(house.get(&address(&filename, &bytes)).await.status, 504, "offline nobody knows");
    house.end().await;
}

#[tokio::test]
async fn announced_metadata_is_answered_or_its_trouble_told() {
    let house = House::start().await;
    let (filename, bytes) = (wheel_filename("demo", "1.0"), wheel("demo", "1.0", 100, 7));
    house.upstream.project("demo").html_only().wheel(&filename, bytes.clone()).with_metadata();
    let metadata = format!("/files/{filename}.metadata");
    house.upstream.misbehave_always(&metadata, Misbehaviour::Status(500));
    let path = format!("{}.metadata", address(&filename, &bytes));
    let answer = house.get(&path).await;
    assert_eq!(answer.status, 502, "upstream's trouble is no absence: {}", answer.text());
    house.upstream.behave(&metadata);
    assert_eq!(house.get(&path).await.status, 200);

    // An index may announce the metadata of a source distribution too (PEP 658).
    house.upstream.project("demo").wheel("demo-1.0.tar.gz", bytes.clone()).with_metadata();
    house.clock.advance(PAGE_TTL);
    let page = house.page("demo").await.json();
    let file = page["files"].as_array().unwrap().iter().find(|file| file["filename"] == "demo-1.0.tar.gz").unwrap();
    let announced = file["core-metadata"]["sha256"].as_str().unwrap().to_owned();
    let answer = house.get(&format!("{}.metadata", address("demo-1.0.tar.gz", &bytes))).await;
    assert_eq!((answer.status, sha256(&answer.body)), (200, announced));
    house.end().await;
}

#[tokio::test]
async fn a_body_longer_than_the_file_is_not_taken_in() {
    let house = House::start().await;
    let (filename, bytes) = release(&house, "1.0", LARGE);
    let at = format!("/files/{filename}");
    house.upstream.change_bytes(&filename, [bytes.clone(), noise(10_000_000, 1)].concat());
    house.upstream.misbehave_always(&at, Misbehaviour::Chunked);
    assert!(house.request("GET", &address(&filename, &bytes), &[]).await.is_err(), "complete and wrong");
    let text = String::from_utf8(house.metrics.text()).unwrap();
    let received = text.lines().find(|line| line.starts_with("sidewheel_upstream_bytes_total")).unwrap();
    let received: f64 = received.split(' ').next_back().unwrap().parse().unwrap();
    assert!(received < 4.0 * LARGE as f64, "{received} bytes were taken of a file of {LARGE}");
    assert!(house.cached().is_empty());
    house.end().await;
}

#[tokio::test]
async fn a_source_that_lacks_a_file_says_nothing_of_another_source() {
    let house = House::start().await;
    let (first, bytes) = release(&house, "1.0", 100);
    let second = "demo-1.0-1-py3-none-any.whl";
    house.upstream.project("demo").wheel(second, bytes.clone());
    let at = format!("/files/{first}");
    house.upstream.misbehave_always(&at, Misbehaviour::Status(404));
    let gate = house.upstream.hold(&at);
    house.page("demo").await;
    let (first, second) = (address(&first, &bytes), address(second, &bytes));
    let other = async {
        gate.reached(1).await;
        let asking = house.get(&second);
        let release = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            gate.release();
        };
        tokio::join!(asking, release).0
    };
    let (first, second) = tokio::join!(house.get(&first), other);
    assert_eq!((first.status, second.status), (404, 200));
    house.end().await;
}

#[tokio::test]
async fn head_knows_no_ranges_and_says_what_get_says_offline() {
    let house = House::start().await;
    let (filename, bytes) = release(&house, "1.0", LARGE);
    let path = address(&filename, &bytes);
    let range = [("Range", "bytes=0-9")];
    for _ in 0..2 {
        let head = house.request("HEAD", &path, &range).await.unwrap();
        assert_eq!((head.status, head.header("content-length")), (200, &*bytes.len().to_string()));
        house.get(&path).await;
    }
    let (absent, bytes) = release(&house, "2.0", LARGE);
    house.clock.advance(PAGE_TTL);
    house.page("demo").await;
    let house = house.restart(|options| options.offline = true).await;
    let path = address(&absent, &bytes);
    assert_eq!((house.head(&path).await.status, house.get(&path).await.status), (504, 504));
    house.end().await;
}

#[tokio::test]
async fn a_range_that_is_the_whole_file_is_verified() {
    for range in ["bytes=0-", "bytes=-99999999"] {
        let house = House::start().await;
        let (filename, bytes) = release(&house, "1.0", LARGE);
        let path = address(&filename, &bytes);
        house.upstream.misbehave(&format!("/files/{filename}"), Misbehaviour::WrongBytes);
        let answer = house.request("GET", &path, &[("Range", range)]).await;
        assert!(answer.is_err(), "{range}: a whole file of wrong bytes came to a clean end");
        assert_eq!(house.get_with(&path, &[("Range", range)]).await.body, bytes, "{range}");
        house.end().await;
    }
}

#[tokio::test]
async fn what_is_answered_whole_does_not_wait_for_the_end() {
    let house = House::start().await;
    let (filename, bytes) = release(&house, "1.0", LARGE);
    let gate = house.upstream.hold_after(&format!("/files/{filename}"), 1_000_000);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for header in ["bytes=0-1,5-6", "bytes=5-4"] {
        let asking = client.get(house.url(&address(&filename, &bytes))).header("Range", header).send();
        let answer = tokio::time::timeout(Duration::from_secs(5), asking).await;
        assert_eq!(answer.expect("the head waits for the last byte").unwrap().status(), 200, "{header}");
    }
    gate.release();
    house.end().await;
}

#[tokio::test]
async fn a_range_is_answered_while_the_disk_cannot_be_written() {
    let house = House::start().await;
    let (filename, bytes) = release(&house, "1.0", 2_000);
    let temporary = house.data().join("tmp");
    std::fs::remove_dir(&temporary).unwrap();
    std::fs::write(&temporary, b"in the way").unwrap();
    let answer = house.get_with(&address(&filename, &bytes), &[("Range", "bytes=5-9")]).await;
    match answer.status {
        200 => assert_eq!(answer.body, bytes),
        206 => assert_eq!(answer.body, bytes[5..10]),
        status => panic!("{status}: {}", answer.text()),
    }
    std::fs::remove_file(&temporary).unwrap();
    std::fs::create_dir(&temporary).unwrap();
    house.end().await;
}

#[tokio::test]
async fn the_digest_of_metadata_is_no_address_of_a_wheel() {
    let house = House::start().await;
    let (filename, bytes) = release(&house, "1.0", 2_000);
    let path = format!("{}.metadata", address(&filename, &bytes));
    house.get(&path).await;
    let metadata = house.get(&path).await;
    assert_eq!(metadata.status, 200);
    house.get(&path).await;
    assert_eq!(house.get(&address(&filename, &metadata.body)).await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn metadata_that_is_asked_for_stays_on_the_disk() {
    let house = House::with(Options { disk_bytes: 2_000_000, ..Options::default() }).await;
    let (wanted, bytes) = release(&house, "0.9", 300_000);
    let path = format!("{}.metadata", address(&wanted, &bytes));
    assert_eq!(house.get(&path).await.status, 200);
    house.upstream.forget_requests();
    for n in 1..12 {
        let (filename, bytes) = release(&house, &format!("{n}.0"), 500_000);
        house.clock.advance(Duration::from_secs(700));
        house.page("demo").await;
        assert_eq!(house.get(&path).await.status, 200);
        assert_eq!(house.get(&address(&filename, &bytes)).await.status, 200);
        for _ in 0..500 {
            if house.index.under_way() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        house.index.tidy_now().await;
    }
    assert_eq!(house.upstream.count(&format!("/files/{wanted}")), 0, "what was used all the time was evicted");
    house.end().await;
}

/// A page of so many files, as JSON.
fn page_of(house: &House, serial: u64, files: usize) -> String {
    let files: Vec<_> = (0..files)
        .map(|n| {
            let url = house.upstream.url(&format!("/files/demo-1.{n}.tar.gz"));
            format!(r#"{{"filename":"demo-1.{n}.tar.gz","url":"{url}","hashes":{{"sha256":"{n:064x}"}},"size":3}}"#)
        })
        .collect();
    format!(
        r#"{{"meta":{{"api-version":"1.1","_last-serial":{serial}}},"name":"demo","versions":["1.0"],"files":[{}]}}"#,
        files.join(",")
    )
}

fn files_of(page: &crate::support::house::Answer) -> usize {
    page.json()["files"].as_array().unwrap().len()
}

async fn idle(house: &House) {
    for _ in 0..1000 {
        if house.index.under_way() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("something does not end");
}

#[tokio::test]
async fn an_old_page_that_is_still_being_read_does_not_take_the_place_of_the_new() {
    let house = House::with(Options { memory_bytes: 256 << 20, ..Options::default() }).await;
    house.upstream.put("/simple/demo/", JSON, page_of(&house, 1, 10_000));
    assert_eq!(files_of(&house.page("demo").await), 10_000);
    house.clock.advance(PAGE_TTL * 2);
    let house = house.restart(|_| {}).await;
    house.upstream.put("/simple/demo/", JSON, page_of(&house, 2, 1));
    // Served as it was (unless the new page is faster), while the new page comes: reading the old one takes longer.
    assert_eq!(house.page("demo").await.status, 200);
    idle(&house).await;
    assert_eq!(files_of(&house.page("demo").await), 1, "the old page came back");
    house.end().await;
}

#[tokio::test]
async fn who_asks_after_a_change_is_not_given_a_rendering_from_before_it() {
    let house = House::start().await;
    house.upstream.put("/simple/demo/", JSON, page_of(&house, 1, 10_000));
    assert_eq!(files_of(&house.page("demo").await), 10_000);
    house.clock.advance(PAGE_TTL * 2);
    let house = house.restart(|_| {}).await;
    house.upstream.put("/simple/demo/", JSON, page_of(&house, 2, 1));
    let later = async {
        while house.metrics.happened_times(sidewheel::metrics::Event::PageChanged) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        house.page("demo").await
    };
    let (first, later) = tokio::join!(house.page("demo"), later);
    assert_eq!((first.status, files_of(&later)), (200, 1));
    house.end().await;
}

/// Does something to the database behind the server's back.
async fn sql(house: &House, text: String) {
    let database = sqlx::sqlite::SqliteConnectOptions::new().filename(house.data().join("sidewheel.db"));
    let mut connection = database.connect().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_page_that_could_not_be_stored_is_asked_for_again() {
    // So little memory that it refuses the page.
    let house = House::with(Options { memory_bytes: 1 << 20, ..Options::default() }).await;
    house.upstream.put("/simple/demo/", JSON, page_of(&house, 1, 300));
    assert_eq!(files_of(&house.page("demo").await), 300);
    let refuse = "CREATE TRIGGER full BEFORE INSERT ON document BEGIN SELECT RAISE(ABORT, 'full'); END";
    sql(&house, refuse.to_owned()).await;
    house.upstream.put("/simple/demo/", JSON, page_of(&house, 2, 301));
    house.clock.advance(PAGE_TTL);
    assert_eq!(house.page("demo").await.status, 200);
    sql(&house, "DROP TRIGGER full".to_owned()).await;
    house.clock.advance(PAGE_TTL);
    assert_eq!(files_of(&house.page("demo").await), 301, "upstream confirmed a page that we do not have");
    house.end().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_fetched_again() {
    let garbage = zstd::bulk::compress(b"garbage", 3).unwrap();
    let garbage: String = garbage.iter().map(|byte| format!("{byte:02x}")).collect();
    for body in ["00", &garbage] {
        for age in [Duration::ZERO, PAGE_TTL * 2] {
            let house = House::start().await;
            release(&house, "1.0", 100);
            let good = house.page("demo").await;
            sql(&house, format!("UPDATE document SET body = X'{body}'")).await;
            house.clock.advance(age);
            let house = house.restart(|_| {}).await;
            let again = house.page("demo").await;
            assert_eq!((again.status, &again.body), (200, &good.body), "{body}, {age:?}: {}", again.text());
            house.end().await;
        }
    }
}

#[test]
fn slow_readers_of_the_plain_list_hold_no_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(4).build().unwrap();
    runtime.block_on(async {
        let house = House::start().await;
        release(&house, "1.0", 100);
        let names: Vec<_> = (0..150_000).map(|n| format!(r#"{{"name":"a-project-with-a-long-name-{n}"}}"#)).collect();
        let list = format!(r#"{{"meta":{{"api-version":"1.1"}},"projects":[{}]}}"#, names.join(","));
        house.upstream.put("/simple/", JSON, list);
        let headers = [("Accept", JSON)];
        assert_eq!(house.get_with("/root/pypi/+simple/", &headers).await.status, 200);
        let client = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
        let mut slow = Vec::new();
        for _ in 0..6 {
            let asking = client.get(house.url("/root/pypi/+simple/")).header("Accept", JSON).send();
            let answer = tokio::time::timeout(Duration::from_secs(5), asking).await.expect("no thread was left");
            // Its head is here; nobody reads the rest.
            slow.push(answer.unwrap());
        }
        let page = tokio::time::timeout(Duration::from_secs(5), house.page("demo")).await;
        assert_eq!(page.expect("no thread was left for a page").status, 200);
        drop(slow);
        house.end().await;
    });
}

#[tokio::test]
async fn a_list_that_cannot_be_refreshed_is_not_asked_for_by_every_request() {
    let house = House::start().await;
    house.upstream.put("/simple/", JSON, r#"{"meta":{"api-version":"1.1"},"projects":[{"name":"demo"}]}"#);
    let list = || house.get_with("/root/pypi/+simple/", &[("Accept", JSON)]);
    assert_eq!(list().await.status, 200);
    house.upstream.misbehave_always("/simple/", Misbehaviour::Status(403));
    house.clock.advance(PAGE_TTL * 6);
    assert_eq!(list().await.status, 200);
    house.upstream.asked("/simple/", 2).await;
    for _ in 0..20 {
        assert_eq!(list().await.status, 200);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = house.upstream.count("/simple/");
    assert!(asked <= 3, "upstream was asked {asked} times");
    house.upstream.behave("/simple/");
    house.upstream.forget_requests();
    house.clock.advance(Duration::from_secs(61));
    list().await;
    house.upstream.asked("/simple/", 1).await;
    house.end().await;
}

#[tokio::test]
async fn the_tag_of_a_file_without_a_stated_digest_is_that_of_its_bytes() {
    let house = House::start().await;
    let (filename, bytes) = (wheel_filename("demo", "1.0"), wheel("demo", "1.0", 2_000, 7));
    house.upstream.project("demo").wheel(&filename, bytes.clone()).without_hash();
    let path = house.file_path("demo", &filename).await;
    assert_eq!(house.get(&path).await.body, bytes);
    let house = house.restart(|_| {}).await;
    house.page("demo").await;
    let other = wheel("demo", "1.0", 2_000, 8);
    house.upstream.change_bytes(&filename, other.clone());
    for cached in house.cached() {
        std::fs::remove_file(cached).unwrap();
    }
    let answer = house.get(&path).await;
    assert_eq!(answer.body, other);
    let etag = answer.header("etag");
    assert!(etag.is_empty() || etag == format!("\"{}\"", sha256(&other)), "the tag of other bytes");
    house.end().await;
}

#[tokio::test]
async fn upstreams_path_leads_to_what_the_page_says_now() {
    let house = House::start().await;
    let (filename, bytes) = release(&house, "1.0", 2_000);
    let path = format!("/root/pypi/+packages/files/{filename}");
    for _ in 0..3 {
        assert_eq!(house.get(&path).await.body, bytes);
    }
    idle(&house).await;
    let other = wheel("demo", "1.0", 2_000, 8);
    house.upstream.project("demo").wheel(&filename, other.clone());
    house.clock.advance(PAGE_TTL);
    let listed = house.page("demo").await.json()["files"][0]["hashes"]["sha256"].clone();
    assert_eq!(listed, sha256(&other));
    assert!(house.get(&path).await.body == other, "bytes that the page no longer lists");
    house.end().await;
}

/// Pingora's timers would wake theirs a hundred times a second, on a laptop too.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_thread_ticks_while_nothing_happens() {
    let house = House::start().await;
    assert_eq!(house.get("/+health").await.status, 200);
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names: Vec<_> = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok()).collect();
    assert!(!names.is_empty() && !names.iter().any(|name| name.trim() == "Timer thread"), "{names:?}");
    house.end().await;
}

/// Each of them holds an open file: with 100,000 cold files the descriptors ran out, and half of them were not kept.
#[tokio::test]
async fn files_do_not_arrive_faster_than_they_are_written_down() {
    const FILES: usize = 600;
    const CLIENTS: usize = 20;
    const SETTLED: Duration = Duration::from_millis(500);
    let house = House::start().await;
    let released: Vec<_> = (0..FILES).map(|number| release(&house, &format!("1.{number}"), 100)).collect();
    house.page("demo").await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(house.data().join("sidewheel.db"));
    let mut writer = options.connect().await.unwrap();
    while house.index.under_way() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sqlx::query("BEGIN IMMEDIATE").execute(&mut writer).await.unwrap();
    let served = std::sync::atomic::AtomicUsize::new(0);
    let client = async |number: usize| {
        for (filename, bytes) in released.iter().skip(number).step_by(CLIENTS) {
            assert_eq!(house.get(&address(filename, bytes)).await.body, *bytes);
            served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let clients = futures_util::future::join_all((0..CLIENTS).map(client));
    let release_the_database = async {
        let mut before = usize::MAX;
        while before != served.load(std::sync::atomic::Ordering::Relaxed) {
            before = served.load(std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(SETTLED).await;
        }
        sqlx::query("COMMIT").execute(&mut writer).await.unwrap();
        before
    };
    let (_, meanwhile) = tokio::join!(clients, release_the_database);
    assert!(
        (256..=256 + CLIENTS).contains(&meanwhile),
        "{meanwhile} files were served while none could be written down"
    );
    house.end().await;
}

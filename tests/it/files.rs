//! The journey of a file, against an upstream that counts and misbehaves.

use crate::support::house::{House, Options};
use crate::support::upstream::Misbehaviour;
use crate::support::{noise, sha256, wheel, wheel_filename};
use sidewheel::metrics::{Event, Kind, Tier};
use std::os::unix::fs::FileExt;
use std::time::Duration;

const SMALL: usize = 2_000;
const LARGE: usize = 3_000_000;
/// Larger than what is checked before the first byte leaves.
const HUGE: usize = 20_000_000;

struct Demo {
    house: House,
    filename: String,
    bytes: Vec<u8>,
    path: String,
}

impl Demo {
    async fn of(size: usize) -> Self {
        Self::in_house(House::start().await, size).await
    }

    async fn in_house(house: House, size: usize) -> Self {
        let (filename, bytes) = (wheel_filename("demo", "1.0"), wheel("demo", "1.0", size, 7));
        house.upstream.project("demo").wheel(&filename, bytes.clone());
        let path = house.file_path("demo", &filename).await;
        Self { house, filename, bytes, path }
    }

    fn upstream_path(&self) -> String {
        format!("/files/{}", self.filename)
    }

    fn fetched(&self) -> usize {
        self.house.upstream.count(&self.upstream_path())
    }

    /// Waits until what is worth the memory is in it.
    async fn until_memory(&self) {
        for _ in 0..500 {
            if self.house.get(&self.path).await.tier() == "memory" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} never came into memory", self.filename);
    }
}

#[tokio::test]
async fn a_prefetch_that_is_repeated_drives_nothing_hot_out_of_memory() {
    const FILES: usize = 30;
    let house = House::with(Options { memory_bytes: 4 << 20, ..Options::default() }).await;
    let hot = Demo::in_house(house, 200_000).await;
    hot.until_memory().await;
    let mut paths = Vec::new();
    for number in 0..FILES {
        let (version, seed) = (format!("2.{number}"), number as u64);
        let filename = wheel_filename("many", &version);
        hot.house.upstream.project("many").wheel(&filename, wheel("many", &version, 200_000, seed));
        paths.push(filename);
    }
    for path in &mut paths {
        *path = hot.house.file_path("many", path).await;
    }
    // Six megabytes in turn, beside a memory of four: cold, and then at the times at which a file is let in.
    for turn in 0..4 {
        for _ in 0..5 {
            assert_eq!(hot.house.get(&hot.path).await.tier(), "memory", "after {turn} turns");
        }
        for path in &paths {
            assert_eq!(hot.house.get(path).await.status, 200);
            // One file is read into memory at a time.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    hot.house.end().await;
}

#[tokio::test]
async fn cold_from_upstream_then_from_memory() {
    for size in [SMALL, LARGE] {
        let demo = Demo::of(size).await;
        let cold = demo.house.get(&demo.path).await;
        assert_eq!((cold.status, cold.tier()), (200, "miss"));
        assert_eq!(cold.body, demo.bytes);
        demo.until_memory().await;
        let hot = demo.house.get(&demo.path).await;
        assert_eq!(hot.body, demo.bytes);
        for (name, value) in [
            ("etag", format!("\"{}\"", sha256(&demo.bytes))),
            ("accept-ranges", "bytes".to_owned()),
            ("cache-control", "max-age=365000000, immutable, public".to_owned()),
            ("content-type", "application/octet-stream".to_owned()),
            ("content-length", demo.bytes.len().to_string()),
            ("content-encoding", String::new()),
        ] {
            assert_eq!((hot.header(name), cold.header(name)), (&*value, &*value), "{name}");
        }
        assert!(hot.header("last-modified").ends_with("GMT"));
        assert_eq!(demo.fetched(), 1);
        demo.house.end().await;
    }
}

#[tokio::test]
async fn fifty_clients_cost_one_transfer() {
    let demo = Demo::of(LARGE).await;
    let gate = demo.house.upstream.hold_after(&demo.upstream_path(), 1_000_000);
    let asking = (0..50).map(|_| demo.house.get(&demo.path));
    let release = async {
        gate.reached(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.release();
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), release);
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == demo.bytes));
    assert_eq!(demo.fetched(), 1);
    assert_eq!(demo.house.metrics.answered_times(Kind::File, Tier::Miss), 1);
    assert_eq!(demo.house.metrics.answered_times(Kind::File, Tier::Flight), 49);
    demo.house.end().await;
}

#[tokio::test]
async fn bytes_leave_while_upstream_still_sends() {
    let demo = Demo::of(LARGE).await;
    let gate = demo.house.upstream.hold_after(&demo.upstream_path(), 1_000_000);
    let mut response = reqwest::get(demo.house.url(&demo.path)).await.unwrap();
    let mut got = response.chunk().await.unwrap().unwrap().to_vec();
    assert_eq!(got, demo.bytes[..got.len()], "the first bytes came while upstream stood still");
    gate.release();
    while let Some(piece) = response.chunk().await.unwrap() {
        got.extend_from_slice(&piece);
    }
    assert_eq!(got, demo.bytes);
    demo.house.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_nothing() {
    let demo = Demo::of(LARGE).await;
    let gate = demo.house.upstream.hold_after(&demo.upstream_path(), 1_000_000);
    let mut response = reqwest::get(demo.house.url(&demo.path)).await.unwrap();
    response.chunk().await.unwrap();
    drop(response);
    gate.release();
    demo.until_memory().await;
    assert_eq!(demo.fetched(), 1);
    demo.house.end().await;
}

#[tokio::test]
async fn wrong_bytes_never_arrive_whole() {
    // A small file is waited for, so one bad transfer is mended before the client sees a byte.
    let demo = Demo::of(SMALL).await;
    demo.house.upstream.misbehave(&demo.upstream_path(), Misbehaviour::WrongBytes);
    assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes);
    let seen = demo.house.upstream.requests();
    assert_eq!(seen.last().unwrap().header("cache-control"), Some("no-cache"), "the second try goes past caches");
    demo.house.end().await;

    // Wrong twice: a clean error, and nothing kept.
    let demo = Demo::of(SMALL).await;
    demo.house.upstream.misbehave_times(&demo.upstream_path(), 2, Misbehaviour::WrongBytes);
    assert_eq!(demo.house.get(&demo.path).await.status, 502);
    assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes, "the next try is a new one");
    demo.house.end().await;

    // A large one has begun: the connection is cut, and nothing kept.
    let demo = Demo::of(LARGE).await;
    demo.house.upstream.misbehave(&demo.upstream_path(), Misbehaviour::WrongBytes);
    assert!(demo.house.request("GET", &demo.path, &[]).await.is_err(), "wrong bytes came to a clean end");
    assert!(demo.house.metrics.happened_times(Event::FileWrong) >= 1);
    assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes);
    demo.house.end().await;
}

#[tokio::test]
async fn every_follower_of_a_failed_transfer_sees_it_fail() {
    let demo = Demo::of(LARGE).await;
    let gate = demo.house.upstream.hold_after(&demo.upstream_path(), 1_000_000);
    demo.house.upstream.misbehave(&demo.upstream_path(), Misbehaviour::WrongBytes);
    let asking = (0..20).map(|_| demo.house.request("GET", &demo.path, &[]));
    let release = async {
        gate.reached(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.release();
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), release);
    for answer in answers.into_iter().flatten() {
        assert!(answer.status != 200 || answer.body == demo.bytes, "complete and wrong");
    }
    assert!(demo.fetched() <= 2);
    demo.house.end().await;
}

#[tokio::test]
async fn a_transfer_that_breaks_off_is_resumed_by_range() {
    for how in [Misbehaviour::ResetAfter(1_000_000), Misbehaviour::Truncate(1_000_000)] {
        let demo = Demo::of(LARGE).await;
        let what = format!("{how:?}");
        demo.house.upstream.misbehave(&demo.upstream_path(), how);
        assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes, "{what}");
        let seen = demo.house.upstream.requests();
        let last = seen.last().unwrap();
        assert!(
            last.header("range").is_some_and(|range| range.starts_with("bytes=") && range.ends_with('-')),
            "{what}"
        );
        assert_eq!(demo.fetched(), 2, "{what}");
        demo.house.end().await;
    }
}

#[tokio::test]
async fn a_server_without_ranges_is_resumed_from_the_start() {
    let demo = Demo::of(LARGE).await;
    demo.house.upstream.misbehave(&demo.upstream_path(), Misbehaviour::Truncate(1_000_000));
    demo.house.upstream.misbehave(&demo.upstream_path(), Misbehaviour::NoRange);
    assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes);
    demo.house.end().await;
}

#[tokio::test]
async fn what_upstream_says_wrongly_of_a_file_is_an_error() {
    for (how, status) in [
        (Misbehaviour::Status(404), 404),
        (Misbehaviour::Status(500), 502),
        (Misbehaviour::Status(403), 502),
        (Misbehaviour::ShortContentLength, 502),
        (Misbehaviour::ContentEncodingGzip, 502),
        (Misbehaviour::Bogus304, 502),
        (Misbehaviour::Unrequested206, 502),
        (Misbehaviour::Garbage, 502),
    ] {
        let what = format!("{how:?}");
        let demo = Demo::of(SMALL).await;
        demo.house.upstream.misbehave_always(&demo.upstream_path(), how);
        let answer = demo.house.get(&demo.path).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(demo.house.cached().is_empty(), "{what}: something was kept");
        demo.house.upstream.behave(&demo.upstream_path());
        assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes, "{what}: does not heal");
        demo.house.end().await;
    }
}

#[tokio::test]
async fn no_header_of_upstream_comes_through() {
    let demo = Demo::of(SMALL).await;
    demo.house.upstream.misbehave(&demo.upstream_path(), Misbehaviour::HeaderPoison);
    let answer = demo.house.get(&demo.path).await;
    for name in ["set-cookie", "x-foo", "location", "server"] {
        assert_eq!(answer.header(name), "", "{name}");
    }
    demo.house.end().await;
}

#[tokio::test]
async fn ranges_of_a_cold_file_are_asked_of_upstream_as_ranges() {
    let demo = Demo::of(LARGE).await;
    let len = demo.bytes.len();
    for (range, part) in
        [("bytes=-10000", len - 10_000..len), ("bytes=5-9", 5..10), (&*format!("bytes={}-", len - 7), len - 7..len)]
    {
        let answer = demo.house.get_with(&demo.path, &[("Range", range)]).await;
        assert_eq!((answer.status, answer.tier()), (206, "miss"), "{range}");
        assert_eq!(answer.body, demo.bytes[part.clone()], "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {}-{}/{len}", part.start, part.end - 1));
    }
    let beyond = demo.house.get_with(&demo.path, &[("Range", &format!("bytes={len}-"))]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, &*format!("bytes */{len}")));
    assert_eq!(beyond.header("cache-control"), "no-store");
    assert!(demo.house.cached().is_empty(), "parts are not kept");
    demo.house.upstream.misbehave(&demo.upstream_path(), Misbehaviour::NoRange);
    let whole = demo.house.get_with(&demo.path, &[("Range", "bytes=5-9")]).await;
    assert_eq!((whole.status, &whole.body[..]), (206, &demo.bytes[5..10]), "upstream without ranges");
    demo.house.end().await;
}

#[tokio::test]
async fn ranges_of_a_cached_file_are_cut_from_it() {
    let demo = Demo::of(LARGE).await;
    demo.house.get(&demo.path).await;
    let (len, etag) = (demo.bytes.len(), format!("\"{}\"", sha256(&demo.bytes)));
    let headers = |range| [("Range", range), ("If-Range", etag.as_str())];
    for _ in 0..3 {
        let answer = demo.house.get_with(&demo.path, &headers("bytes=100-199")).await;
        assert_eq!((answer.status, &answer.body[..]), (206, &demo.bytes[100..200]));
        let answer = demo.house.get_with(&demo.path, &headers("bytes=-1")).await;
        assert_eq!((answer.status, &answer.body[..]), (206, &demo.bytes[len - 1..]));
    }
    let other = demo.house.get_with(&demo.path, &[("Range", "bytes=0-0"), ("If-Range", "\"other\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, len));
    let several = demo.house.get_with(&demo.path, &[("Range", "bytes=0-0,5-6")]).await;
    assert_eq!((several.status, several.body.len()), (200, len));
    let same = demo.house.get_with(&demo.path, &[("If-None-Match", &etag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(demo.fetched(), 1);
    demo.house.end().await;
}

#[tokio::test]
async fn head_fetches_nothing_and_equals_get() {
    let demo = Demo::of(LARGE).await;
    let cold = demo.house.head(&demo.path).await;
    assert_eq!((cold.status, cold.body.len(), demo.fetched()), (200, 0, 0));
    let get = demo.house.get(&demo.path).await;
    let warm = demo.house.head(&demo.path).await;
    for name in ["content-length", "etag", "accept-ranges", "cache-control", "content-type", "last-modified"] {
        assert_eq!((cold.header(name), warm.header(name)), (get.header(name), get.header(name)), "{name}");
    }
    demo.house.end().await;
}

#[tokio::test]
async fn an_old_link_works_on_an_empty_cache() {
    let demo = Demo::of(SMALL).await;
    let path = demo.path.clone();
    demo.house.end().await;
    let house = House::start().await;
    house.upstream.project("demo").wheel(&demo.filename, demo.bytes.clone());
    assert_eq!(house.get(&path).await.body, demo.bytes, "a lockfile's URL needs no page to be asked for first");
    house.end().await;
}

#[tokio::test]
async fn a_digest_is_no_right_to_bytes() {
    let demo = Demo::of(SMALL).await;
    demo.house.get(&demo.path).await;
    let other = demo.path.replace("demo-1.0", "demo-2.0");
    assert_eq!(demo.house.get(&other).await.status, 404, "the bytes are there, but the index lists no such file");
    let wrong_prefix = demo.path.replacen("/+f/", "/+f/000/0000000000000/x/", 1);
    assert_eq!(demo.house.get(&wrong_prefix).await.status, 404);
    assert_eq!(demo.house.get("/root/pypi/+f/000/0000000000000/demo-1.0-py3-none-any.whl").await.status, 404);
    demo.house.end().await;
}

#[tokio::test]
async fn upstreams_own_path_leads_to_the_same_bytes() {
    let demo = Demo::of(SMALL).await;
    let path = format!("/root/pypi/+packages{}", demo.upstream_path());
    assert_eq!(demo.house.get(&path).await.body, demo.bytes);
    assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes);
    assert_eq!(demo.fetched(), 1, "one file under two addresses");
    assert_eq!(demo.house.get("/root/pypi/+packages/elsewhere/demo-1.0-py3-none-any.whl").await.status, 404);
    demo.house.end().await;
}

#[tokio::test]
async fn a_file_without_a_digest_is_served_and_kept() {
    let house = House::start().await;
    let (filename, bytes) = (wheel_filename("demo", "1.0"), wheel("demo", "1.0", LARGE, 7));
    house.upstream.project("demo").wheel(&filename, bytes.clone()).without_hash();
    let path = house.file_path("demo", &filename).await;
    assert!(path.contains("/+e/"), "{path}");
    let cold = house.get(&path).await;
    assert_eq!((&cold.body[..], cold.header("cache-control")), (&bytes[..], "no-cache"), "the URL pins no bytes");
    assert_eq!(house.get(&path).await.body, bytes);
    let house = house.restart(|_| {}).await;
    assert_eq!(house.get(&path).await.body, bytes);
    assert_eq!(house.upstream.count(&format!("/files/{filename}")), 1);
    assert!(
        house.page("demo").await.json()["files"][0]["hashes"].as_object().unwrap().is_empty(),
        "a hash was invented"
    );
    house.end().await;
}

#[tokio::test]
async fn damage_on_the_disk_is_noticed_after_a_restart_and_mended() {
    for (size, mended_unseen) in [(SMALL, true), (LARGE, true), (HUGE, false)] {
        for cut in [false, true] {
            let demo = Demo::of(size).await;
            demo.house.get(&demo.path).await;
            let (path, bytes) = (demo.path.clone(), demo.bytes.clone());
            let house = demo.house.restart(|_| {}).await;
            let digest = sha256(&bytes);
            let file = house.data().join("files").join(&digest[..2]).join(&digest[2..]);
            let handle = std::fs::File::options().write(true).open(&file).unwrap();
            if cut {
                handle.set_len(bytes.len() as u64 / 2).unwrap();
            } else {
                handle.write_all_at(&[bytes[bytes.len() / 2] ^ 1], bytes.len() as u64 / 2).unwrap();
            }
            let first = house.request("GET", &path, &[]).await;
            if let Ok(answer) = &first {
                assert_eq!(answer.body, bytes, "complete and wrong");
            }
            assert!(first.is_ok() || !mended_unseen && !cut, "size {size}, cut {cut}: {first:?}");
            assert_eq!(house.get(&path).await.body, bytes);
            assert_eq!(house.metrics.happened_times(Event::FileDamaged), 1);
            assert_eq!(std::fs::read_dir(house.data().join("quarantine")).unwrap().count(), 1);
            house.end().await;
        }
    }
}

#[tokio::test]
async fn the_disk_keeps_its_cap_and_the_least_used_go_first() {
    let house = House::with(Options { disk_bytes: 2_000_000, ..Options::default() }).await;
    let mut paths: Vec<String> = Vec::new();
    for n in 0..6 {
        let (filename, bytes) =
            (wheel_filename("demo", &format!("{n}.0")), wheel("demo", &format!("{n}.0"), 500_000, n));
        house.upstream.project("demo").wheel(&filename, bytes);
        house.clock.advance(Duration::from_secs(700));
        let path = house.file_path("demo", &filename).await;
        assert_eq!(house.get(&path).await.status, 200);
        house.get(paths.first().unwrap_or(&path)).await;
        paths.push(path);
        for _ in 0..500 {
            if house.index.under_way() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        house.index.tidy_now().await;
    }
    let bytes: u64 = house.cached().iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes <= 2_000_000, "{bytes} bytes are kept");
    house.upstream.forget_requests();
    house.get(&paths[0]).await;
    assert_eq!(house.upstream.count_prefix("/files/"), 0, "the file that was used all the time was evicted");
    for path in &paths {
        assert_eq!(house.get(path).await.status, 200, "an evicted file is fetched again");
    }
    house.end().await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_no_reason_to_fail() {
    for size in [SMALL, LARGE] {
        let demo = Demo::of(size).await;
        let temporary = demo.house.data().join("tmp");
        std::fs::remove_dir(&temporary).unwrap();
        std::fs::write(&temporary, b"in the way").unwrap();
        for ask in 0..3 {
            demo.house.upstream.forget_requests();
            assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes);
            let asked = demo.house.upstream.count(&demo.upstream_path());
            assert!(asked == 1 || ask == 0 && asked == 2, "upstream was asked {asked} times");
        }
        demo.house.upstream.misbehave(&demo.upstream_path(), Misbehaviour::WrongBytes);
        match demo.house.request("GET", &demo.path, &[]).await {
            Ok(answer) => assert_eq!(answer.status, 502, "wrong bytes were passed through whole"),
            Err(_) => assert!(size > SMALL),
        }
        assert!(demo.house.metrics.happened_times(Event::DiskUnwritable) >= 3);
        std::fs::remove_file(&temporary).unwrap();
        std::fs::create_dir(&temporary).unwrap();
        assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes);
        demo.until_memory().await;
        demo.house.end().await;
    }
}

#[tokio::test]
async fn files_are_served_when_upstream_is_gone_and_others_are_no_404() {
    let demo = Demo::of(SMALL).await;
    let other = wheel_filename("demo", "2.0");
    demo.house.upstream.project("demo").wheel(&other, noise(100, 1));
    let demo = Demo { house: demo.house.restart(|_| {}).await, ..demo };
    demo.house.clock.advance(Duration::from_secs(3600));
    let other = demo.house.get_with("/root/pypi/+simple/demo/", &[("Cache-Control", "no-cache")]).await;
    assert_eq!(other.status, 200);
    let other_path = demo.house.file_path("demo", &wheel_filename("demo", "2.0")).await;
    demo.house.get(&demo.path).await;
    demo.house.upstream.set_down(true);
    assert_eq!(demo.house.get(&demo.path).await.body, demo.bytes);
    assert_eq!(demo.house.get(&other_path).await.status, 502);
    let offline = demo.house.restart(|options| options.offline = true).await;
    assert_eq!(offline.get(&demo.path).await.body, demo.bytes);
    assert_eq!(offline.get(&other_path).await.status, 504);
    offline.end().await;
}

//! What the cache says of itself, and how a part of it is taken out.

use crate::private::{ALICE, make_index, private_house, release};
use crate::support::house::{House, Options};
use crate::support::{sha256, wheel, wheel_filename};
use serde_json::json;
use sidewheel::index::{Selection, inventory, version_of};
use sidewheel::names::{IndexName, ProjectName};
use sidewheel::store::{BlobRow, Store};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SMALL: usize = 2_000;
const HUGE: usize = 30_000_000;
/// Metadata is purged with its wheel, and weighs nothing beside it.
const LARGE: u64 = 3_000_000;

struct Demo {
    house: House,
    bytes: Vec<u8>,
    path: String,
}

impl Demo {
    async fn of(size: usize) -> Self {
        Self::in_house(House::start().await, size).await
    }

    async fn in_house(house: House, size: usize) -> Self {
        let bytes = put(&house, "demo", size);
        let path = house.file_path("demo", &wheel_filename("demo", "1.0")).await;
        Self { house, bytes, path }
    }

    async fn get(&self) -> String {
        let answer = self.house.get(&self.path).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &self.bytes[..]));
        answer.tier().to_owned()
    }

    async fn until_memory(&self) -> u64 {
        for times in 1..500 {
            if self.get().await == "memory" {
                return times;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never came into memory");
    }

    fn fetched(&self) -> usize {
        self.house.upstream.count(&format!("/files/{}", wheel_filename("demo", "1.0")))
    }
}

fn put(house: &House, project: &str, size: usize) -> Vec<u8> {
    let bytes = wheel(project, "1.0", size, 7);
    house.upstream.project(project).wheel(&wheel_filename(project, "1.0"), bytes.clone());
    bytes
}

/// What another process would read, once the books say `good`.
async fn rows(house: &House, good: impl Fn(&[BlobRow]) -> bool) -> Vec<BlobRow> {
    let store = Store::open(house.data()).await.unwrap();
    for _ in 0..500 {
        house.index.write_books().await;
        let rows = inventory(&store).await.unwrap();
        if good(&rows) {
            store.close().await;
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the books never said so: {:#?}", inventory(&store).await.unwrap());
}

fn of<'a>(rows: &'a [BlobRow], filename: &str) -> Option<&'a BlobRow> {
    rows.iter().find(|row| row.name.as_ref().is_some_and(|name| name.filename == filename))
}

fn project(name: &str) -> Selection {
    Selection { projects: vec![ProjectName::parse(name).unwrap()], ..Selection::default() }
}

#[tokio::test]
async fn every_use_of_a_file_is_counted_and_none_twice() {
    let demo = Demo::of(SMALL).await;
    let filename = wheel_filename("demo", "1.0");
    let mut times = demo.until_memory().await;
    for _ in 0..20 {
        demo.get().await;
        times += 1;
    }
    // Not served: HEAD, and what the client has already.
    demo.house.head(&demo.path).await;
    let etag = format!("\"{}\"", sha256(&demo.bytes));
    assert_eq!(demo.house.get_with(&demo.path, &[("If-None-Match", &etag)]).await.status, 304);
    let size = demo.bytes.len() as u64;
    let counted = |rows: &[BlobRow]| of(rows, &filename).is_some_and(|row| row.uses >= times);
    let told = rows(&demo.house, counted).await;
    let row = of(&told, &filename).unwrap();
    assert_eq!((row.uses, row.served, row.size), (times, times * size, size));
    let name = row.name.as_ref().unwrap();
    assert_eq!((name.index.as_str(), name.project.as_ref().unwrap().as_str()), ("root/pypi", "demo"));
    assert_eq!(version_of(name).as_deref(), Some("1.0"));
    assert_eq!(row.fetched, Some(demo.house.clock.unix()));
    assert!(of(&told, &format!("{filename}.metadata")).is_some(), "{told:#?}");

    // A part is a use too; a restart loses nothing.
    let part = demo.house.get_with(&demo.path, &[("Range", "bytes=0-99")]).await;
    assert_eq!((part.status, part.body.len()), (206, 100));
    let house = demo.house.restart(|_| ()).await;
    let counted = |rows: &[BlobRow]| of(rows, &filename).is_some_and(|row| row.uses == times + 1);
    let told = rows(&house, counted).await;
    assert_eq!(of(&told, &filename).unwrap().served, times * size + 100);
    house.end().await;
}

#[tokio::test]
async fn files_from_before_names_were_written_down_are_named_from_stored_pages() {
    let demo = Demo::of(SMALL).await;
    let filename = wheel_filename("demo", "1.0");
    demo.until_memory().await;
    demo.house.get("/root/pypi/+simple/").await;
    rows(&demo.house, |rows| rows.len() == 4).await;
    let forget = format!("sqlite:{}", demo.house.data().join("sidewheel.db").display());
    let forget = sqlx::SqlitePool::connect(&forget).await.unwrap();
    sqlx::query("DELETE FROM cached").execute(&forget).await.unwrap();
    forget.close().await;
    let house = demo.house.restart(|_| ()).await;
    let told = rows(&house, |rows| rows.iter().all(|row| row.fetched.is_some())).await;
    let mut names: Vec<_> = told.iter().map(|row| row.name.as_ref().unwrap().filename.clone()).collect();
    names.sort();
    let metadata = format!("{filename}.metadata");
    assert_eq!(names, [&*filename, &metadata, "list of projects (HTML)", "list of projects (JSON)"]);
    house.end().await;
}

#[tokio::test]
async fn what_is_purged_is_fetched_anew_and_the_rest_stays() {
    let demo = Demo::of(SMALL).await;
    put(&demo.house, "other", SMALL);
    let other = demo.house.file_path("other", &wheel_filename("other", "1.0")).await;
    demo.until_memory().await;
    demo.house.get(&other).await;
    rows(&demo.house, |rows| rows.len() == 4).await;
    // Once for the metadata that came with the wheel.
    demo.house.page("demo").await;
    assert_eq!(demo.house.page("demo").await.tier(), "memory");
    let (pages, files) = (demo.house.upstream.count("/simple/demo/"), demo.fetched());

    let purged = demo.house.index.purge(project("demo")).await.unwrap();
    assert_eq!((purged.files(), purged.documents, purged.more), (2, 1, false));
    assert_eq!(purged.projects.len(), 1, "{purged:?}");
    assert_eq!(demo.house.cached().len(), 2, "the other project's wheel and metadata");
    assert!(["memory", "disk"].contains(&demo.house.get(&other).await.tier()));

    // The page first, then the file: both come from upstream, and both are kept again.
    assert_eq!(demo.house.page("demo").await.tier(), "miss");
    assert_eq!(demo.house.upstream.count("/simple/demo/"), pages + 1);
    assert_eq!(demo.get().await, "miss");
    assert_eq!(demo.fetched(), files + 1);
    rows(&demo.house, |rows| rows.len() == 4).await;
    demo.house.end().await;
}

#[tokio::test]
async fn a_running_download_of_a_purged_file_finishes() {
    // More than the sockets' buffers take, and held in memory, but not while it is sent.
    let options = Options { memory_bytes: 512 << 20, ..Options::default() };
    let demo = Demo::in_house(House::with(options).await, HUGE).await;
    demo.until_memory().await;
    let mut stream = TcpStream::connect(demo.house.address).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", demo.path, demo.house.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = vec![0; 100_000];
    stream.read_exact(&mut got).await.unwrap();

    let purged = demo.house.index.purge(Selection::default()).await.unwrap();
    assert_eq!(purged.bytes() / LARGE, demo.bytes.len() as u64 / LARGE);
    assert_eq!(demo.house.cached(), [""; 0].map(std::path::PathBuf::from));
    stream.read_to_end(&mut got).await.unwrap();
    let body = got.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(sha256(&got[body..]), sha256(&demo.bytes), "the download was cut");
    assert!(String::from_utf8_lossy(&got[..body]).contains("X-Cache: memory"), "it was to come from memory");
    assert_eq!(demo.get().await, "miss");
    demo.house.end().await;
}

#[tokio::test]
async fn a_fetch_that_runs_during_a_purge_ends_well() {
    let demo = Demo::of(3_000_000).await;
    let gate = demo.house.upstream.hold_after(&format!("/files/{}", wheel_filename("demo", "1.0")), 1_000_000);
    let purge = async {
        gate.reached(1).await;
        demo.house.index.purge(project("demo")).await.unwrap();
        gate.release();
    };
    let (tier, ()) = tokio::join!(demo.get(), purge);
    assert_eq!((tier.as_str(), demo.fetched()), ("miss", 1));
    assert!(["disk", "memory"].contains(&&*demo.get().await), "what came after the purge is kept");
    demo.house.end().await;
}

#[tokio::test]
async fn private_files_are_never_purged() {
    let house = private_house().await;
    let own = release(&house, "alice/dev", "mine", "1.0").await;
    let bytes = put(&house, "demo", SMALL);
    make_index(&house, "alice/prod", json!({ "bases": [] })).await;
    let wish = json!({ "name": "demo", "version": "1.0", "targetindex": "alice/prod" });
    let pushed = house.api("PUSH", "/root/pypi", ALICE, wish).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    let shelf = house.private_files().len();
    let own_path = house.file_path_in("alice/dev", "mine", &wheel_filename("mine", "1.0")).await;
    let pushed_path = house.file_path_in("alice/prod", "demo", &wheel_filename("demo", "1.0")).await;
    assert_eq!(house.get(&own_path).await.body, own);

    let purged = house.index.purge(Selection::default()).await.unwrap();
    assert!(purged.files() > 0 && house.cached().is_empty());
    let of_mine = house.index.purge(project("mine")).await.unwrap();
    assert_eq!((of_mine.files(), of_mine.documents), (0, 0));
    house.upstream.set_down(true);
    assert_eq!(house.private_files().len(), shelf);
    assert_eq!((house.get(&own_path).await.body, house.get(&pushed_path).await.body), (own.into(), bytes.into()));
    house.end().await;
}

#[tokio::test]
async fn a_purge_by_age_takes_what_nobody_used_and_leaves_the_pages() {
    let demo = Demo::of(SMALL).await;
    put(&demo.house, "other", SMALL);
    let other = demo.house.file_path("other", &wheel_filename("other", "1.0")).await;
    demo.get().await;
    demo.house.get(&other).await;
    rows(&demo.house, |rows| rows.len() == 4).await;
    let day = Duration::from_secs(86_400);
    demo.house.clock.advance(10 * day);
    demo.get().await;
    let since = Some(demo.house.clock.unix() - 5 * 86_400);
    let purged = demo.house.index.purge(Selection { unused_since: since, ..Selection::default() }).await.unwrap();
    let names: Vec<_> = purged.projects.iter().map(|(name, gone)| (name.as_ref().unwrap().as_str(), gone.0)).collect();
    assert_eq!(names, [("demo", 1), ("other", 2)], "demo's metadata was not asked for");
    assert_eq!(purged.documents, 0);
    let purged = demo.house.index.purge(Selection { came_before: since, ..Selection::default() }).await.unwrap();
    assert_eq!((purged.files(), demo.house.cached().len()), (1, 0));
    let elsewhere = Selection { index: Some(IndexName::parse("team/torch").unwrap()), ..Selection::default() };
    demo.get().await;
    assert_eq!(demo.house.index.purge(elsewhere).await.unwrap().files(), 0);
    demo.house.end().await;
}

#[tokio::test]
async fn tallies_tell_hits_and_what_was_saved() {
    let demo = Demo::of(SMALL).await;
    let times = demo.until_memory().await;
    demo.house.index.write_books().await;
    let store = Store::open(demo.house.data()).await.unwrap();
    let tallies = store.tallies().await.unwrap();
    store.close().await;
    let size = demo.bytes.len() as u64;
    let sum = |kind: &str, tiers: &[&str]| {
        let of = tallies.iter().filter(|row| row.kind == kind && tiers.contains(&&*row.tier));
        of.fold((0, 0), |(times, bytes), row| (times + row.times, bytes + row.bytes))
    };
    assert_eq!(sum("file", &["miss"]), (1, size));
    assert_eq!(sum("file", &["memory", "disk"]), (times - 1, (times - 1) * size));
    assert_eq!(sum("fetched", &[""]), (0, size));
    assert_eq!(sum("page", &["miss"]).0, 1);
    let hour = demo.house.clock.unix() / 3_600 * 3_600;
    assert!(tallies.iter().all(|row| row.start == hour), "{tallies:?}");
    demo.house.end().await;
}

#[tokio::test]
async fn what_gave_way_to_others_is_counted() {
    let house = House::with(Options { disk_bytes: 1_000_000, ..Options::default() }).await;
    for name in ["one", "two"] {
        put(&house, name, 800_000);
        let path = house.file_path(name, &wheel_filename(name, "1.0")).await;
        assert_eq!(house.get(&path).await.status, 200);
        rows(&house, |rows| of(rows, &wheel_filename(name, "1.0")).is_some_and(|row| row.uses == 1)).await;
        house.clock.advance(Duration::from_secs(1));
    }
    house.index.tidy_now().await;
    let store = Store::open(house.data()).await.unwrap();
    let (tallies, departed) = (store.tallies().await.unwrap(), store.departed().await.unwrap());
    store.close().await;
    let evicted = tallies.iter().find(|row| row.kind == "evicted").unwrap();
    assert!(evicted.times >= 1 && evicted.bytes >= 800_000, "{evicted:?}");
    assert_eq!((departed[0].0.as_str(), departed[0].1), ("one", 1));
    house.end().await;
}

//! What is stored, kept and kept good: the scrub of a running house, and a data directory of the first format.

use crate::private::{ALICE, make_index, private_house, release};
use crate::support::house::House;
use crate::support::{sha256, wheel, wheel_filename};
use sidewheel::backup::{BackupWish, RestoreWish, Told, restore, take};
use sidewheel::clock::Clock;
use sidewheel::metrics::Event;
use sidewheel::names::{IndexName, ProjectName};
use sidewheel::store::{FORMAT, Migrated, Private, PutBack, RemoveWish, RemovedForNow, RemovedPart, Store, migrate};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn on(shelf: &Path, digest: &str) -> PathBuf {
    shelf.join(&digest[..2]).join(&digest[2..])
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn quarantined(house: &House) -> Vec<String> {
    let names = fs::read_dir(house.data().join("quarantine")).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn shown(house: &House, what: &str) -> String {
    let text = String::from_utf8(house.metrics.text()).unwrap();
    let line = text.lines().find(|line| line.contains(&format!("what=\"{what}\""))).unwrap_or_default();
    line.split(' ').next_back().unwrap_or_default().to_owned()
}

/// Waits for the fetches' tasks, which note what came.
async fn settled(house: &House) {
    while house.index.under_way() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_scrub_finds_exactly_what_is_damaged_and_removes_no_upload() {
    let house = private_house().await;
    let mut cached = Vec::new();
    for n in 0..10 {
        let (filename, bytes) = (wheel_filename("demo", &format!("{n}.0")), wheel("demo", &format!("{n}.0"), 5_000, n));
        house.upstream.project("demo").wheel(&filename, bytes.clone());
        house.clock.advance(Duration::from_secs(700));
        let path = house.file_path("demo", &filename).await;
        assert_eq!(house.get(&path).await.body, bytes);
        cached.push((path, bytes));
    }
    settled(&house).await;
    let mut uploads = Vec::new();
    for n in 0..10 {
        let version = format!("{n}.0");
        let bytes = release(&house, "alice/dev", "own", &version).await;
        uploads.push((house.file_path_in("alice/dev", "own", &wheel_filename("own", &version)).await, bytes));
    }
    // As after a restart: nothing of it is in memory.
    let house = house.restart(|_| {}).await;
    let clean = house.index.scrub_now().await.unwrap();
    assert_eq!((clean.files >= 20, clean.damaged), (true, 0), "{clean:?}");
    assert_eq!(shown(&house, "scrub_finished"), house.clock.unix().to_string());
    for (_, bytes) in [&cached[3], &cached[7]] {
        flip(&on(&house.data().join("files"), &sha256(bytes)));
    }
    for (_, bytes) in [&uploads[2], &uploads[5]] {
        flip(&on(&house.data().join("private"), &sha256(bytes)));
    }
    fs::remove_file(on(&house.data().join("private"), &sha256(&uploads[8].1))).unwrap();
    let found = house.index.scrub_now().await.unwrap();
    assert_eq!(found.damaged, 5, "{found:?}");
    assert_eq!(house.metrics.happened_times(Event::FileDamaged), 5);
    let kept: Vec<_> = quarantined(&house).into_iter().filter(|name| name.starts_with("private-")).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(shown(&house, "private_lost"), "3");
    house.upstream.forget_requests();
    for (n, (path, bytes)) in cached.iter().enumerate() {
        assert_eq!(house.get(path).await.body, *bytes, "{n}");
    }
    assert_eq!(house.upstream.count_prefix("/files/"), 2, "only what was damaged is fetched again");
    for (n, (path, bytes)) in uploads.iter().enumerate() {
        let answer = house.get_as(path, ALICE, &[]).await;
        match [2, 5, 8].contains(&n) {
            true => assert_eq!(answer.status, 500, "{n}: {}", answer.text()),
            false => assert_eq!((answer.status, &answer.body[..]), (200, &bytes[..]), "{n}"),
        }
    }
    settled(&house).await;
    // It is known after a restart too, and what was uploaded again is good again.
    let house = house.restart(|_| {}).await;
    for n in [2, 5, 8] {
        release(&house, "alice/dev", "own", &format!("{n}.0")).await;
    }
    let again = house.index.scrub_now().await.unwrap();
    assert_eq!((again.damaged, shown(&house, "private_lost").as_str()), (0, "0"));
    for (path, bytes) in &uploads {
        assert_eq!(house.get_as(path, ALICE, &[]).await.body, *bytes);
    }
    house.end().await;
}

#[tokio::test]
async fn a_damaged_file_that_the_cache_has_too_is_made_good() {
    let house = private_house().await;
    let bytes = release(&house, "alice/dev", "own", "1.0").await;
    let digest = sha256(&bytes);
    let (private, cached) = (on(&house.data().join("private"), &digest), on(&house.data().join("files"), &digest));
    fs::create_dir_all(cached.parent().unwrap()).unwrap();
    fs::copy(&private, &cached).unwrap();
    flip(&private);
    assert_eq!(house.index.scrub_now().await.unwrap().damaged, 1);
    assert_eq!(fs::read(&private).unwrap(), bytes);
    assert_eq!(shown(&house, "private_lost"), "0");
    assert_eq!(quarantined(&house).len(), 1);
    house.end().await;
}

#[tokio::test]
async fn what_a_kill_left_on_the_private_shelf_goes_when_it_is_old() {
    let house = private_house().await;
    let bytes = release(&house, "alice/dev", "own", "1.0").await;
    let orphan = on(&house.data().join("private"), &sha256(b"orphan"));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, b"orphan").unwrap();
    // The clock of the tests stands: the file is from ahead of it, and may be on its way.
    house.index.scrub_now().await.unwrap();
    assert!(orphan.exists(), "a file that may be on its way was removed");
    house.clock.advance(Duration::from_secs(400 * 86_400));
    house.index.scrub_now().await.unwrap();
    assert!(!orphan.exists());
    assert_eq!(house.metrics.happened_times(Event::OrphanSwept), 1);
    assert_eq!(fs::read(on(&house.data().join("private"), &sha256(&bytes))).unwrap(), bytes);
    house.end().await;
}

#[tokio::test]
async fn a_pass_goes_on_where_it_was_after_a_restart() {
    let house = private_house().await;
    for n in 0..4 {
        release(&house, "alice/dev", "own", &format!("{n}.0")).await;
    }
    // It reads one file, and rests until the clock is moved; the clock stands.
    house.index.scrub_every(Duration::from_secs(3_600));
    let scrubbed = |house: &House| house.metrics.happened_times(Event::FileScrubbed);
    for _ in 0..500 {
        if scrubbed(&house) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scrubbed(&house), 1, "it does not rest between files");
    let house = house.restart(|_| {}).await;
    house.clock.advance(Duration::from_secs(7_200));
    let before = scrubbed(&house);
    let row = house.index.scrub_now().await.unwrap();
    let private = house.private_files().len() as u64;
    assert_eq!((row.files, scrubbed(&house) - before), (private, private - 1), "it began anew");
    house.end().await;
}

#[tokio::test]
async fn a_backup_beside_a_running_house_is_served_elsewhere() {
    let house = private_house().await;
    let bytes = release(&house, "alice/dev", "own", "1.0").await;
    make_index(&house, "alice/prod", serde_json::json!({ "bases": "alice/dev" })).await;
    let place = tempfile::tempdir().unwrap();
    let quiet: Told = Arc::new(|_| {});
    let wish = BackupWish {
        data: house.data().to_owned(),
        target: place.path().join("backup"),
        config: None,
        cache: false,
        keep: None,
        check: false,
    };
    let taken = take(wish, &Clock::system(), Arc::clone(&quiet)).await.unwrap();
    assert!(taken.lacking.is_empty() && taken.private.files > 0);
    house.api("DELETE", "/alice/dev/own", ALICE, serde_json::Value::Null).await;
    let wish = RestoreWish {
        target: place.path().join("backup"),
        snapshot: None,
        data: place.path().join("data"),
        force: false,
        partial: false,
    };
    restore(wish, &Clock::system(), quiet).await.unwrap();
    let private = Private::open(&place.path().join("data")).await.unwrap();
    let digest = sha256(&bytes);
    assert!(private.named().await.unwrap().iter().any(|(named, _)| named.to_hex() == digest));
    assert_eq!(private.indexes().await.unwrap().len(), 2, "alice/dev and alice/prod");
    assert_eq!(fs::read(on(&place.path().join("data/private"), &digest)).unwrap(), bytes);
    house.end().await;
}

/// Made by the program that wrote format 1 (commit d4314c7): alice, her index alice/dev and golden 1.0 in it.
const GOLDEN: &[u8] = include_bytes!("golden/format-1.tar.gz");

/// The same of format 2 (commit 99464a9): golden 1.0 with documentation and a test's result, promoted to alice/prod; 1.1;
/// and 1.2, which was removed.
const GOLDEN_2: &[u8] = include_bytes!("golden/format-2.tar.gz");

/// A copy of the first in a directory of its own.
fn golden() -> (tempfile::TempDir, PathBuf) {
    unpacked(GOLDEN)
}

fn unpacked(archive: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    tar::Archive::new(flate2::read::GzDecoder::new(archive)).unpack(place.path()).unwrap();
    let data = place.path().join("data");
    (place, data)
}

#[tokio::test]
async fn an_older_directory_is_backed_up_as_it_is_and_brought_up_when_it_is_served() {
    let (place, data) = golden();
    let (target, quiet): (_, Told) = (place.path().join("backup"), Arc::new(|_| {}));
    let wish = BackupWish { data, target: target.clone(), config: None, cache: true, keep: None, check: false };
    let taken = take(wish, &Clock::system(), Arc::clone(&quiet)).await.unwrap();
    assert!(taken.lacking.is_empty() && taken.private.files > 0);
    let manifest = sidewheel::backup::snapshots(&target).unwrap().pop().unwrap().manifest.unwrap();
    assert_eq!(manifest.format, 1);
    let data = place.path().join("new");
    let wish = RestoreWish { target, snapshot: None, data: data.clone(), force: false, partial: false };
    restore(wish, &Clock::system(), quiet).await.unwrap();
    assert_eq!(fs::read_to_string(data.join("format")).unwrap().lines().next(), Some("1"));
    assert_eq!(migrate(&data).await.unwrap().map(|migrated| migrated.from), Some(1));
    assert_eq!(Private::open(&data).await.unwrap().users().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_directory_of_the_first_format_is_brought_up() {
    let (_place, data) = golden();
    let refused = Private::open(&data).await.err().unwrap().to_string();
    assert!(refused.contains("older sidewheel") && refused.contains("format 1"), "{refused}");
    let migrated = migrate(&data).await.unwrap();
    assert_eq!(migrated, Some(Migrated { from: 1, kept: data.join(format!("before-format-{FORMAT}")) }));
    let (private, store) = (Private::open(&data).await.unwrap(), Store::open(&data).await.unwrap());
    let users: Vec<_> = private.users().await.unwrap().into_iter().map(|user| user.name.to_string()).collect();
    assert_eq!(users, ["alice", "root"]);
    let named = private.named().await.unwrap();
    assert!(!named.is_empty());
    for (digest, size) in named {
        let bytes = fs::read(on(&data.join("private"), &digest.to_hex())).unwrap();
        assert_eq!((bytes.len() as u64, sha256(&bytes)), (size, digest.to_hex()));
    }
    assert!(private.damaged().await.unwrap().is_empty());
    assert_eq!(store.scrub().await.unwrap(), None);
    assert_eq!(migrate(&data).await.unwrap(), None);
}

#[tokio::test]
async fn a_directory_of_the_second_format_is_backed_up_and_brought_up() {
    let (place, data) = unpacked(GOLDEN_2);
    let (target, quiet): (_, Told) = (place.path().join("backup"), Arc::new(|_| {}));
    let wish =
        BackupWish { data: data.clone(), target: target.clone(), config: None, cache: true, keep: None, check: false };
    let taken = take(wish, &Clock::system(), quiet).await.unwrap();
    assert!(taken.lacking.is_empty(), "{:?}", taken.lacking);
    assert_eq!(taken.private.files, 6, "two wheels with their metadata, documentation, a result");
    let migrated = migrate(&data).await.unwrap();
    assert_eq!(migrated, Some(Migrated { from: 2, kept: data.join(format!("before-format-{FORMAT}")) }));
    let private = Private::open(&data).await.unwrap();
    let (dev, prod) = (IndexName::parse("alice/dev").unwrap(), IndexName::parse("alice/prod").unwrap());
    let golden = ProjectName::parse("golden").unwrap();
    for (index, files) in [(&dev, 4), (&prod, 3)] {
        assert_eq!(private.files(index, &golden).await.unwrap().len(), files);
        assert!(private.removals(index, 0).await.unwrap().is_empty());
    }
    assert_eq!(private.was_deleted(&dev, &wheel_filename("golden", "1.2")).await.unwrap().len(), 1);
    let named = private.named().await.unwrap();
    assert_eq!(named.len(), 6);
    for (digest, _) in &named {
        assert_eq!(sha256(&fs::read(on(&data.join("private"), &digest.to_hex())).unwrap()), digest.to_hex());
    }
    let wish = RemoveWish {
        index: dev.clone(),
        project: golden.clone(),
        part: RemovedPart::Project,
        by: None,
        at: 1,
        until: 2,
    };
    let RemovedForNow::Kept(id) = private.remove_for_now(&wish).await.unwrap() else { panic!("nothing went") };
    assert_eq!(private.named().await.unwrap(), named);
    assert_eq!(private.put_back(id, 1).await.unwrap(), PutBack::Done);
    assert_eq!(private.files(&dev, &golden).await.unwrap().len(), 4);
}

use super::*;
use crate::cache::{Disk, Pace, Shelf, Spool};
use crate::clock::Clock;
use crate::names::{IndexName, ProjectName, Sha256, UserName};
use crate::store::{FileRow, IndexRow, Private, Publication, Published, Rel, ReleaseRow, Store, UserRow};
use serde_json::Map;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const NOW: u64 = 1_790_000_000;

/// A data directory with files of alice's, and a place for its backups.
struct Site {
    root: TempDir,
    clock: Clock,
}

impl Site {
    async fn with(files: &[&str]) -> Self {
        let site = Self { root: tempfile::tempdir().unwrap(), clock: Clock::manual(NOW) };
        let private = Private::open(&site.data_made()).await.unwrap();
        let name = UserName::parse("alice").unwrap();
        let user =
            UserRow { name, password: Some("$argon2id$x".into()), created: 7, modified: None, facts: Map::new() };
        private.put_user(&user).await.unwrap();
        let index = IndexRow { name: IndexName::parse("alice/dev").unwrap(), settings: Map::new() };
        private.put_index(&index).await.unwrap();
        private.close().await;
        for text in files {
            site.upload(text).await;
        }
        site
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn data_made(&self) -> PathBuf {
        Disk::open(&self.data()).unwrap();
        self.data()
    }

    fn target(&self) -> PathBuf {
        self.root.path().join("backup")
    }

    /// Publishes a file that says `text` and is called after it.
    async fn upload(&self, text: &str) -> Sha256 {
        let disk = Disk::open(&self.data()).unwrap();
        let mut spool = Spool::create(&disk).unwrap();
        spool.write(text.as_bytes()).unwrap();
        let sha256 = spool.verify(None, None).unwrap();
        spool.publish_private(&disk, sha256).unwrap();
        let private = Private::open(&self.data()).await.unwrap();
        let stored = private.publish(&publication(text, sha256)).await.unwrap();
        assert!(matches!(stored, Published::Stored { .. }));
        private.close().await;
        sha256
    }

    async fn remove(&self, text: &str) {
        let private = Private::open(&self.data()).await.unwrap();
        let index = IndexName::parse("alice/dev").unwrap();
        let removed = private.remove_file(&index, &filename(text)).await.unwrap().unwrap();
        for digest in removed.unreferenced {
            fs::remove_file(on(&self.data(), &digest)).unwrap();
        }
        private.close().await;
    }

    fn wish(&self) -> BackupWish {
        BackupWish { data: self.data(), target: self.target(), config: None, cache: false, keep: None, check: false }
    }

    async fn back_up(&self) -> Taken {
        self.clock.advance(std::time::Duration::from_secs(60));
        take(self.wish(), &self.clock, quiet()).await.unwrap()
    }

    fn wanted(&self, data: &str) -> RestoreWish {
        RestoreWish {
            target: self.target(),
            snapshot: None,
            data: self.root.path().join(data),
            force: false,
            partial: false,
        }
    }

    async fn restored(&self, wish: RestoreWish) -> Result<Restored, BackupError> {
        restore(wish, &self.clock, quiet()).await
    }

    async fn verified(&self, place: &Path) -> Verified {
        let pace = Pace::new(Clock::system(), None);
        match is_backup(place) {
            true => verify_backup(place, None, pace, quiet()).await.unwrap(),
            false => verify_data(place, pace, quiet()).await.unwrap(),
        }
    }
}

fn quiet() -> Told {
    Arc::new(|_| {})
}

fn filename(text: &str) -> String {
    format!("demo-{}.tar.gz", text.len())
}

fn on(root: &Path, digest: &Sha256) -> PathBuf {
    crate::cache::Look::at(root).path(Shelf::Private, digest)
}

fn publication(text: &str, sha256: Sha256) -> Publication {
    let (index, project) = (IndexName::parse("alice/dev").unwrap(), ProjectName::parse("demo").unwrap());
    Publication {
        release: ReleaseRow {
            index: index.clone(),
            project: project.clone(),
            version: text.len().to_string(),
            metadata: Map::new(),
            created: 5,
        },
        file: FileRow {
            index,
            filename: filename(text),
            rel: Rel::Releasefile,
            project,
            version: text.len().to_string(),
            sha256,
            size: text.len() as u64,
            uploaded: 5_000_001,
            requires_python: None,
            metadata: None,
            yanked: None,
            attestations: None,
            log: Vec::new(),
            for_file: None,
        },
        volatile: true,
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn faults(findings: &[Finding]) -> Vec<(Fault, Vec<String>)> {
    findings.iter().map(|finding| (finding.fault, finding.files.clone())).collect()
}

#[tokio::test]
async fn a_snapshot_holds_all_that_cannot_be_fetched_again_and_the_next_only_what_is_new() {
    let site = Site::with(&["one", "three"]).await;
    fs::write(site.data().join("root-password"), "word\n").unwrap();
    let first = site.back_up().await;
    assert_eq!((first.private, first.copied), (Totals { files: 2, bytes: 8 }, Totals { files: 2, bytes: 8 }));
    let second = site.back_up().await;
    assert_eq!((second.private.files, second.copied), (2, Totals::default()), "what was there was copied again");
    let digest = site.upload("another").await;
    let third = site.back_up().await;
    assert_eq!((third.private.files, third.copied), (3, Totals { files: 1, bytes: 7 }));
    let ids: Vec<_> = snapshots(&site.target()).unwrap().into_iter().map(|snapshot| snapshot.id).collect();
    assert_eq!(ids, [first.id, second.id, third.id.clone()]);
    let manifest = snapshots(&site.target()).unwrap().pop().unwrap().manifest.unwrap();
    let names: Vec<_> = manifest.documents.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names, ["private.db", "root-password"]);
    assert!(manifest.private.contains(&(digest, 7)) && manifest.lacking.is_empty());
    assert_eq!(manifest.format, crate::store::FORMAT);
    // A copy shares nothing with what it is a copy of.
    let inode = |path: PathBuf| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    assert_ne!(inode(on(&site.data(), &digest)), inode(on(&site.target(), &digest)));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let snapshot = site.target().join("snapshots").join(third.id.as_str());
    assert_eq!((mode(site.target()), mode(snapshot.clone())), (0o700, 0o700));
    assert_eq!((mode(snapshot.join("private.db")), mode(snapshot.join("root-password"))), (0o600, 0o600));
    assert!(site.verified(&site.target()).await.findings.is_empty());
    assert!(site.verified(&site.data()).await.findings.is_empty());
}

#[tokio::test]
async fn the_cache_and_the_configuration_come_along_where_they_are_asked_for() {
    let site = Site::with(&["one"]).await;
    let (disk, store) = (Disk::open(&site.data()).unwrap(), Store::open(&site.data()).await.unwrap());
    let mut spool = Spool::create(&disk).unwrap();
    spool.write(b"cached").unwrap();
    let digest = spool.verify(None, None).unwrap();
    spool.publish(&disk, digest).unwrap();
    store.put_blobs(&[(digest, 6)], 1).await.unwrap();
    store.put_blobs(&[(Sha256::of(b"evicted"), 7)], 1).await.unwrap();
    let config = site.root.path().join("my.toml");
    fs::write(&config, "memory = '1GiB'\n").unwrap();
    let wish = BackupWish { cache: true, config: Some(config), ..site.wish() };
    let taken = take(wish, &site.clock, quiet()).await.unwrap();
    assert_eq!((taken.cache, taken.lacking.len()), (Totals { files: 1, bytes: 6 }, 0));
    drop((disk, store));
    let restored = site.restored(site.wanted("new")).await.unwrap();
    assert_eq!(restored.files, 2);
    assert_eq!(fs::read_to_string(restored.config.unwrap()).unwrap(), "memory = '1GiB'\n");
    let store = Store::open(&site.root.path().join("new")).await.unwrap();
    assert_eq!(store.blob_totals().await.unwrap().0, 2);
    assert!(Disk::open(&site.root.path().join("new")).unwrap().has_on(Shelf::Cache, &digest));
}

#[tokio::test]
async fn what_the_data_directory_has_lost_is_named_and_what_the_backup_has_stays_good() {
    let site = Site::with(&["one", "three", "another"]).await;
    site.back_up().await;
    let lost = site.upload("lost").await;
    let rotten = site.upload("rotten").await;
    fs::remove_file(on(&site.data(), &lost)).unwrap();
    flip(&on(&site.data(), &rotten));
    flip(&on(&site.data(), &Sha256::of(b"one")));
    let taken = site.back_up().await;
    let mut found = faults(&taken.lacking);
    found.sort();
    let named = |text| vec![format!("alice/dev/{}", filename(text))];
    assert_eq!(found, [(Fault::Damaged, named("rotten")), (Fault::Missing, named("lost"))]);
    assert_eq!(taken.private.files, 3);
    assert!(site.verified(&site.target()).await.findings.is_empty(), "the backup itself is whole");
    let restored = site.restored(site.wanted("new")).await.unwrap();
    assert_eq!(restored.lacking.len(), 2);
    let one = fs::read(on(&site.root.path().join("new"), &Sha256::of(b"one"))).unwrap();
    assert_eq!(one, b"one", "the copy from before the damage was good");
}

#[tokio::test]
async fn what_the_server_removes_while_it_is_copied_is_no_loss() {
    let site = Arc::new(Site::with(&["one", "three", "another"]).await);
    let (of, left) = (Arc::clone(&site), parking_lot::Mutex::new(vec!["three", "one"]));
    // The rows are read and nothing is copied yet: a removal goes through, and another when they are read again.
    let told: Told = Arc::new(move |step| {
        let next = matches!(step, Step::Ahead(_)).then(|| left.lock().pop()).flatten();
        if let Some(text) = next {
            let site = Arc::clone(&of);
            let removed = std::thread::spawn(move || {
                tokio::runtime::Runtime::new().unwrap().block_on(site.remove(text));
            });
            removed.join().unwrap();
        }
    });
    let taken = take(site.wish(), &site.clock, told).await.unwrap();
    // The first is gone from the rows that were read again; the second was copied before it went.
    assert_eq!((taken.lacking, taken.private), (vec![], Totals { files: 2, bytes: 12 }));
    assert!(!on(&site.target(), &Sha256::of(b"one")).exists());
    assert!(site.verified(&site.target()).await.findings.is_empty());
}

#[tokio::test]
async fn a_file_that_a_row_lost_and_the_cache_still_has_is_copied_from_there() {
    let site = Site::with(&["one"]).await;
    let digest = Sha256::of(b"one");
    let cached = crate::cache::Look::at(&site.data()).path(Shelf::Cache, &digest);
    fs::create_dir_all(cached.parent().unwrap()).unwrap();
    fs::rename(on(&site.data(), &digest), &cached).unwrap();
    assert!(site.back_up().await.lacking.is_empty());
    assert_eq!(fs::read(on(&site.target(), &digest)).unwrap(), b"one");
}

#[tokio::test]
async fn old_snapshots_go_with_what_only_they_named() {
    let site = Site::with(&["one", "three"]).await;
    let first = site.back_up().await;
    site.remove("one").await;
    site.back_up().await;
    let wish = BackupWish { keep: Some(2), ..site.wish() };
    site.clock.advance(std::time::Duration::from_secs(60));
    let third = take(wish, &site.clock, quiet()).await.unwrap();
    assert_eq!((third.pruned, third.removed), (vec![first.id], Totals { files: 1, bytes: 3 }));
    assert!(!on(&site.target(), &Sha256::of(b"one")).exists());
    assert!(site.verified(&site.target()).await.findings.is_empty());
    // Nobody knows what a damaged manifest names: nothing goes with the snapshots then.
    let all = snapshots(&site.target()).unwrap();
    flip(&site.target().join("snapshots").join(all[1].id.as_str()).join("manifest.json"));
    site.remove("three").await;
    let wish = BackupWish { keep: Some(2), ..site.wish() };
    site.clock.advance(std::time::Duration::from_secs(60));
    let fourth = take(wish, &site.clock, quiet()).await.unwrap();
    assert_eq!((fourth.pruned.len(), fourth.removed.files), (1, 0));
    assert!(on(&site.target(), &Sha256::of(b"three")).exists());
}

#[tokio::test]
async fn a_backup_has_a_place_of_its_own_and_one_writer() {
    let site = Site::with(&["one"]).await;
    let refused =
        |target: PathBuf| async { take(BackupWish { target, ..site.wish() }, &site.clock, quiet()).await.unwrap_err() };
    for target in [site.data(), site.data().join("backup"), site.root.path().to_owned()] {
        assert!(matches!(refused(target).await, BackupError::Inside(..)));
    }
    std::os::unix::fs::symlink(site.data(), site.root.path().join("link")).unwrap();
    let linked = site.root.path().join("link/backup");
    assert!(matches!(refused(linked).await, BackupError::Inside(..)), "through a link");
    let foreign = site.root.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "x").unwrap();
    assert!(matches!(refused(foreign).await, BackupError::Foreign(_)));
    let other = site.root.path().join("other");
    Disk::open(&other).unwrap();
    let nothing = BackupWish { data: other, ..site.wish() };
    assert!(matches!(take(nothing, &site.clock, quiet()).await, Err(BackupError::NoData(_))));
    site.back_up().await;
    let held = target::Target::open(&site.target()).unwrap();
    let busy = refused(site.target()).await;
    assert!(matches!(&busy, BackupError::Busy { holder, .. } if *holder == std::process::id().to_string()), "{busy}");
    drop(held);
    // Nobody takes a backup for a data directory.
    let of_backup = BackupWish { data: site.target(), target: site.root.path().join("b"), ..site.wish() };
    let why = take(of_backup, &site.clock, quiet()).await.unwrap_err().to_string();
    assert!(why.contains("is a backup") && why.contains("sidewheel restore"), "{why}");
}

#[tokio::test]
async fn what_a_kill_left_is_swept_and_is_no_snapshot() {
    let site = Site::with(&["one"]).await;
    site.back_up().await;
    let half = site.target().join("snapshots/new");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("private.db"), "half").unwrap();
    fs::create_dir(site.target().join("snapshots/old")).unwrap();
    fs::write(site.target().join("tmp/3"), "half").unwrap();
    assert_eq!(snapshots(&site.target()).unwrap().len(), 1);
    assert!(site.verified(&site.target()).await.findings.is_empty());
    site.back_up().await;
    assert!(!half.exists() && !site.target().join("snapshots/old").exists());
    assert_eq!(fs::read_dir(site.target().join("tmp")).unwrap().count(), 0);
    // Killed before the first could say what this is.
    let begun = site.root.path().join("begun");
    fs::create_dir_all(begun.join("snapshots")).unwrap();
    take(BackupWish { target: begun, ..site.wish() }, &site.clock, quiet()).await.unwrap();
}

#[tokio::test]
async fn the_last_snapshot_is_the_newest_whatever_the_clock_says() {
    let site = Site::with(&["one"]).await;
    for _ in 0..3 {
        let wish = BackupWish { keep: Some(1), ..site.wish() };
        let taken = take(wish, &site.clock, quiet()).await.unwrap();
        let all: Vec<_> = snapshots(&site.target()).unwrap().into_iter().map(|snapshot| snapshot.id).collect();
        assert_eq!(all, [taken.id], "the one that was just taken went, or an older one stayed");
    }
}

#[tokio::test]
async fn two_snapshots_of_one_second_have_names_of_their_own() {
    let site = Site::with(&["one"]).await;
    let first = take(site.wish(), &site.clock, quiet()).await.unwrap();
    let second = take(site.wish(), &site.clock, quiet()).await.unwrap();
    assert!(second.id > first.id);
    assert_eq!(SnapshotId::parse(second.id.as_str()), Some(second.id));
    for raw in
        ["", "new", "2026-11-24T22-41-07", "2026-11-24T22:41:07Z", "../../../../../etc/x", "٢٠٢٦-11-24T22-41-07Z"]
    {
        assert_eq!(SnapshotId::parse(raw), None, "{raw}");
    }
}

#[tokio::test]
async fn a_damaged_backup_is_named_file_by_file_and_nothing_half_is_left() {
    let site = Site::with(&["one", "three", "another"]).await;
    site.back_up().await;
    flip(&on(&site.target(), &Sha256::of(b"one")));
    fs::remove_file(on(&site.target(), &Sha256::of(b"three"))).unwrap();
    let new = site.root.path().join("new");
    let why = site.restored(site.wanted("new")).await.unwrap_err();
    let BackupError::Damaged { findings, .. } = &why else { panic!("{why}") };
    let mut found = faults(findings);
    found.sort();
    let named = |text| vec![format!("alice/dev/{}", filename(text))];
    assert_eq!(found, [(Fault::Damaged, named("one")), (Fault::Missing, named("three"))]);
    assert!(why.to_string().contains("--partial"), "{why}");
    assert_eq!(fs::read_dir(&new).unwrap().count(), 0, "half a directory is left");
    let restored = site.restored(RestoreWish { partial: true, ..site.wanted("new") }).await.unwrap();
    assert_eq!(restored.lacking.len(), 2);
    assert_eq!(fs::read(on(&new, &Sha256::of(b"another"))).unwrap(), b"another");
    let found = site.verified(&new).await;
    assert_eq!(faults(&found.findings).len(), 2, "{:?}", found.findings);
    // The rows themselves are nothing to be partial about.
    let id = snapshots(&site.target()).unwrap().pop().unwrap().id;
    flip(&site.target().join("snapshots").join(id.as_str()).join("private.db"));
    let why = site.restored(RestoreWish { partial: true, ..site.wanted("newer") }).await.unwrap_err();
    assert!(matches!(&why, BackupError::Damaged { findings, .. } if findings[0].path.ends_with("private.db")), "{why}");
    // A backup mends what it can when it is asked to look.
    let before = take(site.wish(), &site.clock, quiet()).await.unwrap();
    assert_eq!(before.copied.files, 1, "only what is missing is seen at a glance");
    let wish = BackupWish { check: true, ..site.wish() };
    assert_eq!(take(wish, &site.clock, quiet()).await.unwrap().copied.files, 1);
    site.restored(site.wanted("newest")).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_is_there_is_moved_aside_when_told_so_and_never_removed() {
    let site = Site::with(&["one"]).await;
    site.back_up().await;
    let here = site.data().file_name().unwrap().to_str().unwrap().to_owned();
    let wish = site.wanted(&here);
    assert!(matches!(site.restored(wish.clone()).await, Err(BackupError::Occupied(_))));
    let wish = RestoreWish { force: true, ..wish };
    let serving = Disk::open(&site.data()).unwrap();
    assert!(matches!(site.restored(wish.clone()).await, Err(BackupError::Serving { .. })));
    drop(serving);
    site.upload("another").await;
    flip(&on(&site.target(), &Sha256::of(b"one")));
    assert!(matches!(site.restored(wish.clone()).await, Err(BackupError::Damaged { .. })));
    assert!(on(&site.data(), &Sha256::of(b"another")).is_file(), "the old one went for one that is damaged");
    assert!(!site.root.path().join("data.restoring").exists());
    flip(&on(&site.target(), &Sha256::of(b"one")));
    let restored = site.restored(wish).await.unwrap();
    let aside = restored.aside.unwrap();
    assert!(on(&aside, &Sha256::of(b"another")).is_file());
    assert!(!on(&site.data(), &Sha256::of(b"another")).exists());
    assert!(site.verified(&site.data()).await.findings.is_empty());
}

#[tokio::test]
async fn a_restore_that_was_killed_is_not_served_and_goes_on() {
    let site = Site::with(&["one", "three"]).await;
    site.back_up().await;
    let new = site.root.path().join("new");
    Disk::open(&new).unwrap();
    crate::store::write_format(&new, crate::store::FORMAT_OF_RESTORES).unwrap();
    let one = on(&new, &Sha256::of(b"one"));
    fs::create_dir_all(one.parent().unwrap()).unwrap();
    fs::write(&one, b"0ne").unwrap();
    fs::write(new.join("private.db"), b"half").unwrap();
    let why = crate::store::migrate(&new).await.unwrap_err().to_string();
    assert!(why.contains("restore"), "{why}");
    site.restored(site.wanted("new")).await.unwrap();
    assert_eq!(fs::read(&one).unwrap(), b"one");
    assert_eq!(crate::store::migrate(&new).await.unwrap(), None);
    let private = Private::open(&new).await.unwrap();
    assert_eq!(private.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_snapshot_of_a_newer_program_is_refused() {
    let site = Site::with(&["one"]).await;
    site.back_up().await;
    let (directory, _, manifest) = target::choose(&site.target(), None).unwrap();
    let text = Manifest { format: 99, ..manifest }.to_text();
    fs::write(directory.join("manifest.json"), &text).unwrap();
    fs::write(directory.join("manifest.sha256"), Sha256::of(text.as_bytes()).to_hex()).unwrap();
    let why = site.restored(site.wanted("new")).await.unwrap_err().to_string();
    assert!(why.contains("format 99") && why.contains("newer"), "{why}");
    assert!(!site.root.path().join("new").exists());
    let why = site.restored(RestoreWish { snapshot: Some("x".into()), ..site.wanted("new") }).await.unwrap_err();
    assert!(matches!(why, BackupError::NoSnapshot { .. }));
}

#[tokio::test]
async fn where_there_is_no_snapshot_nothing_is_said_to_be_good() {
    let site = Site::with(&[]).await;
    target::Target::open(&site.target()).unwrap();
    let verified = verify_backup(&site.target(), None, Pace::new(Clock::system(), None), quiet()).await;
    assert!(matches!(verified, Err(BackupError::Empty(_))));
    assert!(matches!(site.restored(site.wanted("new")).await, Err(BackupError::Empty(_))));
    assert!(matches!(snapshots(&site.data()), Err(BackupError::NoBackup(_))));
}

#[tokio::test]
async fn every_kind_of_fault_is_found_and_named() {
    let site = Site::with(&["one", "three", "another", "whole file"]).await;
    site.back_up().await;
    for place in [site.data(), site.target()] {
        flip(&on(&place, &Sha256::of(b"one")));
        fs::remove_file(on(&place, &Sha256::of(b"three"))).unwrap();
        let odd = on(&place, &Sha256::of(b"another"));
        fs::remove_file(&odd).unwrap();
        fs::create_dir(&odd).unwrap();
        let extra = on(&place, &Sha256::of(b"extra"));
        fs::create_dir_all(extra.parent().unwrap()).unwrap();
        fs::write(&extra, b"extra").unwrap();
        let verified = site.verified(&place).await;
        let mut found = faults(&verified.findings);
        found.sort();
        let named = |text| vec![format!("alice/dev/{}", filename(text))];
        let expected =
            [(Fault::Damaged, named("one")), (Fault::Missing, named("three")), (Fault::Unreadable, named("another"))];
        assert_eq!(found, expected, "{}", place.display());
        assert_eq!(verified.extra, Totals { files: 1, bytes: 5 });
        assert!(extra.exists() && odd.is_dir(), "verifying changed something");
    }
    fs::write(site.data().join("private.db"), b"not a database at all, not at all").unwrap();
    let verified = site.verified(&site.data()).await;
    assert_eq!(verified.findings[0].path, "private.db");
}

#[test]
fn a_manifest_comes_back_as_it_was_written_and_another_is_refused() {
    let manifest = Manifest {
        created: NOW,
        format: 2,
        program: "0.1.0".into(),
        uuid: "ab".into(),
        serial: 7,
        documents: vec![manifest::Document { name: "private.db".into(), sha256: Sha256::of(b"x"), size: 1 }],
        private: vec![(Sha256::of(b"one"), 3)],
        cache: vec![(Sha256::of(b"two"), 3)],
        lacking: vec![(Sha256::of(b"three"), Fault::Missing)],
    };
    let text = manifest.to_text();
    assert_eq!(Manifest::parse(&text), Ok(manifest));
    for (from, to) in [
        ("\"sidewheel_backup\":1", "\"sidewheel_backup\":2"),
        ("private.db", "../private.db"),
        ("private.db", "/etc/passwd"),
        ("private.db", ".."),
        ("missing", "eaten"),
        ("\"serial\":7,", ""),
    ] {
        assert!(text.contains(from));
        assert!(Manifest::parse(&text.replace(from, to)).is_err(), "{to}");
    }
}

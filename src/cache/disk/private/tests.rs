use super::super::QUARANTINE_FILES_MAX;
use super::*;
use crate::cache::Spool;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

fn spool(disk: &Disk, bytes: &[u8]) -> (Spool, Sha256) {
    let mut spool = Spool::create(disk).unwrap();
    spool.write(bytes).unwrap();
    let digest = spool.verify(None, None).unwrap();
    (spool, digest)
}

fn put(disk: &Disk, shelf: Shelf, bytes: &[u8]) -> Sha256 {
    let (spool, digest) = spool(disk, bytes);
    let file = match shelf {
        Shelf::Cache => spool.publish(disk, digest),
        Shelf::Private => spool.publish_private(disk, digest),
    };
    let file = file.unwrap();
    assert!((file.shelf, file.verified, file.len) == (shelf, true, bytes.len() as u64));
    digest
}

fn shelf_of(disk: &Disk, digest: &Sha256) -> Option<(Shelf, bool)> {
    disk.get(digest).unwrap().map(|file| (file.shelf, file.verified))
}

fn names(disk: &Disk, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(disk.root().join(directory)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn scanned(disk: &Disk) -> (Vec<Sha256>, Vec<Sha256>) {
    let (mut cached, mut private) = (Vec::new(), Vec::new());
    disk.look().scan(Shelf::Cache, |digest, _| {
        cached.push(digest);
        true
    });
    disk.look().scan(Shelf::Private, |digest, _| {
        private.push(digest);
        true
    });
    (cached, private)
}

#[test]
fn the_shelves_are_apart_and_the_cache_comes_first() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let digest = put(&disk, Shelf::Private, b"hello");
    assert_eq!(scanned(&disk), (vec![], vec![digest]));
    assert!(disk.has(&digest) && !disk.has_on(Shelf::Cache, &digest));
    disk.remove(&digest).unwrap();
    assert_eq!(shelf_of(&disk, &digest), Some((Shelf::Private, false)), "eviction has reached what is owned");
    put(&disk, Shelf::Cache, b"hello");
    assert_eq!(shelf_of(&disk, &digest), Some((Shelf::Cache, true)));
    assert_eq!(scanned(&disk), (vec![digest], vec![digest]));
    disk.remove_private(&digest).unwrap();
    disk.remove_private(&digest).unwrap();
    assert_eq!(scanned(&disk), (vec![digest], vec![]));
    disk.remove(&digest).unwrap();
    assert!(!disk.has(&digest) && shelf_of(&disk, &digest).is_none());
}

#[test]
fn only_its_owner_looks_in_and_it_is_there_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    // Private bytes lie in `tmp` while they arrive, and in `quarantine` when they are damaged.
    for part in [PRIVATE, "tmp", "quarantine"] {
        let mode = fs::metadata(root.path().join(part)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{part}");
    }
    let digest = put(&disk, Shelf::Private, b"hello");
    drop(disk);
    let disk = Disk::open(root.path()).unwrap();
    let file = disk.get(&digest).unwrap().unwrap();
    assert!(!file.verified && disk.verify(&digest, &file, |_| {}).unwrap());
    assert_eq!(shelf_of(&disk, &digest), Some((Shelf::Private, true)));
}

#[test]
fn an_equal_file_gives_way_whatever_lies_there() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let digest = put(&disk, Shelf::Private, b"hello");
    let path = disk.path(Shelf::Private, &digest);
    let reader = disk.get(&digest).unwrap().unwrap();
    put(&disk, Shelf::Private, b"hello");
    assert_eq!(reader.read().unwrap(), b"hello");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
    put(&disk, Shelf::Private, b"hello");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("x"), b"x").unwrap();
    put(&disk, Shelf::Private, b"hello");
    assert_eq!(disk.get(&digest).unwrap().unwrap().read().unwrap(), b"hello");
    fs::remove_dir_all(root.path().join(PRIVATE)).unwrap();
    put(&disk, Shelf::Private, b"hello");
    assert_eq!(shelf_of(&disk, &digest), Some((Shelf::Private, true)));
    assert!(names(&disk, "tmp").is_empty());
}

#[test]
fn a_file_of_the_cache_becomes_private_and_outlives_its_eviction() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let digest = put(&disk, Shelf::Cache, b"hello");
    for _ in 0..2 {
        let file = disk.link_private(&digest).unwrap().unwrap();
        assert!(file.shelf == Shelf::Private && file.verified);
    }
    let inode = |shelf| inode(&disk.path(shelf, &digest).metadata());
    assert_eq!(inode(Shelf::Cache), inode(Shelf::Private));
    // As two who link at the same time: the second finds its own name there.
    let cached = disk.get_on(Shelf::Cache, &digest).unwrap().unwrap();
    disk.adopt_private(disk.second_name(&digest, &cached).unwrap(), digest).unwrap();
    assert!(names(&disk, "tmp").is_empty(), "{:?}", names(&disk, "tmp"));
    disk.remove(&digest).unwrap();
    assert_eq!(disk.get(&digest).unwrap().unwrap().read().unwrap(), b"hello");
    assert!(disk.link_private(&digest).unwrap().is_some());
    assert!(disk.link_private(&Sha256::of(b"other")).unwrap().is_none());
}

#[test]
fn what_cannot_be_linked_is_copied() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let bytes = vec![7; 256 * 1024 + 1];
    let digest = put(&disk, Shelf::Cache, &bytes);
    let cached = disk.get(&digest).unwrap().unwrap();
    put(&disk, Shelf::Cache, &bytes);
    assert!(disk.second_name(&digest, &cached).is_none(), "another file was taken for the one that was read");
    let file = disk.adopt_private(disk.copy(&digest, &cached).unwrap(), digest).unwrap();
    assert_eq!(file.read().unwrap(), bytes);
    assert!(disk.copy(&Sha256::of(b"other"), &cached).is_err());
    assert!(names(&disk, "tmp").is_empty());
}

#[test]
fn damage_does_not_become_private_and_private_damage_is_healed_from_the_cache() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let digest = put(&disk, Shelf::Cache, b"hello");
    fs::write(disk.path(Shelf::Cache, &digest), b"hellO").unwrap();
    assert!(disk.link_private(&digest).unwrap().is_none());
    assert_eq!((scanned(&disk), names(&disk, "quarantine").len()), ((vec![], vec![]), 1));
    put(&disk, Shelf::Private, b"hello");
    put(&disk, Shelf::Cache, b"hello");
    fs::write(disk.path(Shelf::Private, &digest), b"hellO").unwrap();
    let file = disk.link_private(&digest).unwrap().unwrap();
    assert_eq!(file.read().unwrap(), b"hello");
    assert!(names(&disk, "quarantine").iter().any(|name| name.starts_with(KEPT)));
}

#[test]
fn what_is_owned_is_set_aside_only_when_it_is_damaged_and_then_kept_for_good() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let digest = put(&disk, Shelf::Private, b"hello");
    assert_eq!(disk.set_aside(&digest), None);
    put(&disk, Shelf::Cache, b"hello");
    assert_eq!((disk.set_aside(&digest), disk.set_aside(&digest)), (Some(Shelf::Cache), None));
    for _ in 0..2 {
        let path = disk.path(Shelf::Private, &digest);
        let old = disk.get(&digest).unwrap().unwrap();
        put(&disk, Shelf::Private, b"hello");
        assert!(!disk.take_private_away(&digest, Some(&old)), "a good file was taken for the one before it");
        fs::write(&path, b"hellO").unwrap();
        assert_eq!(disk.set_aside(&digest), Some(Shelf::Private));
        put(&disk, Shelf::Private, b"hello");
    }
    for n in 0..QUARANTINE_FILES_MAX + 3 {
        let other = put(&disk, Shelf::Cache, n.to_string().as_bytes());
        disk.set_aside(&other);
    }
    let kept = names(&disk, "quarantine").iter().filter(|name| name.starts_with(KEPT)).count();
    assert_eq!((kept, names(&disk, "quarantine").len()), (2, QUARANTINE_FILES_MAX + 2));
    let path = disk.path(Shelf::Private, &digest);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
    assert!(disk.get(&digest).unwrap().is_none(), "a link was followed");
}

#[test]
fn what_the_disk_did_not_take_is_lost_for_good() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let path = root.path().join("tmp/x");
    fs::write(&path, b"hello").unwrap();
    // A pipe cannot be synced.
    let (reader, writer) = io::pipe().unwrap();
    let file = Arc::new(File::from(std::os::fd::OwnedFd::from(writer)));
    let temp = TempFile::new(file, path.clone());
    assert!(temp.sync().is_err());
    assert!(!path.exists());
    assert!(temp.sync().is_err(), "a second try says nothing");
    fs::write(&path, b"hello").unwrap();
    let digest = Sha256::of(b"hello");
    assert!(disk.adopt_private(temp, digest).is_err() && !disk.has(&digest));
    drop(reader);
}

#[test]
fn what_was_written_after_a_sync_is_synced_again() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let (mut early, _) = spool(&disk, b"hel");
    early.sync().unwrap();
    early.write(b"lo").unwrap();
    early.sync().unwrap();
    let digest = early.verify(Some(5), None).unwrap();
    assert_eq!(early.publish_private(&disk, digest).unwrap().read().unwrap(), b"hello");
}

use super::*;
use crate::cache::{Spool, SpoolError};

fn put(disk: &Disk, bytes: &'static [u8]) -> Sha256 {
    let mut spool = Spool::create(disk).unwrap();
    spool.write(bytes).unwrap();
    let digest = spool.verify(Some(bytes.len() as u64), None).unwrap();
    spool.publish(disk, digest).unwrap();
    digest
}

fn names(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let mut spool = Spool::create(&disk).unwrap();
    spool.write(b"hello").unwrap();
    let promised = Sha256::from_bytes([1; 32]);
    assert!(matches!(spool.verify(Some(5), Some(promised)), Err(SpoolError::WrongDigest { .. })));
    assert!(matches!(spool.verify(Some(6), None), Err(SpoolError::WrongSize { .. })));
    drop(spool);
    assert_eq!(names(&root.path().join("tmp")), 0);
    let digest = put(&disk, b"hello");
    let file = disk.get(&digest).unwrap().unwrap();
    assert!(file.verified && file.len == 5);
    disk.remove(&digest).unwrap();
    disk.remove(&digest).unwrap();
    assert!(disk.get(&digest).unwrap().is_none());
}

#[test]
fn leftovers_are_swept_and_a_second_process_is_named() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    fs::write(root.path().join("tmp/7"), b"half").unwrap();
    let refused = Disk::open(root.path()).err().unwrap().to_string();
    assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
    drop(disk);
    Disk::open(root.path()).unwrap();
    assert_eq!(names(&root.path().join("tmp")), 0);
}

#[test]
fn damage_is_noticed_and_set_aside() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let digest = put(&disk, b"hello");
    let path = disk.path(Shelf::Cache, &digest);
    fs::write(&path, b"hellO").unwrap();
    let file = disk.get(&digest).unwrap().unwrap();
    assert!(!file.verified, "a file that changed under us still counts as verified");
    assert!(!disk.verify(&digest, &file, |_| {}).unwrap());
    disk.set_aside(&digest);
    assert!(disk.get(&digest).unwrap().is_none());
    assert_eq!(names(&root.path().join("quarantine")), 1);
    put(&disk, b"hello");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
    assert!(disk.get(&digest).unwrap().is_none(), "a link was followed");
}

#[test]
fn the_scan_finds_what_is_there_and_passes_foreign_names() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let digest = put(&disk, b"hello");
    fs::write(root.path().join("files/readme"), b"x").unwrap();
    fs::create_dir(root.path().join("files/zz")).unwrap();
    let (first, mut found) = (digest.as_bytes()[0], Vec::new());
    disk.look().scan(Shelf::Cache, |digest, len| {
        found.push((digest, len));
        true
    });
    assert_eq!(found, [(digest, 5)]);
    let part: Vec<_> =
        disk.look().scan_part(Shelf::Cache, first).into_iter().map(|(digest, len, _)| (digest, len)).collect();
    assert_eq!((part, disk.look().scan_part(Shelf::Cache, !first)), (found, Vec::new()));
}

#[test]
fn what_stays_open_is_what_its_name_says() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path()).unwrap();
    let digest = put(&disk, b"hello");
    let path = disk.path(Shelf::Cache, &digest);
    let get = || disk.get_shared(&digest).unwrap();
    let first = get().unwrap();
    assert!(
        !Arc::ptr_eq(&first.file, &disk.get(&digest).unwrap().unwrap().file),
        "one with a position of its own is shared"
    );
    assert!(Arc::ptr_eq(&first.file, &get().unwrap().file), "it was opened twice");
    // Others, by rename and in place: what came instead is not known to be right.
    fs::write(root.path().join("tmp/other"), b"hellO").unwrap();
    fs::rename(root.path().join("tmp/other"), &path).unwrap();
    assert!(!get().unwrap().verified, "another file under its name counts as verified");
    put(&disk, b"hello");
    assert!(get().unwrap().verified && get().unwrap().verified);
    fs::write(&path, b"hell").unwrap();
    assert!(get().is_some_and(|file| !file.verified && file.len == 4), "it was cut");
    // Removed by somebody else, and by us: then nobody holds its bytes.
    put(&disk, b"hello");
    get().unwrap();
    fs::remove_file(&path).unwrap();
    assert!(get().is_none(), "it was removed under us");
    put(&disk, b"hello");
    let last = get().unwrap().file;
    disk.remove(&digest).unwrap();
    assert!(get().is_none() && Arc::strong_count(&last) == 1, "the disk would get its space back with the process");
}

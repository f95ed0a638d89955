use super::*;
use crate::names::{DistFilename, IndexName, ProjectName, Sha256};

fn index() -> IndexName {
    IndexName::parse("root/pypi").unwrap()
}

fn digest(byte: u8) -> Sha256 {
    Sha256::from_bytes([byte; 32])
}

fn name(project: &str) -> BlobName {
    let project = ProjectName::parse(project).unwrap();
    BlobName::new(&index(), Some(&project), format!("{project}-1.0-py3-none-any.whl"))
}

fn used(byte: u8, last: u64, times: u64) -> BlobUse {
    BlobUse { digest: digest(byte), last, times, bytes: times * 100 }
}

#[tokio::test]
async fn documents_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let key = DocumentKey { index: index(), kind: DocumentKind::Page, name: "demo".into() };
    let document = Document {
        fetched: 7,
        etag: Some("\"x\"".into()),
        last_modified: None,
        last_serial: Some(9),
        digest: digest(1),
        url: "https://index.example/simple/demo/".into(),
        body: b"{}".repeat(10_000),
    };
    let store = Store::open(data.path()).await.unwrap();
    assert_eq!(store.document(&key).await.unwrap(), None);
    store.put_document(&key, document.clone()).await.unwrap();
    store.close().await;
    let store = Store::open(data.path()).await.unwrap();
    assert_eq!(store.document(&key).await.unwrap(), Some(document));
    assert_eq!(store.document_names(&index(), DocumentKind::Page).await.unwrap(), ["demo"]);
    assert_eq!(store.document_names(&index(), DocumentKind::List).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn the_books_of_the_cache_add_up() {
    let store = Store::in_memory().await.unwrap();
    for byte in 1..=3 {
        store.put_blob(&digest(byte), 100, u64::from(byte), &name("demo")).await.unwrap();
    }
    store.touch_blobs(&[used(1, 50, 0)]).await.unwrap();
    store.put_blobs(&[(digest(2), 100)], 99).await.unwrap();
    assert_eq!(store.blob_totals().await.unwrap(), (3, 300));
    assert_eq!(store.oldest_blobs(2).await.unwrap(), [(digest(2), 100), (digest(3), 100)]);
    store.remove_blobs(&[digest(2)]).await.unwrap();
    assert_eq!(store.blob_totals().await.unwrap(), (2, 200));
}

#[tokio::test]
async fn what_lies_in_a_file_goes_with_it() {
    let store = Store::in_memory().await.unwrap();
    let project = ProjectName::parse("demo").unwrap();
    let file = DistFilename::parse("demo-1.0-py3-none-any.whl").unwrap();
    let row = MetadataRow { filename: file.to_string(), wheel: digest(1), sha256: digest(2), size: 5 };
    store.put_metadata(&index(), &project, &row).await.unwrap();
    store.put_unhashed(&index(), "https://files.example/x.whl", &digest(2), 5).await.unwrap();
    assert_eq!(store.metadata(&index(), &project, &file).await.unwrap(), Some(row.clone()));
    assert_eq!(store.project_metadata(&index(), &project).await.unwrap(), [row]);
    assert!(store.unhashed(&index(), "https://files.example/x.whl").await.unwrap().is_some());
    store.remove_blobs(&[digest(2)]).await.unwrap();
    assert_eq!(store.metadata(&index(), &project, &file).await.unwrap(), None);
    assert_eq!(store.unhashed(&index(), "https://files.example/x.whl").await.unwrap(), None);
}

#[tokio::test]
async fn a_newer_layout_and_a_damaged_file_are_refused_by_name() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&store.pool).await.unwrap();
    store.close().await;
    let error = Store::open(data.path()).await.err().unwrap().to_string();
    assert!(error.contains("newer sidewheel") && error.contains("sidewheel.db"), "{error}");
    std::fs::write(data.path().join("sidewheel.db"), b"not a database, not a database").unwrap();
    let error = Store::open(data.path()).await.err().unwrap().to_string();
    assert!(error.contains("move it away"), "{error}");
}

#[tokio::test]
async fn writers_that_wait_for_a_lock_leave_the_readers_alone() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).await.unwrap();
    let other = Store::open(data.path()).await.unwrap();
    let lock = other.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let writers: Vec<_> = (0..10)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.put_blobs(&[(digest(n), 1)], 1).await })
        })
        .collect();
    // Time for all to come to the lock; a reader that is too early sees less, never more.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let read = tokio::time::timeout(Duration::from_secs(3), store.blob_totals()).await;
    assert_eq!(read.expect("a reader waits behind the writers").unwrap(), (0, 0));
    lock.rollback().await.unwrap();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_use_in_the_future_does_not_outlive_the_present() {
    let store = Store::in_memory().await.unwrap();
    store.put_blobs(&[(digest(1), 100)], 9_000).await.unwrap();
    store.put_blobs(&[(digest(2), 100)], 40).await.unwrap();
    store.no_use_after(50).await.unwrap();
    store.put_blobs(&[(digest(3), 100)], 60).await.unwrap();
    let oldest: Vec<_> = store.oldest_blobs(3).await.unwrap().into_iter().map(|(digest, _)| digest).collect();
    assert_eq!(oldest, [digest(2), digest(1), digest(3)]);
}

#[tokio::test]
async fn uses_are_counted_and_outlive_their_files() {
    let store = Store::in_memory().await.unwrap();
    store.put_blob(&digest(1), 100, 7, &name("demo")).await.unwrap();
    store.put_blobs(&[(digest(2), 100)], 8).await.unwrap();
    store.touch_blobs(&[used(1, 50, 2), used(2, 60, 1), used(9, 60, 5)]).await.unwrap();
    store.touch_blobs(&[used(1, 40, 3), used(2, 70, 0)]).await.unwrap();
    let rows = store.blobs().await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.used, row.fetched, row.uses, row.served)).collect();
    assert_eq!(told, [(50, Some(7), 5, 500), (70, None, 1, 100)], "what is not in the cache has no row");
    assert_eq!((rows[0].name.clone(), &rows[1].name), (Some(name("demo")), &None));

    // Named late: a name that is known stays, and so does a time.
    let parts = [store.blobs_part(1).await.unwrap(), store.blobs_part(2).await.unwrap()];
    assert_eq!(parts, [[(digest(1), true)], [(digest(2), false)]]);
    let names = [(digest(1), name("other")), (digest(2), name("late")), (digest(9), name("none"))];
    store.name_blobs(&names, &[(digest(1), 99), (digest(2), 5)]).await.unwrap();
    let rows = store.blobs().await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.name.clone(), row.fetched, row.uses)).collect();
    assert_eq!(told, [(Some(name("demo")), Some(7), 5), (Some(name("late")), Some(5), 1)]);

    store.remove_blobs(&[digest(1), digest(2)]).await.unwrap();
    store.put_blob(&digest(1), 100, 90, &name("demo")).await.unwrap();
    store.touch_blobs(&[used(1, 91, 1)]).await.unwrap();
    store.remove_blobs(&[digest(1)]).await.unwrap();
    let departed = store.departed().await.unwrap();
    let departed: Vec<_> = departed.iter().map(|(project, uses, served)| (project.as_str(), *uses, *served)).collect();
    assert_eq!(departed, [("demo", 6, 600), ("late", 1, 100)]);
}

#[tokio::test]
async fn documents_are_forgotten_by_name() {
    let store = Store::in_memory().await.unwrap();
    let key = |kind, name: &str| DocumentKey { index: index(), kind, name: name.into() };
    let keys =
        [key(DocumentKind::Page, "demo"), key(DocumentKind::LegacyJson, "demo"), key(DocumentKind::Page, "kept")];
    for key in &keys {
        let (etag, url) = (None, "https://index.example/".to_owned());
        let document =
            Document { fetched: 7, etag, last_modified: None, last_serial: None, digest: digest(1), url, body: vec![] };
        store.put_document(key, document).await.unwrap();
    }
    store.forget_documents(&keys[..2]).await.unwrap();
    assert_eq!(store.document_keys().await.unwrap(), keys[2..]);
}

#[tokio::test]
async fn a_connection_with_a_transaction_left_open_is_not_used_again() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).await.unwrap();
    let mut connection = store.pool.acquire().await.unwrap();
    assert!(left_clean(&mut connection).await.unwrap());
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await.unwrap();
    drop(connection);
    // Were it still open, this would wait for the lock until it gave up.
    store.put_blob(&digest(1), 1, 1, &name("demo")).await.unwrap();
    let mut connection = store.pool.acquire().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await.unwrap();
    assert!(!left_clean(&mut connection).await.unwrap());
}

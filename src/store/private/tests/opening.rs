use super::*;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let private = Private::open(data.path()).await.unwrap();
    let uuid = private.identity().await.unwrap().1;
    assert!(uuid.len() == 32 && uuid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uuid}");
    assert_eq!(private.serial().await.unwrap(), 0);
    assert_eq!(private.put_user(&user_row("alice")).await.unwrap(), 1);
    assert_eq!(private.put_index(&index_row("alice/dev")).await.unwrap(), 2);
    stored(&private, &file("alice/dev", "demo-1.0.tar.gz", 1)).await;
    private.close().await;
    let private = Private::open(data.path()).await.unwrap();
    assert_eq!((private.identity().await.unwrap().1, private.serial().await.unwrap()), (uuid, 3));
    assert_eq!(private.users().await.unwrap(), [user_row("alice")]);
    assert_eq!(private.indexes().await.unwrap(), [index_row("alice/dev")]);
    let row = private.file(&index("alice/dev"), "demo-1.0.tar.gz").await.unwrap();
    assert_eq!(row, Some(file("alice/dev", "demo-1.0.tar.gz", 1).file));
}

#[tokio::test]
async fn only_its_owner_reads_the_hashes() {
    let data = tempfile::tempdir().unwrap();
    let private = Private::open(data.path()).await.unwrap();
    private.put_user(&user_row("alice")).await.unwrap();
    for name in ["private.db", "private.db-wal"] {
        let mode = std::fs::metadata(data.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_commit_waits_for_the_disk() {
    let data = tempfile::tempdir().unwrap();
    let private = Private::open(data.path()).await.unwrap();
    for (pragma, wanted) in [
        ("PRAGMA synchronous", 2),
        ("PRAGMA fullfsync", 1),
        ("PRAGMA checkpoint_fullfsync", 1),
        ("PRAGMA foreign_keys", 1),
    ] {
        let found: i64 = sqlx::query_scalar(pragma).fetch_one(&private.pool).await.unwrap();
        assert_eq!(found, wanted, "{pragma}");
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&private.pool).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_newer_layout_is_refused_and_a_damaged_file_is_not_to_be_moved_away() {
    let data = tempfile::tempdir().unwrap();
    let private = Private::open(data.path()).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&private.pool).await.unwrap();
    private.close().await;
    for opened in [Private::open(data.path()).await, Private::open_read_only(data.path()).await] {
        let error = opened.err().unwrap().to_string();
        assert!(error.contains("newer sidewheel") && error.contains("private.db"), "{error}");
    }
    std::fs::write(data.path().join("private.db"), b"not a database, not a database").unwrap();
    let error = Private::open(data.path()).await.err().unwrap().to_string();
    assert!(error.contains("private.db") && error.contains("backup") && !error.contains("move"), "{error}");
}

#[tokio::test]
async fn damage_inside_is_found_before_it_is_believed() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("private.db");
    let private = Private::open(data.path()).await.unwrap();
    for n in 0..200 {
        private.put_user(&user_row(&format!("user{n}"))).await.unwrap();
    }
    private.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4096;
    bytes[last..].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    let error = Private::open(data.path()).await.err().unwrap().to_string();
    assert!(error.contains("backup"), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_only_read_shows_what_was_last_committed() {
    let (data, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(Private::open_read_only(data.path()).await.is_err(), "nothing is there");
    let private = Private::open(data.path()).await.unwrap();
    private.put_user(&user_row("alice")).await.unwrap();
    // As after a crash: the last commit is in the log only.
    for name in ["private.db", "private.db-wal", "private.db-shm"] {
        std::fs::copy(data.path().join(name), copy.path().join(name)).unwrap();
    }
    private.close().await;
    for directory in [&copy, &data] {
        let private = Private::open_read_only(directory.path()).await.unwrap();
        assert_eq!(private.users().await.unwrap(), [user_row("alice")]);
        let error = private.put_user(&user_row("bob")).await.err().unwrap();
        assert_eq!(error.trouble(), crate::store::Trouble::ReadOnly, "{error}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_as_such() {
    let data = tempfile::tempdir().unwrap();
    let private = Private::open(data.path()).await.unwrap();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut connection = private.pool.acquire().await.unwrap();
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&mut *connection).await.unwrap();
        connections.push(connection);
    }
    drop(connections);
    let mut row = user_row("alice");
    row.facts.insert("description".into(), "x".repeat(100_000).into());
    let error = private.put_user(&row).await.err().unwrap();
    assert_eq!(error.trouble(), crate::store::Trouble::Full, "{error}");
    assert_eq!((private.users().await.unwrap(), private.serial().await.unwrap()), (vec![], 0));
}

#[tokio::test]
async fn writes_of_another_process_are_noticed() {
    let data = tempfile::tempdir().unwrap();
    let server = Private::open(data.path()).await.unwrap();
    let command = Private::open(data.path()).await.unwrap();
    let before = server.data_version().await.unwrap();
    assert_eq!(server.data_version().await.unwrap(), before);
    command.users().await.unwrap();
    assert_eq!(server.data_version().await.unwrap(), before, "reading is no change");
    command.put_user(&user_row("alice")).await.unwrap();
    let after = server.data_version().await.unwrap();
    assert_ne!(after, before);
    let token = people::token("t", "alice", false);
    command.put_token(&token).await.unwrap();
    assert_ne!(server.data_version().await.unwrap(), after);
}

#[tokio::test]
async fn a_writer_that_is_given_up_leaves_nothing() {
    let private = private().await;
    let serial = private.serial().await.unwrap();
    let mut writing = private.write().await.unwrap();
    sqlx::query("DELETE FROM user").execute(writing.sql()).await.unwrap();
    drop(writing);
    assert_eq!((private.users().await.unwrap().len(), private.serial().await.unwrap()), (2, serial));
    private.put_user(&user_row("carol")).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_taken() {
    let private = Private::empty().await.unwrap();
    assert_eq!(private.users().await.unwrap(), []);
    let refused = private.put_user(&user_row("ada")).await.unwrap_err();
    assert_eq!(refused.trouble(), crate::store::Trouble::ReadOnly, "{refused}");
}

#[tokio::test]
async fn a_look_from_beside_sees_the_last_commit_and_changes_nothing() {
    let (data, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let private = Private::open(data.path()).await.unwrap();
    private.put_user(&user_row("alice")).await.unwrap();
    let looking = Private::beside(data.path()).await.unwrap();
    private.put_user(&user_row("bob")).await.unwrap();
    assert_eq!(looking.users().await.unwrap().len(), 2);
    assert!(looking.put_user(&user_row("carol")).await.is_err());
    looking.copy_to(&copy.path().join("private.db")).await.unwrap();
    assert_eq!(Private::still(copy.path()).await.unwrap().users().await.unwrap().len(), 2);
    // As after a crash: the last commits are in the log only.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["private.db", "private.db-wal"] {
        std::fs::copy(data.path().join(name), crashed.path().join(name)).unwrap();
    }
    assert!(std::fs::metadata(crashed.path().join("private.db-wal")).unwrap().len() > 0);
    let looking = Private::beside(crashed.path()).await.unwrap();
    assert_eq!(looking.users().await.unwrap().len(), 2, "the log was passed over");
    looking.close().await;
    private.close().await;
    let private = Private::open(crashed.path()).await.unwrap();
    assert_eq!(private.users().await.unwrap().len(), 2, "who looked took the log along");
    private.close().await;
}

use super::*;
use crate::store::{Private, Store};

/// A directory as programs of format 1 left it, by the text that they had.
async fn of_format_1(data: &Path) {
    for (file, layout) in [(PRIVATE_FILE, private::LAYOUT), (STORE_FILE, LAYOUT)] {
        let options = SqliteConnectOptions::new().filename(data.join(file)).create_if_missing(true);
        let options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        sqlx::raw_sql(layout.steps[0]).execute(&mut *transaction).await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        pool.close().await;
    }
    let add = "INSERT INTO user VALUES ('ada', NULL, 1, NULL, '{}')";
    sqlx::raw_sql(add).execute(&Database::private(data).connect().await.unwrap()).await.unwrap();
}

async fn formats(data: &Path) -> (Option<u32>, Option<u32>, String) {
    let text = fs::read_to_string(data.join(FORMAT_FILE)).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default().to_owned();
    (Database::private(data).found().await.unwrap(), Database::store(data).found().await.unwrap(), first)
}

async fn users(data: &Path) -> usize {
    let private = Private::open(data).await.unwrap();
    let users = private.users().await.unwrap().len();
    private.close().await;
    users
}

fn entries(data: &Path) -> Vec<String> {
    let names = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("before")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_older_directory_is_brought_up_and_kept_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    of_format_1(data).await;
    let older = Private::open(data).await.err().unwrap().to_string();
    assert!(older.contains("format 1") && older.contains("sidewheel init"), "{older}");
    assert!(matches!(Store::open(data).await, Err(StoreError::Older { .. })));
    let kept = data.join("before-format-3");
    assert_eq!(migrate(data).await.unwrap(), Some(Migrated { from: 1, kept: kept.clone() }));
    assert_eq!(formats(data).await, (Some(FORMAT), Some(FORMAT), FORMAT.to_string()));
    assert_eq!((formats(&kept).await.0, formats(&kept).await.1), (Some(1), Some(1)));
    assert_eq!(users(data).await, 1);
    Store::open(data).await.unwrap().close().await;
    let mode =
        |path: &Path| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777;
    assert_eq!((mode(&kept), mode(&kept.join(PRIVATE_FILE))), (0o700, 0o600), "others read the hashes");
    assert_eq!(migrate(data).await.unwrap(), None);
    assert_eq!(entries(data), ["before-format-3"]);
}

#[tokio::test]
async fn a_kill_at_any_step_is_made_good_by_the_next_run() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    of_format_1(data).await;
    // Killed while it copied, and between the copy's name and the first transaction.
    fs::create_dir(data.join("before-format-3.new")).unwrap();
    fs::write(data.join("before-format-3.new/private.db"), b"half").unwrap();
    keep(data, &[Database::private(data), Database::store(data)]).await.unwrap();
    keep(data, &[Database::private(data), Database::store(data)]).await.unwrap();
    assert_eq!(entries(data), ["before-format-3"], "a run that is killed again and again fills the disk");
    // Killed between the two databases.
    Database::private(data).migrate().await.unwrap();
    assert_eq!(formats(data).await, (Some(FORMAT), Some(1), String::new()));
    assert_eq!(migrate(data).await.unwrap().map(|migrated| migrated.from), Some(1));
    assert_eq!(formats(data).await, (Some(FORMAT), Some(FORMAT), FORMAT.to_string()));
    let (private, _, _) = formats(&data.join("before-format-3")).await;
    assert_eq!(private, Some(1), "the copy from before gave way to one of after");
    assert_eq!(entries(data), ["before-format-3"], "what was brought up already is no state from before");
    // Killed before the file was written.
    fs::remove_file(data.join(FORMAT_FILE)).unwrap();
    assert_eq!(migrate(data).await.unwrap(), None);
    assert_eq!((formats(data).await.2, users(data).await), (FORMAT.to_string(), 1));
}

#[tokio::test]
async fn another_state_of_the_same_format_is_kept_beside_the_first() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    of_format_1(data).await;
    let databases = [Database::private(data), Database::store(data)];
    keep(data, &databases).await.unwrap();
    let pool = databases[0].connect().await.unwrap();
    sqlx::raw_sql("INSERT INTO user VALUES ('bob', NULL, 1, NULL, '{}')").execute(&pool).await.unwrap();
    pool.close().await;
    keep(data, &databases).await.unwrap();
    assert_eq!(entries(data), ["before-format-3", "before-format-3.1"]);
}

#[tokio::test]
async fn what_is_newer_or_none_of_ours_is_refused_with_the_way_out() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let file = data.join(FORMAT_FILE);
    for (text, words) in [
        ("99\nsidewheel 7.1.0\n", ["format 99", "(sidewheel 7.1.0)", "knows format 3", "restore a backup"]),
        ("99\n", ["format 99", env!("CARGO_PKG_VERSION"), "newer", "restore a backup"]),
        ("backup\nsidewheel 0.1.0\n", ["is a backup", "sidewheel restore", "", ""]),
        ("nonsense", ["does not say a format", "", "", ""]),
        ("", ["does not say a format", "", "", ""]),
    ] {
        fs::write(&file, text).unwrap();
        let why = migrate(data).await.unwrap_err().to_string();
        assert!(words.iter().all(|word| why.contains(word)), "{why}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    fs::remove_file(&file).unwrap();
    let store = Database::store(data);
    Store::open(data).await.unwrap().close().await;
    let pool = store.connect().await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&pool).await.unwrap();
    pool.close().await;
    assert!(matches!(migrate(data).await, Err(FormatError::Newer { found: 99, .. })));
}

#[test]
fn copies_are_compared_to_their_ends() {
    let read = |text: &'static str| std::io::BufReader::with_capacity(3, text.as_bytes());
    for (one, other, same) in
        [("", "", true), ("abcdefg", "abcdefg", true), ("abcdefg", "abcdefx", false), ("abc", "abcd", false)]
    {
        assert_eq!(equal(read(one), std::io::Cursor::new(other)).unwrap(), same, "{one} {other}");
        assert_eq!(equal(std::io::Cursor::new(other), read(one)).unwrap(), same, "{other} {one}");
    }
}

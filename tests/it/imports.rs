//! Taking over: what a foreign directory says is taken, or told; what is here stays; old addresses answer.

use crate::support::house::{House, Options};
use crate::support::{wheel, wheel_filename};
use serde_json::{Value, json};
use sha2::Digest;
use sidewheel::config::Secret;
use sidewheel::import::{ImportError, Report, Source, Watch, import};
use sidewheel::names::Sha256;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::fs;
use tempfile::TempDir;

/// Hashes of the empty password and of "hunter2", small ones.
const EMPTY: &str = "$argon2id$v=19$m=8,t=1,p=1$yo58oD6yUkLuxYOvEtQOsA$l4AYcvaLUy6LEKWs/FfRBNhqzD0WXgaxwvBRHh9pk5A";
const HUNTER2: &str = "$argon2id$v=19$m=8,t=1,p=1$twWfIxNj4WjgI41WnDPbAA$lX1wCY1RVyj4nCshrBrwcysuy5JVu5sdoNjLLo03H0Q";

const NOW: u64 = 1_790_000_000;

/// A directory as devpi-server lays it out.
struct ServerDir {
    directory: TempDir,
    pool: SqlitePool,
    serial: i64,
}

impl ServerDir {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".serverversion"), "4").unwrap();
        let options = SqliteConnectOptions::new().filename(directory.path().join(".sqlite")).create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let tables = "CREATE TABLE kv (key TEXT NOT NULL PRIMARY KEY, keyname TEXT, serial INTEGER);
                      CREATE TABLE changelog (serial INTEGER PRIMARY KEY, data BLOB NOT NULL);";
        sqlx::raw_sql(tables).execute(&pool).await.unwrap();
        Self { directory, pool, serial: 0 }
    }

    /// One change of devpi's.
    async fn commit(&mut self, keys: &[(&str, &str, Value)]) {
        let mut blob = vec![b'J'];
        for (key, kind, value) in keys {
            write(&mut blob, &json!(key));
            write(&mut blob, &json!(kind));
            write(&mut blob, &json!(-1));
            write(&mut blob, value);
            blob.extend(b"@\0\0\0\x03P");
        }
        blob.extend(b"K\0\0\0\0@\0\0\0\x02Q");
        self.commit_raw(keys, &blob).await;
    }

    async fn commit_raw(&mut self, keys: &[(&str, &str, Value)], blob: &[u8]) {
        let row = sqlx::query("INSERT INTO changelog VALUES (?, ?)").bind(self.serial).bind(blob);
        row.execute(&self.pool).await.unwrap();
        for (key, kind, _) in keys {
            let row = sqlx::query("INSERT OR REPLACE INTO kv VALUES (?, ?, ?)").bind(*key).bind(*kind);
            row.bind(self.serial).execute(&self.pool).await.unwrap();
        }
        self.serial += 1;
    }

    fn file(&self, path: &str, bytes: &[u8]) {
        let path = self.directory.path().join("+files").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    async fn import(&self, house: &House) -> Report {
        let serverdir = self.directory.path().to_owned();
        taken(house, &Source::Devpi { serverdir, room: house.data().join("tmp") }).await.unwrap()
    }
}

async fn taken(house: &House, source: &Source) -> Result<Report, ImportError> {
    import(source, Some(&house.index), NOW, Watch { more: &|_| {}, step: &|_| {} }).await
}

/// devpi's form of a value.
fn write(out: &mut Vec<u8>, value: &Value) {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(b'N');
        out.extend((text.len() as i32).to_be_bytes());
        out.extend(text.as_bytes());
    };
    match value {
        Value::Null => out.push(b'L'),
        Value::Bool(yes) => out.push(if *yes { b'R' } else { b'C' }),
        Value::Number(number) => {
            out.push(b'F');
            out.extend((number.as_i64().unwrap() as i32).to_be_bytes());
        }
        Value::String(said) => text(out, said),
        Value::Array(list) => {
            list.iter().for_each(|value| write(out, value));
            out.push(b'@');
            out.extend((list.len() as i32).to_be_bytes());
        }
        Value::Object(map) => {
            out.push(b'J');
            for (key, value) in map {
                text(out, key);
                write(out, value);
                out.push(b'P');
            }
        }
    }
}

fn md5_of(bytes: &[u8]) -> String {
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where devpi lays a file with this digest in hex.
fn path_in(index: &str, hex: &str, filename: &str) -> String {
    format!("{index}/+f/{}/{}/{filename}", &hex[..3], &hex[3..16])
}

fn spec(bytes: &[u8]) -> String {
    format!("sha256={}", Sha256::of(bytes))
}

fn whats(report: &Report) -> Vec<&str> {
    report.left_out.iter().map(|line| line.what.as_str()).collect()
}

async fn offline() -> House {
    House::with(Options { offline: true, ..Options::default() }).await
}

fn alice(indexes: Value) -> (&'static str, &'static str, Value) {
    let row = json!({"username": "alice", "pwhash": HUNTER2, "created": "2020-02-29T12:00:00Z",
                     "email": "a@example.org", "colour": "red", "indexes": indexes});
    ("alice/.config", "USER", row)
}

#[tokio::test]
async fn users_come_with_their_hashes_and_what_cannot_be_used_is_told() {
    let house = House::start().await;
    let mut devpi = ServerDir::new().await;
    let dev = json!({"type": "stage", "bases": ["root/pypi", "alice/lost", "alice/dev"], "volatile": true,
                     "acl_upload": ["alice"], "colour": "red", "pypi_whitelist": ["demo"],
                     "uploadtrigger_jenkins": null});
    let pypi = json!({"type": "mirror", "volatile": false, "title": "Old PyPI",
                      "mirror_url": "https://u:word@old.example/simple/"});
    let root = json!({"username": "root", "pwhash": EMPTY, "indexes": {"pypi": pypi}});
    let old = json!({"username": "old", "pwhash": "00", "pwsalt": "c2FsdA=="});
    devpi.commit(&[("root/.config", "USER", root), alice(json!({"dev": dev})), ("old/.config", "USER", old)]).await;
    let report = devpi.import(&house).await;
    let mut left_out = whats(&report);
    left_out.sort_unstable();
    assert_eq!(
        left_out,
        ["index alice/dev: colour", "index root/pypi: mirror_url", "user alice: colour", "user old: password"]
    );
    let mut notes: Vec<_> = report.notes.iter().map(|line| line.what.as_str()).collect();
    notes.sort_unstable();
    assert_eq!(notes, ["index alice/dev", "index root/pypi", "user root: password"]);
    assert!(!format!("{report:?}").contains("word@") && !format!("{report:?}").contains("argon2"));
    assert!(!house.index.root_has_password(), "the empty password is nobody's");
    for (user, password, status) in [("alice", "hunter2", 200), ("root", "", 401), ("old", "", 401)] {
        let login = house.api("POST", "/+login", None, json!({"user": user, "password": password})).await;
        assert_eq!(login.status, status, "{user}: {}", login.text());
    }
    let user = house.api("GET", "/alice", None, Value::Null).await.json()["result"].clone();
    assert_eq!((&user["email"], &user["created"]), (&json!("a@example.org"), &json!("2020-02-29T12:00:00Z")));
    let dev = &user["indexes"]["dev"];
    assert_eq!(dev["bases"], json!(["root/pypi", "alice/lost", "alice/dev"]));
    assert_eq!(dev["mirror_whitelist"], json!(["demo"]));
    assert_eq!(dev["mirror_whitelist_inheritance"], "union", "where nothing is said it was so once");
    let pypi = house.api("GET", "/root/pypi?no_projects=", None, Value::Null).await.json()["result"].clone();
    assert_eq!(pypi["title"], "Old PyPI");
    assert_ne!(pypi["mirror_url"], "https://old.example/simple/", "the settings say where it mirrors from");
    house.index.first_password(&Secret::new("ours".to_owned())).await.unwrap();
    let again = devpi.import(&house).await;
    assert!(again.kinds.values().all(|counts| counts.new == 0), "{again:?}");
    assert!(!whats(&again).contains(&"user root"), "root's own password is no conflict with an empty one: {again:?}");
    house.end().await;
}

#[tokio::test]
async fn what_is_here_already_stays() {
    let house = House::start().await;
    house.index.first_password(&Secret::new("ours".to_owned())).await.unwrap();
    let root = Some(("root", "ours"));
    assert_eq!(house.api("PUT", "/alice", root, json!({"password": "also ours"})).await.status, 201);
    let alice_ours = Some(("alice", "also ours"));
    let settings = json!({"volatile": "False", "title": "ours"});
    assert_eq!(house.api("PUT", "/alice/dev", alice_ours, settings).await.status, 200);
    let (ours, theirs) = (wheel("demo", "1.0", 10, 1), wheel("demo", "1.0", 10, 2));
    let name = wheel_filename("demo", "1.0");
    let fields = [(":action", "file_upload"), ("name", "demo"), ("version", "1.0"), ("filetype", "bdist_wheel")];
    assert_eq!(house.post_form("/alice/dev/", alice_ours, &fields, Some((&name, &ours))).await.status, 200);

    let mut devpi = ServerDir::new().await;
    let dev = json!({"type": "stage", "volatile": true, "title": "theirs", "acl_upload": ["alice"]});
    let their_root = json!({"pwhash": HUNTER2, "indexes": {}});
    devpi.commit(&[alice(json!({"dev": dev})), ("root/.config", "USER", their_root)]).await;
    let path = path_in("alice/dev", &Sha256::of(&theirs).to_hex(), &name);
    let link = json!({"rel": "releasefile", "entrypath": path, "hash_spec": spec(&theirs), "_log": []});
    let release = json!({"name": "demo", "version": "1.0", "+elinks": [link]});
    devpi.commit(&[("alice/dev/demo/1.0/.config", "PROJVERSION", release)]).await;
    devpi.file(&path, &theirs);
    let report = devpi.import(&house).await;
    let file = format!("alice/dev: {name}");
    for what in ["user alice", "user root", "index alice/dev", "alice/dev: demo 1.0", &file] {
        assert!(whats(&report).contains(&what), "{what} in {report:?}");
    }
    let dev = house.api("GET", "/alice/dev", None, Value::Null).await.json()["result"].clone();
    assert_eq!((&dev["title"], &dev["volatile"]), (&json!("ours"), &json!(false)));
    let here = house.get(&format!("/{}", path_in("alice/dev", &Sha256::of(&ours).to_hex(), &name))).await;
    assert_eq!((here.status, here.body.as_ref()), (200, ours.as_slice()));
    assert_eq!(house.get(&format!("/{path}")).await.status, 404);
    assert_eq!(house.private_files().len(), 2, "the wheel and its metadata");
    assert_eq!(house.api("PATCH", "/alice", alice_ours, json!({"title": "x"})).await.status, 200);
    house.end().await;
}

#[tokio::test]
async fn releases_come_whole_and_what_is_wrong_is_left_out() {
    let house = offline().await;
    let mut devpi = ServerDir::new().await;
    devpi.commit(&[alice(json!({"dev": {"type": "stage", "volatile": true, "acl_upload": ["alice"]}}))]).await;
    // As devpi had it long ago: an address by the MD5.
    let old = wheel("demo", "1.0", 10, 1);
    let (old_name, md5) = (wheel_filename("demo", "1.0"), md5_of(&old));
    let old_path = path_in("alice/dev", &md5, &old_name);
    devpi.file(&old_path, &old);
    let result = b"{\"testenvs\": {}}".as_slice();
    let result_path = path_in("alice/dev", &md5, &format!("{old_name}.toxresult-20200101000000-0"));
    devpi.file(&result_path, result);
    let wrong = path_in("alice/dev", &Sha256::of(b"right").to_hex(), "demo-1.0.tar.gz");
    devpi.file(&wrong, b"wrong");
    let missing = path_in("alice/dev", &Sha256::of(b"missing").to_hex(), "demo-1.0.zip");
    let link = path_in("alice/dev", &Sha256::of(b"link").to_hex(), "demo-1.0.tgz");
    devpi.file(&link, b"x");
    let place = devpi.directory.path().join("+files").join(&link);
    fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", place).unwrap();
    let log = json!([{"what": "upload", "who": "alice", "when": [2020, 2, 29, 12, 0, 0], "dst": "alice/dev"}]);
    let links = json!([
        {"rel": "toxresult", "entrypath": result_path, "for_entrypath": old_path, "hash_spec": spec(result)},
        {"rel": "releasefile", "entrypath": old_path, "hash_spec": format!("md5={md5}"), "_log": log},
        {"rel": "releasefile", "entrypath": wrong, "hash_spec": spec(b"right")},
        {"rel": "releasefile", "entrypath": missing, "hash_spec": spec(b"missing")},
        {"rel": "releasefile", "entrypath": link, "hash_spec": spec(b"link")},
        {"rel": "releasefile", "entrypath": "alice/dev/+f/abc/0123456789abc/../../../../../etc/passwd"},
        {"rel": "releasefile", "entrypath": "bob/dev/+f/abc/0123456789abc/demo-1.0.tar.bz2"},
        {"rel": "strange", "entrypath": old_path},
        7,
    ]);
    let release = json!({"name": "Demo", "version": "1.0", "summary": "old", "+elinks": links});
    devpi.commit(&[("alice/dev/demo/1.0/.config", "PROJVERSION", release)]).await;
    devpi.commit(&[("alice/dev/.projects", "PROJNAMES", json!(["demo", "owned"]))]).await;
    // A blob that was damaged takes nothing else along.
    devpi.commit_raw(&[("alice/dev/lost/1.0/.config", "PROJVERSION", Value::Null)], b"garbage").await;
    let report = devpi.import(&house).await;
    // The colour of alice, three files, two addresses, the strange link and the damaged blob.
    assert_eq!(report.left_out.len(), 8, "{report:?}");
    assert_eq!((report.linked, report.copied), (2, 0));
    assert_eq!(report.kinds["names"].new, 1);
    for (path, bytes) in [(&old_path, old.as_slice()), (&result_path, result)] {
        let answer = house.get(&format!("/{path}")).await;
        assert_eq!((answer.status, answer.body.as_ref()), (200, bytes), "{path}");
    }
    for path in [&wrong, &missing, &link] {
        assert_ne!(house.get(&format!("/{path}")).await.status, 200, "{path}");
    }
    let ours = house.file_path_in("alice/dev", "demo", &old_name).await;
    assert_eq!(ours, format!("/{}", path_in("alice/dev", &Sha256::of(&old).to_hex(), &old_name)));
    assert_eq!(house.get(&ours).await.body.as_ref(), old.as_slice());
    assert_eq!(house.get(&format!("{ours}.metadata")).await.status, 200, "metadata is read from the archive");
    let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
    let page = house.get_with("/alice/dev/+simple/demo/", &[accept]).await.json();
    assert_eq!(page["files"][0]["upload-time"], "2020-02-29T12:00:00.000000Z");
    let info = house.api("GET", "/alice/dev/demo/1.0", None, Value::Null).await.json()["result"].clone();
    assert_eq!((&info["summary"], &info["+links"][0]["log"]), (&json!("old"), &log));
    house.end().await;
}

#[tokio::test]
async fn an_old_address_is_not_lost_where_an_import_ended_before_it_was_written() {
    let house = offline().await;
    let mut devpi = ServerDir::new().await;
    devpi.commit(&[alice(json!({"dev": {"type": "stage", "volatile": true, "acl_upload": ["alice"]}}))]).await;
    let wheel = wheel("demo", "1.0", 10, 1);
    let (name, md5) = (wheel_filename("demo", "1.0"), md5_of(&wheel));
    let path = path_in("alice/dev", &md5, &name);
    devpi.file(&path, &wheel);
    let link = json!({"rel": "releasefile", "entrypath": path, "hash_spec": spec(&wheel)});
    let release = json!({"name": "demo", "version": "1.0", "+elinks": [link]});
    devpi.commit(&[("alice/dev/demo/1.0/.config", "PROJVERSION", release)]).await;
    let ours = SqliteConnectOptions::new().filename(house.data().join("private.db"));
    let ours = SqlitePool::connect_with(ours).await.unwrap();
    let fails = "CREATE TRIGGER fails BEFORE INSERT ON address BEGIN SELECT RAISE(ABORT, 'not now'); END";
    sqlx::raw_sql(fails).execute(&ours).await.unwrap();
    let serverdir = devpi.directory.path().to_owned();
    let _ = taken(&house, &Source::Devpi { serverdir, room: house.data().join("tmp") }).await;
    sqlx::raw_sql("DROP TRIGGER fails").execute(&ours).await.unwrap();
    ours.close().await;
    devpi.import(&house).await;
    let answer = house.get(&format!("/{path}")).await;
    assert_eq!((answer.status, answer.body.as_ref()), (200, wheel.as_slice()));
    house.end().await;
}

#[tokio::test]
async fn a_mirrors_cache_answers_offline_and_old_addresses_outlive_their_links() {
    let house = offline().await;
    let mut devpi = ServerDir::new().await;
    devpi.commit(&[("root/.config", "USER", json!({"indexes": {"pypi": {"type": "mirror"}}}))]).await;
    let (listed, dropped) = (wheel("demo", "2.0", 10, 1), wheel("demo", "1.0", 10, 2));
    let (listed_name, dropped_name) = (wheel_filename("demo", "2.0"), wheel_filename("demo", "1.0"));
    let path = |bytes: &[u8], name: &str| path_in("root/pypi", &Sha256::of(bytes).to_hex(), name);
    let (listed_path, dropped_path) = (path(&listed, &listed_name), path(&dropped, &dropped_name));
    let damaged_path = path(b"good", "demo-0.1.tar.gz");
    let loose_path = "root/pypi/+e/https_files.example_old/demo-0.2.tar.gz".to_owned();
    let known_path = path(b"not here", "demo-3.0.tar.gz");
    let entry = |name: &str, bytes: &[u8], cached: bool| {
        let url = format!("https://files.example/new/{name}");
        let mut entry = json!({"url": url, "hash_spec": spec(bytes), "project": "demo"});
        if cached {
            entry["last_modified"] = json!("Mon, 23 Nov 2020 07:02:02 GMT");
        }
        entry
    };
    let loose = json!({"url": "https://files.example/old/demo-0.2.tar.gz", "project": "demo",
                       "last_modified": "Mon, 23 Nov 2020 07:02:02 GMT"});
    let links = json!({"etag": "\"x\"", "serial": 9_000_000, "links": [
        [listed_name, format!("{listed_path}#{}", spec(&listed))],
        ["demo-3.0.tar.gz", format!("{known_path}#{}", spec(b"not here"))],
        ["demo-0.2.tar.gz", loose_path],
    ], "requires_python": [">=3.8", null, null], "yanked": [null, "broken", null]});
    let (new, old) = (entry(&listed_name, &listed, true), entry(&dropped_name, &dropped, true));
    devpi
        .commit(&[
            (&listed_path, "STAGEFILE", new),
            (&known_path, "STAGEFILE", entry("demo-3.0.tar.gz", b"not here", false)),
            (&loose_path, "PYPIFILE_NOMD5", loose),
            ("root/pypi/demo/.simple", "PROJSIMPLELINKS", links),
        ])
        .await;
    let damaged = entry("demo-0.1.tar.gz", b"good", true);
    devpi.commit(&[(&dropped_path, "STAGEFILE", old), (&damaged_path, "STAGEFILE", damaged)]).await;
    devpi.file(&listed_path, &listed);
    devpi.file(&dropped_path, &dropped);
    devpi.file(&damaged_path, b"bad!");
    devpi.file(&loose_path, b"loose");
    let report = devpi.import(&house).await;
    assert_eq!(whats(&report), ["root/pypi: demo-0.1.tar.gz"]);
    assert_eq!((report.kinds["cached_files"].new, report.kinds["pages"].new), (3, 1));
    for (path, bytes) in [(&listed_path, listed.as_slice()), (&dropped_path, &dropped), (&loose_path, b"loose")] {
        let answer = house.get(&format!("/{path}")).await;
        assert_eq!((answer.status, answer.body.as_ref()), (200, bytes), "{path}");
    }
    let page = house.page("demo").await.json();
    let files = page["files"].as_array().unwrap();
    let named = |name: &str| files.iter().find(|file| file["filename"] == name);
    assert_eq!(named(&listed_name).unwrap()["requires-python"], ">=3.8");
    assert!(named("demo-0.2.tar.gz").is_some() && named(&dropped_name).is_none(), "{page}");
    // A name that is reserved is not answered from there any more.
    house.index.first_password(&Secret::new("ours".to_owned())).await.unwrap();
    let reserved = house.api("PATCH", "/root/pypi", Some(("root", "ours")), json!(["reserved+=demo"])).await;
    assert_eq!(reserved.status, 200, "{}", reserved.text());
    for path in [&listed_path, &dropped_path, &loose_path] {
        assert_ne!(house.get(&format!("/{path}")).await.status, 200, "{path}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_change_that_was_left_half_done_is_undone_in_a_copy() {
    let house = House::start().await;
    let mut devpi = ServerDir::new().await;
    devpi.commit(&[alice(json!({}))]).await;
    devpi.commit_raw(&[], &vec![0_u8; 2_000_000]).await;
    // The moment of a kill: pages are written, and the journal still holds what they were.
    let mut open = devpi.pool.acquire().await.unwrap();
    for statement in [
        "PRAGMA cache_size = 1",
        "BEGIN IMMEDIATE",
        "UPDATE kv SET keyname = 'GONE'",
        "UPDATE changelog SET data = zeroblob(3000000)",
    ] {
        sqlx::query(statement).execute(&mut *open).await.unwrap();
    }
    let left = tempfile::tempdir().unwrap();
    for name in [".serverversion", ".sqlite", ".sqlite-journal"] {
        fs::copy(devpi.directory.path().join(name), left.path().join(name)).unwrap();
    }
    let bytes = || [".sqlite", ".sqlite-journal"].map(|name| fs::read(left.path().join(name)).unwrap());
    let before = bytes();
    sqlx::query("ROLLBACK").execute(&mut *open).await.unwrap();
    drop(open);
    let whole = fs::read(devpi.directory.path().join(".sqlite")).unwrap();
    assert!(before[1].len() > 1000 && before[0] != whole, "nothing was left half done");
    let source = Source::Devpi { serverdir: left.path().to_owned(), room: house.data().join("tmp") };
    let report = taken(&house, &source).await.unwrap();
    assert_eq!(report.kinds["users"].new, 1, "{report:?}");
    assert!(before == bytes(), "the directory was changed");
    house.end().await;
}

#[tokio::test]
async fn what_is_none_is_refused_with_the_way_out() {
    let house = House::start().await;
    let place = tempfile::tempdir().unwrap();
    let devpi = || Source::Devpi { serverdir: place.path().to_owned(), room: house.data().join("tmp") };
    let export = || Source::Export { directory: place.path().to_owned() };
    let why = |report: Result<Report, ImportError>| report.unwrap_err().to_string();
    assert!(why(taken(&house, &devpi()).await).contains("--serverdir"));
    fs::write(place.path().join(".serverversion"), "3").unwrap();
    assert!(why(taken(&house, &devpi()).await).contains("devpi-export"));
    fs::write(place.path().join(".serverversion"), "4.1.0\n").unwrap();
    assert!(why(taken(&house, &devpi()).await).contains("PostgreSQL"));
    fs::write(place.path().join(".sqlite"), "no database at all, but long enough to be looked at as one").unwrap();
    assert!(why(taken(&house, &devpi()).await).contains("cannot be read"));
    assert!(why(taken(&house, &export()).await).contains("dataindex.json"));
    let index = place.path().join("dataindex.json");
    for (text, word) in [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "dumpversion"),
        ("{\"dumpversion\": \"3\"}", "dumpversion"),
    ] {
        fs::write(&index, text).unwrap();
        assert!(why(taken(&house, &export()).await).contains(word), "{text}");
    }
    let hostile = json!({"dumpversion": 2, "users": {"a/b": {}, "eve": {"pwhash": "x"}, "n": 7}, "indexes": {
        "eve/dev": {
            "files": [{"relpath": "../../etc/passwd", "projectname": "p", "type": "releasefile", "version": "1"}, 7],
            "indexconfig": {"type": "stage"}, "projects": {"../p": {}, "q": [], "p": {"1": {}}}},
        "eve/..": {"indexconfig": {"type": "stage"}}, "eve/x": {"indexconfig": {"type": "strange"}}}});
    fs::write(&index, hostile.to_string()).unwrap();
    let report = taken(&house, &export()).await.unwrap();
    assert_eq!(
        whats(&report),
        ["user a/b", "user eve: password", "index eve/..", "index eve/x", "eve/dev: ../p", "eve/dev: ../../etc/passwd"]
    );
    house.end().await;
}

//! Removals in the browser: gone for everybody at once, and back as they were when somebody asks in time.

use super::{ALICE, listed, make_index, private_house, release, upload};
use crate::support::house::{Answer, House};
use crate::support::{sha256, wheel, wheel_filename};
use serde_json::{Value, json};
use sidewheel::backup::{BackupWish, RestoreWish, Told, restore, take};
use sidewheel::clock::Clock;
use sidewheel::index::{IndexError, Removal, UNDO_SECONDS, Undo};
use sidewheel::names::{IndexName, ProjectName, Sha256, UserName};
use sidewheel::rules::{Scope, Subject};
use sidewheel::store::{KeptRemoval, Private, PutBack, RemovedPart};
use std::sync::Arc;
use std::time::Duration;

fn index(name: &str) -> IndexName {
    IndexName::parse(name).unwrap()
}

fn demo() -> ProjectName {
    ProjectName::parse("demo").unwrap()
}

fn somebody(name: &str) -> Subject {
    Subject::User { name: UserName::parse(name).unwrap(), scope: Scope::Everything }
}

async fn remove(house: &House, what: &Removal<'_>) -> Undo {
    house.index.remove_with_undo(&somebody("alice"), &index("alice/dev"), what, false).await.unwrap()
}

async fn undo(house: &House, id: i64) -> Result<KeptRemoval, IndexError> {
    house.index.undo(&somebody("alice"), id).await
}

async fn simple(house: &House, index: &str) -> Answer {
    let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
    house.get_with(&format!("/{index}/+simple/demo/"), &[accept]).await
}

async fn version(house: &House) -> Value {
    house.api("GET", "/alice/dev/demo/1.0", ALICE, Value::Null).await.json()
}

/// The path of a file of alice/dev by its own address.
fn path_of(bytes: &[u8], filename: &str) -> String {
    let digest = sha256(bytes);
    format!("/alice/dev/+f/{}/{}/{filename}", &digest[..3], &digest[3..16])
}

fn prefix_of(bytes: &[u8]) -> sidewheel::names::DigestPrefix {
    Sha256::of(bytes).prefix()
}

/// demo 1.0, yanked, with attestations, a test's result and documentation; demo 2.0; an index over them.
async fn filled() -> (House, Vec<u8>, String) {
    let house = private_house().await;
    make_index(&house, "alice/prod", json!({ "bases": "alice/dev" })).await;
    let bytes = wheel("demo", "1.0", 1000, 7);
    let attestations = r#"[{"version":1,"verification_material":{},"envelope":{}}]"#;
    let fields = [(":action", "file_upload"), ("name", "demo"), ("version", "1.0"), ("attestations", attestations)];
    let file = wheel_filename("demo", "1.0");
    assert_eq!(house.post_form("/alice/dev/", ALICE, &fields, Some((&file, &bytes))).await.status, 200);
    let path = path_of(&bytes, &file);
    let result = house.api("POST", &path, ALICE, json!({ "testenvs": {} })).await;
    assert_eq!(result.status, 200, "{}", result.text());
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("index.html", zip::write::SimpleFileOptions::default()).unwrap();
    let docs = zip.finish().unwrap().into_inner();
    let fields = [(":action", "doc_upload"), ("name", "demo"), ("version", "1.0")];
    assert_eq!(house.post_form("/alice/dev/", ALICE, &fields, Some(("demo.zip", &docs))).await.status, 200);
    release(&house, "alice/dev", "demo", "2.0").await;
    let demo = demo();
    let what = Removal::Version(&demo, "1.0");
    house.index.yank(&somebody("alice"), &index("alice/dev"), &what, Some("broken".into())).await.unwrap();
    (house, bytes, path)
}

#[tokio::test]
async fn what_is_removed_is_gone_for_everybody_at_once_and_comes_back_as_it_was() {
    let (house, bytes, path) = filled().await;
    let before = (simple(&house, "alice/dev").await.body, simple(&house, "alice/prod").await.body);
    let (told, files) = (version(&house).await, house.private_files().len());
    assert!(told["result"]["+links"].as_array().unwrap().len() == 3, "{told}");
    let provenance = house.get(&format!("{path}.provenance")).await;
    assert_eq!((provenance.status, house.get(&path).await.body), (200, bytes.clone().into()));
    let (demo, file) = (demo(), wheel_filename("demo", "1.0"));
    for (what, left, status) in [
        (Removal::File(&file, prefix_of(&bytes)), 1, 410),
        (Removal::Version(&demo, "1.0"), 1, 410),
        (Removal::Project(&demo), 0, 410),
    ] {
        let removed = remove(&house, &what).await;
        assert_eq!(removed.until, house.clock.unix() + UNDO_SECONDS);
        for index in ["alice/dev", "alice/prod"] {
            assert_eq!(listed(&house, index, "demo").await.len(), left);
        }
        for gone in ["", ".metadata", ".provenance"] {
            let answer = house.get(&format!("{path}{gone}")).await;
            assert!([404, status].contains(&answer.status), "{gone}: {}", answer.status);
        }
        assert_eq!(house.get(&path).await.status, status);
        assert_eq!(house.private_files().len(), files, "bytes went that can be asked back");
        house.clock.advance(Duration::from_secs(UNDO_SECONDS - 1));
        house.index.tidy_now().await;
        house.index.scrub_now().await.unwrap();
        let back = undo(&house, removed.id).await.unwrap();
        assert_eq!((back.id, back.project.as_str()), (removed.id, "demo"));
        assert_eq!(simple(&house, "alice/dev").await.body, before.0);
        assert_eq!(simple(&house, "alice/prod").await.body, before.1);
        assert_eq!(version(&house).await, told);
        assert_eq!(house.get(&path).await.body, bytes);
        assert_eq!(house.get(&format!("{path}.provenance")).await.body, provenance.body);
        let again = undo(&house, removed.id).await.unwrap_err();
        assert!(matches!(&again, IndexError::NotThere(why) if why.contains("undone already")), "{again}");
    }
    house.end().await;
}

#[tokio::test]
async fn it_outlives_a_restart_and_a_long_scrub_and_then_its_window() {
    let (house, bytes, path) = filled().await;
    let demo = demo();
    let first = remove(&house, &Removal::Version(&demo, "1.0")).await;
    let house = house.restart(|_| {}).await;
    house.index.tidy_now().await;
    undo(&house, first.id).await.unwrap();
    assert_eq!(house.get(&path).await.body, bytes);
    let all = house.private_files().len();
    let removed = remove(&house, &Removal::Version(&demo, "1.0")).await;
    assert!(removed.id > first.id, "an old page could undo it");
    house.clock.advance(Duration::from_secs(UNDO_SECONDS));
    let over = undo(&house, removed.id).await.unwrap_err();
    assert!(matches!(&over, IndexError::NotThere(why) if why.contains("15 minutes")), "{over}");
    // Of 1.0: the wheel, its metadata, documentation and a result. The janitor of the next start takes them.
    let house = house.restart(|_| {}).await;
    for _ in 0..500 {
        if house.private_files().len() < all {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.index.tidy_now().await;
    assert_eq!(house.private_files().len(), all - 4);
    assert_eq!((house.get(&path).await.status, listed(&house, "alice/dev", "demo").await.len()), (410, 1));
    assert!(house.index.removals(&somebody("alice"), &index("alice/dev")).await.unwrap().is_empty());
    house.end().await;
}

#[tokio::test]
async fn what_came_under_the_same_name_stays_and_is_named() {
    let (house, bytes, path) = filled().await;
    let (demo, file) = (demo(), wheel_filename("demo", "1.0"));
    let removed = remove(&house, &Removal::Version(&demo, "1.0")).await;
    let other = wheel("demo", "1.0", 1000, 8);
    assert_eq!(upload(&house, "alice/dev", ALICE, "demo", "1.0", &other).await.status, 200);
    let taken = undo(&house, removed.id).await.unwrap_err();
    assert!(matches!(&taken, IndexError::Conflict(why) if why.contains(&file) && why.contains("alice/dev")), "{taken}");
    assert_eq!(house.get(&path_of(&other, &file)).await.body, other);
    remove(&house, &Removal::File(&file, prefix_of(&other))).await;
    undo(&house, removed.id).await.unwrap();
    assert_eq!(house.get(&path).await.body, bytes);
    assert_eq!(house.get(&path_of(&other, &file)).await.status, 410);
    house.end().await;
}

#[tokio::test]
async fn a_clients_delete_is_final_and_takes_nothing_that_can_be_undone() {
    let (house, bytes, path) = filled().await;
    let (demo, all) = (demo(), house.private_files().len());
    let removed = remove(&house, &Removal::Version(&demo, "1.0")).await;
    assert_eq!(house.api("DELETE", "/alice/dev/demo/1.0", ALICE, Value::Null).await.status, 404);
    assert_eq!(house.api("DELETE", "/alice/dev/demo", ALICE, Value::Null).await.status, 200);
    assert_eq!(house.private_files().len(), all - 2, "2.0 and its metadata");
    let shown = house.index.removals(&somebody("alice"), &index("alice/dev")).await.unwrap();
    assert_eq!(shown.iter().map(|row| row.id).collect::<Vec<_>>(), [removed.id]);
    undo(&house, removed.id).await.unwrap();
    assert_eq!((house.get(&path).await.body, listed(&house, "alice/dev", "demo").await.len()), (bytes.into(), 1));
    house.end().await;
}

#[tokio::test]
async fn an_index_takes_what_could_be_undone_with_it() {
    let (house, _, _) = filled().await;
    let demo = demo();
    let removed = remove(&house, &Removal::Project(&demo)).await;
    assert!(!house.private_files().is_empty());
    for name in ["/alice/prod", "/alice/dev"] {
        assert_eq!(house.api("DELETE", name, ALICE, Value::Null).await.status, 201, "{name}");
    }
    assert!(house.private_files().is_empty());
    make_index(&house, "alice/dev", json!({})).await;
    assert!(matches!(undo(&house, removed.id).await, Err(IndexError::NotThere(_))));
    house.end().await;
}

#[tokio::test]
async fn who_may_not_remove_may_not_undo_and_does_not_see_what_could_be() {
    let (house, bytes, _) = filled().await;
    let (demo, dev) = (demo(), index("alice/dev"));
    let what = Removal::Version(&demo, "1.0");
    let token = Subject::User {
        name: UserName::parse("alice").unwrap(),
        scope: Scope::Token { index: None, read: true, upload: true },
    };
    for subject in [Subject::Anonymous, somebody("bob"), token] {
        assert!(house.index.remove_with_undo(&subject, &dev, &what, true).await.is_err());
        let removed = remove(&house, &what).await;
        assert!(house.index.undo(&subject, removed.id).await.is_err(), "{subject:?}");
        assert!(house.index.removals(&subject, &dev).await.unwrap().is_empty());
        for allowed in [somebody("root"), somebody("alice")] {
            assert_eq!(house.index.removals(&allowed, &dev).await.unwrap().len(), 1);
        }
        house.index.undo(&somebody("root"), removed.id).await.unwrap();
    }
    // Of an index that stays hidden not even that there was something.
    let closed = json!(["acl_read=alice"]);
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, closed).await.status, 200);
    let removed = remove(&house, &what).await;
    let why = house.index.undo(&somebody("bob"), removed.id).await.unwrap_err();
    assert!(matches!(&why, IndexError::NotThere(why) if !why.contains("alice")), "{why}");
    assert!(house.index.removals(&somebody("bob"), &dev).await.is_err());
    // Where files stay it needs a word of force, and can be undone as well.
    undo(&house, removed.id).await.unwrap();
    assert_eq!(house.api("PATCH", "/alice/dev", ALICE, json!(["volatile=False"])).await.status, 200);
    let file = wheel_filename("demo", "1.0");
    let file = Removal::File(&file, prefix_of(&bytes));
    let refused = house.index.remove_with_undo(&somebody("alice"), &dev, &file, false).await.unwrap_err();
    assert!(matches!(&refused, IndexError::Forbidden(why) if why.contains("non-volatile")), "{refused}");
    let forced = house.index.remove_with_undo(&somebody("alice"), &dev, &file, true).await.unwrap();
    assert_eq!(undo(&house, forced.id).await.unwrap().part, RemovedPart::File(wheel_filename("demo", "1.0")));
    let mirror = house.index.remove_with_undo(&somebody("root"), &index("root/pypi"), &what, true).await;
    assert!(matches!(mirror, Err(IndexError::Forbidden(_))));
    house.end().await;
}

#[tokio::test]
async fn a_backup_within_the_window_has_all_that_an_undo_needs() {
    let (house, bytes, _) = filled().await;
    let demo = demo();
    let removed = remove(&house, &Removal::Project(&demo)).await;
    let (place, quiet): (_, Told) = (tempfile::tempdir().unwrap(), Arc::new(|_| {}));
    let (target, data) = (place.path().join("backup"), place.path().join("data"));
    let wish = BackupWish {
        data: house.data().to_owned(),
        target: target.clone(),
        config: None,
        cache: false,
        keep: None,
        check: false,
    };
    let taken = take(wish, &Clock::system(), Arc::clone(&quiet)).await.unwrap();
    assert!(taken.lacking.is_empty() && taken.private.files as usize == house.private_files().len());
    let verified =
        sidewheel::backup::verify_data(house.data(), sidewheel::cache::Pace::new(Clock::system(), None), quiet.clone());
    let verified = verified.await.unwrap();
    assert!(verified.findings.is_empty() && verified.extra.files == 0, "{verified:?}");
    let wish = RestoreWish { target, snapshot: None, data: data.clone(), force: false, partial: false };
    restore(wish, &Clock::system(), quiet).await.unwrap();
    let private = Private::open(&data).await.unwrap();
    assert_eq!(private.put_back(removed.id, house.clock.unix()).await.unwrap(), PutBack::Done);
    for row in private.files(&index("alice/dev"), &demo).await.unwrap() {
        for digest in row.digests() {
            let hex = digest.to_hex();
            let stored = std::fs::read(data.join("private").join(&hex[..2]).join(&hex[2..])).unwrap();
            assert_eq!(sha256(&stored), hex);
        }
    }
    assert!(private.named().await.unwrap().iter().any(|(digest, _)| digest.to_hex() == sha256(&bytes)));
    house.end().await;
}

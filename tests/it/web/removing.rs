use super::Browser;
use crate::private::{ALICE, BOB, ROOT, listed, make_index, private_house, release};
use crate::support::house::Answer;
use crate::support::{sha256, wheel_filename};
use serde_json::{Value, json};

/// The value of a form's hidden field on a page.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

fn went(answer: &Answer, to: &str) {
    assert_eq!((answer.status, answer.header("location")), (303, to), "{}", answer.text());
}

#[tokio::test]
async fn a_version_is_removed_by_one_click_more_and_comes_back_by_another() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    let bytes = release(&house, "alice/dev", "demo", "2.0").await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let page = alice.get("/alice/dev/demo/2.0").await.text();
    assert!(page.contains("Remove demo 2.0 from alice/dev") && page.contains("For 15 minutes"), "{page}");
    assert!(page.contains(&format!("Remove {} from", wheel_filename("demo", "2.0"))), "{page}");
    let fields = [("index", "alice/dev"), ("project", "demo"), ("what", "version"), ("version", "2.0")];
    went(&alice.act("remove", &fields).await, "/alice/dev/demo?done=removed");
    assert_eq!(listed(&house, "alice/dev", "demo").await, [wheel_filename("demo", "1.0")]);
    let project = alice.get("/alice/dev/demo?done=removed").await.text();
    assert!(project.contains("It is removed.") && project.contains("<strong>demo 2.0</strong>"), "{project}");
    let index = alice.get("/alice/dev").await.text();
    assert!(index.contains("Undo the removal of demo 2.0") && index.contains("by alice; 15 min left"), "{index}");
    let bob = Browser::logged_in(&house, BOB).await;
    let seen = bob.get("/alice/dev").await.text();
    assert!(!seen.contains("Undo") && !bob.get("/alice/dev/demo").await.text().contains("Remove"), "{seen}");
    let id = hidden(&index, "removal");
    let refused = bob.act("undo", &[("removal", &id)]).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    went(&alice.act("undo", &[("removal", &id)]).await, "/alice/dev/demo?done=undone");
    assert_eq!(listed(&house, "alice/dev", "demo").await.len(), 2);
    let digest = sha256(&bytes);
    let path = format!("/alice/dev/+f/{}/{}/{}", &digest[..3], &digest[3..16], wheel_filename("demo", "2.0"));
    assert_eq!(house.get(&path).await.body, bytes);
    let again = alice.act("undo", &[("removal", &id)]).await;
    assert!(again.status == 404 && again.text().contains("undone already"), "{}", again.text());
    house.end().await;
}

#[tokio::test]
async fn a_file_and_a_whole_project_go_and_a_conflict_is_told() {
    let house = private_house().await;
    let bytes = release(&house, "alice/dev", "demo", "1.0").await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let (file, digest) = (wheel_filename("demo", "1.0"), sha256(&bytes));
    let at = format!("{}/{}", &digest[..3], &digest[3..16]);
    let fields = [("index", "alice/dev"), ("project", "demo"), ("what", "file"), ("file", &file), ("at", &at)];
    // Its last file: the project has no page any more.
    went(&alice.act("remove", &fields).await, "/alice/dev?done=removed");
    let id = hidden(&alice.get("/alice/dev").await.text(), "removal");
    release(&house, "alice/dev", "demo", "1.0").await;
    let conflict = alice.act("undo", &[("removal", &id)]).await;
    assert!(conflict.status == 409 && conflict.text().contains(&file), "{}", conflict.text());
    let whole = [("index", "alice/dev"), ("project", "demo"), ("what", "project")];
    went(&alice.act("remove", &whole).await, "/alice/dev?done=removed");
    assert!(listed(&house, "alice/dev", "demo").await.is_empty());
    went(&alice.act("undo", &[("removal", &id)]).await, "/alice/dev/demo?done=undone");
    for fields in [
        vec![("index", "alice/dev"), ("project", "demo")],
        vec![("index", "alice/dev"), ("project", "demo"), ("what", "version")],
        vec![("index", "alice/dev"), ("project", "demo"), ("what", "file"), ("file", &file), ("at", "x")],
        vec![("index", "alice/dev"), ("what", "project")],
    ] {
        assert_eq!(alice.act("remove", &fields).await.status, 400, "{fields:?}");
    }
    assert_eq!(alice.act("undo", &[("removal", "x")]).await.status, 400);
    assert_eq!(listed(&house, "alice/dev", "demo").await.len(), 1);
    house.end().await;
}

#[tokio::test]
async fn where_files_stay_it_takes_a_tick() {
    let house = private_house().await;
    make_index(&house, "alice/prod", json!({ "volatile": false })).await;
    release(&house, "alice/prod", "demo", "1.0").await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let page = alice.get("/alice/prod/demo/1.0").await.text();
    assert!(page.contains("name=\"force\"") && page.contains("stay as they are"), "{page}");
    let fields = [("index", "alice/prod"), ("project", "demo"), ("what", "version"), ("version", "1.0")];
    let refused = alice.act("remove", &fields).await;
    assert!(refused.status == 403 && refused.text().contains("non-volatile"), "{}", refused.text());
    assert_eq!(listed(&house, "alice/prod", "demo").await.len(), 1);
    let bob = Browser::logged_in(&house, BOB).await;
    let forced = [&fields[..], &[("force", "yes")]].concat();
    assert_eq!(bob.act("remove", &forced).await.status, 403);
    let root = Browser::logged_in(&house, ROOT).await;
    went(&root.act("remove", &forced).await, "/alice/prod?done=removed");
    let told = house.api("GET", "/alice/prod", ALICE, Value::Null).await;
    assert_eq!(told.json()["result"]["projects"], json!([]), "{}", told.text());
    house.end().await;
}

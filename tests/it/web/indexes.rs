use super::Browser;
use crate::private::{ALICE, BOB, ROOT, private_house, release};
use serde_json::{Value, json};
use sidewheel::names::IndexName;

async fn settings(house: &crate::support::house::House, index: &str) -> Value {
    house.api("GET", &format!("/{index}?no_projects="), ROOT, json!({})).await.json()["result"].clone()
}

#[tokio::test]
async fn an_index_is_made_changed_and_deleted() {
    let house = private_house().await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let form = alice.get("/alice/+new").await;
    assert_eq!(form.status, 200);
    assert!(form.text().contains(">\nalice</textarea>") && form.text().contains(":ANONYMOUS:"), "{}", form.text());
    let stage = [
        ("user", "alice"),
        ("type", "stage"),
        ("name", "prod"),
        ("title", "Ours <b>"),
        ("description", "two\r\nlines"),
        ("bases", "alice/dev\r\nroot/pypi"),
        ("acl_upload", "alice, bob"),
        ("acl_read", ":AUTHENTICATED:"),
        ("acl_toxresult_upload", ""),
        ("mirror_whitelist", "*"),
        ("mirror_whitelist_inheritance", "union"),
        ("reserved", "acme-*"),
    ];
    let made = alice.act("new-index", &stage).await;
    assert_eq!((made.status, made.header("location")), (303, "/alice/prod?done=index-made"), "{}", made.text());
    let found = settings(&house, "alice/prod").await;
    assert_eq!(
        (&found["volatile"], &found["title"], &found["description"]),
        (&json!(false), &json!("Ours <b>"), &json!("two\nlines"))
    );
    assert_eq!((&found["bases"], &found["acl_upload"]), (&json!(["alice/dev", "root/pypi"]), &json!(["alice", "bob"])));
    assert_eq!((&found["acl_read"], &found["reserved"]), (&json!([":AUTHENTICATED:"]), &json!(["acme-*"])));
    assert_eq!((&found["acl_toxresult_upload"], &found["mirror_whitelist"]), (&json!([]), &json!(["*"])));
    let form = alice.get("/alice/prod/+settings").await.text();
    assert!(form.contains("value=\"Ours &lt;b&gt;\"") && form.contains("alice/dev\nroot/pypi</textarea>"), "{form}");
    let change = [("index", "alice/prod"), ("title", ""), ("bases", "root/pypi"), ("volatile", "yes")];
    let changed = alice.act("settings", &[&change[..], &stage[6..]].concat()).await;
    assert_eq!(changed.header("location"), "/alice/prod?done=index-changed", "{}", changed.text());
    let found = settings(&house, "alice/prod").await;
    assert_eq!((&found["volatile"], found.get("title")), (&json!(true), None));
    assert_eq!((&found["bases"], found.get("description")), (&json!(["root/pypi"]), None));
    for confirm in ["", "prod", "alice/dev"] {
        let answer = alice.act("delete-index", &[("index", "alice/prod"), ("confirm", confirm)]).await;
        assert!(answer.status == 400 && answer.text().contains("type alice/prod to confirm"), "{}", answer.text());
    }
    let deleted = alice.act("delete-index", &[("index", "alice/prod"), ("confirm", "alice/prod")]).await;
    assert_eq!(deleted.header("location"), "/alice?done=index-deleted");
    assert_eq!(house.api("GET", "/alice/prod", ALICE, json!({})).await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn a_mirror_keeps_its_password_when_its_form_is_sent_back() {
    let house = private_house().await;
    let root = Browser::logged_in(&house, ROOT).await;
    assert!(root.get("/root/+new?type=mirror").await.text().contains("mirror_url"));
    let url = "https://user:secret@example.org/simple/";
    let mirror = [("user", "root"), ("type", "mirror"), ("name", "other"), ("mirror_url", url)];
    let made =
        root.act("new-index", &[&mirror[..], &[("acl_read", ":ANONYMOUS:"), ("volatile", "yes")]].concat()).await;
    assert_eq!(made.header("location"), "/root/other?done=index-made", "{}", made.text());
    let form = root.get("/root/other/+settings").await.text();
    assert!(!form.contains("secret"), "{form}");
    let shown = settings(&house, "root/other").await["mirror_url"].as_str().unwrap().to_owned();
    let back = [("index", "root/other"), ("mirror_url", &*shown), ("mirror_cache_expiry", "60"), ("acl_read", "root")];
    assert_eq!(root.act("settings", &back).await.status, 303);
    let found = settings(&house, "root/other").await;
    assert_eq!((&found["mirror_cache_expiry"], &found["volatile"]), (&json!(60), &json!(false)));
    let entry = house.index.entry(&IndexName::parse("root/other").unwrap()).unwrap();
    assert!(entry.settings.to_stored()["mirror_url"].as_str().unwrap().contains("secret"), "the password was lost");
    house.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_settings_stands_at_its_field_and_nothing_is_changed() {
    let house = private_house().await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let before = settings(&house, "alice/dev").await;
    for (field, value, sentence) in [
        ("bases", "no index at all", "invalid base index spec"),
        ("bases", "alice/none", "does not exist"),
        ("acl_upload", "a b", "is no user, group or special name"),
        ("acl_read", "<script>alert(1)</script>", "is no user, group or special name"),
        ("mirror_whitelist", "a b", "is no project name"),
        ("mirror_whitelist_inheritance", "both", "must be"),
        ("reserved", "!", "is no project name"),
    ] {
        let fields = [("index", "alice/dev"), ("title", "changed"), (field, value)];
        let answer = alice.act("settings", &fields).await;
        let text = answer.text();
        assert_eq!(answer.status, 400, "{field}");
        assert!(text.contains(&format!("id=\"{field}-wrong\"")) && text.contains(sentence), "{field}: {text}");
        assert!(text.contains("value=\"changed\"") && !text.contains("<script>alert"), "{field}: {text}");
        assert_eq!(settings(&house, "alice/dev").await, before, "{field}");
        let new = [("user", "alice"), ("type", "stage"), ("name", "fresh"), (field, value)];
        let answer = alice.act("new-index", &new).await;
        assert!(answer.status == 400 && answer.text().contains(&format!("id=\"{field}-wrong\"")), "{field}");
        assert_eq!(house.api("GET", "/alice/fresh", ALICE, json!({})).await.status, 404);
    }
    for (name, status) in [("a/b", 400), ("", 400), ("dev", 409)] {
        let answer = alice.act("new-index", &[("user", "alice"), ("name", name)]).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    house.end().await;
}

#[tokio::test]
async fn who_may_not_is_shown_nothing_and_can_do_nothing() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    let before = settings(&house, "alice/dev").await;
    let bob = Browser::logged_in(&house, BOB).await;
    for path in ["/alice/+new", "/alice/dev/+settings"] {
        assert_eq!(bob.get(path).await.status, 403, "{path}");
        let login = Browser::new(&house).get(path).await;
        assert!(login.status == 303 && login.header("location").starts_with("/+login?next="), "{path}");
        // Whoever shows a password or a token gets no form either: a browser sends them by itself.
        let shown = house.get_as(path, ALICE, &[("Accept", "text/html")]).await;
        assert_eq!(shown.status, 403, "{path}");
    }
    for path in ["/alice/dev/demo", "/alice/dev/demo/1.0"] {
        let page = bob.get(path).await.text();
        assert!(
            !page.contains("/+do/yank") && !page.contains("/+do/promote") && !page.contains("/+do/purge"),
            "{page}"
        );
        assert!(!house.get_as(path, ALICE, &[("Accept", "text/html")]).await.text().contains("/+do/"));
    }
    let at = [("index", "alice/dev"), ("project", "demo"), ("version", "1.0"), ("target", "alice/dev")];
    for (action, more) in [
        ("new-index", vec![("user", "alice"), ("name", "new")]),
        ("settings", vec![("index", "alice/dev"), ("title", "his")]),
        ("delete-index", vec![("index", "alice/dev"), ("confirm", "alice/dev")]),
        ("yank", at.to_vec()),
        ("unyank", at.to_vec()),
        ("promote", at.to_vec()),
        ("purge", vec![("index", "root/pypi"), ("project", "demo")]),
    ] {
        assert_eq!(bob.act(action, &more).await.status, 403, "{action}");
    }
    assert_eq!(settings(&house, "alice/dev").await, before);
    assert_eq!(house.api("GET", "/alice/new", ALICE, json!({})).await.status, 404);
    house.end().await;
}

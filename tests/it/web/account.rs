use super::Browser;
use crate::private::{ALICE, BOB, ROOT, private_house};
use serde_json::json;

/// The token that a page shows.
fn shown_token(page: &str) -> String {
    let at = page.find("sidewheel_token_").unwrap_or_else(|| panic!("no token in {page}"));
    page[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect()
}

#[tokio::test]
async fn a_token_is_shown_once_and_does_what_it_is_for() {
    let house = private_house().await;
    house.api("PATCH", "/alice/dev", ALICE, json!({ "acl_read": ["alice"] })).await;
    let alice = Browser::logged_in(&house, ALICE).await;
    assert_eq!(Browser::new(&house).get("/+account").await.header("location"), "/+login?next=%2F%2Baccount");
    let wish = [("name", "ci <b>"), ("index", "alice/dev"), ("may", "read"), ("ends", "30")];
    let made = alice.act("make-token", &wish).await;
    assert_eq!((made.status, made.header("cache-control")), (200, "no-store"), "{}", made.text());
    let token = shown_token(&made.text());
    assert!(made.text().contains("ci &lt;b&gt;") && !made.text().contains("<b>"));
    let read = |token: String| {
        let house = &house;
        async move { house.get_as("/alice/dev/+simple/", Some(("__token__", &token)), &[]).await.status }
    };
    assert_eq!(read(token.clone()).await, 200);
    assert_eq!(house.api("DELETE", "/alice/dev", Some(("alice", &token)), json!({})).await.status, 403);
    let page = alice.get("/+account").await.text();
    assert!(page.contains("ci &lt;b&gt;") && !page.contains(&token) && !page.contains("not yet"), "{page}");
    let bob = Browser::logged_in(&house, BOB).await;
    assert!(!bob.get("/+account").await.text().contains("ci &lt;b&gt;"), "another's token is shown");
    let id = token.split('_').nth(2).unwrap();
    assert_eq!(bob.act("revoke-token", &[("id", id)]).await.status, 404);
    assert_eq!(read(token.clone()).await, 200, "another revoked it");
    let revoked = alice.act("revoke-token", &[("id", id)]).await;
    assert_eq!((revoked.status, revoked.header("location")), (303, "/+account?done=token-revoked"));
    assert_eq!(read(token.clone()).await, 401);
    assert_eq!(alice.act("revoke-token", &[("id", id)]).await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_token_stands_at_its_field() {
    let house = private_house().await;
    house.api("PATCH", "/bob", BOB, json!({})).await;
    house.api("PUT", "/bob/secret", BOB, json!({ "acl_read": ["bob"] })).await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let good = [("name", "ci"), ("index", ""), ("may", "both"), ("ends", "date"), ("date", "2027-01-31")];
    let long = "x".repeat(101);
    for (field, value, sentence) in [
        ("name", " ", "give it a name"),
        ("name", &*long, "at most 100 characters"),
        ("index", "nowhere", "is not an index name"),
        ("index", "alice/none", "there is no index alice/none"),
        // It is there, but not for her.
        ("index", "bob/secret", "there is no index bob/secret"),
        ("may", "delete", "choose what it may"),
        ("ends", "10000", "choose when it ends"),
        ("date", "soon", "write the day"),
        ("date", "2001-01-01", "this day is over"),
        ("date", "2027-13-01", "write the day"),
    ] {
        let fields = good.map(|(name, before)| (name, if name == field { value } else { before }));
        let answer = alice.act("make-token", &fields).await;
        let text = answer.text();
        assert_eq!(answer.status, 400, "{field}={value}");
        assert!(text.contains(sentence) && !text.contains("sidewheel_token_"), "{field}={value}: {text}");
        if value.len() < 100 && !value.trim().is_empty() && !matches!(field, "may" | "ends") {
            assert!(text.contains(&format!("value=\"{value}\"")), "{field}={value} was not kept: {text}");
        }
    }
    let made = alice.act("make-token", &good).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert!(alice.get("/+account").await.text().contains("2027-02-01"));
    house.end().await;
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_all_but_this_browser() {
    let house = private_house().await;
    let (alice, other) = (Browser::logged_in(&house, ALICE).await, Browser::logged_in(&house, ALICE).await);
    let login = house.api("POST", "/+login", None, json!({ "user": "alice", "password": ALICE.unwrap().1 })).await;
    let login = login.json()["result"]["password"].as_str().unwrap().to_owned();
    let change = |old: &'static str, new: &'static str, again: &'static str| {
        let alice = &alice;
        async move { alice.act("password", &[("old", old), ("new", new), ("again", again)]).await }
    };
    for (old, new, again, status, sentence) in [
        ("wrong", "a new one", "a new one", 403, "this is not your password"),
        (ALICE.unwrap().1, "a new one", "a new 0ne", 400, "not the same"),
        (ALICE.unwrap().1, "", "", 400, "cannot be empty"),
    ] {
        let answer = change(old, new, again).await;
        let text = answer.text();
        assert!(answer.status == status && text.contains(sentence), "{}: {text}", answer.status);
        assert!(!text.contains("a new one") && !text.contains(ALICE.unwrap().1), "a password came back: {text}");
    }
    let done = change(ALICE.unwrap().1, "a new one", "a new one").await;
    assert_eq!((done.status, done.header("location")), (303, "/+account?done=password-changed"));
    assert!(alice.get("/").await.text().contains("Log out"), "the browser that changed it was logged out");
    assert!(!other.get("/").await.text().contains("Log out"));
    for (secret, status) in [(&*login, 401), (ALICE.unwrap().1, 401), ("a new one", 200)] {
        let answer = house.api("PATCH", "/alice", Some(("alice", secret)), json!({ "title": "Al" })).await;
        assert_eq!(answer.status, status, "{secret}");
    }
    house.end().await;
}

#[tokio::test]
async fn one_logs_out_ones_other_browsers_and_nobody_elses() {
    let house = private_house().await;
    let (alice, other) = (Browser::logged_in(&house, ALICE).await, Browser::logged_in(&house, ALICE).await);
    let bob = Browser::logged_in(&house, BOB).await;
    let id = |browser: &Browser<'_>| browser.cookie.split('_').nth(2).unwrap().to_owned();
    let page = alice.get("/+account").await.text();
    assert!(page.contains(&id(&other)) && page.contains("this browser") && !page.contains(&id(&bob)), "{page}");
    assert!(!page.contains(alice.cookie.split_once('=').unwrap().1), "the secret is shown");
    assert_eq!(alice.act("end-session", &[("id", &id(&bob))]).await.status, 404);
    assert!(bob.get("/").await.text().contains("Log out"));
    assert_eq!(alice.act("end-session", &[("id", &id(&other))]).await.status, 303);
    assert!(!other.get("/").await.text().contains("Log out"));
    let third = Browser::logged_in(&house, ALICE).await;
    assert_eq!(alice.act("end-other-sessions", &[]).await.status, 303);
    let left = |text: String| text.contains("Log out");
    assert!(left(alice.get("/").await.text()) && !left(third.get("/").await.text()) && left(bob.get("/").await.text()));
    house.end().await;
}

#[tokio::test]
async fn root_makes_users_and_others_do_not() {
    let house = private_house().await;
    let (alice, root) = (Browser::logged_in(&house, ALICE).await, Browser::logged_in(&house, ROOT).await);
    let carol = [("user-name", "carol"), ("user-password", "carol's password")];
    assert!(!alice.get("/+account").await.text().contains("Make a user"));
    assert_eq!(alice.act("make-user", &carol).await.status, 403);
    assert_eq!(root.act("make-user", &carol).await.header("location"), "/+account?done=user-made");
    let again = root.act("make-user", &carol).await;
    assert!(again.status == 409 && again.text().contains("user already exists"), "{}", again.text());
    Browser::logged_in(&house, Some((carol[0].1, carol[1].1))).await;
    house.end().await;
}

use super::{ALICE, BOB, ROOT, ROOT_PASSWORD, private_house, private_house_with};
use crate::support::house::{House, Options};
use serde_json::json;
use sidewheel::rules::UserCreation;
use std::time::Duration;

async fn login(house: &House, user: &str, password: &str) -> crate::support::house::Answer {
    house.api("POST", "/+login", None, json!({ "user": user, "password": password })).await
}

#[tokio::test]
async fn a_login_is_a_token_that_outlives_a_restart_and_ends_in_time() {
    let house = private_house().await;
    let answer = login(&house, "alice", ALICE.unwrap().1).await;
    assert_eq!((answer.status, answer.header("x-devpi-api-version")), (200, "2"));
    let json = answer.json();
    assert_eq!((json["type"].as_str(), json["result"]["expiration"].as_u64()), (Some("proxyauth"), Some(36_000)));
    let token = json["result"]["password"].as_str().unwrap().to_owned();
    let house = house.restart(|_| {}).await;
    let who = |token: String| {
        let house = &house;
        async move {
            let api = house.api("GET", "/+api", Some(("alice", &token)), json!({})).await;
            api.json()["result"]["authstatus"][0].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(who(token.clone()).await, "ok");
    house.clock.advance(Duration::from_secs(36_001));
    assert_eq!(who(token.clone()).await, "noauth");
    assert_eq!(login(&house, "alice", "wrong").await.status, 401);
    assert_eq!(login(&house, "nobody", "wrong").await.status, 401);
    house.end().await;
}

#[tokio::test]
async fn a_new_password_ends_the_old_logins_at_once() {
    let house = private_house().await;
    let logged_in = || async {
        login(&house, "alice", ALICE.unwrap().1).await.json()["result"]["password"].as_str().unwrap().to_owned()
    };
    let (other, token) = (logged_in().await, logged_in().await);
    assert_eq!(house.api("PATCH", "/alice", Some(("alice", &token)), json!({ "title": "Al" })).await.status, 200);
    let changed = house.api("PATCH", "/alice", Some(("alice", &token)), json!({ "password": "other" })).await;
    assert_eq!((changed.status, changed.json()["type"].as_str()), (200, Some("userpassword")));
    let fresh = changed.json()["result"]["password"].as_str().unwrap().to_owned();
    // devpi's client goes on with the login that it changed the password with.
    let secrets = [(&*other, 401), (&*token, 200), (ALICE.unwrap().1, 401), ("other", 200), (&*fresh, 200)];
    for (secret, status) in secrets {
        let answer = house.api("PATCH", "/alice", Some(("alice", secret)), json!({ "title": "Al" })).await;
        assert_eq!(answer.status, status, "{secret}");
    }
    house.end().await;
}

#[tokio::test]
async fn only_root_makes_users_unless_told_otherwise() {
    let house = private_house().await;
    for (auth, status) in [(None, 401), (ALICE, 403), (ROOT, 201), (ROOT, 409)] {
        let made = house.api("PUT", "/carol", auth, json!({ "password": "x" })).await;
        assert_eq!(made.status, status, "{auth:?}: {}", made.text());
    }
    for (name, body) in [
        ("pypi", json!({ "password": "x" })),
        ("dave", json!({})),
        ("dave", json!({ "password": "" })),
        ("dave", json!({ "password": "x", "shoe": 1 })),
    ] {
        assert_eq!(house.api("PUT", &format!("/{name}"), ROOT, body).await.status, 400, "{name}");
    }
    house.end().await;
    let house = private_house_with(Options { user_creation: UserCreation::Anyone, ..Options::default() }).await;
    assert_eq!(house.api("PUT", "/carol", None, json!({ "password": "x" })).await.status, 201);
    house.end().await;
}

#[tokio::test]
async fn users_are_shown_without_their_hashes_and_deleted_with_their_volatile_indexes() {
    let house = private_house().await;
    let all = house.api("GET", "/", None, json!({})).await;
    assert_eq!(all.json()["type"], "list:userconfig");
    assert!(!all.text().contains("argon2"), "{}", all.text());
    assert_eq!(all.json()["result"]["alice"]["indexes"]["dev"]["bases"], json!(["root/pypi"]));
    super::make_index(&house, "alice/prod", json!({ "volatile": "False" })).await;
    assert_eq!(house.api("DELETE", "/alice", BOB, json!({})).await.status, 403);
    let refused = house.api("DELETE", "/alice", ALICE, json!({})).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("prod"), "{}", refused.text());
    assert_eq!(house.api("PATCH", "/alice/prod", ALICE, json!(["volatile=True"])).await.status, 200);
    assert_eq!(house.api("DELETE", "/alice", ALICE, json!({})).await.status, 200);
    assert_eq!(house.api("GET", "/alice", None, json!({})).await.status, 404);
    assert_eq!(house.api("GET", "/alice/dev", None, json!({})).await.status, 404);
    assert_eq!(login(&house, "alice", ALICE.unwrap().1).await.status, 401);
    assert_eq!(house.api("DELETE", "/root", ROOT, json!({})).await.status, 403);
    house.end().await;
}

#[tokio::test]
async fn wrong_passwords_are_throttled_and_the_right_one_elsewhere_is_not() {
    let house = private_house().await;
    let mut refused = 0;
    for _ in 0..40 {
        let answer = house
            .request_with(
                "POST",
                "/+login",
                &[("X-Forwarded-For", "203.0.113.9")],
                br#"{"user":"alice","password":"x"}"#,
            )
            .await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
            refused += 1;
        }
    }
    assert!(refused > 20, "only {refused} of 40 were refused");
    assert_eq!(login(&house, "alice", ALICE.unwrap().1).await.status, 200, "another peer is let in");
    assert_eq!(login(&house, "root", ROOT_PASSWORD).await.status, 200);
    house.clock.advance(Duration::from_secs(600));
    let answer = house
        .request_with("POST", "/+login", &[("X-Forwarded-For", "203.0.113.9")], br#"{"user":"alice","password":"x"}"#)
        .await;
    assert_eq!(answer.status, 401, "time heals");
    house.end().await;
}

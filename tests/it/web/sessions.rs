use super::{Browser, encoded};
use crate::private::{ALICE, BOB, ROOT, private_house, private_house_with};
use crate::support::house::Options;
use serde_json::json;
use sidewheel::index::{SESSION_IDLE_SECONDS_MAX, SESSION_SECONDS_MAX};
use std::time::Duration;

#[tokio::test]
async fn a_person_logs_in_and_out_and_comes_back_to_where_he_was() {
    let house = private_house().await;
    house.api("PATCH", "/alice/dev", ALICE, json!({ "acl_read": ["alice"] })).await;
    let mut browser = Browser::new(&house);
    let turned_away = browser.get("/alice/+new").await;
    assert!(matches!(turned_away.status, 303 | 404), "{}", turned_away.status);
    let page = browser.get("/+login?next=%2Falice%2Fdev").await;
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"));
    assert!(page.text().contains("name=\"next\" value=\"/alice/dev\""), "{}", page.text());
    let answer = browser.log_in(ALICE, "/alice/dev").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/alice/dev"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let cookie = answer.header("set-cookie");
    let port = house.address.port();
    assert!(cookie.starts_with(&format!("sidewheel-{port}=sidewheel_session_")), "{cookie}");
    for word in ["Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=604800"] {
        assert!(cookie.contains(&format!("; {word}")), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "a browser would not send it back over http: {cookie}");
    assert!(browser.get("/").await.text().contains("Log out"));
    assert_eq!(browser.get("/+login?next=%2Falice").await.header("location"), "/alice");
    let out = browser.act("logout", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, "/?done=logged-out"));
    assert!(out.header("set-cookie").contains("=; Path=/; Max-Age=0"), "{}", out.header("set-cookie"));
    assert!(browser.get("/?done=logged-out").await.text().contains("You are logged out."));
    assert!(!browser.get("/").await.text().contains("Log out"), "the cookie outlived its session");
    house.end().await;
}

#[tokio::test]
async fn a_login_leads_to_no_other_server() {
    let house = private_house().await;
    for next in ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y", ""]
    {
        let mut browser = Browser::new(&house);
        let shown = browser.get(&format!("/+login?{}", encoded(&[("next", next)]))).await;
        assert!(shown.text().contains("name=\"next\" value=\"/+account\""), "{next}");
        assert_eq!(browser.log_in(ALICE, next).await.header("location"), "/+account", "{next}");
        let past = browser.get(&format!("/+login?{}", encoded(&[("next", next)]))).await;
        assert_eq!((past.status, past.header("location")), (303, "/+account"), "{next}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_wrong_password_says_nothing_and_too_many_are_slowed_down() {
    let house = private_house().await;
    let mut browser = Browser::new(&house);
    let mut texts = Vec::new();
    for (user, password) in [("alice", "hunter2"), ("nobody", "hunter2"), ("", ""), ("<script>", "x")] {
        let answer = browser.log_in(Some((user, password)), "/").await;
        assert_eq!((answer.status, answer.header("set-cookie"), answer.header("www-authenticate")), (403, "", ""));
        let text = answer.text();
        assert!(!text.contains("hunter2") && !text.contains("<script>"), "{text}");
        texts.push(text.contains("this user name and this password do not belong together"));
    }
    assert_eq!(texts, [true; 4]);
    let token = house.api("POST", "/+login", None, json!({ "user": "alice", "password": ALICE.unwrap().1 })).await;
    let token = token.json()["result"]["password"].as_str().unwrap().to_owned();
    let answer = browser.log_in(Some(("alice", &token)), "/").await;
    assert_eq!((answer.status, answer.header("set-cookie")), (403, ""), "a token became a session");
    let mut last = 0;
    for _ in 0..30 {
        last = browser.log_in(Some(("bob", "wrong")), "/").await.status;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    house.end().await;
}

#[tokio::test]
async fn a_session_outlives_a_restart_and_ends_by_rest_and_by_age() {
    let house = private_house().await;
    let cookie = Browser::logged_in(&house, ALICE).await.cookie;
    let house = house.restart(|_| {}).await;
    // The port is another one after the restart, and with it the name.
    let value = cookie.split_once('=').unwrap().1;
    let cookie = format!("sidewheel-{}={value}", house.address.port());
    let logged_in =
        || async { Browser { house: &house, cookie: cookie.clone() }.get("/").await.text().contains("Log out") };
    assert!(logged_in().await);
    let step = SESSION_IDLE_SECONDS_MAX - 1;
    for round in 1..=SESSION_SECONDS_MAX / step {
        house.clock.advance(Duration::from_secs(step));
        assert!(logged_in().await, "it ended in round {round} although it was used");
    }
    house.clock.advance(Duration::from_secs(SESSION_SECONDS_MAX % step));
    assert!(!logged_in().await, "it never ends");
    let browser = Browser::logged_in(&house, ALICE).await;
    house.clock.advance(Duration::from_secs(SESSION_IDLE_SECONDS_MAX));
    assert!(!browser.get("/").await.text().contains("Log out"), "it rested too long");
    house.end().await;
}

#[tokio::test]
async fn a_session_ends_with_the_password_and_with_the_user() {
    let house = private_house().await;
    let (alice, bob) = (Browser::logged_in(&house, ALICE).await, Browser::logged_in(&house, BOB).await);
    house.api("PATCH", "/alice", ALICE, json!({ "title": "Al" })).await;
    assert!(alice.get("/").await.text().contains("Log out"));
    house.api("PATCH", "/alice", ALICE, json!({ "password": "another one" })).await;
    assert!(!alice.get("/").await.text().contains("Log out"));
    assert!(bob.get("/").await.text().contains("Log out"));
    assert_eq!(house.api("DELETE", "/bob", ROOT, json!({})).await.status, 200);
    assert!(!bob.get("/").await.text().contains("Log out"));
    house.api("PUT", "/bob", ROOT, json!({ "password": "bob's password" })).await;
    assert!(!bob.get("/").await.text().contains("Log out"), "another bob has his session");
    house.end().await;
}

#[tokio::test]
async fn no_cookie_is_accepted_by_the_api_and_no_session_as_a_password() {
    let house = private_house().await;
    house.api("PATCH", "/alice/dev", ALICE, json!({ "acl_read": ["alice"] })).await;
    let browser = Browser::logged_in(&house, ALICE).await;
    let secret = browser.cookie.split_once('=').unwrap().1.to_owned();
    let json_body = ("Content-Type", "application/json");
    let cookie = ("Cookie", browser.cookie.as_str());
    let json_wanted = ("Accept", "application/json");
    for (method, path, body) in [
        ("PUT", "/carol", "{\"password\": \"x\"}"),
        ("PATCH", "/alice", "{\"title\": \"x\"}"),
        ("DELETE", "/alice", ""),
        ("PUT", "/alice/other", "{}"),
        ("PATCH", "/alice/dev", "{\"volatile\": false}"),
        ("DELETE", "/alice/dev", ""),
        ("POST", "/alice/dev", "{\"name\": \"demo\", \"version\": \"1\", \"targetindex\": \"alice/dev\"}"),
        ("PUSH", "/alice/dev", "{\"name\": \"demo\", \"version\": \"1\", \"targetindex\": \"alice/dev\"}"),
        ("DELETE", "/alice/dev/demo", ""),
        ("DELETE", "/alice/dev/demo/1.0", ""),
        ("PATCH", "/alice/dev/demo/1.0", "{\"yanked\": true}"),
        ("DELETE", "/alice/dev/+f/aaa/aaaaaaaaaaaaa/demo-1.0.tar.gz", ""),
        ("PATCH", "/alice/dev/+f/aaa/aaaaaaaaaaaaa/demo-1.0.tar.gz", "{\"yanked\": true}"),
        ("POST", "/alice/dev/+f/aaa/aaaaaaaaaaaaa/demo-1.0.tar.gz", "{}"),
        ("POST", "/alice/dev/+simple/demo/refresh", ""),
        ("GET", "/alice/dev", ""),
        ("GET", "/alice/dev/+simple/", ""),
        ("GET", "/alice/dev/+simple/demo/", ""),
    ] {
        let answer = house.request_with(method, path, &[json_body, json_wanted, cookie], body.as_bytes()).await;
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
        for header in ["X-Devpi-Auth", "Authorization"] {
            let proof = crate::support::house::basic(("alice", &secret));
            let proof = if header == "Authorization" { format!("Basic {proof}") } else { proof };
            let headers = [json_body, json_wanted, (header, proof.as_str())];
            let answer = house.request_with(method, path, &headers, body.as_bytes()).await;
            assert!(matches!(answer.status, 401 | 429), "{method} {path}: {}", answer.text());
        }
    }
    let form = [("Content-Type", "multipart/form-data; boundary=b"), cookie];
    assert_eq!(house.request_with("POST", "/alice/dev/", &form, b"--b--\r\n").await.status, 401);
    let who = house.get_with("/+api", &[cookie]).await.json();
    assert_eq!(who["result"]["authstatus"][0], "noauth");
    house.end().await;
}

#[tokio::test]
async fn behind_https_the_cookie_is_bound_to_the_host() {
    let options = Options { public_url: Some("https://pypi.example.test".to_owned()), ..Options::default() };
    let house = private_house_with(options).await;
    let browser = Browser::new(&house);
    let body = encoded(&[("user", "alice"), ("password", ALICE.unwrap().1)]);
    let host = ("Host", "pypi.example.test");
    let own = ("Origin", "https://pypi.example.test");
    let answer = browser.post("/+login", &[host, own], &body).await;
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-sidewheel=") && cookie.ends_with("; Secure"), "{cookie}");
    let plain = browser.post("/+login", &[host, ("Origin", "http://pypi.example.test")], &body).await;
    assert_eq!((plain.status, plain.header("set-cookie")), (403, ""), "a page without https logged somebody in");
    // The name without the prefix is one that a sister site could plant.
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    for (name, expected) in [("__Host-sidewheel", true), ("sidewheel", false)] {
        let cookie = format!("{name}={value}");
        let page = house.get_with("/", &[("Accept", "text/html"), host, ("Cookie", &cookie)]).await;
        assert_eq!(page.text().contains("Log out"), expected, "{name}");
    }
    house.end().await;
}

#[tokio::test]
async fn whose_cookie_stayed_behind_is_asked_once_more() {
    let house = private_house().await;
    house.api("PATCH", "/alice/dev", ALICE, json!({ "acl_read": ["alice"] })).await;
    let linked = [("Accept", "text/html"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    let page = house.get_with("/+account", &linked).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("http-equiv=\"refresh\" content=\"0;url=/+account\""), "{}", page.text());
    let ours = house.get_with("/+account", &[("Accept", "text/html"), ("Sec-Fetch-Site", "same-origin")]).await;
    assert_eq!((ours.status, ours.header("location")), (303, "/+login?next=%2F%2Baccount"));
    house.end().await;
}

#[tokio::test]
async fn a_use_that_was_only_in_memory_is_written_when_the_server_stops() {
    let house = private_house().await;
    let cookie = Browser::logged_in(&house, ALICE).await.cookie;
    house.clock.advance(Duration::from_secs(SESSION_IDLE_SECONDS_MAX - 1));
    assert!(Browser { house: &house, cookie: cookie.clone() }.get("/").await.text().contains("Log out"));
    house.index.close().await;
    let house = house.restart(|_| {}).await;
    house.clock.advance(Duration::from_secs(SESSION_IDLE_SECONDS_MAX - 1));
    let cookie = format!("sidewheel-{}={}", house.address.port(), cookie.split_once('=').unwrap().1);
    assert!(Browser { house: &house, cookie }.get("/").await.text().contains("Log out"), "the use was forgotten");
    house.end().await;
}

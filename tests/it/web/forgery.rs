use super::{Browser, encoded};
use crate::private::{ALICE, BOB, private_house};
use crate::support::house::House;

/// Sends a form that must be refused, and looks that nothing came of it: the session it would end is still there.
async fn refused(house: &House, alice: &Browser<'_>, headers: &[(&str, &str)], token: Option<&str>) {
    let body = token.map(|token| encoded(&[("token", token)])).unwrap_or_default();
    let answer = alice.post("/+do/logout", headers, &body).await;
    assert_eq!(answer.status, 403, "{headers:?} {token:?}: {}", answer.text());
    assert_eq!(answer.header("set-cookie"), "", "{headers:?}");
    assert!(alice.get("/").await.text().contains("Log out"), "{headers:?} {token:?}: it was done all the same");
    let _ = house;
}

#[tokio::test]
async fn a_form_needs_the_token_of_its_own_session() {
    let house = private_house().await;
    let (alice, bob) = (Browser::logged_in(&house, ALICE).await, Browser::logged_in(&house, BOB).await);
    let again = Browser::logged_in(&house, ALICE).await;
    let ours = [("Sec-Fetch-Site", "same-origin")];
    let (token, bobs, other) = (alice.token().await, bob.token().await, again.token().await);
    let secret = alice.cookie.split_once('=').unwrap().1.to_owned();
    let upper = token.to_uppercase();
    let wrong =
        [None, Some(""), Some("x"), Some(&*bobs), Some(&*other), Some(&*secret), Some(&*upper), Some(&token[1..])];
    for token in wrong {
        refused(&house, &alice, &ours, token).await;
    }
    let long = format!("{token}{token}");
    refused(&house, &alice, &ours, Some(&long)).await;
    // Without a session no token is right.
    let nobody = Browser::new(&house).post("/+do/logout", &ours, &encoded(&[("token", &token)])).await;
    assert_eq!(nobody.status, 403);
    assert_eq!(alice.post("/+do/logout", &ours, &encoded(&[("token", &token)])).await.status, 303);
    house.end().await;
}

#[tokio::test]
async fn a_form_comes_from_our_own_page() {
    let house = private_house().await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let token = alice.token().await;
    let own = format!("http://{}", house.address);
    let (secure, sister) = (own.replace("http", "https"), format!("http://127.0.0.1:{}", house.address.port() ^ 1));
    let with = |site: &'static str| ("Sec-Fetch-Site", site);
    for headers in [
        vec![],
        vec![with("none")],
        vec![with("same-site")],
        vec![with("cross-site")],
        vec![with("same-site"), ("Origin", &own)],
        vec![with("cross-site"), ("Origin", &own)],
        vec![with("cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")],
        vec![with("Same-Origin")],
        vec![with("")],
        vec![("Origin", "null")],
        vec![("Origin", "")],
        vec![("Origin", "http://evil.example")],
        vec![("Origin", "http://localhost")],
        vec![("Origin", &secure)],
        vec![("Origin", &sister)],
        vec![("Referer", &own)],
    ] {
        refused(&house, &alice, &headers, Some(&token)).await;
        let login = encoded(&[("user", "bob"), ("password", BOB.unwrap().1), ("next", "/")]);
        let answer = Browser::new(&house).post("/+login", &headers, &login).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, ""), "login with {headers:?}");
    }
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let headers = [("Cookie", alice.cookie.as_str()), with("same-origin")];
        let answer = house.request_with(method, "/+do/logout", &headers, b"").await;
        assert_eq!(answer.status, 405, "{method}");
    }
    assert_eq!(alice.post("/+do/logout", &[("Origin", &own)], &encoded(&[("token", &token)])).await.status, 303);
    house.end().await;
}

#[tokio::test]
async fn only_forms_are_read() {
    let house = private_house().await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let token = alice.token().await;
    let body = encoded(&[("token", &token)]);
    for media_type in
        ["text/plain", "application/json", "", "application/x-www-form-urlencoded2", "multipart/form-data"]
    {
        let headers =
            [("Cookie", alice.cookie.as_str()), ("Sec-Fetch-Site", "same-origin"), ("Content-Type", media_type)];
        let answer = house.request_with("POST", "/+do/logout", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 415, "{media_type}");
    }
    let large = format!("{body}&x={}", "x".repeat(300 * 1024));
    let ours = [("Sec-Fetch-Site", "same-origin")];
    assert_eq!(alice.post("/+do/logout", &ours, &large).await.status, 413);
    assert_eq!(alice.act("nothing", &[]).await.status, 404);
    // devpi's login stays as it is, also under curl's own media type; it gives no session.
    let json = "{\"user\": \"alice\", \"password\": \"alice's password\"}";
    let answer = Browser::new(&house).post("/+login", &[], json).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, ""));
    assert!(alice.get("/").await.text().contains("Log out"));
    house.end().await;
}

/// Each action there is, with what would make it succeed.
const ACTIONS: [(&str, &[(&str, &str)]); 13] = [
    ("end-other-sessions", &[]),
    ("make-token", &[("name", "ci"), ("may", "both"), ("ends", "never")]),
    ("revoke-token", &[("id", "0123456789abcdef")]),
    ("password", &[("old", "alice's password"), ("new", "x"), ("again", "x")]),
    ("make-user", &[("user-name", "mallory"), ("user-password", "x")]),
    ("new-index", &[("user", "alice"), ("name", "evil"), ("acl_upload", ":ANONYMOUS:")]),
    ("settings", &[("index", "alice/dev"), ("acl_upload", ":ANONYMOUS:")]),
    ("delete-index", &[("index", "alice/dev"), ("confirm", "alice/dev")]),
    ("yank", &[("index", "alice/dev"), ("project", "demo"), ("version", "1.0")]),
    ("unyank", &[("index", "alice/dev"), ("project", "demo"), ("version", "1.0")]),
    ("promote", &[("index", "alice/dev"), ("project", "demo"), ("version", "1.0"), ("target", "alice/prod")]),
    ("purge", &[("index", "root/pypi"), ("project", "demo")]),
    ("refresh", &[("index", "alice/dev"), ("project", "demo")]),
];

#[tokio::test]
async fn no_action_is_done_for_another_site() {
    let house = private_house().await;
    crate::private::release(&house, "alice/dev", "demo", "1.0").await;
    crate::private::make_index(&house, "alice/prod", serde_json::json!({})).await;
    let (alice, bob) = (Browser::logged_in(&house, ALICE).await, Browser::logged_in(&house, BOB).await);
    let (token, bobs) = (alice.token().await, bob.token().await);
    let state = || async {
        let root = crate::private::ROOT;
        let all = house.api("GET", "/", root, serde_json::json!({})).await.text();
        let page = house.get("/alice/dev/+simple/demo/").await.text();
        let tokens = house.index.tokens(None).await.unwrap().len();
        (all, page, tokens, house.get("/alice/prod/+simple/demo/").await.status)
    };
    let (before, upstream) = (state().await, house.upstream.requests().len());
    let own = format!("http://{}", house.address);
    let ours = ("Sec-Fetch-Site", "same-origin");
    let mut refused = 0;
    for (action, fields) in ACTIONS {
        let path = format!("/+do/{action}");
        let with = |token: &str| format!("token={token}&{}", encoded(fields));
        for (headers, body) in [
            (vec![ours], encoded(fields)),
            (vec![ours], with("")),
            (vec![ours], with(&bobs)),
            (vec![("Origin", own.as_str())], with(&bobs)),
            (vec![], with(&token)),
            (vec![("Sec-Fetch-Site", "none")], with(&token)),
            (vec![("Sec-Fetch-Site", "same-site")], with(&token)),
            (vec![("Sec-Fetch-Site", "cross-site")], with(&token)),
            (vec![("Origin", "null")], with(&token)),
            (vec![("Origin", "https://evil.example")], with(&token)),
        ] {
            let answer = alice.post(&path, &headers, &body).await;
            assert_eq!(answer.status, 403, "{action} {headers:?}: {}", answer.text());
            refused += 1;
        }
        // With the right token, but nobody's browser; and with credentials of the API in place of a session.
        let nobody = Browser::new(&house).post(&path, &[ours], &with(&token)).await;
        let basic = format!("Basic {}", crate::support::house::basic(ALICE.unwrap()));
        let api = Browser::new(&house).post(&path, &[ours, ("Authorization", &basic)], &with(&token)).await;
        assert_eq!((nobody.status, api.status), (403, 403), "{action}");
    }
    assert_eq!(refused, ACTIONS.len() * 10);
    assert!(state().await == before, "something was changed");
    assert_eq!(house.upstream.requests().len(), upstream, "upstream was asked");
    assert!(alice.get("/").await.text().contains("Log out") && bob.get("/").await.text().contains("Log out"));
    // The same forms are taken from our own page: the test could fail.
    for (action, fields) in ACTIONS.into_iter().filter(|(action, _)| matches!(*action, "yank" | "make-token")) {
        assert!(alice.act(action, fields).await.status < 400, "{action}");
    }
    assert!(state().await != before);
    house.end().await;
}

use super::*;

fn session(id: &str, of: &str) -> SessionRow {
    SessionRow { id: id.into(), hash: digest(9), user: user(of), created: 10, used: 10, client: "a browser".into() }
}

async fn ids(private: &Private, of: &str) -> Vec<String> {
    private.sessions(&user(of)).await.unwrap().into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn sessions_come_and_go_and_the_serial_stands() {
    let private = private().await;
    let serial = private.serial().await.unwrap();
    for (id, of) in [("a", "alice"), ("b", "alice"), ("c", "alice"), ("other", "bob")] {
        private.put_session(&session(id, of)).await.unwrap();
    }
    assert_eq!(private.session("a").await.unwrap(), Some(session("a", "alice")));
    assert_eq!(private.session("none").await.unwrap(), None);
    assert_eq!(ids(&private, "alice").await, ["c", "b", "a"]);
    private.touch_sessions(&[("a".into(), 50), ("none".into(), 50)]).await.unwrap();
    private.touch_sessions(&[("a".into(), 40)]).await.unwrap();
    assert_eq!(private.session("a").await.unwrap().unwrap().used, 50);
    assert!(!private.remove_session(&user("bob"), "a").await.unwrap(), "another user's session");
    assert!(private.remove_session(&user("alice"), "a").await.unwrap());
    assert!(!private.remove_session(&user("alice"), "a").await.unwrap());
    assert_eq!(private.remove_sessions_of(&user("alice"), Some("b")).await.unwrap(), 1);
    assert_eq!(
        (ids(&private, "alice").await, ids(&private, "bob").await),
        (vec!["b".to_owned()], vec!["other".into()])
    );
    assert_eq!(private.remove_sessions_of(&user("alice"), None).await.unwrap(), 1);
    assert_eq!(private.serial().await.unwrap(), serial);
}

#[tokio::test]
async fn a_session_ends_by_its_age_and_by_its_rest() {
    let private = private().await;
    for (id, created, used) in [("old", 10, 90), ("idle", 80, 80), ("good", 81, 81)] {
        private.put_session(&SessionRow { created, used, ..session(id, "alice") }).await.unwrap();
    }
    assert_eq!(private.remove_old_sessions(10, 80).await.unwrap(), 2);
    assert_eq!(ids(&private, "alice").await, ["good"]);
}

#[tokio::test]
async fn the_oldest_sessions_give_way() {
    let private = private().await;
    private.put_session(&session("bobs", "bob")).await.unwrap();
    for n in 0..SESSIONS_PER_USER_MAX + 2 {
        private.put_session(&session(&n.to_string(), "alice")).await.unwrap();
    }
    let left = ids(&private, "alice").await;
    assert_eq!((left.len() as u32, left.last().map(String::as_str)), (SESSIONS_PER_USER_MAX, Some("2")));
    assert_eq!(ids(&private, "bob").await, ["bobs"]);
}

#[tokio::test]
async fn sessions_go_with_their_user() {
    let private = private().await;
    private.put_session(&session("a", "alice")).await.unwrap();
    private.put_session(&session("b", "bob")).await.unwrap();
    private.remove_user(&user("bob")).await.unwrap().unwrap();
    assert_eq!((private.session("a").await.unwrap().is_some(), private.session("b").await.unwrap()), (true, None));
    assert!(private.put_session(&session("c", "bob")).await.is_err(), "nobody is there any more");
}

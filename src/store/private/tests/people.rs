use super::*;

pub(super) fn token(id: &str, of: &str, login: bool) -> TokenRow {
    TokenRow {
        id: id.into(),
        hash: digest(9),
        user: user(of),
        login,
        name: "ci".into(),
        index: None,
        read: true,
        upload: false,
        created: 10,
        expires: Some(100),
        used: None,
    }
}

#[tokio::test]
async fn a_change_of_a_user_leaves_what_it_owns() {
    let private = private().await;
    stored(&private, &file("alice/dev", "demo-1.0.tar.gz", 1)).await;
    private.put_token(&token("t", "alice", false)).await.unwrap();
    let changed = UserRow { password: None, modified: Some(8), ..user_row("alice") };
    private.put_user(&changed).await.unwrap();
    let settings = object(json!({ "volatile": false }));
    let other = IndexRow { settings, ..index_row("alice/dev") };
    private.put_index(&other).await.unwrap();
    assert_eq!(private.user(&user("alice")).await.unwrap(), Some(changed));
    assert_eq!(private.index(&index("alice/dev")).await.unwrap(), Some(other));
    assert!(private.token("t").await.unwrap().is_some());
    assert_eq!(private.files(&index("alice/dev"), &demo()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_who_make_the_same_the_second_is_told() {
    let private = private().await;
    let serial = private.serial().await.unwrap();
    assert_eq!(private.add_user(&user_row("carol")).await.unwrap(), Some(serial + 1));
    assert_eq!(private.add_user(&UserRow { password: None, ..user_row("carol") }).await.unwrap(), None);
    assert_eq!(private.user(&user("carol")).await.unwrap(), Some(user_row("carol")));
    assert_eq!(private.add_index(&index_row("carol/dev")).await.unwrap(), Some(serial + 2));
    assert_eq!(private.add_index(&index_row("carol/dev")).await.unwrap(), None);
    assert_eq!(private.serial().await.unwrap(), serial + 2);
}

#[tokio::test]
async fn nothing_is_written_into_what_was_removed_meanwhile() {
    let private = private().await;
    private.remove_index(&index("alice/dev")).await.unwrap().unwrap();
    let upload = file("alice/dev", "demo-1.0.tar.gz", 1);
    let error = private.publish(&upload).await.err().unwrap().to_string();
    assert!(error.contains("alice/dev is not there any more"), "{error}");
    assert!(private.put_release(&upload.release).await.is_err());
    private.remove_user(&user("bob")).await.unwrap().unwrap();
    assert!(private.put_index(&index_row("bob/dev")).await.is_err());
    assert!(private.put_token(&token("t", "bob", true)).await.is_err());
    private.put_index(&index_row("alice/dev")).await.unwrap();
    assert_eq!(private.projects(&index("alice/dev")).await.unwrap(), []);
}

#[tokio::test]
async fn tokens_come_and_go_and_the_serial_stands() {
    let private = private().await;
    let serial = private.serial().await.unwrap();
    let narrow = TokenRow { index: Some(index("bob/dev")), expires: None, ..token("narrow", "alice", false) };
    private.put_token(&narrow).await.unwrap();
    private.put_token(&token("login", "alice", true)).await.unwrap();
    private.put_token(&token("other", "bob", true)).await.unwrap();
    assert_eq!(private.token("narrow").await.unwrap(), Some(narrow.clone()));
    assert_eq!(private.token("none").await.unwrap(), None);
    assert_eq!(private.tokens(Some(&user("alice"))).await.unwrap(), [narrow, token("login", "alice", true)]);
    assert_eq!(private.tokens(None).await.unwrap().len(), 3);
    private.touch_tokens(&[("login".into(), 50), ("none".into(), 50)]).await.unwrap();
    private.touch_tokens(&[("login".into(), 40)]).await.unwrap();
    assert_eq!(private.token("login").await.unwrap().unwrap().used, Some(50));
    assert_eq!(private.remove_expired_tokens(99).await.unwrap(), 0);
    assert_eq!(private.remove_tokens_of(&user("alice"), true).await.unwrap(), 1);
    assert_eq!(private.remove_expired_tokens(100).await.unwrap(), 1);
    assert!(private.remove_token("narrow").await.unwrap());
    assert!(!private.remove_token("narrow").await.unwrap());
    private.put_token(&token("a", "alice", true)).await.unwrap();
    private.put_token(&token("b", "alice", false)).await.unwrap();
    assert_eq!(private.remove_tokens_of(&user("alice"), false).await.unwrap(), 2);
    assert_eq!(private.serial().await.unwrap(), serial);
}

#[tokio::test]
async fn the_oldest_logins_give_way_and_named_tokens_do_not() {
    let private = private().await;
    private.put_token(&token("named", "alice", false)).await.unwrap();
    private.put_token(&token("bobs", "bob", true)).await.unwrap();
    for n in 0..LOGINS_PER_USER_MAX + 2 {
        private.put_token(&token(&n.to_string(), "alice", true)).await.unwrap();
    }
    let left: Vec<_> = private.tokens(Some(&user("alice"))).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(left.len() as u32, LOGINS_PER_USER_MAX + 1);
    assert_eq!(left[..2], ["named", "2"]);
    assert!(private.token("bobs").await.unwrap().is_some());
}

#[tokio::test]
async fn tokens_by_name_are_bounded_and_those_that_ran_out_do_not_count() {
    let private = private().await;
    private.put_token(&token("login", "alice", true)).await.unwrap();
    private.put_token(&TokenRow { expires: Some(9), ..token("over", "alice", false) }).await.unwrap();
    private.put_token(&token("bobs", "bob", false)).await.unwrap();
    for n in 0..TOKENS_PER_USER_MAX {
        let expires = (n % 2 == 0).then_some(100);
        assert!(
            private.add_token(&TokenRow { expires, ..token(&n.to_string(), "alice", false) }).await.unwrap(),
            "{n}"
        );
    }
    assert!(!private.add_token(&token("one more", "alice", false)).await.unwrap());
    assert!(private.token("one more").await.unwrap().is_none());
    assert!(private.add_token(&token("another's", "bob", false)).await.unwrap());
    assert!(private.remove_token("3").await.unwrap());
    assert!(private.add_token(&token("one more", "alice", false)).await.unwrap());
}

#[tokio::test]
async fn tokens_go_with_their_user_and_with_their_index() {
    let private = private().await;
    for (id, on) in [("on-dev", "bob/dev"), ("on-prod", "alice/prod")] {
        private.put_token(&TokenRow { index: Some(index(on)), ..token(id, "alice", false) }).await.unwrap();
    }
    private.put_token(&token("bobs", "bob", false)).await.unwrap();
    private.remove_index(&index("alice/prod")).await.unwrap().unwrap();
    private.remove_user(&user("bob")).await.unwrap().unwrap();
    assert_eq!(private.tokens(None).await.unwrap(), []);
}

use super::{PAGE, config, demo, page, room, room_with, scripted, site};
use crate::support::upstream::{Misbehaviour as M, Upstream as Scripted};
use sidewheel::upstream::{Credentials, FetchError, Origin, PageFetch, Refusal};
use url::Url;

#[tokio::test]
async fn redirects_within_listed_origins_are_followed_and_the_last_url_told() {
    let (scripted, other) = (scripted().await, scripted().await);
    let mut both = site(&scripted);
    both.file_origins = vec![Origin::parse(&other.origin()).unwrap()];
    let room = room_with(both, config());
    for (hop, end) in [
        ("/simple/other/".to_owned(), scripted.url("/simple/other/")),
        ("../other/#part".to_owned(), scripted.url("/simple/other/")),
        (other.url(PAGE), other.url(PAGE)),
    ] {
        scripted.project("other");
        scripted.misbehave("demo", M::Redirect(hop));
        let Ok(PageFetch::Page { url, .. }) = page(&room).await else { panic!("no page") };
        assert_eq!(url.as_str(), end);
    }
    let seen = scripted.requests().pop().unwrap();
    assert_eq!((seen.header("referer"), seen.header("cookie")), (None, None));
}

#[tokio::test]
async fn three_redirects_are_followed_and_no_fourth() {
    let scripted = scripted().await;
    let room = room(&scripted);
    scripted.misbehave_times("demo", 3, M::Redirect(PAGE.into()));
    assert!(matches!(page(&room).await, Ok(PageFetch::Page { .. })));
    scripted.forget_requests();
    scripted.misbehave_always("demo", M::Redirect(PAGE.into()));
    assert!(matches!(page(&room).await, Err(FetchError::BadAnswer { .. })));
    assert_eq!(scripted.count(PAGE), 4);
    scripted.misbehave("demo", M::Status(302));
    assert!(matches!(page(&room).await, Err(FetchError::BadAnswer { .. })), "a redirect to nowhere");
}

#[tokio::test]
async fn nothing_leads_to_an_address_that_is_not_listed() {
    let (scripted, canary) = (scripted().await, Scripted::start().await);
    let mut with_files = site(&scripted);
    // Listed by scheme, host and port: neither the name nor the scheme beside it.
    with_files.file_origins = vec![Origin::parse(&format!("https://files.example:{}", canary.port())).unwrap()];
    let room = room_with(with_files, config());
    let port = canary.port();
    for (host, why) in [
        (format!("http://127.0.0.1:{port}/x?token=1"), Refusal::PlainHttp),
        (format!("http://localhost:{port}/x"), Refusal::PlainHttp),
        (format!("http://files.example:{port}/x"), Refusal::PlainHttp),
        (format!("https://127.0.0.1:{port}/x"), Refusal::NotPublic),
        (format!("https://localhost:{port}/x"), Refusal::NotPublic),
        (format!("https://0x7f000001:{port}/x"), Refusal::NotPublic),
        (format!("https://2130706433:{port}/x"), Refusal::NotPublic),
        (format!("https://127.1:{port}/x"), Refusal::NotPublic),
        (format!("https://0:{port}/x"), Refusal::NotPublic),
        (format!("https://[::1]:{port}/x"), Refusal::NotPublic),
        (format!("https://[::ffff:127.0.0.1]:{port}/x"), Refusal::NotPublic),
        (format!("https://[64:ff9b::7f00:1]:{port}/x"), Refusal::NotPublic),
        (format!("https://ada:pw@127.0.0.1:{port}/x"), Refusal::Userinfo),
        ("file:///etc/passwd".to_owned(), Refusal::Scheme),
        ("gopher://127.0.0.1/x".to_owned(), Refusal::Scheme),
    ] {
        let url = Url::parse(&host).unwrap();
        let straight = room.file(&url, None, None, false).await.unwrap_err();
        scripted.misbehave("demo", M::Redirect(host.clone()));
        let by_page = page(&room).await.unwrap_err();
        let file = "/files/demo-1.0.tar.gz";
        scripted.misbehave(file, M::Redirect(host.clone()));
        let listed = Url::parse(&scripted.url(file)).unwrap();
        let by_file = room.file(&listed, None, None, false).await.unwrap_err();
        let by_url = room.url_page(&url, "*/*", None, 10).await.unwrap_err();
        for refused in [straight, by_page, by_file, by_url] {
            assert!(matches!(&refused, FetchError::Refused { why: said, .. } if *said == why), "{host}: {refused:?}");
            assert!(!refused.to_string().contains("token") && !refused.to_string().contains("pw"), "{refused}");
            assert!(!refused.retryable() && refused.class() == "refused");
        }
    }
    canary.assert_untouched().await;
}

#[tokio::test]
async fn a_base_without_an_address_is_refused_not_asked() {
    let scripted = scripted().await;
    for base in ["file:///srv/simple/", "data:text/html,x"] {
        let mut odd = site(&scripted);
        odd.base = Url::parse(base).unwrap();
        let refused = page(&room_with(odd, config())).await;
        assert!(matches!(refused, Err(FetchError::Refused { why: Refusal::Scheme, .. })), "{base}: {refused:?}");
    }
}

#[tokio::test]
async fn credentials_go_to_the_bases_origin_only() {
    // base64 of ada:pass:word
    const BASIC: &str = "Basic YWRhOnBhc3M6d29yZA==";
    let (scripted, other) = (scripted().await, scripted().await);
    scripted.require(BASIC);
    let mut private = site(&scripted);
    private.file_origins = vec![Origin::parse(&other.origin()).unwrap()];
    private.credentials = Some(Credentials::new("ada", "pass:word"));
    let room = room_with(private, config());
    let file = |at: &Scripted| Url::parse(&at.url("/files/demo-1.0.tar.gz")).unwrap();

    assert!(matches!(page(&room).await, Ok(PageFetch::Page { .. })));
    assert!(room.file(&file(&scripted), None, None, false).await.is_ok());
    assert!(room.list(None).await.is_ok());
    assert!(room.file(&file(&other), None, None, false).await.is_ok());
    scripted.misbehave("demo", M::Redirect(other.url(PAGE)));
    assert!(matches!(room.page(&demo(), None, false).await, Ok(PageFetch::Page { .. })));
    // There and back again: each hop is judged by itself.
    other.misbehave("/files/demo-1.0.tar.gz", M::Redirect(file(&scripted).into()));
    assert!(room.file(&file(&other), None, None, false).await.is_ok());

    assert_eq!(scripted.requests().len(), 5);
    assert!(scripted.requests().iter().all(|seen| seen.header("authorization") == Some(BASIC)));
    assert_eq!(other.requests().len(), 3);
    for seen in other.requests() {
        assert!(!format!("{seen:?}").contains("YWRh"), "{seen:?}");
    }
}

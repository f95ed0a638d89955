use super::{PAGE, body, config, demo, page, room, room_with, scripted, site};
use crate::support::upstream::Misbehaviour as M;
use bytes::Bytes;
use sidewheel::upstream::{ClientsConfig, FetchError, PageFetch, PageKind, UrlFetch, Validators};
use std::time::Duration;
use url::Url;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_page_is_asked_for_and_taken_as_it_is() {
    let scripted = scripted().await;
    scripted.set_cache_control(Some("max-age=600, public"));
    let room = room(&scripted);
    let fetched = tokio::spawn({
        let room = room.clone();
        async move { room.page(&demo(), None, true).await }
    });
    let Ok(PageFetch::Page { url, content, body, validators, max_age, last_serial_header }) = fetched.await.unwrap()
    else {
        panic!("no page");
    };
    assert_eq!(url.as_str(), scripted.url(PAGE));
    assert_eq!(content, PageKind::Json);
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["files"][0]["filename"], "demo-1.0.tar.gz");
    assert!(validators.etag.is_some() && validators.last_modified.is_none());
    assert_eq!(max_age, Some(600));
    assert_eq!(last_serial_header, json["meta"]["_last-serial"].as_u64());

    let seen = &scripted.requests()[0];
    assert_eq!(
        seen.header("accept"),
        Some("application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01")
    );
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
    assert_eq!(seen.header("user-agent"), Some(concat!("sidewheel/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("cache-control"), Some("no-cache"));
    for absent in ["authorization", "cookie", "referer", "if-none-match", "range"] {
        assert_eq!(seen.header(absent), None, "{absent}");
    }
    super::body(&room).await;
    assert_eq!(scripted.requests()[1].header("cache-control"), None);
}

#[tokio::test]
async fn html_is_known_by_its_type() {
    let scripted = scripted().await;
    scripted.project("demo").html_only();
    let room = room(&scripted);
    let Ok(PageFetch::Page { content: PageKind::Html, body, .. }) = page(&room).await else { panic!("no HTML") };
    assert!(body.starts_with(b"<!DOCTYPE html>"));
    for odd in ["application/json", "application/octet-stream", "text/plain", ""] {
        scripted.misbehave("demo", M::ContentType(odd));
        assert!(matches!(page(&room).await, Err(FetchError::BadAnswer { .. })), "{odd:?}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let Ok(PageFetch::Page { validators, .. }) = page(&room).await else { panic!("no page") };
    scripted.set_cache_control(Some("max-age=60"));
    let again = room.page(&demo(), Some(&validators), false).await;
    assert!(matches!(again, Ok(PageFetch::NotModified { max_age: Some(60) })), "{again:?}");
    scripted.project("demo").wheel("demo-2.0.tar.gz", &b"newer"[..]);
    assert!(matches!(room.page(&demo(), Some(&validators), false).await, Ok(PageFetch::Page { .. })));
    for nothing in [None, Some(&Validators::default())] {
        scripted.misbehave("demo", M::Bogus304);
        let unasked = room.page(&demo(), nothing, false).await;
        assert!(matches!(unasked, Err(FetchError::BadAnswer { .. })), "{unasked:?}");
    }
}

#[tokio::test]
async fn statuses_are_missing_or_errors_and_never_pages() {
    let scripted = scripted().await;
    let room = room(&scripted);
    for status in [404, 410] {
        scripted.misbehave("demo", M::Status(status));
        assert!(matches!(page(&room).await, Ok(PageFetch::Missing)), "{status}");
    }
    for (status, retryable, class) in
        [(401, false, "status_4xx"), (403, false, "status_4xx"), (429, true, "status_4xx"), (500, true, "status_5xx")]
    {
        scripted.forget_requests();
        scripted.misbehave("demo", M::Status(status));
        let error = page(&room).await.unwrap_err();
        assert_eq!(error, FetchError::Status { host: "127.0.0.1".into(), status });
        assert_eq!((error.retryable(), error.class()), (retryable, class));
        assert_eq!(scripted.count(PAGE), 1, "{status} is not asked again");
    }
    for status in [201, 204, 206] {
        scripted.misbehave("demo", M::Status(status));
        assert!(matches!(page(&room).await, Err(FetchError::BadAnswer { .. })), "{status}");
    }
}

#[tokio::test]
async fn a_passing_fault_before_the_body_is_asked_again_twice() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let faults = [
        M::Status(502),
        M::Status(503),
        M::Status(504),
        M::StatusWith(429, "Retry-After", "0".into()),
        M::StatusWith(503, "Retry-After", "0".into()),
        M::Reset,
    ];
    for fault in faults {
        scripted.forget_requests();
        scripted.misbehave_times("demo", 2, fault.clone());
        assert!(!body(&room).await.is_empty());
        assert_eq!(scripted.count(PAGE), 3, "{fault:?}");

        scripted.forget_requests();
        scripted.misbehave_times("demo", 3, fault.clone());
        let error = page(&room).await.unwrap_err();
        assert!(error.retryable(), "{error:?}");
        assert_eq!(scripted.count(PAGE), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_long_pause_is_not_asked_again() {
    let scripted = scripted().await;
    let room = room(&scripted);
    for (status, pause) in [(429, "3"), (503, "60"), (503, "Tue, 01 Jan 2030 00:00:00 GMT")] {
        scripted.forget_requests();
        scripted.misbehave("demo", M::StatusWith(status, "Retry-After", pause.into()));
        assert!(matches!(page(&room).await, Err(FetchError::Status { .. })));
        assert_eq!(scripted.count(PAGE), 1, "{status} {pause}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_asked_again() {
    let scripted = scripted().await;
    let room = room(&scripted);
    for fault in [M::Truncate(0), M::Truncate(20), M::ResetAfter(20), M::TruncatedChunks, M::BadChunk, M::TruncatedGzip]
    {
        scripted.forget_requests();
        scripted.misbehave("demo", fault.clone());
        let error = page(&room).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken { .. }) && error.retryable(), "{fault:?}: {error:?}");
        assert_eq!(scripted.count(PAGE), 1, "{fault:?}");
    }
    assert!(!body(&room).await.is_empty(), "and then all is well");
}

#[tokio::test]
async fn framing_that_can_be_read_in_two_ways_is_refused() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let good = body(&room).await;
    let faults = [
        M::DuplicateContentLength,
        M::ConflictingContentLength,
        M::ClAndTe,
        M::CloseDelimited,
        M::OddTransferEncoding("identity"),
        M::OddTransferEncoding("gzip"),
        M::OddTransferEncoding("gzip, chunked"),
        M::Garbage,
        M::Http09,
    ];
    for fault in faults {
        scripted.forget_requests();
        scripted.misbehave("demo", fault.clone());
        let error = page(&room).await.unwrap_err();
        assert!(matches!(error, FetchError::BadAnswer { .. }) && !error.retryable(), "{fault:?}: {error:?}");
        assert_eq!(body(&room).await, good);
        let connections: Vec<_> = scripted.requests().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections.len(), 2, "{fault:?}");
        // Such an answer, when it has come as a whole, leaves its connection open: where it ends is agreed on after all.
        if !matches!(fault, M::DuplicateContentLength | M::ClAndTe) {
            assert_ne!(connections[0], connections[1], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn surplus_bytes_never_reach_another_answer() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let good = body(&room).await;
    for _ in 0..5 {
        scripted.misbehave("demo", M::Longer);
        assert_eq!(body(&room).await, good);
        assert_eq!(body(&room).await, good);
    }
    scripted.misbehave("demo", M::ShortContentLength);
    assert_eq!(body(&room).await, good.slice(..good.len() - 10), "what was stated, for the parser to refuse");
    assert_eq!(body(&room).await, good);
}

#[tokio::test]
async fn chunks_and_gzip_are_undone() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let good = body(&room).await;
    for how in [M::Chunked, M::ContentEncodingGzip] {
        scripted.misbehave("demo", how.clone());
        assert_eq!(body(&room).await, good, "{how:?}");
    }
    scripted.misbehave("demo", M::ContentEncodingUnknown);
    assert!(matches!(page(&room).await, Err(FetchError::BadAnswer { .. })));
}

#[tokio::test]
async fn large_gzip_comes_through_whole() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let large: Bytes = (0..200_000).map(|line| format!("line {line}\n")).collect::<String>().into();
    scripted.put("/large", "text/plain", large.clone());
    scripted.misbehave("/large", M::ContentEncodingGzip);
    let url = Url::parse(&scripted.url("/large")).unwrap();
    let Ok(UrlFetch::Page { body, .. }) = room.url_page(&url, "*/*", None, large.len()).await else {
        panic!("not fetched");
    };
    assert_eq!(body.bytes(), &large);
    scripted.misbehave("/large", M::ContentEncodingGzip);
    let over = room.url_page(&url, "*/*", None, large.len() - 1).await;
    assert_eq!(over.unwrap_err(), FetchError::TooLarge { host: "127.0.0.1".into(), limit: large.len() - 1 });
}

#[tokio::test]
async fn bombs_stop_at_the_limit() {
    let scripted = scripted().await;
    let room = room(&scripted);
    for bomb in [M::GzipBomb, M::HugeJson(64 * 1024 * 1024 + 1)] {
        scripted.misbehave("demo", bomb.clone());
        let error = page(&room).await.unwrap_err();
        assert_eq!(error, FetchError::TooLarge { host: "127.0.0.1".into(), limit: 64 * 1024 * 1024 });
        assert!(!error.retryable());
    }
}

#[tokio::test]
async fn the_deadline_holds_for_silence_drips_and_retries_alike() {
    let scripted = scripted().await;
    let mut impatient = site(&scripted);
    impatient.page_timeout = SHORT;
    let room = room_with(impatient, config());
    let drip = M::Slow { bytes: 1, every: Duration::from_millis(20) };
    for fault in [M::Hang, M::HangAfter(5), drip, M::StatusWith(503, "Retry-After", "1".into())] {
        scripted.misbehave("demo", fault.clone());
        let error = page(&room).await.unwrap_err();
        assert_eq!(error, FetchError::Timeout { host: "127.0.0.1".into() }, "{fault:?}");
        assert!(error.retryable());
    }
}

#[tokio::test]
async fn silence_ends_a_page_before_its_deadline() {
    let scripted = scripted().await;
    let room = room_with(site(&scripted), ClientsConfig { read_timeout: SHORT, ..config() });
    for fault in [M::Hang, M::HangAfter(5)] {
        scripted.forget_requests();
        scripted.misbehave("demo", fault.clone());
        let error = page(&room).await.unwrap_err();
        assert_eq!(error, FetchError::Timeout { host: "127.0.0.1".into() }, "{fault:?}");
        assert_eq!(scripted.count(PAGE), 1);
    }
}

#[tokio::test]
async fn an_outage_is_unreachable_and_heals_at_once() {
    let scripted = scripted().await;
    let room = room(&scripted);
    body(&room).await;
    scripted.set_down(true);
    let error = page(&room).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }) && error.retryable(), "{error:?}");
    scripted.set_down(false);
    body(&room).await;
    for _ in 0..5 {
        scripted.kill_connections();
        body(&room).await;
    }
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_are_unreachable() {
    let scripted = scripted().await;
    let site = site(&scripted);
    let gone = room_with(site.clone(), config());
    drop(scripted);
    let mut nowhere = site;
    nowhere.base = Url::parse("http://no-such-host.invalid/simple/").unwrap();
    for room in [gone, room_with(nowhere, config())] {
        let error = page(&room).await.unwrap_err();
        assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
        assert_eq!(error.class(), "unreachable");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_no_secure_connection() {
    let scripted = scripted().await;
    let mut secure = site(&scripted);
    secure.base = Url::parse(&scripted.base().replace("http:", "https:")).unwrap();
    let error = page(&room_with(secure, config())).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }) && !error.retryable(), "{error:?}");
}

#[tokio::test]
async fn no_header_of_upstreams_gets_through_or_comes_back() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let clean = format!("{:?}", page(&room).await.unwrap());
    scripted.misbehave("demo", M::HeaderPoison);
    assert_eq!(format!("{:?}", page(&room).await.unwrap()), clean);
    body(&room).await;
    let last = scripted.requests().pop().unwrap();
    assert_eq!((last.header("cookie"), last.header("referer")), (None, None));
}

#[tokio::test]
async fn the_flood_is_bounded_and_turns_come_back() {
    let scripted = scripted().await;
    let room = room_with(site(&scripted), ClientsConfig { requests_max: 1, queue_max: 1, ..config() });
    let gate = scripted.hold("demo");
    let first = tokio::spawn({
        let room = room.clone();
        async move { page(&room).await }
    });
    gate.reached(1).await;
    let mut second = Box::pin(page(&room));
    assert!(futures_util::poll!(&mut second).is_pending());
    let error = page(&room).await.unwrap_err();
    assert_eq!((error.clone(), error.retryable(), error.class()), (FetchError::Busy, true, "busy"));
    assert_eq!(scripted.count(PAGE), 1, "those in line do not ask yet");
    first.abort();
    assert!(first.await.is_err());
    gate.release();
    assert!(second.await.is_ok(), "an asker that left gave its turn back");
    assert!(page(&room).await.is_ok());
}

#[tokio::test]
async fn files_do_not_hold_up_pages() {
    let scripted = scripted().await;
    let room = room_with(site(&scripted), ClientsConfig { requests_max: 1, queue_max: 0, ..config() });
    let url = Url::parse(&scripted.url("/files/demo-1.0.tar.gz")).unwrap();
    let file = room.file(&url, None, None, false).await.unwrap();
    assert!(page(&room).await.is_ok());
    assert_eq!(room.file(&url, None, None, false).await.unwrap_err(), FetchError::Busy, "the body holds its turn");
    drop(file);
    assert!(room.file(&url, None, None, false).await.is_ok());
}

#[tokio::test]
async fn the_json_api_of_old_is_fetched_under_the_same_rules() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let url = room.legacy_json_url(&demo(), None).unwrap();
    assert!(matches!(room.url_page(&url, "application/json", None, 100).await, Ok(UrlFetch::Missing)));
    scripted.put("/pypi/demo/json", "application/json; charset=UTF-8", &b"{\"info\":{}}"[..]);
    let fetched = room.url_page(&url, "application/json", None, 100).await.unwrap();
    let UrlFetch::Page { content_type, body, validators, .. } = fetched else { panic!("not fetched") };
    assert_eq!((content_type.as_str(), &body[..]), ("application/json", &b"{\"info\":{}}"[..]));
    assert_eq!(scripted.requests()[1].header("accept"), Some("application/json"));
    let again = room.url_page(&url, "application/json", Some(&validators), 100).await;
    assert!(matches!(again, Ok(UrlFetch::NotModified { .. })));
    let large = room.url_page(&url, "application/json", None, 10).await;
    assert!(matches!(large, Err(FetchError::TooLarge { limit: 10, .. })), "{large:?}");
}

#[tokio::test]
async fn large_pages_take_turns_and_all_arrive() {
    let up = scripted().await;
    let names: Vec<_> = (0..6).map(|n| format!("large-{n}")).collect();
    for name in &names {
        up.put(&format!("/simple/{name}/"), "application/vnd.pypi.simple.v1+json", vec![b' '; 5_000_000]);
    }
    let mirror = room(&up);
    let asking = names.iter().map(|name| {
        let (mirror, name) = (mirror.clone(), sidewheel::names::ProjectName::parse(name).unwrap());
        async move {
            let Ok(PageFetch::Page { body, .. }) = mirror.page(&name, None, false).await else { panic!("no page") };
            body.len()
        }
    });
    assert_eq!(futures_util::future::join_all(asking).await, [5_000_000; 6]);
}

use super::{LONG, config, room, room_with, scripted, site};
use crate::support::upstream::{Misbehaviour as M, Upstream as Scripted};
use crate::support::{noise, sha256, wheel, wheel_filename};
use sidewheel::upstream::{ByteRange, ClientsConfig, FetchError, FileBody, FileFetch, FileStatus, Upstream};
use std::time::Duration;
use url::Url;

const FILE: &str = "/files/noise-1.0.tar.gz";
const LENGTH: usize = 300_000;

async fn with_file() -> (Scripted, Vec<u8>, Upstream, Url) {
    let scripted = scripted().await;
    let bytes = noise(LENGTH, 7);
    scripted.project("noise").wheel("noise-1.0.tar.gz", bytes.clone());
    let room = room(&scripted);
    let url = Url::parse(&scripted.url(FILE)).unwrap();
    (scripted, bytes, room, url)
}

async fn read(body: &mut FileBody) -> Result<Vec<u8>, FetchError> {
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(error) => {
                assert_eq!(body.next().await, Some(Err(error.clone())), "an error is never followed by an end");
                return Err(error);
            }
        }
    }
    assert_eq!(body.next().await, None);
    Ok(all)
}

#[tokio::test]
async fn a_file_comes_as_it_is() {
    let (scripted, bytes, room, url) = with_file().await;
    let mut file = room.file(&url, None, None, true).await.unwrap();
    assert_eq!((file.status, file.len), (FileStatus::Whole, Some(LENGTH as u64)));
    assert_eq!(file.etag, Some(format!("\"{}\"", sha256(&bytes))));
    let read = tokio::spawn(async move { read(&mut file.body).await }).await.unwrap();
    assert!(read.unwrap() == bytes);
    let seen = &scripted.requests()[0];
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("cache-control"), Some("no-cache"));
    assert_eq!((seen.header("range"), seen.header("if-range")), (None, None));
}

#[tokio::test]
async fn ranges_of_all_forms() {
    let (scripted, bytes, room, url) = with_file().await;
    let etag = format!("\"{}\"", sha256(&bytes));
    let total = LENGTH as u64;
    for (range, start, end) in [
        (ByteRange::From(299_990), 299_990, total - 1),
        (ByteRange::From(0), 0, total - 1),
        (ByteRange::Span { first: 10, last: 19 }, 10, 19),
        (ByteRange::Span { first: 10, last: 999_999 }, 10, total - 1),
        (ByteRange::Last(16), total - 16, total - 1),
        (ByteRange::Last(999_999), 0, total - 1),
    ] {
        let mut part = room.file(&url, Some(range), Some(&etag), false).await.unwrap();
        assert_eq!(part.status, FileStatus::Part { start, end, total }, "{range}");
        assert_eq!(part.len, Some(end - start + 1));
        assert!(read(&mut part.body).await.unwrap() == bytes[start as usize..=end as usize], "{range}");
    }
    assert!(scripted.requests().iter().all(|seen| seen.header("if-range") == Some(etag.as_str())));
    let beyond = room.file(&url, Some(ByteRange::From(total)), None, false).await;
    assert_eq!(beyond.unwrap_err(), FetchError::Status { host: "127.0.0.1".into(), status: 416 });
}

#[tokio::test]
async fn a_whole_answer_to_a_range_says_so() {
    let (scripted, bytes, room, url) = with_file().await;
    let range = Some(ByteRange::From(10));
    scripted.misbehave(FILE, M::NoRange);
    let changed = room.file(&url, range, Some("\"another\""), false);
    for answer in [room.file(&url, range, None, false).await, changed.await] {
        let mut file = answer.unwrap();
        assert_eq!(file.status, FileStatus::Whole);
        assert!(read(&mut file.body).await.unwrap() == bytes);
    }
    for weak in ["W/\"weak\"", "unquoted", "\"a\r\nX: 1\""] {
        assert_eq!(room.file(&url, range, Some(weak), false).await.unwrap().status, FileStatus::Whole);
        let seen = scripted.requests().pop().unwrap();
        assert_eq!((seen.header("range"), seen.header("if-range")), (None, None), "{weak:?}");
    }
}

#[tokio::test]
async fn parts_and_answers_that_were_not_asked_for_are_refused() {
    let (scripted, _, room, url) = with_file().await;
    let span = Some(ByteRange::Span { first: 10, last: 19 });
    let changed = Some("\"another\"");
    for (fault, range, if_range) in [
        (M::Unrequested206, None, None),
        (M::Unrequested206, span, None),
        (M::WrongRange, span, None),
        (M::RangeWithoutContentRange, span, None),
        (M::IgnoreIfRange, span, changed),
        (M::Bogus304, None, None),
        (M::Bogus304, span, None),
        (M::ContentEncodingGzip, None, None),
        (M::ContentEncodingUnknown, None, None),
        (M::DuplicateContentLength, None, None),
        (M::ConflictingContentLength, None, None),
        (M::ClAndTe, None, None),
        (M::ShortContentLength, span, None),
        (M::Status(204), None, None),
        (M::Garbage, None, None),
        (M::Http09, None, None),
    ] {
        scripted.misbehave(FILE, fault.clone());
        let refused = room.file(&url, range, if_range, false).await;
        assert!(matches!(refused, Err(FetchError::BadAnswer { .. })), "{fault:?}: {refused:?}");
        let again = room.file(&url, None, None, false).await;
        assert!(matches!(again, Ok(FileFetch { status: FileStatus::Whole, .. })), "after {fault:?}: {again:?}");
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_never_ends_cleanly() {
    let (scripted, bytes, room, url) = with_file().await;
    let faults = [M::Truncate(0), M::Truncate(LENGTH - 1), M::ResetAfter(100_000), M::TruncatedChunks, M::BadChunk];
    for fault in faults {
        for range in [None, Some(ByteRange::From(1))] {
            scripted.misbehave(FILE, fault.clone());
            // A body of another length than its range has is refused at its head.
            let outcome = match room.file(&url, range, None, false).await {
                Ok(mut file) => read(&mut file.body).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(FetchError::Broken { .. }) => {}
                // One byte less than the file is the whole of the part from byte 1.
                Ok(part) if range.is_some() && matches!(fault, M::Truncate(_)) => assert!(part == bytes[1..]),
                other => panic!("{fault:?}: {:?}", other.map(|bytes| bytes.len())),
            }
        }
    }
}

#[tokio::test]
async fn surplus_bytes_are_cut_and_never_reach_another_answer() {
    let (scripted, bytes, room, url) = with_file().await;
    for fault in [M::Longer, M::ShortContentLength] {
        scripted.misbehave(FILE, fault.clone());
        let mut file = room.file(&url, None, None, false).await.unwrap();
        let stated = file.len.unwrap() as usize;
        assert!(read(&mut file.body).await.unwrap() == bytes[..stated], "{fault:?}");
        let mut next = room.file(&url, None, None, false).await.unwrap();
        assert!(read(&mut next.body).await.unwrap() == bytes, "{fault:?}");
    }
}

#[tokio::test]
async fn chunks_have_no_length_and_wrong_bytes_are_for_the_digest() {
    let (scripted, bytes, room, url) = with_file().await;
    for how in [M::Chunked, M::CloseDelimited] {
        scripted.misbehave(FILE, how.clone());
        let mut file = room.file(&url, None, None, false).await.unwrap();
        assert_eq!(file.len, None, "{how:?}");
        assert!(read(&mut file.body).await.unwrap() == bytes, "{how:?}");
    }
    scripted.misbehave(FILE, M::WrongBytes);
    let mut file = room.file(&url, None, None, false).await.unwrap();
    let wrong = read(&mut file.body).await.unwrap();
    assert!(wrong != bytes && wrong.len() == bytes.len());
}

#[tokio::test]
async fn silence_in_a_body_ends_it_and_patience_with_the_head_is_the_mirrors() {
    let (scripted, bytes, _, url) = with_file().await;
    let short = Duration::from_millis(200);
    let room = room_with(site(&scripted), ClientsConfig { read_timeout: short, ..config() });
    scripted.misbehave(FILE, M::HangAfter(1000));
    let mut file = room.file(&url, None, None, false).await.unwrap();
    assert_eq!(read(&mut file.body).await.unwrap_err(), FetchError::Timeout { host: "127.0.0.1".into() });

    // Slower as a whole than both limits, but never silent for long.
    let mut impatient = site(&scripted);
    impatient.page_timeout = short;
    let room = room_with(impatient, ClientsConfig { read_timeout: LONG, ..config() });
    scripted.misbehave(FILE, M::Slow { bytes: LENGTH / 10, every: Duration::from_millis(50) });
    let mut file = room.file(&url, None, None, false).await.unwrap();
    assert!(read(&mut file.body).await.unwrap() == bytes);
    scripted.misbehave(FILE, M::Hang);
    let late = room.file(&url, None, None, false).await;
    assert_eq!(late.unwrap_err(), FetchError::Timeout { host: "127.0.0.1".into() });
}

#[tokio::test]
async fn missing_is_missing_and_faults_before_the_body_are_asked_again() {
    let (scripted, _, room, url) = with_file().await;
    for status in [404, 410] {
        scripted.misbehave(FILE, M::Status(status));
        let missing = room.file(&url, None, None, false).await.unwrap_err();
        assert_eq!(missing, FetchError::Missing { host: "127.0.0.1".into() });
        assert!(!missing.retryable());
    }
    scripted.forget_requests();
    scripted.misbehave(FILE, M::Status(503));
    scripted.misbehave(FILE, M::Reset);
    assert!(room.file(&url, None, None, false).await.is_ok());
    assert_eq!(scripted.count(FILE), 3);
}

#[tokio::test]
async fn a_body_waits_for_its_reader() {
    let (scripted, bytes, room, url) = with_file().await;
    let gate = scripted.hold_after(FILE, 1000);
    let mut file = room.file(&url, None, None, false).await.unwrap();
    gate.reached(1).await;
    let mut all = Vec::new();
    while all.len() < 1000 {
        all.extend_from_slice(&file.body.next().await.unwrap().unwrap());
    }
    assert!(futures_util::poll!(Box::pin(file.body.next())).is_pending());
    gate.release();
    all.extend(read(&mut file.body).await.unwrap());
    assert!(all == bytes);
}

#[tokio::test]
async fn a_server_that_is_faster_than_we_are_is_read_in_small_pieces() {
    const PIECE_BYTES_MAX: usize = 256 * 1024;
    let scripted = scripted().await;
    let bytes = noise(8 * 1024 * 1024, 9);
    scripted.project("noise").wheel("noise-1.0.tar.gz", bytes.clone());
    let url = Url::parse(&scripted.url(FILE)).unwrap();
    let mut file = room(&scripted).file(&url, None, None, false).await.unwrap();
    let mut all = Vec::new();
    let mut largest = 0;
    while let Some(piece) = file.body.next().await {
        let piece = piece.unwrap();
        largest = largest.max(piece.len());
        all.extend_from_slice(&piece);
    }
    assert!(all == bytes);
    assert!(largest <= PIECE_BYTES_MAX, "{largest} bytes at once");
    assert!(largest > PIECE_BYTES_MAX / 2, "it was never faster: {largest} bytes at once");
}

#[tokio::test]
async fn errors_name_the_host_and_no_query() {
    let (scripted, _, room, mut url) = with_file().await;
    url.set_query(Some("token=s3cret"));
    for fault in
        [M::Status(500), M::Reset, M::Reset, M::Reset, M::Bogus304, M::Garbage, M::Redirect("ftp://s3cret/".into())]
    {
        scripted.misbehave(FILE, fault.clone());
    }
    for _ in 0..5 {
        let error = room.file(&url, None, None, false).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let file = room.file(&url, None, None, false).await.unwrap();
    assert!(!format!("{file:?}").contains("s3cret"), "{file:?}");
}

#[tokio::test]
async fn a_made_wheel_and_its_metadata_are_served() {
    let scripted = Scripted::start().await;
    let name = wheel_filename("Some.Demo", "1.0");
    assert_eq!(name, "some_demo-1.0-py3-none-any.whl");
    let bytes = wheel("Some.Demo", "1.0", 5000, 1);
    assert!(bytes == wheel("Some.Demo", "1.0", 5000, 1) && bytes != wheel("Some.Demo", "1.0", 5000, 2));
    scripted.project("some-demo").wheel(&name, bytes).with_metadata();
    let url = Url::parse(&scripted.url(&format!("/files/{name}.metadata"))).unwrap();
    let mut file = room(&scripted).file(&url, None, None, false).await.unwrap();
    let metadata = String::from_utf8(read(&mut file.body).await.unwrap()).unwrap();
    assert!(metadata.contains("\nName: Some.Demo\nVersion: 1.0\n"), "{metadata}");
}

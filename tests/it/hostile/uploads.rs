//! Bodies that somebody does want: whatever becomes of an upload, its bytes are never a request, and who is cut, slow or
//! one too many leaves nothing behind.

use super::{PATIENCE, PROBE, Raw, eventually, split, until_closed};
use crate::private::{ALICE, Auth, BOB, ROOT, listed, make_index, private_house, private_house_with, upload};
use crate::support::house::{House, Options, basic};
use crate::support::{wheel, wheel_filename};
use futures_util::future::join_all;
use serde_json::json;
use sidewheel::server::{Timeouts, UPLOADS_MAX};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SHORT: Duration = Duration::from_millis(300);

/// A request that must not be seen: upstream would hear of it.
const HIDDEN: &str = "GET /simple/canary/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

const FORM: &str = "multipart/form-data; boundary=x";

/// A form of the boundary `x` with these fields and this file.
fn form(fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(part(name, "", value.as_bytes()).as_slice());
    }
    if let Some((filename, bytes)) = file {
        body.extend_from_slice(part("content", &format!("; filename=\"{filename}\""), bytes).as_slice());
    }
    body.extend_from_slice(b"--x--\r\n");
    body
}

fn part(name: &str, more: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
    [head.as_bytes(), value, b"\r\n"].concat()
}

fn release(bytes: &[u8], version: &str) -> Vec<u8> {
    let fields = [(":action", "file_upload"), ("name", "demo"), ("version", version), ("summary", HIDDEN)];
    form(&fields, Some((&wheel_filename("demo", version), bytes)))
}

fn head(method: &str, path: &str, auth: Auth<'_>, content_type: &str, lines: &str) -> String {
    let auth = auth.map(|auth| format!("Authorization: Basic {}\r\n", basic(auth))).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n{auth}{lines}\r\n")
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut chunks = Vec::new();
    for piece in body.chunks(700) {
        chunks.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunks.extend_from_slice(piece);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    chunks
}

/// Sends and reads until the server closes; a word to go on is passed over. Some answers come before all is sent.
async fn told(house: &House, bytes: &[u8]) -> Vec<Raw> {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let got = until_closed(&mut stream).await;
    split(got.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&got), &[])
}

#[tokio::test]
async fn a_body_of_an_upload_is_never_taken_for_a_request() {
    let house = private_house_with(Options { upload_bytes_max: 100_000, ..Options::default() }).await;
    make_index(&house, "alice/prod", json!({ "volatile": false, "bases": [] })).await;
    let (one, other) = (wheel("demo", "1.0", 1000, 1), wheel("demo", "1.0", 1000, 2));
    assert_eq!(upload(&house, "alice/prod", ALICE, "demo", "1.0", &one).await.status, 200);
    let (good, conflict) = (release(&one, "1.0"), release(&other, "1.0"));
    let large = release(HIDDEN.repeat(5_000).as_bytes(), "1.0");
    let dance = form(&[(":action", "dance"), ("name", HIDDEN)], None);
    let no_zip = release(HIDDEN.as_bytes(), "1.0");
    let after = [form(&[(":action", "dance")], None), HIDDEN.as_bytes().to_vec()].concat();
    let good_after = [release(&one, "1.0"), HIDDEN.as_bytes().to_vec()].concat();
    let hidden = HIDDEN.as_bytes().to_vec();
    let long = HIDDEN.repeat(3_000).into_bytes();
    let json = json!({ "description": HIDDEN }).to_string().into_bytes();
    let no_json = [b"{".to_vec(), hidden.clone()].concat();
    let api = "application/json";
    let cases = [
        ("POST", "/alice/dev/", None, FORM, &good, 401),
        ("POST", "/alice/dev/", None, FORM, &large, 401),
        ("POST", "/alice/dev/", BOB, FORM, &good, 403),
        ("POST", "/no/where/", ALICE, FORM, &good, 404),
        ("POST", "/no/where/", ALICE, FORM, &large, 404),
        ("POST", "/alice/prod/", ALICE, FORM, &conflict, 409),
        ("POST", "/alice/dev/", ALICE, FORM, &large, 413),
        ("POST", "/alice/dev/", ALICE, FORM, &dance, 400),
        ("POST", "/alice/dev/", ALICE, FORM, &after, 400),
        ("POST", "/alice/dev/", ALICE, FORM, &no_zip, 400),
        ("POST", "/alice/dev/", ALICE, FORM, &hidden, 400),
        ("POST", "/alice/dev/", ALICE, "multipart/form-data", &good, 400),
        ("POST", "/alice/dev/", ALICE, "application/x-www-form-urlencoded", &hidden, 400),
        ("POST", "/alice/dev/", ALICE, FORM, &good, 200),
        ("POST", "/alice/dev/", ALICE, FORM, &good_after, 200),
        ("POST", "/alice/dev/", ALICE, api, &no_json, 400),
        ("POST", "/alice/dev/+simple/", ALICE, FORM, &good, 405),
        ("POST", "/+login", None, api, &hidden, 400),
        ("POST", "/+login", None, api, &long, 400),
        ("PATCH", "/alice", ALICE, api, &json, 200),
        ("PATCH", "/alice", BOB, api, &json, 403),
        ("PATCH", "/alice", None, api, &no_json, 400),
        ("PUT", "/carol", None, api, &json, 401),
        ("PUT", "/alice/more/demo/1.0/x", ALICE, api, &hidden, 404),
        ("PATCH", "/alice/dev", ALICE, api, &no_json, 400),
        ("PATCH", "/alice/dev/demo/1.0", ALICE, api, &hidden, 400),
        ("DELETE", "/alice/none", ALICE, api, &hidden, 404),
        ("GET", "/alice/dev", None, api, &json, 200),
    ];
    for (method, path, auth, content_type, body, status) in cases {
        let length = format!("Content-Length: {}\r\n", body.len());
        let chunks = chunked(body);
        let chunked = "Transfer-Encoding: chunked\r\n".to_owned();
        let expects = "Expect: 100-continue\r\n";
        for (framing, body) in [
            (length.clone(), &**body),
            (chunked.clone(), &*chunks),
            (format!("{length}{expects}"), body),
            (format!("{chunked}{expects}"), &chunks),
        ] {
            let head = head(method, path, auth, content_type, &framing);
            let answers = told(&house, &[head.as_bytes(), body, PROBE.as_bytes()].concat()).await;
            let what = format!("{method} {path} {auth:?} {content_type} {framing:?} {} bytes", body.len());
            let first = answers.first().unwrap_or_else(|| panic!("{what}: no answer"));
            // Long JSON is refused for what it is or for its length.
            let right = first.status == status || first.status == 413 && body.len() > 100_000;
            assert!(right, "{what}: {} {}", first.head, first.text());
            match &answers[1..] {
                [] => assert!(first.closes(), "{what}: ends without a word"),
                [next] => assert!(!first.closes() && next.text() == "ok\n", "{what}: {next:?}"),
                more => panic!("{what}: {more:?}"),
            }
        }
        // Bytes that are no chunks, and a body that ends before it should.
        for (framing, body) in [(chunked.as_str(), &**body), ("Content-Length: 90000000\r\n", body)] {
            let head = head(method, path, auth, content_type, framing);
            let mut stream = TcpStream::connect(house.address).await.unwrap();
            let _ = stream.write_all(&[head.as_bytes(), body, PROBE.as_bytes()].concat()).await;
            let _ = stream.shutdown().await;
            let answers = split(&until_closed(&mut stream).await, &[]);
            assert!(answers.len() <= 1, "{method} {path} {framing}: {answers:?}");
            assert!(answers.iter().all(Raw::closes), "{method} {path} {framing}: {answers:?}");
        }
    }
    house.upstream.assert_untouched().await;
    house.end().await;
}

#[tokio::test]
async fn a_cut_upload_leaves_no_file_and_no_row() {
    let house = private_house().await;
    let before = house.metrics.connections();
    let body = release(&wheel("demo", "1.0", 1_500_000, 1), "1.0");
    let end = body.len();
    for cut in [0, 1, 50, 300, 1000, 600_000, 1_200_000, end - 900, end - 8, end - 7, end - 4, end - 1] {
        for abrupt in [false, true] {
            let head = head("POST", "/alice/dev/", ALICE, FORM, &format!("Content-Length: {end}\r\n"));
            let mut stream = TcpStream::connect(house.address).await.unwrap();
            stream.write_all(&[head.as_bytes(), &body[..cut]].concat()).await.unwrap();
            if abrupt {
                stream.set_zero_linger().unwrap();
            }
        }
    }
    eventually("all are gone", || house.metrics.connections() <= before).await;
    assert!(house.private_files().is_empty() && listed(&house, "alice/dev", "demo").await.is_empty());
    let tmp = house.data().join("tmp");
    eventually("no temporary file is left", || std::fs::read_dir(&tmp).unwrap().count() == 0).await;
    let shown = house.api("GET", "/alice/dev", None, json!({})).await.json();
    assert_eq!(shown["result"]["projects"], json!([]));
    house.end().await;
}

#[tokio::test]
async fn a_slow_upload_ends() {
    let timeouts = Timeouts { stalled: SHORT, ..Timeouts::default() };
    let house = private_house_with(Options { timeouts, ..Options::default() }).await;
    let before = house.metrics.connections();
    let start = |trickles: bool, path: &'static str, content_type: &'static str| {
        let house = &house;
        async move {
            let head = head("POST", path, ALICE, content_type, "Content-Length: 60000\r\n");
            let mut stream = TcpStream::connect(house.address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            let trickle = async {
                let body = part("content", "; filename=\"demo-1.0-py3-none-any.whl\"", &[b' '; 100_000]);
                for byte in body {
                    if !trickles || writer.write_all(&[byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                std::future::pending::<()>().await;
            };
            let mut answer = Vec::new();
            tokio::select! {
                _ = reader.read_to_end(&mut answer) => {}
                () = trickle => {}
                () = tokio::time::sleep(PATIENCE) => panic!("{path}, trickling {trickles}: is waited for"),
            }
            let answers = split(&answer, &[]);
            let right = answers.len() == 1 && answers[0].status == 408 && answers[0].closes();
            assert!(right, "{path}, trickling {trickles}: {answers:?}");
        }
    };
    let ways = [("/alice/dev/", FORM), ("/alice/dev/", "application/json"), ("/+login", "application/json")];
    join_all(ways.into_iter().flat_map(|(path, kind)| [false, true].map(|trickles| start(trickles, path, kind)))).await;
    eventually("all are gone", || house.metrics.connections() <= before).await;
    house.end().await;
}

/// Uploads that arrive hold memory and a file each: there are only so many, and pages do not wait for them.
#[tokio::test]
async fn one_upload_too_many_waits_and_is_told_so() {
    let timeouts = Timeouts { places: SHORT, ..Timeouts::default() };
    let house = private_house_with(Options { timeouts, ..Options::default() }).await;
    let body = release(&wheel("demo", "1.0", 1000, 1), "1.0");
    let length = format!("Content-Length: {}\r\nConnection: close\r\n", body.len());
    let post = head("POST", "/alice/dev/", ALICE, FORM, &format!("{length}Expect: 100-continue\r\n"));
    let mut open = Vec::new();
    for _ in 0..UPLOADS_MAX {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(post.as_bytes()).await.unwrap();
        let mut word = [0; 25];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
        open.push(stream);
    }
    for lines in ["", "Expect: 100-continue\r\n"] {
        let one_more = head("POST", "/alice/dev/", ALICE, FORM, &format!("{length}{lines}"));
        let answers = told(&house, &[one_more.as_bytes(), &body].concat()).await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [503]);
        assert!(answers[0].header("retry-after").is_some(), "{}", answers[0].head);
    }
    // Who may not upload does not wait, and neither do readers.
    assert_eq!(upload(&house, "alice/dev", BOB, "demo", "1.0", &body).await.status, 403);
    assert_eq!(house.get("/alice/dev/+simple/").await.status, 200);
    assert_eq!(house.api("PATCH", "/alice", ALICE, json!({ "title": "A" })).await.status, 200);
    let mut first = open.pop().unwrap();
    first.write_all(&body).await.unwrap();
    assert_eq!(split(&until_closed(&mut first).await, &[])[0].status, 200);
    assert_eq!(upload(&house, "alice/dev", ALICE, "demo", "2.0", &wheel("demo", "2.0", 10, 1)).await.status, 200);
    drop(open);
    house.end().await;
}

/// The same of large bodies of the API, which are in memory while they arrive.
#[tokio::test]
async fn large_bodies_of_the_api_are_few_at_a_time() {
    let timeouts = Timeouts { places: SHORT, ..Timeouts::default() };
    let house = private_house_with(Options { timeouts, ..Options::default() }).await;
    let mut open = Vec::new();
    for _ in 0..sidewheel::server::LARGE_BODIES_MAX {
        let lines = "Content-Length: 900000\r\nExpect: 100-continue\r\n";
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(head("PATCH", "/alice", ALICE, "application/json", lines).as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 25]).await.unwrap();
        open.push(stream);
    }
    let large = json!({ "description": "x".repeat(800_000) });
    let answer = house.api("PATCH", "/alice", ALICE, large).await;
    assert_eq!((answer.status, answer.header("retry-after").is_empty()), (503, false), "{}", answer.text());
    // Small ones, and logins above all, are not held up.
    assert_eq!(house.api("PATCH", "/alice", ALICE, json!({ "title": "A" })).await.status, 200);
    let login = json!({ "user": "alice", "password": ALICE.unwrap().1 });
    assert_eq!(house.api("POST", "/+login", None, login).await.status, 200);
    // Nobody has a use for a large login.
    let login = json!({ "user": "alice", "password": "x".repeat(100_000) });
    assert_eq!(house.api("POST", "/+login", None, login).await.status, 413);
    drop(open);
    eventually("the places are free", || house.metrics.connections() <= 2).await;
    assert_eq!(house.api("PATCH", "/alice", ROOT, json!({ "description": "x".repeat(60_000) })).await.status, 200);
    house.end().await;
}

#[tokio::test]
async fn a_flood_of_wrong_logins_stops_no_reader() {
    super::raise_descriptors();
    let house = private_house().await;
    let login = |n: usize| {
        let house = &house;
        let (user, password) = (["alice", "bob", "nobody"][n % 3], format!("guess {n}"));
        async move { house.api("POST", "/+login", None, json!({ "user": user, "password": password })).await.status }
    };
    let read = || house.get_with("/alice/dev/+simple/", &[("Authorization", "Basic bm9ib2R5Omd1ZXNz")]);
    let flood = join_all((0..200).map(login));
    let pages = async {
        let mut statuses = Vec::new();
        for _ in 0..50 {
            statuses.push(read().await.status);
        }
        statuses
    };
    let (told, pages) = tokio::join!(flood, pages);
    assert_eq!(pages, [200; 50]);
    let count = |status| told.iter().filter(|told| **told == status).count();
    assert_eq!(count(401) + count(429) + count(503), 200, "{told:?}");
    assert!((1..=30).contains(&count(401)), "{} guesses were looked at", count(401));
    house.end().await;
}

/// A client of HTTP/1.0 knows no word in between (RFC 9110 §10.1.1).
#[tokio::test]
async fn http_1_0_is_not_told_to_go_on() {
    let house = private_house().await;
    let body = r#"{"user":"alice","password":"alice's password"}"#;
    let request = format!(
        "POST /+login HTTP/1.0\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let got = String::from_utf8(until_closed(&mut stream).await).unwrap();
    assert!(got.starts_with("HTTP/1.1 200 "), "{got}");
    house.end().await;
}

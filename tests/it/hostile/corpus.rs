//! Requests that two readers could understand differently, or that are none.

use super::{PROBE, Raw, eventually, exchange, until_closed};
use crate::support::house::{House, Options};
use sidewheel::metrics::Event;
use sidewheel::server::Timeouts;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What a refused request asks for: a page that is cold, so that upstream would hear of it.
const LINE: &str = "GET /simple/canary/ HTTP/1.1\r\n";
const HOST: &str = "Host: localhost\r\n";

/// A request with these lines after a good request line and a good Host.
fn with(lines: &str) -> Vec<u8> {
    format!("{LINE}{HOST}{lines}\r\n").into_bytes()
}

/// A request for this target.
fn target(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{HOST}\r\n").into_bytes()
}

/// A request with this request line.
fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\n{HOST}\r\n").into_bytes()
}

fn raw(bytes: &(impl AsRef<[u8]> + ?Sized)) -> Vec<u8> {
    bytes.as_ref().to_vec()
}

/// The status that ends the connection; what follows is not taken for a request.
fn refused() -> Vec<(u16, Vec<u8>)> {
    let many = |count: usize| with(&(1..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>());
    let mut cases = vec![
        // Lines.
        (400, raw("GET /simple/canary/ HTTP/1.1\nHost: localhost\n\n")),
        (400, raw("GET /simple/canary/ HTTP/1.1\nHost: localhost\r\n\r\n")),
        (400, raw("GET /simple/canary/ HTTP/1.1\r\nHost: localhost\n\r\n")),
        (400, raw("GET /simple/canary/ HTTP/1.1\r\nHost: localhost\r\n\n")),
        (400, raw("GET /simple/canary/\r HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        (400, raw("GET /simple/canary/ HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n")),
        (400, raw("GET /simple/canary/ HTTP/1.1\r\r\nHost: localhost\r\n\r\n")),
        (400, with("X: a\rb\r\n")),
        (400, with("X: a\r\r\n")),
        (400, with("X: a\nContent-Length: 5\r\n")),
        (400, raw("\r\nGET /simple/canary/ HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        (400, raw("\nGET /simple/canary/ HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        (400, raw(" GET /simple/canary/ HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        // Folds.
        (400, with("X: a\r\n b\r\n")),
        (400, with("X: a\r\n\tb\r\n")),
        (400, with("Transfer-Encoding:\r\n chunked\r\n")),
        (400, raw("GET /simple/canary/ HTTP/1.1\r\n X: y\r\nHost: localhost\r\n\r\n")),
        // Names.
        (400, raw("GET /simple/canary/ HTTP/1.1\r\nHost : localhost\r\n\r\n")),
        (400, raw("GET /simple/canary/ HTTP/1.1\r\nHost\t: localhost\r\n\r\n")),
        (400, with("Content-Length : 5\r\n")),
        (400, with("Transfer-Encoding\u{b}: chunked\r\n")),
        (400, with(": x\r\n")),
        (400, with("no colon\r\n")),
        (400, with("X(y): z\r\n")),
        (400, with("X\u{e4}: z\r\n")),
        (400, with("\"X\": z\r\n")),
        // Host.
        (400, with(HOST)),
        (400, with("host: evil.example\r\n")),
        (400, raw(&format!("{LINE}\r\n"))),
        (400, raw("GET /simple/canary/ HTTP/1.0\r\n\r\n")),
        (400, raw(&format!("{LINE}Host:\r\n\r\n"))),
        (400, raw(&format!("{LINE}Host: localhost, localhost\r\n\r\n"))),
        (400, raw(&[LINE.as_bytes(), b"Host: local\xffhost\r\n\r\n"].concat())),
        // Lengths.
        (400, with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
        (400, with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
        (400, with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")),
        (400, with("Content-Length: 5\r\nContent-Length: 5\r\n")),
        (400, with("Content-Length: 5\r\nContent-Length: 6\r\n")),
        (400, with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
        (400, raw(&format!("GET /simple/canary/ HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"))),
        // Versions.
        (400, raw("GET /simple/canary/\r\n\r\n")),
        (400, raw("GET\r\n\r\n")),
        (505, raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        (505, line("GET /simple/canary/ HTTP/2.0")),
        (505, line("GET /simple/canary/ HTTP/0.9")),
        (505, line("GET /simple/canary/ HTTP/3.0")),
        (505, line("GET /simple/canary/ HTTP/1.9")),
        (400, line("GET /simple/canary/ http/1.1")),
        (400, line("GET /simple/canary/ HTTP/1.10")),
        (400, line("GET /simple/canary/ HTTP/11")),
        (400, line("GET /simple/canary/ HTTP/1,1")),
        (400, line("GET /simple/canary/ HTTP/1.1 ")),
        (400, line("GET /simple/canary/ HTTP /1.1")),
        (400, line("GET  /simple/canary/ HTTP/1.1")),
        (400, line("GET /simple/canary/  HTTP/1.1")),
        (400, line("GET\t/simple/canary/ HTTP/1.1")),
        (400, line("GET /simple/canary/\tHTTP/1.1")),
        (400, line("G(T /simple/canary/ HTTP/1.1")),
        (400, line("PROXY TCP4 10.0.0.1 10.0.0.2 1 2")),
        (400, raw("SSH-2.0-OpenSSH_9.9\r\n\r\n")),
        (400, raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")),
        (400, raw(b"\x00\x00\x00\x00")),
        // Control characters and bytes that are no text.
        (400, target("/simple/can\0ary/")),
        (400, target("/simple/can\u{1b}ary/")),
        (400, target("/simple/can\u{7f}ary/")),
        (400, target("/simple/can\u{e4}ry/")),
        (400, with("X: a\0b\r\n")),
        (400, with("X: a\u{1}b\r\n")),
        (400, with("X: a\u{7f}b\r\n")),
        (400, with("X\0: b\r\n")),
        (400, raw(&[LINE.as_bytes(), HOST.as_bytes(), b"Accept: \xff\xfe\r\n\r\n"].concat())),
        // Sizes.
        (431, with(&format!("X: {}\r\n", "a".repeat(40_000)))),
        (431, target(&format!("/simple/{}/", "a".repeat(33_000)))),
        (431, raw(&"a".repeat(40_000))),
        (431, many(101)),
        (431, many(5_000)),
        (414, target(&format!("/simple/{}/", "a".repeat(9 * 1024)))),
        (414, target(&format!("/simple/canary/?{}", "a".repeat(9 * 1024)))),
        // Fields that may come once.
        (400, with("Range: bytes=0-1\r\nRange: bytes=0-2\r\n")),
        (400, with("Authorization: a\r\nAuthorization: b\r\n")),
        (400, with("Origin: http://localhost\r\nOrigin: http://evil.example\r\n")),
        (400, with("Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n")),
        // Whom the target is addressed to.
        (421, target("http://evil.example/simple/canary/")),
        (421, target("https://evil.example/simple/canary/")),
        (421, target("HTTP://evil.example/simple/canary/")),
        (421, target("http://localhost@evil.example/simple/canary/")),
        (421, target("http://evil.example@localhost/simple/canary/")),
        (421, target("http://localhost.evil.example/simple/canary/")),
        (400, target("http:///simple/canary/")),
        (421, raw("GET http://localhost/simple/canary/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")),
        (400, raw("GET http://localhost/simple/canary/ HTTP/1.1\r\n\r\n")),
        (400, target("ftp://localhost/simple/canary/")),
        (400, target("localhost/simple/canary/")),
        (400, target("simple/canary/")),
        (400, target("*")),
        (400, target("?/simple/canary/")),
    ];
    for length in ["+5", "-1", "0x5", "5,5", "5, 5", "5 5", "", "1e3", "5;", "\u{663}", "99999999999999999999"] {
        cases.push((400, with(&format!("Content-Length: {length}\r\n"))));
    }
    for coding in [
        "identity",
        "Chunked",
        "CHUNKED",
        "chunked, identity",
        "chunked, chunked",
        "gzip, chunked",
        "xchunked",
        "chunked;q=1",
        "\"chunked\"",
        ",chunked",
        "chunked\u{b}",
        "",
    ] {
        cases.push((400, with(&format!("Transfer-Encoding: {coding}\r\n"))));
    }
    for path in [
        "%2fsimple/canary/",
        "/simple%2Fcanary/",
        "/simple/%5ccanary/",
        "/simple\\canary/",
        "/simple/../simple/canary/",
        "/x/../simple/canary/",
        "/./simple/canary/",
        "/simple/canary/..",
        "/simple/%2e%2e/simple/canary/",
        "/simple/.%2E/canary/",
        "/simple/..;x/canary/",
        "/%c0%ae%c0%ae/simple/canary/",
        "/simple%c0%afcanary/",
        "/simple/%ed%a0%80/",
        "/simple/%ff/",
        "/simple/canary%00/",
        "/simple/canary%0d%0aX:%20y/",
        "/simple/canary%1b[31m/",
        "/simple/canary%/",
        "/simple/canary%2",
        "/simple/%zz/",
        "/simple/%u002e/",
        "/simple/canary/#x",
    ] {
        cases.push((400, target(path)));
    }
    cases
}

/// Requests that are good, or wrong in a way that does not blur where they end: what follows is answered.
fn answered() -> Vec<(u16, Vec<u8>)> {
    vec![
        (404, target("/simple/canary/")),
        (404, target("http://localhost/simple/canary/")),
        (404, target("HTTP://LOCALHOST/simple/canary/")),
        (200, target("http://localhost")),
        (404, target("/simple/%252e%252e/")),
        (404, with(&(2..=100).map(|n| format!("X-{n}: y\r\n")).collect::<String>())),
        (404, with("X:\ta \t\r\n")),
        (404, with("X: \u{e4}\r\n")),
        (404, with("Content-Length: 0\r\n")),
        (404, with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")),
        (404, with("Expect: 100-continue\r\n")),
        (404, with("Range: bytes=\r\nIf-None-Match: ,,,\r\nAccept: ;;;\r\nAccept-Encoding: \u{e4};q=x\r\n")),
        (405, line("get /simple/canary/ HTTP/1.1")),
        (405, line("POST /simple/canary/ HTTP/1.1")),
        (405, line("BREW /simple/canary/ HTTP/1.1")),
        (405, line("OPTIONS * HTTP/1.1")),
        (405, line("CONNECT evil.example:443 HTTP/1.1")),
        (405, line("TRACE /simple/canary/ HTTP/1.1")),
    ]
}

fn seen(request: &[u8]) -> String {
    String::from_utf8_lossy(request).escape_debug().to_string().chars().take(200).collect()
}

fn check(answer: &Raw) {
    assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("date").is_some() && answer.header("transfer-encoding").is_none());
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_ends_the_connection() {
    let house = House::start().await;
    let cases = refused();
    assert!(cases.len() >= 120, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (status, request) in &cases {
        let answers = exchange(&house, &[request, PROBE.as_bytes()].concat()).await;
        answers.iter().for_each(check);
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        if statuses != [*status] || !answers[0].closes() {
            wrong.push(format!("{statuses:?} instead of {status}: {}", seen(request)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    house.upstream.assert_untouched().await;
    assert!(house.metrics.happened_times(Event::RequestRefused) > 60);
    house.end().await;
}

#[tokio::test]
async fn what_is_clear_leaves_the_connection_open() {
    let house = House::start().await;
    let mut wrong = Vec::new();
    for (status, request) in answered() {
        let answers = exchange(&house, &[&request, PROBE.as_bytes()].concat()).await;
        answers.iter().for_each(check);
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        if statuses != [status, 200] {
            wrong.push(format!("{statuses:?} instead of {status} and 200: {}", seen(&request)));
        }
        if status == 405 && answers[0].header("allow") != Some("GET, HEAD") {
            wrong.push(format!("no Allow: {}", seen(&request)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    house.end().await;
}

#[tokio::test]
async fn the_versions_keep_a_connection_as_each_means() {
    let house = House::start().await;
    for (version, connection, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: Keep-Alive, X\r\n", true),
    ] {
        let request = format!("GET /+health HTTP/{version}\r\n{HOST}{connection}\r\n{PROBE}");
        let answers = exchange(&house, request.as_bytes()).await;
        assert_eq!(answers.len(), if kept { 2 } else { 1 }, "HTTP/{version} {connection:?}");
        assert_eq!(answers[0].closes(), !kept, "HTTP/{version} {connection:?}");
    }
    house.end().await;
}

/// Who wrote https for http hears of it at once, not when a head's deadline is over.
#[tokio::test]
async fn a_tls_hello_is_answered_at_once() {
    let house = House::start().await;
    let answers = exchange(&house, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [400]);
    house.end().await;
}

/// Whoever goes away, or stops, before the blank line gets no page.
#[tokio::test]
async fn half_a_request_is_none() {
    let timeouts = Timeouts { head: Duration::from_millis(200), ..Timeouts::default() };
    let house = House::with(Options { timeouts, ..Options::default() }).await;
    let whole = format!("{LINE}{HOST}X: y\r\n\r\n");
    for end in [1, 5, LINE.len() - 1, LINE.len(), LINE.len() + 7, whole.len() - 3, whole.len() - 2, whole.len() - 1] {
        let part = &whole.as_bytes()[..end];
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(part).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(until_closed(&mut stream).await, b"", "gone after {end} bytes");
        let answers = exchange(&house, part).await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [408], "waits after {end} bytes");
        assert!(answers[0].closes());
    }
    eventually("no connection is left", || house.metrics.connections() == 0).await;
    house.upstream.assert_untouched().await;
    house.end().await;
}

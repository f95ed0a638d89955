use super::*;
use proptest::prelude::*;

fn error(raw: &str) -> Option<HeadError> {
    check_head(raw.as_bytes()).err()
}

/// A head of these field lines after a good request line and Host.
fn with(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn reads_what_clients_send() {
    let raw =
        b"GET /root/pypi/+simple/demo/?x=1 HTTP/1.1\r\nHost: localhost:3141\r\nUser-Agent: pip/26.3 {\"a\": 1}\r\n\
        Accept-Encoding:gzip, deflate\r\naccept: \t text/html \t\r\nX-Other: \xe9 \"caf\xc3\xa9\"\r\n\
        Upgrade: websocket\r\nEmpty:\r\nIf-None-Match: \"x\"\r\n\r\nGET /next";
    let facts = check_head(raw).unwrap();
    assert_eq!((facts.method, facts.target, facts.minor_version), ("GET", "/root/pypi/+simple/demo/?x=1", 1));
    assert_eq!(facts.host, Some("localhost:3141"));
    assert_eq!(facts.get(Field::UserAgent), Some("pip/26.3 {\"a\": 1}"));
    assert_eq!(facts.get(Field::AcceptEncoding), Some("gzip, deflate"));
    assert_eq!(facts.get(Field::Accept), Some("text/html"));
    assert_eq!(facts.get(Field::IfNoneMatch), Some("\"x\""));
    assert_eq!(facts.get(Field::Range), None);
    assert_eq!((facts.body, facts.has_body(), facts.keep_alive), (Body::None, false, true));
    assert_eq!(raw.get(facts.bytes..), Some(&b"GET /next"[..]));
}

#[test]
fn every_field_is_found_in_any_case() {
    for (field, name) in Field::ALL {
        for name in [name.to_owned(), name.to_ascii_uppercase()] {
            let raw = with(&format!("{name}: here\r\n"));
            let facts = check_head(raw.as_bytes()).unwrap();
            let found: Vec<_> = Field::ALL.iter().filter(|(other, _)| facts.get(*other).is_some()).collect();
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(facts.get(field), Some("here"), "{name}");
        }
    }
}

#[test]
fn accepts_these_heads() {
    for (raw, body, keep_alive) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Body::None, true),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Body::None, true),
        ("GET / HTTP/1.0\r\n\r\n", Body::None, false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", Body::None, true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", Body::None, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", Body::None, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x , CLOSE\r\n\r\n", Body::None, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", Body::None, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", Body::None, true),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Body::Length(0), true),
        ("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:  18446744073709551615 \r\n\r\n", Body::Length(u64::MAX), true),
        ("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", Body::Length(5), false),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Body::Chunked, true),
        ("PUSH /a/b HTTP/1.1\r\nHost: a\r\n\r\n", Body::None, true),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Body::None, true),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Body::None, true),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", Body::None, true),
    ] {
        let facts = check_head(raw.as_bytes()).unwrap_or_else(|error| panic!("{raw:?}: {error}"));
        assert_eq!((facts.body, facts.keep_alive, facts.bytes), (body, keep_alive, raw.len()), "{raw:?}");
        assert_eq!(facts.has_body(), !matches!(body, Body::None | Body::Length(0)), "{raw:?}");
    }
}

#[test]
fn refuses_request_lines() {
    for line in [
        "",
        " ",
        "GET",
        "GET /",
        "GET / ",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET\t/ HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET: / HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.1.1",
        "GET / HTTP/11",
        "GET / HTTP/1.x",
        "GET / HTTPS/1.1",
        "GET / FTP/1.1",
        "GET HTTP/1.1",
    ] {
        assert_eq!(error(&format!("{line}\r\nHost: a\r\n\r\n")), Some(HeadError::RequestLine), "{line:?}");
    }
    for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/0.0"] {
        assert_eq!(error(&format!("GET / {version}\r\nHost: a\r\n\r\n")), Some(HeadError::Version), "{version}");
    }
    assert_eq!(HeadError::Version.status(), 505);
}

#[test]
fn refuses_line_ends_and_controls() {
    use HeadError::{Control, Fold, LineEnd, RequestLine};
    for (raw, expected) in [
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", LineEnd),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", LineEnd),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX", LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", Control),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\u{7f}c\r\n\r\n", Control),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{1b}[31m\r\n\r\n", Control),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", Control),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Control),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Fold),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n", Fold),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Fold),
        ("GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", Fold),
    ] {
        assert_eq!(error(raw), Some(expected), "{raw:?}");
        assert_eq!(expected.status(), 400);
    }
}

#[test]
fn refuses_field_names() {
    for line in
        ["X : b", "X\t: b", ": b", "X", "X b: c", "(X): b", "X;: b", "\"X\": b", "X\u{e9}: b", "Host\u{a0}: b", "@: b"]
    {
        assert_eq!(error(&with(&format!("{line}\r\n"))), Some(HeadError::FieldName), "{line:?}");
    }
}

#[test]
fn refuses_double_or_missing_hosts() {
    for fields in ["", "X: a\r\n", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: b\r\n", "Host:\r\nHost:\r\n"] {
        assert_eq!(error(&format!("GET / HTTP/1.1\r\n{fields}\r\n")), Some(HeadError::Host), "{fields:?}");
    }
    assert_eq!(error("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Some(HeadError::Host));
}

#[test]
fn refuses_unclear_framing() {
    use HeadError::{ContentLength, TransferEncoding, TwoLengths};
    for (fields, expected) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", ContentLength),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", ContentLength),
        ("Content-Length: 5, 5\r\n", ContentLength),
        ("Content-Length: +5\r\n", ContentLength),
        ("Content-Length: -5\r\n", ContentLength),
        ("Content-Length: 5 5\r\n", ContentLength),
        ("Content-Length: 0x5\r\n", ContentLength),
        ("Content-Length: 5.0\r\n", ContentLength),
        ("Content-Length:\r\n", ContentLength),
        ("Content-Length: 18446744073709551616\r\n", ContentLength),
        ("Content-Length: \u{665}\r\n", ContentLength),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", TwoLengths),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", TwoLengths),
        ("Content-Length: 0\r\nTransfer-Encoding: identity\r\n", TwoLengths),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: identity\r\n", TransferEncoding),
        ("Transfer-Encoding: Chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", TransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked;q=1\r\n", TransferEncoding),
        ("Transfer-Encoding:\r\n", TransferEncoding),
    ] {
        assert_eq!(error(&with(fields)), Some(expected), "{fields:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error(old), Some(TransferEncoding));
}

#[test]
fn repeats_lists_and_nothing_else() {
    let raw = with("Accept: a\r\nRange: x\r\nAccept: b\r\nACCEPT: c\r\n");
    assert_eq!(check_head(raw.as_bytes()).unwrap().get(Field::Accept), Some("a, b, c"));
    for (field, name) in Field::ALL.into_iter().filter(|(field, _)| !field.is_list()) {
        let raw = with(&format!("{name}: a\r\n{name}: a\r\n"));
        assert_eq!(error(&raw), Some(HeadError::Repeated(name)), "{field:?}");
    }
}

#[test]
fn a_field_that_is_read_is_text() {
    let head = |name: &str| [b"GET / HTTP/1.1\r\nHost: a\r\n", name.as_bytes(), b": \xff\r\n\r\n"].concat();
    assert_eq!(check_head(&head("Origin")).err(), Some(HeadError::NotText("origin")));
    assert_eq!(check_head(&head("User-Agent")).unwrap().get(Field::UserAgent), None);
    assert!(check_head(&head("X-Other")).is_ok());
    assert_eq!(check_head(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n").err(), Some(HeadError::NotText("host")));
}

#[test]
fn bounds_the_head() {
    let fields = |count: usize| with(&"X: a\r\n".repeat(count - 1));
    assert_eq!(error(&fields(HEAD_FIELDS_MAX)), None);
    assert_eq!(error(&fields(HEAD_FIELDS_MAX + 1)), Some(HeadError::TooManyFields));
    let sized = |bytes: usize| with(&format!("X: {}\r\n", "a".repeat(bytes - with("X: \r\n").len())));
    assert_eq!(sized(HEAD_BYTES_MAX).len(), HEAD_BYTES_MAX);
    assert_eq!(error(&sized(HEAD_BYTES_MAX)), None);
    assert_eq!(error(&sized(HEAD_BYTES_MAX + 1)), Some(HeadError::TooLarge));
    assert_eq!(error(&"a".repeat(HEAD_BYTES_MAX + 1)), Some(HeadError::TooLarge));
    assert_eq!((HeadError::TooLarge.status(), HeadError::TooManyFields.status()), (431, 431));
    // A long body behind a short head does not count.
    assert_eq!(error(&(with("") + &"b".repeat(HEAD_BYTES_MAX))), None);
}

#[test]
fn every_beginning_of_a_head_is_incomplete() {
    let raw = with("Accept: a\r\nX: b\tc\r\n");
    for end in 0..raw.len() {
        assert_eq!(error(&raw[..end]), Some(HeadError::Incomplete), "{:?}", &raw[..end]);
    }
    assert_eq!(error(&raw), None);
}

proptest! {
    #[test]
    fn never_panics(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check_head(&raw);
    }

    #[test]
    fn broken_heads_never_panic(
        raw in "GET /[a-z]{0,5} HTTP/1\\.[01]\r\n(Host: a\r\n)?((Accept|Content-Length|X): [0-9a]{0,5}\r\n){0,4}\r\n",
        at: prop::sample::Index,
        byte: u8,
    ) {
        let bytes = with_byte(raw, at, byte);
        if let Ok(facts) = check_head(&bytes) {
            prop_assert_eq!(bytes.get(facts.bytes - 4..facts.bytes), Some(&b"\r\n\r\n"[..]));
            let head = bytes.get(..facts.bytes).unwrap();
            let controls = head.iter().filter(|b| b.is_ascii_control() && !b"\r\n\t".contains(b)).count();
            prop_assert_eq!(controls, 0);
        }
    }
}

fn with_byte(raw: String, at: prop::sample::Index, byte: u8) -> Vec<u8> {
    let mut bytes = raw.into_bytes();
    let at = at.index(bytes.len());
    bytes[at] = byte;
    bytes
}

//! Nothing from outside writes a line of the log.

use super::{eventually, exchange};
use crate::support::house::House;
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Requests that try it; each is one answer and one line.
fn requests() -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = [
        "/+health",
        "/+health?a%0d%0a2026-01-01 INFO access: status=200",
        "/+health?%0d%0a{\"level\":\"INFO\"}",
        "/simple/x%0d%0ay/",
        "/simple/%1b[31mred/",
        "/simple/%e2%80%aetxt/",
        "/%e2%80%a8line/x/y/z",
        "/+health?\"},{\"x\":\"",
    ]
    .map(|target| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes())
    .to_vec();
    for agent in [
        "pip/26.0",
        "\u{202e}evil",
        "a\u{2028}b",
        "a\u{85}b",
        "\u{9b}31mred",
        "\"}\n",
        "a\rb",
        "a\u{1b}[31m",
        "\\\"\\n",
        &"\u{20ac}".repeat(9_000),
        &"x".repeat(9_000),
    ] {
        requests.push(
            format!("GET /+health HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n")
                .into_bytes(),
        );
    }
    requests.push(format!("{} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "A".repeat(9_000)).into());
    requests.push(b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: \xff\xfe\r\nConnection: close\r\n\r\n".to_vec());
    requests.push(b"\x16\x03\x01\x1b[31m\r\n".to_vec());
    requests
}

/// Runs on one thread, so that the subscriber of this thread hears of all that the server does.
#[tokio::test]
async fn one_request_is_one_line() {
    // While there is but one subscriber, whichever thread comes first to a log statement decides for all whether it is
    // heard, and other tests' threads have none. A second one makes all be asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    for json in [true, false] {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::INFO);
        let subscriber = subscriber.with_writer(move || writer.clone());
        let _guard = match json {
            true => tracing::subscriber::set_default(subscriber.json().flatten_event(true).finish()),
            false => tracing::subscriber::set_default(subscriber.finish()),
        };
        let house = House::start().await;
        let requests = requests();
        for request in &requests {
            let before = buffer.lines().len();
            assert_eq!(exchange(&house, request).await.len(), 1, "{:?}", String::from_utf8_lossy(request));
            eventually("the line is written", || buffer.lines().len() > before).await;
        }
        house.end().await;
        let lines = buffer.lines();
        assert_eq!(lines.len(), requests.len(), "{}", lines.join("\n"));
        for line in &lines {
            assert!(line.len() < 2_000, "a line of {} bytes", line.len());
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
            if json {
                let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
                assert_eq!(value["target"], "access", "{line}");
                assert!(value["status"].is_u64(), "{line}");
            } else {
                assert!(line.contains(" INFO access: "), "{line}");
            }
        }
    }
}

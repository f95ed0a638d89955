//! The skin against bad input: what is refused never reaches upstream, nothing is answered twice, nobody holds up the
//! others.

mod answers;
mod browsers;
mod corpus;
mod limits;
mod log;
mod pipelining;
mod storm;
mod uploads;

use crate::support::house::House;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The request that comes after each bad one: it is answered when the server takes what follows for a request.
pub const PROBE: &str = "GET /+health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Raw {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// Splits what came into answers by their Content-Length; anything left over or cut short is a failure. `head_only`
/// says of each request whether its answer has no body.
pub fn split(mut bytes: &[u8], head_only: &[bool]) -> Vec<Raw> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes))) + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {head:?}"));
        let mut answer = Raw { status, head, body: Vec::new() };
        let none = head_only.get(answers.len()).copied().unwrap_or(false) || status == 304;
        let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
        let length = if none { 0 } else { length.unwrap_or_else(|| panic!("no Content-Length: {}", answer.head)) };
        assert!(bytes.len() >= end + length, "{} is cut short: {} bytes", answer.head, bytes.len() - end);
        answer.body = bytes[end..end + length].to_vec();
        bytes = &bytes[end + length..];
        answers.push(answer);
    }
    answers
}

/// Sends and reads until the server closes.
pub async fn exchange(house: &House, bytes: &[u8]) -> Vec<Raw> {
    exchange_with(house, bytes, &[]).await
}

pub async fn exchange_with(house: &House, bytes: &[u8], head_only: &[bool]) -> Vec<Raw> {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    split(&until_closed(&mut stream).await, head_only)
}

/// All that comes until the other side ends the connection, in whichever way.
pub async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the server does not close");
    bytes
}

/// Waits until something that happens elsewhere has happened.
pub async fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let waited = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Lets this process open the files that a crowd of connections needs.
pub fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = 4096.max(limit.current.unwrap_or(4096));
    limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
    setrlimit(Resource::Nofile, limit).unwrap();
}

//! Clients that are slow, many or asleep: their own connections end, the others are not held up.

use super::{PATIENCE, PROBE, eventually, exchange, raise_descriptors, split, until_closed};
use crate::support::house::{House, Options};
use crate::support::{wheel, wheel_filename};
use sidewheel::server::Timeouts;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Larger than all buffers of a connection together.
const HUGE: usize = 20_000_000;

const SHORT: Duration = Duration::from_millis(200);

async fn with_timeouts(timeouts: Timeouts) -> House {
    House::with(Options { timeouts, ..Options::default() }).await
}

/// One byte at a time is activity, but the deadline is for the whole head.
#[tokio::test]
async fn a_head_has_one_deadline_however_it_trickles() {
    let house = with_timeouts(Timeouts { head: SHORT, ..Timeouts::default() }).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let started = Instant::now();
    let trickle = async {
        for byte in b"GET /simple/canary/ HTTP/1.1\r\nHost: localhost\r\nX: ".iter().chain([b'a'; 100_000].iter()) {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut answer = Vec::new();
    let read = async {
        let _ = reader.read_to_end(&mut answer).await;
    };
    tokio::select! {
        () = read => {}
        () = trickle => {}
        () = tokio::time::sleep(PATIENCE) => panic!("a trickling head is waited for"),
    }
    assert!(started.elapsed() >= SHORT);
    let answers = split(&answer, &[]);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [408]);
    assert!(answers[0].closes());
    eventually("the place is free", || house.metrics.connections() == 0).await;
    house.upstream.assert_untouched().await;
    house.end().await;
}

/// The deadline begins with the head's first byte: a connection may rest before it, and each head has its own.
#[tokio::test]
async fn a_rest_between_requests_is_no_slow_head() {
    let house = with_timeouts(Timeouts { head: SHORT, ..Timeouts::default() }).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let mut got = Vec::new();
    for _ in 0..2 {
        tokio::time::sleep(SHORT * 2).await;
        stream.write_all(b"GET /+health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        while !got.ends_with(b"ok\n") {
            assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0, "closed");
        }
        got.clear();
    }
    drop(stream);
    house.end().await;
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let house = with_timeouts(Timeouts { idle: SHORT, ..Timeouts::default() }).await;
    let answers = exchange(&house, b"").await;
    assert!(answers.is_empty(), "nothing asked, nothing answered: {answers:?}");
    let answers = exchange(&house, b"GET /+health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!((answers.len(), answers[0].status, answers[0].closes()), (1, 200, false));
    house.end().await;
}

#[tokio::test]
async fn three_hundred_slow_heads_hold_up_nobody() {
    raise_descriptors();
    let house = House::start().await;
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(b"GET /simple/canary/ HTTP/1.1\r\nHost: localhost\r\nX: ").await.unwrap();
        slow.push(stream);
    }
    eventually("all 300 are in", || house.metrics.connections() == 300).await;
    for round in 0..20 {
        for stream in &mut slow {
            stream.write_all(b"a").await.unwrap();
        }
        let started = Instant::now();
        let answers = exchange(&house, PROBE.as_bytes()).await;
        assert_eq!(answers[0].status, 200);
        assert!(started.elapsed() < Duration::from_secs(2), "round {round}: {:?}", started.elapsed());
    }
    drop(slow);
    eventually("all are gone", || house.metrics.connections() == 0).await;
    house.upstream.assert_untouched().await;
    house.end().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let house = House::with(Options { connections_max: 4, ..Options::default() }).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(TcpStream::connect(house.address).await.unwrap());
    }
    eventually("four are in", || house.metrics.connections() == 4).await;
    for request in ["", PROBE, "GET /simple/canary/ HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let answers = exchange(&house, request.as_bytes()).await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [503], "{request:?}");
        assert!(answers[0].closes() && answers[0].header("retry-after").is_some(), "{}", answers[0].head);
        assert_eq!(house.metrics.connections(), 4);
    }
    house.upstream.assert_untouched().await;
    // Those who are in are served, and a place comes back.
    open[0].write_all(PROBE.as_bytes()).await.unwrap();
    assert_eq!(split(&until_closed(&mut open[0]).await, &[])[0].status, 200);
    open.clear();
    eventually("all places are free", || house.metrics.connections() == 0).await;
    for _ in 0..20 {
        assert_eq!(exchange(&house, PROBE.as_bytes()).await[0].status, 200);
        eventually("the place is free", || house.metrics.connections() == 0).await;
    }
    house.end().await;
}

/// From where the bytes come that a client does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Memory,
    Disk,
    Flight,
}

struct Huge {
    house: House,
    path: String,
    bytes: Vec<u8>,
}

async fn huge(from: From, stalled: Duration, bytes: &[u8]) -> Huge {
    let timeouts = Timeouts { stalled, ..Timeouts::default() };
    let memory_bytes = if from == From::Memory { 1 << 30 } else { 1 << 20 };
    let house = House::with(Options { timeouts, memory_bytes, ..Options::default() }).await;
    let filename = wheel_filename("demo", "1.0");
    house.upstream.project("demo").wheel(&filename, bytes.to_vec());
    let path = house.file_path("demo", &filename).await;
    if from != From::Flight {
        house.get(&path).await;
        let wanted = if from == From::Memory { "memory" } else { "disk" };
        let mut tier = String::new();
        for _ in 0..500 {
            tier = house.get_with(&path, &[("Range", "bytes=0-0")]).await.tier().to_owned();
            if tier == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(tier, wanted);
    }
    Huge { house, path, bytes: bytes.to_vec() }
}

impl Huge {
    /// A client that asks for the file, takes the first bytes and falls asleep.
    async fn sleeper(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let mut stream = socket.connect(self.house.address).await.unwrap();
        stream.write_all(format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.path).as_bytes()).await.unwrap();
        let mut first = [0; 1000];
        stream.read_exact(&mut first).await.unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&first));
        stream
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sleeps_in_the_middle_holds_up_nobody() {
    let bytes = wheel("demo", "1.0", HUGE, 7);
    for from in [From::Memory, From::Disk, From::Flight] {
        // The sleepers stay: whoever waited for them would wait a minute.
        let huge = huge(from, Duration::from_secs(60), &bytes).await;
        let before = huge.house.metrics.connections();
        let sleepers = [huge.sleeper().await, huge.sleeper().await];
        let whole = tokio::time::timeout(PATIENCE, huge.house.get(&huge.path)).await;
        let whole = whole.unwrap_or_else(|_| panic!("{from:?}: held up by one who sleeps"));
        assert_eq!((whole.status, whole.body == huge.bytes), (200, true), "{from:?}");
        assert!(huge.house.metrics.connections() >= before + 2, "{from:?}: the sleepers were not there any more");
        drop(sleepers);
        huge.house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_for_long_is_cut() {
    let bytes = wheel("demo", "1.0", HUGE, 7);
    for from in [From::Memory, From::Disk, From::Flight] {
        let huge = huge(from, Duration::from_millis(300), &bytes).await;
        let before = huge.house.metrics.connections();
        let mut sleeper = huge.sleeper().await;
        eventually("the sleeper is there", || huge.house.metrics.connections() == before + 1).await;
        eventually("the sleeper is cut", || huge.house.metrics.connections() <= before).await;
        let rest = until_closed(&mut sleeper).await;
        assert!(rest.len() < huge.bytes.len() / 2, "{from:?}: {} bytes came", rest.len());
        huge.house.end().await;
    }
}

//! Beginning and end: sockets that are bound, and a stop that truncates nothing unseen.

use crate::hostile::{PATIENCE, eventually, split, until_closed};
use crate::support::house::House;
use crate::support::{wheel, wheel_filename};
use futures_util::future::join_all;
use sidewheel::config::Listen;
use sidewheel::server::{Bound, ListenError, Server};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const LARGE: usize = 3_000_000;
/// Where upstream stops until it is let go.
const HELD_BYTES: usize = 1_000_000;
const FILES: usize = 5;
const CLIENTS: usize = 20;

struct File {
    path: String,
    upstream_path: String,
    bytes: Vec<u8>,
}

async fn files(house: &House, count: usize) -> Vec<File> {
    let mut files = Vec::new();
    for number in 0..count {
        let version = format!("{number}.0");
        let (filename, bytes) = (wheel_filename("demo", &version), wheel("demo", &version, LARGE, number as u64));
        house.upstream.project("demo").wheel(&filename, bytes.clone());
        files.push(File { path: filename.clone(), upstream_path: format!("/files/{filename}"), bytes });
    }
    for file in &mut files {
        file.path = house.file_path("demo", &file.path).await;
    }
    files
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_running_answers_finish() {
    let mut house = House::start().await;
    let files = files(&house, FILES).await;
    let gates: Vec<_> = files.iter().map(|file| house.upstream.hold_after(&file.upstream_path, HELD_BYTES)).collect();
    // Idle: one that has asked and one that never did. In the middle of a head: one that still may end it.
    let mut idle = [TcpStream::connect(house.address).await.unwrap(), TcpStream::connect(house.address).await.unwrap()];
    let mut late = TcpStream::connect(house.address).await.unwrap();
    let mut some = [0; 15];
    idle[0].write_all(get("/+health").as_bytes()).await.unwrap();
    idle[0].read_exact(&mut some).await.unwrap();
    late.write_all(b"GET /+health HTTP/1.1\r\n").await.unwrap();
    let mut running = Vec::new();
    for number in 0..CLIENTS {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(get(&files[number % FILES].path).as_bytes()).await.unwrap();
        let mut got = vec![0; 10_000];
        stream.read_exact(&mut got).await.unwrap();
        running.push((number % FILES, stream, got));
    }
    eventually("all are in", || house.metrics.connections() >= CLIENTS as i64 + 3).await;

    let (address, server) = (house.address, house.take_server());
    let stopping = tokio::spawn(server.stop(PATIENCE));
    for stream in &mut idle {
        until_closed(stream).await;
    }
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("new connections are still accepted");
    late.write_all(b"Host: localhost\r\n\r\n").await.unwrap();
    let answers = split(&until_closed(&mut late).await, &[]);
    assert_eq!((answers.len(), answers[0].status, answers[0].closes()), (1, 200, true));
    assert!(!stopping.is_finished(), "answers are still running");

    gates.iter().for_each(|gate| gate.release());
    for (number, mut stream, mut got) in running {
        got.extend(until_closed(&mut stream).await);
        let answers = split(&got, &[]);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].status == 200 && answers[0].body == files[number].bytes, "file {number}");
    }
    assert!(stopping.await.unwrap(), "stop says that something did not finish");
    assert_eq!(house.metrics.connections(), 0);
    house.end().await;
}

/// A client that keeps its connection gets its answer whole, and no other after it.
#[tokio::test]
async fn a_stop_without_work_is_quick() {
    let mut house = House::start().await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(get("/+health").as_bytes()).await.unwrap();
        let mut some = [0; 15];
        stream.read_exact(&mut some).await.unwrap();
        crowd.push(stream);
    }
    let started = Instant::now();
    assert!(house.take_server().stop(PATIENCE).await);
    assert!(started.elapsed() < PATIENCE / 3, "{:?}", started.elapsed());
    join_all(crowd.iter_mut().map(until_closed)).await;
    house.end().await;
}

/// As the program does it: past the deadline the runtime ends, and with it what still runs.
#[test]
fn past_the_deadline_answers_are_cut_and_look_cut() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut house, files, gates) = runtime.block_on(async {
        let house = House::start().await;
        let files = files(&house, 2).await;
        let gates: Vec<_> = files.iter().map(|f| house.upstream.hold_after(&f.upstream_path, HELD_BYTES)).collect();
        (house, files, gates)
    });
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut stream = std::net::TcpStream::connect(house.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(get(&files[number % files.len()].path).as_bytes()).unwrap();
        let mut got = vec![0; 10_000];
        stream.read_exact(&mut got).unwrap();
        clients.push((stream, got));
    }
    let server = house.take_server();
    assert!(!runtime.block_on(server.stop(Duration::from_millis(200))), "nothing can have finished");
    runtime.shutdown_timeout(Duration::from_millis(100));
    for (mut stream, mut got) in clients {
        let end = stream.read_to_end(&mut got);
        assert!(!end.is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock), "the connection stays open");
        let body = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&got[..body]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let length: usize = length.parse().unwrap();
        assert!(head.starts_with("http/1.1 200") && length > LARGE, "{head}");
        assert!(got.len() - body < length, "whole, although upstream never sent it all");
    }
    drop(gates);
}

/// A server of the same house that listens elsewhere.
fn server_at(house: &House, listen: &Listen) -> Result<Server, ListenError> {
    let bound = Bound::bind(listen)?;
    Ok(Server::start(vec![bound], house.another_handler()))
}

async fn ask(socket: &Path, host: &str) -> u16 {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("GET /simple/demo/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answers = split(&answer, &[]);
    assert_eq!(answers.len(), 1);
    answers[0].status
}

#[tokio::test]
async fn a_unix_socket_serves_its_group_and_leaves_with_its_server() {
    let house = House::start().await;
    house.upstream.project("demo").wheel(&wheel_filename("demo", "1.0"), wheel("demo", "1.0", 1000, 1));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sidewheel.sock");
    let listen = Listen::Unix(path.clone());
    // What a server that was killed left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = server_at(&house, &listen).unwrap_or_else(|why| panic!("{why}"));
    assert!(server.addresses().is_empty());
    let facts = std::fs::symlink_metadata(&path).unwrap();
    assert!(facts.file_type().is_socket());
    assert_eq!(facts.permissions().mode() & 0o7777, 0o660);
    for (host, status) in [("localhost", 200), ("localhost:1", 200), ("evil.example", 421), ("", 400)] {
        assert_eq!(ask(&path, host).await, status, "{host}");
    }
    let facts = std::fs::symlink_metadata(&path).unwrap();
    assert_eq!(facts.permissions().mode() & 0o7777, 0o660, "whoever accepts there has opened it to everybody");

    let taken = server_at(&house, &listen).err().expect("a live socket was replaced");
    assert!(matches!(taken, ListenError::Taken { .. }));
    assert!(taken.to_string().contains(&path.display().to_string()), "{taken}");
    assert_eq!(ask(&path, "localhost").await, 200, "the refused one has broken the one that serves");

    assert!(server.stop(PATIENCE).await);
    assert!(!path.exists(), "the socket's file is left");
    house.end().await;
}

/// While the old server still sends its last answers, a new one may listen at the same path, and keeps its file.
#[tokio::test]
async fn a_server_that_stops_leaves_the_next_ones_socket_alone() {
    let (house, next) = (House::start().await, House::start().await);
    let gate = house.upstream.hold("demo");
    house.upstream.project("demo").wheel(&wheel_filename("demo", "1.0"), wheel("demo", "1.0", 1000, 1));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sidewheel.sock");
    let old = server_at(&house, &Listen::Unix(path.clone())).unwrap();
    let last = async {
        let status = ask(&path, "localhost").await;
        assert_eq!(status, 200);
    };
    let change = async {
        gate.reached(1).await;
        let stopping = tokio::spawn(old.stop(PATIENCE));
        eventually("the file is gone", || !path.exists()).await;
        let new = server_at(&next, &Listen::Unix(path.clone())).unwrap();
        gate.release();
        assert!(stopping.await.unwrap());
        new
    };
    let ((), new) = tokio::join!(last, change);
    assert!(path.exists(), "the old server took the new one's socket away");
    assert_eq!(ask(&path, "localhost").await, 404);
    assert!(new.stop(PATIENCE).await);
    house.end().await;
    next.end().await;
}

/// Only a socket that nobody holds is replaced.
#[tokio::test]
async fn what_is_not_a_stale_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    std::fs::write(&path, "mine").unwrap();
    let failed = Bound::bind(&Listen::Unix(path.clone())).err().expect("a file was replaced by a socket");
    assert!(failed.to_string().contains("notes.txt"), "{failed}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");

    let path = directory.path().join("syslog.sock");
    let _other = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let failed = Bound::bind(&Listen::Unix(path.clone())).err().expect("another service's socket was replaced");
    assert!(matches!(failed, ListenError::Taken { .. }), "{failed}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_taken_port_is_told_by_its_address() {
    let house = House::start().await;
    let failed = Bound::bind(&Listen::Tcp(house.address)).err().expect("one port for two servers");
    assert!(failed.to_string().contains(&house.address.to_string()), "{failed}");
    house.end().await;
}

//! One server takes over from another: who answers at each step, and what a takeover that fails leaves behind.

use crate::hostile::{PATIENCE, split, until_closed};
use crate::support::house::House;
use sidewheel::cache::Disk;
use sidewheel::config::Listen;
use sidewheel::http::Hosts;
use sidewheel::names::IndexName;
use sidewheel::server::{Bound, Handler, HandlerParts, Server, Standing, Takeover, Timeouts};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough for an answer that is not held back.
const MOMENT: Duration = Duration::from_millis(300);

const HEALTH: &str = "GET /+health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A write that is refused by whoever answers it: what matters is who, and when.
const WRITE: &str =
    "POST /+login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

async fn connected(house: &House) -> TcpStream {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(HEALTH.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
    stream
}

/// What comes until there is nothing for a moment.
async fn answer(stream: &mut TcpStream) -> String {
    let mut got = vec![0; 4096];
    let count = tokio::time::timeout(PATIENCE, stream.read(&mut got)).await.unwrap().unwrap();
    String::from_utf8_lossy(&got[..count]).into_owned()
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(MOMENT, stream.read_u8()).await.is_err()
}

fn handler(house: &House) -> Handler {
    Handler::new(HandlerParts {
        index: house.index.clone(),
        metrics: house.metrics.clone(),
        clock: house.clock.clone(),
        hosts: Hosts::default(),
        default_index: IndexName::parse("root/pypi").unwrap(),
        public_url: None,
        page_max_age: 600,
        upload_bytes_max: 1 << 20,
        connections_max: 64,
        timeouts: Timeouts { quiet: Duration::from_millis(10), ..Timeouts::default() },
    })
}

#[tokio::test]
async fn requests_wait_while_it_is_decided_and_a_takeover_that_is_given_up_leaves_all_as_it_was() {
    let house = House::start().await;
    let (mut kept, mut writes) = (connected(&house).await, connected(&house).await);
    let mut takeover = Takeover::ask(house.data()).await.unwrap().unwrap();
    assert!(takeover.listener(&Listen::Tcp(house.address)).is_some());
    assert!(takeover.listener(&Listen::Tcp("127.0.0.1:1".parse().unwrap())).is_none());
    kept.write_all(HEALTH.as_bytes()).await.unwrap();
    assert!(answer(&mut kept).await.starts_with("HTTP/1.1 200 "), "until the new one is ready the old one serves");

    let lock = takeover.claim().await.unwrap().expect("no lock was handed over");
    let mut new = TcpStream::connect(house.address).await.expect("the kernel takes who connects");
    for (stream, request) in [(&mut kept, HEALTH), (&mut writes, WRITE), (&mut new, HEALTH)] {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(is_silent(stream).await);
    }
    assert!(Disk::open(house.data()).is_err(), "the data directory is nobody's for a moment");

    drop((takeover, lock));
    assert!(answer(&mut kept).await.starts_with("HTTP/1.1 200 "));
    assert!(answer(&mut new).await.starts_with("HTTP/1.1 200 "));
    assert!(answer(&mut writes).await.starts_with("HTTP/1.1 4"));
    assert!(Disk::open(house.data()).is_err(), "the old server has lost its lock");
    kept.write_all(HEALTH.as_bytes()).await.unwrap();
    assert!(!answer(&mut kept).await.to_lowercase().contains("connection: close"));
    drop((kept, writes, new));
    house.end().await;
}

#[tokio::test]
async fn a_running_upload_is_waited_for_while_others_are_answered() {
    let house = House::start().await;
    let mut writes = connected(&house).await;
    let (head, rest) = WRITE.split_at(WRITE.len() - 1);
    writes.write_all(head.as_bytes()).await.unwrap();
    assert!(is_silent(&mut writes).await);
    let mut takeover = Takeover::ask(house.data()).await.unwrap().unwrap();
    let claiming = tokio::spawn(async move { (takeover.claim().await.unwrap().is_some(), takeover) });
    tokio::time::sleep(MOMENT).await;
    assert!(!claiming.is_finished(), "a write was not waited for");
    drop(connected(&house).await);
    writes.write_all(rest.as_bytes()).await.unwrap();
    assert!(answer(&mut writes).await.starts_with("HTTP/1.1 4"));
    let (handed, takeover) = claiming.await.unwrap();
    assert!(handed);
    drop((takeover, writes));
    house.end().await;
}

#[tokio::test]
async fn after_a_takeover_kept_connections_reach_the_new_server_and_end_with_its_answer() {
    let mut house = House::start().await;
    let (mut kept, mut writes, mut waits) = (connected(&house).await, connected(&house).await, connected(&house).await);
    let mut takeover = Takeover::ask(house.data()).await.unwrap().unwrap();
    let bound = takeover.listener(&Listen::Tcp(house.address)).unwrap();
    let _lock = takeover.claim().await.unwrap();
    waits.write_all(HEALTH.as_bytes()).await.unwrap();
    takeover.ready().await.unwrap();
    let mut new = Server::start(vec![bound], handler(&house));
    new.open_control(house.data(), Standing { started: 0, format: 1 }, takeover.control());
    takeover.finish().await;

    let before = house.metrics.connections();
    for (stream, request, status) in [(&mut waits, "", "200"), (&mut kept, HEALTH, "200"), (&mut writes, WRITE, "4")] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let answers = split(&until_closed(stream).await, &[]);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].status.to_string().starts_with(status) && answers[0].closes(), "{request}");
    }
    assert!(before >= 3, "the old connections were closed");
    drop(connected(&house).await);
    let old = house.take_server();
    assert!(new.stop(PATIENCE).await);
    assert!(old.end(PATIENCE).await, "something hangs at the old server");
    house.end().await;
}

#[tokio::test]
async fn where_a_newer_version_changed_the_data_and_died_the_old_one_only_reads() {
    let house = House::start().await;
    let (mut kept, mut writes) = (connected(&house).await, connected(&house).await);
    let mut takeover = Takeover::ask(house.data()).await.unwrap().unwrap();
    let lock = takeover.claim().await.unwrap();
    std::fs::write(house.data().join("format"), "999\nsidewheel 9.9\n").unwrap();
    drop((takeover, lock));
    kept.write_all(HEALTH.as_bytes()).await.unwrap();
    assert!(answer(&mut kept).await.starts_with("HTTP/1.1 200 "));
    writes.write_all(WRITE.as_bytes()).await.unwrap();
    let answers = split(&until_closed(&mut writes).await, &[]);
    assert_eq!(answers[0].status, 503);
    assert!(String::from_utf8_lossy(&answers[0].body).contains("newer version"));
    drop(kept);
    house.end().await;
}

#[test]
fn only_listening_sockets_are_taken_from_others() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = std::net::TcpStream::connect(address).unwrap();
    let adopted = Bound::adopt(OwnedFd::from(listener), |_| true).expect("a listening socket");
    assert!(adopted.is_lent() && adopted.address() == Some(address) && adopted.serves(&Listen::Tcp(address)));
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = tempfile::tempfile().unwrap();
    for (what, socket) in [("stream", stream.into()), ("datagrams", datagrams.into()), ("file", OwnedFd::from(file))] {
        let why = Bound::adopt(socket, |_| true).err().unwrap_or_else(|| panic!("{what} was taken"));
        assert!(why.to_string().contains("cannot be used"), "{why}");
    }
}

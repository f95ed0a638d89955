//! Downloads that nobody wants to the end.

use super::{PATIENCE, eventually, raise_descriptors};
use crate::support::house::House;
use crate::support::{wheel, wheel_filename};
use futures_util::future::join_all;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LARGE: usize = 3_000_000;
const FILES: usize = 10;
const ABORTS: usize = 500;

/// What a house keeps open: files below its data directory, by name, and connections to its port. Other tests of this
/// process have their own. The databases open their files anew for each of their few connections, when they need one.
#[cfg(target_os = "linux")]
fn held(data: &Path, port: u16) -> (Vec<String>, usize) {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let files = targets.filter(|target| target.starts_with(data)).map(|target| target.display().to_string());
    let mut files: Vec<_> = files.filter(|name| !name.contains(".db")).collect();
    files.sort();
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let ours = format!(":{port:04X}");
    let connections = table.lines().skip(1).filter(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (local, state, inode) = (words[1], words[3], words[9]);
        // Not the listener, and not what the kernel keeps after a close.
        local.ends_with(&ours) && state != "0A" && inode != "0"
    });
    (files, connections.count())
}

#[cfg(not(target_os = "linux"))]
fn held(_: &Path, _: u16) -> (Vec<String>, usize) {
    Default::default()
}

/// Asks, takes some of the answer, and is gone; every other one without a goodbye.
async fn abort(house: &House, path: &str, number: usize) {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut some = vec![0; number * 4093 % 600_000];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut some)).await;
    read.expect("nothing comes").unwrap();
    if number % 2 == 1 {
        stream.set_zero_linger().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_aborted_downloads_leave_nothing() {
    raise_descriptors();
    let house = House::start().await;
    let port = house.address.port();
    let mut files = Vec::new();
    for number in 0..=FILES {
        let version = format!("{number}.0");
        let (filename, bytes) = (wheel_filename("demo", &version), wheel("demo", &version, LARGE, number as u64));
        house.upstream.project("demo").wheel(&filename, bytes.clone());
        files.push((filename, bytes));
    }
    let mut paths = Vec::new();
    for (filename, _) in &files {
        paths.push(house.file_path("demo", filename).await);
    }
    // One download to the end, so that what stays open anyhow is open; its own file is not, once it is sent.
    house.get(&paths[FILES]).await;
    eventually("the first fetch is done", || house.index.under_way() == 0).await;
    let stored = |name: &String| {
        ["files", "private", "tmp"].iter().any(|part| Path::new(name).starts_with(house.data().join(part)))
    };
    let stored_open = || held(house.data(), port).0.iter().filter(|name| stored(name)).count();
    eventually("the file of the first download is closed", || stored_open() == 0).await;
    let (files_before, connections_before) = held(house.data(), port);
    // A whole file may stay open for who asks next, once.
    let kept = |name: &String| Path::new(name).starts_with(house.data().join("files"));
    let metric_before = house.metrics.connections();

    for batch in 0..ABORTS / 50 {
        let numbers = (0..50).map(|n| batch * 50 + n);
        join_all(numbers.map(|number| abort(&house, &paths[number % FILES], number))).await;
    }
    eventually("all connections are gone", || house.metrics.connections() <= metric_before).await;
    eventually("no fetch is under way", || house.index.under_way() == 0).await;
    let files_now = || held(house.data(), port).0.into_iter().filter(|name| !kept(name)).collect::<Vec<_>>();
    eventually("all files are closed", || files_now().len() <= files_before.len()).await;
    assert_eq!(files_now(), files_before);
    eventually("whole files are open once at most", || {
        let all = held(house.data(), port).0;
        all.windows(2).all(|pair| pair[0] != pair[1])
    })
    .await;
    eventually("all sockets are closed", || held(house.data(), port).1 <= connections_before).await;
    let left = std::fs::read_dir(house.data().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "temporary files are left");

    // The fetches went on without their clients: one each, and right.
    for ((filename, bytes), path) in files.iter().zip(&paths) {
        let answer = house.get(path).await;
        assert!(answer.status == 200 && answer.body == bytes[..], "{filename}");
        assert_eq!(house.upstream.count(&format!("/files/{filename}")), 1, "{filename}");
    }
    house.end().await;
}

//! Repeats one operation for `bench/guard`, which counts its instructions: `counts OPERATION REPETITIONS`.
//!
//! Only what runs within [`counted`] counts. What would make two runs differ is kept out of it: one thread does all
//! the work, the clock stands still, and nothing goes to a socket or a disk.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says so by panicking")]

mod flying;
mod page;
mod wire;
#[path = "../tests/it"]
mod it {
    pub mod support;
}

use it::support;
use page::page_json;
use sidewheel::config::LogFormat;
use sidewheel::names::ProjectName;
use sidewheel::run::subscribe;
use sidewheel::server::serve_stream;
use sidewheel::simple::{from_stored, parse_json, render_html, render_json, to_stored};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use support::house::House;
use tokio::runtime::{Builder, Runtime};
use url::Url;
use wire::Wire;

/// The program's own, so that it counts as there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Files of a page of 13 KB and of one of 250 KB, which tells what ten times as much would.
const SMALL_FILES: usize = 22;
const LARGE_FILES: usize = 430;
const BASE: &str = "../../";

const WHEEL_BYTES: usize = 1_000_000;
const WHEEL: &str = "hot-1.0-py3-none-any.whl";

const PEER: &str = "127.0.0.1:50000";
const PORT: u16 = 3141;

/// Requests before those that count: the first ones render and compress.
const WARM_UP: usize = 100;

/// What uv 0.9 sends with every request; other installers send less.
const UV: &str = "user-agent: uv/0.9.5 {\"installer\":{\"name\":\"uv\",\"version\":\"0.9.5\",\"subcommand\":[\"sync\"]},\
    \"python\":\"3.12.12\",\"implementation\":{\"name\":\"CPython\",\"version\":\"3.12.12\"},\"distro\":{\"name\":\"Ubuntu\",\
    \"version\":\"24.04\",\"id\":\"noble\",\"libc\":{\"lib\":\"glibc\",\"version\":\"2.39\"}},\"system\":{\"name\":\"Linux\",\
    \"release\":\"6.8.0-85-generic\"},\"cpu\":\"x86_64\",\"openssl_version\":null,\"setuptools_version\":null,\
    \"rustc_version\":null,\"ci\":null}\r\nhost: 127.0.0.1:3141\r\n\r\n";
const PAGE_LINES: &str = "accept: application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, \
    text/html;q=0.01\r\naccept-encoding: gzip, br, zstd\r\n";
const FILE_LINES: &str = "accept: */*\r\naccept-encoding: identity\r\n";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (operation, times) = (arguments.next().unwrap_or_default(), arguments.next());
    let Some(times) = times.and_then(|times| times.parse().ok()) else {
        panic!("run bench/guard, or: counts OPERATION REPETITIONS");
    };
    match operation.as_str() {
        "hot-page" => hot(times, false),
        "hot-wheel" => hot(times, true),
        "flight-state" => repeat(times, flying::live),
        "flight-followers" => followers(times),
        _ => page(&operation, times),
    }
}

/// The whole of a hot request between its head and its answer: reading, the memory, the answer's head, the log's line.
fn hot(times: usize, wheel: bool) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let house = runtime.block_on(House::start());
    let handler = Arc::new(house.another_handler());
    let (path, lines, least) = match wheel {
        true => (runtime.block_on(wheel_in_memory(&house)), FILE_LINES, WHEEL_BYTES),
        false => (runtime.block_on(page_in_memory(&house)), PAGE_LINES, 1),
    };
    // As the program logs, but for the thread that writes it down.
    subscribe(std::io::sink, LogFormat::Human, &BTreeMap::new());
    // What the first request left to be done would count for one run and not for another.
    runtime.block_on(async {
        while house.index.under_way() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let ask = |times: usize| {
        let mut wire = Wire::new(format!("GET {path} HTTP/1.1\r\n{lines}{UV}"), times);
        let handler = Arc::clone(&handler);
        // A task of its own, as each connection is.
        let wire = runtime.block_on(runtime.spawn(async move {
            serve_stream(&mut wire, &handler, PEER.parse().unwrap(), PORT).await;
            wire
        }));
        let wire = wire.unwrap();
        let head = String::from_utf8_lossy(&wire.last);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("X-Cache: memory\r\n"), "{head}");
        assert!(wire.received > times * least, "{} bytes in {times} answers", wire.received);
    };
    ask(WARM_UP);
    counted(&mut || ask(times));
    runtime.block_on(house.end());
}

async fn page_in_memory(house: &House) -> String {
    house.upstream.put("/simple/demo/", "application/vnd.pypi.simple.v1+json", page_json(SMALL_FILES));
    // The wire asks once more before it is counted, for its own encoding.
    assert_eq!(house.page("demo").await.status, 200);
    "/root/pypi/+simple/demo/".to_owned()
}

async fn wheel_in_memory(house: &House) -> String {
    house.upstream.project("hot").wheel(WHEEL, support::noise(WHEEL_BYTES, 1));
    let path = house.file_path("hot", WHEEL).await;
    while house.get(&path).await.tier() != "memory" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    path
}

/// One of the operations on a page of 250 KB.
fn page(operation: &str, times: usize) {
    let json = page_json(LARGE_FILES);
    let (url, name) = (Url::parse("https://index.example/simple/demo/").unwrap(), ProjectName::parse("demo").unwrap());
    let page = parse_json(json.as_bytes(), &url, &name).unwrap();
    assert_eq!((page.files.len(), page.dropped), (LARGE_FILES, 0), "the generated page must be read whole");
    let stored = to_stored(&page);
    match operation {
        "page-parse" => repeat(times, || parse_json(black_box(json.as_bytes()), &url, &name)),
        "page-store" => repeat(times, || to_stored(black_box(&page))),
        "page-read-stored" => repeat(times, || from_stored(black_box(&stored))),
        "page-render-json" => repeat(times, || render_json(black_box(&page), BASE)),
        "page-render-html" => repeat(times, || render_html(black_box(&page), BASE)),
        _ => panic!("no operation is called {operation:?}"),
    }
}

fn followers(times: usize) {
    let runtime: Runtime = Builder::new_current_thread().build().unwrap();
    let file = Arc::new(tempfile::tempfile().unwrap());
    repeat(times, || flying::fly(&runtime, &file));
}

/// Once for what is made on first use, and then as often as it counts.
fn repeat<T>(times: usize, operation: impl Fn() -> T) {
    black_box(operation());
    counted(&mut || (0..times).for_each(|_| drop(black_box(operation()))));
}

/// Counting begins and ends with this function; `bench/guard` knows it by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

//! What a flight costs beside its bytes: the pure state, joining, and one leader waking 32 followers.
//!
//! No byte is read or written here; a file of 100 MB arrives in pieces of 256 KiB, as the writer announces them.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidewheel::cache::{Flight, FlightState, Flights, Follower, Joined, Leader, Progress};
use std::fs::File;
use std::hint::black_box;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

const FILE_BYTES: u64 = 100_000_000;
const PIECE_BYTES: u64 = 256 * 1024;
const FOLLOWERS: usize = 32;

fn pieces() -> impl Iterator<Item = u64> {
    (0..FILE_BYTES.div_ceil(PIECE_BYTES)).map(|n| PIECE_BYTES.min(FILE_BYTES - n * PIECE_BYTES))
}

/// The whole life of a state: begun, told of each piece and asked what is readable, finished.
fn state(c: &mut Criterion) {
    let mut group = c.benchmark_group("flight state");
    group.throughput(Throughput::Elements(FILE_BYTES.div_ceil(PIECE_BYTES)));
    group.bench_function("100 MB in 256 KiB", |b| {
        b.iter(|| {
            let mut state = FlightState::new();
            state.begin(black_box(Some(FILE_BYTES)));
            for piece in pieces() {
                state.wrote(black_box(piece));
                black_box(state.readable());
            }
            state.finish();
            assert_eq!(state.progress(), Progress::Done { len: FILE_BYTES });
        });
    });
    group.finish();
}

/// Asking for a key while a thousand others are in flight: one that is under way, and one that is led and dropped.
fn join(c: &mut Criterion) {
    let flights: Flights<u64> = Flights::new();
    let leaders: Vec<_> = (0..1000).map(|key| lead(&flights, key)).collect();
    let mut group = c.benchmark_group("flight join");
    group.bench_function("follow", |b| {
        b.iter(|| assert!(matches!(flights.join(black_box(&500), 0), Joined::Follows(_))));
    });
    group.bench_function("lead and drop", |b| {
        b.iter(|| assert!(matches!(flights.join(black_box(&5000), 0), Joined::Leads(..))));
    });
    group.finish();
    assert_eq!(flights.running(), leaders.len());
}

/// One leader and its followers on one thread: each piece wakes them all.
fn followers(c: &mut Criterion) {
    let file = Arc::new(tempfile::tempfile().expect("a temporary file"));
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let mut group = c.benchmark_group("flight followers");
    group.throughput(Throughput::Elements(FILE_BYTES.div_ceil(PIECE_BYTES) * FOLLOWERS as u64));
    group.sample_size(50);
    group.bench_function("32 followers, 100 MB in 256 KiB", |b| {
        b.iter(|| assert_eq!(fly(&runtime, &file), FILE_BYTES * FOLLOWERS as u64));
    });
    group.finish();
}

fn fly(runtime: &Runtime, file: &Arc<File>) -> u64 {
    runtime.block_on(async {
        let flights: Flights<u64> = Flights::new();
        let (leader, flight) = lead(&flights, 0);
        let followers: Vec<_> = (0..FOLLOWERS).map(|_| tokio::spawn(drained(flight.follow()))).collect();
        leader.begin(Some(FILE_BYTES), Arc::clone(file));
        for piece in pieces() {
            leader.wrote(piece);
            // The followers run now, as they would while the next piece is on its way.
            tokio::task::yield_now().await;
        }
        leader.finish(None);
        let mut bytes = 0;
        for follower in followers {
            bytes += follower.await.expect("a follower");
        }
        bytes
    })
}

/// How many bytes a follower was let read up to the verified end.
async fn drained(mut follower: Follower) -> u64 {
    let mut bytes = 0;
    while let Some((_, range)) = follower.next().await.expect("a whole file") {
        bytes += range.end - range.start;
    }
    bytes
}

fn lead(flights: &Flights<u64>, key: u64) -> (Leader<u64>, Flight) {
    match flights.join(&key, 0) {
        Joined::Leads(leader, flight) => (leader, flight),
        Joined::Follows(_) => panic!("somebody leads already"),
    }
}

criterion_group!(benches, state, join, followers);
criterion_main!(benches);

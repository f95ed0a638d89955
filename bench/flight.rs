//! What a flight costs beside its bytes: the pure state, joining, and one leader waking 32 followers.
//!
//! No byte is read or written here.

mod flying;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flying::{FILE_BYTES, FOLLOWERS, PIECE_BYTES, fly, lead, live};
use sidewheel::cache::{Flights, Joined};
use std::hint::black_box;
use std::sync::Arc;
use tokio::runtime::Builder;

/// The whole life of a state: begun, told of each piece and asked what is readable, finished.
fn state(c: &mut Criterion) {
    let mut group = c.benchmark_group("flight state");
    group.throughput(Throughput::Elements(FILE_BYTES.div_ceil(PIECE_BYTES)));
    group.bench_function("100 MB in 256 KiB", |b| b.iter(live));
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

criterion_group!(benches, state, join, followers);
criterion_main!(benches);

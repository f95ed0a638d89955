//! What a flight costs beside its bytes: the pure state, joining, and one leader waking 32 followers.
//!
//! `cargo bench --bench flight`. No byte is read or written here.

mod flying;

use divan::Bencher;
use divan::counter::ItemsCount;
use flying::{FILE_BYTES, FOLLOWERS, PIECE_BYTES, fly, lead, live};
use sidewheel::cache::{Flights, Joined};
use std::hint::black_box;
use std::sync::Arc;
use tokio::runtime::Builder;

/// Flights under way while another one is asked for.
const UNDER_WAY: u64 = 1000;

fn main() {
    divan::main();
}

/// The whole life of a state: begun, told of each piece and asked what is readable, finished.
#[divan::bench]
fn state(bencher: Bencher) {
    bencher.counter(ItemsCount::new(FILE_BYTES.div_ceil(PIECE_BYTES))).bench(live);
}

/// Asking for a key that is under way.
#[divan::bench]
fn join_and_follow(bencher: Bencher) {
    beside_others(bencher, UNDER_WAY / 2, |joined| assert!(matches!(joined, Joined::Follows(_))));
}

/// Asking for a key that is not: it is led, and dropped.
#[divan::bench]
fn join_lead_and_drop(bencher: Bencher) {
    beside_others(bencher, 5 * UNDER_WAY, |joined| assert!(matches!(joined, Joined::Leads(..))));
}

fn beside_others(bencher: Bencher, key: u64, each: impl Fn(Joined<u64>) + Sync) {
    let flights: Flights<u64> = Flights::new();
    let leaders: Vec<_> = (0..UNDER_WAY).map(|key| lead(&flights, key)).collect();
    bencher.bench_local(|| each(flights.join(black_box(&key), 0)));
    assert_eq!(flights.running(), leaders.len());
}

/// One leader and its followers on one thread: each piece wakes them all.
#[divan::bench(sample_count = 50)]
fn followers(bencher: Bencher) {
    let file = Arc::new(tempfile::tempfile().expect("a temporary file"));
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    bencher
        .counter(ItemsCount::new(FILE_BYTES.div_ceil(PIECE_BYTES) * FOLLOWERS as u64))
        .bench_local(|| assert_eq!(fly(&runtime, &file), FILE_BYTES * FOLLOWERS as u64));
}

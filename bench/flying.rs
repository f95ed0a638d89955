//! A flight without its bytes: a file of 100 MB in pieces of 256 KiB, as the writer announces them.

use sidewheel::cache::{Flight, FlightState, Flights, Follower, Joined, Leader, Progress};
use std::fs::File;
use std::hint::black_box;
use std::sync::Arc;
use tokio::runtime::Runtime;

pub const FILE_BYTES: u64 = 100_000_000;
pub const PIECE_BYTES: u64 = 256 * 1024;
pub const FOLLOWERS: usize = 32;

fn pieces() -> impl Iterator<Item = u64> {
    (0..FILE_BYTES.div_ceil(PIECE_BYTES)).map(|n| PIECE_BYTES.min(FILE_BYTES - n * PIECE_BYTES))
}

/// The whole life of a state: begun, told of each piece and asked what is readable, finished.
pub fn live() {
    let mut state = FlightState::new();
    state.begin(black_box(Some(FILE_BYTES)));
    for piece in pieces() {
        state.wrote(black_box(piece));
        black_box(state.readable());
    }
    state.finish();
    assert_eq!(state.progress(), Progress::Done { len: FILE_BYTES });
}

/// A whole flight with its followers, on one thread; how many bytes these were let read.
pub fn fly(runtime: &Runtime, file: &Arc<File>) -> u64 {
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

pub fn lead(flights: &Flights<u64>, key: u64) -> (Leader<u64>, Flight) {
    match flights.join(&key, 0) {
        Joined::Leads(leader, flight) => (leader, flight),
        Joined::Follows(_) => panic!("somebody leads already"),
    }
}

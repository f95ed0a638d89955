use super::*;
use proptest::prelude::*;
use std::os::unix::fs::FileExt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

#[derive(Debug, Clone)]
enum Step {
    Begin(Option<u64>),
    Wrote(u64),
    Rewind,
    Finish,
    Fail,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        prop::option::of(0..300_000_u64).prop_map(Step::Begin),
        (0..100_000_u64).prop_map(Step::Wrote),
        Just(Step::Rewind),
        Just(Step::Finish),
        Just(Step::Fail),
    ];
    prop::collection::vec(step, 0..12)
}

proptest! {
    /// Whatever happens: readable bytes never shrink, never reach the held-back end before the flight is done, an
    /// ended flight stays as it ended, and it is done only with as many bytes as promised.
    #[test]
    fn the_state_keeps_its_promises(steps in steps()) {
        let mut state = FlightState::new();
        for step in steps {
            let before = state;
            match step {
                Step::Begin(len) => state.begin(len),
                Step::Wrote(bytes) => state.wrote(bytes),
                Step::Rewind => { state.rewind(); }
                Step::Finish => state.finish(),
                Step::Fail => state.fail(Failure::Broken),
            }
            if before.ended() {
                prop_assert_eq!(state, before);
            }
            match state.progress() {
                Progress::Writing { len: Some(len), .. } => {
                    prop_assert!(state.readable() <= len - hold_back(len));
                    prop_assert!(state.readable() >= before.readable());
                }
                Progress::Writing { len: None, .. } | Progress::Connecting | Progress::Failed(_) => prop_assert_eq!(state.readable(), 0),
                Progress::Done { len } => {
                    prop_assert_eq!(state.readable(), len);
                    if let Progress::Writing { len: Some(promised), .. } = before.progress() {
                        prop_assert_eq!(promised, len);
                    }
                }
            }
        }
    }
}

fn led(flights: &Flights<u8>) -> (Leader<u8>, Flight) {
    match flights.join(&1, 7) {
        Joined::Leads(leader, flight) => (leader, flight),
        Joined::Follows(_) => panic!("somebody leads already"),
    }
}

#[tokio::test]
async fn followers_read_while_it_grows_and_wait_for_the_end() {
    let flights = Flights::new();
    let (leader, flight) = led(&flights);
    let file = Arc::new(tempfile::tempfile().unwrap());
    leader.begin(Some(200_000), Arc::clone(&file));
    file.write_all_at(&[7; 200_000], 0).unwrap();
    leader.wrote(200_000);
    let mut follower = flight.follow();
    let (_, range) = follower.next().await.unwrap().unwrap();
    assert_eq!(range, 0..200_000 - 65_536);
    assert!(matches!(flights.join(&1, 7), Joined::Follows(_)));
    let rest = tokio::spawn(async move {
        (follower.next().await.unwrap().map(|(_, r)| r), follower.next().await.unwrap().is_none())
    });
    leader.finish(None);
    assert_eq!(rest.await.unwrap(), (Some(134_464..200_000), true));
    assert_eq!(flights.running(), 0);
}

/// Whether a waiting task was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn who_has_nothing_to_read_is_not_woken() {
    let flights = Flights::new();
    let (leader, flight) = led(&flights);
    let woken = Arc::new(Woken::default());
    let was_woken = || woken.0.swap(false, Ordering::SeqCst);
    let waker = Arc::clone(&woken).into();
    let mut context = Context::from_waker(&waker);

    let mut ready = pin!(flight.ready());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    leader.begin(Some(70_000), Arc::new(tempfile::tempfile().unwrap()));
    assert!(!was_woken(), "of a file that has no byte yet");
    leader.wrote(70_000 - 65_536);
    assert!(was_woken());
    assert_eq!(ready.as_mut().poll(&mut context), Poll::Ready(Ok(70_000)));

    let mut follower = flight.follow();
    assert!(pin!(follower.next()).poll(&mut context).is_ready());
    let mut next = pin!(follower.next());
    assert!(next.as_mut().poll(&mut context).is_pending());
    leader.wrote(65_536);
    assert!(!was_woken(), "by bytes that wait for the digest");
    leader.finish(None);
    assert!(was_woken());
    assert!(next.as_mut().poll(&mut context).is_ready());
}

#[tokio::test]
async fn a_vanished_leader_is_a_failure_and_the_next_asker_leads() {
    let flights = Flights::new();
    let (leader, flight) = led(&flights);
    leader.begin(Some(10), Arc::new(tempfile::tempfile().unwrap()));
    leader.wrote(10);
    let waiting = tokio::spawn(async move { flight.ready().await });
    drop(leader);
    assert_eq!(waiting.await.unwrap(), Err(Failure::Vanished));
    led(&flights);
}

#[tokio::test]
async fn a_short_file_never_ends_well() {
    let flights = Flights::new();
    let (leader, flight) = led(&flights);
    leader.begin(Some(10), Arc::new(tempfile::tempfile().unwrap()));
    leader.wrote(9);
    leader.finish(None);
    assert_eq!(flight.done().await, Err(Failure::Wrong));
}

#[test]
fn rewinding_is_refused_once_a_byte_could_have_been_read() {
    let flights = Flights::new();
    let (leader, _flight) = led(&flights);
    leader.begin(Some(65_537), Arc::new(tempfile::tempfile().unwrap()));
    assert!(leader.rewind());
    leader.begin(Some(65_537), Arc::new(tempfile::tempfile().unwrap()));
    leader.wrote(1);
    assert!(!leader.rewind());
}

#[tokio::test]
async fn a_leader_that_lingers_does_not_give_up_the_place_of_the_next() {
    let flights = Flights::new();
    let (old, _) = led(&flights);
    old.fail(Failure::Broken);
    let (_next, _) = led(&flights);
    drop(old);
    assert!(matches!(flights.join(&1, 7), Joined::Follows(_)), "a third led beside the second");
}

#[tokio::test]
async fn a_flight_is_seen_from_outside_while_it_lasts() {
    let flights = Flights::new();
    assert_eq!(flights.standings(), []);
    let (leader, first) = led(&flights);
    let second = first.clone();
    let standing = |progress, followers| [(1, Standing { progress, followers, began_ms: 7 })];
    assert_eq!(flights.standings(), standing(Progress::Connecting, 2));
    leader.begin(Some(10), Arc::new(tempfile::tempfile().unwrap()));
    leader.wrote(4);
    drop(second);
    let writing = Progress::Writing { len: Some(10), written: 4 };
    assert_eq!(flights.standings(), standing(writing, 1));
    let follower = first.follow();
    drop(first);
    assert_eq!(flights.standings(), standing(writing, 1));
    drop(follower);
    assert_eq!(flights.standings(), standing(writing, 0), "the fetch does not belong to the asker");
    leader.fail(Failure::Broken);
    assert_eq!(flights.standings(), []);
}

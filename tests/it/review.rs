//! Faults that a reading found: each of these failed once.

use crate::support::house::{House, Options, PAGE_TTL};
use crate::support::upstream::Misbehaviour;
use crate::support::{noise, sha256, wheel, wheel_filename};
use std::time::Duration;

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const LARGE: usize = 3_000_000;

/// The address of a file by its digest, without asking for a page.
fn address(filename: &str, bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    format!("/root/pypi/+f/{}/{}/{filename}", &digest[..3], &digest[3..16])
}

fn release(house: &House, version: &str, size: usize) -> (String, Vec<u8>) {
    let (filename, bytes) = (wheel_filename("demo", version), wheel("demo", version, size, 7));
    house.upstream.project("demo").wheel(&filename, bytes.clone());
    (filename, bytes)
}

#[tokio::test]
async fn an_absence_that_ran_out_is_no_404_while_upstream_is_gone() {
    let house = House::start().await;
    assert_eq!(house.page("demo").await.status, 404);
    house.upstream.set_down(true);
    house.clock.advance(Duration::from_secs(31));
    for _ in 0..3 {
        assert_eq!(house.page("demo").await.status, 502);
    }
    house.end().await;
}

#[tokio::test]
async fn a_file_that_only_upstream_could_know_is_no_404_while_it_is_gone() {
    let house = House::start().await;
    release(&house, "1.0", 100);
    house.page("demo").await;
    let (filename, bytes) = release(&house, "2.0", 100);
    house.upstream.set_down(true);
    house.clock.advance(PAGE_TTL);
    for _ in 0..3 {
        let answer = house.get(&address(&filename, &bytes)).await;
        assert!((502..=504).contains(&answer.status), "{}: {}", answer.status, answer.text());
    }
    let house = house.restart(|options| options.offline = true).await;
    assert_eq!(house.get(&address(&filename, &bytes)).await.status, 504, "offline nobody knows");
    house.end().await;
}

//! Core metadata (PEP 658): passed through, or read out of the wheel; announced only when it will be answered.

use crate::support::house::{House, Options};
use crate::support::upstream::Misbehaviour;
use crate::support::{noise, sha256, wheel, wheel_filename};
use std::io::{Cursor, Read};
use std::time::Duration;

const LARGE: usize = 3_000_000;

fn metadata_of(bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let name =
        archive.file_names().map(|name| name.unwrap().into_owned()).find(|name| name.ends_with("/METADATA")).unwrap();
    let mut text = Vec::new();
    archive.by_name(&name).unwrap().read_to_end(&mut text).unwrap();
    text
}

struct Wheel {
    house: House,
    filename: String,
    bytes: Vec<u8>,
    path: String,
}

async fn one_wheel(options: Options, with_metadata: bool) -> Wheel {
    let house = House::with(options).await;
    let (filename, bytes) = (wheel_filename("demo", "1.0"), wheel("demo", "1.0", LARGE, 3));
    let script = house.upstream.project("demo").wheel(&filename, bytes.clone());
    if with_metadata {
        drop(script.with_metadata());
    } else {
        drop(script);
    }
    let path = house.file_path("demo", &filename).await;
    Wheel { house, filename, bytes, path }
}

async fn announced(house: &House) -> serde_json::Value {
    house.page("demo").await.json()["files"][0]["core-metadata"].clone()
}

async fn until_announced(house: &House) -> serde_json::Value {
    for _ in 0..500 {
        let said = announced(house).await;
        if said["sha256"].is_string() {
            return said;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the page never announces metadata");
}

#[tokio::test]
async fn what_upstream_offers_is_passed_through_once() {
    let Wheel { house, filename, bytes, path } = one_wheel(Options::default(), true).await;
    let metadata = metadata_of(&bytes);
    assert_eq!(announced(&house).await["sha256"], sha256(&metadata));
    for tier in ["miss", "disk", "memory"] {
        let answer = house.get(&format!("{path}.metadata")).await;
        assert_eq!((answer.status, answer.tier(), &answer.body[..]), (200, tier, &metadata[..]));
        assert_eq!(answer.header("etag"), format!("\"{}\"", sha256(&metadata)));
        assert!(answer.header("cache-control").contains("immutable"));
    }
    assert_eq!(house.upstream.count(&format!("/files/{filename}.metadata")), 1);
    assert_eq!(house.upstream.count(&format!("/files/{filename}")), 0, "the wheel was touched");
    house.end().await;
}

#[tokio::test]
async fn without_an_offer_it_is_read_out_of_the_wheel_by_ranges() {
    let Wheel { house, filename, bytes, path } = one_wheel(Options::default(), false).await;
    assert!(!announced(&house).await.is_object(), "something is announced that is not there");
    let answer = house.get(&format!("{path}.metadata")).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &metadata_of(&bytes)[..]));
    let asked = house.upstream.requests();
    let ranges: Vec<_> = asked.iter().filter(|seen| seen.path.ends_with(&filename)).collect();
    assert!(!ranges.is_empty() && ranges.len() <= 3, "{} requests for one METADATA", ranges.len());
    assert!(ranges.iter().all(|seen| seen.header("range").is_some()), "the whole wheel was asked for");
    assert_eq!(until_announced(&house).await["sha256"], sha256(&metadata_of(&bytes)));
    let html = house.get("/root/pypi/+simple/demo/").await.text();
    assert!(html.contains("data-core-metadata=\"sha256="), "{html}");
    house.end().await;
}

#[tokio::test]
async fn a_new_page_gets_the_metadata_of_its_newest_wheels_before_anybody_asks() {
    let house = House::with(Options { backfill: true, ..Options::default() }).await;
    for n in 0..40 {
        let version = format!("{n}.0");
        house.upstream.project("demo").wheel(&wheel_filename("demo", &version), wheel("demo", &version, LARGE / 30, n));
    }
    let mut with = Vec::new();
    for _ in 0..1000 {
        let page = house.page("demo").await.json();
        let files = page["files"].as_array().unwrap().iter();
        with = files.filter(|f| f["core-metadata"]["sha256"].is_string()).map(|f| f["filename"].clone()).collect();
        if with.len() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(with, [wheel_filename("demo", "38.0"), wheel_filename("demo", "39.0")]);
    assert!(house.upstream.count_prefix("/files/") <= 6, "more was asked than two wheels need");
    let requests = house.upstream.requests();
    assert!(requests.iter().filter(|s| s.path.starts_with("/files/")).all(|s| s.header("range").is_some()));
    house.end().await;
}

#[tokio::test]
async fn a_wheel_that_landed_tells_its_metadata() {
    let Wheel { house, filename, bytes, path } = one_wheel(Options::default(), false).await;
    house.get(&path).await;
    let said = until_announced(&house).await;
    assert_eq!(said["sha256"], sha256(&metadata_of(&bytes)));
    house.upstream.set_down(true);
    assert_eq!(house.get(&format!("{path}.metadata")).await.body, metadata_of(&bytes));
    assert_eq!(house.upstream.count(&format!("/files/{filename}")), 1);
    let house = house.restart(|options| options.offline = true).await;
    assert_eq!(announced(&house).await["sha256"], sha256(&metadata_of(&bytes)));
    assert_eq!(house.get(&format!("{path}.metadata")).await.body, metadata_of(&bytes));
    house.end().await;
}

#[tokio::test]
async fn an_offer_that_upstream_does_not_keep_is_mended_from_the_wheel() {
    let Wheel { house, filename, bytes, path } = one_wheel(Options::default(), true).await;
    house.upstream.misbehave_always(&format!("/files/{filename}.metadata"), Misbehaviour::Status(404));
    let answer = house.get(&format!("{path}.metadata")).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &metadata_of(&bytes)[..]));
    house.end().await;
}

#[tokio::test]
async fn metadata_of_another_digest_is_not_served() {
    let Wheel { house, filename, path, .. } = one_wheel(Options::default(), true).await;
    // The wheel itself is changed too, so that what is in it does not have the promised digest either.
    house.upstream.change_bytes(&filename, wheel("demo", "6.66", LARGE, 3));
    house.upstream.misbehave_always(&format!("/files/{filename}.metadata"), Misbehaviour::WrongBytes);
    let answer = house.get(&format!("{path}.metadata")).await;
    assert!(answer.status >= 400, "{}", answer.status);
    house.end().await;
}

#[tokio::test]
async fn what_has_no_metadata_is_a_404_and_costs_little() {
    let house = House::start().await;
    let filename = wheel_filename("demo", "1.0");
    house.upstream.project("demo").wheel(&filename, noise(LARGE, 1)).wheel("demo-1.0.tar.gz", noise(1000, 2));
    let path = house.file_path("demo", &filename).await;
    assert_eq!(house.get(&format!("{path}.metadata")).await.status, 404);
    let asked: Vec<_> = house.upstream.requests().into_iter().filter(|s| s.path.ends_with(".whl")).collect();
    assert!(asked.len() <= 2 && asked.iter().all(|s| s.header("range").is_some()));
    let sdist = house.file_path("demo", "demo-1.0.tar.gz").await;
    assert_eq!(house.get(&format!("{sdist}.metadata")).await.status, 404);
    assert_eq!(house.get(&format!("{path}.provenance")).await.status, 404);
    house.end().await;
}

#[tokio::test]
async fn an_upstream_without_ranges_is_never_asked_for_a_whole_wheel() {
    let Wheel { house, filename, path, .. } = one_wheel(Options::default(), false).await;
    house.upstream.misbehave_always(&format!("/files/{filename}"), Misbehaviour::NoRange);
    assert_eq!(house.get(&format!("{path}.metadata")).await.status, 404);
    assert!(house.cached().is_empty());
    house.end().await;
}

#[tokio::test]
async fn twenty_clients_cost_one_extraction() {
    let Wheel { house, filename, path, .. } = one_wheel(Options::default(), false).await;
    let gate = house.upstream.hold(&format!("/files/{filename}"));
    let metadata = format!("{path}.metadata");
    let asking = (0..20).map(|_| house.get(&metadata));
    let release = async {
        gate.reached(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.release();
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), release);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(house.upstream.count(&format!("/files/{filename}")) <= 3);
    house.end().await;
}

use super::*;
use crate::index::{Failed, MirrorStanding, Transfer, UpstreamFacts};
use crate::names::IndexName;

const NOW: u64 = 1_790_000_000;

const DOORWAY: Doorway = Doorway { uploads: 2, connections_max: 4096 };

fn sample(start: u64) -> SampleRow {
    let mut sample = SampleRow { start, ..SampleRow::default() };
    sample.counts = [50, 30, 5, 1, 4, 0, 90_000, 80_000, 20_000, 1];
    sample.heights = [1 << 20, 5 << 30, 60 << 20, 7];
    sample
}

fn mirror(name: &str, standing: Standing) -> MirrorStanding {
    let index = IndexName::parse(name).unwrap();
    MirrorStanding { index, standing, facts: UpstreamFacts::default(), failures_in_hour: 3 }
}

fn a_day() -> Status {
    let index = IndexName::parse("root/pypi").unwrap();
    let transfer = Transfer {
        filename: "torch-2.9.0-cp313-none-any.whl".to_owned(),
        index,
        bytes: 500_000_000,
        total: Some(900_000_000),
        clients: 3,
        milliseconds: 10_000,
    };
    let mut failing = mirror("root/pypi", Standing::Failing { since: NOW - 600 });
    failing.facts.failed = Some(Failed { at: NOW - 60, class: "status_5xx" });
    Status {
        now: NOW,
        began: NOW - 7_200,
        memory: Budget { used: 300_000_000, budget: 400_000_000 },
        disk: Budget { used: 50 << 30, budget: 100 << 30 },
        resident: Some(120 << 20),
        connections: 12,
        total: SampleRow::default(),
        day: (0..288).rev().map(|back| sample(NOW - NOW % 300 - back * 300)).collect(),
        transfers: vec![transfer; 50],
        transfers_unnamed: 4,
        mirrors: vec![failing, mirror("team/torch", Standing::Good)],
        mirrors_unnamed: 0,
        troubles: vec![Heard { what: "timeout", times: 4, last: NOW - 5 }],
        sentences: None,
    }
}

#[test]
fn the_day_is_drawn_and_told() {
    let status = a_day();
    let drawn = pictures(&status);
    for picture in &drawn {
        let text = picture.markup().into_string();
        assert!(text.contains("<path") && text.contains("<desc"), "{}: {text}", picture.title);
        assert!(!text.contains("style="), "{text}");
    }
    let pictures: usize = drawn.iter().map(|picture| picture.markup().into_string().len()).sum();
    let hours = hours(&status).into_string();
    assert!(pictures + hours.len() < 50_000, "{pictures} and {}", hours.len());
    assert_eq!(hours.matches("<tr>").count(), 25, "{hours}");
    assert!(drawn[0].summary.contains("87.5 %"), "{}", drawn[0].summary);
}

#[test]
fn an_event_says_what_the_page_says() {
    let event: Value = serde_json::from_str(&status_event(&a_day(), &DOORWAY)).unwrap();
    assert_eq!(event["texts"]["live-headline"], json!(["One upstream cannot be asked", "warn"]));
    assert_eq!(event["texts"]["live-hits"][0], "87.5 %");
    assert_eq!(event["texts"]["live-requests"][0], "14\u{a0}400");
    assert_eq!(event["texts"]["live-connections"][0], "12 of 4\u{a0}096 at most");
    assert_eq!(event["levels"]["memory"], 0.75);
    let first = &event["rows"]["transfers"][0];
    assert_eq!(
        (&first[2][0], &first[3][0], &first[4][0]),
        (&json!("500 MB of 900 MB"), &json!("50.0 MB/s"), &json!("3"))
    );
    assert_eq!(event["rows"]["mirrors"][0][1], json!(["failing for 10 min", "bad"]));
    assert_eq!(event["rows"]["mirrors"][0][3][0], "1 minute ago (status 5xx)");
    assert_eq!(event["rows"]["troubles"][0], json!([["timeout", ""], ["4", ""], ["5 s ago", ""]]));
    assert_eq!(event["texts"]["live-unnamed"][0], "And 4 that are not named here.");
}

#[test]
fn the_script_finds_what_the_event_names() {
    let script = include_str!("../assets/status.js");
    for word in ["texts", "levels", "rows", "-some", "-none", "live-pause"] {
        assert!(script.contains(word), "{word}");
    }
}

#[test]
fn the_headline_is_the_worst_that_there_is() {
    let mut status = a_day();
    status.troubles = vec![Heard { what: "disk", times: 1, last: NOW - 10 }];
    assert_eq!(headline(&status).1, "bad");
    status.troubles[0].last = NOW - FRESH_TROUBLE_SECONDS;
    assert_eq!(headline(&status).1, "warn");
    status.mirrors.remove(0);
    assert_eq!(headline(&status), ("All is well".to_owned(), "good"));
}

#[test]
fn numbers_are_told_for_people() {
    for (value, text) in [(0, "0"), (999, "999"), (1_000, "1\u{a0}000"), (1_234_567, "1\u{a0}234\u{a0}567")] {
        assert_eq!(number(value), text);
    }
    assert_eq!(fraction(Budget { used: 9, budget: 0 }), 1.0);
    let mut day = SampleRow::default();
    day.counts[Count::Fetched as usize] = 5_000;
    assert_eq!(saved_text(&day), "0 B (5.0 kB were fetched ahead)");
    assert_eq!(ratio(&day), "–");
}

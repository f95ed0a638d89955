//! `/+status`: the page, its events and devpi's JSON; what they tell to whom, and that no stream of events stands in the
//! way of an end.

use crate::hostile::{PATIENCE, PROBE, eventually, until_closed};
use crate::private::{ALICE, ROOT, private_house};
use crate::support::house::House;
use crate::support::{wheel, wheel_filename};
use serde_json::{Value, json};
use sidewheel::config::Listen;
use sidewheel::http::Hosts;
use sidewheel::index::{Standing as Upstream, day_sum};
use sidewheel::names::{IndexName, UserName};
use sidewheel::rules::Subject;
use sidewheel::server::{Handler, HandlerParts, STREAMS_MAX, Server, Standing, Takeover, Timeouts};
use sidewheel::store::Count;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PAGE: (&str, &str) = ("Accept", "text/html");

/// What the page may take, in bytes.
const PAGE_BYTES_MAX: usize = 60_000;

/// A stream of events, and what came of it so far.
struct Stream {
    stream: TcpStream,
    got: String,
}

impl Stream {
    async fn open(house: &House, version: &str) -> Self {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        let request = format!("GET /+status/events HTTP/{version}\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, got: String::new() }
    }

    /// Reads on until `words` have come.
    async fn until(&mut self, words: &str) -> &str {
        let read = async {
            while !self.got.contains(words) {
                let mut piece = [0; 4096];
                let count = self.stream.read(&mut piece).await.unwrap();
                assert!(count > 0, "it ended: {}", self.got);
                self.got.push_str(&String::from_utf8_lossy(&piece[..count]));
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{words} never came"));
        &self.got
    }

    async fn event(&mut self) -> Value {
        let got = self.until("\n\n\r\n").await.to_owned();
        let text = match got.split_once("data: ") {
            Some((_, text)) => text.to_owned(),
            None => Box::pin(self.until("}\n\n")).await.split_once("data: ").unwrap().1.to_owned(),
        };
        serde_json::from_str(text.split("\n\n").next().unwrap()).unwrap()
    }

    async fn end(mut self) -> String {
        self.got + &String::from_utf8_lossy(&until_closed(&mut self.stream).await)
    }
}

async fn page(house: &House) -> String {
    let answer = house.get_with("/+status", &[PAGE]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[tokio::test]
async fn the_page_tells_and_has_nothing_inline() {
    let house = House::start().await;
    let filename = wheel_filename("demo", "1.0");
    house.upstream.project("demo").wheel(&filename, wheel("demo", "1.0", 200_000, 7));
    let path = house.file_path("demo", &filename).await;
    for _ in 0..3 {
        assert_eq!(house.get(&path).await.status, 200);
    }
    let answer = house.get_with("/+status", &[PAGE]).await;
    let text = answer.text();
    assert!(answer.header("content-security-policy").contains("script-src 'self'"));
    assert!(text.len() < PAGE_BYTES_MAX, "{} bytes", text.len());
    for inline in ["style=", "<style", "onclick", "javascript:"] {
        assert!(!text.contains(inline), "{inline}");
    }
    for script in text.split("<script").skip(1) {
        assert!(script.split('>').next().unwrap().contains("src=\"/+static/"), "{script}");
    }
    for element in ["svg", "table", "figure", "details", "dl", "div", "p", "span", "tr"] {
        let (opened, closed) =
            (text.matches(&format!("<{element}")).count(), text.matches(&format!("</{element}>")).count());
        // `<p` begins `<path` too, and `<tr` nothing else.
        assert!(if element == "p" { opened >= closed } else { opened == closed }, "{element}: {opened} and {closed}");
    }
    assert!(text.contains("All is well") && text.contains("id=\"live-hits\""), "{text}");
    assert!(text.matches("<path").count() >= 3, "nothing is drawn");
    let script = text.split("/+static/status.").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(house.get(&format!("/+static/status.{script}")).await.status, 200);
    let head = house.request("HEAD", "/+status", &[PAGE]).await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));

    // One picture for the page, the events and the JSON.
    let status = house.index.status(&Subject::Anonymous);
    let day = day_sum(&status.day);
    assert!(day.count(Count::Served) >= 600_000 && day.count(Count::Fetched) >= 200_000, "{day:?}");
    assert_eq!(status.total.count(Count::Miss), day.count(Count::Miss));
    assert!(status.resident.is_none_or(|bytes| bytes > 1 << 20) && status.connections > 0);
    house.end().await;
}

#[tokio::test]
async fn the_json_has_what_monitors_of_devpi_read() {
    let house = private_house().await;
    house.clock.advance(Duration::from_secs(60));
    let before = house.get("/+status").await.json();
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.api("PUT", "/carol", ROOT, json!({ "password": "a password" })).await.status, 201);
    house.clock.advance(Duration::from_secs(60));
    let status = house.get("/+status").await.json();
    assert_eq!(status["type"], "status");
    let result = status["result"].as_object().unwrap();
    for key in [
        "role",
        "uuid",
        "versioninfo",
        "host",
        "port",
        "outside-url",
        "serial",
        "last-commit-timestamp",
        "event-serial",
        "event-serial-timestamp",
        "event-serial-in-sync-at",
        "metrics",
        "polling_replicas",
    ] {
        assert!(result.contains_key(key), "{key}");
    }
    assert_eq!((&result["host"], &result["port"]), (&json!("127.0.0.1"), &json!(house.address.port())));
    assert_eq!(result["serial"], result["event-serial"]);
    let now = house.clock.unix();
    assert_eq!(result["last-commit-timestamp"], now - 60, "when carol was made");
    assert!(before["result"]["last-commit-timestamp"].as_u64().unwrap() < now - 120);
    assert_eq!(result["event-serial-in-sync-at"], now);
    assert!(result["versioninfo"]["devpi-server"].is_string());
    let metrics = result["metrics"].as_array().unwrap();
    let mut names = Vec::new();
    for metric in metrics {
        let [name, kind, value] = metric.as_array().unwrap().as_slice() else { panic!("{metric}") };
        assert!(matches!(kind.as_str().unwrap(), "gauge" | "counter") && value.is_u64(), "{metric}");
        names.push(name.as_str().unwrap());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), metrics.len(), "devpi refuses a name that comes twice");
    assert!(names.contains(&"sidewheel_cache_hits") && names.contains(&"sidewheel_requests"));
    house.end().await;
}

#[tokio::test]
async fn events_come_at_once_and_a_stop_does_not_wait_for_them() {
    let mut house = House::start().await;
    let (mut new, mut old) = (Stream::open(&house, "1.1").await, Stream::open(&house, "1.0").await);
    let event = new.event().await;
    assert_eq!(event["texts"]["live-headline"], json!(["All is well", "good"]));
    let head = new.got.to_lowercase();
    for line in [
        "200 ok",
        "content-type: text/event-stream",
        "transfer-encoding: chunked",
        "cache-control: no-store",
        "x-accel-buffering: no",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    assert!(!head.contains("content-length"));
    let head = old.until("data: ").await.to_lowercase();
    assert!(head.contains("connection: close") && !head.contains("transfer-encoding"), "{head}");
    let mut streams = vec![new, old];
    for _ in 2..STREAMS_MAX {
        let mut one = Stream::open(&house, "1.1").await;
        one.until("data: ").await;
        streams.push(one);
    }
    // One too many; the page itself is there.
    let refused = house.get("/+status/events").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "30"));
    page(&house).await;
    drop(streams.pop());
    let mut another = Stream::open(&house, "1.1").await;
    while another.until("\r\n\r\n").await.contains(" 503 ") {
        another = Stream::open(&house, "1.1").await;
    }
    streams.push(another);
    let head = house.head("/+status/events").await;
    assert_eq!(head.status, 503, "a place was left over");

    let server = house.take_server();
    assert!(server.stop(PATIENCE).await, "a stream held up the stop");
    for (number, stream) in streams.into_iter().enumerate() {
        let got = stream.end().await;
        assert!(if number == 1 { got.ends_with("\n\n") } else { got.ends_with("\r\n0\r\n\r\n") }, "{number}: {got}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_takeover_ends_the_streams_and_keeps_the_day() {
    let mut house = House::start().await;
    let mut stream = Stream::open(&house, "1.1").await;
    stream.event().await;
    for _ in 0..5 {
        house.raw(PROBE.as_bytes()).await;
    }
    let requests = |house: &House| day_sum(&house.index.status(&Subject::Anonymous).day).count(Count::Requests);
    let before = requests(&house);
    let mut takeover = Takeover::ask(house.data()).await.unwrap().unwrap();
    let bound = takeover.listener(&Listen::Tcp(house.address)).unwrap();
    let _lock = takeover.claim().await.unwrap();
    let kept = sidewheel::store::Store::open(house.data()).await.unwrap();
    assert_eq!(day_sum(&kept.samples().await.unwrap()).count(Count::Requests), before, "the new one reads less");
    kept.close().await;
    takeover.ready().await.unwrap();
    let handler = Handler::new(HandlerParts {
        index: house.index.clone(),
        metrics: house.metrics.clone(),
        clock: house.clock.clone(),
        hosts: Hosts::default(),
        default_index: IndexName::parse("root/pypi").unwrap(),
        public_url: None,
        page_max_age: 600,
        upload_bytes_max: 1 << 20,
        connections_max: 64,
        timeouts: Timeouts { quiet: Duration::from_millis(10), ..Timeouts::default() },
    });
    let mut new = Server::start(vec![bound], handler);
    new.open_control(house.data(), Standing { started: 0, format: 1 }, takeover.control());
    takeover.finish().await;
    assert!(stream.end().await.ends_with("\r\n0\r\n\r\n"), "the stream did not end");
    let old = house.take_server();
    let mut again = Stream::open(&house, "1.1").await;
    again.event().await;
    assert!(new.stop(PATIENCE).await);
    assert!(old.end(PATIENCE).await, "something hangs at the old server");
    house.end().await;
}

#[tokio::test]
async fn a_restart_keeps_the_day() {
    let house = House::start().await;
    let requests = |house: &House| day_sum(&house.index.status(&Subject::Anonymous).day).count(Count::Requests);
    for _ in 0..7 {
        house.get("/+health").await;
    }
    assert_eq!(requests(&house), 7);
    house.clock.advance(Duration::from_secs(3_600));
    house.get("/+health").await;
    let house = house.restart(|_| {}).await;
    assert_eq!(requests(&house), 8);
    house.clock.advance(Duration::from_secs(300));
    house.get("/+health").await;
    assert_eq!(requests(&house), 9);
    let house = house.restart(|_| {}).await;
    assert_eq!(requests(&house), 9, "what was read was written again");
    house.clock.advance(Duration::from_secs(23 * 3_600 + 60));
    assert_eq!(requests(&house), 2, "a day has gone by for the first seven");
    house.end().await;
}

#[tokio::test]
async fn what_somebody_may_not_read_is_not_named_to_him() {
    let house = private_house().await;
    let settings = json!({ "type": "mirror", "mirror_url": house.upstream.base(), "acl_read": ["alice"] });
    let made = house.api("PUT", "/root/hidden", ROOT, settings).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let filename = wheel_filename("secret-plan", "1.0");
    house.upstream.project("secret-plan").wheel(&filename, wheel("secret-plan", "1.0", 500_000, 7));
    let gate = house.upstream.hold_after(&format!("/files/{filename}"), 100_000);
    let simple = ("Accept", "application/vnd.pypi.simple.v1+json");
    let listed = house.get_as("/root/hidden/+simple/secret-plan/", ALICE, &[simple]).await;
    let path = listed.json()["files"][0]["url"].as_str().unwrap().strip_prefix("../../").unwrap().to_owned();
    let path = format!("/root/hidden/{path}");
    let fetching = house.get_as(&path, ALICE, &[]);
    let looking = async {
        gate.reached(1).await;
        eventually("bytes are written", || {
            let alice =
                Subject::User { name: UserName::parse("alice").unwrap(), scope: sidewheel::rules::Scope::Everything };
            house.index.status(&alice).transfers.first().is_some_and(|one| one.bytes >= 100_000 && one.clients == 1)
        })
        .await;
        let mut stream = Stream::open(&house, "1.1").await;
        let event = stream.event().await.to_string();
        let anonymous = page(&house).await;
        let alices = house.get_as("/+status", ALICE, &[PAGE]).await.text();
        gate.release();
        (event, anonymous, alices)
    };
    let (fetched, (event, anonymous, alices)) = tokio::join!(fetching, looking);
    assert_eq!(fetched.status, 200);
    for (who, text) in [("events", &event), ("anonymous", &anonymous)] {
        assert!(!text.contains("secret") && !text.contains("root/hidden"), "{who}: {text}");
        assert!(text.contains("And 1 that are not named here."), "{who} is not told that there is one: {text}");
    }
    assert!(alices.contains(&filename) && alices.contains("root/hidden"), "{alices}");
    house.end().await;
}

#[tokio::test]
async fn an_upstream_that_fails_is_shown_and_its_words_only_to_root() {
    let house = private_house().await;
    house.upstream.project("demo");
    let mirror = |house: &House| {
        let status = house.index.status(&Subject::Anonymous);
        let one = status.mirrors.into_iter().find(|one| one.index.as_str() == "root/pypi").unwrap();
        (one.standing, one.failures_in_hour)
    };
    assert_eq!(mirror(&house), (Upstream::Unasked, 0));
    assert_eq!(house.page("demo").await.status, 200);
    assert_eq!(mirror(&house), (Upstream::Good, 0));
    assert_eq!(house.page("no-such-project").await.status, 404);
    assert_eq!(mirror(&house), (Upstream::Good, 0), "it answered");
    house.upstream.set_down(true);
    for name in ["one", "two"] {
        assert_eq!(house.page(name).await.status, 502);
    }
    let since = house.clock.unix();
    assert!(
        matches!(mirror(&house), (Upstream::Failing { since: told }, 2..) if told == since),
        "{:?}",
        mirror(&house)
    );
    let anonymous = page(&house).await;
    let roots = house.get_as("/+status", ROOT, &[PAGE]).await.text();
    let alices = house.get_as("/+status", ALICE, &[PAGE]).await.text();
    for (who, text) in [("nobody", &anonymous), ("alice", &alices)] {
        assert!(text.contains("One upstream cannot be asked") && text.contains(">unreachable<"), "{who}: {text}");
        assert!(!text.contains("127.0.0.1:"), "{who} is told where upstream is: {text}");
    }
    assert!(roots.contains("upstream of root/pypi: 127.0.0.1"), "{roots}");
    house.upstream.set_down(false);
    house.clock.advance(Duration::from_secs(120));
    assert_eq!(house.page("demo").await.status, 200);
    house.clock.advance(Duration::from_secs(700));
    assert_eq!(house.page("demo").await.status, 200);
    assert_eq!(mirror(&house).0, Upstream::Good);
    house.end().await;
}

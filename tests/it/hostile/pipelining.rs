//! Several requests in one write: each gets its own answer, in order, and a body is never taken for a request.

use super::{PATIENCE, PROBE, eventually, exchange, exchange_with, split, until_closed};
use crate::support::house::House;
use crate::support::{noise, wheel, wheel_filename};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const PROJECTS: [&str; 3] = ["one", "two", "three"];

async fn with_projects() -> House {
    let house = House::start().await;
    for name in PROJECTS {
        house.upstream.project(name).wheel(&wheel_filename(name, "1.0"), wheel(name, "1.0", 1000, 1));
    }
    house
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn page(name: &str) -> String {
    get(&format!("/simple/{name}/"))
}

#[tokio::test]
async fn each_request_gets_its_own_answer_in_order() {
    let house = with_projects().await;
    // Cold and then from memory.
    for _ in 0..2 {
        for names in [&["one", "two"][..], &["three", "one", "two"], &["one", "one", "one"]] {
            let requests: String = names.iter().map(|name| page(name)).collect();
            let answers = exchange(&house, (requests + PROBE).as_bytes()).await;
            assert_eq!(answers.len(), names.len() + 1);
            for (name, answer) in names.iter().zip(&answers) {
                assert_eq!(answer.status, 200);
                assert!(answer.text().contains(&wheel_filename(name, "1.0")), "{name}: {}", answer.text());
            }
            assert_eq!(answers[names.len()].text(), "ok\n");
        }
    }
    house.end().await;
}

#[tokio::test]
async fn a_write_may_end_anywhere() {
    let house = with_projects().await;
    let requests = [page("one"), page("two"), PROBE.to_owned()].concat();
    for cut in 1..requests.len() {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&requests.as_bytes()[..cut]).await.unwrap();
        // Often the server, on this very thread, sees the first part alone.
        tokio::task::yield_now().await;
        stream.write_all(&requests.as_bytes()[cut..]).await.unwrap();
        let answers = split(&until_closed(&mut stream).await, &[]);
        let right = answers.len() == 3
            && answers[0].text().contains("one-1.0")
            && answers[1].text().contains("two-1.0")
            && answers[2].text() == "ok\n";
        assert!(right, "cut at {cut}: {answers:?}");
    }
    house.end().await;
}

/// Of thousands of mixed requests none gets another's answer.
#[tokio::test]
async fn long_pipelines_stay_in_step() {
    let house = with_projects().await;
    let file = house.file_path("one", &wheel_filename("one", "1.0")).await;
    let bytes = wheel("one", "1.0", 1000, 1);
    let get_or_head = |head: bool, path: &str| {
        format!("{} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n", if head { "HEAD" } else { "GET" })
    };
    let mut total = 0;
    for round in 0..100 {
        let choices = noise(40, round);
        let paths = choices.iter().map(|choice| match choice % 6 {
            0..=2 => format!("/simple/{}/", PROJECTS[usize::from(choice % 6)]),
            3 => file.clone(),
            4 => format!("/nowhere/{choice}/at/all/of/it"),
            _ => format!("/simple/No.{choice}"),
        });
        let paths: Vec<_> = paths.collect();
        let heads: Vec<_> = choices.iter().map(|choice| choice & 0x80 != 0).collect();
        let requests: String = paths.iter().zip(&heads).map(|(path, head)| get_or_head(*head, path)).collect();
        let answers = exchange_with(&house, (requests + PROBE).as_bytes(), &heads).await;
        assert_eq!(answers.len(), paths.len() + 1);
        total += answers.len();
        for ((choice, head), answer) in choices.iter().zip(&heads).zip(&answers) {
            let (status, right) = match choice % 6 {
                project @ 0..=2 => {
                    (200, answer.text().contains(&wheel_filename(PROJECTS[usize::from(project)], "1.0")))
                }
                3 => (200, answer.body == bytes),
                4 => (404, answer.text().contains("nothing at this address")),
                _ => (301, answer.header("location") == Some(&*format!("/simple/no-{choice}/"))),
            };
            assert_eq!(answer.status, status, "round {round}");
            assert!(right || *head && answer.body.is_empty(), "round {round}: {}", answer.head);
        }
    }
    assert!(total > 4000);
    house.end().await;
}

/// A body that nobody reads: the answer is given, then the connection ends, whatever the body looks like.
#[tokio::test]
async fn a_body_is_never_taken_for_a_request() {
    let house = with_projects().await;
    let file = house.file_path("one", &wheel_filename("one", "1.0")).await;
    house.get(&file).await;
    // The file's metadata comes into the page.
    eventually("the page is at rest", || house.index.under_way() == 0).await;
    let etag = house.page("one").await.header("etag").to_owned();
    let asked = house.upstream.requests().len();
    let hidden = page("canary");
    let as_chunk = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    let none_match = format!("Accept: application/vnd.pypi.simple.v1+json\r\nIf-None-Match: {etag}\r\n");
    for (method, path, lines, status) in [
        ("GET", "/simple/one/", "", 200),
        ("GET", "/root/pypi/+simple/one/", &*none_match, 304),
        ("HEAD", "/simple/one/", "", 200),
        ("GET", &*file, "", 200),
        ("GET", &*file, "Range: bytes=0-9\r\n", 206),
        ("GET", "/simple/One", "", 301),
        ("GET", "/+health", "", 200),
        ("GET", "/+metrics", "", 200),
        ("GET", "/nowhere/at/all/x", "", 404),
        ("GET", "/simple/one/", "Accept: image/png, */*;q=0\r\n", 406),
        ("POST", "/simple/one/", "", 405),
        ("PUT", &*file, "Expect: 100-continue\r\n", 405),
        ("GET", "/simple/../x", "", 400),
        ("GET", "/simple/one/", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("GET", "http://evil.example/simple/one/", "", 421),
    ] {
        let length = format!("Content-Length: {}\r\n", hidden.len());
        // The last one promises more than what comes.
        for (framing, body) in [
            (&*length, &*hidden),
            ("Transfer-Encoding: chunked\r\n", &*as_chunk),
            ("Transfer-Encoding: chunked\r\n", &*hidden),
            ("Content-Length: 1\r\n", &*hidden),
            ("Content-Length: 1000000\r\n", &*hidden),
        ] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}{framing}\r\n{body}{PROBE}");
            let answers = exchange_with(&house, request.as_bytes(), &[method == "HEAD"]).await;
            let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [status], "{method} {path} {lines:?} {framing:?}");
            assert!(answers[0].closes(), "{method} {path} {framing:?}: {}", answers[0].head);
        }
    }
    assert_eq!(house.upstream.requests().len(), asked, "a body was taken for a request");
    house.end().await;
}

/// The answer to a refused request arrives although much was sent after it.
#[tokio::test]
async fn an_answer_is_not_lost_to_what_was_not_read() {
    let house = House::start().await;
    for request in ["GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "nothing\n"] {
        let request = [request.as_bytes(), &vec![b'x'; 300_000]].concat();
        // With a small buffer the client ends its writing only when the server reads; a reset makes some systems throw
        // away what has arrived.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        let mut stream = socket.connect(house.address).await.unwrap();
        stream.write_all(&request).await.expect("reset before all was read");
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answers = split(&answer, &[]);
        assert_eq!(answers.len(), 1);
        assert!([400, 421].contains(&answers[0].status));
    }
    house.end().await;
}

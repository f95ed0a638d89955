//! What every answer has, and what none may hold.

use super::{PROBE, Raw, exchange_with};
use crate::support::house::House;
use crate::support::upstream::Misbehaviour;
use crate::support::{wheel, wheel_filename};

struct Walk {
    house: House,
    /// Statuses that were seen, so that the walk is known to have come everywhere.
    seen: Vec<u16>,
}

impl Walk {
    /// Asks with GET and with HEAD, and checks both answers.
    async fn ask(&mut self, path: &str, lines: &str) -> Raw {
        let mut of_get = None;
        for method in ["GET", "HEAD"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{PROBE}");
            let mut answers = exchange_with(&self.house, request.as_bytes(), &[method == "HEAD"]).await;
            let answer = answers.remove(0);
            self.check(&format!("{method} {path} {lines:?}"), &answer);
            self.seen.push(answer.status);
            of_get.get_or_insert(answer);
        }
        of_get.unwrap()
    }

    fn check(&self, what: &str, answer: &Raw) {
        assert!(answer.header("date").is_some(), "{what}: no Date");
        for name in ["transfer-encoding", "server", "x-powered-by", "access-control-allow-origin", "set-cookie"] {
            assert_eq!(answer.header(name), None, "{what}: {name}");
        }
        if answer.status != 304 {
            assert!(answer.header("content-length").is_some(), "{what}: no Content-Length");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
        }
        if answer.status >= 400 {
            let caching = answer.header("cache-control");
            assert!(answer.status == 416 || caching == Some("no-store"), "{what}: {caching:?}");
        }
        let data = self.house.data().display().to_string();
        let text = format!("{}{}", answer.head, answer.text());
        for word in [
            &*data,
            "os error",
            "No such file",
            "denied",
            "sqlite",
            "SQL",
            "panicked",
            "src/",
            "/files/",
            "/tmp/",
            ".rs:",
        ] {
            assert!(!text.contains(word), "{what}: {word:?} in {text}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_a_length_and_says_nothing_of_the_house() {
    let house = House::start().await;
    let (filename, bytes) = (wheel_filename("demo", "1.0"), wheel("demo", "1.0", 2_000, 7));
    house.upstream.project("demo").wheel(&filename, bytes.clone()).with_metadata();
    let large = wheel_filename("large", "1.0");
    house.upstream.project("large").wheel(&large, wheel("large", "1.0", 3_000_000, 7));
    let path = house.file_path("demo", &filename).await;
    let large = house.file_path("large", &large).await;
    let mut walk = Walk { house, seen: Vec::new() };
    let json = "Accept: application/vnd.pypi.simple.v1+json\r\n";
    let metadata = format!("{path}.metadata");
    for (path, lines, status) in [
        ("/", "", 200),
        ("/+health", "", 200),
        ("/+ready", "", 200),
        ("/+metrics", "", 200),
        ("/+api", "", 200),
        ("/root/pypi/+api", "", 200),
        ("/root/none/+api", "", 404),
        ("/+status", "", 200),
        ("/root", "Accept: application/json\r\n", 200),
        ("/root/pypi", "", 200),
        ("/root/pypi/", "User-Agent: pip/26.3\r\n", 302),
        ("/root/pypi/demo", "", 200),
        ("/root/pypi/demo/1.0", "", 200),
        ("/root/pypi/demo/7", "", 404),
        ("/root/none", "", 404),
        ("/nobody", "", 404),
        ("/+login", "", 405),
        ("/root/pypi/+simple/", "", 200),
        ("/root/pypi/+simple/", json, 200),
        ("/root/pypi/+simple/", "Accept-Encoding: gzip\r\n", 200),
        ("/root/pypi/+simple/", "Accept: image/png, */*;q=0\r\n", 406),
        ("/root/none/+simple/", "", 404),
        ("/root/pypi/+simple", "", 301),
        ("/root/pypi/+simple/demo/", "", 200),
        ("/root/pypi/+simple/demo/", json, 200),
        ("/root/pypi/+simple/demo/", "Accept-Encoding: zstd\r\n", 200),
        ("/root/pypi/+simple/Demo", "", 301),
        ("/root/pypi/+simple/none/", "", 404),
        ("/root/pypi/+simple/none/", "Accept: application/json\r\n", 404),
        ("/simple/demo/", "", 200),
        ("/simple/demo/", "Accept: image/png, */*;q=0\r\n", 406),
        ("/simple/-bad-/", "", 404),
        ("/pypi/none/json", "", 404),
        (&path, "", 200),
        (&path, "", 200),
        (&path, "Range: bytes=0-9\r\n", 206),
        (&path, "Range: bytes=999999999-\r\n", 416),
        (&path, "Range: bytes=0-1,5-6\r\n", 200),
        (&large, "", 200),
        (&metadata, "", 200),
        (&format!("{path}.provenance"), "", 404),
        (&path.replace("demo-1.0", "demo-2.0"), "", 404),
        ("/root/pypi/+f/000/0000000000000/demo-1.0-py3-none-any.whl", "", 404),
        ("/root/pypi/+packages/x/demo-1.0-py3-none-any.whl", "", 404),
        ("/nothing/is/here/at/all", "Accept: application/json\r\n", 404),
        ("/simple/../x", "", 400),
        ("/simple/demo/", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("http://evil.example/", "", 421),
    ] {
        assert_eq!(walk.ask(path, lines).await.status, status, "{path} {lines:?}");
    }
    for path in ["/simple/demo/", &path, "/root/pypi/+simple/"] {
        let etag = walk.ask(path, "").await.header("etag").unwrap().to_owned();
        assert_eq!(walk.ask(path, &format!("If-None-Match: {etag}\r\n")).await.status, 304, "{path}");
    }
    let mut statuses = walk.seen;
    statuses.sort_unstable();
    statuses.dedup();
    assert_eq!(statuses, [200, 206, 301, 302, 304, 400, 403, 404, 405, 406, 416, 421]);
    walk.house.end().await;
}

/// When upstream, the disk or the database fails, the client hears that, and no more.
#[tokio::test]
async fn trouble_is_told_without_its_details() {
    let house = House::start().await;
    for name in ["demo", "bad", "down"] {
        house.upstream.project(name).wheel(&wheel_filename(name, "1.0"), wheel(name, "1.0", 2_000, 7));
    }
    let path = house.file_path("demo", &wheel_filename("demo", "1.0")).await;
    let other = house.file_path("bad", &wheel_filename("bad", "1.0")).await;
    house.upstream.misbehave_always("bad-page", Misbehaviour::Garbage);
    house.upstream.misbehave_always(&format!("/files/{}", wheel_filename("bad", "1.0")), Misbehaviour::WrongBytes);
    let mut walk = Walk { house, seen: Vec::new() };
    let json = "Accept: application/json\r\n";
    for lines in ["", json] {
        assert_eq!(walk.ask("/simple/bad-page/", lines).await.status, 502);
        // Who asks for JSON is told what is known of the file.
        assert_eq!(walk.ask(&other, lines).await.status, if lines == json { 200 } else { 502 });
    }

    // The directories of the cache are gone, and cannot come back.
    for directory in ["files", "tmp"] {
        let directory = walk.house.data().join(directory);
        std::fs::remove_dir_all(&directory).unwrap();
        std::fs::write(&directory, b"in the way").unwrap();
    }
    for lines in ["", json] {
        walk.ask(&path, lines).await;
        walk.ask(&format!("{path}.metadata"), lines).await;
        walk.ask("/root/pypi/+simple/", lines).await;
    }

    walk.house.index.close().await;
    for lines in ["", json] {
        for path in ["/simple/down/", "/root/pypi/+simple/", &path, &other, "/+ready"] {
            let answer = walk.ask(path, lines).await;
            assert!(answer.status >= 500 || answer.status == 200, "{path}: {}", answer.status);
        }
    }
    assert!(walk.seen.contains(&500) && walk.seen.contains(&503), "nothing failed: {:?}", walk.seen);
    walk.house.upstream.set_down(true);
    for path in ["/simple/down/", "/simple/none/", &other] {
        walk.ask(path, "").await;
    }
}

use super::Browser;
use crate::private::{ALICE, BOB, listed, make_index, private_house, private_house_with};
use crate::support::house::{Answer, House, Options};
use crate::support::{wheel, wheel_filename};
use serde_json::{Value, json};
use std::io::Write;

const TYPE: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=xyz");

/// A form as a browser makes it: fields, then files.
fn form(fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        write!(body, "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").unwrap();
    }
    for (filename, bytes) in files {
        let head = "Content-Type: application/octet-stream";
        write!(
            body,
            "--xyz\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{filename}\"\r\n{head}\r\n\r\n"
        )
        .unwrap();
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--xyz--\r\n");
    body
}

async fn send(browser: &Browser<'_>, index: &str, accept: &str, body: &[u8]) -> Answer {
    let fields = [TYPE, ("Accept", accept), ("Cookie", &browser.cookie), ("Sec-Fetch-Site", "same-origin")];
    let path = format!("/+do/upload?index={}", index.replace('/', "%2F"));
    browser.house.request_with("POST", &path, &fields, body).await
}

fn sdist(name: &str, version: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let text =
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Bare\nRequires-Python: >=3.8\n");
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, format!("{name}-{version}/PKG-INFO"), text.as_bytes()).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn nothing_is_stored(house: &House) {
    assert!(house.private_files().is_empty());
    let left: Vec<_> = std::fs::read_dir(house.data().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn files_are_published_by_what_they_say_themselves() {
    let house = private_house().await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let page = alice.get("/alice/dev/+upload").await.text();
    let action = "action=\"/+do/upload?index=alice%2Fdev\" enctype=\"multipart/form-data\"";
    assert!(
        page.contains(action) && page.contains("name=\"content\" multiple") && page.contains("/+static/upload."),
        "{page}"
    );
    let (bytes, token) = (wheel("demo", "1.0", 1000, 7), alice.token().await);
    // Without a script: several at once, and a page.
    let source = sdist("demo", "1.0");
    let files = [(&*wheel_filename("demo", "1.0"), &bytes[..]), ("demo-1.0.tar.gz", &source), ("notes.txt", b"x")];
    let answer = send(&alice, "alice/dev", "text/html", &form(&[("token", &token)], &files)).await;
    let text = answer.text();
    assert_eq!(answer.status, 400, "one of them was not taken: {text}");
    assert!(
        text.matches("href=\"/alice/dev/demo/1.0\"").count() == 2 && text.contains("not a valid archive name"),
        "{text}"
    );
    assert_eq!(listed(&house, "alice/dev", "demo").await.len(), 2);
    let told = house.api("GET", "/alice/dev/demo/1.0", ALICE, Value::Null).await.json();
    assert_eq!(
        (told["result"]["summary"].as_str(), told["result"]["requires_python"].as_str()),
        (Some("Bare"), Some(">=3.8"))
    );
    // By the script: one, and JSON.
    let two = wheel("demo", "2.0", 1000, 8);
    let body = form(&[("token", &token)], &[(&wheel_filename("demo", "2.0"), &two)]);
    let answer = send(&alice, "alice/dev", "application/json", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let file = json!({ "filename": wheel_filename("demo", "2.0"), "refused": false,
        "words": "demo 2.0 published", "path": "/alice/dev/demo/2.0" });
    assert_eq!(answer.json()["files"], json!([file]));
    let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "2.0")).await;
    assert_eq!(house.get(&path).await.body, two);
    house.end().await;
}

#[tokio::test]
async fn the_same_bytes_again_and_others_where_files_stay() {
    let house = private_house().await;
    make_index(&house, "alice/prod", json!({ "volatile": false })).await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let token = alice.token().await;
    let send_one = async |bytes: &[u8]| {
        let body = form(&[("token", &token)], &[(&wheel_filename("demo", "1.0"), bytes)]);
        let answer = send(&alice, "alice/prod", "application/json", &body).await;
        (answer.status, answer.json()["files"][0]["words"].as_str().unwrap_or_default().to_owned())
    };
    let first = wheel("demo", "1.0", 1000, 7);
    assert_eq!(send_one(&first).await, (200, "demo 1.0 published".into()));
    assert_eq!(send_one(&first).await, (200, "demo 1.0 was there already".into()));
    let (status, words) = send_one(&wheel("demo", "1.0", 1000, 8)).await;
    assert!(status == 409 && words.contains("already exists in non-volatile index"), "{status} {words}");
    house.end().await;
}

#[tokio::test]
async fn documentation_goes_to_its_release() {
    let house = private_house().await;
    let alice = Browser::logged_in(&house, ALICE).await;
    let token = alice.token().await;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("index.html", zip::write::SimpleFileOptions::default()).unwrap();
    let docs = zip.finish().unwrap().into_inner();
    let fields = [("token", &*token), ("what", "docs"), ("name", "Demo"), ("version", "1.0")];
    let answer = send(&alice, "alice/dev", "text/html", &form(&fields, &[("site.zip", &docs)])).await;
    assert!(answer.status == 200 && answer.text().contains("href=\"/alice/dev/demo/1.0\""), "{}", answer.text());
    let told = house.api("GET", "/alice/dev/demo/1.0", ALICE, Value::Null).await.json();
    assert_eq!(told["result"]["+links"][0]["rel"], "doczip", "{told}");
    house.end().await;
}

#[tokio::test]
async fn what_may_not_be_uploaded_leaves_nothing() {
    let house = private_house_with(Options { upload_bytes_max: 100_000, ..Options::default() }).await;
    let (alice, bob, nobody) =
        (Browser::logged_in(&house, ALICE).await, Browser::logged_in(&house, BOB).await, Browser::new(&house));
    let (token, of_bob) = (alice.token().await, bob.token().await);
    let name = wheel_filename("demo", "1.0");
    let (good, large) = (wheel("demo", "1.0", 1000, 7), wheel("demo", "1.0", 200_000, 7));
    let of = |token: &str, name: &str, bytes: &[u8]| form(&[("token", token)], &[(name, bytes)]);
    let two_halves = form(&[("token", &token)], &[(&name, &large[..60_000]), ("b-1.0.tar.gz", &large[..60_000])]);
    for (who, index, body, status, words) in [
        (&nobody, "alice/dev", of(&token, &name, &good), 403, "log in"),
        (&bob, "alice/dev", of(&of_bob, &name, &good), 403, "no permission"),
        (&alice, "alice/dev", of(&of_bob, &name, &good), 403, "another login"),
        (&alice, "alice/dev", of("", &name, &good), 403, "another login"),
        (&alice, "alice/dev", form(&[], &[(&name, &good)]), 403, "another login"),
        (&alice, "root/pypi", of(&token, &name, &good), 404, "mirror"),
        (&alice, "no/where", of(&token, &name, &good), 404, "no/where"),
        (&alice, "", of(&token, &name, &good), 400, "which index"),
        (&alice, "alice/dev", of(&token, &wheel_filename("other", "1.0"), &good), 400, "other"),
        (&alice, "alice/dev", of(&token, &name, b"no zip"), 400, "not a zip"),
        (&alice, "alice/dev", of(&token, "", b""), 400, "no file was chosen"),
        (&alice, "alice/dev", form(&[("token", &token)], &[]), 400, "no file was chosen"),
        (&alice, "alice/dev", of(&token, &name, &large), 413, "100000 bytes"),
        (&alice, "alice/dev", two_halves, 413, "bytes"),
        (&alice, "alice/dev", good.clone(), 400, "form"),
    ] {
        for accept in ["application/json", "text/html"] {
            let answer = send(who, index, accept, &body).await;
            let text = answer.text();
            assert_eq!(answer.status, status, "{words}: {text}");
            assert!(text.to_lowercase().contains(words), "{words}: {text}");
            assert!(answer.header("www-authenticate").is_empty());
        }
        nothing_is_stored(&house);
    }
    // Another site's page, and one that says nothing of itself.
    for site in ["cross-site", "same-site", ""] {
        let mut fields = vec![TYPE, ("Cookie", &*alice.cookie)];
        fields.extend([("Sec-Fetch-Site", site)].into_iter().filter(|_| !site.is_empty()));
        let body = of(&token, &name, &good);
        let answer = house.request_with("POST", "/+do/upload?index=alice/dev", &fields, &body).await;
        assert_eq!(answer.status, 403, "{site}");
        nothing_is_stored(&house);
    }
    // Who may not has no form.
    assert_eq!(bob.get("/alice/dev/+upload").await.status, 403);
    let asked = nobody.get("/alice/dev/+upload").await;
    assert!(asked.status == 303 && asked.header("location").starts_with("/+login?next="), "{}", asked.status);
    house.end().await;
}

#[tokio::test]
async fn who_may_not_is_told_before_the_body_is_read() {
    let house = private_house().await;
    let bob = Browser::logged_in(&house, BOB).await;
    for (cookie, sentence) in [(&*bob.cookie, "no permission"), ("none=1", "")] {
        let head = format!(
            "POST /+do/upload?index=alice/dev HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\
             Connection: close\r\n\r\n",
            house.address
        );
        let raw = house.raw(head.as_bytes()).await;
        assert!(raw.starts_with("HTTP/1.1 403 ") && raw.contains(sentence), "{raw}");
    }
    house.end().await;
}

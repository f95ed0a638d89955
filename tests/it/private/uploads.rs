use super::{ALICE, BOB, ROOT, listed, make_index, private_house, private_house_with, release, upload};
use crate::support::house::Options;
use crate::support::{sha256, wheel, wheel_filename};
use serde_json::json;

#[tokio::test]
async fn an_upload_is_on_the_page_at_once_with_everything_that_is_known_of_it() {
    let house = private_house().await;
    assert!(listed(&house, "alice/dev", "demo").await.is_empty());
    let bytes = release(&house, "alice/dev", "demo", "1.0").await;
    let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
    let page = house.get_with("/alice/dev/+simple/demo/", &[accept]).await;
    assert_eq!((page.status, page.header("cache-control")), (200, "no-cache"));
    let json = page.json();
    let file = &json["files"][0];
    assert_eq!(
        (file["hashes"]["sha256"].as_str(), file["size"].as_u64()),
        (Some(&*sha256(&bytes)), Some(bytes.len() as u64))
    );
    assert_eq!((json["versions"].clone(), json["meta"]["api-version"].as_str()), (json!(["1.0"]), Some("1.4")));
    assert!(file["upload-time"].as_str().unwrap().ends_with("Z"));
    let path = format!("/alice/dev/{}", file["url"].as_str().unwrap().strip_prefix("../../").unwrap());
    for _ in 0..3 {
        let answer = house.get(&path).await;
        assert_eq!((answer.status, sha256(&answer.body)), (200, sha256(&bytes)));
    }
    let part = house.get_with(&path, &[("Range", "bytes=2-5")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &bytes[2..6]));
    assert_eq!(house.head(&path).await.header("content-length"), bytes.len().to_string());
    let metadata = house.get(&format!("{path}.metadata")).await;
    assert_eq!(metadata.status, 200);
    assert_eq!(file["core-metadata"]["sha256"].as_str(), Some(&*sha256(&metadata.body)));
    assert!(metadata.text().contains("Name: demo"), "{}", metadata.text());
    let again = house.get_with("/alice/dev/+simple/demo/", &[accept]).await;
    assert_eq!((again.tier(), &again.body), ("memory", &page.body));
    let same = house.get_with("/alice/dev/+simple/demo/", &[accept, ("If-None-Match", page.header("etag"))]).await;
    assert_eq!(same.status, 304);
    house.upstream.assert_untouched().await;
    house.end().await;
}

#[tokio::test]
async fn uploads_survive_a_restart_and_an_eviction() {
    let house = private_house_with(Options { disk_bytes: 1_000_000, ..Options::default() }).await;
    let bytes = wheel("demo", "1.0", 2_000_000, 3);
    assert_eq!(upload(&house, "alice/dev", ALICE, "demo", "1.0", &bytes).await.status, 200);
    house.index.tidy_now().await;
    let house = house.restart(|_| {}).await;
    house.index.tidy_now().await;
    let prefix = sha256(&bytes);
    let path = format!("/alice/dev/+f/{}/{}/demo-1.0-py3-none-any.whl", &prefix[..3], &prefix[3..16]);
    let answer = house.get(&path).await;
    assert_eq!((answer.status, sha256(&answer.body)), (200, prefix));
    house.end().await;
}

#[tokio::test]
async fn who_may_upload_is_asked_before_the_body_is_read() {
    let house = private_house().await;
    let bytes = wheel("demo", "1.0", 1000, 7);
    for (index, auth, status) in [
        ("alice/dev", None, 401),
        ("alice/dev", Some(("alice", "wrong")), 401),
        ("alice/dev", BOB, 403),
        ("alice/dev", ROOT, 403),
        ("root/pypi", ROOT, 404),
        ("no/where", ALICE, 404),
    ] {
        let answer = upload(&house, index, auth, "demo", "1.0", &bytes).await;
        assert_eq!(answer.status, status, "{index} {auth:?}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate").starts_with("Basic"), status == 401);
    }
    let raw = house
        .raw(b"POST /alice/dev/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\nConnection: close\r\n\r\n")
        .await;
    assert!(raw.starts_with("HTTP/1.1 401 "), "{raw}");
    house.end().await;
}

/// A proxy that is answered while it still sends may reset its client, who then never sees the answer (Caddy 2.6).
#[tokio::test]
async fn a_refused_upload_is_read_before_its_answer_and_the_connection_goes_on() {
    let house = private_house().await;
    let body = vec![b'x'; 3_000_000];
    for expect in ["", "Expect: 100-continue\r\n"] {
        let head = format!(
            "POST /alice/dev/ HTTP/1.1\r\nHost: localhost\r\n{expect}Content-Type: multipart/form-data; \
             boundary=x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let next = b"GET /+health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let raw = house.raw(&[head.as_bytes(), &body, next].concat()).await;
        assert!(raw.starts_with("HTTP/1.1 401 "), "{raw}");
        assert!(raw.contains("HTTP/1.1 200 "), "the connection ended with the answer: {raw}");
    }
    house.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_upload_is_said_in_the_reason_and_the_body() {
    let house = private_house().await;
    let bytes = wheel("demo", "1.0", 1000, 7);
    let base = [(":action", "file_upload"), ("name", "demo"), ("version", "1.0")];
    let with = |more: &[(&'static str, &'static str)]| -> Vec<(&'static str, &'static str)> {
        let named = |key: &str| more.iter().any(|(name, _)| *name == key);
        base.iter().copied().filter(|(key, _)| !named(key)).chain(more.iter().copied()).collect()
    };
    let zeros = "0000000000000000000000000000000000000000000000000000000000000000";
    for (fields, filename, part) in [
        (with(&[("name", "other")]), "demo-1.0-py3-none-any.whl", "does not match project name"),
        (with(&[("version", "2.0")]), "demo-1.0-py3-none-any.whl", "does not contain version"),
        (with(&[("sha256_digest", zeros)]), "demo-1.0-py3-none-any.whl", "sha256_digest"),
        (with(&[("blake2_256_digest", zeros)]), "demo-1.0-py3-none-any.whl", "blake2_256_digest"),
        (with(&[("md5_digest", "00000000000000000000000000000000")]), "demo-1.0-py3-none-any.whl", "md5_digest"),
        (with(&[]), "../demo-1.0-py3-none-any.whl", "demo-1.0"),
        (with(&[(":action", "dance")]), "demo-1.0-py3-none-any.whl", "not supported"),
    ] {
        let answer = house.post_form("/alice/dev/", ALICE, &fields, Some((filename, &bytes))).await;
        assert_eq!(answer.status, 400, "{part}: {}", answer.text());
        assert!(answer.text().contains(part), "{part}: {}", answer.text());
    }
    let answer = house.post_form("/alice/dev/", ALICE, &base, Some(("demo-1.0-py3-none-any.whl", b"no zip"))).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(listed(&house, "alice/dev", "demo").await.is_empty() && house.private_files().is_empty());
    house.end().await;
}

#[tokio::test]
async fn a_file_over_the_limit_is_413_and_leaves_nothing() {
    let house = private_house_with(Options { upload_bytes_max: 100_000, ..Options::default() }).await;
    let answer = upload(&house, "alice/dev", ALICE, "demo", "1.0", &wheel("demo", "1.0", 200_000, 1)).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    // The same without a length that could be looked at first.
    let mut body = Vec::new();
    let part =
        b"--x\r\nContent-Disposition: form-data; name=\"content\"; filename=\"demo-1.0-py3-none-any.whl\"\r\n\r\n";
    for piece in std::iter::once(&part[..]).chain(std::iter::repeat_n(&[7_u8; 1000][..], 300)) {
        body.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let head = format!(
        "POST /alice/dev/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {}\r\nContent-Type: multipart/form-data; \
         boundary=x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        crate::support::house::basic(ALICE.unwrap())
    );
    let raw = house.raw(&[head.as_bytes(), &body].concat()).await;
    assert!(raw.starts_with("HTTP/1.1 413 "), "{raw}");
    house.end().await;
}

#[tokio::test]
async fn the_same_bytes_again_are_fine_and_others_are_not_unless_the_index_is_volatile() {
    let house = private_house().await;
    make_index(&house, "alice/prod", json!({ "volatile": false, "bases": [] })).await;
    let (one, other) = (wheel("demo", "1.0", 1000, 1), wheel("demo", "1.0", 1000, 2));
    assert_eq!(upload(&house, "alice/prod", ALICE, "demo", "1.0", &one).await.status, 200);
    assert_eq!(upload(&house, "alice/prod", ALICE, "demo", "1.0", &one).await.status, 200);
    let conflict = upload(&house, "alice/prod", ALICE, "demo", "1.0", &other).await;
    assert_eq!(conflict.status, 409);
    assert!(conflict.text().contains("already exists in non-volatile index"), "{}", conflict.text());
    for bytes in [&one, &one, &other] {
        assert_eq!(upload(&house, "alice/dev", ALICE, "demo", "1.0", bytes).await.status, 200);
        let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
        assert_eq!(sha256(&house.get(&path).await.body), sha256(bytes));
    }
    house.end().await;
}

#[tokio::test]
async fn documentation_results_and_registrations_hang_on_a_version() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    let docs = wheel("docs", "1.0", 10, 1);
    let fields = [(":action", "doc_upload"), ("name", "demo"), ("version", "1.0")];
    let stored = house.post_form("/alice/dev/", ALICE, &fields, Some(("demo-1.0.doc.zip", &docs))).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    let fields = [(":action", "submit"), ("name", "demo"), ("version", "2.0"), ("summary", "soon")];
    assert_eq!(house.post_form("/alice/dev/", ALICE, &fields, None).await.status, 200);
    let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
    let result = house.api("POST", &path, None, json!({ "testenvs": {} })).await;
    assert_eq!(result.json()["type"], "toxresultpath", "{}", result.text());
    let shown = house.api("GET", "/alice/dev/demo", None, json!({})).await.json();
    let links = shown["result"]["1.0"]["+links"].as_array().unwrap().clone();
    let rels: Vec<_> = links.iter().map(|link| link["rel"].as_str().unwrap()).collect();
    assert_eq!(rels, ["releasefile", "doczip", "toxresult"]);
    assert_eq!(shown["result"]["2.0"]["summary"], "soon");
    for link in &links {
        let href = link["href"].as_str().unwrap();
        let answer = house.get(&href[href.find("/alice").unwrap()..]).await;
        assert_eq!((answer.status, sha256(&answer.body)), (200, link["hashes"]["sha256"].as_str().unwrap().to_owned()));
    }
    assert_eq!(links[2]["for_href"], links[0]["href"]);
    assert_eq!(links[0]["log"][0]["who"], "alice");
    assert_eq!(listed(&house, "alice/dev", "demo").await.len(), 1, "documents are no distributions");
    house.end().await;
}

#[tokio::test]
async fn attestations_become_provenance() {
    let house =
        private_house_with(Options { public_url: Some("https://localhost".to_owned()), ..Options::default() }).await;
    let attestations = r#"[{"version":1,"verification_material":{},"envelope":{}}]"#;
    let fields = [(":action", "file_upload"), ("name", "demo"), ("version", "1.0"), ("attestations", attestations)];
    let bytes = wheel("demo", "1.0", 10, 1);
    let answer = house.post_form("/alice/dev/", ALICE, &fields, Some(("demo-1.0-py3-none-any.whl", &bytes))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
    let page = house.get_with("/alice/dev/+simple/demo/", &[accept]).await.json();
    let url = page["files"][0]["provenance"].as_str().unwrap();
    let path = url.strip_prefix("https://localhost").unwrap();
    let provenance = house.get(path).await;
    assert_eq!((provenance.status, provenance.header("content-type")), (200, "application/vnd.pypi.integrity.v1+json"));
    assert_eq!(
        provenance.json()["attestation_bundles"][0]["attestations"],
        serde_json::from_str::<serde_json::Value>(attestations).unwrap()
    );
    house.end().await;
}

#[tokio::test]
async fn ten_clients_upload_at_once() {
    let house = private_house().await;
    let uploads = (0..30).map(|n| {
        let house = &house;
        async move {
            let (name, version) = (format!("demo{}", n % 3), format!("1.{n}"));
            let bytes = wheel(&name, &version, 20_000, n);
            assert_eq!(upload(house, "alice/dev", ALICE, &name, &version, &bytes).await.status, 200);
            (name.clone(), wheel_filename(&name, &version), sha256(&bytes))
        }
    });
    let done = futures_util::future::join_all(uploads).await;
    for (name, filename, digest) in done {
        let path = house.file_path_in("alice/dev", &name, &filename).await;
        assert_eq!(sha256(&house.get(&path).await.body), digest);
    }
    house.end().await;
}

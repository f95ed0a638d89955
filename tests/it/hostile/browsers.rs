//! What a page of another site can make a browser do to a server on loopback.

use super::exchange;
use crate::support::house::{House, Options};
use crate::support::{wheel, wheel_filename};

async fn with_public_url() -> House {
    let public_url = Some("https://pypi.example.org".to_owned());
    House::with(Options { public_url, ..Options::default() }).await
}

/// DNS rebinding: the browser connects to us, but says the name that the page has.
#[tokio::test]
async fn a_foreign_host_gets_nothing() {
    let house = with_public_url().await;
    let port = house.address.port();
    let other = if port == 3141 { 3142 } else { 3141 };
    let forms = [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "127.0.0.1.nip.io".to_owned(),
        format!("127.0.0.1.nip.io:{port}"),
        format!("localhost.evil.example:{port}"),
        format!("localhost.:{port}"),
        format!("127.0.0.1.:{port}"),
        format!("localhost:{other}"),
        format!("127.0.0.1:{other}"),
        "localhost:80".to_owned(),
        format!("localhost:{port}:{port}"),
        "localhost:".to_owned(),
        format!("localhost:0{port}"),
        format!("localhost:{port}x"),
        "localhost:99999".to_owned(),
        format!("evil.example@localhost:{port}"),
        format!("localhost:{port}@evil.example"),
        format!("user:word@localhost:{port}"),
        format!("0.0.0.0:{port}"),
        format!("10.0.0.1:{port}"),
        format!("2130706433:{port}"),
        format!("127.1:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("0x7f.0.0.1:{port}"),
        format!("[::]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::1:{port}"),
        format!("[::1]evil:{port}"),
        format!("::1:{port}"),
        format!("[::1%lo]:{port}"),
        format!("l\u{f8}calhost:{port}"),
        format!("http://localhost:{port}"),
        format!("localhost:{port}/x"),
        format!("localhost:{port}#x"),
        "local host".to_owned(),
        "*".to_owned(),
        "null".to_owned(),
        "pypi.example.org.evil.example".to_owned(),
        "pypi.example.org.".to_owned(),
        format!("pypi.example.org:{other}"),
        "xpypi.example.org".to_owned(),
    ];
    for host in &forms {
        for request in [
            format!("GET /simple/canary/ HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            format!("GET /simple/canary/ HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n"),
            format!("GET /simple/canary/ HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: localhost\r\n\r\n"),
            format!("POST / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            format!("GET http://{host}/simple/canary/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ] {
            // The last form is another target where the host holds a character that ends an authority.
            if request.contains("http://") && host.contains(['/', '#', ' ']) {
                continue;
            }
            let answers = exchange(&house, request.as_bytes()).await;
            assert_eq!(answers.len(), 1, "{request:?}");
            assert!([400, 421].contains(&answers[0].status), "{request:?}: {}", answers[0].status);
            assert!(answers[0].closes() && answers[0].body.len() < 200, "{request:?}: {answers:?}");
        }
    }
    house.upstream.assert_untouched().await;
    house.end().await;
}

#[tokio::test]
async fn our_own_names_are_answered() {
    let house = with_public_url().await;
    let port = house.address.port();
    for host in [
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "[::1]".to_owned(),
        format!("localhost:{port}"),
        format!("LocalHost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("127.9.9.9:{port}"),
        format!("[::1]:{port}"),
        "pypi.example.org".to_owned(),
        "PyPI.Example.Org".to_owned(),
        "pypi.example.org:443".to_owned(),
        "pypi.example.org:80".to_owned(),
        format!("pypi.example.org:{port}"),
    ] {
        let request = format!("GET /+health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answers = exchange(&house, request.as_bytes()).await;
        assert_eq!((answers.len(), answers[0].status), (1, 200), "{host}");
    }
    // The one answer with absolute URLs says the public one, whatever the request was addressed to.
    for header in
        [("Host", "localhost"), ("X-Forwarded-Host", "evil.example"), ("X-Outside-Url", "http://evil.example")]
    {
        let api = house.get_with("/root/pypi/+api", &[header]).await;
        let simple = api.json()["result"]["simpleindex"].as_str().unwrap().to_owned();
        assert_eq!(simple, "https://pypi.example.org/root/pypi/+simple/", "{header:?}");
    }
    house.end().await;
}

/// Without rebinding: the page fetches us under our own name, and the browser says who asked.
#[tokio::test]
async fn a_page_of_another_site_cannot_start_a_fetch() {
    let house = with_public_url().await;
    let (own, port) = (format!("http://{}", house.address), house.address.port());
    let refused: Vec<(&str, Vec<(&str, String)>)> = [
        ("GET", "cross-site", "cors", "empty"),
        ("GET", "cross-site", "no-cors", "empty"),
        ("GET", "cross-site", "no-cors", "image"),
        ("GET", "cross-site", "no-cors", "script"),
        ("GET", "cross-site", "no-cors", "style"),
        ("GET", "cross-site", "same-origin", "empty"),
        ("GET", "cross-site", "websocket", "websocket"),
        ("GET", "cross-site", "navigate", "iframe"),
        ("GET", "cross-site", "navigate", "frame"),
        ("GET", "cross-site", "navigate", "embed"),
        ("GET", "cross-site", "navigate", "object"),
        ("GET", "cross-site", "", ""),
        ("GET", "CROSS-SITE", "navigate", "document"),
        ("GET", "other", "navigate", "document"),
        ("HEAD", "cross-site", "cors", "empty"),
        ("POST", "cross-site", "navigate", "document"),
        ("POST", "cross-site", "no-cors", "empty"),
        ("PUT", "cross-site", "cors", "empty"),
        ("DELETE", "cross-site", "cors", "empty"),
        ("OPTIONS", "cross-site", "cors", "empty"),
        ("POST", "same-site", "navigate", "document"),
        ("DELETE", "same-site", "cors", "empty"),
    ]
    .into_iter()
    .map(|(method, site, mode, dest)| {
        let fields = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)];
        (method, fields.into_iter().filter(|(_, value)| !value.is_empty()).map(|(n, v)| (n, v.to_owned())).collect())
    })
    .chain(
        [
            "http://evil.example".to_owned(),
            "null".to_owned(),
            "https://127.0.0.1".to_owned(),
            format!("http://localhost:{port}"),
            format!("http://127.0.0.1:{port}.evil.example"),
            String::new(),
        ]
        .into_iter()
        .flat_map(|origin| ["GET", "POST"].map(|method| (method, vec![("Origin", origin.clone())]))),
    )
    .chain([("GET", vec![("Sec-Fetch-Site", "cross-site".to_owned()), ("Origin", own.clone())])])
    .collect();
    for (method, headers) in &refused {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for path in ["/simple/canary/", "/root/pypi/+simple/", "/root/pypi/+f/000/0000000000000/canary-1.0.tar.gz"] {
            let answer = house.request(method, path, &headers).await.unwrap();
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {headers:?}");
        }
    }
    // A form needs no script and no preflight.
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let form = format!(
            "POST /root/pypi/ HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://evil.example\r\n\
             Content-Type: {content_type}\r\nContent-Length: 3\r\n\r\na=b"
        );
        let answers = exchange(&house, form.as_bytes()).await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [403], "{content_type}");
    }
    house.upstream.assert_untouched().await;
    house.end().await;
}

#[tokio::test]
async fn people_and_installers_are_let_in() {
    let house = House::start().await;
    house.upstream.project("demo").wheel(&wheel_filename("demo", "1.0"), wheel("demo", "1.0", 1000, 1));
    let own = format!("http://{}", house.address);
    for headers in [
        vec![],
        vec![("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")],
        vec![("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
        vec![("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
        vec![("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")],
        vec![("Origin", &*own)],
    ] {
        let answer = house.get_with("/simple/demo/", &headers).await;
        assert_eq!(answer.status, 200, "{headers:?}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(answer.header("access-control-allow-origin"), "");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
    house.end().await;
}

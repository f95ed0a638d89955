use super::render::Json;
use super::*;
use crate::names::{DistFilename, ProjectName, Sha256};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use url::Url;

fn page_url() -> Url {
    Url::parse("https://index.example/simple/demo/").unwrap()
}

fn demo() -> ProjectName {
    ProjectName::parse("demo").unwrap()
}

fn read(value: &Value) -> Result<ProjectPage, PageError> {
    parse_json(value.to_string().as_bytes(), &page_url(), &demo())
}

fn read_html(html: &str) -> Result<ProjectPage, PageError> {
    parse_html(html.as_bytes(), &page_url(), &demo())
}

fn rendered(page: &ProjectPage) -> Value {
    serde_json::from_slice(&render_json(page, "../../")).unwrap()
}

fn html(page: &ProjectPage) -> String {
    String::from_utf8(render_html(page, "../../")).unwrap()
}

/// A page with one file that has all keys, known and unknown.
fn full() -> Value {
    json!({
        "meta": {"_last-serial": 42, "api-version": "1.4", "_private": [1, {"b": 1, "a": 2}]},
        "name": "Demo",
        "project-status": {"status": "deprecated", "reason": "use <other>"},
        "versions": ["1.0", "not-a-version"],
        "files": [{
            "filename": "demo-1.0+l!.whl",
            "url": "https://cdn.example/ab/demo-1.0%2Bl%21.whl",
            "hashes": {"sha256": "ab".repeat(32), "md5": "00ff"},
            "size": 12,
            "upload-time": "2026-01-02T03:04:05.678901Z",
            "requires-python": ">=3.8,<4",
            "yanked": "it is \"bad\" > you",
            "core-metadata": {"sha256": "cd".repeat(32)},
            "gpg-sig": false,
            "provenance": "https://index.example/integrity?a&b",
            "future-key": {"z": 1, "a": null},
            "_private": true
        }],
        "alternate-locations": [],
        "_etc": "x"
    })
}

#[test]
fn everything_stated_survives() {
    let page = read(&full()).unwrap();
    assert_eq!((page.dropped, page.bad_hashes), (0, 0));
    let mut expected = full();
    expected["name"] = json!("demo");
    expected["files"][0]["url"] = json!("../../+f/aba/babababababab/demo-1.0%2Bl%21.whl");
    expected["files"][0]["data-dist-info-metadata"] = expected["files"][0]["core-metadata"].clone();
    assert_eq!(rendered(&page), expected);
    let stored = from_stored(&to_stored(&page)).unwrap();
    assert_eq!(stored, page);
    assert_eq!(stored.files[0].upstream_path(), "/ab/demo-1.0%2Bl%21.whl");
    assert_eq!(stored.files[0].path(), "+f/aba/babababababab/demo-1.0+l!.whl");
}

#[test]
fn small_forms_survive_too() {
    for (key, value) in [
        ("requires-python", json!(null)),
        ("requires-python", json!("")),
        ("yanked", json!(true)),
        ("yanked", json!(false)),
        ("yanked", json!("")),
        ("core-metadata", json!(true)),
        ("core-metadata", json!(false)),
        ("core-metadata", json!({"md5": "00", "sha256": "cd".repeat(32)})),
        ("core-metadata", json!({"sha512": "00"})),
        ("provenance", json!(null)),
        ("gpg-sig", json!(true)),
    ] {
        let mut stated = full();
        stated["files"][0][key] = value.clone();
        let page = read(&stated).unwrap();
        assert_eq!(rendered(&page)["files"][0][key], value, "{key}");
        assert_eq!(from_stored(&to_stored(&page)).unwrap(), page, "{key}");
    }
    for serial in [json!("42"), json!("007"), json!(-1), json!(7), json!({"a": 1})] {
        let mut stated = full();
        stated["meta"]["_last-serial"] = serial.clone();
        assert_eq!(rendered(&read(&stated).unwrap())["meta"]["_last-serial"], serial);
    }
}

#[test]
fn what_is_absent_stays_absent() {
    let stated = json!({"name": "demo", "files": [{"filename": "demo-1.zip", "url": "demo-1.zip", "hashes": {}}]});
    let page = read(&stated).unwrap();
    let expected = json!({
        "meta": {"api-version": "1.0"}, "name": "demo",
        "files": [{"filename": "demo-1.zip", "hashes": {},
            "url": "../../+e/https_index.example_simple_demo/demo-1.zip"}]
    });
    assert_eq!(rendered(&page), expected);
    assert_eq!(page.files[0].path(), "+e/https_index.example_simple_demo/demo-1.zip");
}

#[test]
fn older_spellings_of_core_metadata_count_when_the_newer_is_silent() {
    let digest = json!({"sha256": "cd".repeat(32)});
    for (new, old, older, expected) in [
        (json!(null), json!(null), digest.clone(), digest.clone()),
        (json!(null), digest.clone(), json!(null), digest.clone()),
        (json!(false), digest.clone(), digest.clone(), json!(false)),
        (digest.clone(), json!(false), json!(false), digest.clone()),
        (json!({"sha256": "no digest"}), json!(null), json!(null), json!(true)),
        (json!({}), json!(null), json!(null), json!(true)),
    ] {
        let mut stated = full();
        let file = stated["files"][0].as_object_mut().unwrap();
        file.insert("core-metadata".into(), new);
        file.insert("data-dist-info-metadata".into(), old);
        file.insert("dist-info-metadata".into(), older);
        let out = rendered(&read(&stated).unwrap());
        assert_eq!(out["files"][0]["core-metadata"], expected);
        assert_eq!(out["files"][0]["data-dist-info-metadata"], expected);
        assert_eq!(out["files"][0].get("dist-info-metadata"), None);
    }
}

#[test]
fn the_version_told_is_true() {
    let told = |change: &dyn Fn(&mut Value)| {
        let mut stated = full();
        change(&mut stated);
        rendered(&read(&stated).unwrap())["meta"]["api-version"].as_str().unwrap().to_owned()
    };
    assert_eq!(told(&|_| ()), "1.4");
    assert_eq!(told(&|page| page["meta"]["api-version"] = json!("1.9")), "1.4");
    assert_eq!(told(&|page| page["meta"]["api-version"] = json!("1.1")), "1.1");
    assert_eq!(told(&|page| page["versions"] = json!(null)), "1.0");
    assert_eq!(told(&|page| page["files"][0]["size"] = json!("12")), "1.0");
    assert_eq!(told(&|page| page["meta"] = json!({})), "1.0");
    for version in [json!("2.0"), json!("0.9"), json!("1.x"), json!(""), json!(1.0), json!("1.+4"), json!("11")] {
        let mut stated = full();
        stated["meta"]["api-version"] = version.clone();
        assert!(matches!(read(&stated), Err(PageError::ApiVersion(_))), "{version}");
    }
}

#[test]
fn unusable_files_are_dropped_and_counted() {
    let good = json!({"filename": "demo-1.zip", "url": "https://cdn.example/demo-1.zip", "hashes": {"sha256": "x"}});
    let mut files = vec![good.clone()];
    for (filename, url) in [
        (json!("demo-2.zip"), json!("https://cdn.example/demo-1.zip")),
        (json!("demo-2.zip"), json!("file:///demo-2.zip")),
        (json!("demo-2.zip"), json!("https://user@cdn.example/demo-2.zip")),
        (json!("demo-2.zip"), json!(7)),
        (json!("demo-2.zip"), json!(null)),
        (json!(null), json!("https://cdn.example/demo-2.zip")),
        (json!("../demo-2.zip"), json!("https://cdn.example/../demo-2.zip")),
        (json!("a/demo-2.zip"), json!("https://cdn.example/a%2Fdemo-2.zip")),
        (json!("index.html"), json!("https://cdn.example/index.html")),
        (json!("demo-2.zip"), json!("https://cdn.example/?demo-2.zip")),
    ] {
        files.push(json!({"filename": filename, "url": url, "hashes": {}}));
    }
    files.push(json!({"filename": "demo-2.zip", "url": "demo-2.zip", "yanked": "x".repeat(TEXT_BYTES_MAX + 1)}));
    files.push(json!({"filename": "demo-2.zip", "url": "demo-2.zip", "new": [["x".repeat(TEXT_BYTES_MAX + 1)]]}));
    let dropped = files.len() - 1;
    // A second file of one name is no failure; the first stays.
    files.push(json!({"filename": "demo-1.zip", "url": "https://other.example/demo-1.zip"}));
    let page = read(&json!({"name": "demo", "files": files})).unwrap();
    assert_eq!((page.files.len(), page.dropped, page.bad_hashes), (1, dropped, 1));
    assert_eq!(page.files[0].url, "https://cdn.example/demo-1.zip");
    assert_eq!(page.files[0].sha256, None);
    assert_eq!(from_stored(&to_stored(&page)).unwrap().dropped, 0);
}

#[test]
fn pages_that_are_none_are_refused() {
    let wrong = read(&json!({"name": "other", "files": []}));
    assert!(matches!(wrong, Err(PageError::WrongName { said, .. }) if said == "other"));
    assert!(matches!(read(&json!({"name": "../demo", "files": []})), Err(PageError::WrongName { .. })));
    assert!(read(&json!({"name": "demo", "files": []})).is_ok());
    for page in [
        json!({"files": []}),
        json!({"name": "demo"}),
        json!({"name": "demo", "files": {}}),
        json!({"name": "demo", "files": [1]}),
        json!([]),
        json!({}),
        json!("demo"),
    ] {
        assert!(matches!(read(&page), Err(PageError::Json(_))), "{page}");
    }
    let whole = full().to_string();
    for end in 0..whole.len() {
        assert!(parse_json(&whole.as_bytes()[..end], &page_url(), &demo()).is_err(), "cut at {end}");
    }
    assert!(parse_json(format!("{whole}x").as_bytes(), &page_url(), &demo()).is_err());
    assert!(parse_json(format!("\u{feff}{whole}").as_bytes(), &page_url(), &demo()).is_ok());
    let deep = format!("{{\"name\":\"demo\",\"x\":{}{},\"files\":[]}}", "[".repeat(200), "]".repeat(200));
    assert!(matches!(parse_json(deep.as_bytes(), &page_url(), &demo()), Err(PageError::TooDeep)));
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    for key in ["meta", "project-status", "new"] {
        assert!(matches!(read(&json!({key: {"a": long}, "name": "demo", "files": []})), Err(PageError::TooLong(_))));
    }
    assert!(matches!(from_stored(br#"{"name":"..","files":[]}"#), Err(PageError::NoName(_))));
}

#[test]
fn too_many_files_are_refused() {
    let mut page = String::from(r#"{"name":"demo","files":[{}"#);
    page.push_str(&",{}".repeat(FILES_MAX - 1));
    assert_eq!(parse_json(format!("{page}]}}").as_bytes(), &page_url(), &demo()).unwrap().dropped, FILES_MAX);
    let many = parse_json(format!("{page},{{}}]}}").as_bytes(), &page_url(), &demo());
    assert!(matches!(many, Err(PageError::TooManyFiles)));
}

#[test]
fn quarantine_offers_nothing_but_is_remembered() {
    let mut stated = full();
    stated["project-status"] = json!({"status": "quarantined"});
    let page = read(&stated).unwrap();
    assert_eq!(rendered(&page)["files"], json!([]));
    assert_eq!(rendered(&page)["meta"]["api-version"], json!("1.4"));
    assert!(!html(&page).contains("<a "));
    assert!(html(&page).contains("<meta name=\"pypi:project-status\" content=\"quarantined\">"));
    assert_eq!(from_stored(&to_stored(&page)).unwrap().files.len(), 1);
}

#[test]
fn equal_content_is_stored_in_equal_bytes() {
    let text = r#"{"name":"demo","x":{"b":[{"d":1,"c":2}],"a":1},"meta":{"q":1,"api-version":"1.1","p":2},"files":
        [{"filename":"d.whl","url":"d.whl","hashes":{"sha1":"00","md5":"11"},"v":1,"u":2}]}"#;
    let turned = r#"{"meta":{"p":2,"q":1,"api-version":"1.1"},"x":{"a":1,"b":[{"c":2,"d":1}]},"name":"DEMO","files":
        [{"u":2,"v":1,"hashes":{"md5":"11","sha1":"00"},"url":"../demo/d.whl","filename":"d.whl"}]}"#;
    let stored = [text, turned].map(|page| to_stored(&parse_json(page.as_bytes(), &page_url(), &demo()).unwrap()));
    assert_eq!(String::from_utf8_lossy(&stored[0]), String::from_utf8_lossy(&stored[1]));
}

#[test]
fn html_is_written_as_clients_read_it() {
    let page = read(&full()).unwrap();
    let (sha, meta) = ("ab".repeat(32), "cd".repeat(32));
    let expected = format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta name=\"pypi:repository-version\" content=\"1.4\">\n\
         <meta name=\"pypi:project-status\" content=\"deprecated\">\n\
         <meta name=\"pypi:project-status-reason\" content=\"use &lt;other&gt;\">\n\
         <title>Links for demo</title>\n</head>\n<body>\n\
         <a href=\"../../+f/aba/{}/demo-1.0%2Bl%21.whl#sha256={sha}\" data-requires-python=\"&gt;=3.8,&lt;4\" \
         data-yanked=\"it is &quot;bad&quot; &gt; you\" data-core-metadata=\"sha256={meta}\" \
         data-dist-info-metadata=\"sha256={meta}\" data-gpg-sig=\"false\" \
         data-provenance=\"https://index.example/integrity?a&amp;b\">demo-1.0+l!.whl</a><br>\n</body>\n</html>\n",
        &sha[3..16]
    );
    assert_eq!(html(&page), expected);
}

#[test]
fn html_of_other_servers_is_read() {
    let sha = "ab".repeat(32);
    let page = read_html(&format!(
        r#"<!DOCTYPE html><html><head><title>Links for demo</title><base href="/files/"></head><body>
        <h1>Links for demo</h1><a href="/">Home</a> <A HREF='../'>Up</A> <a name=x>x</a> <a href="/about.html">a</a>
        <a href="demo-1.0.tar.gz#egg=demo-1.0&amp;sha256={sha}" data-requires-python="&gt;=3.8" data-yanked>1</a><br>
        <a href=demo-1.0-py3-none-any.whl#md5=00ff data-core-metadata=true DATA-GPG-SIG=true data-size=12
           data-upload-time="2026-01-01T00:00:00Z" data-size=99>2</a>
        <a href="https://cdn.example/demo-2.0%2Blocal.zip" data-dist-info-metadata="sha256={sha}" data-yanked="why">
        <a href="javascript:x/demo-3.zip">3</a>
        <script>"<a href='demo-4.zip'>"</script><!-- <a href="demo-5.zip">5</a> -->"#
    ))
    .unwrap();
    let files: Vec<_> = page.files.iter().map(|file| file.url.as_str()).collect();
    assert_eq!(
        files,
        [
            "https://index.example/files/demo-1.0.tar.gz",
            "https://index.example/files/demo-1.0-py3-none-any.whl",
            "https://cdn.example/demo-2.0%2Blocal.zip"
        ]
    );
    assert_eq!((page.dropped, page.bad_hashes, page.told_api_version()), (1, 0, ApiVersion::OLDEST));
    let [sdist, wheel, local] = page.files.as_slice() else { panic!() };
    assert_eq!(sdist.sha256, Some(Sha256::from_bytes([0xab; 32])));
    assert_eq!((sdist.requires_python.specifier(), &sdist.yanked), (Some(">=3.8"), &Yanked::Yes));
    assert_eq!(*wheel.other_hashes, [("md5".to_owned(), "00ff".to_owned())]);
    assert_eq!((wheel.gpg_sig, wheel.size, &wheel.core_metadata), (Some(true), Some(12), &CoreMetadata::Yes));
    assert_eq!(wheel.upload_time.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(local.filename.as_str(), "demo-2.0+local.zip");
    assert_eq!(local.core_metadata, CoreMetadata::Sha256(Sha256::from_bytes([0xab; 32])));
    assert_eq!(local.yanked, Yanked::Reason("why".to_owned()));
    assert!(html(&page).contains("demo-1.0-py3-none-any.whl#md5=00ff\""));
}

#[test]
fn html_without_link_needs_a_marker() {
    for empty in [
        "<meta name='pypi:repository-version' content='1.0'>",
        "<title>Links for demo</title>",
        "<h1>LINKS <b>for</b> Demo</h1>",
    ] {
        assert_eq!(read_html(empty).unwrap().files, [], "{empty}");
    }
    for portal in [
        "",
        "  \n",
        "<html><body></body></html>",
        "<h1>Welcome to our network</h1><a href='/login'>Log in</a>",
        "<p>Links for demo</p>",
        "<a href='ftp://x.example/demo-1.zip'>demo-1.zip</a>",
        "{\"name\": \"demo\"}",
    ] {
        assert!(matches!(read_html(portal), Err(PageError::NotAPage)), "{portal}");
    }
    let newer = "<meta name=\"pypi:repository-version\" content=\"2.0\"><title>Links for demo</title>";
    assert!(matches!(read_html(newer), Err(PageError::ApiVersion(_))));
}

fn any_hashes() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::btree_map("(md5|sha1|sha512|blake2b_256)", "[0-9a-f]{2,8}", 0..3)
        .prop_map(|map| map.into_iter().collect())
}

fn any_core_metadata() -> impl Strategy<Value = CoreMetadata> {
    prop_oneof![
        Just(CoreMetadata::Absent),
        Just(CoreMetadata::No),
        Just(CoreMetadata::Yes),
        any::<[u8; 32]>().prop_map(|bytes| CoreMetadata::Sha256(Sha256::from_bytes(bytes))),
        any_hashes().prop_filter("hashes", |all| !all.is_empty()).prop_map(|all| CoreMetadata::Hashes(all.into())),
    ]
}

fn any_file() -> impl Strategy<Value = File> {
    let url = (
        "https?://[a-z]{1,8}\\.example(:8443)?",
        "(/[a-z0-9_~]{1,6}){0,3}",
        "[a-zA-Z0-9+!~_\"'<>&%^`{}|-]{1,20}\\.(whl|tar\\.gz|zip|egg)",
    );
    let requires = prop_oneof![
        Just(RequiresPython::Absent),
        Just(RequiresPython::Null),
        "\\PC{1,20}".prop_map(|said| RequiresPython::Specifier(said.into()))
    ];
    let yanked =
        prop_oneof![Just(Yanked::Absent), Just(Yanked::No), Just(Yanked::Yes), ".{1,20}".prop_map(Yanked::Reason)];
    let extra = option::of(("x-[a-z]{1,4}", ".{0,8}"));
    (
        (url, option::of(any::<[u8; 32]>()), any_hashes(), option::of(any::<u64>()), option::of(".{0,20}")),
        (requires, yanked, any_core_metadata(), option::of(any::<bool>()), option::of("https://.{0,20}"), extra),
    )
        .prop_map(|((url, sha256, other_hashes, size, upload_time), rest)| {
            let (requires_python, yanked, core_metadata, gpg_sig, provenance, extra) = rest;
            let segment: String =
                percent_encoding::utf8_percent_encode(&url.2, percent_encoding::NON_ALPHANUMERIC).collect();
            let mut file = File::new(DistFilename::parse(&url.2).unwrap(), format!("{}{}/{segment}", url.0, url.1));
            file.sha256 = sha256.map(Sha256::from_bytes);
            file.other_hashes = other_hashes.into();
            file.size = size;
            file.upload_time = upload_time;
            file.requires_python = requires_python;
            file.yanked = yanked;
            file.core_metadata = core_metadata;
            file.gpg_sig = gpg_sig;
            file.provenance = provenance.map_or(Provenance::Absent, |url| Value::String(url).into());
            file.extra = extra.map(|(key, value)| Box::new(Map::from_iter([(key, Value::String(value))])));
            file
        })
}

fn any_page() -> impl Strategy<Value = ProjectPage> {
    let status = option::of(("(active|archived)", ".{0,10}"));
    let serial = option::of(any::<u64>());
    (vec(any_file(), 0..6), option::of(vec(".{0,8}", 0..4)), 0..5u32, serial, any::<bool>(), status).prop_map(
        |(mut files, versions, minor, last_serial, text, status)| {
            let mut seen = std::collections::HashSet::new();
            files.retain(|file| seen.insert(file.filename.clone()));
            let mut page = ProjectPage::new(demo());
            page.api_version = ApiVersion::parse(&format!("1.{minor}")).unwrap();
            page.last_serial = last_serial;
            page.last_serial_is_text = text && last_serial.is_some();
            page.versions = versions;
            page.project_status = status.map(|(status, reason)| json!({"status": status, "reason": reason}));
            page.files = files;
            page
        },
    )
}

proptest! {
    #[test]
    fn stored_pages_come_back(page in any_page()) {
        let bytes = to_stored(&page);
        let back = from_stored(&bytes).unwrap();
        prop_assert_eq!(to_stored(&back), bytes);
        prop_assert_eq!(back, page);
    }

    #[test]
    fn json_says_the_same_as_the_page(page in any_page()) {
        let at = page_url().join("/root/idx/+simple/demo/").unwrap();
        let mut back = parse_json(&render_json(&page, "../../"), &at, &demo()).unwrap();
        for (served, file) in back.files.iter_mut().zip(&page.files) {
            let path: String = percent_encoding::percent_decode_str(served.upstream_path()).decode_utf8().unwrap().into();
            prop_assert_eq!(path, format!("/root/idx/{}", file.path()));
            served.url.clone_from(&file.url);
        }
        back.api_version = page.api_version;
        prop_assert_eq!(back, page);
    }

    #[test]
    fn html_says_the_same_as_the_page_and_nothing_else(page in any_page()) {
        let html = html(&page);
        let body = html.split_once("<body>\n").unwrap().1.strip_suffix("</body>\n</html>\n").unwrap();
        for (line, file) in body.lines().zip(&page.files) {
            prop_assert!(line.starts_with("<a href=\"../../+") && line.ends_with("</a><br>"));
            // One anchor, one text, one line break: no tag was smuggled in.
            prop_assert_eq!(line.matches(['<', '>']).count(), 6);
            prop_assert_eq!(line.contains("data-yanked"), file.yanked.is_yanked());
        }
        prop_assert_eq!(body.lines().count(), page.files.len());
        let back = parse_html(html.as_bytes(), &page_url(), &demo()).unwrap();
        prop_assert_eq!((back.files.len(), back.dropped), (page.files.len(), 0));
        for (back, file) in back.files.iter().zip(&page.files) {
            prop_assert_eq!(&back.filename, &file.filename);
            prop_assert_eq!(back.sha256, file.sha256);
            prop_assert_eq!(back.requires_python.specifier(), file.requires_python.specifier());
            prop_assert_eq!(back.core_metadata.is_offered(), file.core_metadata.is_offered());
            prop_assert_eq!(back.core_metadata.sha256(), file.core_metadata.sha256());
            prop_assert_eq!(back.gpg_sig, file.gpg_sig);
        }
    }

    #[test]
    fn pieces_read_as_the_whole_does(
        page in any_page(),
        wild in vec(any::<u8>(), 0..5),
        at in any::<proptest::sample::Index>(),
        cuts in vec(any::<proptest::sample::Index>(), 0..12),
        indented in any::<bool>(),
    ) {
        let mut body = to_stored(&page);
        if indented {
            body = serde_json::to_vec_pretty(&serde_json::from_slice::<Value>(&body).unwrap()).unwrap();
        }
        let at = at.index(body.len());
        body.splice(at..(at + wild.len() / 2).min(body.len()), wild);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let pieces = |cuts: &[usize]| -> Result<ProjectPage, PageError> {
            let (mut reader, mut from) = (PageReader::stored(), 0);
            for cut in cuts {
                reader.read(&body[from..*cut])?;
                from = *cut;
            }
            reader.finish(&body[from..])
        };
        let each: Vec<_> = (0..body.len()).collect();
        for read in [pieces(&cuts), pieces(&each)] {
            match (read, from_stored(&body)) {
                (Ok(read), Ok(whole)) => prop_assert_eq!(read, whole),
                // Of a value of the wrong type the words may tell only what had come of it.
                (Err(PageError::Json(_)), Err(PageError::Json(_))) => {}
                (Err(read), Err(whole)) => prop_assert_eq!(read.to_string(), whole.to_string()),
                (read, whole) => prop_assert!(false, "{read:?} instead of {whole:?}"),
            }
        }
    }

    #[test]
    fn a_page_written_while_it_comes_is_the_page(page in any_page(), cuts in vec(0..6usize, 0..4)) {
        let mut writer = PageWriter::new("../../");
        let mut written = Vec::new();
        let mut rest = page.files.as_slice();
        for cut in cuts.into_iter().chain([page.files.len()]) {
            let (next, later) = rest.split_at(cut.min(rest.len()));
            written.extend(writer.files(next).unwrap_or_default());
            rest = later;
        }
        written.extend(writer.finish(&page));
        prop_assert_eq!(written, render_json(&page, "../../"));
    }

    #[test]
    fn a_text_is_written_as_json_has_it(text in any::<String>(), plain in "[ -~]{0,20}") {
        for text in [text, plain] {
            let mut json = Json { out: Vec::new(), stored: false };
            json.text(&text);
            prop_assert_eq!(json.out, serde_json::to_vec(&text).unwrap());
        }
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), cut in 0..900usize, at in 0..900usize) {
        let mut page = full().to_string().into_bytes();
        let at = at.min(page.len());
        page.splice(at..(at + cut % 8).min(page.len()), bytes.iter().copied().take(cut % 5));
        for body in [&bytes, &page] {
            let _ = parse_json(body, &page_url(), &demo());
            let _ = parse_html(body, &page_url(), &demo());
            let _ = from_stored(body);
        }
    }

    #[test]
    fn foreign_markup_never_panics(html in "(<(a|A|base|meta|title|h1|script|!--)( (href|data-yanked|name|content)=?['\"]?[#&;./a-z<>%]{0,9}){0,3}['\"]?>?|</(a|h1|title)>|links for|x\\.zip){0,12}") {
        if let Ok(page) = read_html(&html) {
            prop_assert!(page.files.iter().all(|file| file.url.starts_with("http")));
        }
    }
}

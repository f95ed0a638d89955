use super::*;
use crate::index::NewFile;
use crate::index::wheel::METADATA_BYTES_MAX;
use crate::names::Sha256;
use proptest::prelude::*;

const METADATA: &[u8] = b"Metadata-Version: 2.1\nName: Hello_Pkg\nVersion: 1.0\nRequires-Python: >=3.8\n\n# Hello\n";

fn wheel() -> Vec<u8> {
    zip_of(&[("hello_pkg/__init__.py", b""), ("hello_pkg-1.0.dist-info/METADATA", METADATA)])
}

async fn check(filename: &str, bytes: &[u8], fields: &[(&str, &str)]) -> Result<NewFile, UploadError> {
    let home = Home::new();
    let mut parts = vec![content(filename, bytes), field("name", "hello-pkg"), field("version", "1.0")];
    parts.extend(fields.iter().map(|(name, value)| field(name, value)));
    let form = home.send(&form(&parts), CONTENT_TYPE, 65_536).await.unwrap();
    let checked = check_file(form).await;
    assert_eq!(home.temp_files(), usize::from(checked.is_ok()), "nothing is kept of what is refused");
    checked
}

async fn sentence(filename: &str, bytes: &[u8], fields: &[(&str, &str)]) -> String {
    match check(filename, bytes, fields).await {
        Err(UploadError::Refused(refusal)) => refusal.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{filename} was taken"),
    }
}

#[tokio::test]
async fn a_wheel_is_taken_with_its_metadata() {
    let bytes = wheel();
    let sha256 = Sha256::of(&bytes);
    let fields = [
        ("requires_python", ">=2.0"),
        ("sha256_digest", &sha256.to_hex()),
        ("md5_digest", ""),
        ("summary", "UNKNOWN"),
        ("attestations", r#"[{"version": 1}]"#),
    ];
    let file = check("hello_pkg-1.0-py3-none-any.whl", &bytes, &fields).await.unwrap();
    assert_eq!(
        (file.project.as_str(), file.versiondata["name"].as_str().unwrap(), file.version.as_str()),
        ("hello-pkg", "hello-pkg", "1.0")
    );
    assert_eq!((file.sha256, file.size), (sha256, bytes.len() as u64));
    assert_eq!(file.metadata.as_deref(), Some(METADATA));
    assert_eq!(file.requires_python.as_deref(), Some(">=3.8"));
    assert_eq!(
        serde_json::Value::from(file.versiondata),
        serde_json::json!(
        {"name": "hello-pkg", "version": "1.0", "summary": "", "requires_python": ">=2.0"})
    );
    assert_eq!(file.attestations.as_deref(), Some(r#"[{"version": 1}]"#));
}

#[tokio::test]
async fn sdists_are_taken_old_ones_too() {
    let zipped = zip_of(&[("hello-pkg-1.0/PKG-INFO", METADATA)]);
    let tarred = tar_gz(&[("hello-pkg-1.0/PKG-INFO", METADATA)]);
    for (filename, bytes) in [("hello-pkg-1.0.zip", zipped), ("hello_pkg-1.0.tar.gz", tarred)] {
        let file = check(filename, &bytes, &[("requires_python", ">=2")]).await.unwrap();
        assert_eq!((file.requires_python.as_deref(), file.metadata), (Some(">=3.8"), None));
    }
    let old = tar_gz(&[("hello-pkg-1.0/setup.py", b"")]);
    for (filename, bytes) in [("hello-pkg-1.0.tgz", &old), ("hello-pkg-1.0-py2.7.egg", &b"egg".to_vec())] {
        let file = check(filename, bytes, &[("requires_python", ">=2")]).await.unwrap();
        assert_eq!(file.requires_python.as_deref(), Some(">=2"));
    }
}

#[tokio::test]
async fn digests_are_compared() {
    for field in ["sha256_digest", "md5_digest", "blake2_256_digest"] {
        let told = sentence("hello_pkg-1.0-py3-none-any.whl", &wheel(), &[(field, "abcd")]).await;
        let expected =
            format!("the {field} 'abcd' of 'hello_pkg-1.0-py3-none-any.whl' is not that of the bytes that arrived");
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn the_archive_has_the_last_word() {
    let named = |text: &[u8]| zip_of(&[("hello_pkg-1.0.dist-info/METADATA", text)]);
    for (text, told) in [
        (&b"Name: other\nVersion: 1.0\n"[..], "says name 'other', the form says 'hello-pkg'"),
        (b"Name: hello-pkg\nVersion: 2\n", "says version '2', the form says '1.0'"),
        (b"Name: hello-pkg\n", "it has no Version"),
        (b"Name: a\nName: b\nVersion: 1", "more than one Name"),
        (b"Name: hello-pkg\nVersion: 1.0\nRequires-Python: \x1b[31m", "Requires-Python is not one short line"),
    ] {
        let sentence = sentence("hello_pkg-1.0-py3-none-any.whl", &named(text), &[]).await;
        assert!(sentence.contains(told), "{sentence}");
    }
    let tarred = tar_gz(&[("hello-pkg-1.0/PKG-INFO", b"Name: other\nVersion: 1.0\n")]);
    assert!(sentence("hello-pkg-1.0.tar.gz", &tarred, &[]).await.contains("says name 'other'"));
}

#[tokio::test]
async fn bad_archives_and_names_are_refused() {
    let huge = vec![b'x'; METADATA_BYTES_MAX as usize + 1];
    for (filename, bytes, told) in [
        ("hello_pkg-1.0-py3-none-any.whl", b"PK no zip".to_vec(), "cannot be read: it is not a zip archive"),
        ("hello_pkg-1.0-py3-none-any.whl", zip_of(&[("a.py", b"")]), "has no METADATA"),
        ("hello_pkg-1.0-py3-none-any.whl", zip_of(&[("a.dist-info/METADATA", &huge)]), "its METADATA is too large"),
        ("hello_pkg-1.0-py3-none-any.whl", zip_of(&[("../a", b"")]), "path leads out"),
        ("hello-pkg-1.0.tar.gz", b"123".to_vec(), "cannot be read: it is not a whole .tar.gz"),
        ("other-1.0.tar.gz", wheel(), "filename 'other-1.0.tar.gz' does not match project name 'hello-pkg'"),
        ("hello-pkg-2.tar.gz", wheel(), "filename 'hello-pkg-2.tar.gz' does not contain version '1.0'"),
        ("hello-pkg-1.0.html", wheel(), "'hello-pkg-1.0.html' is not a valid archive name"),
    ] {
        let sentence = sentence(filename, &bytes, &[]).await;
        assert!(sentence.contains(told), "{sentence}");
    }
}

#[tokio::test]
async fn fields_are_needed_and_checked() {
    let of = async |fields: &[(&str, &str)]| {
        let form = Form::new(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        check_submit(&form).unwrap_err().to_string()
    };
    assert_eq!(of(&[]).await, "invalid metadata: Missing required field \"name\"");
    assert_eq!(of(&[("name", "a")]).await, "invalid metadata: Missing required field \"version\"");
    assert!(of(&[("name", "a b"), ("version", "1")]).await.starts_with("invalid metadata: a project name has only"));
    assert_eq!(check_file(Form::default()).await.err().unwrap().to_string(), "content file field not found");
    for bad in ["{}", "[1]", "x", &format!("[{}{{}}]", "{},".repeat(64))] {
        let told = sentence("hello_pkg-1.0-py3-none-any.whl", &wheel(), &[("attestations", bad)]).await;
        assert_eq!(told, "the attestations are not a JSON array of objects");
    }
}

#[tokio::test]
async fn documentation_is_a_zip() {
    let home = Home::new();
    let send = async |bytes: &[u8], version: &str| {
        let parts = [field("name", "hello_pkg"), field("version", version), content("hello_pkg-1.0.doc.zip", bytes)];
        check_docs(home.multipart(&form(&parts)).await.unwrap()).await
    };
    let bytes = zip_of(&[("index.html", b"<h1>docs</h1>")]);
    let docs = send(&bytes, "1.0").await.unwrap();
    assert_eq!((docs.project.as_str(), docs.version.as_deref()), ("hello-pkg", Some("1.0")));
    assert_eq!((docs.sha256, docs.size), (Sha256::of(&bytes), bytes.len() as u64));
    assert_eq!(send(&bytes, "").await.unwrap().version, None);
    drop(docs);
    for bad in [b"no zip".to_vec(), zip_of(&[("/etc/passwd", b"")])] {
        assert!(matches!(send(&bad, "1.0").await, Err(UploadError::Refused(Refusal::Docs(_)))));
    }
    assert_eq!(home.temp_files(), 0);
}

#[test]
fn a_server_may_run_it_as_a_task() {
    fn is_send(_: impl Send) {}
    let home = Home::new();
    is_send(receive(futures_util::stream::empty::<io::Result<Bytes>>(), CONTENT_TYPE, &home.disk, LIMITS));
    is_send(check_file(Form::default()));
    is_send(check_docs(Form::default()));
}

#[test]
fn test_results_are_objects() {
    assert!(check_toxresult(br#" {"testenvs": {"py": [1, "\u00e9"]}}"#).is_ok());
    for bad in [&b""[..], b"[]", b"1", b"{", b"{} x", b"{\"a\": \"\xff\"}"] {
        assert!(matches!(check_toxresult(bad), Err(UploadError::Refused(Refusal::ToxResult))));
    }
    assert!(matches!(check_toxresult(&vec![b' '; (32 << 20) + 1]), Err(UploadError::TooLarge { .. })));
    let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
    assert!(check_toxresult(deep.as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn damaged_archives_never_panic(at in 0..400_usize, to: u8, extension in prop::sample::select(vec!["-py3-none-any.whl", ".zip", ".tar.gz"])) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut bytes = match extension {
            ".tar.gz" => tar_gz(&[("hello-pkg-1.0/PKG-INFO", METADATA)]),
            _ => wheel(),
        };
        if let Some(byte) = bytes.get_mut(at) { *byte = to; }
        let _ = runtime.block_on(check(&format!("hello_pkg-1.0{extension}"), &bytes, &[]));
    }
}

const TOLD: &str = "Metadata-Version: 2.4\nName: Demo.Pkg\nVersion: 1.0\nSummary: A demo\n\
    Home-page: https://example.org/\nAuthor: Ada\nAuthor-email: ada@example.org\nMaintainer: Bea\n\
    License-Expression: MIT\nLicense-File: LICENSE\nLicense-File: NOTICE\nKeywords: one,two\n\
    Platform: any\nClassifier: A :: B\nClassifier: C :: D\nRequires-Dist: left (>=1)\n\
    Requires-Dist: right; extra == 'x'\nRequires-Python: >=3.9\nProvides-Extra: x\n\
    Project-URL: Source, https://example.org/src\nDynamic: classifier\n\
    Description-Content-Type: text/markdown\n\n# Demo\n\nIt shows.\n";

/// What twine says of a file with [`TOLD`] in it.
const TWINE: [(&str, &str); 28] = [
    (":action", "file_upload"),
    ("protocol_version", "1"),
    ("filetype", "bdist_wheel"),
    ("pyversion", "py3"),
    ("comment", ""),
    ("metadata_version", "2.4"),
    ("name", "Demo.Pkg"),
    ("version", "1.0"),
    ("summary", "A demo"),
    ("home_page", "https://example.org/"),
    ("author", "Ada"),
    ("author_email", "ada@example.org"),
    ("maintainer", "Bea"),
    ("license_expression", "MIT"),
    ("license_file", "LICENSE"),
    ("license_file", "NOTICE"),
    ("keywords", "one,two"),
    ("platform", "any"),
    ("classifiers", "A :: B"),
    ("classifiers", "C :: D"),
    ("requires_dist", "left (>=1)"),
    ("requires_dist", "right; extra == 'x'"),
    ("requires_python", ">=3.9"),
    ("provides_extra", "x"),
    ("project_urls", "Source, https://example.org/src"),
    ("dynamic", "classifier"),
    ("description_content_type", "text/markdown"),
    ("description", "# Demo\n\nIt shows.\n"),
];

#[tokio::test]
async fn a_file_without_a_form_says_what_a_tool_would_have_said() {
    let home = Home::new();
    let wheel = zip_of(&[("demo_pkg-1.0.dist-info/METADATA", TOLD.as_bytes()), ("demo_pkg.py", b"")]);
    let sdist = tar_gz(&[("demo_pkg-1.0/PKG-INFO", TOLD.as_bytes()), ("demo_pkg-1.0/pyproject.toml", b"")]);
    for (name, bytes) in [("demo_pkg-1.0-py3-none-any.whl", wheel), ("demo_pkg-1.0.tar.gz", sdist)] {
        let parts = TWINE.iter().map(|(key, value)| field(key, value)).chain([content(name, &bytes)]);
        let told = check_file(home.multipart(&form(&parts.collect::<Vec<_>>())).await.unwrap()).await.unwrap();
        let sent = home.multipart(&form(&[content(name, &bytes)])).await.unwrap();
        let bare = check_bare_file(sent.content.unwrap()).await.unwrap();
        assert_eq!((&bare.project, &bare.version, &bare.filename), (&told.project, &told.version, &told.filename));
        assert_eq!((bare.sha256, bare.size, &bare.metadata), (told.sha256, told.size, &told.metadata));
        assert_eq!((&bare.requires_python, &bare.defaults), (&told.requires_python, &told.defaults));
        let (mut of_tool, of_file) = (told.versiondata, bare.versiondata);
        // A form alone has it.
        assert_eq!(of_tool.shift_remove("comment"), Some("".into()));
        assert_eq!(of_file.keys().collect::<Vec<_>>(), of_tool.keys().collect::<Vec<_>>());
        assert_eq!(of_file, of_tool);
    }
}

#[tokio::test]
async fn a_file_without_a_form_must_say_what_it_is() {
    let home = Home::new();
    let wheel = zip_of(&[("demo_pkg-1.0.dist-info/METADATA", TOLD.as_bytes())]);
    let silent = tar_gz(&[("demo_pkg-1.0/setup.py", b"")]);
    for (name, bytes, words) in [
        ("demo_pkg-1.0.tar.gz", &silent, "twine"),
        ("demo_pkg-1.0-py2.7.egg", &wheel, "twine"),
        ("other-1.0-py3-none-any.whl", &wheel, "does not match project name 'Demo.Pkg'"),
        ("demo_pkg-2.0-py3-none-any.whl", &wheel, "does not contain version '1.0'"),
        ("demo_pkg-1.0.whl", &wheel, "demo_pkg-1.0.whl"),
        ("readme.txt", &wheel, "readme.txt"),
        ("", &wheel, "not a valid archive name"),
        ("demo_pkg-1.0-py3-none-any.whl", &silent, "not a zip"),
        ("demo_pkg-1.0.tar.gz", &wheel, "demo_pkg-1.0.tar.gz"),
    ] {
        let sent = home.multipart(&form(&[content(name, bytes)])).await.unwrap();
        let why = check_bare_file(sent.content.unwrap()).await.err().unwrap().to_string();
        assert!(why.contains(words), "{name}: {why}");
    }
    assert_eq!(home.temp_files(), 0);
}

use super::*;
use crate::names::Sha256;
use proptest::prelude::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn index(name: &str) -> IndexName {
    IndexName::parse(name).unwrap()
}

fn named(name: &str) -> IndexRef {
    IndexRef::Named(index(name))
}

fn project(name: &str) -> ProjectName {
    ProjectName::parse(name).unwrap()
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn found(target: &str) -> Route {
    match route(target) {
        Routed::Found { route, .. } => route,
        other => panic!("{target}: {other:?}"),
    }
}

fn format(target: &str) -> Option<String> {
    match route(target) {
        Routed::Found { query, .. } => query.format,
        other => panic!("{target}: {other:?}"),
    }
}

#[test]
fn finds_every_place() {
    let pypi = || index("root/pypi");
    let info = |name: &str, normalised, slash| Route::ProjectInfo {
        index: pypi(),
        name: project(name),
        spelling: Spelling { normalised, slash },
    };
    let version = |version: &str, slash| Route::VersionInfo {
        index: pypi(),
        name: project("a-b"),
        version: version.to_owned(),
        spelling: Spelling { normalised: true, slash },
    };
    for (target, expected) in [
        ("/", Route::Root),
        ("//", Route::Root),
        ("/?a=b", Route::Root),
        ("/+api", Route::Api),
        ("/+api/", Route::Api),
        ("/%2Bapi", Route::Api),
        ("/root/+api", Route::UserApi(user("root"))),
        ("/root/pypi/+api", Route::IndexApi(pypi())),
        ("/+health", Route::Health),
        ("/+ready", Route::Ready),
        ("/+metrics", Route::Metrics),
        ("/+status", Route::Status),
        ("/root", Route::User(user("root"))),
        ("/root/", Route::User(user("root"))),
        ("/ren%C3%A9", Route::User(user("rené"))),
        ("/root/pypi", Route::Index { index: pypi(), slash: false }),
        ("/root/pypi/", Route::Index { index: pypi(), slash: true }),
        ("/+login", Route::Login),
        ("/root/pypi/A.b", info("a-b", false, false)),
        ("/root/pypi/a-b/", info("a-b", true, true)),
        ("/root/pypi/a-b/1.0", version("1.0", false)),
        ("/root/pypi/a-b/1%2B0/", version("1+0", true)),
        ("/root/pypi/a-b/refresh", version("refresh", false)),
        ("/root/pypi/+simple/a.B/refresh", Route::Refresh { index: pypi(), name: project("a-b") }),
        ("/root/pypi/+simple/", Route::ProjectList { index: named("root/pypi") }),
        ("/root/pypi/%2bsimple/", Route::ProjectList { index: named("root/pypi") }),
        ("/simple/", Route::ProjectList { index: IndexRef::Default }),
        ("/root/pypi/+simple/a-b/", Route::Project { index: named("root/pypi"), name: project("a-b") }),
        ("/root/pypi/%2Bsimple/a-b/", Route::Project { index: named("root/pypi"), name: project("a-b") }),
        ("//root/pypi///+simple//a-b//", Route::Project { index: named("root/pypi"), name: project("a-b") }),
        ("/simple/a-b/", Route::Project { index: IndexRef::Default, name: project("a-b") }),
        ("/simple//a-b/", Route::Project { index: IndexRef::Default, name: project("a-b") }),
        ("/simple/%61-b/", Route::Project { index: IndexRef::Default, name: project("a-b") }),
        ("/simple/json/", Route::Project { index: IndexRef::Default, name: project("json") }),
        ("http://localhost:3141/simple/", Route::ProjectList { index: IndexRef::Default }),
        ("HTTPS://example.org/simple/a/", Route::Project { index: IndexRef::Default, name: project("a") }),
        ("http://localhost", Route::Root),
        ("http://localhost?x", Route::Root),
        ("/pypi/a-b/json", Route::LegacyJson { name: project("a-b"), version: None }),
        ("/pypi/a-b/json/", Route::LegacyJson { name: project("a-b"), version: None }),
        ("/pypi/a/1.0/json", Route::LegacyJson { name: project("a"), version: Version::from_str("1.0").ok() }),
        (
            "/pypi/a/1%212.0+x/json/",
            Route::LegacyJson { name: project("a"), version: Version::from_str("1!2.0+x").ok() },
        ),
    ] {
        assert_eq!(found(target), expected, "{target}");
    }
}

#[test]
fn finds_files() {
    let filename = |name: &str| DistFilename::parse(name).unwrap();
    let prefix = Sha256::from_hex(HEX).unwrap().prefix();
    for (ending, what) in [
        ("", FileWhat::Itself),
        (".metadata", FileWhat::Metadata),
        (".provenance", FileWhat::Provenance),
        (".toxresult-20261123070245-0", FileWhat::ToxResult(".toxresult-20261123070245-0".to_owned())),
    ] {
        for (sent, name) in [
            ("a-1.0-py3-none-any.whl", "a-1.0-py3-none-any.whl"),
            ("a-1.0%2Bcu121-py3-none-any.whl", "a-1.0+cu121-py3-none-any.whl"),
            ("a-1.0+cu121-py3-none-any.whl", "a-1.0+cu121-py3-none-any.whl"),
            ("a-1%212.0.tar.gz", "a-1!2.0.tar.gz"),
        ] {
            let index = index("root/pypi");
            let expected = Route::File { index: index.clone(), prefix, filename: filename(name), what: what.clone() };
            assert_eq!(found(&format!("/root/pypi/+f/012/3456789abcdef/{sent}{ending}")), expected);
            let directory = "https_files.example_a b".to_owned();
            let expected =
                Route::FileByLink { index: index.clone(), directory, filename: filename(name), what: what.clone() };
            assert_eq!(found(&format!("/root/pypi/+e/https_files.example_a%20b/{sent}{ending}")), expected);
            let path = format!("packages/aa/b b/{name}");
            let expected =
                Route::FileByPath { index: index.clone(), path, filename: filename(name), what: what.clone() };
            assert_eq!(found(&format!("/root/pypi/+packages/packages/aa/b%20b/{sent}{ending}")), expected);
            let expected =
                Route::FileByPath { index, path: name.to_owned(), filename: filename(name), what: what.clone() };
            assert_eq!(found(&format!("/root/pypi/%2Bpackages/{sent}{ending}?x=y")), expected);
        }
    }
}

#[test]
fn redirects_to_the_only_url() {
    for (target, location) in [
        ("/simple", "/simple/"),
        ("//simple", "/simple/"),
        ("/root/pypi/+simple", "/root/pypi/+simple/"),
        ("/root/pypi/%2Bsimple", "/root/pypi/+simple/"),
        ("/simple/flask", "/simple/flask/"),
        ("/simple/Flask/", "/simple/flask/"),
        ("/root/pypi/+simple/Foo.Bar_-baz", "/root/pypi/+simple/foo-bar-baz/"),
        (
            "/root/pypi/+simple/Foo/?format=application/vnd.pypi.simple.v1%2Bjson",
            "/root/pypi/+simple/foo/?format=application/vnd.pypi.simple.v1%2Bjson",
        ),
        ("/simple?", "/simple/?"),
        ("/simple/a?x=//evil.example", "/simple/a/?x=//evil.example"),
        ("/ren%C3%A9/d%C3%A9v/+simple/A/", "/ren%C3%A9/d%C3%A9v/+simple/a/"),
        ("http://localhost:3141/simple/A", "/simple/a/"),
        ("/pypi/Foo.Bar/json", "/pypi/foo-bar/json"),
        ("/pypi/Foo.Bar/1.0/json/?x", "/pypi/foo-bar/1.0/json?x"),
        ("/pypi/A/1%2F/json", ""),
        ("/pypi/A/1%3F%23%25/json", "/pypi/a/1%3F%23%25/json"),
    ] {
        let expected = match location {
            "" => Routed::Bad("the path holds an encoded slash"),
            location => Routed::Redirect { location: location.to_owned() },
        };
        assert_eq!(route(target), expected, "{target}");
    }
}

#[test]
fn finds_nothing_here() {
    for target in [
        "/+nothing",
        "/+simple/",
        "/root/+simple/",
        "/root/pypi/+nothing",
        "/root/pypi/-bad-",
        "/root/pypi/project/1%2B0%20x",
        "/root/pypi/+f/refresh",
        "/root/pypi/project/1.0/more",
        "/root/pypi/+simple/-bad-/",
        "/root/pypi/+simple/b%C3%A4d/",
        "/root/pypi/+simple/a%20b/",
        "/root/pypi/+simple/a/b/",
        "/simple/..a/",
        "/simple/%252e%252e/",
        "/simple/a/1.0/",
        "/ro%20ot/pypi/",
        "/root/py+pi/+simple/",
        "/root/pypi/+f/",
        "/root/pypi/+f/012/3456789abcdef/",
        "/root/pypi/+f/012/3456789abcdef/index.html",
        "/root/pypi/+f/012/3456789abcdef/a-1.0.tar.gz/",
        "/root/pypi/+f/012/3456789ABCDEF/a-1.0.tar.gz",
        "/root/pypi/+f/01/23456789abcdef/a-1.0.tar.gz",
        "/root/pypi/+f/012/3456789abcdef/a-1.0.tar.gz.asc",
        "/root/pypi/+f/012/3456789abcdef/a-1.0.tar.gz.metadata.metadata",
        "/root/pypi/+f/012/3456789abcdef/.metadata",
        "/root/pypi/+e/a-1.0.tar.gz",
        "/root/pypi/+e/a/b/a-1.0.tar.gz",
        "/root/pypi/+packages",
        "/root/pypi/+packages/",
        "/root/pypi/+packages/a/",
        "/root/pypi/+packages/a/b.txt",
        "/pypi/a/not a version/json".replace(' ', "%20").as_str(),
        "/pypi/a/1.0/2.0/json",
        "/pypi/-/json",
    ] {
        assert_eq!(route(target), Routed::NotFound, "{target}");
    }
    assert_eq!(route(&format!("/pypi/a/1.{}/json", "0".repeat(VERSION_BYTES_MAX))), Routed::NotFound);
}

#[test]
fn refuses_what_two_readers_could_read_differently() {
    let long = format!("/{}", "a".repeat(TARGET_BYTES_MAX));
    for target in [
        "",
        "*",
        "simple/",
        "localhost:3141",
        "ftp://localhost/",
        "?x",
        "/a\\b",
        "/a%5Cb",
        "/a%5cb",
        "/a%2Fb",
        "/a%2fb",
        "/%2F%2F..%2F",
        "/a%00",
        "/\0",
        "/a%0d%0aX:y",
        "/a%0A",
        "/%1b[31m",
        "/a%7F",
        "/%C2%85",
        "/a\tb",
        "/a b",
        "/é",
        "/%ff",
        "/%C3",
        "/%C0%AF",
        "/%E0%80%AF",
        "/%",
        "/%4",
        "/%zz",
        "/%%41",
        "/a%2",
        "/%u0041",
        "/.",
        "/..",
        "/./",
        "/../",
        "/a/../b",
        "/a/./b",
        "/a/..",
        "/%2e",
        "/%2E%2e/",
        "/.%2e/a",
        "/a/%2e%2E/b",
        "/..;/a",
        "/.;x=y/",
        "/a/%2e%2e;/b",
        "/root/pypi/+packages/../a-1.0.tar.gz",
        "/root/pypi/+f/..%2f",
        "/a#b",
        "http://localhost/../",
        "http://localhost\\@evil.example/",
        "/simple/?x=\n",
        "/simple/?x=é",
        &long,
    ] {
        assert!(matches!(route(target), Routed::Bad(_)), "{target:?}: {:?}", route(target));
    }
    assert_eq!(route(&long[..TARGET_BYTES_MAX]), Routed::NotFound);
}

#[test]
fn gives_the_authority_apart() {
    for (target, expected) in [
        ("/", None),
        ("//evil.example/", None),
        ("*", None),
        ("http://localhost:3141/simple/", Some("localhost:3141")),
        ("HTTP://a", Some("a")),
        ("https://user@a?x", Some("user@a")),
        ("http:///simple/", Some("")),
        ("ftp://a/", None),
    ] {
        assert_eq!(authority(target), expected, "{target}");
    }
}

#[test]
fn reads_the_format() {
    for (query, expected) in [
        ("", None),
        ("?", None),
        ("?x=y", None),
        ("?format", Some("")),
        ("?format=", Some("")),
        ("?format=a/b.v1+json", Some("a/b.v1+json")),
        ("?format=a/b.v1%2Bjson", Some("a/b.v1+json")),
        ("?x=y&format=a%20b&format=c", Some("a b")),
        ("?Format=a", None),
        ("?format=%ff%zz", Some("\u{fffd}%zz")),
        ("?format=a=b?c", Some("a=b?c")),
    ] {
        assert_eq!(format(&format!("/simple/{query}")).as_deref(), expected, "{query}");
    }
}

fn target() -> impl Strategy<Value = String> {
    let pieces = vec![
        "/",
        "//",
        "/simple",
        "/pypi",
        "/root",
        "/json",
        "/+simple",
        "/%2Bsimple",
        "/+f",
        "/012",
        "/3456789abcdef",
        "/+e",
        "/+packages",
        "/a-1.0-py3-none-any.whl",
        ".metadata",
        "/Flask",
        "/x",
        "%",
        "%2e",
        "%2F",
        "%41",
        "%C3%A9",
        "..",
        ".",
        ";",
        "?",
        "&format=",
        "é",
        "\\",
        "#",
        "http://a",
        "\0",
        "1.0",
        "-",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn never_panics(any in ".{0,60}", target in target()) {
        route(&any);
        authority(&any);
        authority(&target);
        match route(&target) {
            // What a redirect names is found at once, and lies on this origin.
            Routed::Redirect { location } => {
                prop_assert!(location.starts_with('/') && !location.starts_with("//"));
                prop_assert!(matches!(route(&location), Routed::Found { .. } | Routed::NotFound), "{}", location);
            }
            Routed::Found { route: Route::FileByPath { path, filename, .. }, .. } => {
                prop_assert!(path.split('/').all(|segment| !["", ".", ".."].contains(&segment)));
                prop_assert!(path.ends_with(filename.as_str()));
            }
            _ => {}
        }
    }

    #[test]
    fn a_project_page_is_found_under_its_name(name in "[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?") {
        let place = Route::Project { index: IndexRef::Default, name: project(&name) };
        let found = match route(&format!("/simple/{name}/")) {
            Routed::Redirect { location } => route(&location),
            found => found,
        };
        prop_assert_eq!(found, Routed::Found { route: place, query: Query::default() });
    }
}

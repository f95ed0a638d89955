use crate::simple::{ListSummary, ListTranscoder, PageError, TEXT_BYTES_MAX};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::{self, Read, Write};

/// Gives its bytes in pieces of one to seven, as a slow connection might.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (self.0.len() % 7 + 1).min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

type Outcome = Result<(ListSummary, Value, String), PageError>;

fn transcode(list: &[u8], is_html: bool) -> Outcome {
    let (mut json, mut html) = (Vec::new(), Vec::new());
    let transcoder = ListTranscoder::new(&mut json, &mut html);
    let summary = if is_html { transcoder.read_html(Dribble(list)) } else { transcoder.read_json(Dribble(list)) }?;
    assert_eq!((summary.json_bytes, summary.html_bytes), (json.len() as u64, html.len() as u64));
    Ok((summary, serde_json::from_slice(&json).unwrap(), String::from_utf8(html).unwrap()))
}

fn from_json(list: &Value) -> Outcome {
    transcode(list.to_string().as_bytes(), false)
}

const HEAD: &str = "<!DOCTYPE html>\n<html>\n<head>\n<meta name=\"pypi:repository-version\" content=\"1.0\">\n\
                    <title>Simple index</title>\n</head>\n<body>\n";

#[test]
fn a_json_list_survives_in_any_order() {
    let projects = json!([
        {"name": "Zope.Interface", "_last-serial": 3}, {"x": [1, {"y": null}], "name": "b"},
        {"name": "../c"}, {"name": 7}, {}, {"name": "d"}, {"name": "\u{202e}e"}
    ]);
    let meta = json!({"_last-serial": 99, "api-version": "1.4", "more": true});
    let meta_first = json!({"meta": meta, "projects": projects, "_x": {"a": 1}});
    let meta_last = json!({"_x": {"a": 1}, "projects": projects, "meta": meta});
    let mut expected = meta_last.clone();
    expected["projects"] =
        json!([{"name": "Zope.Interface", "_last-serial": 3}, {"name": "b", "x": [1, {"y": null}]}, {"name": "d"}]);
    for list in [meta_first, meta_last] {
        let (summary, json, html) = from_json(&list).unwrap();
        assert_eq!((summary.projects, summary.dropped, summary.last_serial), (3, 4, Some(99)));
        assert_eq!(json, expected);
        let body = "<a href=\"zope-interface/\">Zope.Interface</a><br>\n<a href=\"b/\">b</a><br>\n\
                    <a href=\"d/\">d</a><br>\n</body>\n</html>\n";
        assert_eq!(html, format!("{HEAD}{body}"));
    }
}

#[test]
fn an_html_list_is_read() {
    let list = br#"<!DOCTYPE html><title>Simple index</title><meta name="pypi:repository-version" content="1.3">
        <a href="/simple/zope-interface/">Zope.Interface</a> <a href="https://index.example/simple/b/#x">b/</a>
        <a href='cc'>c</a><a href="long-name/">long-..&gt;</a><a href="d&#45;e/">D-E</a><a name="x">x</a>
        <a href="../">Parent</a><a href="/">Home</a><a href="mailto:x@y">m</a><a href="https://f.example/">f</a>
        <a href="//f.example">f</a><a href="last/">last"#;
    let (summary, json, html) = transcode(list, true).unwrap();
    assert_eq!((summary.projects, summary.dropped, summary.last_serial), (6, 5, None));
    let names = ["Zope.Interface", "b", "cc", "long-name", "D-E", "last"].map(|name| json!({ "name": name }));
    assert_eq!(json, json!({"projects": names, "meta": {"api-version": "1.0"}}));
    assert!(html.contains("<a href=\"d-e/\">D-E</a><br>\n"));
}

#[test]
fn lists_that_are_none_are_refused() {
    assert!(matches!(from_json(&json!({"projects": []})), Err(PageError::EmptyList)));
    assert!(matches!(from_json(&json!({"projects": [{"name": "-"}]})), Err(PageError::EmptyList)));
    assert!(matches!(from_json(&json!({"meta": {}})), Err(PageError::Json(_))));
    assert!(matches!(from_json(&json!([])), Err(PageError::Json(_))));
    let newer = json!({"projects": [{"name": "a"}], "meta": {"api-version": "2.0"}});
    assert!(matches!(from_json(&newer), Err(PageError::ApiVersion(_))));
    let long = json!({"projects": [{"name": "a"}], "x": "x".repeat(TEXT_BYTES_MAX + 1)});
    assert!(matches!(from_json(&long), Err(PageError::TooLong(_))));
    let twice = br#"{"projects":[{"name":"a"}],"projects":[{"name":"b"}]}"#;
    assert!(matches!(transcode(twice, false), Err(PageError::TwoLists)));
    let whole = json!({"projects": [{"name": "a"}, {"name": "b"}], "meta": {"api-version": "1.0"}}).to_string();
    for end in 0..whole.len() {
        assert!(transcode(&whole.as_bytes()[..end], false).is_err(), "cut at {end}");
    }
    assert!(matches!(transcode(b"<h1>Welcome</h1>", true), Err(PageError::EmptyList)));
    let newer = b"<meta name='pypi:repository-version' content='2.0'><a href='a/'>a</a>";
    assert!(matches!(transcode(newer, true), Err(PageError::ApiVersion(_))));
    let deep = format!("{{\"projects\":[{{\"name\":\"a\",\"x\":{}{}}}]}}", "[".repeat(200), "]".repeat(200));
    assert!(matches!(transcode(deep.as_bytes(), false), Err(PageError::TooDeep)));
}

#[test]
fn an_endless_entry_is_cut_off() {
    let list = |start: &'static [u8]| start.chain(io::repeat(b'x'));
    let new = || ListTranscoder::new(io::sink(), io::sink());
    for start in ["{\"projects\":[{\"name\":\"a\"},{\"name\":\"", "{\"projects\":[{\"name\":\"a\",\"x\":\"", "{\""] {
        assert!(matches!(new().read_json(list(start.as_bytes())), Err(PageError::EntryTooLong)), "{start}");
    }
    for start in ["<a href='a/'>a</a><a href='", "<a href='a/'>a</a>", "<!--", "<"] {
        assert!(matches!(new().read_html(list(start.as_bytes())), Err(PageError::EntryTooLong)), "{start}");
    }
}

#[test]
fn a_long_list_of_short_entries_is_not_cut_off() {
    // More than the bound for one entry, in both forms.
    const PROJECTS: usize = 100_000;
    let list = (0..PROJECTS).map(|n| json!({"name": format!("p{n}")}).to_string()).collect::<Vec<_>>().join(",");
    let (mut json, mut html) = (Vec::new(), Vec::new());
    let list = format!("{{\"projects\":[{list}]}}");
    let summary = ListTranscoder::new(&mut json, &mut html).read_json(list.as_bytes()).unwrap();
    assert_eq!(summary.projects, PROJECTS);
    let again = ListTranscoder::new(io::sink(), io::sink()).read_html(html.as_slice()).unwrap();
    assert_eq!((again.projects, again.dropped, again.html_bytes), (PROJECTS, 0, summary.html_bytes));
}

#[test]
fn failing_input_and_output_are_told_apart() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("lost"))
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let new = || ListTranscoder::new(io::sink(), io::sink());
    assert!(matches!(new().read_json(Broken), Err(PageError::Read(_))));
    assert!(matches!(new().read_html(Broken), Err(PageError::Read(_))));
    let list = |count: usize| format!("{{\"projects\":[{}{{\"name\":\"a\"}}]}}", "{\"name\":\"a\"},".repeat(count));
    for count in [1, 10_000] {
        let full = ListTranscoder::new(io::sink(), Broken).read_json(list(count).as_bytes());
        assert!(matches!(full, Err(PageError::Write(_))));
        let full = ListTranscoder::new(Broken, io::sink()).read_json(list(count).as_bytes());
        assert!(matches!(full, Err(PageError::Write(_))));
    }
}

proptest! {
    #[test]
    fn both_forms_say_the_same(names in proptest::collection::vec("[A-Za-z0-9]([A-Za-z0-9._-]{0,9}[A-Za-z0-9])?", 1..9)) {
        let projects: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
        let (_, json, html) = from_json(&json!({"projects": projects, "meta": {"api-version": "1.0"}})).unwrap();
        let (_, json_of_html, html_again) = transcode(html.as_bytes(), true).unwrap();
        prop_assert_eq!(json_of_html, json);
        prop_assert_eq!(html_again, html);
    }

    #[test]
    fn foreign_bytes_never_panic(text in "([\\[\\]{}:,\"]|\"name\"|\"projects\"|<a|</a>| href=|'|>|a/|\\PC){0,30}") {
        let _ = transcode(text.as_bytes(), false);
        let _ = transcode(text.as_bytes(), true);
        let _ = transcode(format!("{{\"projects\":[{text}").as_bytes(), false);
    }
}

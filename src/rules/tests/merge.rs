use crate::names::{IndexName, ProjectName};
use crate::rules::{MergedPage, merge};
use crate::simple::{ProjectPage, ToldFiles, parse_json, render_html, render_json};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use url::Url;

fn demo() -> ProjectName {
    ProjectName::parse("demo").unwrap()
}

fn index(raw: &str) -> IndexName {
    IndexName::parse(raw).unwrap()
}

fn page(stated: &Value) -> ProjectPage {
    let url = Url::parse("https://index.example/simple/demo/").unwrap();
    parse_json(stated.to_string().as_bytes(), &url, &demo()).unwrap()
}

fn file(name: &str, digit: &str) -> Value {
    json!({"filename": name, "url": name, "hashes": {"sha256": digit.repeat(64)}, "size": 1})
}

fn plain(files: &[Value], versions: Option<&[&str]>) -> Value {
    let mut stated = json!({"meta": {"api-version": "1.1"}, "name": "demo", "files": files});
    if let Some(versions) = versions {
        stated["versions"] = json!(versions);
    }
    stated
}

fn merged(pages: &[(&str, Value)]) -> MergedPage {
    let pages = pages.iter().map(|(name, stated)| (index(name), Arc::new(page(stated)))).collect();
    merge(&demo(), pages, &index("alice/dev"))
}

fn json_of(page: &MergedPage) -> Value {
    serde_json::from_slice(&render_json(page, "../../")).unwrap()
}

#[test]
fn the_first_index_that_has_a_name_wins() {
    let merged = merged(&[
        ("alice/dev", plain(&[file("demo-1.0.zip", "a")], Some(&["1.0", "0.9"]))),
        ("root/pypi", plain(&[file("demo-1.0.zip", "b"), file("demo-2.0.zip", "c")], Some(&["1.0.0", "2.0", "x!"]))),
        ("b@b/é", plain(&[file("demo-2.0.zip", "d"), file("demo-3.0.zip", "e")], Some(&["2.0", "3.0", "x!"]))),
    ]);
    let out = json_of(&merged);
    let urls: Vec<_> = out["files"].as_array().unwrap().iter().map(|file| file["url"].as_str().unwrap()).collect();
    assert_eq!(
        urls,
        [
            "../../+f/aaa/aaaaaaaaaaaaa/demo-1.0.zip",
            "../../../../root/pypi/+f/ccc/ccccccccccccc/demo-2.0.zip",
            "../../../../b%40b/%C3%A9/+f/eee/eeeeeeeeeeeee/demo-3.0.zip",
        ]
    );
    assert_eq!(out["versions"], json!(["1.0", "0.9", "2.0", "x!", "3.0"]));
    assert_eq!(out["meta"], json!({"api-version": "1.1"}));
    let html = String::from_utf8(render_html(&merged, "../../")).unwrap();
    for url in urls {
        assert!(html.contains(&format!("<a href=\"{url}#sha256=")), "{url}");
    }
}

#[test]
fn one_page_passes_as_it_is() {
    let mut stated = plain(&[file("demo-1.0.zip", "a")], Some(&["1.0"]));
    stated["meta"]["_last-serial"] = json!(7);
    stated["meta"]["_etc"] = json!(1);
    stated["project-status"] = json!({"status": "archived", "reason": "old"});
    stated["extra"] = json!([1]);
    let own = page(&stated);
    assert_eq!(render_json(&merged(&[("alice/dev", stated.clone())]), "../../"), render_json(&own, "../../"));
    assert_eq!(render_html(&merged(&[("alice/dev", stated.clone())]), "../../"), render_html(&own, "../../"));
    let silent = plain(&[], None);
    let inherited = merged(&[("alice/dev", silent), ("root/pypi", stated)]);
    let expected = String::from_utf8(render_json(&own, "../../../../root/pypi/")).unwrap();
    assert_eq!(String::from_utf8(render_json(&inherited, "../../")).unwrap(), expected);
    assert_eq!(inherited.files().map(|(index, _)| index.as_str()).collect::<Vec<_>>(), ["root/pypi"]);
}

#[test]
fn what_one_index_says_of_its_own_page_is_not_said_of_two() {
    let mut stated = plain(&[file("demo-2.0.zip", "b")], Some(&["2.0"]));
    stated["meta"]["_last-serial"] = json!(7);
    stated["project-status"] = json!({"status": "archived"});
    stated["alternate-locations"] = json!(["https://evil.example/"]);
    let own = plain(&[file("demo-1.0.zip", "a")], Some(&["1.0"]));
    let out = json_of(&merged(&[("alice/dev", own), ("root/pypi", stated)]));
    let keys: Vec<_> = out.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["files", "meta", "name", "versions"]);
    assert_eq!(out["meta"], json!({"api-version": "1.1"}));
}

#[test]
fn a_quarantined_page_adds_nothing() {
    let mut stated = plain(&[file("demo-2.0.zip", "b")], Some(&["2.0"]));
    stated["project-status"] = json!({"status": "quarantined"});
    let own = plain(&[file("demo-1.0.zip", "a")], Some(&["1.0"]));
    let out = json_of(&merged(&[("alice/dev", own), ("root/pypi", stated.clone())]));
    assert_eq!((out["files"].as_array().unwrap().len(), &out["versions"]), (1, &json!(["1.0"])));
    assert_eq!(out.get("project-status"), None);
    let alone = merged(&[("root/pypi", stated)]);
    assert_eq!(alone.told().status(), Some("quarantined"));
    assert!(alone.told().files.is_empty() && alone.files().next().is_none());
}

#[test]
fn the_version_told_is_that_of_the_poorest_page() {
    let told = |first: Value, second: Value| {
        let out = json_of(&merged(&[("alice/dev", first), ("root/pypi", second)]));
        (out["meta"]["api-version"].as_str().unwrap().to_owned(), out.get("versions").cloned())
    };
    let full = || plain(&[file("demo-1.0.zip", "a")], Some(&["1.0"]));
    let poor = || plain(&[file("demo-2.0.zip", "b")], None);
    assert_eq!(told(full(), full()).0, "1.1");
    assert_eq!(told(full(), poor()), ("1.0".to_owned(), Some(json!(["1.0", "2.0"]))));
    assert_eq!(told(poor(), poor()), ("1.0".to_owned(), None));
    let mut sizeless = plain(&[file("demo-2.0.zip", "b"), file("demo-1.0.zip", "c")], Some(&["1.0", "2.0"]));
    sizeless["files"][1]["size"] = json!(null);
    // The file without a size is not the one that is told.
    assert_eq!(told(full(), sizeless.clone()).0, "1.1");
    sizeless["files"][0]["size"] = json!(null);
    assert_eq!(told(full(), sizeless).0, "1.0");
    let mut newer = full();
    newer["meta"]["api-version"] = json!("1.4");
    newer["files"][0] = file("demo-3.0.zip", "d");
    assert_eq!(told(newer, full()).0, "1.1");
}

#[test]
fn no_page_and_an_empty_page_are_not_the_same() {
    assert!(merged(&[]).is_missing());
    let empty = merged(&[("root/pypi", plain(&[], Some(&[])))]);
    assert!(!empty.is_missing());
    assert_eq!(json_of(&empty)["versions"], json!([]));
    assert_eq!(json_of(&merged(&[]))["files"], json!([]));
}

proptest! {
    #[test]
    fn every_name_is_there_once_from_the_first_that_has_it(
        pages in prop::collection::vec(prop::collection::hash_set(0..9u8, 0..6), 0..4),
    ) {
        let indexes = ["alice/dev", "bob/dev", "root/pypi"];
        let stated: Vec<_> = indexes.iter().zip(&pages).map(|(index, files)| {
            let files: Vec<_> = files.iter().map(|at| file(&format!("demo-{at}.zip"), "a")).collect();
            (*index, plain(&files, None))
        }).collect();
        let merged = merged(&stated);
        let got: Vec<_> = merged.files().map(|(index, file)| (index.to_string(), file.filename.to_string())).collect();
        let names: HashSet<_> = got.iter().map(|(_, name)| name.clone()).collect();
        prop_assert_eq!(names.len(), got.len());
        for at in 0..9u8 {
            let first = indexes.iter().zip(&pages).find(|(_, files)| files.contains(&at)).map(|(index, _)| *index);
            let name = format!("demo-{at}.zip");
            let ours = got.iter().find(|(_, known)| *known == name).map(|(index, _)| index.as_str());
            prop_assert_eq!(ours, first);
        }
        let told = merged.told();
        prop_assert_eq!(told.files.len(), got.len());
        for ((_, home), (index, _)) in told.files.iter().zip(&got) {
            prop_assert_eq!(home.map(IndexName::as_str), Some(index.as_str()).filter(|index| *index != "alice/dev"));
        }
        let is_own = matches!(told.files, ToldFiles::Here(_));
        prop_assert!(!is_own || told.files.iter().all(|(_, home)| home.is_none()));
    }
}

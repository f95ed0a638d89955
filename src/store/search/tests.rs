use super::*;
use crate::store::{Document, DocumentKey, DocumentKind};

fn row(index: &str, project: &str, summary: &str) -> KnownRow {
    KnownRow {
        index: IndexName::parse(index).unwrap(),
        project: ProjectName::parse(project).unwrap(),
        basis: None,
        version: Some("1.0".to_owned()),
        releases: 1,
        changed: 7,
        summary: summary.to_owned(),
        keywords: String::new(),
        classifiers: String::new(),
    }
}

fn names(rows: &[KnownRow]) -> Vec<&str> {
    rows.iter().map(|row| row.project.as_str()).collect()
}

fn words(words: &[&str]) -> Vec<Vec<String>> {
    words.iter().map(|word| vec![(*word).to_owned()]).collect()
}

#[tokio::test]
async fn words_are_found_where_they_stand_and_only_where_one_may_look() {
    let store = Store::in_memory().await.unwrap();
    let (dev, other) = (IndexName::parse("alice/dev").unwrap(), IndexName::parse("bob/dev").unwrap());
    let both = [dev.clone(), other.clone()];
    let rows = [
        row("alice/dev", "http-client", "Talks to servers"),
        row("alice/dev", "frames", "A client for the web"),
        row("bob/dev", "client", ""),
    ];
    store.put_known(&rows).await.unwrap();
    let found = |indexes: &[IndexName], asked: &[&str], in_name| {
        let (store, indexes, asked) = (store.clone(), indexes.to_vec(), words(asked));
        async move { store.known_by_words(&indexes, &asked, in_name, 10).await.unwrap() }
    };
    assert_eq!(names(&found(&both, &["cli"], false).await), ["client", "http-client", "frames"]);
    assert_eq!(names(&found(&both, &["cli"], true).await), ["client", "http-client"]);
    assert_eq!(names(&found(&both[..1], &["cli", "serv"], false).await), ["http-client"]);
    assert_eq!(names(&found(&[], &["cli"], false).await), [""; 0]);
    for hostile in ["\"", "a\" OR \"b", "NEAR(", "*", "col : x", ""] {
        found(&both, &[hostile], false).await;
    }
    assert_eq!(names(&store.known_by_prefix(&both, "http", 5).await.unwrap()), ["http-client"]);
    assert_eq!(store.vocabulary("").await.unwrap().first().map(String::as_str), Some("a"));
    assert_eq!(store.vocabulary("web").await.unwrap(), [""; 0]);
    // What is said anew takes the place of the old, and what is forgotten is found no more.
    store.put_known(&[row("alice/dev", "frames", "Pictures")]).await.unwrap();
    assert_eq!(names(&found(&both, &["web"], false).await), [""; 0]);
    assert_eq!(names(&found(&both, &["pict"], false).await), ["frames"]);
    store.forget_known(&[(dev.clone(), ProjectName::parse("frames").unwrap())]).await.unwrap();
    assert_eq!(names(&found(&both, &["pict"], false).await), [""; 0]);
    store.tidy_known(&[other]).await.unwrap();
    assert_eq!(names(&found(&both, &["cli"], false).await), ["client"]);
}

#[tokio::test]
async fn pages_that_changed_are_told_until_their_line_is_made() {
    let store = Store::in_memory().await.unwrap();
    let pypi = IndexName::parse("root/pypi").unwrap();
    let key = DocumentKey { index: pypi.clone(), kind: DocumentKind::Page, name: "demo".into() };
    let document = |byte| Document {
        fetched: 7,
        etag: None,
        last_modified: None,
        last_serial: None,
        digest: Sha256::from_bytes([byte; 32]),
        url: String::new(),
        body: Vec::new(),
    };
    let demo = (pypi.clone(), ProjectName::parse("demo").unwrap());
    for byte in 1..=2 {
        store.put_document(&key, document(byte)).await.unwrap();
        assert_eq!(store.unknown_pages(10).await.unwrap(), std::slice::from_ref(&demo));
        let basis = Some(Sha256::from_bytes([byte; 32]));
        store.put_known(&[KnownRow { basis, ..row("root/pypi", "demo", "") }]).await.unwrap();
        assert_eq!(store.unknown_pages(10).await.unwrap(), []);
    }
    assert_eq!(store.known_names(&pypi).await.unwrap(), [demo.1]);
    store.forget_documents(&[key]).await.unwrap();
    assert_eq!(store.known_names(&pypi).await.unwrap(), []);
}

#[tokio::test]
async fn what_was_built_is_remembered() {
    let store = Store::in_memory().await.unwrap();
    let pypi = IndexName::parse("root/pypi").unwrap();
    assert_eq!((store.known_state().await.unwrap(), store.listed(&pypi).await.unwrap()), (None, None));
    store.put_known_state("abc", 7).await.unwrap();
    store.put_known_state("abc", 8).await.unwrap();
    assert_eq!(store.known_state().await.unwrap(), Some(("abc".to_owned(), 8)));
    let row = ListedRow { list: Sha256::of(b"a"), sha256: Sha256::of(b"b"), size: 3, projects: 4, built: 5 };
    store.put_listed(&pypi, &row).await.unwrap();
    assert_eq!(store.listed(&pypi).await.unwrap(), Some(row));
    store.forget_index(&pypi).await.unwrap();
    assert_eq!(store.listed(&pypi).await.unwrap(), None);
}

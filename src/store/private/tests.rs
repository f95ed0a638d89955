use super::*;
use crate::names::{IndexName, ProjectName, UserName};
use serde_json::json;
use std::collections::BTreeSet;

mod opening;
mod people;
mod publishing;
mod removing;
mod sessions;
mod shared;
mod undoing;

fn index(name: &str) -> IndexName {
    IndexName::parse(name).unwrap()
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn demo() -> ProjectName {
    ProjectName::parse("demo").unwrap()
}

fn digest(byte: u8) -> Sha256 {
    Sha256::from_bytes([byte; 32])
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn user_row(name: &str) -> UserRow {
    let facts = object(json!({ "email": "x@example.org", "title": "ä" }));
    UserRow { name: user(name), password: Some("$argon2id$x".into()), created: 7, modified: None, facts }
}

fn index_row(name: &str) -> IndexRow {
    IndexRow { name: index(name), settings: object(json!({ "volatile": true, "bases": ["root/pypi"] })) }
}

/// A file of `demo` 1.0 on `on`.
fn file(on: &str, filename: &str, byte: u8) -> Publication {
    let (index, project) = (index(on), demo());
    Publication {
        release: ReleaseRow {
            index: index.clone(),
            project: project.clone(),
            version: "1.0".into(),
            metadata: object(json!({ "name": "Demo", "version": "1.0" })),
            created: 5,
        },
        file: FileRow {
            index,
            filename: filename.into(),
            rel: Rel::Releasefile,
            project,
            version: "1.0".into(),
            sha256: digest(byte),
            size: 100,
            uploaded: 5_000_001,
            requires_python: None,
            metadata: None,
            yanked: None,
            attestations: None,
            log: vec![json!({ "what": "upload", "who": "alice", "when": [2026, 1, 2, 3, 4, 5], "dst": on })],
            for_file: None,
        },
        volatile: true,
    }
}

/// The result of a test of `tested`.
fn result_of(tested: &Publication, byte: u8) -> Publication {
    let mut result = tested.clone();
    result.release.metadata = Map::new();
    result.file.rel = Rel::Toxresult;
    result.file.filename = format!("{}.toxresult-20260102030405-{byte}", tested.file.filename);
    result.file.sha256 = digest(byte);
    result.file.for_file = Some((tested.file.sha256, tested.file.filename.clone()));
    result
}

fn at_version(mut publication: Publication, version: &str) -> Publication {
    publication.release.version = version.into();
    publication.file.version = version.into();
    publication
}

fn fixed(publication: Publication) -> Publication {
    Publication { volatile: false, ..publication }
}

/// alice has two indexes, bob has one.
async fn private() -> Private {
    let private = Private::in_memory().await.unwrap();
    for name in ["alice", "bob"] {
        private.put_user(&user_row(name)).await.unwrap();
    }
    for name in ["alice/dev", "alice/prod", "bob/dev"] {
        private.put_index(&index_row(name)).await.unwrap();
    }
    private
}

async fn stored(private: &Private, publication: &Publication) -> (Vec<Sha256>, bool) {
    match private.publish(publication).await.unwrap() {
        Published::Stored { unreferenced, replaced, .. } => (unreferenced, replaced),
        other => panic!("{other:?}"),
    }
}

async fn known(private: &Private) -> BTreeSet<Sha256> {
    let query = "SELECT sha256 FROM file
                 UNION SELECT metadata_sha256 FROM file WHERE metadata_sha256 IS NOT NULL
                 UNION SELECT sha256 FROM removed_file
                 UNION SELECT metadata_sha256 FROM removed_file WHERE metadata_sha256 IS NOT NULL";
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&private.pool).await.unwrap();
    rows.iter().map(|bytes| super::digest(bytes).unwrap()).collect()
}

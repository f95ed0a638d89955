use super::dump::{Cached, Dump, without_rings};
use super::*;
use crate::cache::Disk;
use crate::names::ProjectName;
use crate::store::{FileRow, IndexRow, Publication, Rel, ReleaseRow};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

fn index(name: &str) -> IndexName {
    IndexName::parse(name).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn demo() -> ProjectName {
    ProjectName::parse("hello-pkg").unwrap()
}

fn alice() -> UserRow {
    UserRow {
        name: UserName::parse("alice").unwrap(),
        password: Some("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA".to_owned()),
        created: 1_795_417_365,
        modified: None,
        facts: object(json!({ "email": "alice@example.org" })),
    }
}

fn settings() -> Map<String, Value> {
    object(json!({
        "type": "stage", "bases": ["root/pypi"], "volatile": true, "acl_upload": ["alice"],
        "acl_toxresult_upload": [":ANONYMOUS:"], "mirror_whitelist": [],
        "mirror_whitelist_inheritance": "intersection", "acl_read": ["alice"], "title": "Dev",
    }))
}

fn release(version: &str) -> ReleaseRow {
    ReleaseRow {
        index: index("alice/dev"),
        project: demo(),
        version: version.to_owned(),
        metadata: object(json!({ "name": "hello_pkg", "version": version, "summary": "tiny" })),
        created: 1_795_417_575,
    }
}

fn file(rel: Rel, filename: &str, bytes: &[u8]) -> FileRow {
    FileRow {
        index: index("alice/dev"),
        filename: filename.to_owned(),
        rel,
        project: demo(),
        version: "1.0".to_owned(),
        sha256: Sha256::of(bytes),
        size: bytes.len() as u64,
        uploaded: 1_795_417_575_000_000,
        requires_python: None,
        metadata: None,
        yanked: None,
        attestations: None,
        log: vec![json!({ "what": "upload", "who": "alice", "when": [2026, 11, 23, 7, 6, 15], "dst": "alice/dev" })],
        for_file: None,
    }
}

const WHEEL: &str = "hello_pkg-1.0-py3-none-any.whl";

fn wheel() -> FileRow {
    file(Rel::Releasefile, WHEEL, b"wheel")
}

fn result() -> FileRow {
    let for_file = Some((Sha256::of(b"wheel"), WHEEL.to_owned()));
    FileRow { for_file, ..file(Rel::Toxresult, &format!("{WHEEL}.toxresult-20261123070615-0"), b"tox") }
}

fn dumped(files: &[FileRow]) -> Dump {
    let mut dump = Dump::default();
    dump.user(&alice(), 0);
    let settings = IndexSettings::from_stored(&settings()).unwrap();
    dump.index(&index("alice/dev"), &settings, &Default::default(), false);
    dump.project(&index("alice/dev"), &demo(), &[release("1.0")], files);
    dump
}

fn left(dump: &mut Dump) -> Vec<(Kind, String)> {
    dump.take_left_out().into_iter().map(|left| (left.kind, left.what)).collect()
}

#[test]
fn a_dump_has_devpis_shape() {
    let docs = file(Rel::Doczip, "hello-pkg-1.0.doc.zip", b"docs");
    let mut dump = dumped(&[docs, result(), wheel()]);
    assert_eq!(left(&mut dump), [(Kind::Setting, "acl_read of alice/dev".to_owned())]);
    let hex = |bytes: &[u8]| Sha256::of(bytes).to_hex();
    let described = |bytes: &[u8], kind: &str, path: &str| {
        json!({
            "version": "1.0",
            "entrymapping": {
                "last_modified": "Mon, 23 Nov 2026 07:06:15 GMT", "hash_spec": format!("sha256={}", hex(bytes)),
                "hashes": { "sha256": hex(bytes) }, "project": "hello-pkg", "version": "1.0",
            },
            "log": [{ "what": "upload", "who": "alice", "when": [2026, 11, 23, 7, 6, 15], "dst": "alice/dev" }],
            "type": kind, "projectname": "hello-pkg", "relpath": path,
        })
    };
    let tested = hex(b"wheel");
    let tox = format!("alice/dev/hello-pkg/sha256={tested}/{WHEEL}.toxresult-20261123070615-0");
    let mut tox = described(b"tox", "toxresult", &tox);
    let entry = format!("alice/dev/+f/{}/{}/{WHEEL}", &tested[..3], &tested[3..16]);
    tox.as_object_mut().unwrap().insert("for_entrypath".to_owned(), entry.into());
    let expected = json!({
        "users": { "alice": {
            "username": "alice", "pwhash": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
            "created": "2026-11-23T07:02:45Z", "email": "alice@example.org",
        } },
        "indexes": { "alice/dev": {
            "indexconfig": {
                "type": "stage", "bases": ["root/pypi"], "volatile": true, "acl_upload": ["alice"],
                "acl_toxresult_upload": [":ANONYMOUS:"], "mirror_whitelist": [],
                "mirror_whitelist_inheritance": "intersection", "title": "Dev",
            },
            "projects": { "hello-pkg": { "1.0": { "name": "hello_pkg", "version": "1.0", "summary": "tiny" } } },
            // In devpi's order: what a result is of comes before it.
            "files": [
                described(b"wheel", "releasefile", &format!("alice/dev/hello-pkg/1.0/{WHEEL}")),
                tox,
                described(b"docs", "doczip", "alice/dev/hello-pkg-1.0.doc.zip"),
            ],
        } },
        "dumpversion": "2",
        "sidewheel": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(dump.render(), expected);
}

#[test]
fn what_devpi_cannot_tell_is_left_out_and_said() {
    let yanked = FileRow { yanked: Some("broken".to_owned()), attestations: Some("[]".to_owned()), ..wheel() };
    let orphan = FileRow { for_file: Some((Sha256::of(b"other"), WHEEL.to_owned())), ..result() };
    let odd = FileRow { version: "..".to_owned(), ..file(Rel::Releasefile, "x-1.0.tar.gz", b"x") };
    let mut dump = dumped(&[yanked, orphan]);
    dump.user(&UserRow { name: UserName::parse("bob").unwrap(), password: None, ..alice() }, 3);
    dump.project(&index("alice/dev"), &ProjectName::parse("gone").unwrap(), &[], &[]);
    dump.project(&index("alice/dev"), &ProjectName::parse("odd").unwrap(), &[release("..")], &[odd]);
    let mirror = IndexSettings::from_stored(&object(json!({
        "type": "mirror", "mirror_url": "https://u:p@index.example/simple/", "reserved": ["acme-*"],
    })));
    dump.index(&index("root/pypi"), &mirror.unwrap(), &Default::default(), true);
    let mut kinds: Vec<_> = left(&mut dump).into_iter().map(|(kind, _)| kind).collect();
    kinds.dedup();
    use Kind::{Credentials, File, Name, Password, Provenance, Setting, Token, Yank};
    assert_eq!(kinds, [File, Setting, Credentials, Password, Token, Yank, Provenance, Name]);
    let says = dump.render();
    // Left out, it would be the empty password.
    assert_eq!(says.pointer("/users/bob/pwhash"), Some(&Value::Null));
    assert_eq!(says.pointer("/indexes/alice~1dev/projects/gone"), Some(&json!({})));
    assert_eq!(says.pointer("/indexes/alice~1dev/files").and_then(Value::as_array).map(Vec::len), Some(1));
    let mirror = says.pointer("/indexes/root~1pypi").and_then(Value::as_object).unwrap();
    assert!(!mirror.contains_key("projects") && !mirror.contains_key("files"), "{mirror:?}");
    let url = says.pointer("/indexes/root~1pypi/indexconfig/mirror_url");
    assert_eq!(url, Some(&json!("https://u:p@index.example/simple/")));
}

#[test]
fn a_mirrors_files_are_told_as_devpi_tells_them() {
    let mut dump = Dump::default();
    let cached = |filename: &str, says: Value| Cached {
        filename: filename.to_owned(),
        version: "1.17.0".to_owned(),
        url: format!("https://files.example/{filename}"),
        digest: Sha256::of(filename.as_bytes()),
        size: 3,
        modified: 1_795_417_575,
        says: object(says),
    };
    let six = ProjectName::parse("six").unwrap();
    let files = vec![cached("six-1.17.0.tar.gz", json!({ "requires_python": ">=3.8" }))];
    dump.mirrored(&index("root/pypi"), &six, files);
    dump.mirrored(&index("root/pypi"), &demo(), Vec::new());
    let says = dump.render();
    let projects = json!({
        "six": { "1.17.0": { "name": "six", "version": "1.17.0", "requires_python": ">=3.8" } }, "hello-pkg": {},
    });
    assert_eq!(says.pointer("/indexes/root~1pypi/projects"), Some(&projects));
    let url = says.pointer("/indexes/root~1pypi/files/0/entrymapping/url");
    assert_eq!(url, Some(&json!("https://files.example/six-1.17.0.tar.gz")));
    let path = says.pointer("/indexes/root~1pypi/files/0/relpath");
    assert_eq!(path, Some(&json!("root/pypi/six/1.17.0/six-1.17.0.tar.gz")));
}

#[test]
fn bases_that_lead_back_are_cut() {
    let names = ["a/a", "b/b", "c/c", "d/d"].map(index);
    let [a, b, c, d] = &names;
    let ring =
        [(a, vec![b.clone(), d.clone()]), (b, vec![c.clone()]), (c, vec![a.clone(), d.clone()]), (d, vec![d.clone()])];
    let bases = without_rings(ring.iter().map(|(name, bases)| (*name, bases.as_slice())));
    assert_eq!(bases.get(a), Some(&(vec![b.clone(), d.clone()], vec![])));
    assert_eq!(bases.get(c), Some(&(vec![d.clone()], vec![a.clone()])));
    assert_eq!(bases.get(d), Some(&(vec![], vec![d.clone()])));
}

/// A data directory with alice, her index, and one wheel on the shelf.
async fn data(at: &Path) -> Private {
    let disk = Disk::open(at).unwrap();
    for bytes in [&b"wheel"[..], b"tox"] {
        let temp = disk.create_temp().unwrap();
        std::io::Write::write_all(&mut &*temp.file(), bytes).unwrap();
        disk.adopt_private(temp, Sha256::of(bytes)).unwrap();
    }
    let private = Private::open(at).await.unwrap();
    private.put_user(&alice()).await.unwrap();
    private.put_index(&IndexRow { name: index("alice/dev"), settings: settings() }).await.unwrap();
    for file in [wheel(), result()] {
        private.publish(&Publication { release: release("1.0"), file, volatile: true }).await.unwrap();
    }
    private
}

fn wish(data: &Path, target: &Path) -> ExportWish {
    ExportWish {
        data: data.to_owned(),
        target: target.to_owned(),
        mirrored_files: false,
        mirrors: vec![FixedMirror {
            name: index("root/pypi"),
            url: "https://index.example/simple/".to_owned(),
            credentials: false,
        }],
    }
}

fn shelf(data: &Path, bytes: &[u8]) -> PathBuf {
    let hex = Sha256::of(bytes).to_hex();
    data.join("private").join(&hex[..2]).join(&hex[2..])
}

#[tokio::test]
async fn an_export_beside_an_open_database_is_whole_or_none() {
    let place = tempfile::tempdir().unwrap();
    let (at, to) = (place.path().join("data"), place.path().join("deep/dump"));
    let private = data(&at).await;
    let exported = export(&wish(&at, &to), |_| {}).await.unwrap();
    assert_eq!((exported.users, exported.indexes, exported.releases, exported.files), (2, 2, 1, 2));
    assert_eq!((exported.bytes, exported.linked), (8, 2));
    assert_eq!(fs::read(to.join("alice/dev/hello-pkg/1.0").join(WHEEL)).unwrap(), b"wheel");
    let mut names: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["alice", "dataindex.json"]);
    let says: Value = serde_json::from_slice(&fs::read(to.join("dataindex.json")).unwrap()).unwrap();
    let url = says.pointer("/indexes/root~1pypi/indexconfig/mirror_url");
    assert_eq!(url, Some(&json!("https://index.example/simple/")));

    let again = export(&wish(&at, &to), |_| {}).await.unwrap_err();
    assert!(matches!(again, ExportError::NotEmpty { .. }), "{again}");
    private.close().await;
}

#[tokio::test]
async fn damaged_and_missing_files_are_left_out_with_their_results() {
    let place = tempfile::tempdir().unwrap();
    let (at, to) = (place.path().join("data"), place.path().join("dump"));
    let private = data(&at).await;
    fs::write(shelf(&at, b"wheel"), b"whEel").unwrap();
    let exported = export(&wish(&at, &to), |_| {}).await.unwrap();
    let left: Vec<_> = exported.left_out.iter().filter(|left| left.kind == Kind::File).collect();
    assert!(exported.files == 0 && left.len() == 2, "{exported:?}");
    assert!(left.iter().any(|left| left.why.contains("damaged")), "{left:?}");
    assert_eq!((exported.linked, exported.bytes), (0, 0));
    assert!(!to.join("alice/dev/hello-pkg/1.0").join(WHEEL).exists());
    assert_eq!(fs::read_dir(to.join("alice/dev/hello-pkg")).unwrap().count(), 1, "a result without what it is of");

    fs::remove_file(shelf(&at, b"wheel")).unwrap();
    let to = place.path().join("dump2");
    let exported = export(&wish(&at, &to), |_| {}).await.unwrap();
    assert!(exported.left_out.iter().any(|left| left.why == "its bytes are missing"), "{exported:?}");
    private.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_meanwhile_is_no_damage() {
    let place = tempfile::tempdir().unwrap();
    let (at, to) = (place.path().join("data"), place.path().join("dump"));
    let private = data(&at).await;
    let (wish, index) = (wish(&at, &to), index("alice/dev"));
    let exported = export(&wish, |step| {
        if let Step::Found(_) = step {
            let remove = private.remove_file(&index, WHEEL);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(remove)).unwrap();
            fs::remove_file(shelf(&at, b"wheel")).unwrap();
        }
    });
    let exported = exported.await.unwrap();
    let left: Vec<_> = exported.left_out.iter().filter(|left| left.kind == Kind::Removed).collect();
    assert_eq!((exported.files, left.len()), (0, 2), "{exported:?}");
    // The release is told: at the moment that is shown it was there.
    assert_eq!(exported.releases, 1);
    private.close().await;
}

#[tokio::test]
async fn an_export_that_breaks_looks_like_none() {
    let place = tempfile::tempdir().unwrap();
    let (at, to) = (place.path().join("data"), place.path().join("dump"));
    let private = data(&at).await;
    let wish = wish(&at, &to);
    let broken = export(&wish, |step| {
        if let Step::Found(_) = step {
            // In the way of a directory.
            fs::write(to.join("alice"), "").unwrap();
        }
    });
    let why = broken.await.unwrap_err();
    assert!(matches!(why, ExportError::Target { .. }) && why.to_string().contains("not complete"), "{why}");
    assert!(!to.join("dataindex.json").exists() && !to.join(".snapshot").exists());
    private.close().await;
}

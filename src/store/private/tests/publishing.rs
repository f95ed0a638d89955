use super::*;

const SDIST: &str = "demo-1.0.tar.gz";

#[tokio::test]
async fn what_exists_may_be_overwritten_only_where_that_is_allowed() {
    for (volatile, same, expected) in
        [(false, true, "identical"), (false, false, "conflict"), (true, true, "replaced"), (true, false, "replaced")]
    {
        let private = private().await;
        let first = file("alice/dev", SDIST, 1);
        assert_eq!(stored(&private, &first).await, (vec![], false));
        let serial = private.serial().await.unwrap();
        let mut again = Publication { volatile, ..file("alice/dev", SDIST, if same { 1 } else { 2 }) };
        again.release.metadata = object(json!({ "summary": "new" }));
        again.file.uploaded += 1;
        let found = match private.publish(&again).await.unwrap() {
            Published::Identical => "identical",
            Published::Conflict => "conflict",
            Published::Stored { unreferenced, replaced: true, serial: now } => {
                assert_eq!(unreferenced, if same { vec![] } else { vec![digest(1)] });
                assert_eq!(now, serial + 1);
                "replaced"
            }
            Published::Stored { replaced: false, .. } => "new",
        };
        assert_eq!(found, expected, "volatile: {volatile}, same: {same}");
        let row = private.file(&index("alice/dev"), SDIST).await.unwrap().unwrap();
        let release = private.release(&index("alice/dev"), &demo(), "1.0").await.unwrap().unwrap();
        if volatile {
            let merged = json!({ "name": "Demo", "version": "1.0", "summary": "new" });
            assert_eq!((row.sha256, Value::from(release.metadata)), (again.file.sha256, merged));
            let entry = json!({ "what": "overwrite", "who": null, "when": [2026, 1, 2, 3, 4, 5], "count": 1 });
            assert_eq!(row.log, [entry, again.file.log[0].clone()]);
        } else {
            assert_eq!((row, release), (first.file, first.release));
            assert_eq!(private.serial().await.unwrap(), serial);
        }
    }
}

#[tokio::test]
async fn overwrites_are_counted() {
    let private = private().await;
    for byte in 1..=4 {
        stored(&private, &file("alice/dev", SDIST, byte)).await;
    }
    let row = private.file(&index("alice/dev"), SDIST).await.unwrap().unwrap();
    assert_eq!((row.log.len(), &row.log[0]["count"]), (2, &json!(3)));
}

#[tokio::test]
async fn the_same_bytes_keep_what_was_said_of_them_and_others_do_not() {
    let private = private().await;
    let mut first = file("alice/dev", SDIST, 1);
    first.file.yanked = Some("bad".into());
    first.file.attestations = Some("[]".into());
    stored(&private, &first).await;
    stored(&private, &result_of(&first, 7)).await;
    assert_eq!(stored(&private, &file("alice/dev", SDIST, 1)).await, (vec![], true));
    let row = private.file(&index("alice/dev"), SDIST).await.unwrap().unwrap();
    assert_eq!((row.yanked.as_deref(), row.attestations.as_deref()), (Some("bad"), Some("[]")));
    assert_eq!(private.files(&index("alice/dev"), &demo()).await.unwrap().len(), 2);
    let (mut unreferenced, _) = stored(&private, &file("alice/dev", SDIST, 2)).await;
    unreferenced.sort();
    assert_eq!(unreferenced, [digest(1), digest(7)]);
    let row = private.file(&index("alice/dev"), SDIST).await.unwrap().unwrap();
    assert_eq!((row.yanked, row.attestations), (None, None));
    assert_eq!(private.was_deleted(&index("alice/dev"), SDIST).await.unwrap(), [digest(1)]);
}

#[tokio::test]
async fn a_file_of_another_kind_is_never_overwritten() {
    let private = private().await;
    let mut doc = file("alice/dev", "demo-1.0.doc.zip", 1);
    doc.file.rel = Rel::Doczip;
    stored(&private, &doc).await;
    for volatile in [true, false] {
        let release = Publication { volatile, ..file("alice/dev", "demo-1.0.doc.zip", 1) };
        assert_eq!(private.publish(&release).await.unwrap(), Published::Conflict);
    }
}

#[tokio::test]
async fn a_push_is_all_or_nothing() {
    let private = private().await;
    stored(&private, &file("alice/prod", "demo-1.0-py3-none-any.whl", 9)).await;
    let sdist = fixed(file("alice/prod", SDIST, 1));
    let push = [sdist.clone(), result_of(&sdist, 2), fixed(file("alice/prod", "demo-1.0-py3-none-any.whl", 3))];
    let before = (known(&private).await, private.serial().await.unwrap());
    let conflict = PublishedAll::Conflict { filename: "demo-1.0-py3-none-any.whl".into() };
    assert_eq!(private.publish_all(&push).await.unwrap(), conflict);
    assert_eq!((known(&private).await, private.serial().await.unwrap()), before);
    let again = [push[0].clone(), push[1].clone(), fixed(file("alice/prod", "demo-1.0-py3-none-any.whl", 9))];
    let stored = |serial, each: [Stored; 3]| PublishedAll::Stored { serial, unreferenced: vec![], each: each.into() };
    let serial = before.1 + 1;
    let all = private.publish_all(&again).await.unwrap();
    assert_eq!(all, stored(serial, [Stored::New, Stored::New, Stored::Identical]));
    assert_eq!(private.publish_all(&again).await.unwrap(), stored(serial, [Stored::Identical; 3]));
}

#[tokio::test]
async fn a_result_needs_the_file_that_was_tested() {
    let private = private().await;
    let tested = file("alice/dev", SDIST, 1);
    let error = private.publish(&result_of(&tested, 2)).await.err().unwrap().to_string();
    assert!(error.contains(SDIST), "{error}");
    stored(&private, &file("alice/dev", SDIST, 3)).await;
    assert!(private.publish(&result_of(&tested, 2)).await.is_err(), "other bytes were tested");
}

#[tokio::test]
async fn rows_come_back_as_they_were_written() {
    let private = private().await;
    let mut wheel = file("alice/dev", "demo-1.0-py3-none-any.whl", 1);
    wheel.file.requires_python = Some(">=3.9".into());
    wheel.file.metadata = Some((digest(2), 44));
    wheel.file.yanked = Some(String::new());
    wheel.file.attestations = Some(r#"[{"version":1}]"#.into());
    stored(&private, &wheel).await;
    let result = result_of(&wheel, 3);
    stored(&private, &result).await;
    let result = FileRow { metadata: wheel.file.metadata, ..result.file };
    let dev = index("alice/dev");
    assert_eq!(private.files(&dev, &demo()).await.unwrap(), [wheel.file.clone(), result.clone()]);
    assert_eq!(private.files_of_version(&dev, &demo(), "1.0").await.unwrap(), [wheel.file, result]);
    assert_eq!(private.files_of_version(&dev, &demo(), "1.0.0").await.unwrap(), []);
    assert_eq!(private.file(&index("alice/prod"), "demo-1.0-py3-none-any.whl").await.unwrap(), None);
    assert_eq!(known(&private).await, BTreeSet::from([digest(1), digest(2), digest(3)]));
}

#[tokio::test]
async fn a_version_is_found_as_it_is_spelled_and_else_as_it_is_meant() {
    let private = private().await;
    for (n, version) in ["1.0", "1.0.0", "2.0", "not a version"].into_iter().enumerate() {
        stored(&private, &at_version(file("alice/dev", &format!("demo-{n}.zip"), n as u8), version)).await;
    }
    for (asked, found) in [
        ("1.0.0", Some("1.0.0")),
        ("1", Some("1.0")),
        ("2", Some("2.0")),
        ("not a version", Some("not a version")),
        ("3", None),
    ] {
        let row = private.release(&index("alice/dev"), &demo(), asked).await.unwrap();
        assert_eq!(row.map(|row| row.version).as_deref(), found, "{asked}");
    }
    assert_eq!(private.remove_version(&index("alice/dev"), &demo(), "2").await.unwrap(), None);
    let releases = private.releases(&index("alice/dev"), &demo()).await.unwrap();
    let versions: Vec<_> = releases.iter().map(|row| row.version.as_str()).collect();
    assert_eq!(versions, ["1.0", "1.0.0", "2.0", "not a version"]);
}

#[tokio::test]
async fn registering_overwrites_and_keeps_the_first_name() {
    let private = private().await;
    let mut release = file("alice/dev", SDIST, 1).release;
    private.put_release(&release).await.unwrap();
    let projects = private.projects(&index("alice/dev")).await.unwrap();
    assert_eq!(projects, [ProjectRow { name: demo(), display: "Demo".into(), releases: 1 }]);
    release.metadata = object(json!({ "name": "DEMO", "summary": "x" }));
    let again = ReleaseRow { created: 99, ..release.clone() };
    private.put_release(&again).await.unwrap();
    assert_eq!(private.releases(&index("alice/dev"), &demo()).await.unwrap(), [release]);
    assert_eq!(private.projects(&index("alice/dev")).await.unwrap(), projects);
    assert_eq!(private.owners(&demo(), &[index("bob/dev"), index("alice/dev")]).await.unwrap(), [index("alice/dev")]);
}

#[tokio::test]
async fn yanking_counts_what_it_changed() {
    let private = private().await;
    let wheel = file("alice/dev", "demo-1.0-py3-none-any.whl", 2);
    for publication in [file("alice/dev", SDIST, 1), wheel.clone(), result_of(&wheel, 3)] {
        stored(&private, &publication).await;
    }
    let (dev, serial) = (index("alice/dev"), private.serial().await.unwrap());
    let project = demo();
    let yank = |of, why| private.set_yanked(&dev, &project, of, why);
    assert_eq!(yank(YankOf::File(SDIST), Some("")).await.unwrap(), Yanked { serial: serial + 1, changed: 1 });
    assert_eq!(yank(YankOf::Version("1.0"), Some("")).await.unwrap(), Yanked { serial: serial + 2, changed: 1 });
    assert_eq!(yank(YankOf::Version("1.0"), Some("")).await.unwrap(), Yanked { serial: serial + 2, changed: 0 });
    assert_eq!(yank(YankOf::Version("1.0"), Some("why")).await.unwrap(), Yanked { serial: serial + 3, changed: 2 });
    assert_eq!(yank(YankOf::Version("1"), None).await.unwrap(), Yanked { serial: serial + 3, changed: 0 });
    assert_eq!(yank(YankOf::Version("1.0"), None).await.unwrap(), Yanked { serial: serial + 4, changed: 2 });
}

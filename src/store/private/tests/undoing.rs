use super::*;

const SDIST: &str = "demo-1.0.tar.gz";
const WHEEL: &str = "demo-1.0-py3-none-any.whl";

fn wish(part: RemovedPart) -> RemoveWish {
    let (index, by) = (index("alice/dev"), Some(user("alice")));
    RemoveWish { index, project: demo(), part, by, at: 100, until: 200 }
}

fn of_file(name: &str) -> RemoveWish {
    wish(RemovedPart::File(name.into()))
}

async fn kept(private: &Private, wish: &RemoveWish) -> i64 {
    match private.remove_for_now(wish).await.unwrap() {
        RemovedForNow::Kept(id) => id,
        other => panic!("{other:?}"),
    }
}

/// Two releases: 1.0 with a yanked wheel, an sdist, its test's result and documentation; and 2.0.
async fn filled() -> Private {
    let private = private().await;
    let sdist = file("alice/dev", SDIST, 1);
    let mut wheel = file("alice/dev", WHEEL, 2);
    wheel.file.metadata = Some((digest(3), 9));
    wheel.file.yanked = Some("broken".into());
    wheel.file.attestations = Some("[{}]".into());
    wheel.file.requires_python = Some(">=3.9".into());
    let mut docs = file("alice/dev", "demo-1.0.doc.zip", 5);
    docs.file.rel = Rel::Doczip;
    let next = at_version(file("alice/dev", "demo-2.0.tar.gz", 6), "2.0");
    for publication in [sdist.clone(), wheel, result_of(&sdist, 4), docs, next] {
        stored(&private, &publication).await;
    }
    private
}

type Seen = (Vec<FileRow>, Vec<ReleaseRow>, Vec<ProjectRow>);

async fn seen(private: &Private) -> Seen {
    let dev = index("alice/dev");
    let (files, releases) =
        (private.files(&dev, &demo()).await.unwrap(), private.releases(&dev, &demo()).await.unwrap());
    (files, releases, private.projects(&dev).await.unwrap())
}

#[tokio::test]
async fn what_is_put_back_is_as_it_was_in_its_old_order() {
    let private = filled().await;
    let (before, named) = (seen(&private).await, private.named().await.unwrap());
    for (part, left, gone) in [
        (RemovedPart::Project, 0, 4),
        (RemovedPart::Version("1.0".into()), 1, 3),
        (RemovedPart::File(SDIST.into()), 3, 1),
        (RemovedPart::File("demo-2.0.tar.gz".into()), 4, 1),
    ] {
        let serial = private.serial().await.unwrap();
        let id = kept(&private, &wish(part.clone())).await;
        assert_eq!(private.serial().await.unwrap(), serial + 1);
        assert_eq!(seen(&private).await.0.len(), left, "{part:?}");
        assert_eq!(private.named().await.unwrap(), named, "a backup would lose what can be undone");
        let digests: Vec<_> = named.iter().map(|(digest, _)| *digest).collect();
        assert_eq!(private.unreferenced(&digests).await.unwrap(), []);
        let shown = private.removals(&index("alice/dev"), 199).await.unwrap();
        let row = KeptRemoval {
            id,
            index: index("alice/dev"),
            project: demo(),
            part,
            by: Some(user("alice")),
            at: 100,
            until: 200,
            files: gone,
        };
        assert_eq!((shown, private.removal(id, 199).await.unwrap()), (vec![row.clone()], Some(row)));
        assert_eq!(private.put_back(id, 199).await.unwrap(), PutBack::Done);
        assert_eq!(private.serial().await.unwrap(), serial + 2);
        assert_eq!(seen(&private).await, before);
        assert_eq!(private.was_deleted(&index("alice/dev"), SDIST).await.unwrap(), []);
        assert_eq!(private.put_back(id, 199).await.unwrap(), PutBack::Over);
        assert_eq!(private.removals(&index("alice/dev"), 199).await.unwrap(), []);
    }
}

#[tokio::test]
async fn nothing_is_kept_of_what_is_not_there() {
    let private = filled().await;
    let other = ProjectName::parse("other").unwrap();
    for wish in [
        RemoveWish { project: other.clone(), ..wish(RemovedPart::Project) },
        wish(RemovedPart::Version("3.0".into())),
        of_file("demo-3.0.tar.gz"),
        RemoveWish { project: other, ..of_file(SDIST) },
    ] {
        let serial = private.serial().await.unwrap();
        assert_eq!(private.remove_for_now(&wish).await.unwrap(), RemovedForNow::Nothing, "{wish:?}");
        assert_eq!(private.serial().await.unwrap(), serial);
    }
    assert_eq!(private.removals(&index("alice/dev"), 0).await.unwrap(), []);
    assert_eq!(seen(&private).await.0.len(), 5);
}

#[tokio::test]
async fn a_name_that_was_taken_meanwhile_is_told_and_nothing_is_lost() {
    let private = filled().await;
    let id = kept(&private, &wish(RemovedPart::Version("1.0".into()))).await;
    stored(&private, &file("alice/dev", SDIST, 9)).await;
    let before = seen(&private).await;
    assert_eq!(private.put_back(id, 150).await.unwrap(), PutBack::Taken(SDIST.into()));
    assert_eq!(seen(&private).await, before);
    // The way out: remove what came, and undo the older removal.
    let newer = kept(&private, &of_file(SDIST)).await;
    assert_eq!(private.put_back(id, 150).await.unwrap(), PutBack::Done);
    assert_eq!(private.put_back(newer, 150).await.unwrap(), PutBack::Taken(SDIST.into()));
    let row = private.file(&index("alice/dev"), SDIST).await.unwrap().unwrap();
    assert_eq!((row.sha256, seen(&private).await.0.len()), (digest(1), 5));
    assert_eq!(private.was_deleted(&index("alice/dev"), SDIST).await.unwrap(), [digest(9)]);
}

#[tokio::test]
async fn a_release_that_was_made_anew_says_both() {
    let private = private().await;
    let mut old = file("alice/dev", SDIST, 1);
    old.release.metadata = object(json!({ "name": "Demo", "version": "1.0", "summary": "old", "license": "MIT" }));
    stored(&private, &old).await;
    let id = kept(&private, &of_file(SDIST)).await;
    let mut new = file("alice/dev", WHEEL, 2);
    new.release.created = 50;
    new.release.metadata = object(json!({ "name": "Demo", "version": "1.0", "summary": "new" }));
    stored(&private, &new).await;
    assert_eq!(private.put_back(id, 150).await.unwrap(), PutBack::Done);
    let release = private.release(&index("alice/dev"), &demo(), "1.0").await.unwrap().unwrap();
    assert_eq!(
        (release.metadata["summary"].as_str(), release.metadata["license"].as_str()),
        (Some("new"), Some("MIT"))
    );
    assert_eq!(private.files(&index("alice/dev"), &demo()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_result_comes_back_to_its_own_file_only() {
    let private = private().await;
    let sdist = file("alice/dev", SDIST, 1);
    let result = result_of(&sdist, 4);
    stored(&private, &sdist).await;
    stored(&private, &result).await;
    let of_result = kept(&private, &of_file(&result.file.filename)).await;
    let of_sdist = kept(&private, &of_file(SDIST)).await;
    let untested = PutBack::Untested { result: result.file.filename.clone(), tested: SDIST.into() };
    assert_eq!(private.put_back(of_result, 150).await.unwrap(), untested);
    assert_eq!(seen(&private).await.0, []);
    assert_eq!(private.put_back(of_sdist, 150).await.unwrap(), PutBack::Done);
    assert_eq!(private.put_back(of_result, 150).await.unwrap(), PutBack::Done);
    assert_eq!(seen(&private).await.0, [sdist.file, result.file]);
}

#[tokio::test]
async fn after_the_window_the_bytes_go_and_only_those_that_nobody_else_has() {
    let private = filled().await;
    stored(&private, &file("bob/dev", SDIST, 1)).await;
    let id = kept(&private, &wish(RemovedPart::Version("1.0".into()))).await;
    assert_eq!(private.end_removals(199, 10).await.unwrap(), (0, vec![]));
    assert_eq!(
        private.put_back(id, 200).await.unwrap(),
        PutBack::Over,
        "the window is over for all at the same moment"
    );
    let serial = private.serial().await.unwrap();
    let (count, mut left) = private.end_removals(200, 10).await.unwrap();
    left.sort();
    assert_eq!((count, left), (1, vec![digest(2), digest(3), digest(4), digest(5)]));
    assert_eq!(private.serial().await.unwrap(), serial, "no page shows it");
    assert_eq!(private.end_removals(200, 10).await.unwrap(), (0, vec![]));
    assert_eq!(private.was_deleted(&index("alice/dev"), SDIST).await.unwrap(), [digest(1)]);
    // At most so many at once.
    for name in ["demo-2.0.tar.gz"] {
        kept(&private, &of_file(name)).await;
    }
    stored(&private, &file("alice/dev", WHEEL, 7)).await;
    kept(&private, &RemoveWish { until: 201, ..of_file(WHEEL) }).await;
    assert_eq!(private.end_removals(300, 1).await.unwrap(), (1, vec![digest(6)]));
    assert_eq!(private.end_removals(300, 1).await.unwrap(), (1, vec![digest(7)]));
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_keep_them_for_years() {
    let private = filled().await;
    let ahead = RemoveWish { at: 1_000_000, until: 1_000_100, ..of_file(SDIST) };
    let id = kept(&private, &ahead).await;
    assert_eq!(private.end_removals(500, 10).await.unwrap().0, 0);
    assert_eq!(private.removal(id, 500).await.unwrap().map(|row| (row.at, row.until)), Some((500, 600)));
    assert_eq!(private.end_removals(600, 10).await.unwrap().0, 1);
}

#[tokio::test]
async fn an_index_or_a_user_takes_them_with_it() {
    for whole_user in [false, true] {
        let private = filled().await;
        let id = kept(&private, &wish(RemovedPart::Project)).await;
        let removed = match whole_user {
            true => private.remove_user(&user("alice")).await.unwrap().unwrap(),
            false => private.remove_index(&index("alice/dev")).await.unwrap().unwrap(),
        };
        assert_eq!(BTreeSet::from_iter(removed.unreferenced), BTreeSet::from([1, 2, 3, 4, 5, 6].map(digest)));
        if whole_user {
            private.put_user(&user_row("alice")).await.unwrap();
        }
        private.put_index(&index_row("alice/dev")).await.unwrap();
        assert_eq!(private.put_back(id, 150).await.unwrap(), PutBack::Over, "another index of this name");
        assert_eq!(private.removals(&index("alice/dev"), 150).await.unwrap(), []);
        assert_eq!(known(&private).await, BTreeSet::new());
        let again = file("alice/dev", SDIST, 1);
        stored(&private, &again).await;
        assert!(kept(&private, &of_file(SDIST)).await > id, "a number was given twice");
    }
}

#[tokio::test]
async fn only_so_many_are_kept_and_the_next_is_refused() {
    let private = filled().await;
    let many = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {REMOVALS_MAX})
         INSERT INTO removal (index_name, project, kind, name, user_name, at, until)
         SELECT 'alice/dev', 'demo', 'project', 'demo', NULL, 1, 150 FROM n"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(many)).execute(&private.pool).await.unwrap();
    assert_eq!(private.remove_for_now(&of_file(SDIST)).await.unwrap(), RemovedForNow::TooMany);
    assert!(private.file(&index("alice/dev"), SDIST).await.unwrap().is_some());
    private.end_removals(150, REMOVALS_MAX as u32).await.unwrap();
    kept(&private, &of_file(SDIST)).await;
}

#[tokio::test]
async fn what_is_kept_is_kept_over_a_crash() {
    let (data, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let private = Private::open(data.path()).await.unwrap();
    private.put_user(&user_row("alice")).await.unwrap();
    private.put_index(&index_row("alice/dev")).await.unwrap();
    stored(&private, &file("alice/dev", SDIST, 1)).await;
    let id = kept(&private, &of_file(SDIST)).await;
    // As after a kill: what was committed is in the log only.
    for name in ["private.db", "private.db-wal"] {
        std::fs::copy(data.path().join(name), crashed.path().join(name)).unwrap();
    }
    let private = Private::open(crashed.path()).await.unwrap();
    assert_eq!(private.file(&index("alice/dev"), SDIST).await.unwrap(), None);
    assert_eq!(private.named().await.unwrap(), [(digest(1), 100)]);
    assert_eq!(private.put_back(id, 150).await.unwrap(), PutBack::Done);
    assert_eq!(private.file(&index("alice/dev"), SDIST).await.unwrap(), Some(file("alice/dev", SDIST, 1).file));
}

#[tokio::test]
async fn damage_of_what_can_be_put_back_is_not_forgotten() {
    let private = filled().await;
    private.note_damage(&digest(3), 7).await.unwrap();
    kept(&private, &of_file(WHEEL)).await;
    private.mended(&[]).await.unwrap();
    assert_eq!(private.damaged().await.unwrap(), [digest(3)]);
    assert_eq!(private.names_of(&digest(3)).await.unwrap(), [format!("alice/dev/{WHEEL} (removed, can be undone)")]);
    private.end_removals(200, 10).await.unwrap();
    private.mended(&[]).await.unwrap();
    assert_eq!(private.damaged().await.unwrap(), []);
}

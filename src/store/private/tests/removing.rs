use super::*;

const SDIST: &str = "demo-1.0.tar.gz";
const WHEEL: &str = "demo-1.0-py3-none-any.whl";

#[tokio::test]
async fn a_version_goes_with_its_last_file_and_the_name_stays() {
    let private = private().await;
    let (dev, sdist) = (index("alice/dev"), file("alice/dev", SDIST, 1));
    for publication in [sdist.clone(), file("alice/dev", WHEEL, 2), result_of(&sdist, 3)] {
        stored(&private, &publication).await;
    }
    let removed = private.remove_file(&dev, SDIST).await.unwrap().unwrap();
    assert_eq!(BTreeSet::from_iter(removed.unreferenced), BTreeSet::from([digest(1), digest(3)]));
    assert!(private.has_releases(&dev, &demo()).await.unwrap());
    assert_eq!(private.files(&dev, &demo()).await.unwrap().len(), 1);
    let removed = private.remove_file(&dev, WHEEL).await.unwrap().unwrap();
    assert_eq!((removed.unreferenced, removed.serial), (vec![digest(2)], private.serial().await.unwrap()));
    assert!(!private.has_releases(&dev, &demo()).await.unwrap());
    let tombstone = ProjectRow { name: demo(), display: "Demo".into(), releases: 0 };
    assert_eq!(private.projects(&dev).await.unwrap(), [tombstone]);
    let among = [index("alice/prod"), dev.clone(), index("root/pypi")];
    assert_eq!(private.owners(&demo(), &among).await.unwrap(), among[1..2]);
    let serial = private.serial().await.unwrap();
    assert_eq!(private.remove_file(&dev, WHEEL).await.unwrap(), None);
    assert_eq!(private.remove_project(&dev, &demo()).await.unwrap(), None);
    assert_eq!(private.serial().await.unwrap(), serial);
    private.remove_index(&dev).await.unwrap().unwrap();
    assert_eq!(private.owners(&demo(), &among).await.unwrap(), []);
}

#[tokio::test]
async fn the_version_stays_while_documentation_is_left() {
    let private = private().await;
    let mut doc = file("alice/dev", "demo-1.0.doc.zip", 2);
    doc.file.rel = Rel::Doczip;
    stored(&private, &file("alice/dev", SDIST, 1)).await;
    stored(&private, &doc).await;
    private.remove_file(&index("alice/dev"), SDIST).await.unwrap().unwrap();
    assert!(private.release(&index("alice/dev"), &demo(), "1.0").await.unwrap().is_some());
}

#[tokio::test]
async fn a_release_that_loses_its_last_file_to_another_goes_too() {
    let private = private().await;
    stored(&private, &file("alice/dev", SDIST, 1)).await;
    stored(&private, &at_version(file("alice/dev", SDIST, 2), "1.0.0")).await;
    let releases = private.releases(&index("alice/dev"), &demo()).await.unwrap();
    assert_eq!(releases.into_iter().map(|row| row.version).collect::<Vec<_>>(), ["1.0.0"]);
}

#[tokio::test]
async fn what_was_removed_is_remembered_until_it_is_back() {
    let private = private().await;
    let dev = index("alice/dev");
    assert_eq!(private.was_deleted(&dev, SDIST).await.unwrap(), []);
    for byte in [1, 2] {
        stored(&private, &file("alice/dev", SDIST, byte)).await;
        private.remove_version(&dev, &demo(), "1.0").await.unwrap().unwrap();
    }
    assert_eq!(private.was_deleted(&dev, SDIST).await.unwrap(), [digest(1), digest(2)]);
    stored(&private, &file("alice/dev", SDIST, 1)).await;
    assert_eq!(private.was_deleted(&dev, SDIST).await.unwrap(), [digest(2)]);
    private.remove_project(&dev, &demo()).await.unwrap().unwrap();
    assert_eq!(private.was_deleted(&dev, SDIST).await.unwrap(), [digest(2), digest(1)]);
    for byte in 10..40 {
        stored(&private, &file("alice/dev", SDIST, byte)).await;
    }
    let kept = private.was_deleted(&dev, SDIST).await.unwrap();
    assert_eq!((kept.len(), kept.last()), (16, Some(&digest(38))));
    private.remove_index(&dev).await.unwrap().unwrap();
    assert_eq!(private.was_deleted(&dev, SDIST).await.unwrap(), []);
}

#[tokio::test]
async fn a_user_takes_all_that_it_owns_with_it() {
    let private = private().await;
    for (on, byte) in [("alice/dev", 1), ("alice/prod", 1), ("alice/prod", 2), ("bob/dev", 2), ("bob/dev", 3)] {
        stored(&private, &file(on, &format!("demo-1.0-{byte}-py3-none-any.whl"), byte)).await;
    }
    let removed = private.remove_user(&user("alice")).await.unwrap().unwrap();
    assert_eq!(removed.unreferenced, [digest(1)]);
    assert_eq!(private.users().await.unwrap(), [user_row("bob")]);
    assert_eq!(private.indexes().await.unwrap(), [index_row("bob/dev")]);
    assert_eq!(known(&private).await, BTreeSet::from([digest(2), digest(3)]));
    assert_eq!(private.owners(&demo(), &[index("alice/dev"), index("bob/dev")]).await.unwrap(), [index("bob/dev")]);
    assert_eq!(private.remove_user(&user("alice")).await.unwrap(), None);
    assert_eq!(private.remove_index(&index("alice/dev")).await.unwrap(), None);
}

//! Whatever is done to indexes that share files: a file is told to be left behind when it is, and never before.

use super::*;
use proptest::prelude::*;

const INDEXES: [&str; 3] = ["alice/dev", "alice/prod", "bob/dev"];

#[derive(Debug, Clone)]
enum Step {
    Publish { on: usize, name: u8, byte: u8, metadata: Option<u8>, volatile: bool, version: bool },
    Result { on: usize, name: u8, byte: u8 },
    Push { from: usize, to: usize },
    RemoveFile { on: usize, name: u8 },
    RemoveVersion { on: usize, version: bool },
    RemoveProject { on: usize },
    RemoveForNow { on: usize, part: u8, name: u8, version: bool, until: u64 },
    PutBack { id: i64, now: u64 },
    EndRemovals { now: u64 },
    RemoveIndex { on: usize },
    RemoveUser { bob: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let (on, name, byte) = (0..3usize, 0..3u8, 0..5u8);
    prop_oneof![
        6 => (on.clone(), name.clone(), byte.clone(), proptest::option::of(0..5u8), any::<bool>(), any::<bool>()).prop_map(
            |(on, name, byte, metadata, volatile, version)| {
                Step::Publish { on, name, byte, metadata, volatile, version }
            }
        ),
        2 => (on.clone(), name.clone(), byte).prop_map(|(on, name, byte)| Step::Result { on, name, byte }),
        3 => (on.clone(), on.clone()).prop_map(|(from, to)| Step::Push { from, to }),
        2 => (on.clone(), name).prop_map(|(on, name)| Step::RemoveFile { on, name }),
        1 => (on.clone(), any::<bool>()).prop_map(|(on, version)| Step::RemoveVersion { on, version }),
        1 => on.clone().prop_map(|on| Step::RemoveProject { on }),
        4 => (on.clone(), 0..3u8, 0..3u8, any::<bool>(), 1..6u64).prop_map(|(on, part, name, version, until)| {
            Step::RemoveForNow { on, part, name, version, until }
        }),
        3 => (1..6i64, 0..3u64).prop_map(|(id, now)| Step::PutBack { id, now }),
        1 => (0..6u64).prop_map(|now| Step::EndRemovals { now }),
        1 => on.prop_map(|on| Step::RemoveIndex { on }),
        1 => any::<bool>().prop_map(|bob| Step::RemoveUser { bob }),
    ]
}

fn name_of(name: u8) -> String {
    format!("demo-1.0-{name}-py3-none-any.whl")
}

/// What the step says is left behind.
async fn take(private: &Private, step: Step) -> Vec<Sha256> {
    let published = |published| match published {
        PublishedAll::Stored { unreferenced, .. } => unreferenced,
        PublishedAll::Conflict { .. } => Vec::new(),
    };
    let removed = |removed: Option<Removed>| removed.map_or_else(Vec::new, |removed| removed.unreferenced);
    match step {
        Step::Publish { on, name, byte, metadata, volatile, version } => {
            let mut publication = Publication { volatile, ..file(INDEXES[on], &name_of(name), byte) };
            publication.file.metadata = metadata.map(|byte| (digest(byte), 1));
            let publication = at_version(publication, if version { "1.0" } else { "2.0" });
            published(private.publish_all(&[publication]).await.unwrap())
        }
        Step::Result { on, name, byte } => {
            let Some(tested) = private.file(&index(INDEXES[on]), &name_of(name)).await.unwrap() else { return vec![] };
            let mut publication = at_version(file(INDEXES[on], &name_of(name), byte), &tested.version);
            publication.file.sha256 = tested.sha256;
            published(private.publish_all(&[result_of(&publication, byte)]).await.unwrap())
        }
        Step::Push { from, to } => {
            let files = private.files(&index(INDEXES[from]), &demo()).await.unwrap();
            let push = files.into_iter().map(|row| {
                let at = at_version(file(INDEXES[to], &row.filename, 0), &row.version);
                Publication { file: FileRow { index: index(INDEXES[to]), ..row }, ..at }
            });
            // A result comes after what it is of.
            let mut push: Vec<_> = push.collect();
            push.sort_by_key(|publication| publication.file.rel == Rel::Toxresult);
            published(private.publish_all(&push).await.unwrap())
        }
        Step::RemoveFile { on, name } => {
            removed(private.remove_file(&index(INDEXES[on]), &name_of(name)).await.unwrap())
        }
        Step::RemoveVersion { on, version } => {
            let version = if version { "1.0" } else { "2.0" };
            removed(private.remove_version(&index(INDEXES[on]), &demo(), version).await.unwrap())
        }
        Step::RemoveProject { on } => removed(private.remove_project(&index(INDEXES[on]), &demo()).await.unwrap()),
        Step::RemoveForNow { on, part, name, version, until } => {
            let part = match part {
                0 => RemovedPart::Project,
                1 => RemovedPart::Version(if version { "1.0" } else { "2.0" }.into()),
                _ => RemovedPart::File(name_of(name)),
            };
            let index = index(INDEXES[on]);
            private.remove_for_now(&RemoveWish { index, project: demo(), part, by: None, at: 0, until }).await.unwrap();
            Vec::new()
        }
        Step::PutBack { id, now } => {
            private.put_back(id, now).await.unwrap();
            Vec::new()
        }
        Step::EndRemovals { now } => private.end_removals(now, 100).await.unwrap().1,
        Step::RemoveIndex { on } => removed(private.remove_index(&index(INDEXES[on])).await.unwrap()),
        Step::RemoveUser { bob } => {
            removed(private.remove_user(&user(if bob { "bob" } else { "alice" })).await.unwrap())
        }
    }
}

/// No file is without its release, no release of these without a file.
async fn is_whole(private: &Private) -> bool {
    let query = "SELECT count(*) FROM release AS r WHERE NOT EXISTS (
                     SELECT 1 FROM file AS f
                     WHERE f.index_name = r.index_name AND f.project = r.project AND f.version = r.version)";
    let empty: i64 = sqlx::query_scalar(query).fetch_one(&private.pool).await.unwrap();
    let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(&private.pool).await.unwrap();
    empty == 0 && broken.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_left_behind_is_told_exactly(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let private = private().await;
            for step in steps {
                let (before, serial) = (known(&private).await, private.serial().await.unwrap());
                let told = take(&private, step.clone()).await;
                let after = known(&private).await;
                let lost: BTreeSet<_> = before.difference(&after).copied().collect();
                prop_assert_eq!(told.len(), lost.len(), "{:?} tells one twice", step);
                prop_assert_eq!(BTreeSet::from_iter(told), lost, "{:?}", step);
                let unseen = matches!(step, Step::EndRemovals { .. });
                let moved = private.serial().await.unwrap() - serial;
                prop_assert!(if unseen { moved == 0 } else { before == after || moved == 1 }, "{:?}", step);
                prop_assert!(is_whole(&private).await, "{:?}", step);
                for name in ["alice", "bob"] {
                    private.add_user(&user_row(name)).await.unwrap();
                }
                for name in INDEXES {
                    private.add_index(&index_row(name)).await.unwrap();
                }
            }
            Ok(())
        })?;
    }
}

use super::{room, scripted};
use crate::support::upstream::Misbehaviour as M;
use sidewheel::upstream::{FetchError, ListBody, ListFetch, PageKind, Upstream};

async fn list(room: &Upstream) -> (PageKind, ListBody) {
    match room.list(None).await.unwrap() {
        ListFetch::Body { content, body, .. } => (content, body),
        ListFetch::NotModified { .. } | ListFetch::Missing => panic!("no list"),
    }
}

async fn read(mut body: ListBody) -> Result<Vec<u8>, FetchError> {
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(error) => {
                assert_eq!(body.next().await, Some(Err(error.clone())), "an error is never followed by an end");
                return Err(error);
            }
        }
    }
    Ok(all)
}

#[tokio::test]
async fn the_list_of_projects_streams() {
    let scripted = scripted().await;
    (0..500).for_each(|number| drop(scripted.project(&format!("project-{number}"))));
    let room = room(&scripted);
    let (kind, body) = list(&room).await;
    assert_eq!(kind, PageKind::Json);
    let json: serde_json::Value = serde_json::from_slice(&read(body).await.unwrap()).unwrap();
    assert_eq!(json["projects"].as_array().unwrap().len(), 501);

    scripted.misbehave("/simple/", M::ContentEncodingGzip);
    let unpacked: serde_json::Value = serde_json::from_slice(&read(list(&room).await.1).await.unwrap()).unwrap();
    assert_eq!(unpacked, json);
}

#[tokio::test]
async fn a_list_that_breaks_off_never_ends_cleanly() {
    let scripted = scripted().await;
    let room = room(&scripted);
    for fault in [M::Truncate(30), M::ResetAfter(30), M::TruncatedChunks, M::TruncatedGzip] {
        scripted.misbehave("/simple/", fault.clone());
        let broken = read(list(&room).await.1).await;
        assert!(matches!(broken, Err(FetchError::Broken { .. })), "{fault:?}: {broken:?}");
    }
}

#[tokio::test]
async fn a_list_may_be_unchanged_or_missing() {
    let scripted = scripted().await;
    let room = room(&scripted);
    let Ok(ListFetch::Body { validators, .. }) = room.list(None).await else { panic!("no list") };
    assert!(matches!(room.list(Some(&validators)).await, Ok(ListFetch::NotModified { .. })));
    scripted.misbehave("/simple/", M::Status(404));
    assert!(matches!(room.list(None).await, Ok(ListFetch::Missing)));
}

use super::*;
use crate::names::Sha256;
use proptest::prelude::*;

fn refusal<T>(result: Result<T, UploadError>) -> Refusal {
    match result {
        Err(UploadError::Refused(refusal)) => refusal,
        Err(other) => panic!("not refused: {other}"),
        Ok(_) => panic!("taken"),
    }
}

#[tokio::test]
async fn devpi_clients_form_is_read_however_it_is_cut() {
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
    let body = form(&[
        field("metadata_version", "2.1"),
        field("name", "hello-pkg"),
        field("description", "# Hello\r\n--8b0063f5\n"),
        field("keywords", ""),
        field("classifiers", "A"),
        field("classifiers", "B"),
        field(":action", "file_upload"),
        content("hello-pkg-1.0.tar.gz", &bytes),
    ]);
    let home = Home::new();
    for piece in [1, 7, 64, 4096, body.len()] {
        let form = home.send(&body, CONTENT_TYPE, piece).await.unwrap();
        assert_eq!(form.get("description"), Some("# Hello\r\n--8b0063f5\n"));
        assert_eq!((form.get("keywords"), form.get("version")), (Some(""), None));
        assert_eq!(form.all("classifiers").collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(Action::of(&form), Ok(Action::FileUpload));
        let content = form.content.as_ref().unwrap();
        assert_eq!((content.filename.as_str(), content.size), ("hello-pkg-1.0.tar.gz", 200_000));
        assert_eq!(content.sha256, Sha256::of(&bytes));
        assert_eq!(home.temp_files(), 1);
        drop(form);
        assert_eq!(home.temp_files(), 0);
    }
}

#[tokio::test]
async fn content_may_come_first_with_a_type_and_strange_names() {
    let home = Home::new();
    let head = "--8b0063f5ac9d1bbf\r\ncontent-disposition: form-data; filename=\"ä \\\"x\\\".whl\"; name=\"content\"\r\n\
        Content-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc\r\n";
    let form = home.multipart(&form(&[head.into(), field("näme", "wért")])).await.unwrap();
    assert_eq!(form.content.as_ref().map(|content| content.filename.as_str()), Some("ä \"x\".whl"));
    assert_eq!(form.get("näme"), Some("wért"));
}

#[tokio::test]
async fn large_forms_are_real() {
    let home = Home::new();
    let mut parts: Vec<_> = (0..300).map(|n| field("requires_dist", &format!("a{n}"))).collect();
    parts.push(field("description", &"é".repeat(1 << 20)));
    let taken = home.send(&form(&parts), CONTENT_TYPE, 16_384).await.unwrap();
    assert_eq!(taken.all("requires_dist").count(), 300);
    assert_eq!(taken.get("description").map(str::len), Some(2 << 20));
}

#[tokio::test]
async fn each_bound_holds() {
    let home = Home::new();
    let many: Vec<_> = (0..1100).map(|_| field("a", "b")).collect();
    assert!(matches!(refusal(home.multipart(&form(&many)).await), Refusal::TooManyParts { .. }));
    let long = form(&[field("description", &"x".repeat(9 << 20))]);
    assert!(matches!(home.send(&long, CONTENT_TYPE, 16_384).await, Err(UploadError::TooLarge { .. })));
    let eight = "x".repeat((8 << 20) - 1);
    let all = form(&[(); 5].map(|()| field("description", &eight)));
    assert!(matches!(home.send(&all, CONTENT_TYPE, 65_536).await, Err(UploadError::TooLarge { .. })));
    let file = form(&[content("a-1.zip", &vec![0; (4 << 20) + 1])]);
    let limit = home.send(&file, CONTENT_TYPE, 16_384).await;
    assert!(matches!(limit, Err(UploadError::TooLarge { limit: 4_194_304, .. })));
    let just = form(&[content("a-1.zip", &vec![0; 4 << 20])]);
    assert!(home.send(&just, CONTENT_TYPE, 16_384).await.is_ok());
}

#[tokio::test]
async fn what_no_boundary_ends_is_not_gathered() {
    let home = Home::new();
    let endless = vec![b'x'; 1 << 20];
    assert_eq!(refusal(home.multipart(&endless).await), Refusal::BrokenForm);
    let head = [&b"--8b0063f5ac9d1bbf\r\nContent-Disposition: "[..], &endless].concat();
    assert_eq!(refusal(home.multipart(&head).await), Refusal::BrokenForm);
    let epilogue = [form(&[field("a", "b")]), endless].concat();
    assert_eq!(refusal(home.multipart(&epilogue).await), Refusal::BrokenForm);
}

#[tokio::test]
async fn a_cut_body_leaves_nothing() {
    let home = Home::new();
    let whole = form(&[field("name", "a"), content("a-1.zip", &[7; 3000])]);
    for len in [0, 10, 70, 100, 200, 2000, whole.len() - 6] {
        assert_eq!(refusal(home.multipart(&whole[..len]).await), Refusal::BrokenForm, "{len}");
        assert_eq!(home.temp_files(), 0);
    }
    let pieces = [Ok(Bytes::copy_from_slice(&whole[..2000])), Err(io::Error::other("reset"))];
    let gone = receive(futures_util::stream::iter(pieces), CONTENT_TYPE, &home.disk, LIMITS).await;
    assert!(matches!(gone, Err(UploadError::Body(error)) if error.to_string() == "reset"));
    assert_eq!(home.temp_files(), 0);
}

#[tokio::test]
async fn refuses_what_is_no_such_form() {
    let home = Home::new();
    for content_type in
        ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=\"\"", "multipart/mixed; boundary=a"]
    {
        assert_eq!(refusal(home.send(b"", content_type, 1).await), Refusal::NotAForm, "{content_type}");
    }
    let two = form(&[content("a-1.zip", b"1"), content("a-1.zip", b"2")]);
    assert_eq!(refusal(home.multipart(&two).await), Refusal::TwoContents { limit: 1 });
    let nameless = form(&[b"--8b0063f5ac9d1bbf\r\nContent-Type: text/plain\r\n\r\nx\r\n".to_vec()]);
    assert_eq!(refusal(home.multipart(&nameless).await), Refusal::NamelessPart);
    let latin =
        form(&[[&b"--8b0063f5ac9d1bbf\r\nContent-Disposition: form-data; name=author\r\n\r\n"[..], b"J\xf6rg\r\n"]
            .concat()]);
    assert_eq!(refusal(home.multipart(&latin).await), Refusal::NotText { field: "author".into() });
}

#[tokio::test]
async fn a_signature_is_read_past() {
    let home = Home::new();
    let signature = "--8b0063f5ac9d1bbf\r\nContent-Disposition: form-data; name=\"gpg_signature\"; \
        filename=\"a-1.zip.asc\"\r\n\r\n\u{fffd}sig\r\n";
    let form = home.multipart(&form(&[signature.into(), content("a-1.zip", b"1")])).await.unwrap();
    assert_eq!((form.get("gpg_signature"), form.content.as_ref().map(|content| content.size)), (None, Some(1)));
}

#[tokio::test]
async fn url_encoded_forms_are_taken() {
    let home = Home::new();
    let body = b"%3Aaction=submit&name=hello-pkg&version=1.0&classifiers=A&classifiers=B+%C3%A9";
    let form = home.send(body, "application/x-www-form-urlencoded; charset=utf-8", 5).await.unwrap();
    assert_eq!(Action::of(&form), Ok(Action::Submit));
    assert_eq!(form.all("classifiers").collect::<Vec<_>>(), ["A", "B é"]);
    let submit = check_submit(&form).unwrap();
    assert_eq!((submit.project.as_str(), submit.version.as_str()), ("hello-pkg", "1.0"));
    assert_eq!(submit.versiondata.len(), versiondata_defaults().len());
    let many = "a=b&".repeat(2000);
    let refused = home.send(many.as_bytes(), "application/x-www-form-urlencoded", 999).await;
    assert!(matches!(refusal(refused), Refusal::TooManyParts { .. }));
}

#[test]
fn actions_are_devpis() {
    let of = |value: &str| Action::of(&Form::new(vec![(":action".into(), value.into())]));
    assert_eq!(of("doc_upload"), Ok(Action::DocUpload));
    assert_eq!(of("verify").unwrap_err().to_string(), "action 'verify' not supported");
    assert_eq!(Action::of(&Form::default()).unwrap_err().to_string(), ":action field not found");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_bodies_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0..400_usize, to: u8, piece in 1..90_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let home = Home::new();
        let mut damaged = form(&[field("name", "a"), content("a-1.zip", &[7; 100]), field("b", "")]);
        if let Some(byte) = damaged.get_mut(at) { *byte = to; }
        runtime.block_on(async {
            for body in [bytes, damaged] {
                let _ = home.send(&body, CONTENT_TYPE, piece).await;
                let _ = home.send(&body, "application/x-www-form-urlencoded", piece).await;
            }
        });
        drop(runtime);
        prop_assert_eq!(home.temp_files(), 0);
    }
}

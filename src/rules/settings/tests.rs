use super::*;
use proptest::prelude::*;
use serde_json::json;

fn owner() -> UserName {
    UserName::parse("ada").unwrap()
}

fn create(given: Value) -> Result<IndexSettings, SettingsError> {
    IndexSettings::create(&owner(), given.as_object().unwrap())
}

#[test]
fn a_new_stage_is_devpis() {
    let shown = Value::from(create(json!({})).unwrap().to_shown());
    let expected = json!({
        "acl_upload": ["ada"], "bases": [], "acl_toxresult_upload": [":ANONYMOUS:"], "volatile": true,
        "mirror_whitelist": [], "mirror_whitelist_inheritance": "intersection", "type": "stage"
    });
    assert_eq!(shown, expected);
}

#[test]
fn values_are_taken_as_texts_too() {
    let settings = create(json!({
        "volatile": "False", "bases": "a/b, c/d,", "acl_upload": ":authenticated:,Bob", "mirror_whitelist": "Six.X,*",
        "acl_read": "ada", "reserved": ["acme-*"], "title": "T"
    }));
    let shown = Value::from(settings.unwrap().to_shown());
    assert_eq!(shown["bases"], json!(["a/b", "c/d"]));
    assert_eq!(shown["acl_upload"], json!([":AUTHENTICATED:", "Bob"]));
    assert_eq!(shown["mirror_whitelist"], json!(["six-x", "*"]));
    assert_eq!((&shown["volatile"], &shown["title"]), (&json!(false), &json!("T")));
    assert_eq!((&shown["acl_read"], &shown["reserved"]), (&json!(["ada"]), &json!(["acme-*"])));
}

#[test]
fn what_is_wrong_is_said_in_devpis_words() {
    for (given, sentence) in [
        (json!({ "foo": 1 }), "indexconfig got unexpected keyword arguments: foo=1"),
        (json!({ "volatile": "perhaps" }), "Unknown boolean value 'perhaps'."),
        (json!({ "bases": "ab" }), "invalid base index spec: 'ab'"),
        (json!({ "type": "dance" }), "unknown index type 'dance'"),
        (json!({ "type": "mirror", "mirror_url": "ftp://x" }), "'mirror_url' option must be a URL."),
        (json!({ "type": "mirror", "mirror_cache_expiry": "x" }), "'mirror_cache_expiry' option must be an integer"),
        (
            json!({ "mirror_whitelist_inheritance": "sum" }),
            "Unknown value 'sum' for mirror_whitelist_inheritance, must be 'intersection' or 'union'.",
        ),
    ] {
        assert_eq!(create(given).unwrap_err().to_string(), sentence);
    }
    let settings = create(json!({ "bases": "a/b,c/d" })).unwrap();
    let error = check_bases(&settings, |base| base.as_str() == "a/b").unwrap_err();
    assert_eq!(error.to_string(), "base index 'c/d' does not exist");
}

#[test]
fn a_mirrors_password_is_kept_and_not_shown() {
    let url = "https://ada:hunter2@index.example/simple/";
    let settings = create(json!({ "type": "mirror", "mirror_url": url, "bases": "x/y" })).unwrap();
    assert!(!format!("{:?}", settings.to_shown()).contains("hunter2"));
    assert_eq!(settings.to_shown()["mirror_url"], "https://***@index.example/simple/");
    let again = IndexSettings::from_stored(&owner(), &settings.to_stored()).unwrap();
    assert_eq!(again, settings);
    let mut same = settings.clone();
    same.take(&settings.to_shown()).unwrap();
    assert_eq!(same, settings, "what was shown comes back");
}

proptest! {
    #[test]
    fn what_is_stored_is_read_again(
        volatile: bool, union: bool, title in proptest::option::of(".{0,9}"),
        bases in prop::collection::vec("[a-c]/[a-c]", 0..4),
        acl in prop::collection::vec("[a-z:]{1,9}", 0..4),
        names in prop::collection::vec("[a-z]{1,4}", 0..4),
    ) {
        let mut given = json!({
            "volatile": volatile, "bases": bases, "acl_upload": acl.clone(), "acl_read": acl, "mirror_whitelist": names,
            "reserved": names, "mirror_whitelist_inheritance": if union { "union" } else { "intersection" },
        });
        if let Some(title) = title {
            given["title"] = title.into();
        }
        let settings = create(given).unwrap();
        prop_assert_eq!(&IndexSettings::from_stored(&owner(), &settings.to_stored()).unwrap(), &settings);
    }

    #[test]
    fn never_panics(key in "(type|bases|volatile|acl_read|reserved|mirror_url|title|x)", text in ".{0,20}", number: i64) {
        for value in [json!(text), json!(number), json!([text]), json!({ "a": number }), Value::Null] {
            let _ = create(json!({ &key: value }));
        }
        let _ = hidden(&text);
    }
}

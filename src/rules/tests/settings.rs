use crate::names::{IndexName, UserName};
use crate::rules::{IndexSettings, SettingsError};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn alice() -> UserName {
    UserName::parse("alice").unwrap()
}

fn create(given: &Value) -> Result<IndexSettings, SettingsError> {
    IndexSettings::create(&alice(), given.as_object().unwrap())
}

fn stored(settings: &IndexSettings) -> Result<IndexSettings, SettingsError> {
    IndexSettings::from_stored(&settings.to_stored())
}

fn text(map: &Map<String, Value>) -> String {
    serde_json::to_string(map).unwrap()
}

fn refused(result: Result<IndexSettings, SettingsError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_new_stage_looks_as_devpis() {
    for (given, shown) in [
        (
            json!({"bases": "root/pypi"}),
            r#"{"acl_upload":["alice"],"bases":["root/pypi"],"acl_toxresult_upload":[":ANONYMOUS:"],"volatile":true,"mirror_whitelist":[],"mirror_whitelist_inheritance":"intersection","type":"stage"}"#,
        ),
        (
            json!({"bases": "", "volatile": "False"}),
            r#"{"acl_upload":["alice"],"bases":[],"acl_toxresult_upload":[":ANONYMOUS:"],"volatile":false,"mirror_whitelist":[],"mirror_whitelist_inheritance":"intersection","type":"stage"}"#,
        ),
    ] {
        assert_eq!(text(&create(&given).unwrap().to_json()), shown);
    }
}

#[test]
fn a_stage_takes_all_its_settings() {
    let given = json!({
        "title": "T", "description": "D", "custom_data": {"a": 1}, "mirror_whitelist": "Foo_Bar,*",
        "acl_upload": ":anonymous:, bob , :group", "acl_read": [":authenticated:"], "reserved": "Acme_*, Tool",
        "mirror_whitelist_inheritance": "UNION", "type": "stage", "projects": ["x"], "pypi_whitelist": ["y"],
    });
    let expected = json!({
        "acl_upload": [":ANONYMOUS:", "bob", ":group"], "bases": [], "acl_toxresult_upload": [":ANONYMOUS:"],
        "volatile": true, "mirror_whitelist": ["foo-bar", "*"], "mirror_whitelist_inheritance": "union",
        "acl_read": [":AUTHENTICATED:"], "reserved": ["acme-*", "tool"], "title": "T", "description": "D",
        "custom_data": {"a": 1}, "type": "stage",
    });
    let settings = create(&given).unwrap();
    assert_eq!(Value::from(settings.to_json()), expected);
    assert_eq!(stored(&settings).unwrap(), settings);
}

#[test]
fn a_mirror_takes_all_its_settings() {
    let bare =
        create(&json!({"type": "mirror", "bases": "a/b", "acl_upload": "bob", "mirror_whitelist": "*"})).unwrap();
    assert_eq!(text(&bare.to_json()), r#"{"type":"mirror","volatile":true}"#);
    let given = json!({
        "type": "mirror", "volatile": false, "title": "PyPI", "mirror_url": "https://u:p@index.example/simple/",
        "mirror_web_url_fmt": "https://index.example/project/{name}/", "mirror_cache_expiry": "60",
        "mirror_no_project_list": "True", "mirror_use_external_urls": "no", "acl_read": "bob", "reserved": "acme-*",
    });
    let mut expected = json!({
        "type": "mirror", "volatile": false, "title": "PyPI", "mirror_url": "https://***@index.example/simple/",
        "mirror_web_url_fmt": "https://index.example/project/{name}/", "mirror_cache_expiry": 60,
        "mirror_no_project_list": true, "acl_read": ["bob"], "reserved": ["acme-*"],
    });
    let settings = create(&given).unwrap();
    assert_eq!(Value::from(settings.to_json()), expected);
    expected["mirror_url"] = json!("https://u:p@index.example/simple/");
    assert_eq!(Value::from(settings.to_stored()), expected);
    assert_eq!(stored(&settings).unwrap(), settings);
    assert!(!format!("{settings:?}").contains("u:p"));
}

#[test]
fn refusals_are_devpis() {
    for (given, sentence) in [
        (json!({"type": "mirror", "mirror_url": "ftp://x"}), "'mirror_url' option must be a URL."),
        (json!({"type": "mirror", "mirror_cache_expiry": "x"}), "'mirror_cache_expiry' option must be an integer"),
        (
            json!({"type": "mirror", "acl_toxresult_upload": "bob"}),
            "indexconfig got unexpected keyword arguments: acl_toxresult_upload=bob",
        ),
        (
            json!({"foo": 1, "bar": "x", "baz": [1, "a"], "q": null, "r": true, "d": {"a": 1}}),
            "indexconfig got unexpected keyword arguments: foo=1, bar=x, baz=[1, 'a'], q=None, r=True, d={'a': 1}",
        ),
        (json!({"volatile": "maybe"}), "Unknown boolean value 'maybe'."),
        (json!({"bases": 5}), "Unknown list value 5."),
        (json!({"bases": ["x", "a/b/c"]}), "invalid base index spec: 'x', invalid base index spec: 'a/b/c'"),
        (
            json!({"mirror_whitelist_inheritance": "Foo"}),
            "Unknown value 'foo' for mirror_whitelist_inheritance, must be 'intersection' or 'union'.",
        ),
        (json!({"type": "foo"}), "unknown index type 'foo'"),
        (json!({"acl_upload": null}), "Unknown list value None."),
    ] {
        assert_eq!(refused(create(&given)), sentence);
    }
    for given in [
        json!({"acl_upload": "a b"}),
        json!({"title": 5}),
        json!({"title": "x".repeat(70_000)}),
        json!({"reserved": "a*b"}),
        json!({"mirror_whitelist": "acme-*"}),
        json!({"bases": vec!["a/b"; 101]}),
        json!({"type": "mirror", "mirror_url": "https://***@index.example/"}),
    ] {
        assert!(create(&given).is_err(), "{given}");
    }
}

#[test]
fn bases_must_be_there() {
    let settings = create(&json!({"bases": "alice/dev,bob/x,root/pypi,bob/y"})).unwrap();
    let exists = |name: &IndexName| name.user() != "bob";
    let sentence = "base index 'bob/x' does not exist, base index 'bob/y' does not exist";
    assert_eq!(settings.check_bases(exists).unwrap_err().to_string(), sentence);
    assert_eq!(settings.check_bases(|_| true), Ok(()));
}

#[test]
fn what_old_data_leaves_out_means_what_devpi_takes_it_for() {
    let settings = IndexSettings::from_stored(json!({"type": "stage"}).as_object().unwrap()).unwrap();
    let expected = json!({
        "acl_upload": [], "bases": [], "acl_toxresult_upload": [":ANONYMOUS:"], "volatile": false,
        "mirror_whitelist": [], "mirror_whitelist_inheritance": "union", "type": "stage",
    });
    assert_eq!(Value::from(settings.to_json()), expected);
    for odd in [json!({}), json!({"type": "constrained"}), json!({"type": "stage", "acl_pkg_read": ["bob"]})] {
        assert!(IndexSettings::from_stored(odd.as_object().unwrap()).is_err(), "{odd}");
    }
}

/// Every row begins where the row before ended.
#[test]
fn steps_change_what_they_say() {
    let mut settings = create(&json!({"title": "T", "acl_upload": ":anonymous:,bob,:group"})).unwrap();
    for (steps, key, value) in [
        (json!(["title-="]), "title", json!(null)),
        (json!(["title-="]), "title", json!(null)),
        (
            json!(["acl_upload-=bob", "acl_upload+=carol", "acl_upload+=carol"]),
            "acl_upload",
            json!([":ANONYMOUS:", ":group", "carol"]),
        ),
        (json!(["acl_upload-=:anonymous:"]), "acl_upload", json!([":group", "carol"])),
        (json!(["acl_upload=x", "acl_upload+=y"]), "acl_upload", json!(["x", "y"])),
        (json!(["foo-=", "projects=x", "type=stage"]), "foo", json!(null)),
        (json!(["bases+=alice/m"]), "bases", json!(["alice/m"])),
        (json!(["bases+=alice/n", "bases-=alice/m"]), "bases", json!(["alice/n"])),
        (json!(["bases"]), "bases", json!([])),
        (json!(["mirror_whitelist_inheritance=UNION"]), "mirror_whitelist_inheritance", json!("union")),
        (json!(["mirror_whitelist+=Foo_Bar"]), "mirror_whitelist", json!(["foo-bar"])),
        (json!(["mirror_whitelist-=foo.bar"]), "mirror_whitelist", json!([])),
        (json!(["volatile=no"]), "volatile", json!(false)),
        (json!(["title=a=b"]), "title", json!("a=b")),
        (json!(["acl_read=bob"]), "acl_read", json!(["bob"])),
        (json!(["acl_read-="]), "acl_read", json!(null)),
        (json!(["reserved+=acme-*"]), "reserved", json!(["acme-*"])),
        (json!(["reserved-="]), "reserved", json!(null)),
    ] {
        settings = settings.change(&steps).unwrap();
        assert_eq!(settings.to_json().get(key).unwrap_or(&Value::Null), &value, "{steps}");
    }
}

#[test]
fn changes_are_refused_with_a_sentence() {
    let stage = create(&json!({"acl_upload": "bob"})).unwrap();
    let mirror = create(&json!({"type": "mirror", "mirror_cache_expiry": 5})).unwrap();
    for (settings, steps, sentence) in [
        (&stage, json!(["volatile-="]), "Default values can't be removed."),
        (&stage, json!(["acl_upload-="]), "Default values can't be removed."),
        (&stage, json!(["acl_upload-=nobody"]), "The 'acl_upload' setting doesn't have value 'nobody'"),
        (&stage, json!(["bases-=x"]), "The 'bases' setting doesn't have value 'x'"),
        (&stage, json!(["foo=1"]), "indexconfig got unexpected keyword arguments: foo=1"),
        (&stage, json!(["foo+=1"]), "indexconfig got unexpected keyword arguments: foo=1"),
        (&stage, json!(["foo-=1"]), "The 'foo' setting doesn't have value '1'"),
        (&stage, json!(["type=mirror"]), "the 'type' of an index can't be changed"),
        (&stage, json!(["bases+=x"]), "invalid base index spec: 'x'"),
        (&stage, json!(["title+=1"]), "The 'title' setting is no list: write title=VALUE."),
        (
            &mirror,
            json!(["mirror_cache_expiry-=5"]),
            "The 'mirror_cache_expiry' setting is no list: write mirror_cache_expiry=VALUE.",
        ),
        (&mirror, json!({"type": "stage"}), "the 'type' of an index can't be changed"),
        (&stage, json!({"type": "mirror"}), "the 'type' of an index can't be changed"),
        (&stage, json!({"acl_upload": null}), "Unknown list value None."),
    ] {
        assert_eq!(refused(settings.change(&steps)), sentence, "{steps}");
    }
    for odd in [json!(5), json!("x"), json!([5]), json!(null)] {
        assert!(matches!(stage.change(&odd), Err(SettingsError::NoChange(_))), "{odd}");
    }
}

#[test]
fn an_object_changes_what_it_names() {
    let stage = create(&json!({"bases": "root/pypi", "title": "T"})).unwrap();
    let changed = stage.change(&json!({"volatile": "no", "projects": ["x"], "type": "stage"})).unwrap();
    assert_eq!(changed.to_json()["bases"], json!(["root/pypi"]));
    assert!(!changed.volatile());
    let enclosed = stage.change(&json!({"type": "indexconfig", "result": {"type": "stage", "title": "X"}})).unwrap();
    assert_eq!(enclosed.title(), Some("X"));
    assert_eq!(stage.change(&json!({"title": null})).unwrap().title(), None);
    for nothing in [json!({}), json!([]), json!(["title=T"]), Value::from(stage.to_json())] {
        assert_eq!(stage.change(&nothing).unwrap(), stage, "{nothing}");
    }
    let mirror = create(&json!({"type": "mirror"})).unwrap();
    for ignored in [json!(["bases=x"]), json!(["acl_upload+=bob"]), json!({"mirror_no_project_list": "no"})] {
        assert_eq!(mirror.change(&ignored).unwrap(), mirror, "{ignored}");
    }
}

#[test]
fn a_shown_url_does_not_lose_its_password() {
    let given = json!({"type": "mirror", "mirror_url": "https://u:p@index.example/simple/"});
    let mirror = create(&given).unwrap();
    for back in [Value::from(mirror.to_json()), json!(["mirror_url=https://***@index.example/simple/"])] {
        assert_eq!(mirror.change(&back).unwrap(), mirror, "{back}");
    }
    let elsewhere = json!({"mirror_url": "https://***@evil.example/simple/"});
    assert_eq!(mirror.change(&elsewhere), Err(SettingsError::HiddenPassword));
    let other = mirror.change(&json!({"mirror_url": "https://index.example/simple/"})).unwrap();
    assert_eq!(other.to_stored()["mirror_url"], json!("https://index.example/simple/"));
    assert_eq!(mirror.change(&json!(["mirror_url-="])).unwrap().to_stored().get("mirror_url"), None);
}

proptest! {
    #[test]
    fn steps_never_panic_and_leave_what_can_be_stored(
        steps in prop::collection::vec("(bases|volatile|acl_upload|acl_read|reserved|title|mirror_whitelist|x)[+-]?=?[a-z:*/,.-]{0,8}", 0..6)
    ) {
        let stage = create(&json!({})).unwrap();
        if let Ok(changed) = stage.change(&json!(steps)) {
            prop_assert_eq!(stored(&changed).unwrap(), changed.clone());
            prop_assert_eq!(stage.change(&Value::from(changed.to_json())).map(|all| all.to_json().len()).is_ok(), true);
        }
    }
}

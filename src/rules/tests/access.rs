use crate::names::{IndexName, UserName};
use crate::rules::Verdict::{Allowed, Forbidden, NeedsLogin};
use crate::rules::{
    Action, At, IndexSettings, Scope, Subject, UserCreation, Verdict, may_delete, may_read, may_read_all, may_upload,
    verdict,
};
use serde_json::{Value, json};

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn index(name: &str) -> IndexName {
    IndexName::parse(name).unwrap()
}

fn settings(given: &Value) -> IndexSettings {
    IndexSettings::create(&user("alice"), given.as_object().unwrap()).unwrap()
}

fn person(name: &str) -> Subject {
    Subject::User { name: user(name), scope: Scope::Everything }
}

fn token(name: &str, only: Option<&str>, read: bool, upload: bool) -> Subject {
    Subject::User { name: user(name), scope: Scope::Token { index: only.map(index), read, upload } }
}

/// Everybody who may come, one column of the tables each.
fn subjects() -> [Subject; 10] {
    [
        Subject::Anonymous,
        person("root"),
        person("alice"),
        person("bob"),
        person("carol"),
        token("alice", None, true, true),
        token("alice", Some("alice/dev"), true, false),
        token("alice", Some("alice/dev"), false, true),
        token("alice", Some("alice/other"), true, true),
        token("carol", None, true, true),
    ]
}

const COLUMNS: [&str; 10] =
    ["nobody", "root", "owner", "bob", "carol", "t all", "t read", "t upload", "t elsewhere", "t carol"];

/// `+` allowed, `?` login, `-` forbidden.
fn row(action: Action<'_>) -> String {
    let sign = |subject: &Subject| match verdict(subject, action) {
        Allowed => '+',
        NeedsLogin => '?',
        Forbidden => '-',
    };
    subjects().iter().map(sign).collect()
}

fn at<'a>(index: &'a IndexName, settings: &'a IndexSettings) -> At<'a> {
    At { index, settings }
}

#[test]
fn everybody_and_everything() {
    let dev = index("alice/dev");
    let (alice, root) = (user("alice"), user("root"));
    let open = settings(&json!({"acl_upload": "alice,bob"}));
    let closed = settings(&json!({"acl_upload": "alice,bob", "acl_read": "bob"}));
    let login = settings(&json!({"acl_upload": ":AUTHENTICATED:", "acl_read": ":AUTHENTICATED:"}));
    let wide = settings(&json!({"acl_upload": ":ANONYMOUS:", "acl_read": ""}));
    let mirror = settings(&json!({"type": "mirror"}));
    let kept = settings(&json!({"type": "mirror", "acl_read": ":staff,bob"}));
    let rows: Vec<(&str, Action<'_>, &str)> = vec![
        ("read open", Action::Read(at(&dev, &open)), "++++++++++"),
        ("read closed", Action::Read(at(&dev, &closed)), "?+++-++---"),
        ("read login", Action::Read(at(&dev, &login)), "?++++++--+"),
        ("read owner only", Action::Read(at(&dev, &wide)), "?++--++---"),
        ("read mirror", Action::Read(at(&dev, &mirror)), "++++++++++"),
        ("read kept mirror", Action::Read(at(&dev, &kept)), "?+++-++---"),
        ("upload open", Action::Upload(at(&dev, &open)), "?-++-+-+--"),
        ("upload login", Action::Upload(at(&dev, &login)), "?+++++-+-+"),
        ("upload wide", Action::Upload(at(&dev, &wide)), "++++++-+-+"),
        ("upload mirror", Action::Upload(at(&dev, &mirror)), "?---------"),
        ("tox open", Action::ToxUpload(at(&dev, &open)), "++++++-+-+"),
        ("tox closed", Action::ToxUpload(at(&dev, &closed)), "?+++-+-+--"),
        ("tox mirror", Action::ToxUpload(at(&dev, &mirror)), "++++++-+-+"),
        ("delete open", Action::DeleteRelease(at(&dev, &open)), "?+++------"),
        ("delete login", Action::DeleteRelease(at(&dev, &login)), "?++++-----"),
        ("delete wide", Action::DeleteRelease(at(&dev, &wide)), "+++++-----"),
        ("delete mirror", Action::DeleteRelease(at(&dev, &mirror)), "?++-------"),
        ("create index", Action::CreateIndex(&dev), "?++-------"),
        ("modify index", Action::ModifyIndex(&dev), "?++-------"),
        ("delete index", Action::DeleteIndex(&dev), "?++-------"),
        ("create user", Action::CreateUser(UserCreation::Anyone), "+++++-----"),
        ("create user, root only", Action::CreateUser(UserCreation::RootOnly), "?+--------"),
        ("modify user", Action::ModifyUser(&alice), "?++-------"),
        ("modify root", Action::ModifyUser(&root), "?+--------"),
        ("delete user", Action::DeleteUser(&alice), "?++-------"),
        ("delete root", Action::DeleteUser(&root), "?---------"),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(_, action, expected)| row(*action) != *expected)
        .map(|(what, action, expected)| format!("{what}: {} instead of {expected}", row(*action)))
        .collect();
    assert!(wrong.is_empty(), "{COLUMNS:?}\n{}", wrong.join("\n"));
}

#[test]
fn reading_through_an_index_needs_all_of_it() {
    let (dev, base) = (index("alice/dev"), index("bob/base"));
    let open = settings(&json!({}));
    let closed = settings(&json!({"acl_read": "alice"}));
    let order = [(dev.clone(), &open), (base.clone(), &closed)];
    let all = |subject: &Subject| may_read_all(subject, &order);
    assert_eq!(all(&Subject::Anonymous), NeedsLogin);
    assert_eq!(all(&person("carol")), Forbidden);
    assert_eq!(all(&person("bob")), Allowed);
    assert_eq!(all(&person("alice")), Allowed);
    // A token for the asked index reaches what lies behind it, but not on the way around.
    assert_eq!(all(&token("alice", Some("alice/dev"), true, false)), Allowed);
    assert_eq!(all(&token("alice", Some("alice/dev"), false, true)), Forbidden);
    assert_eq!(all(&token("carol", Some("alice/dev"), true, false)), Forbidden);
    assert_eq!(all(&token("alice", Some("bob/base"), true, false)), Allowed);
    assert_eq!(may_read(&token("alice", Some("alice/dev"), true, false), &base, &closed), Forbidden);
    assert_eq!(may_read_all(&Subject::Anonymous, &[]), NeedsLogin);
    assert_eq!(may_read_all(&person("root"), &[]), Forbidden);
}

#[test]
fn the_short_forms_ask_the_same() {
    let dev = index("alice/dev");
    let open = settings(&json!({}));
    let verdicts: Vec<Verdict> =
        [may_read, may_upload, may_delete].iter().map(|may| may(&Subject::Anonymous, &dev, &open)).collect();
    assert_eq!(verdicts, [Allowed, NeedsLogin, NeedsLogin]);
}

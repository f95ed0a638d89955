use super::acl::Acl;
use super::settings::IndexSettings;
use super::subject::{Scope, Subject};
use crate::names::{IndexName, UserName};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    Read { index: &'a IndexName, settings: &'a IndexSettings },
    Upload { index: &'a IndexName, settings: &'a IndexSettings },
    /// Hang the result of tests on a file.
    ToxUpload { index: &'a IndexName, settings: &'a IndexSettings },
    /// Remove a file, a version or a project, or yank it.
    DeleteRelease { index: &'a IndexName, settings: &'a IndexSettings },
    CreateIndex(&'a UserName),
    ModifyIndex(&'a UserName),
    DeleteIndex(&'a UserName),
    CreateUser(UserCreation),
    ModifyUser(&'a UserName),
    DeleteUser(&'a UserName),
}

/// Who may make users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserCreation {
    RootOnly,
    /// devpi's default.
    Anyone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// Nobody has proved who he is, and somebody might be allowed: 401.
    NeedsLogin,
    /// 403.
    Forbidden,
}

const ROOT: &str = "root";

/// Whether the subject may (devpi's `__acl__` and its principals, devpi.md §2.4). root uploads only where it is listed;
/// a token never does more than what it was made for.
pub fn may(subject: &Subject, action: &Action<'_>) -> Verdict {
    let allowed = match *action {
        Action::Read { index, settings } => {
            settings.acl_read().is_public()
                || scoped(subject, index, |scope| scope.0) && (is_owner(subject, &index.owner()) || settings.acl_read().admits(subject))
        }
        Action::Upload { index, settings } => {
            scoped(subject, index, |scope| scope.1) && acl_upload(settings).is_some_and(|acl| acl.admits(subject))
        }
        Action::ToxUpload { index, settings } => match settings {
            IndexSettings::Stage(stage) => {
                let acl = &stage.acl_toxresult_upload;
                acl.is_public() || scoped(subject, index, |scope| scope.1) && acl.admits(subject)
            }
            IndexSettings::Mirror(_) => false,
        },
        Action::DeleteRelease { index, settings } => {
            is_whole(subject)
                && (is_owner(subject, &index.owner()) || acl_upload(settings).is_some_and(|acl| acl.admits(subject)))
        }
        Action::CreateIndex(owner) | Action::ModifyIndex(owner) | Action::DeleteIndex(owner) => {
            is_whole(subject) && is_owner(subject, owner)
        }
        Action::CreateUser(UserCreation::Anyone) => true,
        Action::CreateUser(UserCreation::RootOnly) => is_whole(subject) && is_root(subject),
        Action::ModifyUser(user) | Action::DeleteUser(user) => is_whole(subject) && is_owner(subject, user),
    };
    match (allowed, subject) {
        (true, _) => Verdict::Allowed,
        (false, Subject::Anonymous) => Verdict::NeedsLogin,
        (false, Subject::User { .. }) => Verdict::Forbidden,
    }
}

/// Whether the subject may read an index and all that it draws from. A token that is good for the index itself (the
/// first of the order) is good for what it draws from.
pub fn may_read_all(subject: &Subject, order: &[(IndexName, &IndexSettings)]) -> Verdict {
    let asked = order.first().map(|(name, _)| name);
    let widened = match (subject, asked) {
        (Subject::User { name, scope: Scope::Token { index: Some(index), read, upload } }, Some(asked))
            if index == asked =>
        {
            Subject::User { name: name.clone(), scope: Scope::Token { index: None, read: *read, upload: *upload } }
        }
        (subject, _) => subject.clone(),
    };
    let verdicts = order.iter().map(|(index, settings)| may(&widened, &Action::Read { index, settings }));
    verdicts.into_iter().find(|verdict| *verdict != Verdict::Allowed).unwrap_or(Verdict::Allowed)
}

pub fn may_create_user(subject: &Subject, creation: UserCreation) -> Verdict {
    may(subject, &Action::CreateUser(creation))
}

pub fn may_modify_user(subject: &Subject, user: &UserName) -> Verdict {
    may(subject, &Action::ModifyUser(user))
}

fn acl_upload(settings: &IndexSettings) -> Option<&Acl> {
    match settings {
        IndexSettings::Stage(stage) => Some(&stage.acl_upload),
        IndexSettings::Mirror(_) => None,
    }
}

/// Whether the subject's proof is good for this; of a token `wanted` picks read or upload.
fn scoped(subject: &Subject, index: &IndexName, wanted: impl Fn((bool, bool)) -> bool) -> bool {
    match subject {
        Subject::Anonymous | Subject::User { scope: Scope::Everything, .. } => true,
        Subject::User { scope: Scope::Token { index: only, read, upload }, .. } => {
            only.as_ref().is_none_or(|only| only == index) && wanted((*read, *upload))
        }
    }
}

/// Whether the proof is one for everything: a password or a login.
fn is_whole(subject: &Subject) -> bool {
    !matches!(subject, Subject::User { scope: Scope::Token { .. }, .. })
}

/// The owner, or root.
fn is_owner(subject: &Subject, owner: &UserName) -> bool {
    subject.user() == Some(owner) || is_root(subject)
}

fn is_root(subject: &Subject) -> bool {
    subject.user().is_some_and(|user| user.as_str() == ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::*;
    use serde_json::json;

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    fn whole(name: &str) -> Subject {
        Subject::User { name: user(name), scope: Scope::Everything }
    }

    fn token(name: &str, index: Option<&str>, read: bool, upload: bool) -> Subject {
        let index = index.map(|index| IndexName::parse(index).unwrap());
        Subject::User { name: user(name), scope: Scope::Token { index, read, upload } }
    }

    #[test]
    fn every_subject_and_every_action() {
        let index = IndexName::parse("ada/dev").unwrap();
        let given = json!({ "acl_upload": "ada,bob", "acl_read": "ada,bob", "acl_toxresult_upload": "bob" });
        let settings = IndexSettings::create(&user("ada"), given.as_object().unwrap()).unwrap();
        let (index, settings, ada) = (&index, &settings, user("ada"));
        let actions = [
            Action::Read { index, settings },
            Action::Upload { index, settings },
            Action::ToxUpload { index, settings },
            Action::DeleteRelease { index, settings },
            Action::CreateIndex(&ada),
            Action::ModifyIndex(&ada),
            Action::DeleteIndex(&ada),
            Action::CreateUser(UserCreation::RootOnly),
            Action::ModifyUser(&ada),
            Action::DeleteUser(&ada),
        ];
        let (a, f) = (Allowed, Forbidden);
        for (subject, verdicts) in [
            (Subject::Anonymous, [NeedsLogin; 10]),
            (whole("ada"), [a, a, f, a, a, a, a, f, a, a]),
            (whole("bob"), [a, a, a, a, f, f, f, f, f, f]),
            (whole("eve"), [f; 10]),
            (whole("root"), [a, f, f, a, a, a, a, a, a, a]),
            (token("ada", None, true, true), [a, a, f, f, f, f, f, f, f, f]),
            (token("ada", Some("ada/dev"), true, false), [a, f, f, f, f, f, f, f, f, f]),
            (token("bob", Some("ada/dev"), false, true), [f, a, a, f, f, f, f, f, f, f]),
            (token("ada", Some("ada/other"), true, true), [f; 10]),
            (token("root", None, true, true), [a, f, f, f, f, f, f, f, f, f]),
        ] {
            for (action, verdict) in actions.iter().zip(verdicts) {
                assert_eq!(may(&subject, action), verdict, "{subject:?} {action:?}");
            }
        }
        assert_eq!(may_create_user(&Subject::Anonymous, UserCreation::Anyone), Allowed);
    }

    #[test]
    fn what_anybody_may_read_a_token_for_elsewhere_reads_too() {
        let index = IndexName::parse("ada/dev").unwrap();
        let open = IndexSettings::create(&user("ada"), json!({}).as_object().unwrap()).unwrap();
        let read = Action::Read { index: &index, settings: &open };
        for subject in [Subject::Anonymous, whole("eve"), token("eve", Some("x/y"), false, true)] {
            assert_eq!(may(&subject, &read), Allowed);
        }
    }

    #[test]
    fn who_reads_an_index_reads_all_of_it_or_nothing() {
        let closed = IndexSettings::create(&user("ada"), json!({ "acl_read": "ada" }).as_object().unwrap()).unwrap();
        let open = IndexSettings::create(&user("bob"), json!({}).as_object().unwrap()).unwrap();
        let (top, base) = (IndexName::parse("bob/top").unwrap(), IndexName::parse("ada/base").unwrap());
        let order = [(top, &open), (base, &closed)];
        for (subject, verdict) in [
            (Subject::Anonymous, NeedsLogin),
            (whole("bob"), Forbidden),
            (whole("ada"), Allowed),
            (token("ada", Some("bob/top"), true, false), Allowed),
            (token("ada", Some("bob/top"), false, true), Forbidden),
            (token("ada", Some("ada/base"), true, false), Allowed),
        ] {
            assert_eq!(may_read_all(&subject, &order), verdict, "{subject:?}");
        }
    }
}

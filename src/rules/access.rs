use super::settings::{IndexSettings, StageSettings};
use super::subject::{Scope, Subject};
use crate::names::{IndexName, UserName};

/// The user who may do nearly everything.
pub const ROOT: &str = "root";

/// What somebody wants to do, and to what.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    Read(At<'a>),
    Upload(At<'a>),
    /// Add a test result to a file.
    ToxUpload(At<'a>),
    /// Delete a file, a version or a project, or yank.
    DeleteRelease(At<'a>),
    CreateIndex(&'a IndexName),
    ModifyIndex(&'a IndexName),
    DeleteIndex(&'a IndexName),
    CreateUser(UserCreation),
    ModifyUser(&'a UserName),
    DeleteUser(&'a UserName),
}

/// An index, and what it is set to.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub index: &'a IndexName,
    pub settings: &'a IndexSettings,
}

/// Who may create users; a setting of the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserCreation {
    RootOnly,
    Anyone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// Nobody asks; somebody might be allowed.
    NeedsLogin,
    /// Somebody asks, who is not allowed.
    Forbidden,
}

/// The one answer to who may do what. Whether it can be done at all, as with an upload to a mirror, is not asked here.
///
/// A token does only what it is for: reading and uploading, where its user may. Outside of that it reads what
/// everybody may read.
pub fn verdict(subject: &Subject, action: Action<'_>) -> Verdict {
    let may = match (covers(subject, action), action) {
        (true, action) => user_may(subject.user(), action),
        (false, Action::Read(_)) => user_may(None, action),
        (false, _) => false,
    };
    if may { Verdict::Allowed } else { refusal(subject) }
}

/// Whether `subject` may read through an index: it and all indexes of its `order`. The verdict is that of the first
/// that refuses.
///
/// A token for the asked index covers the whole order; its user must be allowed everywhere. An empty order is that of
/// no index, and is refused.
pub fn may_read_all(subject: &Subject, order: &[(IndexName, &IndexSettings)]) -> Verdict {
    let Some((asked, _)) = order.first() else { return refusal(subject) };
    let mut subject = subject.clone();
    if let Subject::User { scope: Scope::Token { index, .. }, .. } = &mut subject
        && index.as_ref() == Some(asked)
    {
        *index = None;
    }
    let mut verdicts = order.iter().map(|(index, settings)| may_read(&subject, index, settings));
    verdicts.find(|verdict| *verdict != Verdict::Allowed).unwrap_or(Verdict::Allowed)
}

pub fn may_read(subject: &Subject, index: &IndexName, settings: &IndexSettings) -> Verdict {
    verdict(subject, Action::Read(At { index, settings }))
}

pub fn may_upload(subject: &Subject, index: &IndexName, settings: &IndexSettings) -> Verdict {
    verdict(subject, Action::Upload(At { index, settings }))
}

pub fn may_upload_tox(subject: &Subject, index: &IndexName, settings: &IndexSettings) -> Verdict {
    verdict(subject, Action::ToxUpload(At { index, settings }))
}

pub fn may_delete(subject: &Subject, index: &IndexName, settings: &IndexSettings) -> Verdict {
    verdict(subject, Action::DeleteRelease(At { index, settings }))
}

pub fn may_create_index(subject: &Subject, index: &IndexName) -> Verdict {
    verdict(subject, Action::CreateIndex(index))
}

pub fn may_modify_index(subject: &Subject, index: &IndexName) -> Verdict {
    verdict(subject, Action::ModifyIndex(index))
}

pub fn may_delete_index(subject: &Subject, index: &IndexName) -> Verdict {
    verdict(subject, Action::DeleteIndex(index))
}

pub fn may_create_user(subject: &Subject, creation: UserCreation) -> Verdict {
    verdict(subject, Action::CreateUser(creation))
}

pub fn may_modify_user(subject: &Subject, user: &UserName) -> Verdict {
    verdict(subject, Action::ModifyUser(user))
}

pub fn may_delete_user(subject: &Subject, user: &UserName) -> Verdict {
    verdict(subject, Action::DeleteUser(user))
}

fn refusal(subject: &Subject) -> Verdict {
    match subject {
        Subject::Anonymous => Verdict::NeedsLogin,
        Subject::User { .. } => Verdict::Forbidden,
    }
}

/// Whether what the subject showed is good for the action at all.
fn covers(subject: &Subject, action: Action<'_>) -> bool {
    let Subject::User { scope: Scope::Token { index: only, read, upload }, .. } = subject else { return true };
    let here = |at: At<'_>| only.as_ref().is_none_or(|only| only == at.index);
    match action {
        Action::Read(at) => *read && here(at),
        Action::Upload(at) | Action::ToxUpload(at) => *upload && here(at),
        Action::DeleteRelease(_)
        | Action::CreateIndex(_)
        | Action::ModifyIndex(_)
        | Action::DeleteIndex(_)
        | Action::CreateUser(_)
        | Action::ModifyUser(_)
        | Action::DeleteUser(_) => false,
    }
}

/// What a user may do; `None` is nobody in particular.
fn user_may(user: Option<&UserName>, action: Action<'_>) -> bool {
    let is = |name: &str| user.is_some_and(|user| user.as_str() == name);
    let is_root = is(ROOT);
    let owns = |index: &IndexName| is(index.user());
    match action {
        Action::Read(at) => at.settings.acl_read().admits(user) || owns(at.index) || is_root,
        // Neither root nor the owner, unless they are listed: as in devpi.
        Action::Upload(at) => at.stage().is_some_and(|stage| stage.acl_upload.admits(user)),
        // Everybody by default, but who may not read shall not find out what there is.
        Action::ToxUpload(at) => {
            at.stage().is_none_or(|stage| stage.acl_toxresult_upload.admits(user)) && user_may(user, Action::Read(at))
        }
        Action::DeleteRelease(at) => user_may(user, Action::Upload(at)) || owns(at.index) || is_root,
        Action::CreateIndex(index) | Action::ModifyIndex(index) | Action::DeleteIndex(index) => owns(index) || is_root,
        Action::CreateUser(UserCreation::Anyone) => true,
        Action::CreateUser(UserCreation::RootOnly) => is_root,
        Action::ModifyUser(name) => user == Some(name) || is_root,
        Action::DeleteUser(name) => (user == Some(name) || is_root) && name.as_str() != ROOT,
    }
}

impl<'a> At<'a> {
    fn stage(self) -> Option<&'a StageSettings> {
        match self.settings {
            IndexSettings::Stage(stage) => Some(stage),
            IndexSettings::Mirror(_) => None,
        }
    }
}

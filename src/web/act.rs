use super::forms::{self, Form};
use super::{Asked, Note, Page, account, remove};
use crate::index::IndexError;
use crate::names::UserName;
use std::net::IpAddr;

/// What became of a form.
pub enum Acted {
    /// It was done; where the person goes on, and what is said there.
    Done { to: String, note: Note },
    /// It was done, and what is shown now is never shown again.
    Shown(Page),
    /// It was not done: the form once more, with what was typed and what is wrong.
    Again(Page, IndexError),
}

/// Who sent a form: somebody with a session, whose token it carried.
pub struct Doer<'a> {
    pub user: &'a UserName,
    /// The session's public name.
    pub session: &'a str,
    pub peer: Option<IpAddr>,
}

/// Does what a form of ours asks for, as the viewer may. `action` is what its address ends in.
pub async fn act(asked: &Asked<'_>, doer: &Doer<'_>, action: &str, form: &Form) -> Result<Acted, IndexError> {
    match action {
        "end-session" => account::end_session(asked, doer, form).await,
        "end-other-sessions" => account::end_other_sessions(asked, doer).await,
        "make-token" => account::make_token(asked, doer, form).await,
        "revoke-token" => account::revoke_token(asked, doer, form).await,
        "password" => account::change_password(asked, doer, form).await,
        "make-user" => account::make_user(asked, form).await,
        "new-index" => forms::make(asked, form).await,
        "settings" => forms::change(asked, form).await,
        "delete-index" => forms::delete(asked, form).await,
        "yank" => forms::do_yank(asked, form, true).await,
        "unyank" => forms::do_yank(asked, form, false).await,
        "promote" => forms::do_promote(asked, form).await,
        "refresh" => forms::do_refresh(asked, form).await,
        "purge" => forms::do_purge(asked, form).await,
        "list" => super::search::fetch_list(asked, form),
        "remove" => remove::remove(asked, form).await,
        "undo" => remove::undo(asked, form).await,
        _ => Err(IndexError::NotThere("there is no form for this address".to_owned())),
    }
}

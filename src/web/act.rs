use super::forms::Form;
use super::{Asked, Note, Page};
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
    let _ = doer;
    match action {
        "list" => super::search::fetch_list(asked, form),
        _ => Err(IndexError::NotThere(format!("no form of this server leads to \"{}\"", action.escape_default()))),
    }
}

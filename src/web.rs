//! Pages for people.
//!
//! Enters: who asks, a typed wish. Leaves: a page of HTML, or the error of the journey.
//! Must not know: SQL, files, headers, cookies, sockets.
//!
//! A page can be read without a script; what `assets/app.js` adds is comfort. All text is escaped by the templates, and
//! what is markup already ([`maud::PreEscaped`]) comes from `readme` alone.

mod about;
mod account;
mod act;
mod assets;
mod client;
mod docs;
mod files;
mod forms;
mod front;
mod index;
mod layout;
mod login;
mod note;
mod parts;
mod picture;
mod project;
mod recipes;
mod releases;
mod remove;
mod search;
mod status;
mod tox;
mod upload;
mod user;

pub use account::account;
pub use act::{Acted, Doer, act};
pub use assets::{Asset, asset};
pub use docs::docs_type;
pub use forms::{Form, Typed, index_settings, new_index};
pub use front::front;
pub use index::index;
pub use layout::{document, problem};
pub use login::{login, not_logged_in, once_more};
pub use note::Note;
pub use project::{project, version};
pub use remove::{removal, removals};
pub use search::{search, search_ask};
pub use status::{Doorway, status, status_event};
pub use tox::toxresults;
pub use upload::{Outcome, Sent, upload, uploaded};
pub use user::user;

use crate::index::Index;
use crate::names::IndexName;
use crate::rules::Subject;
use maud::Markup;

/// Who asks whom.
pub struct Asked<'a> {
    pub index: &'a Index,
    pub viewer: &'a Viewer,
    /// How absolute URLs begin, without a slash at the end: lines to paste need them.
    pub base: &'a str,
    /// The index that `/simple/` means.
    pub default_index: &'a IndexName,
    /// Unix seconds.
    pub now: u64,
}

/// The person in front of the page.
pub struct Viewer {
    pub subject: Subject,
    /// Proves that a form is ours; none for who has no session, and then pages offer nothing to do.
    pub form_token: Option<String>,
    /// The public name of the session.
    pub session: Option<String>,
}

impl Viewer {
    /// Nobody in particular.
    pub fn nobody() -> Self {
        Self { subject: Subject::Anonymous, form_token: None, session: None }
    }
}

/// What a page says, without what stands around it.
pub struct Page {
    /// Of the window.
    pub title: String,
    /// Where it stands, from the top: text and path. The page itself is not among them.
    pub above: Vec<(String, String)>,
    pub body: Markup,
    /// It shows a description, whose pictures may be elsewhere.
    pub pictures: bool,
    /// What was just done.
    pub note: Option<Note>,
    /// Where a browser goes on to at once.
    pub again: Option<String>,
}

impl Page {
    pub fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { title: title.into(), above: Vec::new(), body, pictures: false, note: None, again: None }
    }

    pub fn below(mut self, above: impl IntoIterator<Item = (String, String)>) -> Self {
        self.above = above.into_iter().collect();
        self
    }
}

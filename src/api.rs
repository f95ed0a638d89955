//! devpi's API: what its client and old scripts say and hear (devpi-server 6.20, `views.py`).
//!
//! Enters: who asks, a typed wish, a body as JSON. Leaves: an [`Answer`]: a status, and JSON in devpi's envelope.
//! Must not know: SQL, files, headers, sockets.

mod answer;
mod indexes;
mod push;
mod releases;
mod search;
mod server;
mod users;

pub use answer::{Answer, object};
pub use indexes::{create_index, delete_index, modify_index, show_index};
pub use push::push;
pub use releases::{
    Yank, delete_file, delete_project, delete_version, show_file, show_project, show_version, tox_stored,
};
pub use search::search;
pub use server::{SERVER_SPOKEN, VERSION_SPOKEN, config, status};
pub use users::{create_user, delete_user, login, modify_user, show_user, show_users};

use crate::index::{Claim, Index};
use crate::rules::Subject;

/// Who asks whom, and how absolute URLs begin: the answers of the API demand them.
pub struct Asked<'a> {
    pub index: &'a Index,
    pub subject: &'a Subject,
    /// What it was proved by.
    pub proof: Option<&'a Claim>,
    /// Without a slash at the end.
    pub base: &'a str,
}

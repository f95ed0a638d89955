//! The index rules: which stages a project may come from, who may do what, what a setting means.
//!
//! Enters: index settings, a subject, what the stages own. Leaves: the order of stages, what may be asked of each,
//! verdicts, changed settings. Must not know: that a network, a database or a clock exists.

mod access;
mod acl;
mod change;
mod error;
mod merge;
mod mirror_url;
mod order;
mod patterns;
mod settings;
mod sources;
mod subject;
mod values;

pub use access::{
    Action, At, ROOT, UserCreation, Verdict, may_create_index, may_create_user, may_delete, may_delete_index,
    may_delete_user, may_modify_index, may_modify_user, may_read, may_read_all, may_upload, may_upload_tox, verdict,
};
pub use acl::{Acl, Principal};
pub use error::SettingsError;
pub use merge::{MergedPage, merge};
pub use mirror_url::MirrorUrl;
pub use order::{STAGES_MAX, order};
pub use patterns::{Reserved, Whitelisted};
pub use settings::{IndexSettings, Inheritance, MirrorSettings, StageSettings};
pub use sources::{Hidden, Sources, sources};
pub use subject::{Scope, Subject};

#[cfg(test)]
mod tests;

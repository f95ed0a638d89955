//! The index rules: which stages a project may come from, who may do what, what a setting means.
//!
//! Enters: index settings, a subject, what the stages own. Leaves: the order of stages, what may be asked of each,
//! verdicts, changed settings. Must not know: that a network, a database or a clock exists.

mod acl;
mod change;
mod error;
mod mirror_url;
mod patterns;
mod settings;
mod subject;
mod values;

pub use acl::{Acl, Principal};
pub use error::SettingsError;
pub use mirror_url::MirrorUrl;
pub use patterns::{Reserved, Whitelisted};
pub use settings::{IndexSettings, Inheritance, MirrorSettings, StageSettings};
pub use subject::{Scope, Subject};

#[cfg(test)]
mod tests;

//! The index rules: which stages a project may come from, who may do what, what a setting means.
//!
//! Enters: index settings, a subject, what the stages own. Leaves: the order of stages, what may be asked of each,
//! verdicts, changed settings, a merged page. Must not know: that a network, a database or a clock exists.

mod access;
mod acl;
mod change;
mod merge;
mod order;
mod reserved;
mod settings;
mod sources;
mod subject;
mod value;

pub use access::{Action, UserCreation, Verdict, may, may_create_user, may_modify_user, may_read_all};
pub use acl::Acl;
pub use merge::merge;
pub use order::{ORDER_MAX, order};
pub use reserved::{Reserved, Whitelisted};
pub use settings::{IndexSettings, Inheritance, MirrorSettings, StageSettings, check_bases};
pub use sources::{Hidden, Sources, sources};
pub use subject::{Scope, Subject};
pub use value::SettingsError;

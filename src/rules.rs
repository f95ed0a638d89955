//! The index rules: which stages a project may come from, who may do what, what a setting means.
//!
//! Enters: index settings, a subject, what the stages own. Leaves: the order of stages, what may be asked of each,
//! verdicts, changed settings. Must not know: that a network, a database or a clock exists.

mod subject;

pub use subject::{Scope, Subject};

use crate::names::{IndexName, UserName};

/// Who asks, as far as it was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Nobody, or somebody who could not prove it.
    Anonymous,
    User {
        name: UserName,
        scope: Scope,
    },
}

/// What a proof of identity is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All that the user may do: a password or a login.
    Everything,
    /// Less than that: a token made for one purpose.
    Token {
        /// Only this index; none: every index on which the user may.
        index: Option<IndexName>,
        read: bool,
        upload: bool,
    },
}

impl Subject {
    /// The user's name, when there is one.
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Self::Anonymous => None,
            Self::User { name, .. } => Some(name),
        }
    }
}

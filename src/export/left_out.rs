use std::fmt;

/// Something that devpi's format cannot tell, or that was not there to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub kind: Kind,
    /// The user, the index or the file.
    pub what: String,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Its bytes are missing or damaged, or devpi's format has no place for it.
    File,
    /// It went while the export ran.
    Removed,
    /// devpi knows no protection against reading, or no reserved names.
    Setting,
    Base,
    Credentials,
    Password,
    Token,
    Yank,
    Provenance,
    /// A project without releases, whose name stays owned here.
    Name,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Removed => "removed",
            Self::Setting => "setting",
            Self::Base => "base",
            Self::Credentials => "credentials",
            Self::Password => "password",
            Self::Token => "token",
            Self::Yank => "yank",
            Self::Provenance => "provenance",
            Self::Name => "name",
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

use super::SettingsError;
use super::error::shown_text;
use crate::names::UserName;
use std::fmt;

/// Longest group name, in bytes: that of a user name, with room for a directory's longer ones.
const GROUP_BYTES_MAX: usize = 200;

/// Who may do something: a list of principals, in the order in which it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acl(Vec<Principal>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Everybody, logged in or not.
    Anonymous,
    /// Everybody who is logged in.
    Authenticated,
    User(UserName),
    /// `:name`. Kept for devpi's sake; nobody is in a group here.
    Group(String),
}

impl Acl {
    pub fn everybody() -> Self {
        Self(vec![Principal::Anonymous])
    }

    pub fn only(user: &UserName) -> Self {
        Self(vec![Principal::User(user.clone())])
    }

    /// Whether nobody has to say who he is.
    pub fn is_public(&self) -> bool {
        self.0.contains(&Principal::Anonymous)
    }

    /// Whether the list admits this user; `None` is anybody.
    pub fn admits(&self, user: Option<&UserName>) -> bool {
        self.0.iter().any(|principal| match principal {
            Principal::Anonymous => true,
            Principal::Authenticated => user.is_some(),
            Principal::User(name) => user == Some(name),
            Principal::Group(_) => false,
        })
    }

    pub fn principals(&self) -> &[Principal] {
        &self.0
    }

    pub(super) fn principals_mut(&mut self) -> &mut Vec<Principal> {
        &mut self.0
    }
}

impl Principal {
    pub fn parse(raw: &str) -> Result<Self, SettingsError> {
        if raw.eq_ignore_ascii_case(":anonymous:") {
            return Ok(Self::Anonymous);
        }
        if raw.eq_ignore_ascii_case(":authenticated:") {
            return Ok(Self::Authenticated);
        }
        let refused = || SettingsError::Principal(shown_text(raw));
        match raw.strip_prefix(':') {
            Some(group) if group.len() <= GROUP_BYTES_MAX && !group.chars().any(char::is_control) => {
                Ok(Self::Group(group.to_owned()))
            }
            Some(_) => Err(refused()),
            None => UserName::parse(raw).map(Self::User).map_err(|_| refused()),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str(":ANONYMOUS:"),
            Self::Authenticated => f.write_str(":AUTHENTICATED:"),
            Self::User(name) => write!(f, "{name}"),
            Self::Group(name) => write!(f, ":{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_names_are_written_large() {
        for (raw, written) in [
            (":anonymous:", ":ANONYMOUS:"),
            (":Authenticated:", ":AUTHENTICATED:"),
            ("bob", "bob"),
            (":group", ":group"),
            (":", ":"),
        ] {
            assert_eq!(Principal::parse(raw).unwrap().to_string(), written);
        }
        for raw in ["", "a b", "a/b", ":a\n", "bob,alice"] {
            assert!(Principal::parse(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn admits_whom_it_lists() {
        let bob = UserName::parse("bob").unwrap();
        for (raw, nobody, known) in [
            (":anonymous:", true, true),
            (":authenticated:", false, true),
            ("bob", false, true),
            (":bob", false, false),
        ] {
            let acl = Acl(vec![Principal::parse(raw).unwrap()]);
            assert_eq!((acl.admits(None), acl.admits(Some(&bob)), acl.is_public()), (nobody, known, nobody), "{raw}");
        }
        assert!(!Acl::only(&bob).admits(Some(&UserName::parse("Bob").unwrap())));
        assert!(!Acl::default().admits(Some(&bob)));
    }
}

use std::fmt;
use std::sync::Arc;

/// Longest user or index name, in bytes; devpi sets no bound, a directory or a log line does.
const NAME_PART_BYTES_MAX: usize = 100;

/// The name of an index, `user/index` as devpi writes it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexName {
    full: Arc<str>,
    slash: usize,
}

/// The name of a user, the first half of an index's name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a user name: write letters, digits, '-', '.', '@' and '_'")]
pub struct UserNameError(String);

impl UserName {
    /// Takes what can be the first half of an [`IndexName`].
    pub fn parse(raw: &str) -> Result<Self, UserNameError> {
        if is_part(raw) { Ok(Self(raw.into())) } else { Err(UserNameError(raw.to_owned())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an index name: write user/index, each of letters, digits, '-', '.', '@' and '_'")]
pub struct IndexNameError(String);

impl IndexName {
    /// Reads `user/index`.
    pub fn parse(raw: &str) -> Result<Self, IndexNameError> {
        match raw.split_once('/') {
            Some((user, index)) => Self::from_parts(user, index),
            None => Err(IndexNameError(raw.to_owned())),
        }
    }

    /// devpi takes any character but control, space and ASCII symbols other than `- . @ _`.
    pub fn from_parts(user: &str, index: &str) -> Result<Self, IndexNameError> {
        if !is_part(user) || !is_part(index) {
            return Err(IndexNameError(format!("{user}/{index}")));
        }
        Ok(Self { full: format!("{user}/{index}").into(), slash: user.len() })
    }

    /// The user that the index belongs to.
    pub fn owner(&self) -> UserName {
        UserName(self.user().into())
    }

    pub fn user(&self) -> &str {
        &self.full[..self.slash]
    }

    pub fn index(&self) -> &str {
        &self.full[self.slash + 1..]
    }

    pub fn as_str(&self) -> &str {
        &self.full
    }
}

fn is_part(part: &str) -> bool {
    let character = |c: char| match c {
        '-' | '.' | '@' | '_' => true,
        c if c.is_ascii() => c.is_ascii_alphanumeric(),
        c => c.is_alphanumeric(),
    };
    !part.is_empty()
        && part.len() <= NAME_PART_BYTES_MAX
        && part.chars().all(character)
        && part.chars().any(|c| c != '.')
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_user_and_index() {
        let name = IndexName::parse("root/pypi").unwrap();
        assert_eq!((name.user(), name.index(), name.as_str()), ("root", "pypi", "root/pypi"));
    }

    #[test]
    fn refuses_what_could_be_a_path_or_a_command() {
        for raw in ["root", "root/", "/pypi", "a/b/c", "../etc", "a/..", "a/+simple", "a b/c", "a/b\n", "a/\u{202e}b"] {
            assert!(IndexName::parse(raw).is_err(), "{raw:?}");
        }
    }
}

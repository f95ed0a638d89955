use std::fmt;
use std::sync::Arc;

/// Longest project name taken, in bytes. PyPI's own column is not bounded, but its longest real name is under 100;
/// a bound keeps hostile names out of logs, keys and the database.
pub const PROJECT_NAME_BYTES_MAX: usize = 200;

/// A project's name in its normalised form (PEP 503, PEP 508): lower case, runs of `-`, `_`, `.` folded to one `-`.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectName(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a project name cannot be empty")]
    Empty,
    #[error("a project name has at most {PROJECT_NAME_BYTES_MAX} characters")]
    TooLong,
    #[error(
        "a project name has only ASCII letters, digits, '-', '_' and '.', and starts and ends with a letter or digit"
    )]
    Characters,
}

impl ProjectName {
    /// Validates and normalises `raw`.
    pub fn parse(raw: &str) -> Result<Self, NameError> {
        let bytes = raw.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(NameError::Empty);
        };
        if bytes.len() > PROJECT_NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        if !first.is_ascii_alphanumeric() || !last.is_ascii_alphanumeric() {
            return Err(NameError::Characters);
        }
        let mut normalised = String::with_capacity(bytes.len());
        for &byte in bytes {
            match byte {
                b'-' | b'_' | b'.' if normalised.ends_with('-') => {}
                b'-' | b'_' | b'.' => normalised.push('-'),
                byte if byte.is_ascii_alphanumeric() => normalised.push(byte.to_ascii_lowercase() as char),
                _ => return Err(NameError::Characters),
            }
        }
        Ok(Self(normalised.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folds_case_and_separators() {
        for (raw, normal) in [("Flask", "flask"), ("a.-_b", "a-b"), ("zope.interface", "zope-interface"), ("X", "x")] {
            assert_eq!(ProjectName::parse(raw).unwrap().as_str(), normal);
        }
    }

    #[test]
    fn refuses_what_pep_508_refuses() {
        for raw in ["-a", "a-", ".", "a b", "a/b", "é", "a\0", "..", "a\n", "+simple"] {
            assert_eq!(ProjectName::parse(raw), Err(NameError::Characters), "{raw:?}");
        }
        assert_eq!(ProjectName::parse(""), Err(NameError::Empty));
        assert_eq!(ProjectName::parse(&"a".repeat(201)), Err(NameError::TooLong));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(raw in "[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?") {
            let once = ProjectName::parse(&raw).unwrap();
            prop_assert_eq!(ProjectName::parse(once.as_str()).unwrap(), once);
        }

        #[test]
        fn never_panics(raw in ".*") {
            let _ = ProjectName::parse(&raw);
        }
    }
}

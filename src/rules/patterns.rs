use super::SettingsError;
use super::error::shown_text;
use crate::names::ProjectName;
use std::fmt;

/// A name, or the start of names, that no mirror may answer for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// `*`
    Everything,
    Name(ProjectName),
    /// `acme-*`: what stands before the `*`, normalised.
    Prefix(String),
}

/// A name for which mirrors may be asked although a stage has it (devpi's `mirror_whitelist`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whitelisted {
    /// `*`
    Everything,
    Name(ProjectName),
}

impl Reserved {
    pub fn parse(raw: &str) -> Result<Self, SettingsError> {
        let refused = |_| SettingsError::Project {
            key: "reserved",
            value: shown_text(raw),
            or: ", the start of names and * such as 'acme-*', or '*'",
        };
        match raw.strip_suffix('*') {
            None => ProjectName::parse(raw).map(Self::Name).map_err(refused),
            Some("") => Ok(Self::Everything),
            Some(start) => {
                // A start may end in a separator, a name may not: it is normalised with one more letter.
                let mut longer = ProjectName::parse(&format!("{start}x")).map_err(refused)?.as_str().to_owned();
                longer.pop();
                Ok(Self::Prefix(longer))
            }
        }
    }

    pub fn covers(&self, project: &ProjectName) -> bool {
        match self {
            Self::Everything => true,
            Self::Name(name) => name == project,
            Self::Prefix(start) => project.as_str().starts_with(start.as_str()),
        }
    }
}

impl Whitelisted {
    pub fn parse(raw: &str) -> Result<Self, SettingsError> {
        if raw == "*" {
            return Ok(Self::Everything);
        }
        ProjectName::parse(raw).map(Self::Name).map_err(|_| SettingsError::Project {
            key: "mirror_whitelist",
            value: shown_text(raw),
            or: ", or '*' for all",
        })
    }
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Name(name) => write!(f, "{name}"),
            Self::Prefix(start) => write!(f, "{start}*"),
        }
    }
}

impl fmt::Display for Whitelisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reserves_names_and_starts_of_names() {
        let covers = |raw: &str, name: &str| Reserved::parse(raw).unwrap().covers(&ProjectName::parse(name).unwrap());
        for (raw, name, expected) in [
            ("acme-*", "acme-tools", true),
            ("Acme_.*", "ACME.tools", true),
            ("acme-*", "acme", false),
            ("acme-*", "acmetools", false),
            ("acme*", "acmetools", true),
            ("Acme_Tools", "acme-tools", true),
            ("acme-tools", "acme-tools-2", false),
            ("*", "anything", true),
        ] {
            assert_eq!(covers(raw, name), expected, "{raw} {name}");
        }
        assert_eq!(Reserved::parse("Acme_*").unwrap().to_string(), "acme-*");
        for raw in ["", "-*", "**", "a*b", "a b*", "acme-", "*-acme"] {
            assert!(Reserved::parse(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn a_whitelist_has_no_starts_of_names() {
        assert_eq!(Whitelisted::parse("Foo_Bar").unwrap().to_string(), "foo-bar");
        assert_eq!(Whitelisted::parse("*").unwrap().to_string(), "*");
        assert!(Whitelisted::parse("acme-*").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(raw in ".{0,12}\\*?") {
            if let Ok(reserved) = Reserved::parse(&raw) {
                prop_assert_eq!(Reserved::parse(&reserved.to_string()), Ok(reserved));
            }
        }
    }
}

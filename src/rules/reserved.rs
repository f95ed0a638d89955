use crate::names::ProjectName;
use std::fmt;

/// A name, or the beginning of names, that is never asked upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    Name(ProjectName),
    /// `acme-*`: in its normalised form, without the star; empty means every name.
    Prefix(String),
}

/// A name for which a stage lets its mirrors be asked although it has the project itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whitelisted {
    Name(ProjectName),
    /// `*`
    All,
}

impl Reserved {
    pub fn parse(raw: &str) -> Result<Self, String> {
        let refuse = || format!("'{raw}' is not a name to reserve: write a project's name, or a prefix like acme-*");
        let Some(prefix) = raw.strip_suffix('*') else {
            return ProjectName::parse(raw).map(Self::Name).map_err(|_| refuse());
        };
        if prefix.is_empty() {
            return Ok(Self::Prefix(String::new()));
        }
        // With a letter behind it, a prefix is normalised as every name that begins so.
        let whole = ProjectName::parse(&format!("{prefix}x")).map_err(|_| refuse())?;
        Ok(Self::Prefix(whole.as_str().strip_suffix('x').unwrap_or_default().to_owned()))
    }

    pub fn covers(&self, project: &ProjectName) -> bool {
        match self {
            Self::Name(name) => name == project,
            Self::Prefix(prefix) => project.as_str().starts_with(prefix.as_str()),
        }
    }
}

impl Whitelisted {
    pub fn parse(raw: &str) -> Result<Self, String> {
        match raw {
            "*" => Ok(Self::All),
            raw => ProjectName::parse(raw).map(Self::Name).map_err(|why| format!("'{raw}': {why}")),
        }
    }

    pub fn covers(&self, project: &ProjectName) -> bool {
        match self {
            Self::Name(name) => name == project,
            Self::All => true,
        }
    }
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str()),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl fmt::Display for Whitelisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str()),
            Self::All => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_prefixes_are_read_in_any_spelling() {
        let covers = |raw: &str, name: &str| Reserved::parse(raw).unwrap().covers(&ProjectName::parse(name).unwrap());
        assert!(covers("Acme.Tool", "acme_tool") && !covers("acme", "acme-tool"));
        for prefix in ["acme-*", "ACME_*", "acme.*"] {
            assert!(covers(prefix, "acme-tool") && !covers(prefix, "acme") && !covers(prefix, "acmetool"), "{prefix}");
        }
        assert!(covers("acme*", "acmetool") && covers("*", "anything"));
        for raw in ["", "-*", "a b", "a*b", "*a", "a**"] {
            assert!(Reserved::parse(raw).is_err(), "{raw:?}");
        }
    }
}

use std::fmt;
use std::str::FromStr;
use url::{Host, Url};

/// Scheme, host and port: what "the same server" means (RFC 6454). Only `http` and `https`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: Host<String>,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("an origin is written scheme://host or scheme://host:port")]
    Form,
    #[error("an origin's scheme is http or https")]
    Scheme,
    #[error("an origin has no user, path, query or fragment: only scheme://host or scheme://host:port")]
    More,
}

impl Origin {
    /// Reads `scheme://host[:port]`; one final `/` is let through.
    pub fn parse(raw: &str) -> Result<Self, OriginError> {
        let url = Url::parse(raw).map_err(|_| OriginError::Form)?;
        let origin = Self::of(&url)?;
        let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some() || has_userinfo(&url);
        if more { Err(OriginError::More) } else { Ok(origin) }
    }

    /// The origin of `url`.
    pub fn of(url: &Url) -> Result<Self, OriginError> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(OriginError::Scheme),
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(OriginError::Form);
        };
        Ok(Self { https, host: host.to_owned(), port })
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    pub(super) fn host(&self) -> &Host<String> {
        &self.host
    }
}

pub(super) fn has_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(raw: &str) -> Result<Self, OriginError> {
        Self::parse(raw)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_when_scheme_host_and_port_are() {
        let same = Origin::parse("https://Index.Example").unwrap();
        for raw in ["https://index.example:443", "https://index.example/", "https://INDEX.example:443/"] {
            assert_eq!(Origin::parse(raw).unwrap(), same, "{raw}");
        }
        for raw in ["http://index.example", "https://index.example:444", "https://x.index.example"] {
            assert_ne!(Origin::parse(raw).unwrap(), same, "{raw}");
        }
        assert_eq!(Origin::of(&Url::parse("https://u:p@index.example/a?b#c").unwrap()).unwrap(), same);
    }

    #[test]
    fn refuses_what_is_more_or_less_than_an_origin() {
        for raw in ["https://a.example/x", "https://a.example/?q", "https://a.example/#f", "https://u@a.example"] {
            assert_eq!(Origin::parse(raw), Err(OriginError::More), "{raw}");
        }
        for raw in ["a.example", "", "https://", "//a.example", "https://a b"] {
            assert_eq!(Origin::parse(raw), Err(OriginError::Form), "{raw}");
        }
        for raw in ["ftp://a.example", "file:///x", "a.example:80"] {
            assert_eq!(Origin::parse(raw), Err(OriginError::Scheme), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(https: bool, host in "[a-z]{1,9}\\.example|\\[::1\\]|10\\.0\\.0\\.[1-9]", port: u16) {
            let scheme = if https { "https" } else { "http" };
            let origin = Origin::parse(&format!("{scheme}://{host}:{port}")).unwrap();
            prop_assert_eq!(Origin::parse(&origin.to_string()).unwrap(), origin);
        }

        #[test]
        fn never_panics(raw in ".*") {
            let _ = Origin::parse(&raw);
        }
    }
}

use super::SettingsError;
use std::fmt;
use url::Url;

/// Longest URL, in bytes; servers and proxies refuse longer ones.
const URL_BYTES_MAX: usize = 8 * 1024;

const HIDDEN: &str = "***";

/// Where a mirror's upstream is: http or https, as it was written. It may hold a user and password; only
/// [`expose`](Self::expose) gives them away.
#[derive(Clone, PartialEq, Eq)]
pub struct MirrorUrl(String);

impl MirrorUrl {
    pub fn parse(raw: &str) -> Result<Self, SettingsError> {
        let url = Self(raw.to_owned());
        // A parser forgives more than is good here: it drops line ends, and skips slashes before the host.
        let plain = !raw.chars().any(|c| c.is_control() || c.is_whitespace()) && raw.len() <= URL_BYTES_MAX;
        let http = raw.starts_with("http://") || raw.starts_with("https://");
        let has_host = !url.split().1.is_empty() && Url::parse(raw).is_ok_and(|url| url.has_host());
        if !plain || !http || !has_host {
            return Err(SettingsError::MirrorUrl);
        }
        if url.user_info().is_some_and(|info| info.split(':').any(|part| part == HIDDEN)) {
            return Err(SettingsError::HiddenPassword);
        }
        Ok(url)
    }

    /// The URL with its user and password: for storing it and for asking upstream, never for showing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The URL for showing: `***` stands for user and password.
    pub fn shown(&self) -> String {
        let (scheme, authority, rest) = self.split();
        match authority.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{rest}"),
            None => self.0.clone(),
        }
    }

    fn user_info(&self) -> Option<&str> {
        self.split().1.rsplit_once('@').map(|(info, _)| info)
    }

    /// Scheme, what stands between `://` and the path, and the rest.
    fn split(&self) -> (&str, &str, &str) {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        (scheme, authority, rest)
    }
}

impl fmt::Debug for MirrorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_no_password() {
        for (raw, shown) in [
            ("https://index.example/simple/", "https://index.example/simple/"),
            ("https://u:secret@index.example/simple/", "https://***@index.example/simple/"),
            ("http://secret@index.example:81", "http://***@index.example:81"),
            ("https://u:se@cret@index.example?a@b", "https://***@index.example?a@b"),
            ("https://u:secret@index.example\\x@y", "https://***@index.example\\x@y"),
        ] {
            let url = MirrorUrl::parse(raw).unwrap();
            assert_eq!((url.shown().as_str(), url.expose()), (shown, raw));
            assert!(!format!("{url:?}").contains("secret"));
        }
    }

    #[test]
    fn takes_http_only_and_no_stars() {
        for raw in ["", "x", "ftp://x", "https://", "https:///u:p@x/", "https://\\u:p@x/", "http://a b/", "http://a\n/"]
        {
            assert_eq!(MirrorUrl::parse(raw), Err(SettingsError::MirrorUrl), "{raw:?}");
        }
        assert_eq!(MirrorUrl::parse("https://***@x/"), Err(SettingsError::HiddenPassword));
        assert_eq!(MirrorUrl::parse("https://u:***@x/"), Err(SettingsError::HiddenPassword));
        assert!(MirrorUrl::parse("https://u:a***b@x/").is_ok());
    }

    proptest! {
        #[test]
        fn what_a_parser_takes_for_a_password_is_never_shown(raw in "https?://[a-zS:@/?#\\\\%.]{0,20}") {
            if let Ok(url) = MirrorUrl::parse(&raw) {
                let shown = Url::parse(&url.shown()).unwrap();
                prop_assert_eq!(shown.password(), None);
                prop_assert!(matches!(shown.username(), "" | "***"), "{}", shown);
                let full = Url::parse(&raw).unwrap();
                prop_assert_eq!((full.host_str(), full.path()), (shown.host_str(), shown.path()));
            }
        }
    }
}

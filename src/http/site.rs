//! The guard against other sites' pages: whether a browser may have been told to send this request by a page that is
//! not ours. Without it any page could start cold fetches, or learn by timing which private names exist.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossSite {
    Allowed,
    /// 403.
    Refused,
}

/// The fields that browsers add (Fetch Metadata; RFC 6454), as sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct FetchFacts<'a> {
    pub method: &'a str,
    /// `Sec-Fetch-Site`
    pub site: Option<&'a str>,
    /// `Sec-Fetch-Mode`
    pub mode: Option<&'a str>,
    /// `Sec-Fetch-Dest`
    pub dest: Option<&'a str>,
    pub origin: Option<&'a str>,
    /// `Host`, already judged to be ours.
    pub host: Option<&'a str>,
}

/// Judges a request by where the browser says it comes from.
///
/// Another site may only link to us: a `GET` or `HEAD` that navigates a whole tab, not a frame. A sister site (another
/// port of the same machine is one) may also read, but not change anything. Installers send none of these fields and
/// are allowed. A browser that sends `Origin` alone (it does so over plain http to a name) is allowed for our own.
pub fn fetch_site(facts: FetchFacts<'_>) -> CrossSite {
    let reads = matches!(facts.method, "GET" | "HEAD");
    let allowed = match facts.site {
        Some("same-origin" | "none") => true,
        Some("same-site") => reads,
        Some("cross-site") => reads && facts.mode == Some("navigate") && matches!(facts.dest, None | Some("document")),
        Some(_) => false,
        None => facts.origin.is_none_or(|origin| is_our_origin(origin, facts.host)),
    };
    if allowed { CrossSite::Allowed } else { CrossSite::Refused }
}

/// Whether a browser sends this from a page of ours, for certain: what a person may do with a session needs more than
/// that nothing speaks against it. `ours` is our origin as the browser sees it (`https://host:port`).
///
/// Browsers say with every POST where it comes from: who says nothing is none, or one whose words were taken away.
pub fn our_own_page(facts: FetchFacts<'_>, ours: &str) -> bool {
    match facts.site {
        Some(site) => site == "same-origin",
        None => facts.origin.is_some_and(|origin| origin.eq_ignore_ascii_case(ours)),
    }
}

/// Whether the origin is `http://` or `https://` and the very host that was asked. A proxy speaks https for us, so
/// the scheme does not count.
fn is_our_origin(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    matches!((authority, host), (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use CrossSite::*;

    #[test]
    fn judges_fetch_metadata() {
        for (method, site, mode, dest, expected) in [
            ("GET", None, None, None, Allowed),
            ("POST", None, None, None, Allowed),
            ("GET", Some("none"), Some("navigate"), Some("document"), Allowed),
            ("GET", Some("same-origin"), Some("cors"), Some("empty"), Allowed),
            ("POST", Some("same-origin"), Some("cors"), Some("empty"), Allowed),
            ("GET", Some("same-site"), Some("no-cors"), Some("image"), Allowed),
            ("POST", Some("same-site"), Some("navigate"), Some("document"), Refused),
            ("GET", Some("cross-site"), Some("navigate"), Some("document"), Allowed),
            ("HEAD", Some("cross-site"), Some("navigate"), None, Allowed),
            ("GET", Some("cross-site"), Some("navigate"), Some("iframe"), Refused),
            ("GET", Some("cross-site"), Some("navigate"), Some("object"), Refused),
            ("POST", Some("cross-site"), Some("navigate"), Some("document"), Refused),
            ("GET", Some("cross-site"), Some("no-cors"), Some("script"), Refused),
            ("GET", Some("cross-site"), Some("cors"), Some("empty"), Refused),
            ("GET", Some("cross-site"), None, None, Refused),
            ("DELETE", Some("cross-site"), Some("cors"), None, Refused),
            ("GET", Some("Cross-Site"), Some("navigate"), Some("document"), Refused),
            ("GET", Some(""), None, None, Refused),
        ] {
            let facts = FetchFacts { method, site, mode, dest, host: Some("localhost:3141"), origin: None };
            assert_eq!(fetch_site(facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn judges_an_origin_that_comes_alone() {
        for (origin, host, expected) in [
            ("http://localhost:3141", Some("localhost:3141"), Allowed),
            ("https://PyPI.example.org", Some("pypi.example.org"), Allowed),
            ("http://localhost:3000", Some("localhost:3141"), Refused),
            ("http://evil.example", Some("localhost:3141"), Refused),
            ("null", Some("localhost:3141"), Refused),
            ("null", Some("null"), Refused),
            ("", Some(""), Refused),
            ("http://localhost:3141", None, Refused),
            ("localhost:3141", Some("localhost:3141"), Refused),
        ] {
            let facts = FetchFacts { method: "GET", origin: Some(origin), host, ..FetchFacts::default() };
            assert_eq!(fetch_site(facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_form_comes_from_our_own_page_or_from_nowhere() {
        let ours = "https://pypi.example.org";
        for (site, origin, expected) in [
            (Some("same-origin"), Some(ours), true),
            (Some("same-origin"), None, true),
            (None, Some(ours), true),
            (None, Some("https://PyPI.example.org"), true),
            (None, None, false),
            (Some("none"), None, false),
            (Some("none"), Some(ours), false),
            (Some("same-site"), Some(ours), false),
            (Some("cross-site"), Some(ours), false),
            (Some("Same-Origin"), Some(ours), false),
            (Some(""), Some(ours), false),
            (None, Some("null"), false),
            (None, Some(""), false),
            (None, Some("http://pypi.example.org"), false),
            (None, Some("https://pypi.example.org:8443"), false),
            (None, Some("https://pypi.example.org.evil.example"), false),
            (None, Some("https://evil.example"), false),
            (None, Some("pypi.example.org"), false),
        ] {
            let facts =
                FetchFacts { method: "POST", site, origin, host: Some("pypi.example.org"), ..Default::default() };
            assert_eq!(our_own_page(facts, ours), expected, "{facts:?}");
        }
    }

    #[test]
    fn an_origin_does_not_outweigh_fetch_metadata() {
        let facts = FetchFacts {
            method: "GET",
            site: Some("cross-site"),
            origin: Some("http://localhost:3141"),
            host: Some("localhost:3141"),
            ..FetchFacts::default()
        };
        assert_eq!(fetch_site(facts), Refused);
    }
}

//! Upstream: the one room that asks other servers for pages and files.
//!
//! Enters: a mirror's site (base URL, listed origins, credentials), a project or a file's URL, validators. Leaves: a
//! page, not-modified, missing, a stream of a file, or a [`FetchError`] that says whether asking again may help.
//! Must not know: the cache, the database, our users, and what is inside a page.
//!
//! Every address is checked before and while it is connected to (see [`Upstream::allows`] for the rule), redirects are
//! followed by hand so that each hop is checked too, and credentials go to the base's own origin only.

mod address;
mod body;
mod clients;
mod error;
mod exchange;
mod file;
mod headers;
mod lane;
mod origin;
mod page;
mod plain;
mod probe;
mod publish;

pub use body::WholeBody;
pub use clients::{ClientError, Clients, ClientsConfig, Roots};
pub use error::{FetchError, Refusal};
pub use file::{ByteRange, FileBody, FileFetch, FileStatus};
pub use headers::Validators;
pub use origin::{Origin, OriginError};
pub use page::{ListBody, ListFetch, PageFetch, PageKind, Poured, UrlFetch};
pub use probe::{Heard, Question, RootsFound, Way, probe, roots_found};
pub use publish::{Posted, Publish};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

use crate::names::ProjectName;

/// Where a mirror's pages and files come from.
#[derive(Debug, Clone)]
pub struct MirrorSite {
    /// The simple index: `http` or `https`, ends in `/`. User, query and fragment are dropped.
    pub base: Url,
    /// Whether the base's own origin is trusted like a listed one: with whatever address, and over `http`. Otherwise it
    /// must be a public address, as any other.
    pub base_is_listed: bool,
    /// Origins besides the base's own that files and redirects may point to whatever their address, and over `http`
    /// if so listed.
    pub file_origins: Vec<Origin>,
    /// Sent as Basic (RFC 7617) to the base's exact origin, never elsewhere.
    pub credentials: Option<Credentials>,
    /// For a page: from the first byte of connecting to the last byte of the body, retries and redirects included.
    /// For a file or the list: to the head of the answer.
    pub page_timeout: Duration,
}

/// A user and a password; `Debug` hides the password.
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).field("password", &"…").finish()
    }
}

/// One mirror's upstream. A cheap handle; all mirrors share one [`Clients`].
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

struct Inner {
    base: Url,
    base_origin: Option<Origin>,
    listed: Vec<Origin>,
    credentials: Option<Credentials>,
    page_timeout: Duration,
    clients: Clients,
}

impl Upstream {
    pub fn new(site: MirrorSite, shared: &Clients) -> Self {
        let mut base = site.base;
        base.set_query(None);
        base.set_fragment(None);
        // These fail only for URLs without a host, which the address rule refuses on every fetch.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let base_origin = Origin::of(&base).ok();
        let trusted = base_origin.iter().filter(|_| site.base_is_listed);
        let listed = trusted.cloned().chain(site.file_origins).collect();
        let inner = Inner {
            base,
            base_origin,
            listed,
            credentials: site.credentials,
            page_timeout: site.page_timeout,
            clients: shared.clone(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The base as it is asked: without user, query and fragment, with a final `/`.
    pub fn base(&self) -> &Url {
        &self.inner.base
    }

    /// The URL of the JSON API of old (`/pypi/{project}/json`, or of one version), when the base ends in `/simple/` and
    /// so has a sibling `/pypi/`.
    pub fn legacy_json_url(&self, project: &ProjectName, version: Option<&str>) -> Option<Url> {
        let root = self.inner.base.path().strip_suffix("/simple/")?;
        let mut url = self.inner.base.clone();
        url.set_path(&format!("{root}/pypi/{project}"));
        {
            let mut segments = url.path_segments_mut().ok()?;
            match version {
                // These two would be read as steps in a path.
                Some("" | "." | "..") => return None,
                Some(version) => segments.push(version).push("json"),
                None => segments.push("json"),
            };
        }
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(base: &str) -> Upstream {
        let site = MirrorSite {
            base: Url::parse(base).unwrap(),
            base_is_listed: true,
            file_origins: vec![Origin::parse("http://127.0.0.1:8080").unwrap()],
            credentials: None,
            page_timeout: Duration::from_secs(1),
        };
        Upstream::new(site, &Clients::new(ClientsConfig::default()).unwrap())
    }

    #[test]
    fn the_json_api_is_the_sibling_of_simple() {
        let project = ProjectName::parse("demo").unwrap();
        let json = |base: &str, version| upstream(base).legacy_json_url(&project, version).map(String::from);
        assert_eq!(json("https://index.example/simple", None).unwrap(), "https://index.example/pypi/demo/json");
        assert_eq!(
            json("https://index.example/a/simple/", Some("1!0/x?")).unwrap(),
            "https://index.example/a/pypi/demo/1!0%2Fx%3F/json"
        );
        assert_eq!(json("https://index.example/root/+simple/", None), None);
        assert_eq!(json("https://index.example/simple/", Some("..")), None);
    }

    #[test]
    fn a_base_sheds_user_query_and_fragment() {
        let base = upstream("https://user:secret@index.example/simple?x#y");
        assert_eq!(base.base().as_str(), "https://index.example/simple/");
    }

    #[test]
    fn debug_hides_the_password() {
        let shown = format!("{:?}", Credentials::new("ada", "s3cret"));
        assert!(shown.contains("ada") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn listed_origins_are_exempt_by_scheme_host_and_port_only() {
        let upstream = upstream("https://10.0.0.1/simple/");
        for url in ["https://10.0.0.1/f", "http://127.0.0.1:8080/f", "https://files.example/f", "https://8.8.8.8:1/f"] {
            assert_eq!(upstream.allows(&Url::parse(url).unwrap()), Ok(()), "{url}");
        }
        for (url, why) in [
            ("http://10.0.0.1/f", Refusal::PlainHttp),
            ("https://10.0.0.1:444/f", Refusal::NotPublic),
            ("http://127.0.0.1:8081/f", Refusal::PlainHttp),
            ("https://127.0.0.1:8080/f", Refusal::NotPublic),
            ("https://2130706433/f", Refusal::NotPublic),
            ("https://0x7f.1/f", Refusal::NotPublic),
            ("https://[::ffff:127.0.0.1]/f", Refusal::NotPublic),
            ("https://[::1]/f", Refusal::NotPublic),
            ("http://files.example/f", Refusal::PlainHttp),
            ("https://user@files.example/f", Refusal::Userinfo),
            ("https://:pw@files.example/f", Refusal::Userinfo),
            ("ftp://files.example/f", Refusal::Scheme),
            ("file:///etc/passwd", Refusal::Scheme),
            ("data:,x", Refusal::Scheme),
        ] {
            let refused = upstream.allows(&Url::parse(url).unwrap());
            assert!(
                matches!(&refused, Err(FetchError::Refused { why: said, .. }) if *said == why),
                "{url}: {refused:?}"
            );
        }
    }
}

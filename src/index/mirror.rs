use super::health::Health;
use crate::fresh;
use crate::names::{IndexName, ProjectName};
use crate::rules::{MirrorSettings, MirrorUrl, ROOT, Reserved};
use crate::upstream::{Clients, Credentials, MirrorSite, Upstream};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A mirror index: a name, where its pages come from, and how long they are believed.
pub struct Mirror {
    pub name: IndexName,
    pub upstream: Upstream,
    pub ttl_ms: u64,
    pub rules: MirrorRules,
    /// Of this upstream: it is shared under changed settings, and new where the mirror moves.
    pub health: Arc<Health>,
}

/// What a mirror's settings say about asking upstream.
#[derive(Default)]
pub struct MirrorRules {
    /// Names that are never asked upstream.
    pub reserved: Vec<Reserved>,
    /// Upstream has no list of projects.
    pub no_project_list: bool,
    /// Clients fetch files from upstream themselves.
    pub external_urls: bool,
    /// Upstream's serial is not believed.
    pub ignore_serial: bool,
}

/// Makes mirrors of the settings that users give them.
pub struct MirrorMaker {
    pub clients: Clients,
    pub page_timeout: Duration,
    /// How long a page is believed where the settings do not say, in milliseconds.
    pub ttl_ms: u64,
}

impl Mirror {
    /// How long a page is believed, in milliseconds: the setting, or upstream's `max-age` (seconds) if that is less.
    pub fn page_ttl_ms(&self, max_age: Option<u64>) -> u64 {
        fresh::ttl_ms(self.ttl_ms, max_age)
    }

    pub fn reserves(&self, project: &ProjectName) -> bool {
        self.rules.reserved.iter().any(|reserved| reserved.covers(project))
    }

    /// The same upstream under changed settings; `ttl_ms` is how long pages are believed where they do not say.
    pub fn with_rules(&self, settings: &MirrorSettings, ttl_ms: u64) -> Self {
        Self {
            name: self.name.clone(),
            upstream: self.upstream.clone(),
            ttl_ms: settings.mirror_cache_expiry.map_or(ttl_ms, |seconds| seconds.saturating_mul(1_000)),
            rules: MirrorRules::of(settings),
            health: Arc::clone(&self.health),
        }
    }
}

impl MirrorRules {
    fn of(settings: &MirrorSettings) -> Self {
        Self {
            reserved: settings.reserved.clone(),
            no_project_list: settings.mirror_no_project_list,
            external_urls: settings.mirror_use_external_urls,
            ignore_serial: settings.mirror_ignore_serial_header,
        }
    }
}

impl MirrorMaker {
    /// A mirror as its settings describe it. Only root's mirrors may lead to private addresses: those of other users
    /// would let them look around in the server's network.
    ///
    /// # Errors
    ///
    /// A sentence for the user, when `mirror_url` is missing or no URL.
    pub fn make(&self, name: &IndexName, settings: &MirrorSettings) -> Result<Mirror, String> {
        let raw = settings.mirror_url.as_ref().map_or("", MirrorUrl::expose);
        if raw.is_empty() {
            return Err("a mirror needs mirror_url, the URL of the simple API that it mirrors".to_owned());
        }
        let base = Url::parse(raw).map_err(|_| "mirror_url is no URL; write https://host/simple/".to_owned())?;
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = (!base.username().is_empty())
            .then(|| Credentials::new(decoded(base.username()), decoded(base.password().unwrap_or_default())));
        let site = MirrorSite {
            base,
            base_is_listed: name.user() == ROOT,
            file_origins: Vec::new(),
            credentials,
            page_timeout: self.page_timeout,
        };
        let ttl_ms = settings.mirror_cache_expiry.map_or(self.ttl_ms, |seconds| seconds.saturating_mul(1_000));
        let upstream = Upstream::new(site, &self.clients);
        Ok(Mirror { name: name.clone(), upstream, ttl_ms, rules: MirrorRules::of(settings), health: Arc::default() })
    }
}

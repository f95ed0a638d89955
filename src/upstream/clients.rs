use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::address::PublicResolver;
use super::body::LARGE_BODIES_MAX;
use super::lane::Lane;
use super::plain::PlainClient;

/// Idle connections are dropped after this long: shorter than most servers' own limit would lose reuse, longer meets
/// connections that the other side has closed.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(90);
/// Idle connections kept to one host. One HTTP/2 connection serves many requests, so this bounds HTTP/1 only.
pub(super) const POOL_IDLE_PER_HOST_MAX: usize = 16;
/// What an HTTP/2 server may send ahead of the reader, per stream and per connection: it bounds memory.
const H2_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const H2_CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

pub(super) const USER_AGENT: &str = concat!("sidewheel/", env!("CARGO_PKG_VERSION"));

/// What all mirrors share: one TLS configuration, the connection pools, and the bounds on requests under way.
#[derive(Clone)]
pub struct Clients {
    pub(super) listed: Client,
    pub(super) public: Client,
    /// For what [`PlainClient::takes`] of the listed ones.
    pub(super) plain: PlainClient,
    /// Pages and files wait in lines of their own, so that long downloads do not hold up pages.
    pub(super) pages: Lane,
    pub(super) files: Lane,
    /// Places for large pages.
    pub(super) large: Arc<Semaphore>,
    /// Names whose resolution is not filtered because a proxy has them.
    pub(super) proxies: Arc<HashSet<String>>,
}

#[derive(Debug, Clone)]
pub struct ClientsConfig {
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Longest silence while waiting for a head or for the next piece of a body.
    pub read_timeout: Duration,
    /// Requests under way at once, for pages and for files each.
    pub requests_max: usize,
    /// Requests waiting for their turn, for pages and for files each; more are refused as busy.
    pub queue_max: usize,
    /// Whether proxies named by the environment (`HTTPS_PROXY`, `NO_PROXY` …) or the system are used.
    ///
    /// Through a proxy it is the proxy that resolves names: then the address rule holds for hosts written as an IP
    /// address only, and the proxy must keep the rest away from private addresses. A proxy whose *name* has only
    /// private addresses must be named in the environment, not only in the system's settings.
    pub system_proxy: bool,
    pub roots: Roots,
}

/// Whose certificates are trusted.
#[derive(Debug, Clone)]
pub enum Roots {
    /// The system's, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Read once.
    System,
    /// Only those in this text, in PEM form.
    Pem(Vec<u8>),
}

impl Default for ClientsConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            requests_max: 64,
            queue_max: 1024,
            system_proxy: true,
            roots: Roots::System,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no trusted root certificate was found: install the system's certificates (the package is often called ca-certificates), or name a file of them in SSL_CERT_FILE"
    )]
    NoRoots,
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client could not be set up: {0}")]
    Build(#[from] reqwest::Error),
}

impl Clients {
    pub fn new(config: ClientsConfig) -> Result<Self, ClientError> {
        let proxies = Arc::new(if config.system_proxy { proxy_names() } else { HashSet::new() });
        let tls = tls(&config.roots)?;
        let builder = || builder(&config, tls.clone());
        Ok(Self {
            listed: builder().build()?,
            public: builder().dns_resolver(PublicResolver::new(Arc::clone(&proxies))).build()?,
            plain: PlainClient::new(&config),
            pages: Lane::new(config.requests_max, config.queue_max),
            files: Lane::new(config.requests_max, config.queue_max),
            large: Arc::new(Semaphore::new(LARGE_BODIES_MAX)),
            proxies,
        })
    }
}

fn builder(config: &ClientsConfig, tls: ClientConfig) -> ClientBuilder {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.read_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_PER_HOST_MAX)
        .http2_adaptive_window(false)
        .http2_initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        // Redirects are followed in `exchange`, where each hop is checked; retries are counted there too. Bodies are
        // decoded in `body`, where their lengths are seen.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip();
    if config.system_proxy { builder } else { builder.no_proxy() }
}

pub(super) fn tls(roots: &Roots) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(root_store(roots)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn root_store(roots: &Roots) -> Result<RootCertStore, ClientError> {
    let mut store = RootCertStore::empty();
    let mut add = |certificate: CertificateDer<'static>| {
        if let Err(error) = store.add(certificate) {
            tracing::debug!(%error, "a root certificate was passed over");
        }
    };
    match roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "some root certificates could not be read");
            }
            found.certs.into_iter().for_each(&mut add);
        }
        Roots::Pem(text) => {
            for certificate in CertificateDer::pem_slice_iter(text) {
                match certificate {
                    Ok(certificate) => add(certificate),
                    Err(error) => tracing::warn!(%error, "a root certificate could not be read"),
                }
            }
        }
    }
    if store.is_empty() { Err(ClientError::NoRoots) } else { Ok(store) }
}

/// The host names of the proxies that the environment names, in lower case.
fn proxy_names() -> HashSet<String> {
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .filter_map(|variable| std::env::var(variable).ok())
        .filter_map(|value| proxy_name(&value))
        .collect()
}

fn proxy_name(value: &str) -> Option<String> {
    let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&with_scheme).ok()?;
    match url.host()? {
        Host::Domain(name) => Some(name.to_ascii_lowercase()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_root_certificate_is_an_error_that_names_the_way_out() {
        let config = ClientsConfig { roots: Roots::Pem(b"no certificate here".to_vec()), ..ClientsConfig::default() };
        let Err(error) = Clients::new(config) else { panic!("clients without roots") };
        assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
    }

    #[test]
    fn proxies_are_known_by_name() {
        for (value, name) in [
            ("http://Proxy.Example:3128", Some("proxy.example")),
            ("proxy.example:3128", Some("proxy.example")),
            ("http://user:pw@proxy.example", Some("proxy.example")),
            ("http://10.0.0.1:3128", None),
            ("", None),
        ] {
            assert_eq!(proxy_name(value).as_deref(), name, "{value}");
        }
    }
}

use super::super::{index, purge::uncapped};
use crate::cli::CachePrefetch;
use crate::clock::Clock;
use crate::config::{Config, DEFAULT_INDEX, Listen};
use crate::http::{Hosts, TOKEN_USER};
use crate::index::Index as House;
use crate::metrics::Metrics;
use crate::names::{IndexName, ProjectName};
use crate::run::RunError;
use crate::run::first::secret_in;
use crate::run::open::{open_data, open_index};
use crate::server::control::{self, Answer, ControlError, Request};
use crate::server::{Bound, Handler, HandlerParts, Server, Timeouts};
use crate::simple::{self, ProjectPage};
use crate::upstream::{
    Clients, ClientsConfig, Credentials, FetchError, FileFetch, MirrorSite, PageFetch, PageKind, Upstream,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long the server may take for the head of an answer: it may have to ask a slow upstream first.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the server of this process may take to end.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Connections to the server of this process, which serves nobody else.
const CONNECTIONS_MAX: usize = 64;

/// Where files are fetched through: a server that runs, or one that this process starts for itself.
pub(super) struct Source {
    /// The index that is asked where a file names none.
    base: Url,
    /// What the addresses of all indexes begin with, where that is known.
    root: Option<Url>,
    credentials: Option<Credentials>,
    clients: Clients,
    indexes: Mutex<BTreeMap<Option<IndexName>, Arc<Index>>>,
    alone: Option<(Server, House)>,
}

/// One index, as a client sees it.
pub(super) struct Index(Upstream);

impl Source {
    pub async fn open(config: &Config, options: &CachePrefetch) -> Result<Self, RunError> {
        let token = options.token_file.as_deref().map(|path| secret_in(path, "the token")).transpose()?;
        let credentials = token.map(|token| Credentials::new(TOKEN_USER, token.expose().to_owned()));
        if let Some(raw) = &options.index_url {
            return Self::over(given(raw)?, credentials, None);
        }
        let name = index(Some(&options.index))?.map_or(DEFAULT_INDEX.to_owned(), |name| name.to_string());
        let (root, alone) = match running(config).await? {
            Some(root) => (root, None),
            None => {
                let (server, house) = start(config).await?;
                let address = server.addresses().first().copied();
                let address = address.ok_or_else(|| RunError::Usage("no port could be opened".to_owned()))?;
                (format!("http://{address}/"), Some((server, house)))
            }
        };
        let base = Url::parse(&format!("{root}{name}/+simple/"));
        Self::over(base.map_err(|why| RunError::Usage(format!("{root}: {why}")))?, credentials, alone)
    }

    fn over(base: Url, credentials: Option<Credentials>, alone: Option<(Server, House)>) -> Result<Self, RunError> {
        let local = base.host().is_some_and(|host| match host {
            url::Host::Domain(name) => name == "localhost",
            url::Host::Ipv4(ip) => ip.is_loopback(),
            url::Host::Ipv6(ip) => ip.is_loopback(),
        });
        let clients = ClientsConfig { read_timeout: PATIENCE, system_proxy: !local, ..ClientsConfig::default() };
        let root = root_of(&base);
        let clients = Clients::new(clients)?;
        Ok(Self { base, root, credentials, clients, indexes: Mutex::default(), alone })
    }

    /// The index that a file names, where it can be one of this server's; else the one that was given.
    pub fn index(&self, named: Option<&IndexName>) -> Arc<Index> {
        let named = named.filter(|_| self.root.is_some());
        let mut indexes = self.indexes.lock();
        let known = indexes.entry(named.cloned()).or_insert_with(|| {
            let of_name = |name: &IndexName| self.root.as_ref()?.join(&format!("{name}/+simple/")).ok();
            let site = MirrorSite {
                base: named.and_then(of_name).unwrap_or_else(|| self.base.clone()),
                base_is_listed: true,
                file_origins: Vec::new(),
                credentials: self.credentials.clone(),
                page_timeout: PATIENCE,
            };
            Arc::new(Index(Upstream::new(site, &self.clients)))
        });
        Arc::clone(known)
    }

    pub async fn close(&mut self) {
        if let Some((server, _house)) = self.alone.take() {
            server.stop(STOP_DEADLINE).await;
        }
    }
}

impl Index {
    pub async fn page(&self, project: &ProjectName) -> Result<ProjectPage, String> {
        match self.0.page(project, None, false).await {
            Ok(PageFetch::Page { url, content: PageKind::Json, body, .. }) => {
                simple::parse_json(&body, &url, project).map_err(|why| why.to_string())
            }
            Ok(PageFetch::Page { url, content: PageKind::Html, body, .. }) => {
                simple::parse_html(&body, &url, project).map_err(|why| why.to_string())
            }
            // Nobody took its pieces.
            Ok(PageFetch::Missing | PageFetch::NotModified { .. } | PageFetch::Poured(_)) => {
                Err("the index has no such project".to_owned())
            }
            Err(FetchError::Status { status: 401 | 403, .. }) => {
                Err("reading the index needs a login; give a token with --token-file".to_owned())
            }
            Err(why) => Err(why.to_string()),
        }
    }

    pub async fn file(&self, url: &Url) -> Result<FileFetch, FetchError> {
        self.0.file(url, None, None, false).await
    }
}

/// The address that was typed. A secret in it could be read by everybody who lists processes.
fn given(raw: &str) -> Result<Url, RunError> {
    match Url::parse(raw) {
        Ok(url) if url.password().is_some() || !url.username().is_empty() => Err(RunError::Usage(
            "--index-url names a user, and what is typed can be seen by others; give a token with --token-file"
                .to_owned(),
        )),
        Ok(url) => Ok(url),
        Err(why) => Err(RunError::Usage(format!("--index-url {raw:?}: {why}"))),
    }
}

/// `https://host/path/` of `https://host/path/{user}/{index}/+simple/`.
fn root_of(base: &Url) -> Option<Url> {
    let path = base.path().trim_end_matches('/').strip_suffix("/+simple")?;
    let mut root = base.clone();
    let (front, _index) = path.rsplit_once('/')?;
    let (front, _user) = front.rsplit_once('/')?;
    root.set_path(&format!("{front}/"));
    Some(root)
}

/// The address of the server that runs on the data directory, if one does.
async fn running(config: &Config) -> Result<Option<String>, RunError> {
    let addresses = match control::ask(&config.cache.data, &Request::Status).await {
        Ok(Answer::Status(status)) => status.addresses,
        Err(ControlError::NoServer { .. }) => return Ok(None),
        // It runs, and is not ours to speak with: its address stands in the settings.
        Ok(_) | Err(_) => config.server.listen.iter().filter_map(address_of).map(|at| format!("http://{at}")).collect(),
    };
    let first = addresses.iter().find(|address| address.starts_with("http://"));
    match first {
        Some(address) => Ok(Some(format!("{}/", reachable(address)))),
        None => Err(RunError::Usage(
            "the server that runs here listens at no port; give the address of the proxy with --index-url".to_owned(),
        )),
    }
}

fn address_of(listen: &Listen) -> Option<SocketAddr> {
    match listen {
        Listen::Tcp(address) => Some(*address),
        Listen::Unix(_) => None,
    }
}

/// Who listens at all addresses is asked at loopback.
fn reachable(address: &str) -> String {
    let at = address.trim_start_matches("http://").trim_end_matches('/');
    match at.parse::<SocketAddr>() {
        Ok(at) if at.ip().is_unspecified() => {
            let loopback: IpAddr =
                if at.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
            format!("http://{}", SocketAddr::new(loopback, at.port()))
        }
        _ => format!("http://{at}"),
    }
}

/// A server of this process's own, for as long as it takes.
async fn start(config: &Config) -> Result<(Server, House), RunError> {
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let ground = open_data(config, None).await?;
    let bound = Bound::bind(&Listen::Tcp(SocketAddr::new([127, 0, 0, 1].into(), 0)))?;
    let house = open_index(&uncapped(config), ground, &clock, &metrics).await?;
    let handler = Handler::new(HandlerParts {
        index: house.clone(),
        metrics,
        clock,
        hosts: Hosts::new(&[])?,
        default_index: IndexName::parse(DEFAULT_INDEX)?,
        public_url: None,
        page_max_age: 0,
        upload_bytes_max: 0,
        connections_max: CONNECTIONS_MAX,
        timeouts: Timeouts::default(),
    });
    Ok((Server::start(vec![bound], handler), house))
}

//! A whole server in the test's process: real sockets on port 0, a scripted upstream, a clock that stands still.

use super::upstream::Upstream;
use bytes::Bytes;
use sidewheel::auth::Auth;
use sidewheel::cache::Disk;
use sidewheel::clock::Clock;
use sidewheel::config::Listen;
use sidewheel::http::Hosts;
use sidewheel::index::{Index, Mirror, MirrorMaker, MirrorRules, Parts};
use sidewheel::metrics::Metrics;
use sidewheel::names::IndexName;
use sidewheel::rules::UserCreation;
use sidewheel::server::{Bound, Handler, HandlerParts, Server, Standing, Timeouts};
use sidewheel::store::{Private, Store};
use sidewheel::upstream::{self, Clients, ClientsConfig, MirrorSite, Origin};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Some day in 2026.
const NOW: u64 = 1_790_000_000;

pub const PAGE_TTL: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub struct Options {
    pub offline: bool,
    pub backfill: bool,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    pub page_timeout: Duration,
    pub file_origins: Vec<Origin>,
    pub public_url: Option<String>,
    pub connections_max: usize,
    pub timeouts: Timeouts,
    pub user_creation: UserCreation,
    pub push_origins: Vec<Origin>,
    pub upload_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            offline: false,
            backfill: false,
            memory_bytes: 32 << 20,
            disk_bytes: 1 << 30,
            page_timeout: Duration::from_secs(5),
            file_origins: Vec::new(),
            public_url: None,
            connections_max: 512,
            timeouts: Timeouts { quiet: Duration::from_millis(10), ..Timeouts::default() },
            user_creation: UserCreation::RootOnly,
            push_origins: Vec::new(),
            upload_bytes_max: 64 << 20,
        }
    }
}

pub struct House {
    pub upstream: Upstream,
    pub clock: Clock,
    pub metrics: Metrics,
    pub index: Index,
    pub address: SocketAddr,
    data: TempDir,
    options: Options,
    server: Option<Server>,
    client: reqwest::Client,
}

/// An answer that came to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Bytes,
}

impl House {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let upstream = Upstream::start().await;
        Self::over(upstream, tempfile::tempdir().unwrap(), Clock::manual(NOW), options).await
    }

    async fn over(upstream: Upstream, data: TempDir, clock: Clock, options: Options) -> Self {
        let metrics = Metrics::new();
        let clients =
            ClientsConfig { read_timeout: Duration::from_secs(5), system_proxy: false, ..ClientsConfig::default() };
        let clients = Clients::new(clients).unwrap();
        let mirror = |name: &str, base: String| {
            let site = MirrorSite {
                base: base.parse().unwrap(),
                base_is_listed: true,
                file_origins: options.file_origins.clone(),
                credentials: None,
                page_timeout: options.page_timeout,
            };
            let upstream = upstream::Upstream::new(site, &clients);
            let (name, ttl_ms) = (IndexName::parse(name).unwrap(), PAGE_TTL.as_millis() as u64);
            Mirror { name, upstream, ttl_ms, rules: MirrorRules::default(), health: Default::default() }
        };
        let mirrors = vec![mirror("root/pypi", upstream.base()), mirror("team/torch", upstream.url("/whl/"))];
        let index = Index::open(Parts {
            clock: clock.clone(),
            metrics: metrics.clone(),
            store: Store::open(data.path()).await.unwrap(),
            private: Private::open(data.path()).await.unwrap(),
            disk: Disk::open(data.path()).unwrap(),
            auth: Auth::new(clock.clone()).unwrap(),
            mirrors,
            maker: MirrorMaker {
                clients: clients.clone(),
                page_timeout: options.page_timeout,
                ttl_ms: PAGE_TTL.as_millis() as u64,
            },
            user_creation: options.user_creation,
            push_origins: options.push_origins.clone(),
            public_url: options.public_url.clone(),
            memory_bytes: options.memory_bytes,
            disk_bytes: options.disk_bytes,
            offline: options.offline,
            backfill: options.backfill,
        });
        let index = index.await.unwrap();
        let bound = Bound::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
        let public_host = options.public_url.as_deref().map(|url| url.split("//").nth(1).unwrap().to_owned());
        let handler = Handler::new(HandlerParts {
            index: index.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            hosts: Hosts::new(&public_host.into_iter().collect::<Vec<_>>()).unwrap(),
            default_index: IndexName::parse("root/pypi").unwrap(),
            public_url: options.public_url.clone(),
            page_max_age: 600,
            upload_bytes_max: options.upload_bytes_max,
            connections_max: options.connections_max,
            timeouts: options.timeouts,
        });
        let mut server = Server::start(vec![bound], handler);
        server.open_control(data.path(), Standing { started: NOW, format: 1 }, None);
        let address = server.addresses()[0];
        // reqwest is built without a provider of cryptography; whoever comes first names it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().no_gzip().redirect(reqwest::redirect::Policy::none());
        let client = client.build().unwrap();
        Self { upstream, clock, metrics, index, address, data, options, server: Some(server), client }
    }

    /// Stops in order and starts again on the same data directory, as `change` wants it.
    pub async fn restart(mut self, change: impl FnOnce(&mut Options)) -> Self {
        self.finish().await;
        let mut options = self.options.clone();
        change(&mut options);
        let (upstream, data, clock) = (self.upstream, self.data, self.clock);
        // The lock on the data directory goes with the last handle on it.
        drop(self.index);
        drop(self.server);
        Self::over(upstream, data, clock, options).await
    }

    /// A second handler over the same index, with the program's own timeouts: the house keeps its own for its sockets.
    pub fn another_handler(&self) -> Handler {
        Handler::new(HandlerParts {
            index: self.index.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            hosts: Hosts::default(),
            default_index: IndexName::parse("root/pypi").unwrap(),
            public_url: None,
            page_max_age: 600,
            upload_bytes_max: 1 << 20,
            connections_max: 16,
            timeouts: Timeouts::default(),
        })
    }

    /// Ends the test: everything stops, and nothing half done is left.
    pub async fn end(mut self) {
        self.finish().await;
        let left: Vec<_> =
            std::fs::read_dir(self.data.path().join("tmp")).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(left.is_empty(), "temporary files are left: {left:?}");
    }

    async fn finish(&mut self) {
        for _ in 0..500 {
            if self.index.under_way() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.index.under_way(), 0, "flights or shared calls are left");
        if let Some(server) = self.server.take() {
            assert!(server.stop(Duration::from_secs(10)).await, "connections did not end");
        }
    }

    pub fn take_server(&mut self) -> Server {
        self.server.take().unwrap()
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// GET that must come to its end.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers).await.unwrap()
    }

    pub async fn head(&self, path: &str) -> Answer {
        self.request("HEAD", path, &[]).await.unwrap()
    }

    /// A request whose answer may be cut off: then an error.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method.parse().unwrap(), self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }

    /// A request of devpi's API: JSON both ways.
    pub async fn api(&self, method: &str, path: &str, auth: Option<(&str, &str)>, body: serde_json::Value) -> Answer {
        let mut request = self.client.request(method.parse().unwrap(), self.url(path));
        request = request.header("Accept", "application/json").header("Content-Type", "application/json");
        if let Some(auth) = auth {
            request = request.header("X-Devpi-Auth", basic(auth));
        }
        if !matches!(method, "GET" | "DELETE") {
            request = request.body(body.to_string());
        }
        answer(request).await
    }

    pub async fn request_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self.client.request(method.parse().unwrap(), self.url(path)).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    pub async fn get_as(&self, path: &str, auth: Option<(&str, &str)>, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.get(self.url(path));
        if let Some(auth) = auth {
            request = request.header("Authorization", format!("Basic {}", basic(auth)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// A multipart form, as twine sends it.
    pub async fn post_form(
        &self,
        path: &str,
        auth: Option<(&str, &str)>,
        fields: &[(&str, &str)],
        file: Option<(&str, &[u8])>,
    ) -> Answer {
        const BOUNDARY: &str = "a-boundary-of-the-tests";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        if let Some((filename, bytes)) = file {
            let part = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{filename}\"\r\n\r\n"
            );
            body.extend_from_slice(part.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let mut request = self.client.post(self.url(path)).body(body);
        request = request.header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}"));
        if let Some(auth) = auth {
            request = request.header("Authorization", format!("Basic {}", basic(auth)));
        }
        answer(request).await
    }

    pub async fn page(&self, project: &str) -> Answer {
        let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
        self.get_with(&format!("/root/pypi/+simple/{project}/"), &[accept]).await
    }

    /// The path of a file as the page of its project announces it.
    pub async fn file_path(&self, project: &str, filename: &str) -> String {
        self.file_path_in("root/pypi", project, filename).await
    }

    /// The same of any index; the file may lie in another.
    pub async fn file_path_in(&self, index: &str, project: &str, filename: &str) -> String {
        let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
        let page = self.get_with(&format!("/{index}/+simple/{project}/"), &[accept]).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let json = page.json();
        let files = json["files"].as_array().unwrap();
        let file =
            files.iter().find(|file| file["filename"] == filename).unwrap_or_else(|| panic!("{filename} in {json}"));
        let relative = file["url"].as_str().unwrap().strip_prefix("../../").unwrap();
        match relative.strip_prefix("../../") {
            Some(elsewhere) => format!("/{elsewhere}"),
            None => format!("/{index}/{relative}"),
        }
    }

    /// Sends raw bytes and reads until the server closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The files in the cache, by path.
    pub fn cached(&self) -> Vec<PathBuf> {
        self.stored("files")
    }

    /// The files that users own.
    pub fn private_files(&self) -> Vec<PathBuf> {
        self.stored("private")
    }

    fn stored(&self, shelf: &str) -> Vec<PathBuf> {
        let directories = std::fs::read_dir(self.data().join(shelf)).unwrap();
        directories.flat_map(|d| std::fs::read_dir(d.unwrap().path()).unwrap()).map(|f| f.unwrap().path()).collect()
    }
}

/// User and password as Basic has them.
pub fn basic((user, password): (&str, &str)) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.unwrap() }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.text()))
    }

    pub fn tier(&self) -> &str {
        self.header("x-cache")
    }
}

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use hyper::Uri;
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use reqwest::header::{HeaderValue, USER_AGENT};
use reqwest::{Body, Request, Response};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::BoxError;
use tower::timeout::Timeout;
use tower::util::BoxCloneSyncService;

use super::clients::{ClientsConfig, POOL_IDLE, POOL_IDLE_PER_HOST_MAX, USER_AGENT as OURS};
use super::error::FetchError;

/// Room that is made to read from a connection, in bytes, and the longest head of an answer; where an old buffer is left
/// room grows to twice as much. Left to itself the library makes 408 KiB where a server is faster than we are, and each
/// piece of a body keeps the whole buffer. Half as much costs a quarter more CPU time for a file of 100 MB, twice or three
/// times as much saves none.
const READ_BYTES_MAX: usize = 128 * 1024;

/// A probe that finds no one there ends a connection after four of these; what is sent unheard ends it after two.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// `http` without a proxy: the one way on which nothing else bounds what is read at once, as TLS does by its records and
/// HTTP/2 by its windows. The general client has no setting for it.
///
/// Names are resolved without a filter: `http` is for listed origins only.
#[derive(Clone)]
pub(super) struct PlainClient {
    client: Client<Connector, Body>,
    read_timeout: Duration,
    proxies: Option<Arc<Matcher>>,
}

type Connector = BoxCloneSyncService<Uri, TokioIo<TcpStream>, BoxError>;

impl PlainClient {
    pub fn new(config: &ClientsConfig) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST_MAX)
            .http1_max_buf_size(READ_BYTES_MAX)
            .build(BoxCloneSyncService::new(Timeout::new(connector(), config.connect_timeout)));
        let proxies = config.system_proxy.then(|| Arc::new(Matcher::from_system()));
        Self { client, read_timeout: config.read_timeout, proxies }
    }

    /// Whether a request goes this way.
    pub fn takes(&self, request: &Request) -> bool {
        let past = |proxies: &Matcher| {
            let uri = request.url().as_str().parse::<Uri>();
            uri.is_ok_and(|uri| proxies.intercept(&uri).is_none())
        };
        request.url().scheme() == "http" && self.proxies.as_deref().is_none_or(past)
    }

    /// The head of the answer, whose body keeps to the read timeout as the head does.
    pub async fn send(&self, request: Request, host: &str, origin: &str) -> Result<Response, FetchError> {
        let request = hyper::Request::try_from(request);
        let mut request = request.map_err(|error| FetchError::before_head(&error, host, origin))?;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(OURS));
        let Ok(answer) = timeout(self.read_timeout, self.client.request(request)).await else {
            return Err(FetchError::Timeout { host: host.to_owned() });
        };
        let (head, body) = answer.map_err(|error| FetchError::before_head(&error, host, origin))?.into_parts();
        Ok(hyper::Response::from_parts(head, Body::wrap_stream(pieces(body, self.read_timeout))).into())
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_keepalive_interval(Some(KEEPALIVE));
    connector.set_keepalive_retries(Some(3));
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(2 * KEEPALIVE));
    connector
}

/// The pieces of a body, while each comes in time. Trailers are left out.
fn pieces(body: Incoming, patience: Duration) -> impl Stream<Item = Result<Bytes, BoxError>> {
    stream::try_unfold(body, move |mut body| async move {
        loop {
            let frame = timeout(patience, poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await;
            let Some(frame) = frame.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))? else { return Ok(None) };
            if let Ok(piece) = frame?.into_data() {
                return Ok(Some((piece, body)));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::{Method, Url};

    #[test]
    fn only_plain_http_that_no_proxy_has_goes_this_way() {
        let proxies = Matcher::builder().all("http://proxy.example:3128").no("127.0.0.1,.inside.example").build();
        let config = ClientsConfig { system_proxy: false, ..ClientsConfig::default() };
        let free = PlainClient::new(&config);
        let behind = PlainClient { proxies: Some(Arc::new(proxies)), ..free.clone() };
        for (url, free_takes, behind_takes) in [
            ("http://127.0.0.1:8080/simple/", true, true),
            ("http://index.inside.example/simple/", true, true),
            ("http://index.example/simple/", true, false),
            ("https://127.0.0.1/simple/", false, false),
        ] {
            let request = Request::new(Method::GET, Url::parse(url).unwrap());
            assert_eq!((free.takes(&request), behind.takes(&request)), (free_takes, behind_takes), "{url}");
        }
    }
}

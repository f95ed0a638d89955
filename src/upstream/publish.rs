use super::clients::Clients;
use super::error::FetchError;
use super::exchange::host_of;
use super::{MirrorSite, Upstream};
use bytes::Bytes;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// An upload to another server, as twine makes it: a multipart form, Basic authentication.
pub struct Publish<'a> {
    pub url: &'a Url,
    /// Whether the origin may have any address and speak http; otherwise it must be https and public.
    pub listed: bool,
    pub username: &'a str,
    pub password: &'a str,
    pub fields: Vec<(String, String)>,
    /// The file's name, the open file, its length.
    pub file: Option<(String, Arc<File>, u64)>,
}

/// What the other server said.
#[derive(Debug)]
pub struct Posted {
    pub status: u16,
    /// The beginning of its body.
    pub text: String,
}

/// How long an upload may take in all: a large wheel over a slow line.
const PUBLISH_TIME_MAX: Duration = Duration::from_secs(600);

/// Most of an answer's body that is shown to the one who pushed, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// Piece in which a file is read and sent, in bytes.
const PIECE_BYTES: u64 = 256 * 1024;

/// What separates the parts. The other server looks for it in the file's bytes too, so it is long and random.
const BOUNDARY_BYTES: usize = 24;

impl Clients {
    /// Posts a form and says what came back. Redirects are not followed: an upload that is sent on is not what was asked
    /// for.
    pub async fn publish(&self, publish: Publish<'_>) -> Result<Posted, FetchError> {
        let site = MirrorSite {
            base: publish.url.clone(),
            base_is_listed: publish.listed,
            file_origins: Vec::new(),
            credentials: None,
            page_timeout: PUBLISH_TIME_MAX,
        };
        let upstream = Upstream::new(site, self);
        let (client, origin) = upstream.inner.client_for(publish.url)?;
        let boundary = boundary();
        let (head, tail) = form(&boundary, &publish);
        let len = (head.len() + tail.len()) as u64 + publish.file.as_ref().map_or(0, |(_, _, len)| *len);
        let pieces = pieces(head, publish.file.map(|(_, file, len)| (file, len)), tail);
        let request = client
            .post(publish.url.clone())
            .basic_auth(publish.username, Some(publish.password))
            .header("Content-Type", format!("multipart/form-data; boundary={boundary}"))
            .header("Content-Length", len)
            .body(reqwest::Body::wrap_stream(pieces));
        let host = host_of(publish.url);
        let exchange = async {
            let sent = request.send().await;
            let mut response = sent.map_err(|error| FetchError::before_head(&error, &host, &origin.to_string()))?;
            let (status, mut body) = (response.status().as_u16(), Vec::new());
            while let Ok(Some(piece)) = response.chunk().await {
                body.extend_from_slice(&piece);
                if body.len() >= TEXT_BYTES_MAX {
                    break;
                }
            }
            body.truncate(TEXT_BYTES_MAX);
            Ok(Posted { status, text: String::from_utf8_lossy(&body).into_owned() })
        };
        match tokio::time::timeout(PUBLISH_TIME_MAX, exchange).await {
            Ok(posted) => posted,
            Err(_) => Err(FetchError::Timeout { host: host_of(publish.url) }),
        }
    }
}

fn boundary() -> String {
    use std::hash::{BuildHasher, RandomState};
    let mut boundary = String::new();
    while boundary.len() < BOUNDARY_BYTES {
        boundary.push_str(&format!("{:016x}", RandomState::new().hash_one(boundary.len())));
    }
    boundary
}

/// What comes before the file's bytes, and what comes after.
fn form(boundary: &str, publish: &Publish<'_>) -> (Bytes, Bytes) {
    let mut head = String::new();
    for (name, value) in &publish.fields {
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n",
            escaped(name)
        ));
    }
    if let Some((filename, _, _)) = &publish.file {
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            escaped(filename)
        ));
    }
    let end = if publish.file.is_some() { "\r\n" } else { "" };
    (head.into(), format!("{end}--{boundary}--\r\n").into())
}

/// A name in a part's head, as browsers escape it (HTML, multipart/form-data encoding algorithm).
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn pieces(
    head: Bytes,
    file: Option<(Arc<File>, u64)>,
    tail: Bytes,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    enum At {
        Head(Bytes),
        File(u64),
        Tail,
        End,
    }
    futures_util::stream::unfold((At::Head(head), file, tail), |(at, file, tail)| async move {
        match at {
            At::Head(head) => {
                let next = if file.is_some() { At::File(0) } else { At::Tail };
                Some((Ok(head), (next, file, tail)))
            }
            At::File(at) => {
                let (handle, len) = file.clone()?;
                if at >= len {
                    return Some((Ok(Bytes::new()), (At::Tail, file, tail)));
                }
                let read = tokio::task::spawn_blocking(move || {
                    let mut piece = vec![0; PIECE_BYTES.min(len - at) as usize];
                    handle.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
                });
                let piece = read.await.unwrap_or_else(|_| Err(std::io::Error::other("the reading task ended")));
                let next = match &piece {
                    Ok(piece) => At::File(at + piece.len() as u64),
                    Err(_) => At::End,
                };
                Some((piece, (next, file, tail)))
            }
            At::Tail => Some((Ok(tail.clone()), (At::End, file, tail))),
            At::End => None,
        }
    })
}

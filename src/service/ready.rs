use crate::config::Listen;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long one question may take. A server that needs longer is not ready.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Enough for the status line, in bytes.
const ANSWER_BYTES_MAX: u64 = 64;

const QUESTION: &[u8] = b"GET /+ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Asks a server whether it is ready.
pub(super) fn ready(listen: &Listen) -> io::Result<bool> {
    match listen {
        Listen::Tcp(address) => {
            let stream = TcpStream::connect_timeout(&reachable(*address), ANSWER_WAIT)?;
            stream.set_read_timeout(Some(ANSWER_WAIT))?;
            ask(stream)
        }
        Listen::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(ANSWER_WAIT))?;
            ask(stream)
        }
    }
}

fn ask(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(QUESTION)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}

/// Where a server that listens on all addresses is reached from here.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn only_a_200_is_ready() {
        for (answer, expected) in
            [("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.1 503 Busy\r\n\r\n", false), ("", false), ("SSH-2.0", false)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut question = [0; QUESTION.len()];
                stream.read_exact(&mut question).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            assert_eq!(ready(&Listen::Tcp(([0, 0, 0, 0], port).into())).unwrap(), expected, "{answer:?}");
            server.join().unwrap();
        }
    }
}

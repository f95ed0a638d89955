use super::gate::{Gate, Turn};
use crate::index::Index;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// By which our own question is known in the log, where it has no line.
pub(super) const AGENT: &str = "sidewheel-pulse";

/// Tells whether a server truly answers.
#[derive(Clone)]
pub struct Pulse {
    pub(super) index: Index,
    pub(super) gate: Arc<Gate>,
    pub(super) door: Option<Door>,
}

#[derive(Clone)]
pub(super) enum Door {
    Tcp(SocketAddr),
    Unix(String),
}

impl Pulse {
    /// Whether another process serves now.
    pub fn is_over(&self) -> bool {
        *self.gate.turn().borrow() == Turn::Pass
    }

    /// Asks the databases, and asks as a client does. While another process takes over, nobody answers, which has
    /// deadlines of its own.
    pub async fn feel(&self) -> Result<(), String> {
        if *self.gate.turn().borrow() == Turn::Wait {
            return Ok(());
        }
        self.index.ready().await.map_err(|why| why.to_string())?;
        let asked = match &self.door {
            Some(Door::Tcp(address)) => match TcpStream::connect(reachable(*address)).await {
                Ok(stream) => ask(stream).await,
                Err(why) => Err(why),
            },
            Some(Door::Unix(path)) => match UnixStream::connect(path).await {
                Ok(stream) => ask(stream).await,
                Err(why) => Err(why),
            },
            None => Ok(()),
        };
        match asked {
            // It was taken over in this moment: the question went to nobody.
            Err(_) if *self.gate.turn().borrow() != Turn::Serve => Ok(()),
            asked => asked.map_err(|why| why.to_string()),
        }
    }
}

/// An address that stands for all of this machine's, as one of them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let question =
        format!("GET /+health HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {AGENT}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    // Any answer is one: a busy server says 503, and lives.
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).await?;
    match answer.starts_with(b"HTTP/1.1 ") {
        true => Ok(()),
        false => Err(io::Error::other("what answers at its address is not this server")),
    }
}

use super::answer::answer;
use super::misbehaviour::{Act, plan};
use super::{Seen, Shared};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Serves one connection until either side ends it.
pub(super) async fn serve(stream: &mut TcpStream, shared: &Shared, number: usize) {
    let mut buffer = BytesMut::new();
    loop {
        let Some(seen) = read(stream, &mut buffer, number).await else { return };
        let (acts, close) = {
            let mut script = shared.script();
            script.seen.push(seen.clone());
            let reply = answer(&script, &seen);
            let how = script
                .once
                .get_mut(&seen.path)
                .and_then(std::collections::VecDeque::pop_front)
                .or_else(|| script.always.get(&seen.path).cloned());
            let acts = plan(reply, &seen, how);
            let acts = match script.gates.get(&seen.path) {
                Some(held) => with_gate(acts, held.clone()),
                None => acts,
            };
            (acts, seen.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")))
        };
        shared.asked.send_replace(());
        for act in acts {
            if !perform(stream, act).await {
                return;
            }
        }
        if close {
            return;
        }
    }
}

/// Does one thing; false when the connection is over.
async fn perform(stream: &mut TcpStream, act: Act) -> bool {
    match act {
        Act::Head(bytes) | Act::Body(bytes) => stream.write_all(&bytes).await.is_ok(),
        Act::Wait(held) => {
            held.wait().await;
            true
        }
        Act::Pause(time) => {
            tokio::time::sleep(time).await;
            true
        }
        Act::Hang => std::future::pending().await,
        Act::Reset => {
            let _ = stream.set_zero_linger();
            false
        }
        Act::Close => {
            let _ = stream.shutdown().await;
            // Read on until the other side is done, so that what was sent is not lost to a reset.
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
            false
        }
    }
}

fn with_gate(acts: Vec<Act>, held: super::Held) -> Vec<Act> {
    let Some(mut after) = held.after else {
        return std::iter::once(Act::Wait(held)).chain(acts).collect();
    };
    let (mut gated, mut held) = (Vec::new(), Some(held));
    for act in acts {
        match act {
            Act::Body(mut bytes) if held.is_some() && bytes.len() >= after => {
                gated.push(Act::Body(bytes.split_to(after)));
                gated.extend(held.take().map(Act::Wait));
                gated.push(Act::Body(bytes));
            }
            Act::Body(bytes) => {
                after = after.saturating_sub(bytes.len());
                gated.push(Act::Body(bytes));
            }
            act => gated.push(act),
        }
    }
    gated
}

async fn read(stream: &mut TcpStream, buffer: &mut BytesMut, connection: usize) -> Option<Seen> {
    let head = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = buffer.split_to(at).freeze();
            buffer.advance(4);
            break head;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        // TLS begins with this byte; what is not HTTP is told so and left.
        if buffer.first() == Some(&22) {
            let _ = stream.write_all(b"HTTP/1.1 400 Not TLS\r\nContent-Length: 0\r\n\r\n").await;
            return None;
        }
    };
    let seen = parse(&head, connection)?;
    let mut body: usize = seen.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    loop {
        let here = body.min(buffer.len());
        buffer.advance(here);
        body -= here;
        if body == 0 {
            return Some(seen);
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn parse(head: &Bytes, connection: usize) -> Option<Seen> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (target.to_owned(), None),
    };
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Seen { method, path, query, headers, connection })
}

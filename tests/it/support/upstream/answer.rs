use super::{Script, Seen};
use crate::support::sha256;
use bytes::Bytes;

pub(super) const JSON: &str = "application/vnd.pypi.simple.v1+json";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// What a well-behaved server would say. The framing is added when it is sent.
#[derive(Clone)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The whole file when `body` is a range of it.
    pub whole: Bytes,
}

impl Reply {
    pub fn ok(content_type: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self { status: 200, headers: vec![("Content-Type".into(), content_type.into())], whole: body.clone(), body }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), whole: Bytes::new() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn etag(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == "ETag").map(|(_, value)| value.as_str())
    }
}

pub(super) fn answer(script: &Script, seen: &Seen) -> Reply {
    if script.credentials.is_some() && script.credentials.as_deref() != seen.header("authorization") {
        return Reply::empty(401).with("WWW-Authenticate", "Basic realm=\"upstream\"");
    }
    let reply = find(script, seen);
    let reply = if script.no_etags || reply.status != 200 {
        reply
    } else {
        let etag = format!("\"{}\"", sha256(&reply.body));
        reply.with("ETag", etag)
    };
    let asked = seen.header("if-none-match");
    if reply.status == 200 && asked.is_some() && asked == reply.etag() {
        let mut headers = reply.headers;
        headers.retain(|(name, _)| name != "Content-Type");
        return Reply { status: 304, headers, body: Bytes::new(), whole: Bytes::new() };
    }
    if seen.path.starts_with("/files/") { ranged(reply, seen, false) } else { reply }
}

fn find(script: &Script, seen: &Seen) -> Reply {
    if let Some(reply) = script.raw.get(&seen.path) {
        return reply.clone();
    }
    if let Some(bytes) = script.files.get(&seen.path) {
        return Reply::ok("binary/octet-stream", bytes.clone()).with("Accept-Ranges", "bytes");
    }
    let wants_json = seen.header("accept").is_some_and(|accept| accept.contains(JSON));
    if seen.path == "/simple/" {
        return if wants_json { Reply::ok(JSON, list_json(script)) } else { Reply::ok(HTML, list_html(script)) };
    }
    let Some(name) = seen.path.strip_prefix("/simple/") else { return Reply::empty(404) };
    let Some(name) = name.strip_suffix('/') else {
        return Reply::empty(301).with("Location", format!("{}/", seen.path));
    };
    let Some(project) = script.projects.get(name) else { return Reply::empty(404) };
    let reply = if wants_json && !project.html_only {
        Reply::ok(JSON, project.json(name))
    } else {
        Reply::ok(HTML, project.html(name))
    };
    let reply = reply.with("X-PyPI-Last-Serial", project.serial.to_string()).with("Vary", "Accept");
    match &script.cache_control {
        Some(value) => reply.with("Cache-Control", value),
        None => reply,
    }
}

/// Cuts a whole answer to the range that was asked for (RFC 9110 §14); several ranges are answered whole.
pub(super) fn ranged(reply: Reply, seen: &Seen, ignore_if_range: bool) -> Reply {
    let Some(range) = seen.header("range").and_then(|range| range.strip_prefix("bytes=")) else { return reply };
    let holds = ignore_if_range || seen.header("if-range").is_none_or(|etag| Some(etag) == reply.etag());
    if reply.status != 200 || !holds || range.contains(',') {
        return reply;
    }
    let total = reply.whole.len();
    let span = match range.split_once('-') {
        Some(("", count)) => {
            count.parse().ok().filter(|count| *count > 0).map(|count| (total.saturating_sub(count), total))
        }
        Some((first, "")) => first.parse().ok().map(|first| (first, total)),
        Some((first, last)) => first.parse().ok().zip(last.parse::<usize>().ok().map(|last| (last + 1).min(total))),
        None => return reply,
    };
    match span.filter(|(start, end)| start < end) {
        Some((start, end)) => cut(reply, start, end),
        None => Reply::empty(416).with("Content-Range", format!("bytes */{total}")),
    }
}

pub(super) fn cut(reply: Reply, start: usize, end: usize) -> Reply {
    let total = reply.whole.len();
    let body = reply.whole.slice(start..end);
    let reply = Reply { status: 206, body, ..reply };
    reply.with("Content-Range", format!("bytes {start}-{}/{total}", end - 1))
}

fn list_json(script: &Script) -> String {
    let names: Vec<_> = script.projects.keys().map(|name| serde_json::json!({ "name": name })).collect();
    serde_json::json!({"meta": {"api-version": "1.1", "_last-serial": script.serial}, "projects": names}).to_string()
}

fn list_html(script: &Script) -> String {
    let links: String =
        script.projects.keys().map(|name| format!("<a href=\"/simple/{name}/\">{name}</a><br>\n")).collect();
    format!("<!DOCTYPE html>\n<html><body>\n{links}</body></html>\n")
}

//! A request target's parts: split raw, decoded once, and refused where two readers could disagree.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Longest request target, in bytes. The longest real ones name a file by its upstream path, under 500 bytes.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// The authority of a target in absolute form, `None` for any other form. It takes the place of `Host`
/// (RFC 9112 §3.2.2), so it has to be judged as one.
pub fn authority(raw_target: &str) -> Option<&str> {
    split_absolute(raw_target).map(|(authority, _)| authority)
}

pub(super) struct Target<'a> {
    /// Decoded; a `/` in it was a `/` when it was sent.
    path: Cow<'a, str>,
    /// As sent.
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(super) fn parse(raw: &'a str) -> Result<Self, &'static str> {
        if raw.len() > TARGET_BYTES_MAX {
            return Err("the request target is too long");
        }
        if !raw.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the request target holds characters that must be percent-encoded");
        }
        if raw.bytes().any(|byte| matches!(byte, b'\\' | b'#')) {
            return Err("the request target holds a character that has no place in it");
        }
        let (absolute, raw) = match split_absolute(raw) {
            Some((_, rest)) => (true, rest),
            None => (false, raw),
        };
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (raw, None),
        };
        // An absolute target may leave out the path of its root; no other may.
        if !(path.starts_with('/') || absolute && path.is_empty()) {
            return Err("the request target is not a path");
        }
        let path = decode(path)?;
        if path.split('/').any(is_dots) {
            return Err("the path holds a dot segment");
        }
        Ok(Self { path, query })
    }

    /// The path's segments, empty ones left out.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    pub(super) fn ends_in_slash(&self) -> bool {
        self.path.ends_with('/')
    }
}

/// Splits `http://host/path` into authority and the rest.
fn split_absolute(raw: &str) -> Option<(&str, &str)> {
    let scheme = |name: &str| raw.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let length = ["http://", "https://"].into_iter().find(|name| scheme(name))?.len();
    let rest = raw.get(length..)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.split_at_checked(end)? {
        (authority, "") => Some((authority, "/")),
        parts => Some(parts),
    }
}

/// Decodes a path once. After this a `/` still separates segments, because an encoded one is refused.
fn decode(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    for after in path.split('%').skip(1) {
        match after.as_bytes() {
            [b'2', b'f' | b'F', ..] => return Err("the path holds an encoded slash"),
            [b'5', b'c' | b'C', ..] => return Err("the path holds an encoded backslash"),
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
            _ => return Err("the path holds a percent sign that encodes nothing"),
        }
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| "the path is not UTF-8")?;
    if decoded.chars().any(char::is_control) {
        return Err("the path holds a control character");
    }
    Ok(decoded)
}

/// `.` or `..`, also with parameters behind them (`..;x`), which some servers cut off.
fn is_dots(segment: &str) -> bool {
    segment.starts_with('.') && matches!(segment.split(';').next(), Some("." | ".."))
}

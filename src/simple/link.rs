use super::plain::every_byte;
use crate::names::IndexName;
use memchr::memchr2;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use url::Url;

/// Longest directory of a `+e` URL, in bytes, before the hash is added: it must stay one file name on any disk.
const DIRECTORY_BYTES_MAX: usize = 180;

/// All but RFC 3986's unreserved characters: some clients and proxies read `+` and `!` in their own way.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes absolute URLs out of a page's links. Keeps the last origin seen, so that the 40 000 plain links of a large
/// page are not each taken apart by a full URL parser.
pub(super) struct Links {
    base: Option<Url>,
    origin: String,
}

impl Links {
    /// `base` is the page's URL; without it only absolute links are taken.
    pub(super) fn new(base: Option<Url>) -> Self {
        Self { base, origin: String::new() }
    }

    /// Takes HTML's `<base href>`, but only within the origin that was asked: a page may not move its own links away.
    pub(super) fn rebase(&mut self, href: &str) {
        if let Some(base) = &self.base
            && let Ok(moved) = base.join(href)
            && moved.origin() == base.origin()
        {
            self.base = Some(moved);
        }
    }

    /// The absolute form of a link without its fragment; `None` when it is no http or https URL with a host, or has
    /// a user or password in it.
    pub(super) fn resolve(&mut self, raw: &str) -> Option<String> {
        // A fragment is not plain.
        if !self.origin.is_empty() && raw.strip_prefix(self.origin.as_str()).is_some_and(is_plain_path) {
            return Some(raw.to_owned());
        }
        let raw = raw.split_once('#').map_or(raw, |(link, _)| link);
        let mut url = match &self.base {
            Some(base) => base.join(raw).ok()?,
            None => Url::parse(raw).ok()?,
        };
        let http = matches!(url.scheme(), "http" | "https");
        if !http || !url.username().is_empty() || url.password().is_some() || !url.has_host() {
            return None;
        }
        url.set_fragment(None);
        self.origin.clear();
        self.origin.push_str(&url.origin().ascii_serialization());
        self.origin.push('/');
        Some(url.into())
    }
}

/// Whether a full parser would leave the path (after the origin's `/`) as it is: no escapes, no `.` or `..` segments,
/// no query.
fn is_plain_path(path: &str) -> bool {
    let (mut plain, mut dot, mut before) = (true, false, b'/');
    for byte in path.bytes() {
        plain &= PLAIN[usize::from(byte)];
        dot |= byte == b'.' && before == b'/';
        before = byte;
    }
    plain && !dot
}

const PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 0);
    while byte < 128 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=:@/";
    let mut at = 0;
    while at < others.len() {
        plain[others[at] as usize] = true;
        at += 1;
    }
    plain
};

/// The path of an absolute URL, from its `/`, without query.
pub(super) fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = after_scheme.find('/').and_then(|slash| after_scheme.get(slash..)).unwrap_or("");
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// The last segment of a URL's path, decoded; `None` when it is not UTF-8.
pub(super) fn last_segment(url: &str) -> Option<Cow<'_, str>> {
    if memchr2(b'?', b'%', url.as_bytes()).is_none() {
        return url.rsplit('/').next().map(Cow::Borrowed);
    }
    let segment = path_of(url).rsplit('/').next()?;
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    percent_decode_str(segment).decode_utf8().ok()
}

/// The directory of a file that has no sha256, in devpi's form: scheme, host and the path's directories joined by `_`,
/// every character but ASCII letters, digits, `.`, `-` and `_` replaced by `_`.
///
/// Where that replaces more than `/` and `:`, where the URL has a query, or where it is too long, `-` and 16 hex
/// digits of the whole URL's FNV-1a hash follow, so that such URLs do not fall together. Two directories that differ
/// only by `/` and `_` still do, as in devpi; whoever keeps such files must compare the file's URL too.
/// The result starts with `http`: it is never `.` or `..`.
pub(super) fn directory(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (location, query) = rest.split_once('?').map_or((rest, None), |(location, query)| (location, Some(query)));
    let parent = location.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut directory = String::with_capacity(url.len());
    directory.push_str(if scheme == "https" { "https" } else { "http" });
    directory.push('_');
    let mut faithful = query.is_none();
    for character in parent.chars() {
        match character {
            '-' | '.' | '_' => directory.push(character),
            character if character.is_ascii_alphanumeric() => directory.push(character),
            character => {
                faithful &= matches!(character, '/' | ':');
                directory.push('_');
            }
        }
    }
    if directory.len() > DIRECTORY_BYTES_MAX {
        directory.truncate(DIRECTORY_BYTES_MAX);
        faithful = false;
    }
    if !faithful {
        directory.push_str(&format!("-{:016x}", fnv1a(url.as_bytes())));
    }
    directory
}

/// Writes a path of [`File::path`](super::File::path) for use in a URL: each segment escaped, `+f` and `+e` left raw.
/// A file of another index, its home, is reached through the common root.
pub(super) fn write_path(out: &mut Vec<u8>, file: &super::File, home: Option<&IndexName>) {
    if let Some(home) = home {
        out.extend_from_slice(b"../../");
        write_segment(out, home.user());
        out.push(b'/');
        write_segment(out, home.index());
        out.push(b'/');
    }
    match &file.sha256 {
        Some(sha256) => {
            out.extend_from_slice(b"+f/");
            out.extend_from_slice(&sha256.prefix().directory_bytes());
        }
        None => {
            out.extend_from_slice(b"+e/");
            out.extend_from_slice(file.link_directory().as_bytes());
        }
    }
    out.push(b'/');
    write_segment(out, file.filename.as_str());
}

fn write_segment(out: &mut Vec<u8>, segment: &str) {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'.' | b'_' | b'~');
    if every_byte(segment, is_unreserved) {
        return out.extend_from_slice(segment.as_bytes());
    }
    for piece in utf8_percent_encode(segment, &SEGMENT) {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// FNV-1a of 64 bits: the same on every machine and in every version, which the standard hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links() -> Links {
        Links::new(Some(Url::parse("https://index.example/simple/demo/").unwrap()))
    }

    #[test]
    fn takes_http_only() {
        for (raw, url) in [
            ("demo-1.whl", Some("https://index.example/simple/demo/demo-1.whl")),
            ("../../f/demo-1.whl#sha256=0", Some("https://index.example/f/demo-1.whl")),
            ("//cdn.example/demo-1.whl", Some("https://cdn.example/demo-1.whl")),
            ("http://cdn.example:80/a/../demo-1.whl?x=1", Some("http://cdn.example/demo-1.whl?x=1")),
            ("HTTPS://CDN.example/demo-1.whl", Some("https://cdn.example/demo-1.whl")),
            ("file:///etc/passwd", None),
            ("javascript:alert(1)//demo-1.whl", None),
            ("data:text/html,demo-1.whl", None),
            ("ftp://cdn.example/demo-1.whl", None),
            ("https://user@cdn.example/demo-1.whl", None),
            ("https://user:word@cdn.example/demo-1.whl", None),
            ("https://", None),
            ("https://[::1", None),
        ] {
            assert_eq!(links().resolve(raw).as_deref(), url, "{raw}");
        }
        assert_eq!(Links::new(None).resolve("demo-1.whl"), None);
    }

    #[test]
    fn moves_its_base_within_the_origin_only() {
        for (base, url) in [
            ("/files/", "https://index.example/files/d.whl"),
            ("https://index.example/x/y", "https://index.example/x/d.whl"),
            ("https://evil.example/", "https://index.example/simple/demo/d.whl"),
            ("http://index.example/", "https://index.example/simple/demo/d.whl"),
            ("https://index.example:8443/", "https://index.example/simple/demo/d.whl"),
        ] {
            let mut links = links();
            links.rebase(base);
            assert_eq!(links.resolve("d.whl").as_deref(), Some(url), "{base}");
        }
    }

    #[test]
    fn knows_path_and_last_segment() {
        let url = "https://cdn.example:8443/a/b%20c/demo-1%2Blocal.whl?sig=/x/y.whl";
        assert_eq!(path_of(url), "/a/b%20c/demo-1%2Blocal.whl");
        assert_eq!(last_segment(url).as_deref(), Some("demo-1+local.whl"));
        assert_eq!(path_of(""), "");
        assert_eq!(last_segment("https://cdn.example/%ff.whl"), None);
    }

    #[test]
    fn directories_are_devpis_where_they_can_be() {
        for (url, expected) in [
            ("https://cdn.example/a/b_c/d-1.whl", "https_cdn.example_a_b_c"),
            ("http://cdn.example:8080/d-1.whl", "http_cdn.example_8080"),
        ] {
            assert_eq!(directory(url), expected);
        }
        let odd = ["https://c.example/a%20b/d.whl", "https://c.example/a b/d.whl", "https://c.example/a/d.whl?v=2"];
        let directories = odd.map(directory);
        assert!(directories.iter().all(|one| directories.iter().filter(|other| *other == one).count() == 1));
        let deep = |end: &str| directory(&format!("https://c.example/{}{end}/d.whl", "a/".repeat(200)));
        assert_ne!(deep("x"), deep("y"));
        assert_eq!(deep("x").len(), DIRECTORY_BYTES_MAX + 17);
    }

    proptest! {
        #[test]
        fn a_remembered_origin_changes_nothing(rest in "[a-z./@:%~!?\\\\#^{}é \\-]{0,30}") {
            let raw = format!("https://cdn.example/{rest}");
            let mut warm = links();
            warm.resolve("https://cdn.example/first.whl");
            prop_assert_eq!(warm.resolve(&raw), links().resolve(&raw));
        }

        #[test]
        fn a_segment_is_escaped_where_it_must_be(segment in any::<String>(), plain in "[ -~]{0,20}") {
            for segment in [segment, plain] {
                let mut out = Vec::new();
                write_segment(&mut out, &segment);
                prop_assert_eq!(out, utf8_percent_encode(&segment, &SEGMENT).to_string().into_bytes());
            }
        }

        #[test]
        fn never_panics_and_stays_safe(raw in ".{0,80}") {
            if let Some(url) = links().resolve(&raw) {
                prop_assert!(url.starts_with("http"));
                prop_assert!(!url.contains('#'));
                prop_assert!(path_of(&url).starts_with('/'));
                let _ = last_segment(&url);
            }
            let directory = directory(&raw);
            prop_assert!(directory.starts_with("http_"));
            prop_assert!(directory.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)));
        }
    }
}

//! Conditions on an answer: validators (RFC 9110 §13) and a `Cache-Control` (RFC 9111 §5.2).
//!
//! Entity tags are given as they stand in the field, quotes and `W/` included. Times are seconds since 1970, UTC.

use std::time::UNIX_EPOCH;

/// What a `Cache-Control` asks or states, as far as we heed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheDirectives {
    /// The answer is to be checked with its source first.
    pub no_cache: bool,
    pub no_store: bool,
    /// In seconds; a number too large to hold is the largest. The smallest of several wins.
    pub max_age_s: Option<u64>,
}

/// Whether a 304 answers the request: the client's copy is current.
///
/// `If-None-Match` compares weakly, knows lists and `*`, and where it is sent `If-Modified-Since` is not read
/// (RFC 9110 §13.1.3), not even when the list is junk.
pub fn not_modified(
    if_none_match: Option<&str>,
    if_modified_since: Option<&str>,
    etag: &str,
    last_modified: Option<u64>,
) -> bool {
    if let Some(list) = if_none_match {
        return list.trim_ascii() == "*" || Tags(list).any(|tag| opaque(tag) == opaque(etag));
    }
    match (if_modified_since.and_then(unix_time), last_modified) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// Whether a `Range` may be heeded: there is no `If-Range`, or it names exactly the bytes that we have.
///
/// Tags compare strongly, dates must be equal (RFC 9110 §13.1.5). A doubt is answered with the whole file, never with
/// a part of another.
pub fn if_range(header: Option<&str>, etag: &str, last_modified_unix: Option<u64>) -> bool {
    let Some(validator) = header.map(|header| header.trim_ascii()) else {
        return true;
    };
    if validator.contains('"') {
        return validator == etag && etag.starts_with('"');
    }
    last_modified_unix.is_some() && unix_time(validator) == last_modified_unix
}

/// Reads a `Cache-Control`, several lines joined by `, `. Directives that we do not know are passed over.
pub fn cache_directives(cache_control: Option<&str>) -> CacheDirectives {
    let mut directives = CacheDirectives::default();
    for directive in cache_control.unwrap_or_default().split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case("no-cache") {
            directives.no_cache = true;
        } else if name.eq_ignore_ascii_case("no-store") {
            directives.no_store = true;
        } else if name.eq_ignore_ascii_case("max-age") {
            let digits = value.trim_matches([' ', '\t', '"']);
            if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let seconds = digits.parse().unwrap_or(u64::MAX);
                directives.max_age_s = Some(directives.max_age_s.map_or(seconds, |other| other.min(seconds)));
            }
        }
    }
    directives
}

/// The entity tags of a list, as written. A tag may hold a comma, so the quotes decide where one ends; what is not a
/// tag is skipped.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let rest = self.0.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return None;
            }
            let quoted = rest.strip_prefix("W/").unwrap_or(rest);
            let tag = quoted
                .strip_prefix('"')
                .and_then(|inside| inside.find('"'))
                .and_then(|end| rest.split_at_checked(rest.len() - quoted.len() + end + 2));
            if let Some((tag, rest)) = tag {
                self.0 = rest;
                return Some(tag);
            }
            self.0 = rest.find(',').and_then(|comma| rest.get(comma..)).unwrap_or_default();
        }
    }
}

/// A tag without its `W/`: what weak comparison compares (RFC 9110 §8.8.3.2).
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// An HTTP date in any of its three forms (RFC 9110 §5.6.7).
fn unix_time(date: &str) -> Option<u64> {
    let time = httpdate::parse_http_date(date.trim_ascii()).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, the example of RFC 9110.
    const EXAMPLE: u64 = 784_111_777;
    const DATES: [&str; 3] =
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];

    #[test]
    fn compares_tags_weakly_for_a_304() {
        for (list, current) in [
            (r#""abc""#, true),
            (r#"W/"abc""#, true),
            (r#""x", "abc""#, true),
            (r#""x" ,W/"abc","y""#, true),
            (r#""a,b", "abc""#, true),
            (r#"  ,, "abc" "#, true),
            (r#"junk, "abc""#, true),
            ("*", true),
            (" * ", true),
            (r#""x""#, false),
            (r#""a", "b,"abc"#, false),
            (r#""x,abc""#, false),
            ("abc", false),
            (r#""abc"#, false),
            (r#"w/"abc""#, false),
            ("", false),
            ("W/", false),
        ] {
            for etag in [r#""abc""#, r#"W/"abc""#] {
                assert_eq!(not_modified(Some(list), None, etag, None), current, "{list} against {etag}");
            }
        }
        assert!(!not_modified(None, None, r#""abc""#, Some(EXAMPLE)));
    }

    #[test]
    fn compares_dates_only_without_a_tag() {
        for date in DATES {
            assert!(not_modified(None, Some(date), r#""a""#, Some(EXAMPLE)), "{date}");
            assert!(not_modified(None, Some(date), r#""a""#, Some(EXAMPLE - 1)), "{date}");
            assert!(!not_modified(None, Some(date), r#""a""#, Some(EXAMPLE + 1)), "{date}");
            assert!(!not_modified(None, Some(date), r#""a""#, None), "{date}");
            assert!(!not_modified(Some(r#""b""#), Some(date), r#""a""#, Some(EXAMPLE)), "{date}");
            assert!(!not_modified(Some("junk"), Some(date), r#""a""#, Some(EXAMPLE)), "{date}");
        }
        assert!(!not_modified(None, Some("yesterday"), r#""a""#, Some(0)));
    }

    #[test]
    fn a_part_needs_the_exact_bytes() {
        assert!(if_range(None, r#""a""#, None));
        assert!(if_range(Some(r#""a""#), r#""a""#, None));
        assert!(if_range(Some(r#" "a" "#), r#""a""#, None));
        for validator in [r#""b""#, r#"W/"a""#, "a", "", r#""a", "b""#, "*"] {
            assert!(!if_range(Some(validator), r#""a""#, Some(EXAMPLE)), "{validator}");
        }
        assert!(!if_range(Some(r#"W/"a""#), r#"W/"a""#, None));
        for date in DATES {
            assert!(if_range(Some(date), r#""a""#, Some(EXAMPLE)));
            assert!(!if_range(Some(date), r#""a""#, Some(EXAMPLE - 1)));
            assert!(!if_range(Some(date), r#""a""#, Some(EXAMPLE + 1)));
            assert!(!if_range(Some(date), r#""a""#, None));
        }
        assert!(!if_range(Some("junk"), r#""a""#, None));
    }

    #[test]
    fn reads_cache_control() {
        let read = |field| cache_directives(Some(field));
        assert_eq!(cache_directives(None), CacheDirectives::default());
        assert_eq!(read("public, foo=\"bar\", max-age"), CacheDirectives::default());
        for field in ["no-cache", "NO-CACHE", "max-stale, no-cache", "no-cache=\"set-cookie\""] {
            assert!(read(field).no_cache, "{field}");
        }
        assert!(read("no-store").no_store && !read("no-store").no_cache);
        for (field, seconds) in [
            ("max-age=0", Some(0)),
            ("max-age=600, public", Some(600)),
            ("Max-Age = \"60\"", Some(60)),
            ("max-age=600, max-age=60", Some(60)),
            ("max-age=99999999999999999999999", Some(u64::MAX)),
            ("max-age=-1", None),
            ("max-age=1.5", None),
            ("s-maxage=5", None),
        ] {
            assert_eq!(read(field).max_age_s, seconds, "{field}");
            assert!(!read(field).no_cache, "{field}");
        }
    }

    proptest! {
        #[test]
        fn finds_a_tag_in_any_list(
            tags in prop::collection::vec("(W/)?\"[!#-~]{0,8}\"", 1..6),
            blank in "[ \t]{0,2}",
            pick: prop::sample::Index,
        ) {
            let list = tags.join(&format!("{blank},{blank}"));
            prop_assert_eq!(Tags(&list).collect::<Vec<_>>(), tags.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert!(not_modified(Some(&list), None, pick.get(tags.as_slice()).as_str(), None));
            prop_assert!(!not_modified(Some(&list), None, "\"not one of them\"", None));
        }

        #[test]
        fn never_panics(a in "[W/\", a-c*]{0,20}|.{0,30}", b in ".{0,40}") {
            not_modified(Some(&a), Some(&b), "\"a\"", Some(1));
            not_modified(None, Some(&b), "\"a\"", Some(1));
            if_range(Some(&a), "\"a\"", Some(1));
            cache_directives(Some(&a));
        }
    }
}

//! The credentials that a request carries: `Authorization: Basic` of installers, `X-Devpi-Auth` of devpi's client,
//! `Authorization: Bearer` of whoever has only a token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;

/// Longest user, colon and password in base64, in bytes: a long token and room to spare, less than a head.
const CREDENTIALS_BYTES_MAX: usize = 8 * 1024;

/// The user's name that stands for a token alone; uploaders send it too.
pub const TOKEN_USER: &str = "__token__";

/// User and password (or token) of a request, from the values of `Authorization` and `X-Devpi-Auth`.
///
/// `X-Devpi-Auth` wins where it can be read, as with devpi. What cannot be read is no credentials: the request is
/// anonymous. The password is not yet wrapped: it should become a secret type before anything else is done with it.
pub fn credentials(authorization: Option<&str>, x_devpi_auth: Option<&str>) -> Option<(String, String)> {
    x_devpi_auth.and_then(pair).or_else(|| {
        let (scheme, rest) = authorization?.trim_ascii().split_once(' ')?;
        match scheme {
            _ if scheme.eq_ignore_ascii_case("basic") => pair(rest),
            _ if scheme.eq_ignore_ascii_case("bearer") => bearer(rest),
            _ => None,
        }
    })
}

/// Reads base64 of `user:password`; the first colon splits, so a password may have more of them.
fn pair(encoded: &str) -> Option<(String, String)> {
    let encoded = encoded.trim_ascii();
    if encoded.len() > CREDENTIALS_BYTES_MAX {
        return None;
    }
    let decoded = String::from_utf8(STANDARD_PAD_INDIFFERENT.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// A token is visible ASCII (RFC 6750 §2.1).
fn bearer(token: &str) -> Option<(String, String)> {
    let token = token.trim_ascii();
    let good = (1..=CREDENTIALS_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| (TOKEN_USER.to_owned(), token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn some(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn reads_basic_and_bearer() {
        for (value, expected) in [
            ("Basic cm9vdDpodW50ZXIy", some("root", "hunter2")),
            ("basic cm9vdDpodW50ZXIy", some("root", "hunter2")),
            ("BASIC   cm9vdDpodW50ZXIy ", some("root", "hunter2")),
            // With padding and without: alice:a, alice:ab.
            ("Basic YWxpY2U6YQ==", some("alice", "a")),
            ("Basic YWxpY2U6YQ", some("alice", "a")),
            ("Basic YWxpY2U6YWI", some("alice", "ab")),
            ("Basic YTpiOmM=", some("a", "b:c")),
            ("Basic Og==", some("", "")),
            ("Basic w6Q6w7Y=", some("ä", "ö")),
            ("Bearer sidewheel_token_0", some("__token__", "sidewheel_token_0")),
            ("bearer a.b-c~d+e/f==", some("__token__", "a.b-c~d+e/f==")),
        ] {
            assert_eq!(credentials(Some(value), None), expected, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_nobody() {
        for value in [
            "",
            " ",
            "Basic",
            "Basic ",
            "Basic\tcm9vdDpodW50ZXIy",
            "Basic cm9vdA==",
            "Basic cm9v dDpodW50ZXIy",
            "Basic cm9vdDpodW50ZXIy,",
            "Basic _-__",
            "Basic /zr/",
            "Basic =",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer tökén",
            "Digest cm9vdDpodW50ZXIy",
            "cm9vdDpodW50ZXIy",
        ] {
            assert_eq!(credentials(Some(value), None), None, "{value}");
        }
        assert_eq!(credentials(None, None), None);
        let longest = STANDARD.encode(format!("a:{}", "b".repeat(CREDENTIALS_BYTES_MAX / 4 * 3 - 2)));
        assert!(credentials(None, Some(&longest)).is_some());
        assert!(credentials(None, Some(&format!("{longest}AAAA"))).is_none());
        assert!(credentials(Some(&format!("Bearer {}", "a".repeat(CREDENTIALS_BYTES_MAX + 1))), None).is_none());
    }

    #[test]
    fn devpis_own_field_wins_where_it_can_be_read() {
        let basic = Some("Basic cm9vdDpodW50ZXIy");
        assert_eq!(credentials(basic, Some(" YWxpY2U6YQ== ")), some("alice", "a"));
        assert_eq!(credentials(None, Some("YWxpY2U6YQ")), some("alice", "a"));
        for unreadable in ["", "!", "YWxpY2U=", "Basic YWxpY2U6YQ=="] {
            assert_eq!(credentials(basic, Some(unreadable)), some("root", "hunter2"), "{unreadable}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(
            authorization in prop::option::of(r"\PC{0,60}|(?i:basic|bearer) {0,2}[A-Za-z0-9+/=:]{0,40}"),
            devpi in prop::option::of(r"\PC{0,60}|[A-Za-z0-9+/]{0,40}={0,3}"),
        ) {
            let _ = credentials(authorization.as_deref(), devpi.as_deref());
        }

        #[test]
        fn what_is_sent_is_read(user in "[^:]{0,20}", password in ".{0,30}", padded: bool) {
            let mut encoded = STANDARD.encode(format!("{user}:{password}"));
            if !padded {
                encoded = encoded.trim_end_matches('=').to_owned();
            }
            let expected = Some((user, password));
            prop_assert_eq!(credentials(None, Some(&encoded)), expected.clone());
            prop_assert_eq!(credentials(Some(&format!("Basic {encoded}")), None), expected);
        }
    }
}

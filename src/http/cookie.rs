//! The one cookie of ours, among those that every server on this host may have given the browser.

/// The value of the cookie `name` in a `Cookie` field; none where there is none.
///
/// A cookie knows no port and no scheme: who else serves on this host may have set one of our name. Two that differ
/// could be read in two ways, and then there is none. Lines that a proxy had apart are joined by a comma, which no value
/// of ours holds.
pub fn cookie<'a>(field: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut found = None;
    for pair in field?.split([';', ',']) {
        let Some((key, value)) = pair.split_once('=') else { continue };
        if key.trim_ascii() != name {
            continue;
        }
        let value = value.trim_ascii();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        if bare.is_empty() || !bare.bytes().all(is_ours) || found.is_some_and(|before| before != bare) {
            return None;
        }
        found = Some(bare);
    }
    found
}

/// What the values that we give out are made of.
fn is_ours(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ours_is_found_among_those_of_others() {
        for (field, expected) in [
            ("ours=abc", Some("abc")),
            ("  ours = abc  ", Some("abc")),
            ("ours=\"abc\"", Some("abc")),
            ("a=1; ours=abc_-Z9; b=2", Some("abc_-Z9")),
            ("a=1;ours=abc;b=2", Some("abc")),
            ("a=1, ours=abc", Some("abc")),
            ("ours=abc; ours=abc", Some("abc")),
            ("junk; =; ;; ours=abc; more junk", Some("abc")),
            ("other=x=ours=y; ours=abc", Some("abc")),
            ("a=\"q; ours=abc", Some("abc")),
            ("", None),
            ("ours", None),
            ("ours=", None),
            ("ours=\"\"", None),
            ("ours=\"", None),
            ("ours=a b", None),
            ("ours=a%62c", None),
            ("ours=abc\u{e9}", None),
            ("ours=<script>", None),
            ("Ours=abc", None),
            ("ours2=abc", None),
            ("xours=abc", None),
            ("not-ours=abc", None),
            ("x=ours=abc", None),
            ("ours=abc; ours=abd", None),
            ("ours=abc; ours=", None),
            ("ours=abc, ours=abd", None),
        ] {
            assert_eq!(cookie(Some(field), "ours"), expected, "{field}");
        }
        assert_eq!(cookie(None, "ours"), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_finds_only_what_could_be_ours(field in r"\PC{0,80}|(ours|a)=[A-Za-z0-9;, =\x22]{0,40}") {
            if let Some(value) = cookie(Some(&field), "ours") {
                prop_assert!(!value.is_empty() && value.bytes().all(is_ours));
            }
        }
    }
}

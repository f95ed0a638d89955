//! The way back: where a person goes after a login or after a form, as a browser told it.

use super::route::{Routed, TARGET_BYTES_MAX, route};

/// `text`, when it is an address of ours that a browser can be sent to: a path of this origin that leads somewhere.
///
/// A browser takes `//host` for another server and a `\` for a `/`, and drops line ends: nothing of that kind passes.
pub fn way_back(text: &str) -> Option<&str> {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let plain = (1..=TARGET_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && text.starts_with('/')
        && !path.contains("//")
        && !text.contains('#');
    (plain && matches!(route(text), Routed::Found { .. } | Routed::Redirect { .. })).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_pass() {
        for good in ["/", "/+account", "/alice/dev", "/alice/dev/", "/alice/dev/demo/1.0?page=2", "/+search?q=a%20b//c"]
        {
            assert_eq!(way_back(good), Some(good));
        }
        let long = format!("/{}", "a".repeat(TARGET_BYTES_MAX));
        for bad in [
            "",
            "alice/dev",
            "//evil.example/",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/alice//evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x=y",
            " /+account",
            "https://evil.example/",
            "http:/evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "/+account#x",
            "/+nothing",
            "/%2f%2fevil.example/%",
            "/ü",
            &long,
        ] {
            assert_eq!(way_back(bad), None, "{bad}");
        }
    }
}

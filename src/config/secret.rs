use std::fmt;

/// A text that is never shown: not by `Debug`, not by `Display`, so not in logs or errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

const REDACTED: &str = "[secret]";

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Longest value that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 120;

/// A value as an error may repeat it: without what may be the user information of a URL, and bounded.
pub(super) fn redact(value: &str) -> String {
    let shown = match value.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("//").map(|(scheme, _)| format!("{scheme}//"));
            format!("{}***@{after}", scheme.unwrap_or_default())
        }
        None => value.to_owned(),
    };
    if shown.chars().count() <= SHOWN_CHARS_MAX {
        return shown;
    }
    shown.chars().take(SHOWN_CHARS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_itself_and_passwords_in_urls() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)).matches("hunter2").count(), 0);
        assert_eq!(secret.expose(), "hunter2");
        for (value, shown) in [
            ("https://user:hunter2@index.example/", "https://***@index.example/"),
            ("https://user:hun@ter2@index.example/", "https://***@index.example/"),
            ("//hunter2@x", "//***@x"),
            ("https://index.example/", "https://index.example/"),
            ("user:hunter2@index.example", "***@index.example"),
            ("https://u:hunter2//x@index.example/", "https://***@index.example/"),
        ] {
            assert_eq!(redact(value), shown);
        }
        assert_eq!(redact(&"é".repeat(500)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}

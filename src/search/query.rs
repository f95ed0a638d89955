use std::fmt;

/// What somebody typed, as names and words are compared with it: lower case, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("a search has at most {QUERY_BYTES_MAX} bytes")]
    TooLong,
    #[error("a search has at most {QUERY_WORDS_MAX} words")]
    TooManyWords,
}

/// Longest text that is searched for, in bytes: no project's name is longer.
pub const QUERY_BYTES_MAX: usize = 200;

/// Words in it, at most.
pub const QUERY_WORDS_MAX: usize = 8;

impl Query {
    /// Reads what was typed; `None` when there is no letter and no digit in it.
    pub fn parse(text: &str) -> Result<Option<Self>, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::TooLong);
        }
        let lower = text.to_lowercase();
        let words: Vec<String> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        if words.len() > QUERY_WORDS_MAX {
            return Err(QueryError::TooManyWords);
        }
        Ok((!words.is_empty()).then_some(Self { words }))
    }

    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The words as the name of a project has them: `requests-toolbelt`.
    pub fn as_name(&self) -> String {
        self.words.join("-")
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_is_read_as_words() {
        for (text, words) in [
            ("Requests", vec!["requests"]),
            ("  zope.interface_Test-x ", vec!["zope", "interface", "test", "x"]),
            ("naïve Ärger", vec!["naïve", "ärger"]),
        ] {
            assert_eq!(Query::parse(text).unwrap().unwrap().words(), words);
        }
        assert_eq!(Query::parse("Zope.interface").unwrap().unwrap().as_name(), "zope-interface");
        for nothing in ["", " ", "-_.", "\"*'%"] {
            assert_eq!(Query::parse(nothing), Ok(None));
        }
        assert_eq!(Query::parse(&"x".repeat(201)), Err(QueryError::TooLong));
        assert_eq!(Query::parse(&"x ".repeat(9)), Err(QueryError::TooManyWords));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,90}") {
            let _ = Query::parse(&text);
        }
    }
}

use super::MARK;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is noted in the service's file, for those who come after: it says where things are, and changes whenever the
/// service has to be restarted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    #[serde(default)]
    pub data: PathBuf,
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// The log; none where the manager keeps it.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// What is written before there is a log.
    #[serde(default)]
    pub early_log: Option<PathBuf>,
    /// SHA-256 of the configuration file.
    #[serde(default)]
    pub settings: Option<String>,
}

impl Record {
    /// One line, for a comment: it holds no `--`, which would end one of XML.
    pub fn line(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{MARK} {}", json.replace("--", "-\\u002d"))
    }

    /// Reads it back out of a file.
    pub fn find(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(MARK)?;
        let line = rest.lines().next()?.trim().trim_end_matches("-->").trim_end();
        serde_json::from_str(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_read_back_out_of_a_comment(data in "/[a-z \"\\\\%$>-]{0,20}", log in proptest::option::of("/.{0,20}")) {
            let log: Option<PathBuf> = log.map(PathBuf::from);
            let record = Record { data: data.into(), log, config: Some("/c--d--".into()), ..Record::default() };
            let line = record.line();
            prop_assert!(!line.contains("--") && !line.contains('\n'), "{line}");
            prop_assert_eq!(Record::find(&format!("<!-- {line} -->\n<plist>")), Some(record.clone()));
            prop_assert_eq!(Record::find(&format!("# {line}\n[Unit]\n")), Some(record));
        }
    }
}

use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub status: Status,
    /// A sentence.
    pub says: String,
    /// The line to type, or to change.
    #[serde(rename = "type")]
    pub line: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Ok,
    /// It was not looked at; the sentence says why.
    Skipped,
    Warning,
    Failed,
}

impl Finding {
    pub fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, says: says.into(), line: None }
    }

    pub fn skipped(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, status: Status::Skipped, says: says.into(), line: None }
    }

    pub fn warning(check: &'static str, says: impl Into<String>, line: impl Into<String>) -> Self {
        Self { check, status: Status::Warning, says: says.into(), line: Some(line.into()) }
    }

    pub fn failed(check: &'static str, says: impl Into<String>, line: impl Into<String>) -> Self {
        Self { check, status: Status::Failed, says: says.into(), line: Some(line.into()) }
    }
}

/// Bytes as people read them.
pub fn shown_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

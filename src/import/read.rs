//! What devpi writes, read into types: digests, times, histories, addresses.

use crate::index::stamps;
use crate::names::{DigestPrefix, IndexName, Sha256};
use serde_json::{Map, Value};

/// Most lines of a file's history that are kept: each overwriting of a file adds to one line, not a line.
const LOG_LINES_MAX: usize = 1_000;

/// Longest text in a line of a history, in bytes: words, users and indexes.
const LOG_TEXT_BYTES_MAX: usize = 250;

/// What another server says the bytes of a file are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    pub sha256: Option<Sha256>,
    /// Hex.
    pub md5: Option<String>,
    /// It says something that is not computed here.
    pub other: Option<String>,
}

impl Stated {
    /// Of an entry with `hash_spec`, `hashes` and, long ago, `md5`. Where they differ, `hash_spec` is the one that devpi
    /// itself goes by.
    pub fn of(entry: &Map<String, Value>) -> Self {
        let spec = entry.get("hash_spec").and_then(Value::as_str).and_then(|spec| spec.split_once('='));
        let hashes = entry.get("hashes").and_then(Value::as_object);
        let differs = |hashes: &Map<String, Value>| {
            spec.is_some_and(|(kind, hex)| hashes.get(kind).and_then(Value::as_str).is_some_and(|other| other != hex))
        };
        let mut stated = Self::default();
        for (kind, hex) in hashes.filter(|hashes| !differs(hashes)).into_iter().flatten() {
            stated.add(kind, hex.as_str().unwrap_or_default());
        }
        if let Some(md5) = entry.get("md5").and_then(Value::as_str) {
            stated.add("md5", md5);
        }
        if let Some((kind, hex)) = spec {
            stated.add(kind, hex);
        }
        stated
    }

    /// Takes `sha256=…` as it ends an address.
    pub fn of_fragment(fragment: &str) -> Self {
        let mut stated = Self::default();
        if let Some((kind, hex)) = fragment.split_once('=') {
            stated.add(kind, hex);
        }
        stated
    }

    fn add(&mut self, kind: &str, hex: &str) {
        match kind {
            "sha256" => self.sha256 = Sha256::from_hex(hex).ok(),
            "md5" => self.md5 = Some(hex.to_ascii_lowercase()),
            _ => self.other = Some(format!("{kind}={hex}")),
        }
    }

    /// Whether bytes with these digests are the ones that are meant, and why not.
    pub fn check(&self, sha256: &Sha256, md5: Option<&str>) -> Result<(), String> {
        if let Some(stated) = self.sha256.filter(|stated| stated != sha256) {
            return Err(format!("its bytes have the SHA-256 {sha256}, and {stated} is stated"));
        }
        if let (Some(stated), Some(md5)) = (&self.md5, md5)
            && stated != md5
        {
            return Err(format!("its bytes have the MD5 {md5}, and {stated} is stated"));
        }
        match &self.other {
            Some(other) if self.sha256.is_none() && self.md5.is_none() => {
                Err(format!("only {other:?} is stated of it, which cannot be checked here"))
            }
            _ => Ok(()),
        }
    }
}

/// Where devpi has a file: `{user}/{index}/+f/{aaa}/{b13}/{filename}` or `{user}/{index}/+e/{directory}/{filename}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub index: IndexName,
    /// `f/aaa/bbbbbbbbbbbbb` or `e/DIRECTORY`.
    pub place: String,
    pub filename: String,
}

impl Address {
    /// Reads a path of exactly that form; every part is one that can be a file's name.
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let (user, index, place, filename) = match parts.as_slice() {
            [user, index, "+f", three, thirteen, filename] => {
                DigestPrefix::from_directories(three, thirteen).ok()?;
                (user, index, format!("f/{three}/{thirteen}"), filename)
            }
            [user, index, "+e", directory, filename] if is_plain(directory) => {
                (user, index, format!("e/{directory}"), filename)
            }
            _ => return None,
        };
        let index = IndexName::from_parts(user, index).ok()?;
        is_plain(filename).then(|| Self { index, place, filename: (*filename).to_owned() })
    }
}

/// Whether this is one segment of a path that leads nowhere else.
pub fn is_plain(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && segment.len() <= 255 && !segment.chars().any(|c| c == '/' || c.is_control())
}

/// A file's history, line by line as ours is, and when the file was uploaded (Unix seconds), if that is told.
pub fn history(log: Option<&Value>) -> (Vec<Value>, Option<u64>) {
    let lines = log.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let lines: Vec<Value> = lines.iter().take(LOG_LINES_MAX).filter_map(line).collect();
    let first = |what: &str| lines.iter().find(|line| line.get("what").and_then(Value::as_str) == Some(what));
    let uploaded = first("upload").or_else(|| first("push")).and_then(|line| when(line.get("when")?));
    (lines, uploaded)
}

fn line(raw: &Value) -> Option<Value> {
    let raw = raw.as_object()?;
    let text = |key: &str| raw.get(key).and_then(Value::as_str).filter(|text| text.len() <= LOG_TEXT_BYTES_MAX);
    let mut line = Map::new();
    line.insert("what".to_owned(), text("what")?.into());
    line.insert("who".to_owned(), text("who").map_or(Value::Null, Value::from));
    when(raw.get("when")?)?;
    line.insert("when".to_owned(), raw.get("when")?.clone());
    for key in ["src", "dst"] {
        if let Some(text) = text(key) {
            line.insert(key.to_owned(), text.into());
        }
    }
    if let Some(count) = raw.get("count").and_then(Value::as_u64) {
        line.insert("count".to_owned(), count.into());
    }
    Some(line.into())
}

fn when(parts: &Value) -> Option<u64> {
    let parts: Vec<i64> = parts.as_array()?.iter().map(Value::as_i64).collect::<Option<_>>()?;
    stamps::unix_of_parts(parts.try_into().ok()?)
}

/// Unix seconds of an entry's `last_modified`.
pub fn last_modified(entry: &Map<String, Value>) -> Option<u64> {
    stamps::unix_of_http(entry.get("last_modified")?.as_str()?)
}

pub fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn stated(entry: Value) -> Stated {
        Stated::of(entry.as_object().unwrap())
    }

    #[test]
    fn digests_are_read_as_devpi_means_them() {
        let (one, other) = (Sha256::of(b"1"), Sha256::of(b"2"));
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        let said =
            stated(json!({"hash_spec": format!("sha256={one}"), "hashes": {"sha256": other.to_hex(), "md5": "x"}}));
        assert_eq!(said, Stated { sha256: Some(one), ..Stated::default() }, "hash_spec wins");
        let old = stated(json!({"hash_spec": format!("md5={md5}"), "hashes": {"sha256": one.to_hex()}}));
        assert_eq!(old, Stated { sha256: Some(one), md5: Some(md5.into()), other: None });
        assert!(old.check(&one, Some(md5)).is_ok() && old.check(&other, Some(md5)).is_err());
        assert!(old.check(&one, Some("0")).is_err());
        assert_eq!(stated(json!({"md5": md5})).md5.as_deref(), Some(md5));
        assert!(stated(json!({"hash_spec": "sha512=00"})).check(&one, None).is_err());
        assert!(Stated::default().check(&one, None).is_ok());
    }

    #[test]
    fn addresses_lead_nowhere_else() {
        let good = Address::parse("a/b/+f/abc/0123456789abc/x-1.whl").unwrap();
        assert_eq!((good.place.as_str(), good.filename.as_str()), ("f/abc/0123456789abc", "x-1.whl"));
        assert_eq!(Address::parse("a/b/+e/https_x/x-1.whl").unwrap().place, "e/https_x");
        for bad in [
            "",
            "a/b/+f/abc/0123456789abc/..",
            "a/b/+f/abc/0123456789abc/x/y",
            "a/b/+e/../x",
            "a/b/+e/./x",
            "/a/b/+e/d/x",
            "../b/+e/d/x",
            "a/b/+f/ABC/0123456789abc/x",
            "a/b/+e/d/",
            "a/b/+e/d/x\n",
            "a/b/+g/d/x",
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn histories_tell_when_a_file_came() {
        let log = json!([
            {"what": "overwrite", "who": null, "when": [2026, 11, 23, 7, 0, 0], "count": 2, "more": 1},
            {"what": "upload", "who": "alice", "when": [2026, 11, 23, 7, 6, 15], "dst": "alice/dev"},
            {"what": "push", "who": "alice", "when": [2026, 11, 24, 7, 6, 15], "src": "alice/dev", "dst": "alice/prod"},
            {"what": "x", "when": "never"}, 7,
        ]);
        let (lines, uploaded) = history(Some(&log));
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], json!({"what": "overwrite", "who": null, "when": [2026, 11, 23, 7, 0, 0], "count": 2}));
        assert_eq!(lines[2], log[2]);
        assert_eq!(uploaded.map(stamps::iso).as_deref(), Some("2026-11-23T07:06:15Z"));
        assert_eq!(history(None), (Vec::new(), None));
    }

    proptest! {
        #[test]
        fn nothing_panics(path in ".{0,60}", spec in ".{0,40}") {
            if let Some(address) = Address::parse(&path) {
                prop_assert!(!address.filename.contains('/') && !address.place.contains(".."));
            }
            let _ = stated(json!({"hash_spec": spec, "hashes": {"md5": spec, "sha256": spec}}));
        }
    }
}

use super::{Script, Upstream};
use crate::support::sha256;
use bytes::Bytes;
use serde_json::{Value, json};
use std::io::{Cursor, Read};

#[derive(Default)]
pub(super) struct Project {
    pub html_only: bool,
    pub serial: u64,
    files: Vec<Entry>,
}

struct Entry {
    filename: String,
    url: String,
    sha256: Option<String>,
    size: Option<usize>,
    upload_time: String,
    requires_python: Option<String>,
    yanked: Option<String>,
    metadata_sha256: Option<String>,
}

/// Fills a project. What is set holds for the file added last.
pub struct ProjectScript<'a> {
    upstream: &'a Upstream,
    name: String,
}

impl<'a> ProjectScript<'a> {
    pub(super) fn new(upstream: &'a Upstream, name: &str) -> Self {
        Self { upstream, name: name.to_owned() }.change(|_, _| {})
    }

    /// Adds a file (of any kind), or puts another in its place: on the page and under `/files/`.
    pub fn wheel(self, filename: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let path = format!("/files/{filename}");
        let entry = Entry {
            filename: filename.to_owned(),
            url: self.upstream.url(&path),
            sha256: Some(sha256(&bytes)),
            size: Some(bytes.len()),
            upload_time: "2026-01-02T03:04:05.678901Z".into(),
            requires_python: None,
            yanked: None,
            metadata_sha256: None,
        };
        self.change(|script, project| {
            project.files.retain(|known| known.filename != entry.filename);
            project.files.push(entry);
            script.files.insert(path, bytes);
        })
    }

    pub fn remove(self, filename: &str) -> Self {
        self.change(|script, project| {
            project.files.retain(|known| known.filename != filename);
            script.files.remove(&format!("/files/{filename}"));
        })
    }

    /// Serves and announces the METADATA that the wheel holds.
    pub fn with_metadata(self) -> Self {
        self.change(|script, project| {
            let entry = project.files.last_mut().unwrap();
            let path = format!("/files/{}", entry.filename);
            let metadata = metadata(&script.files[&path]);
            entry.metadata_sha256 = Some(sha256(&metadata));
            script.files.insert(format!("{path}.metadata"), metadata);
        })
    }

    pub fn requires_python(self, value: &str) -> Self {
        self.entry(|entry| entry.requires_python = Some(value.to_owned()))
    }

    pub fn yanked(self, reason: &str) -> Self {
        self.entry(|entry| entry.yanked = Some(reason.to_owned()))
    }

    pub fn upload_time(self, value: &str) -> Self {
        self.entry(|entry| entry.upload_time = value.to_owned())
    }

    /// Announces another URL; the file stays where it is.
    pub fn url(self, url: &str) -> Self {
        self.entry(|entry| entry.url = url.to_owned())
    }

    /// Announces another digest than the file's.
    pub fn says_sha256(self, hex: &str) -> Self {
        self.entry(|entry| entry.sha256 = Some(hex.to_owned()))
    }

    pub fn without_hash(self) -> Self {
        self.entry(|entry| entry.sha256 = None)
    }

    pub fn without_size(self) -> Self {
        self.entry(|entry| entry.size = None)
    }

    /// Has no JSON page, whatever Accept says.
    pub fn html_only(self) -> Self {
        self.change(|_, project| project.html_only = true)
    }

    fn entry(self, change: impl FnOnce(&mut Entry)) -> Self {
        self.change(|_, project| change(project.files.last_mut().unwrap()))
    }

    fn change(self, change: impl FnOnce(&mut Script, &mut Project)) -> Self {
        let mut script = self.upstream.script();
        let mut project = script.projects.remove(&self.name).unwrap_or_default();
        script.serial += 1;
        project.serial = script.serial;
        change(&mut script, &mut project);
        script.projects.insert(self.name.clone(), project);
        drop(script);
        self
    }
}

impl Project {
    pub fn json(&self, name: &str) -> String {
        let mut versions: Vec<_> = self.files.iter().filter_map(|entry| entry.filename.split('-').nth(1)).collect();
        versions.iter_mut().for_each(|version| *version = version.trim_end_matches(".tar.gz"));
        versions.dedup();
        let files: Vec<_> = self.files.iter().map(Entry::json).collect();
        json!({
            "meta": {"api-version": "1.1", "_last-serial": self.serial},
            "name": name, "versions": versions, "files": files,
        })
        .to_string()
    }

    pub fn html(&self, name: &str) -> String {
        let links: String = self.files.iter().map(Entry::html).collect();
        format!(
            "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.1\">\
             <title>Links for {name}</title></head><body>\n<h1>Links for {name}</h1>\n{links}</body></html>\n"
        )
    }
}

impl Entry {
    fn json(&self) -> Value {
        let hashes = self.sha256.as_ref().map_or(json!({}), |sha256| json!({ "sha256": sha256 }));
        let metadata = self.metadata_sha256.as_ref().map_or(json!(false), |sha256| json!({ "sha256": sha256 }));
        let mut file = json!({
            "filename": self.filename, "url": self.url, "hashes": hashes,
            "upload-time": self.upload_time, "requires-python": self.requires_python,
            "core-metadata": metadata, "data-dist-info-metadata": metadata,
            "yanked": self.yanked.as_ref().map_or(json!(false), |reason| json!(reason)),
        });
        if let Some(size) = self.size {
            file["size"] = json!(size);
        }
        file
    }

    fn html(&self) -> String {
        let hash = self.sha256.as_ref().map(|sha256| format!("#sha256={sha256}")).unwrap_or_default();
        let mut attributes = String::new();
        for (name, value) in [
            ("requires-python", self.requires_python.clone()),
            ("yanked", self.yanked.clone()),
            ("core-metadata", self.metadata_sha256.as_ref().map(|sha256| format!("sha256={sha256}"))),
        ] {
            if let Some(value) = value {
                let value =
                    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
                attributes.push_str(&format!(" data-{name}=\"{value}\""));
            }
        }
        format!("<a href=\"{}{hash}\"{attributes}>{}</a><br>\n", self.url, self.filename)
    }
}

fn metadata(wheel: &Bytes) -> Bytes {
    let mut zip = zip::ZipArchive::new(Cursor::new(wheel)).unwrap();
    let name = zip
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .find(|name| name.ends_with(".dist-info/METADATA"))
        .unwrap();
    let mut bytes = Vec::new();
    zip.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes.into()
}

//! Uploading in the browser.

use super::assets::path_of;
use super::forms::{Line, Typed, hidden};
use super::index::segment;
use super::parts::{index_link, to_index};
use super::{Asked, Page};
use crate::http::index_path;
use crate::index::IndexError;
use crate::names::{IndexName, ProjectName};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A file that a browser sent, and what became of it.
pub struct Sent {
    /// As the browser called it.
    pub filename: String,
    pub outcome: Outcome,
}

pub enum Outcome {
    /// It is published; or these very bytes were there already, where files stay as they are.
    There { project: ProjectName, version: Option<String>, before: bool },
    /// Why it was not taken.
    Refused(String),
}

impl Sent {
    /// Where it is shown.
    pub fn path(&self, index: &IndexName) -> Option<String> {
        match &self.outcome {
            Outcome::There { project, version, .. } => {
                let version = version.iter().map(|version| format!("/{}", segment(version))).collect::<String>();
                Some(format!("{}/{project}{version}", index_path(index)))
            }
            Outcome::Refused(_) => None,
        }
    }

    /// What became of it, in words.
    pub fn words(&self) -> String {
        match &self.outcome {
            Outcome::There { project, version, before } => {
                let version = version.iter().map(|version| format!(" {version}")).collect::<String>();
                let what = if *before { "was there already" } else { "published" };
                format!("{project}{version} {what}")
            }
            Outcome::Refused(why) => why.clone(),
        }
    }
}

/// `/{user}/{index}/+upload`
pub fn upload(asked: &Asked<'_>, index: &IndexName) -> Result<Page, IndexError> {
    asked.index.may_upload(&asked.viewer.subject, index)?;
    let body = html! {
        h1 { "Upload to " (index) }
        @match &asked.viewer.form_token {
            Some(token) => { (files(index, token)) (docs(index, token)) }
            None => { p { a href="/+login" { "Log in" } " with this browser to upload with it." } }
        }
    };
    Ok(Page::new(format!("Upload to {index}"), body).below(to_index(index)))
}

/// What became of files that came without a script.
pub fn uploaded(index: &IndexName, sent: &[Sent]) -> Page {
    let body = html! {
        h1 { "Upload to " (index) }
        ul .uploads {
            @for one in sent {
                li {
                    code { (one.filename) } " "
                    @match one.path(index) {
                        Some(path) => a href=(path) { (one.words()) },
                        None => span .bad { (one.words()) },
                    }
                }
            }
        }
        p { a href={ (index_path(index)) "/+upload" } { "Upload more" } " · " (index_link(index)) }
    };
    Page::new(format!("Upload to {index}"), body).below(to_index(index))
}

fn files(index: &IndexName, token: &str) -> Markup {
    html! {
        p { "Wheels and source distributions. Name, version and everything else is read out of each file." }
        (form(index, token, "files", html! {
            div .field.drop {
                label for="files-content" { "Files" }
                input #files-content type="file" name="content" multiple required aria-describedby="files-hint";
                p .hint #files-hint { "Choose one or more" span .with-script hidden { ", or drop them here" } "." }
            }
            button .main type="submit" { "Upload" }
        }))
        p #upload-status .small role="status" {}
        ol #uploads .uploads {}
        script defer src=(path_of("upload.js")) {}
    }
}

fn docs(index: &IndexName, token: &str) -> Markup {
    let line = |name, id, label, hint, required| {
        Line { name, id, label, hint, kind: "text", complete: "off", required, list: None }.shown(&Typed::default())
    };
    html! {
        details {
            summary { "Documentation of a release…" }
            (form(index, token, "docs", html! {
                (hidden("what", "docs"))
                (line("name", "docs-name", "Project", "", true))
                (line("version", "docs-version", "Version", "Empty: the newest release.", false))
                div .field {
                    label for="docs-content" { "Archive" }
                    input #docs-content type="file" name="content" required accept=".zip" aria-describedby="docs-hint";
                    p .hint #docs-hint { "A zip with an index.html at its top, as a documentation tool makes it." }
                }
                button type="submit" { "Upload documentation" }
            }))
        }
    }
}

/// The token stands before the files: what is not ours need not be looked at further.
fn form(index: &IndexName, token: &str, id: &str, inside: Markup) -> Markup {
    let query = utf8_percent_encode(index.as_str(), NON_ALPHANUMERIC);
    html! {
        form id=(id) method="post" action={ "/+do/upload?index=" (query) } enctype="multipart/form-data" {
            (hidden("token", token))
            (inside)
        }
    }
}

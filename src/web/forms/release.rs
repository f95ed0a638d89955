//! What can be done with a release and with a project, where the page of it offers it; each action looks again whether
//! the viewer may.

use super::{Form, Typed, choice, hidden, lines, post, tick};
use crate::http::index_path;
use crate::index::{IndexEntry, IndexError, PushAsk, Pushed, Removal, YANK_REASON_BYTES_MAX};
use crate::names::{DigestPrefix, IndexName, ProjectName};
use crate::rules::{self, Verdict};
use crate::web::parts::index_link;
use crate::web::{Acted, Asked, Note, Page};
use maud::{Markup, html};

/// Indexes that are offered to promote to.
const TARGETS_MAX: usize = 200;

/// What is yanked: all files of a release, or one.
pub enum Yankable<'a> {
    Version(&'a str),
    File(&'a str, DigestPrefix),
}

/// The form that yanks, or takes it back, on the stage that has the release; nothing for who may not. `back` is the
/// page that it stands on.
pub fn yank(
    asked: &Asked<'_>,
    stage: &IndexEntry,
    project: &ProjectName,
    what: &Yankable<'_>,
    yanked: bool,
    back: &str,
) -> Markup {
    let may = rules::may_delete(&asked.viewer.subject, &stage.name, &stage.settings) == Verdict::Allowed;
    if !may || !stage.is_stage() || asked.viewer.form_token.is_none() {
        return html! {};
    }
    let form = yank_fields(&stage.name, project, what, back);
    let typed = Typed { form, wrong: Vec::new() };
    let named = what.words();
    html! {
        @if yanked {
            (post(asked, "unyank", html! {
                (what_fields(&typed))
                button type="submit" { "Take the yank of " (named) " on " (stage.name) " back" }
            }))
        } @else {
            details .menu {
                summary { "Yank " (named) " on " (stage.name) }
                (yank_form(asked, &typed))
            }
        }
    }
}

fn yank_form(asked: &Asked<'_>, typed: &Typed) -> Markup {
    let id = format!("reason-{}-{}", typed.value("index"), typed.value("file"));
    post(
        asked,
        "yank",
        html! {
            (what_fields(typed))
            (lines(typed, ("reason", &id), "Why", "Installers show it to who asks for this very version. May be empty.", 2))
            button .main type="submit" { "Yank" }
        },
    )
}

fn yank_fields(stage: &IndexName, project: &ProjectName, what: &Yankable<'_>, back: &str) -> Form {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut fields = vec![field("index", stage.as_str()), field("project", project.as_str()), field("back", back)];
    match what {
        Yankable::Version(version) => fields.push(field("version", version)),
        Yankable::File(file, prefix) => fields.extend([field("file", file), field("place", &prefix.directories())]),
    }
    Form::of(fields)
}

/// The fields that say what is meant, as they came.
fn what_fields(typed: &Typed) -> Markup {
    html! {
        @for name in ["index", "project", "version", "file", "place", "back"] {
            @if let Some(value) = typed.form.get(name) { (hidden(name, value)) }
        }
    }
}

impl Yankable<'_> {
    fn words(&self) -> String {
        match self {
            Self::Version(version) => format!("release {version}"),
            Self::File(file, _) => (*file).to_owned(),
        }
    }
}

pub(in crate::web) async fn do_yank(asked: &Asked<'_>, form: &Form, yanks: bool) -> Result<Acted, IndexError> {
    let (index, project) = (form.index()?, form.project()?);
    let reason = form.get("reason").unwrap_or_default().trim();
    if reason.len() > YANK_REASON_BYTES_MAX {
        let sentence = format!("a reason has at most {YANK_REASON_BYTES_MAX} bytes");
        let typed = Typed::wrong(form, "reason", &sentence);
        let body = html! { h1 { "Yank " (project) } (yank_form(asked, &typed)) };
        return Ok(Acted::Again(Page::new("Yank", body), IndexError::Invalid(sentence)));
    }
    let what = match (form.text("file"), form.text("version")) {
        (Some(file), _) => Removal::File(file, place(form)?),
        (None, Some(version)) => Removal::Version(&project, version),
        (None, None) => return Err(IndexError::Invalid("the form names neither a release nor a file".to_owned())),
    };
    asked.index.yank(&asked.viewer.subject, &index, &what, yanks.then(|| reason.to_owned())).await?;
    let to = form.back().map_or_else(|| project_path(&index, &project), str::to_owned);
    Ok(Acted::Done { to, note: if yanks { Note::Yanked } else { Note::Unyanked } })
}

/// The directories of a file's address: `abc/def0123456789`.
fn place(form: &Form) -> Result<DigestPrefix, IndexError> {
    let directories = form.need("place")?.split_once('/');
    directories
        .and_then(|(three, thirteen)| DigestPrefix::from_directories(three, thirteen).ok())
        .ok_or_else(|| IndexError::Invalid("the form does not say where the file is".to_owned()))
}

/// The form that promotes a release from the index of this page to another; nothing where there is none to promote to.
pub fn promote(asked: &Asked<'_>, source: &IndexName, project: &ProjectName, version: &str) -> Markup {
    if asked.viewer.form_token.is_none() || targets(asked, source).is_empty() {
        return html! {};
    }
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (index, project) = (field("index", source.as_str()), field("project", project.as_str()));
    let form = Form::of([index, project, field("version", version), field("docs", "yes")]);
    html! {
        details .menu {
            summary { "Promote release " (version) }
            (promote_form(asked, source, &Typed { form, wrong: Vec::new() }))
        }
    }
}

fn promote_form(asked: &Asked<'_>, source: &IndexName, typed: &Typed) -> Markup {
    let options: Vec<_> = targets(asked, source).into_iter().map(|name| (name.to_string(), name.to_string())).collect();
    post(
        asked,
        "promote",
        html! {
            (what_fields(typed))
            (choice(typed, ("target", "promote-target"), "To the index", "Its files are the same bytes; nothing is uploaded again.", &options))
            (tick(typed, ("docs", "promote-docs"), "With its documentation", ""))
            button .main type="submit" { "Promote" }
        },
    )
}

/// The indexes that the viewer may promote to: where he may upload.
fn targets(asked: &Asked<'_>, source: &IndexName) -> Vec<IndexName> {
    let catalog = asked.index.catalog();
    let subject = &asked.viewer.subject;
    let may = catalog.indexes.values().filter(|entry| {
        entry.is_stage()
            && entry.name != *source
            && rules::may_upload(subject, &entry.name, &entry.settings) == Verdict::Allowed
    });
    may.map(|entry| entry.name.clone()).take(TARGETS_MAX).collect()
}

pub(in crate::web) async fn do_promote(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let (source, project, version) = (form.index()?, form.project()?, form.need("version")?);
    let target = IndexName::parse(form.need("target")?).map_err(|why| IndexError::Invalid(why.to_string()))?;
    let ask = PushAsk {
        name: project.to_string(),
        project: project.clone(),
        version: version.to_owned(),
        files: true,
        docs: form.ticked("docs"),
    };
    let title = format!("Promote {project} {version}");
    match asked.index.push(&asked.viewer.subject, &source, ask, &target).await {
        Ok(pushed) => Ok(Acted::Shown(promoted_page(&project, version, &source, &target, &pushed))),
        // devpi's word for who may not upload there.
        Err(IndexError::Unproved(sentence)) => Err(IndexError::Forbidden(sentence)),
        Err(why @ (IndexError::Invalid(_) | IndexError::Conflict(_) | IndexError::Forbidden(_))) => {
            let typed = Typed::wrong(form, "target", why.to_string());
            let body = html! { h1 { (title) } (promote_form(asked, &source, &typed)) };
            Ok(Acted::Again(Page::new(title, body), why))
        }
        Err(why) => Err(why),
    }
}

fn promoted_page(
    project: &ProjectName,
    version: &str,
    source: &IndexName,
    target: &IndexName,
    pushed: &Pushed,
) -> Page {
    let words = |entry: &[serde_json::Value]| {
        let word = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        entry.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    let body = html! {
        h1 { (project) " " (version) " is promoted" }
        p .notice .good role="status" { "From " (index_link(source)) " to " (index_link(target)) "." }
        h2 #log { "What was done" }
        div .wide tabindex="0" role="region" aria-labelledby="log" {
            ol { @for entry in &pushed.log { li { code { (words(entry)) } } } }
        }
        p { a .button .main href=(project_path(target, project)) { "See it there" } }
    };
    Page::new(format!("{project} {version} is promoted"), body)
}

/// The form that has upstream asked anew about a project; any reader may, once logged in.
pub fn refresh(asked: &Asked<'_>, index: &IndexName, project: &ProjectName, back: &str) -> Markup {
    post(
        asked,
        "refresh",
        html! {
            (hidden("index", index.as_str())) (hidden("project", project.as_str())) (hidden("back", back))
            button type="submit" { "Ask upstream anew" }
        },
    )
}

pub(in crate::web) async fn do_refresh(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let (index, project) = (form.index()?, form.project()?);
    let entry = asked.index.readable(&asked.viewer.subject, &index)?;
    asked.index.refresh(&entry, &project).await?;
    let to = form.back().map_or_else(|| project_path(&index, &project), str::to_owned);
    Ok(Acted::Done { to, note: Note::Refreshed })
}

/// The form that takes a mirror's project out of the cache, for who may change the mirror.
pub fn purge(asked: &Asked<'_>, mirror: &IndexEntry, project: &ProjectName, back: &str) -> Markup {
    let may = rules::may_modify_index(&asked.viewer.subject, &mirror.name) == Verdict::Allowed;
    if !may || mirror.is_stage() || asked.viewer.form_token.is_none() {
        return html! {};
    }
    html! {
        details .menu {
            summary { "Purge from the cache of " (mirror.name) }
            p { "The cached files and pages of " (project) " go; they are fetched anew when somebody asks. What was uploaded here stays." }
            (post(asked, "purge", html! {
                (hidden("index", mirror.name.as_str())) (hidden("project", project.as_str())) (hidden("back", back))
                button .bad type="submit" { "Purge" }
            }))
        }
    }
}

pub(in crate::web) async fn do_purge(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let (mirror, project) = (form.index()?, form.project()?);
    asked.index.purge_project(&asked.viewer.subject, &mirror, &project).await?;
    let to = form.back().map_or_else(|| project_path(&mirror, &project), str::to_owned);
    Ok(Acted::Done { to, note: Note::Purged })
}

fn project_path(index: &IndexName, project: &ProjectName) -> String {
    format!("{}/{project}", index_path(index))
}

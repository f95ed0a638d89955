//! Removing in the browser, and taking it back.

use super::forms::{Form, hidden, post};
use super::parts::time;
use super::{Acted, Asked, Note};
use crate::http::index_path;
use crate::index::{IndexError, Removal, UNDO_SECONDS};
use crate::names::{DigestPrefix, IndexName, ProjectName};
use crate::rules::{self, Verdict};
use crate::store::{KeptRemoval, RemovedPart};
use maud::{Markup, html};

/// Removals that a page offers to undo; what is older is told by its number.
const OFFERED_MAX: usize = 10;

/// A button that removes something of a stage, behind one more click; nothing for who may not.
pub fn removal(asked: &Asked<'_>, index: &IndexName, project: &ProjectName, what: &Removal<'_>) -> Markup {
    let Ok(entry) = asked.index.entry(index) else { return Markup::default() };
    let may = entry.is_stage() && rules::may_delete(&asked.viewer.subject, index, &entry.settings) == Verdict::Allowed;
    if !may {
        return Markup::default();
    }
    let name = match what {
        Removal::Project(project) => format!("all releases of {project}"),
        Removal::Version(project, version) => format!("{project} {version}"),
        Removal::File(filename, _) => (*filename).to_owned(),
    };
    let minutes = UNDO_SECONDS / 60;
    html! {
        @if asked.viewer.form_token.is_some() {
            details .menu {
                summary { "Remove " (name) " from " (index) "…" }
                (post(asked, "remove", html! {
                    (hidden("index", index.as_str())) (hidden("project", project.as_str()))
                    @match what {
                        Removal::Project(_) => (hidden("what", "project")),
                        Removal::Version(_, version) => { (hidden("what", "version")) (hidden("version", version)) }
                        Removal::File(filename, prefix) => {
                            (hidden("what", "file")) (hidden("file", filename)) (hidden("at", &prefix.directories()))
                        }
                    }
                    p { "It is gone for everybody at once. For " (minutes) " minutes it can be undone; then its files are gone for good." }
                    @if !entry.volatile() {
                        p {
                            label { input type="checkbox" name="force" value="yes" required; " Remove it although files of " (index) " stay as they are" }
                        }
                    }
                    button .bad type="submit" { "Remove " (name) }
                }))
            }
        }
    }
}

/// What can be undone on an index, or of one of its projects; nothing for who may not, or where there is nothing.
pub async fn removals(asked: &Asked<'_>, index: &IndexName, of: Option<&ProjectName>) -> Result<Markup, IndexError> {
    if asked.viewer.form_token.is_none() {
        return Ok(Markup::default());
    }
    let mut kept = asked.index.removals(&asked.viewer.subject, index).await?;
    kept.retain(|removal| of.is_none_or(|project| removal.project == *project));
    let more = kept.len().saturating_sub(OFFERED_MAX);
    Ok(html! {
        @if !kept.is_empty() {
            section .notice aria-label="Removed" {
                ul .plain {
                    @for removal in kept.iter().take(OFFERED_MAX) { (offered(asked, removal)) }
                    @if more > 0 { li { "and " (more) " more before" } }
                }
            }
        }
    })
}

fn offered(asked: &Asked<'_>, removal: &KeptRemoval) -> Markup {
    let (project, minutes) = (&removal.project, removal.until.saturating_sub(asked.now).div_ceil(60));
    let name = match &removal.part {
        RemovedPart::Project => format!("All releases of {project}"),
        RemovedPart::Version(version) => format!("{project} {version}"),
        RemovedPart::File(filename) => filename.clone(),
    };
    html! {
        li .actions {
            span {
                strong { (name) } " " @if removal.files == 1 { "was" } @else { "(" (removal.files) " files) was" } " removed "
                (time(asked, removal.at)) @if let Some(by) = &removal.by { " by " (by) }
                "; " (minutes) " min left"
            }
            (post(asked, "undo", html! {
                (hidden("removal", &removal.id.to_string()))
                button type="submit" aria-label={ "Undo the removal of " (name) } { "Undo" }
            }))
        }
    }
}

/// `/+do/remove`
pub(super) async fn remove(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let (index, project) = (form.index()?, form.project()?);
    let what = match form.need("what")? {
        "project" => Removal::Project(&project),
        "version" => Removal::Version(&project, form.need("version")?),
        "file" => {
            let place = form.need("at")?.split_once('/');
            let prefix = place.and_then(|(three, rest)| DigestPrefix::from_directories(three, rest).ok());
            let prefix = prefix.ok_or_else(|| IndexError::Invalid("the form does not say which file".to_owned()))?;
            Removal::File(form.need("file")?, prefix)
        }
        _ => return Err(IndexError::Invalid("a project, a version or a file is removed".to_owned())),
    };
    asked.index.remove_with_undo(&asked.viewer.subject, &index, &what, form.ticked("force")).await?;
    Ok(Acted::Done { to: page_of(asked, &index, &project).await, note: Note::Removed })
}

/// `/+do/undo`
pub(super) async fn undo(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let id = form.need("removal")?.parse();
    let id = id.map_err(|_| IndexError::Invalid("the form does not say what to undo".to_owned()))?;
    let back = asked.index.undo(&asked.viewer.subject, id).await?;
    Ok(Acted::Done { to: page_of(asked, &back.index, &back.project).await, note: Note::Undone })
}

/// Where a person goes on: to the project's page, if it still has one.
async fn page_of(asked: &Asked<'_>, index: &IndexName, project: &ProjectName) -> String {
    let path = index_path(index);
    let Ok(entry) = asked.index.readable(&asked.viewer.subject, index) else { return path };
    match asked.index.seen(&entry, project).await {
        Ok(_) => format!("{path}/{project}"),
        Err(_) => path,
    }
}

use super::release::{Yankable, promote, purge, refresh, yank};
use super::{hidden, post};
use crate::http::index_path;
use crate::index::{IndexEntry, Removal};
use crate::names::{IndexName, ProjectName};
use crate::store::FileRow;
use crate::web::index::segment;
use crate::web::releases::Release;
use crate::web::{Asked, removal};
use maud::{Markup, html};

/// What the viewer may do with a release, on its page within an index.
pub fn for_release(asked: &Asked<'_>, entry: &IndexEntry, project: &ProjectName, release: &Release<'_>) -> Markup {
    let back = format!("{}/{project}/{}", index_path(&entry.name), segment(&release.version));
    let catalog = asked.index.catalog();
    let mut forms = Vec::new();
    for staged in release.stages.iter().filter(|staged| !staged.is_mirror && !staged.files.is_empty()) {
        let Some(stage) = catalog.index(staged.index) else { continue };
        let yanked = staged.files.iter().all(|file| file.yanked.is_yanked());
        forms.push(yank(asked, stage, project, &Yankable::Version(&staged.version), yanked, &back));
    }
    forms.push(promote(asked, &entry.name, project, &release.version));
    for staged in release.stages.iter().filter(|staged| !staged.is_mirror) {
        forms.push(removal(asked, staged.index, project, &Removal::Version(project, &staged.version)));
    }
    section(&forms, "Manage this release")
}

/// What the viewer may do with a project, on its page within an index. `owned`: whether that has releases of its own.
pub fn for_project(asked: &Asked<'_>, entry: &IndexEntry, project: &ProjectName, owned: bool) -> Markup {
    let back = format!("{}/{project}", index_path(&entry.name));
    let catalog = asked.index.catalog();
    let mirrors = entry.order.iter().filter_map(|name| catalog.index(name)).filter(|mirror| !mirror.is_stage());
    let mut forms: Vec<_> = mirrors.map(|mirror| purge(asked, mirror, project, &back)).collect();
    if !forms.is_empty() {
        forms.insert(0, refresh(asked, &entry.name, project, &back));
    }
    if owned {
        forms.push(removal(asked, &entry.name, project, &Removal::Project(project)));
    }
    section(&forms, "Manage this project")
}

/// What the viewer may do with one of our files, where the page at `back` tells of it.
pub fn for_file(asked: &Asked<'_>, row: &FileRow) -> Markup {
    let catalog = asked.index.catalog();
    let Some(stage) = catalog.index(&row.index) else { return html! {} };
    let back = format!("{}/{}/{}", index_path(&row.index), row.project, segment(&row.version));
    let file = Yankable::File(&row.filename, row.sha256.prefix());
    let what = Removal::File(&row.filename, row.sha256.prefix());
    html! {
        (yank(asked, stage, &row.project, &file, row.yanked.is_some(), &back))
        (removal(asked, &row.index, &row.project, &what))
    }
}

/// The way to a file: a link, where anybody may follow it or the browser has to prove itself there anyway; within a
/// session a form, for the address of a file is the API's and takes no cookie.
pub fn file_link(asked: &Asked<'_>, index: &IndexName, path: &str, filename: &str) -> Markup {
    let needs_form = asked.viewer.form_token.is_some() && asked.index.is_public(index) != Some(true);
    html! {
        @if needs_form {
            (post(asked, "download", html! { (hidden("file", path)) button .plain type="submit" { (filename) } }))
        } @else {
            a href=(path) { (filename) }
        }
    }
}

fn section(forms: &[Markup], title: &str) -> Markup {
    html! {
        @if forms.iter().any(|form| !form.0.is_empty()) {
            section .manage aria-labelledby="manage" {
                h2 #manage { (title) }
                @for form in forms { (form) }
            }
        }
    }
}

use super::assets::path_of;
use super::{Asked, Page};
use crate::rules::Subject;
use maud::{DOCTYPE, Markup, html};

/// The whole document.
pub fn document(asked: &Asked<'_>, page: &Page) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (page.title) " · Sidewheel" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(to) = &page.again { meta http-equiv="refresh" content={ "0;url=" (to) }; }
                meta name="color-scheme" content="light dark";
                link rel="icon" type="image/svg+xml" href=(path_of("icon.svg"));
                link rel="stylesheet" href=(path_of("style.css"));
                script defer src=(path_of("app.js")) {}
                script defer src=(path_of("search.js")) {}
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header .top {
                    a .brand href="/" { (icon()) "Sidewheel" }
                    form .find role="search" action="/+search" {
                        label .unseen for="find" { "Search projects" }
                        input #find type="search" name="q" placeholder="Search projects" autocomplete="off";
                    }
                    nav aria-label="Site" {
                        a href="/+status" { "Status" }
                        (account(asked))
                    }
                }
                @if !page.above.is_empty() {
                    nav .trail aria-label="Breadcrumb" {
                        ol { @for (text, path) in &page.above { li { a href=(path) { (text) } } } }
                    }
                }
                main #main tabindex="-1" {
                    @if let Some(note) = page.note { (note.shown()) }
                    (page.body)
                }
                footer {
                    p { "Sidewheel " (env!("CARGO_PKG_VERSION")) " · " a href="/+metrics" { "metrics" } " · " a href="/+health" { "health" } }
                }
            }
        }
    };
    markup.into_string()
}

/// What a person sees in place of a page: a sentence, and the way out.
pub fn problem(status: u16, phrase: &str, sentence: &str) -> Page {
    let body = html! {
        h1 { (status) " " (phrase) }
        p .lead { (sentence) }
        @if status == 403 { p { "Who owns the index, or root, can give the permission." } }
        p { a href="/" { "Back to the indexes" } }
    };
    Page::new(phrase, body)
}

fn account(asked: &Asked<'_>) -> Markup {
    match (&asked.viewer.subject, &asked.viewer.form_token) {
        (Subject::User { name, .. }, Some(token)) => html! {
            a href="/+account" { (name) }
            form action="/+do/logout" method="post" {
                input type="hidden" name="token" value=(token);
                button .plain type="submit" { "Log out" }
            }
        },
        _ => html! { a href="/+login" { "Log in" } },
    }
}

/// A wheel at the side of a ship.
fn icon() -> Markup {
    html! { img src=(path_of("icon.svg")) alt="" width="24" height="24"; }
}

use super::front::{cards, readable};
use super::{Asked, Page};
use crate::index::IndexError;
use crate::names::UserName;
use crate::rules::{self, Verdict};
use maud::html;

/// `/{user}`: a user and its indexes.
pub fn user(asked: &Asked<'_>, name: &UserName) -> Result<Page, IndexError> {
    let user = asked.index.user(name)?;
    let fact = |key: &str| user.facts.get(key).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
    let indexes: Vec<_> = readable(asked).into_iter().filter(|entry| entry.name.user() == name.as_str()).collect();
    let any = crate::names::IndexName::from_parts(name.as_str(), "new").ok();
    let may_create = any.is_some_and(|any| rules::may_create_index(&asked.viewer.subject, &any) == Verdict::Allowed);
    let body = html! {
        h1 { (name) }
        @if let Some(title) = fact("title") { p .lead { (title) } }
        @if let Some(description) = fact("description") { p { (description) } }
        h2 { "Indexes" }
        @if indexes.is_empty() { p { (name) " has no index that you may read." } }
        (cards(&indexes))
        @if may_create && asked.viewer.form_token.is_some() {
            p { a .button href={ "/" (name) "/+new" } { "Create an index" } }
        }
    };
    Ok(Page::new(name.as_str(), body).below([("Indexes".to_owned(), "/".to_owned())]))
}

use super::{Asked, Page};
use crate::index::IndexError;
use maud::html;

/// `/+account`: a person's own page.
pub async fn account(asked: &Asked<'_>) -> Result<Page, IndexError> {
    let Some(user) = asked.viewer.subject.user() else {
        return Err(IndexError::NeedsLogin("this page is for who is logged in".to_owned()));
    };
    let body = html! {
        h1 { (user) }
    };
    Ok(Page::new("Your account", body))
}

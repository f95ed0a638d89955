use super::Page;
use super::forms::{Line, Typed, hidden};
use maud::html;

/// `/+login`: where a person says who he is. `typed` has `user` and `next`, the place to go on to.
pub fn login(typed: &Typed) -> Page {
    let line = |name, label, kind, complete| Line {
        name,
        id: name,
        label,
        hint: "",
        kind,
        complete,
        required: true,
        list: None,
    };
    let body = html! {
        h1 { "Log in" }
        (typed.wrong_on_the_whole())
        form method="post" action="/+login" {
            (hidden("next", typed.value("next")))
            (line("user", "User", "text", "username").shown(typed))
            (line("password", "Password", "password", "current-password").shown(typed))
            div .actions { button .main type="submit" { "Log in" } }
        }
        p .small .soft { "A session is for this browser alone, and ends by itself. Programs use tokens: make them on your account's page." }
    };
    Page::new("Log in", body)
}

/// In place of a page that needs a login, for who followed a link from elsewhere: the browser shows who is logged in only
/// to what our own pages ask for, so this page asks once more.
pub fn once_more(to: &str) -> Page {
    let body = html! {
        h1 { "One moment" }
        p { a href=(to) { "Go on to the page" } }
    };
    Page { again: Some(to.to_owned()), ..Page::new("One moment", body) }
}

/// Why a form was not taken, for who has no session any more.
pub fn not_logged_in(next: Option<&str>) -> Page {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next.unwrap_or("/")).finish();
    let body = html! {
        h1 { "You are not logged in any more" }
        p .lead { "Nothing was changed." }
        p { a .button .main href={ "/+login?" (query) } { "Log in" } " and do it once more." }
    };
    Page::new("Not logged in", body)
}

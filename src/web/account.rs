//! A person's own page: tokens, sessions, the password.

use super::client::browser;
use super::forms::{Form, Line, Typed, choice, hidden, post};
use super::parts::{badge, copyable, time};
use super::{Acted, Asked, Doer, Note, Page};
use crate::config::Secret;
use crate::index::{IndexError, TokenWish, stamps};
use crate::names::{IndexName, UserName};
use crate::rules::{ROOT, Verdict};
use crate::store::TokenRow;
use maud::{Markup, html};
use serde_json::{Map, Value};

const HERE: &str = "/+account";

/// Longest name of a token, in characters: it is for a table.
const NAME_CHARS_MAX: usize = 100;

/// Indexes that are offered while one types; the others can be typed as well.
const OFFERED_MAX: usize = 200;

const DAY_SECONDS: u64 = 86_400;

/// Days that a token may last, and the words for it.
const LIFETIMES: [(u64, &str); 4] = [(7, "in a week"), (30, "in 30 days"), (90, "in 90 days"), (365, "in a year")];

const MAY: [(&str, &str); 3] = [("read", "read"), ("upload", "upload"), ("both", "read and upload")];

/// `/+account`
pub async fn account(asked: &Asked<'_>) -> Result<Page, IndexError> {
    let ends = Form::of([("may".to_owned(), "read".to_owned()), ("ends".to_owned(), "90".to_owned())]);
    shown(asked, &Typed { form: ends, wrong: Vec::new() }).await
}

async fn shown(asked: &Asked<'_>, typed: &Typed) -> Result<Page, IndexError> {
    let Some(user) = asked.viewer.subject.user() else {
        return Err(IndexError::NeedsLogin("this page is for who is logged in".to_owned()));
    };
    let Some(session) = asked.viewer.session.as_deref() else {
        return Err(IndexError::Forbidden("this page is for who is logged in with a browser".to_owned()));
    };
    let tokens = asked.index.tokens(Some(user)).await?;
    let body = html! {
        h1 { "Your account" }
        p .lead { "You are logged in as " a href={ "/" (user) } { (user) } "." }
        (typed.wrong_on_the_whole())
        (tokens_part(asked, user, &tokens, typed))
        (sessions_part(asked, user, session).await?)
        (password_part(asked, user, typed))
        @if user.as_str() == ROOT { (user_part(asked, typed)) }
    };
    Ok(Page::new("Your account", body))
}

fn tokens_part(asked: &Asked<'_>, user: &UserName, tokens: &[TokenRow], typed: &Typed) -> Markup {
    let named: Vec<_> = tokens.iter().filter(|row| !row.login).collect();
    html! {
        h2 #tokens { "Tokens" }
        p { "Programs use a token in place of your password: it can do less, and you can take it back." }
        @if named.is_empty() { p .soft { "You have no tokens." } }
        @else {
            div .wide tabindex="0" role="region" aria-labelledby="tokens" {
                table {
                    thead { tr {
                        th scope="col" { "Name" } th scope="col" { "Index" } th scope="col" { "May" } th scope="col" { "Made" }
                        th scope="col" { "Last used" } th scope="col" { "Ends" } th scope="col" { "" span .unseen { "Revoke" } }
                    } }
                    tbody { @for row in &named { (token_row(asked, row)) } }
                }
            }
        }
        h3 { "Make a token" }
        (post(asked, "make-token", html! {
            (line("name", "token-name", "Name", "What it is for: you see it in the table above.", "text", true).shown(typed))
            (Line { list: Some("indexes"), ..line("index", "token-index", "Index", "The only index that it is for; empty: all that you may use.", "text", false) }.shown(typed))
            datalist id="indexes" { @for name in offered(asked, user) { option value=(name) {} } }
            (choice(typed, ("may", "token-may"), "It may", "", &MAY.map(|(value, words)| (value.to_owned(), words.to_owned()))))
            (choice(typed, ("ends", "token-ends"), "It ends", "", &lifetimes()))
            (line("date", "token-date", "Date", "Only for “on the date below”: its last day, in UTC.", "date", false).shown(typed))
            button .main type="submit" { "Make a token" }
        }))
    }
}

fn lifetimes() -> Vec<(String, String)> {
    let days = LIFETIMES.iter().map(|(days, words)| (days.to_string(), (*words).to_owned()));
    let others = [("date".to_owned(), "on the date below".to_owned()), ("never".to_owned(), "never".to_owned())];
    days.chain(others).collect()
}

fn token_row(asked: &Asked<'_>, row: &TokenRow) -> Markup {
    let may = match (row.read, row.upload) {
        (true, true) => "read and upload",
        (false, true) => "upload",
        _ => "read",
    };
    html! {
        tr {
            th scope="row" { (row.name) @if row.name.is_empty() { (row.id) } }
            td { @match &row.index { Some(index) => (index), None => "all" } }
            td { (may) }
            td { (time(asked, row.created)) }
            td { @match row.used { Some(used) => (time(asked, used)), None => "not yet" } }
            td { @match row.expires { Some(expires) => (until(asked, expires)), None => "never" } }
            td { (post(asked, "revoke-token", html! {
                (hidden("id", &row.id))
                button .bad type="submit" aria-label={ "Revoke " (row.name) } { "Revoke" }
            })) }
        }
    }
}

/// A time to come.
fn until(asked: &Asked<'_>, unix: u64) -> Markup {
    let iso = stamps::iso(unix);
    let day = iso.get(..10).unwrap_or_default();
    html! { time datetime=(iso) title=(iso) { (day) } @if unix <= asked.now { " " (badge("quiet", "over")) } }
}

/// Indexes that the user could want a token for.
fn offered(asked: &Asked<'_>, user: &UserName) -> Vec<IndexName> {
    let catalog = asked.index.catalog();
    let subject = &asked.viewer.subject;
    let may = |entry: &&std::sync::Arc<crate::index::IndexEntry>| {
        entry.public || crate::rules::may_read_all(subject, &catalog.order(entry)) == Verdict::Allowed
    };
    // One's own first.
    let mut names: Vec<_> = catalog.indexes.values().filter(may).map(|entry| entry.name.clone()).collect();
    names.sort_by_key(|name| (name.user() != user.as_str(), name.clone()));
    names.truncate(OFFERED_MAX);
    names
}

async fn sessions_part(asked: &Asked<'_>, user: &UserName, session: &str) -> Result<Markup, IndexError> {
    let rows = asked.index.sessions(user).await?;
    let called = |client: &str| browser(client).unwrap_or_else(|| client.to_owned());
    Ok(html! {
        h2 #sessions { "Where you are logged in" }
        div .wide tabindex="0" role="region" aria-labelledby="sessions" {
            table {
                thead { tr {
                    th scope="col" { "Browser" } th scope="col" { "Logged in" } th scope="col" { "Last used" }
                    th scope="col" { span .unseen { "Log out" } }
                } }
                tbody { @for row in &rows { tr {
                    th scope="row" title=(row.client) { (called(&row.client)) }
                    td { (time(asked, row.created)) }
                    td { (time(asked, row.used)) }
                    td {
                        @if row.id == session { (badge("good", "this browser")) }
                        @else { (post(asked, "end-session", html! {
                            (hidden("id", &row.id))
                            button type="submit" aria-label={ "Log out " (called(&row.client)) } { "Log out" }
                        })) }
                    }
                } } }
            }
        }
        @if rows.len() > 1 {
            (post(asked, "end-other-sessions", html! { button type="submit" { "Log out all others" } }))
        }
    })
}

fn password_part(asked: &Asked<'_>, user: &UserName, typed: &Typed) -> Markup {
    let secret = |name, label, hint, complete| Line { complete, ..line(name, name, label, hint, "password", true) };
    html! {
        h2 { "Change your password" }
        (post(asked, "password", html! {
            // For the browser's keeper of passwords.
            input type="text" name="user" value=(user) autocomplete="username" hidden;
            (secret("old", "Password", "", "current-password").shown(typed))
            (secret("new", "New password", "Your other browsers and devpi's logins end with it; tokens stay.", "new-password").shown(typed))
            (secret("again", "New password once more", "", "new-password").shown(typed))
            button .main type="submit" { "Change the password" }
        }))
    }
}

fn user_part(asked: &Asked<'_>, typed: &Typed) -> Markup {
    html! {
        h2 { "Make a user" }
        (post(asked, "make-user", html! {
            (line("user-name", "user-name", "Name", "", "text", true).shown(typed))
            (Line { complete: "new-password", ..line("user-password", "user-password", "First password", "Tell it to its owner, who changes it.", "password", true) }.shown(typed))
            button .main type="submit" { "Make the user" }
        }))
    }
}

fn line<'a>(name: &'a str, id: &'a str, label: &'a str, hint: &'a str, kind: &'a str, required: bool) -> Line<'a> {
    Line { name, id, label, hint, kind, complete: "off", required, list: None }
}

/// Makes a token, and shows it this once.
pub(super) async fn make_token(asked: &Asked<'_>, doer: &Doer<'_>, form: &Form) -> Result<Acted, IndexError> {
    let wish = match token_wish(asked, doer, form) {
        Ok(wish) => wish,
        Err((field, sentence)) => return again(asked, form, field, IndexError::Invalid(sentence)).await,
    };
    let index = wish.index.clone();
    let (name, upload) = (wish.name.clone(), wish.upload);
    match asked.index.create_token(wish).await {
        Ok(token) => Ok(Acted::Shown(token_page(asked, &name, &token, index.as_ref(), upload))),
        Err(why @ (IndexError::Invalid(_) | IndexError::Conflict(_))) => again(asked, form, "", why).await,
        Err(why) => Err(why),
    }
}

fn token_wish(asked: &Asked<'_>, doer: &Doer<'_>, form: &Form) -> Result<TokenWish, (&'static str, String)> {
    let name = form.text("name").ok_or_else(|| ("name", "give it a name, to know it again".to_owned()))?;
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(("name", format!("a name is a line of at most {NAME_CHARS_MAX} characters")));
    }
    let index = form.text("index").map(IndexName::parse).transpose().map_err(|why| ("index", why.to_string()))?;
    if let Some(index) = &index {
        // Who may not read it is not told whether it is there.
        asked
            .index
            .readable(&asked.viewer.subject, index)
            .map_err(|_| ("index", format!("there is no index {index}")))?;
    }
    let (read, upload) = match form.get("may") {
        Some("read") => (true, false),
        Some("upload") => (false, true),
        Some("both") => (true, true),
        _ => return Err(("may", "choose what it may".to_owned())),
    };
    let expires = match form.get("ends") {
        Some("never") => None,
        Some("date") => Some(end_of_day(asked.now, form.text("date").unwrap_or_default())?),
        ends => {
            let days = ends.and_then(|days| days.parse().ok());
            let days = days.filter(|days| LIFETIMES.iter().any(|(known, _)| known == days));
            let days: u64 = days.ok_or_else(|| ("ends", "choose when it ends".to_owned()))?;
            Some(asked.now + days * DAY_SECONDS)
        }
    };
    Ok(TokenWish { user: doer.user.clone(), name: name.to_owned(), index, read, upload, expires })
}

fn end_of_day(now: u64, date: &str) -> Result<u64, (&'static str, String)> {
    let begin = stamps::unix_of(&format!("{date}T00:00:00Z"));
    let end =
        begin.map(|begin| begin + DAY_SECONDS).ok_or_else(|| ("date", "write the day as 2027-01-31".to_owned()))?;
    if end <= now { Err(("date", "this day is over".to_owned())) } else { Ok(end) }
}

fn token_page(asked: &Asked<'_>, name: &str, token: &Secret, index: Option<&IndexName>, upload: bool) -> Page {
    let index = index.unwrap_or(asked.default_index);
    let base = asked.base;
    let (scheme, host) = base.split_once("://").unwrap_or(("http", base));
    let body = html! {
        h1 { "The token “" (name) "”" }
        p .notice .warn role="status" { "It is shown this once. Copy it now to where it is used: nobody can show it again." }
        (copyable(token.expose()))
        h2 { "How to use it" }
        p { "The user is " code { "__token__" } ", the token is the password. Installers take both from the address of the index:" }
        (copyable(&format!("{scheme}://__token__:{}@{host}/{index}/+simple/", token.expose())))
        @if upload {
            p { "To upload, give both to twine or uv:" }
            (copyable(&format!("TWINE_USERNAME=__token__ TWINE_PASSWORD={} twine upload --repository-url {base}/{index}/ dist/*", token.expose())))
        }
        p { a href=(HERE) { "Back to your account" } }
    };
    Page::new("A new token", body).below([("Your account".to_owned(), HERE.to_owned())])
}

pub(super) async fn revoke_token(asked: &Asked<'_>, doer: &Doer<'_>, form: &Form) -> Result<Acted, IndexError> {
    match asked.index.revoke_token_of(doer.user, form.need("id")?).await? {
        true => Ok(Acted::Done { to: HERE.to_owned(), note: Note::TokenRevoked }),
        false => Err(IndexError::NotThere("you have no such token; it may be revoked already".to_owned())),
    }
}

pub(super) async fn end_session(asked: &Asked<'_>, doer: &Doer<'_>, form: &Form) -> Result<Acted, IndexError> {
    match asked.index.end_session(doer.user, form.need("id")?).await? {
        true => Ok(Acted::Done { to: HERE.to_owned(), note: Note::SessionEnded }),
        false => Err(IndexError::NotThere("there is no such login of yours; it may have ended already".to_owned())),
    }
}

pub(super) async fn end_other_sessions(asked: &Asked<'_>, doer: &Doer<'_>) -> Result<Acted, IndexError> {
    asked.index.end_other_sessions(doer.user, doer.session).await?;
    Ok(Acted::Done { to: HERE.to_owned(), note: Note::SessionEnded })
}

pub(super) async fn change_password(asked: &Asked<'_>, doer: &Doer<'_>, form: &Form) -> Result<Acted, IndexError> {
    let secret = |name: &str| Secret::new(form.get(name).unwrap_or_default().to_owned());
    let wrong = |sentence: &str| IndexError::Invalid(sentence.to_owned());
    if form.get("new").unwrap_or_default().is_empty() {
        return again(asked, form, "new", wrong("a password cannot be empty")).await;
    }
    if form.get("new") != form.get("again") {
        return again(asked, form, "again", wrong("this is not the same as above")).await;
    }
    let passwords = (secret("old"), secret("new"));
    match asked.index.change_password(doer.user, doer.session, doer.peer, passwords).await {
        Ok(()) => Ok(Acted::Done { to: HERE.to_owned(), note: Note::PasswordChanged }),
        Err(why @ IndexError::Forbidden(_)) => again(asked, form, "old", why).await,
        Err(why @ IndexError::Invalid(_)) => again(asked, form, "new", why).await,
        Err(why) => Err(why),
    }
}

pub(super) async fn make_user(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let name = match UserName::parse(form.text("user-name").unwrap_or_default()) {
        Ok(name) => name,
        Err(why) => return again(asked, form, "user-name", IndexError::Invalid(why.to_string())).await,
    };
    let password = form.get("user-password").unwrap_or_default();
    if password.is_empty() {
        let why = IndexError::Invalid("a password cannot be empty".to_owned());
        return again(asked, form, "user-password", why).await;
    }
    let given = Map::from_iter([("password".to_owned(), Value::from(password))]);
    match asked.index.create_user(&asked.viewer.subject, &name, &given).await {
        Ok(_) => Ok(Acted::Done { to: HERE.to_owned(), note: Note::UserMade }),
        Err(why @ (IndexError::Invalid(_) | IndexError::Conflict(_))) => again(asked, form, "user-name", why).await,
        Err(why) => Err(why),
    }
}

/// The page once more, with the sentence at its field.
async fn again(asked: &Asked<'_>, form: &Form, field: &str, why: IndexError) -> Result<Acted, IndexError> {
    let mut typed = Typed::wrong(form, field, why.to_string());
    for (name, value) in [("may", "read"), ("ends", "90")] {
        typed.form.or(name, value);
    }
    Ok(Acted::Again(shown(asked, &typed).await?, why))
}

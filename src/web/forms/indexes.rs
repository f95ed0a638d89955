//! The forms that make an index, change it and delete it. What a person sets is written as text, in one field for each
//! setting; `rules` reads it, and its sentence stands at the field.

use super::{Form, Line, Typed, choice, hidden, lines, post, tick};
use crate::http::index_path;
use crate::index::IndexError;
use crate::names::{IndexName, UserName};
use crate::rules::{self, IndexSettings, Verdict};
use crate::web::parts::{to_index, to_user};
use crate::web::{Acted, Asked, Note, Page};
use maud::{Markup, html};
use serde_json::{Map, Value};

/// How a setting is written in the form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Url,
    Lines,
    /// One entry a line.
    List,
    Flag,
    Inheritance,
}

/// A setting that a person makes: its key, how it is written, what it is called, and what helps to fill it in.
struct Setting(&'static str, Kind, &'static str, &'static str);

const WHO: &str = "One a line: a user, :AUTHENTICATED: (who is logged in) or :ANONYMOUS: (everybody).";

const STAGE: [Setting; 10] = [
    Setting("title", Kind::Text, "Title", ""),
    Setting("description", Kind::Lines, "Description", ""),
    Setting(
        "bases",
        Kind::List,
        "Bases",
        "Indexes whose projects this one shows too, one a line; the first has precedence.",
    ),
    Setting("volatile", Kind::Flag, "Volatile", "Files may be overwritten and deleted, and the index too."),
    Setting("acl_upload", Kind::List, "Who may upload", WHO),
    Setting("acl_read", Kind::List, "Who may read", WHO),
    Setting("acl_toxresult_upload", Kind::List, "Who may add test results", WHO),
    Setting(
        "mirror_whitelist",
        Kind::List,
        "Names that may come from a mirror too",
        "A project that is uploaded here comes from here alone. One a line: what is named here may come from a mirror as well; * means all.",
    ),
    Setting(
        "mirror_whitelist_inheritance",
        Kind::Inheritance,
        "Those names along the bases",
        "Whether all indexes of the order have to name a project, or one of them.",
    ),
    Setting(
        "reserved",
        Kind::List,
        "Reserved names",
        "Never asked of a mirror, whether they were uploaded or not. One a line, acme-* for all that begin so.",
    ),
];

const MIRROR: [Setting; 12] = [
    Setting("title", Kind::Text, "Title", ""),
    Setting("description", Kind::Lines, "Description", ""),
    Setting("mirror_url", Kind::Url, "Mirrors from", "The address of a simple API, as https://example.org/simple/."),
    Setting(
        "mirror_web_url_fmt",
        Kind::Text,
        "Pages for people there",
        "The address of a project's page, with {name} in it.",
    ),
    Setting(
        "mirror_cache_expiry",
        Kind::Text,
        "Seconds until a page is asked for again",
        "Empty: what the server is set to.",
    ),
    Setting("volatile", Kind::Flag, "Volatile", "The index may be deleted."),
    Setting("acl_read", Kind::List, "Who may read", WHO),
    Setting(
        "reserved",
        Kind::List,
        "Reserved names",
        "Never asked upstream. One a line, acme-* for all that begin so.",
    ),
    Setting("mirror_no_project_list", Kind::Flag, "It has no list of projects", ""),
    Setting("mirror_use_external_urls", Kind::Flag, "Clients fetch files from there themselves", ""),
    Setting("mirror_provides_core_metadata", Kind::Flag, "It offers the metadata of wheels", ""),
    Setting("mirror_ignore_serial_header", Kind::Flag, "Its serial numbers are not heeded", ""),
];

/// Indexes that are offered as bases.
const OFFERED_MAX: usize = 200;

/// Longest name of a new index that is shown back, in characters.
const NAME_CHARS_MAX: usize = 200;

fn settings(mirror: bool) -> impl Iterator<Item = &'static Setting> {
    let all: &'static [Setting] = if mirror { &MIRROR } else { &STAGE };
    all.iter()
}

/// `/{user}/+new`; `kind` is `mirror` or nothing.
pub async fn new_index(asked: &Asked<'_>, user: &UserName, kind: Option<&str>) -> Result<Page, IndexError> {
    asked.index.user(user)?;
    let mirror = kind == Some("mirror");
    let any = IndexName::from_parts(user.as_str(), "new").map_err(|why| IndexError::Invalid(why.to_string()))?;
    may(asked, rules::may_create_index(&asked.viewer.subject, &any), "make an index here")?;
    let given = Map::from_iter([("type".to_owned(), Value::from(if mirror { "mirror" } else { "stage" }))]);
    let fresh = IndexSettings::create(user, &given).map_err(|why| IndexError::Invalid(why.to_string()))?;
    Ok(new_page(asked, user, mirror, &Typed { form: written(&fresh), wrong: Vec::new() }))
}

fn new_page(asked: &Asked<'_>, user: &UserName, mirror: bool, typed: &Typed) -> Page {
    let kind = if mirror { "mirror" } else { "stage" };
    let body = html! {
        h1 { @if mirror { "A new mirror" } @else { "A new index" } }
        @if mirror {
            p { "It fetches from another server and keeps what was asked for. " a href={ "/" (user) "/+new" } { "Make a private index instead." } }
        } @else {
            p { "It holds what is uploaded, and shows what its bases have. " a href={ "/" (user) "/+new?type=mirror" } { "Make a mirror of another server instead." } }
        }
        (typed.wrong_on_the_whole())
        (post(asked, "new-index", html! {
            (hidden("user", user.as_str()))
            (hidden("type", kind))
            (line("name", "Name", &format!("Its address becomes /{user}/NAME."), "text", true).shown(typed))
            (fields(asked, mirror, typed))
            button .main type="submit" { "Make the index" }
        }))
    };
    Page::new("A new index", body).below(to_user(user.as_str()))
}

/// `/{user}/{index}/+settings`
pub async fn index_settings(asked: &Asked<'_>, name: &IndexName) -> Result<Page, IndexError> {
    let entry = asked.index.readable(&asked.viewer.subject, name)?;
    settings_page(asked, name, &Typed { form: written(&entry.settings), wrong: Vec::new() })
}

fn settings_page(asked: &Asked<'_>, name: &IndexName, typed: &Typed) -> Result<Page, IndexError> {
    let entry = asked.index.entry(name)?;
    may(asked, rules::may_modify_index(&asked.viewer.subject, name), "change this index")?;
    let deletable = entry.volatile() && !entry.fixed;
    let body = html! {
        h1 { "Settings of " (name) }
        (typed.wrong_on_the_whole())
        (post(asked, "settings", html! {
            (hidden("index", name.as_str()))
            (fields(asked, entry.settings.is_mirror(), typed))
            button .main type="submit" { "Save the settings" }
        }))
        h2 { "Delete the index" }
        @if deletable {
            p { "It goes with all that was uploaded to it, and nobody can bring that back. Indexes that have it as a base go on without it." }
            (post(asked, "delete-index", html! {
                (hidden("index", name.as_str()))
                (line("confirm", "Type its name to confirm", name.as_str(), "text", true).shown(typed))
                button .bad type="submit" { "Delete " (name) }
            }))
        } @else if entry.fixed {
            p { "It stands in the server's own settings, and is taken out there." }
        } @else {
            p { "An index that is not volatile cannot be deleted." }
        }
    };
    Ok(Page::new(format!("Settings of {name}"), body).below(to_index(name)))
}

fn fields(asked: &Asked<'_>, mirror: bool, typed: &Typed) -> Markup {
    html! {
        @for Setting(key, kind, label, hint) in settings(mirror) {
            @match kind {
                Kind::Text => (line(key, label, hint, "text", false).shown(typed)),
                Kind::Url => (line(key, label, hint, "url", false).shown(typed)),
                Kind::Lines => (lines(typed, (key, key), label, hint, 3)),
                Kind::List => {
                    (lines(typed, (key, key), label, hint, 3))
                    @if *key == "bases" { (bases_offered(asked)) }
                },
                Kind::Flag => (tick(typed, (key, key), label, hint)),
                Kind::Inheritance => (choice(typed, (key, key), label, hint, &inheritances())),
            }
        }
    }
}

fn inheritances() -> [(String, String); 2] {
    [("intersection", "all have to name it"), ("union", "one that names it is enough")]
        .map(|(value, words)| (value.to_owned(), words.to_owned()))
}

/// The indexes that there are, for who does not know their names by heart.
fn bases_offered(asked: &Asked<'_>) -> Markup {
    let catalog = asked.index.catalog();
    let subject = &asked.viewer.subject;
    let readable = catalog
        .indexes
        .values()
        .filter(|entry| entry.public || rules::may_read_all(subject, &catalog.order(entry)) == Verdict::Allowed);
    let names: Vec<_> = readable.map(|entry| entry.name.to_string()).take(OFFERED_MAX).collect();
    html! { details .menu { summary { "Indexes that there are" } p .small { (names.join(", ")) } } }
}

fn line<'a>(name: &'a str, label: &'a str, hint: &'a str, kind: &'a str, required: bool) -> Line<'a> {
    Line { name, id: name, label, hint, kind, complete: "off", required, list: None }
}

fn may(asked: &Asked<'_>, verdict: Verdict, what: &str) -> Result<(), IndexError> {
    match verdict {
        Verdict::Allowed if asked.viewer.form_token.is_some() => Ok(()),
        Verdict::NeedsLogin => Err(IndexError::NeedsLogin(format!("log in to {what}"))),
        Verdict::Forbidden => Err(IndexError::Forbidden(format!("you may not {what}"))),
        Verdict::Allowed => Err(IndexError::Forbidden(format!("log in with a browser to {what}"))),
    }
}

/// The settings as the form writes them.
fn written(settings: &IndexSettings) -> Form {
    let json = settings.to_json();
    let mut fields = Vec::new();
    for Setting(key, kind, ..) in self::settings(settings.is_mirror()) {
        let value = json.get(*key);
        let list = || value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let text = match (kind, value) {
            (Kind::Flag, Some(Value::Bool(true))) => "yes".to_owned(),
            (Kind::Flag, _) => continue,
            // Shown only where it is not everybody.
            (Kind::List, None) if *key == "acl_read" => ":ANONYMOUS:".to_owned(),
            (Kind::List, _) => list().collect::<Vec<_>>().join("\n"),
            (_, Some(Value::String(text))) => text.clone(),
            (_, Some(Value::Null) | None) => String::new(),
            (_, Some(other)) => other.to_string(),
        };
        fields.push(((*key).to_owned(), text));
    }
    Form::of(fields)
}

/// What the form says of a setting: a value to set, or none, which takes it back.
fn said(form: &Form, Setting(key, kind, ..): &Setting) -> Option<Value> {
    match kind {
        Kind::Flag => Some(form.ticked(key).into()),
        Kind::List => {
            let entries = form.get(key).unwrap_or_default().split(['\n', ',']).map(str::trim);
            Some(entries.filter(|entry| !entry.is_empty()).collect())
        }
        Kind::Lines => form.text(key).map(|text| text.replace("\r\n", "\n").into()),
        Kind::Text | Kind::Url | Kind::Inheritance => form.text(key).map(Value::from),
    }
}

/// Sentences for the fields of the form whose setting cannot be read, each tried alone.
fn wrong_fields(
    form: &Form,
    mirror: bool,
    read: impl Fn(&str, Value) -> Result<IndexSettings, rules::SettingsError>,
    exists: impl Fn(&IndexName) -> bool,
) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for setting @ Setting(key, ..) in settings(mirror) {
        let Some(value) = said(form, setting) else { continue };
        let checked = read(key, value).and_then(|settings| match *key {
            "bases" => settings.check_bases(&exists),
            _ => Ok(()),
        });
        if let Err(why) = checked {
            wrong.push(((*key).to_owned(), why.to_string()));
        }
    }
    wrong
}

pub(in crate::web) async fn make(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let user = UserName::parse(form.need("user")?).map_err(|why| IndexError::Invalid(why.to_string()))?;
    let mirror = form.get("type") == Some("mirror");
    let kind = Value::from(if mirror { "mirror" } else { "stage" });
    let again = |wrong: Vec<(String, String)>, why: IndexError| {
        let page = new_page(asked, &user, mirror, &Typed { form: form.clone(), wrong });
        Ok(Acted::Again(page, why))
    };
    let short: String = form.text("name").unwrap_or_default().chars().take(NAME_CHARS_MAX).collect();
    let name = match IndexName::from_parts(user.as_str(), &short) {
        Ok(name) => name,
        Err(why) => return again(vec![("name".to_owned(), why.to_string())], IndexError::Invalid(why.to_string())),
    };
    may(asked, rules::may_create_index(&asked.viewer.subject, &name), "make an index here")?;
    let catalog = asked.index.catalog();
    let read = |key: &str, value| {
        let given = Map::from_iter([("type".to_owned(), kind.clone()), (key.to_owned(), value)]);
        IndexSettings::create(&user, &given)
    };
    let wrong = wrong_fields(form, mirror, read, |base| *base == name || catalog.index(base).is_some());
    if !wrong.is_empty() {
        return again(wrong, IndexError::Invalid("the settings cannot be read".to_owned()));
    }
    let mut given = Map::from_iter([("type".to_owned(), kind.clone())]);
    for setting @ Setting(key, ..) in settings(mirror) {
        given.extend(said(form, setting).map(|value| ((*key).to_owned(), value)));
    }
    match asked.index.create_index(&asked.viewer.subject, &name, &given).await {
        Ok(_) => Ok(Acted::Done { to: index_path(&name), note: Note::IndexMade }),
        Err(why @ IndexError::Conflict(_)) => again(vec![("name".to_owned(), why.to_string())], why),
        Err(why @ IndexError::Invalid(_)) => again(vec![(String::new(), why.to_string())], why),
        Err(why) => Err(why),
    }
}

pub(in crate::web) async fn change(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let name = form.index()?;
    may(asked, rules::may_modify_index(&asked.viewer.subject, &name), "change this index")?;
    let entry = asked.index.entry(&name)?;
    let mirror = entry.settings.is_mirror();
    let catalog = asked.index.catalog();
    let again = |wrong: Vec<(String, String)>, why: IndexError| {
        let page = settings_page(asked, &name, &Typed { form: form.clone(), wrong })?;
        Ok(Acted::Again(page, why))
    };
    let read = |key: &str, value| entry.settings.change(&Map::from_iter([(key.to_owned(), value)]).into());
    // A base that is gone may stay where it stands.
    let exists = |base: &IndexName| catalog.index(base).is_some() || entry.settings.bases().contains(base);
    let wrong = wrong_fields(form, mirror, read, exists);
    if !wrong.is_empty() {
        return again(wrong, IndexError::Invalid("the settings cannot be read".to_owned()));
    }
    let (mut set, mut dropped) = (Map::new(), Vec::new());
    for setting @ Setting(key, ..) in settings(mirror) {
        match said(form, setting) {
            Some(value) => drop(set.insert((*key).to_owned(), value)),
            None => dropped.push(Value::from(format!("{key}-="))),
        }
    }
    match asked.index.change_index(&asked.viewer.subject, &name, &[set.into(), dropped.into()]).await {
        Ok(_) => Ok(Acted::Done { to: index_path(&name), note: Note::IndexChanged }),
        Err(why @ (IndexError::Invalid(_) | IndexError::Conflict(_))) => {
            again(vec![(String::new(), why.to_string())], why)
        }
        Err(why) => Err(why),
    }
}

pub(in crate::web) async fn delete(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    let name = form.index()?;
    may(asked, rules::may_delete_index(&asked.viewer.subject, &name), "delete this index")?;
    if form.text("confirm") != Some(name.as_str()) {
        let why = IndexError::Invalid(format!("type {name} to confirm"));
        let entry = asked.index.entry(&name)?;
        let typed = Typed { form: written(&entry.settings), wrong: vec![("confirm".to_owned(), why.to_string())] };
        return Ok(Acted::Again(settings_page(asked, &name, &typed)?, why));
    }
    asked.index.delete_index(&asked.viewer.subject, &name).await?;
    Ok(Acted::Done { to: format!("/{}", name.user()), note: Note::IndexDeleted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_come_back_as_they_were_written() {
        let owner = UserName::parse("alice").unwrap();
        for given in [
            json!({}),
            json!({ "type": "mirror" }),
            json!({ "bases": ["root/pypi", "bob/dev"], "volatile": false, "acl_upload": ["alice", ":AUTHENTICATED:"],
                    "acl_read": ["bob"], "title": "Ours", "description": "a\nb", "mirror_whitelist": ["*"],
                    "mirror_whitelist_inheritance": "union", "reserved": ["acme-*"], "acl_toxresult_upload": [] }),
            json!({ "type": "mirror", "mirror_url": "https://user:secret@example.org/simple/", "mirror_cache_expiry": 60,
                    "mirror_no_project_list": true, "volatile": false, "acl_read": ["bob"], "reserved": ["acme-*"] }),
        ] {
            let settings = IndexSettings::create(&owner, given.as_object().unwrap()).unwrap();
            let form = written(&settings);
            assert!(!form.get("mirror_url").unwrap_or_default().contains("secret"));
            let mut changed = settings.clone();
            for setting @ Setting(key, ..) in self::settings(settings.is_mirror()) {
                let change = match said(&form, setting) {
                    Some(value) => json!({ *key: value }),
                    None => json!([format!("{key}-=")]),
                };
                changed = changed.change(&change).unwrap();
            }
            assert_eq!(changed, settings, "{given}");
        }
    }

    #[test]
    fn each_setting_is_wrong_at_its_own_field() {
        let owner = UserName::parse("alice").unwrap();
        let form = Form::parse(b"bases=nowhere%0Abob/none&acl_upload=a+b&title=ok&reserved=*").unwrap();
        let read = |key: &str, value| IndexSettings::create(&owner, &Map::from_iter([(key.to_owned(), value)]));
        let wrong = wrong_fields(&form, false, read, |_| false);
        let keys: Vec<_> = wrong.iter().map(|(key, _)| key.as_str()).collect();
        assert!(keys.contains(&"bases") && keys.contains(&"acl_upload") && !keys.contains(&"title"), "{wrong:?}");
    }
}

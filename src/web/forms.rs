//! What forms are made of, and what they say when they are sent.

mod indexes;
mod offered;
mod release;

pub(super) use indexes::{change, delete, make};
pub use indexes::{index_settings, new_index};
pub(super) use offered::{file_link, for_file, for_project, for_release};
pub(super) use release::{do_promote, do_purge, do_refresh, do_yank};

use super::Asked;
use crate::index::IndexError;
use crate::names::{IndexName, ProjectName};
use maud::{Markup, html};

/// Most fields of a form; the longest of ours has some twenty.
const FIELDS_MAX: usize = 200;

/// A form as it was sent.
#[derive(Debug, Clone, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
}

/// What stands in a form that is shown: what was typed before, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Typed {
    pub form: Form,
    /// The field that a sentence belongs to; an empty name means the form as a whole.
    pub wrong: Vec<(String, String)>,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Result<Self, IndexError> {
        let mut fields = Vec::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if fields.len() == FIELDS_MAX {
                return Err(IndexError::Invalid(format!("a form has at most {FIELDS_MAX} fields")));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { fields })
    }

    pub fn of(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { fields: fields.into_iter().collect() }
    }

    /// The first field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same without space around it, when something is left.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// What a field is where nothing was said of it.
    pub(super) fn or(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.fields.push((name.to_owned(), value.to_owned()));
        }
    }

    /// A field that a form of ours always has.
    pub fn need(&self, name: &str) -> Result<&str, IndexError> {
        self.text(name).ok_or_else(|| IndexError::Invalid(format!("the form says nothing about \"{name}\"")))
    }

    /// Whether a box is ticked.
    pub fn ticked(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn index(&self) -> Result<IndexName, IndexError> {
        IndexName::parse(self.need("index")?).map_err(|why| IndexError::Invalid(why.to_string()))
    }

    pub fn project(&self) -> Result<ProjectName, IndexError> {
        ProjectName::parse(self.need("project")?).map_err(|why| IndexError::Invalid(why.to_string()))
    }

    /// Where the person came from, when that is a place of ours.
    pub fn back(&self) -> Option<&str> {
        self.get("back").and_then(crate::http::way_back)
    }
}

impl Typed {
    pub fn wrong(form: &Form, field: &str, sentence: impl Into<String>) -> Self {
        Self { form: form.clone(), wrong: vec![(field.to_owned(), sentence.into())] }
    }

    pub(super) fn value(&self, name: &str) -> &str {
        self.form.get(name).unwrap_or_default()
    }

    fn wrong_at(&self, name: &str) -> Option<&str> {
        self.wrong.iter().find(|(field, _)| field == name).map(|(_, sentence)| sentence.as_str())
    }

    /// What is wrong with the form as a whole.
    pub(super) fn wrong_on_the_whole(&self) -> Markup {
        html! { @if let Some(sentence) = self.wrong_at("") { p .notice .bad role="alert" { (sentence) } } }
    }
}

/// A form of ours; nothing for who has no session, and could send it in vain.
pub(super) fn post(asked: &Asked<'_>, action: &str, inside: Markup) -> Markup {
    html! {
        @if let Some(token) = &asked.viewer.form_token {
            form method="post" action={ "/+do/" (action) } {
                input type="hidden" name="token" value=(token);
                (inside)
            }
        }
    }
}

pub(super) fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// A line to type in. `id` is the field's on its page, `extra` what else the browser should know.
pub(super) struct Line<'a> {
    pub name: &'a str,
    pub id: &'a str,
    pub label: &'a str,
    pub hint: &'a str,
    /// `text`, `password`, `date`, `url`
    pub kind: &'a str,
    /// `username`, `current-password`, `new-password`, `off`
    pub complete: &'a str,
    pub required: bool,
    /// The id of a `datalist`.
    pub list: Option<&'a str>,
}

impl Line<'_> {
    pub(super) fn shown(&self, typed: &Typed) -> Markup {
        let (hint_id, wrong_id) = (format!("{}-hint", self.id), format!("{}-wrong", self.id));
        let wrong = typed.wrong_at(self.name);
        let value = (self.kind != "password").then(|| typed.value(self.name));
        html! {
            div .field {
                label for=(self.id) { (self.label) }
                input id=(self.id) name=(self.name) type=(self.kind) value=[value] autocomplete=(self.complete)
                    list=[self.list] required[self.required] spellcheck="false" autocapitalize="none"
                    aria-invalid=[wrong.map(|_| "true")]
                    aria-describedby=[described(self.hint, &hint_id, wrong, &wrong_id)];
                (around(self.hint, &hint_id, wrong, &wrong_id))
            }
        }
    }
}

/// Several lines to type in.
pub(super) fn lines(typed: &Typed, (name, id): (&str, &str), label: &str, hint: &str, rows: u32) -> Markup {
    let (hint_id, wrong_id) = (format!("{id}-hint"), format!("{id}-wrong"));
    let wrong = typed.wrong_at(name);
    html! {
        div .field {
            label for=(id) { (label) }
            // A browser drops the first line end inside.
            textarea id=(id) name=(name) rows=(rows) spellcheck="false" aria-invalid=[wrong.map(|_| "true")]
                aria-describedby=[described(hint, &hint_id, wrong, &wrong_id)] { "\n" (typed.value(name)) }
            (around(hint, &hint_id, wrong, &wrong_id))
        }
    }
}

/// A choice of one among a few: value and words.
pub(super) fn choice(
    typed: &Typed,
    (name, id): (&str, &str),
    label: &str,
    hint: &str,
    options: &[(String, String)],
) -> Markup {
    let (hint_id, wrong_id) = (format!("{id}-hint"), format!("{id}-wrong"));
    let wrong = typed.wrong_at(name);
    html! {
        div .field {
            label for=(id) { (label) }
            select id=(id) name=(name) aria-invalid=[wrong.map(|_| "true")]
                aria-describedby=[described(hint, &hint_id, wrong, &wrong_id)] {
                @for (value, words) in options {
                    option value=(value) selected[typed.value(name) == value] { (words) }
                }
            }
            (around(hint, &hint_id, wrong, &wrong_id))
        }
    }
}

/// A box to tick.
pub(super) fn tick(typed: &Typed, (name, id): (&str, &str), label: &str, hint: &str) -> Markup {
    let (hint_id, wrong_id) = (format!("{id}-hint"), format!("{id}-wrong"));
    let wrong = typed.wrong_at(name);
    html! {
        div .field {
            input id=(id) name=(name) type="checkbox" value="yes" checked[typed.form.ticked(name)]
                aria-describedby=[described(hint, &hint_id, wrong, &wrong_id)];
            " " label .beside for=(id) { (label) }
            (around(hint, &hint_id, wrong, &wrong_id))
        }
    }
}

fn described(hint: &str, hint_id: &str, wrong: Option<&str>, wrong_id: &str) -> Option<String> {
    let ids = [(!hint.is_empty(), hint_id), (wrong.is_some(), wrong_id)];
    let ids: Vec<_> = ids.into_iter().filter(|(is, _)| *is).map(|(_, id)| id).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

fn around(hint: &str, hint_id: &str, wrong: Option<&str>, wrong_id: &str) -> Markup {
    html! {
        @if let Some(wrong) = wrong { p .wrong id=(wrong_id) { (wrong) } }
        @if !hint.is_empty() { p .hint id=(hint_id) { (hint) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_and_bounded() {
        let form = Form::parse(b"a=1&b=+x+y+&a=2&c&d=%3Cscript%3E&e=%ff&empty=+").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.text("b")), (Some("1"), Some(" x y "), Some("x y")));
        assert_eq!((form.get("c"), form.ticked("c"), form.text("c")), (Some(""), true, None));
        assert_eq!((form.get("d"), form.get("e"), form.text("empty")), (Some("<script>"), Some("\u{fffd}"), None));
        assert!(form.need("none").is_err() && form.index().is_err() && form.project().is_err());
        assert!(Form::parse("a&".repeat(FIELDS_MAX).as_bytes()).is_ok());
        assert!(Form::parse("a&".repeat(FIELDS_MAX + 1).as_bytes()).is_err());
        let form = Form::parse(b"index=alice/dev&project=A_b&back=//evil.example").unwrap();
        assert_eq!((form.index().unwrap().as_str(), form.project().unwrap().as_str()), ("alice/dev", "a-b"));
        assert_eq!(form.back(), None);
    }

    #[test]
    fn what_was_typed_comes_back_escaped_and_a_password_does_not() {
        let form = Form::parse(b"name=%22%3E%3Cscript%3E&secret=hunter2").unwrap();
        let typed = Typed::wrong(&form, "name", "no <b>name</b>");
        let line = |name, kind| Line {
            name,
            id: name,
            label: "L",
            hint: "",
            kind,
            complete: "off",
            required: false,
            list: None,
        };
        let shown = line("name", "text").shown(&typed).into_string();
        assert!(shown.contains("&quot;&gt;&lt;script&gt;") && shown.contains("no &lt;b&gt;name&lt;/b&gt;"), "{shown}");
        assert!(
            shown.contains("aria-describedby=\"name-wrong\"") && shown.contains("aria-invalid=\"true\""),
            "{shown}"
        );
        let secret = line("secret", "password").shown(&typed).into_string();
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}

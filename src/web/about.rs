use crate::http::index_path;
use crate::names::{IndexName, ProjectName};
use maud::{Markup, html};
use serde_json::{Map, Value};

/// Most entries of a list that are shown: some releases name hundreds of classifiers or dependencies.
const ENTRIES_MAX: usize = 300;

/// The one line that a release says of itself.
pub fn summary(metadata: &Map<String, Value>) -> Markup {
    html! { @if let Some(summary) = text(metadata, "summary") { p .lead { (summary) } } }
}

/// What a release says of itself, beside its description. Names of other projects lead to them through `index`.
pub fn about(metadata: &Map<String, Value>, index: &IndexName) -> Markup {
    let license = text(metadata, "license_expression").or_else(|| text(metadata, "license")).map(first_line);
    let links = links(metadata);
    let (needed, extra) = dependencies(metadata);
    html! {
        dl .facts {
            @if let Some(license) = license { dt { "License" } dd { (license) } }
            @if let Some(python) = text(metadata, "requires_python") { dt { "Python" } dd { code { (python) } } }
            (people("Author", text(metadata, "author"), text(metadata, "author_email")))
            (people("Maintainer", text(metadata, "maintainer"), text(metadata, "maintainer_email")))
            @if let Some(keywords) = text(metadata, "keywords") { dt { "Keywords" } dd { (spaced(keywords)) } }
        }
        @if !links.is_empty() {
            h2 { "Links" }
            ul .plain {
                @for (label, url) in &links { li { a href=(url) rel="nofollow noopener noreferrer" { (label) } } }
            }
        }
        @if !needed.is_empty() || !extra.is_empty() {
            h2 { "Dependencies" }
            @if needed.is_empty() { p .soft { "None without extras." } }
            ul .plain { @for line in &needed { li { (dependency(line, index)) } } }
            @if !extra.is_empty() {
                details { summary { "With extras (" (extra.len()) ")" } ul .plain { @for line in &extra { li { (dependency(line, index)) } } } }
            }
        }
        @let classifiers = list(metadata, "classifiers");
        @if !classifiers.is_empty() {
            details { summary { "Classifiers (" (classifiers.len()) ")" } ul .plain.small { @for line in &classifiers { li { (line) } } } }
        }
    }
}

fn people(what: &str, name: Option<&str>, address: Option<&str>) -> Markup {
    html! {
        @if name.is_some() || address.is_some() {
            dt { (what) }
            dd {
                @if let Some(name) = name { (name) }
                @if let Some(address) = address { @if name.is_some() { br; } span .small { (address) } }
            }
        }
    }
}

/// A dependency (PEP 508) with its project as a link; what it demands of it stays as it is written.
fn dependency(line: &str, index: &IndexName) -> Markup {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    html! {
        @match ProjectName::parse(name) {
            Ok(project) => a href={ (index_path(index)) "/" (project) } { (name) },
            Err(_) => (name),
        }
        @if !rest.trim().is_empty() { " " span .small { (rest.trim()) } }
    }
}

/// What is needed always, and what only by extras.
fn dependencies(metadata: &Map<String, Value>) -> (Vec<&str>, Vec<&str>) {
    list(metadata, "requires_dist").into_iter().partition(|line| {
        let marker = line.split_once(';').map(|(_, marker)| marker).unwrap_or_default();
        !marker.contains("extra")
    })
}

/// Label and address of the places that a release names; only such as a browser may be led to.
fn links(metadata: &Map<String, Value>) -> Vec<(&str, &str)> {
    let named = list(metadata, "project_urls").into_iter().filter_map(|line| line.split_once(','));
    let home = text(metadata, "home_page").map(|url| ("Homepage", url));
    let mut links: Vec<(&str, &str)> = Vec::new();
    for (label, url) in home.into_iter().chain(named) {
        let url = url.trim();
        let web = url.starts_with("https://") || url.starts_with("http://");
        if web && !url.chars().any(char::is_control) && !links.iter().any(|(_, known)| *known == url) {
            links.push((label.trim(), url));
        }
    }
    links
}

fn text<'a>(metadata: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let text = metadata.get(key)?.as_str()?.trim();
    (!text.is_empty() && text != "UNKNOWN").then_some(text)
}

fn list<'a>(metadata: &'a Map<String, Value>, key: &str) -> Vec<&'a str> {
    let values = metadata.get(key).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str).take(ENTRIES_MAX).collect()
}

/// Keywords are often written without a space between them, and could not be broken into lines.
fn spaced(keywords: &str) -> String {
    keywords.split(',').map(str::trim).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Some put the whole text of a license there.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_web_is_linked() {
        let metadata = json!({
            "home_page": "https://example.org/",
            "project_urls": ["Same, https://example.org/", "Docs, http://docs.example.org", "Bad, javascript:alert(1)", "odd"],
        });
        let links = links(metadata.as_object().unwrap()).into_iter().map(|(label, _)| label.to_owned());
        assert_eq!(links.collect::<Vec<_>>(), ["Homepage", "Docs"]);
    }

    #[test]
    fn dependencies_lead_to_their_projects() {
        let index = IndexName::parse("a/dev").unwrap();
        let html = |line: &str| dependency(line, &index).into_string();
        assert!(html("Foo.Bar[x]>=1; python_version<'4'").starts_with("<a href=\"/a/dev/foo-bar\">Foo.Bar</a> "));
        assert_eq!(html("<b>"), "<span class=\"small\">&lt;b&gt;</span>".to_owned().replace("<span", " <span"));
        let metadata = json!({ "requires_dist": ["a", "b; extra == 'x'", "c; os_name=='nt'"] });
        let (needed, extra) = dependencies(metadata.as_object().unwrap());
        assert_eq!((needed, extra), (vec!["a", "c; os_name=='nt'"], vec!["b; extra == 'x'"]));
    }
}

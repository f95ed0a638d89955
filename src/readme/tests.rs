mod bounds;
mod corpus;
mod dialect;
mod kinds;
mod structured;
mod whole;

use super::*;
use html5gum::{Token, Tokenizer};

/// One case of `tests/corpus/injection.txt`, whose head says how it is written.
pub struct Case {
    pub name: &'static str,
    pub markup: Markup,
    pub text: String,
}

pub fn cases() -> Vec<Case> {
    let corpus = include_str!("../../tests/corpus/injection.txt");
    let cases: Vec<_> = corpus.split("\n=== ").skip(1).map(case).collect();
    assert!(cases.len() > 150, "only {} cases found", cases.len());
    cases
}

fn case(block: &'static str) -> Case {
    let (name, text) = block.split_once('\n').unwrap_or((block, ""));
    let markup = match name.split(':').next().unwrap_or_default() {
        "markdown" => Markup::Markdown,
        "rst" => Markup::ReStructuredText,
        "plain" => Markup::Plain,
        other => panic!("{other} is no markup"),
    };
    Case { name, markup, text: text.trim_end_matches('\n').to_owned() }
}

/// Reads the HTML again and fails on anything that is not on the list.
pub fn check(what: &str, html: &str) {
    let names: Vec<_> = elements::names().collect();
    let mut open: Vec<String> = Vec::new();
    for Ok(token) in Tokenizer::new(html) {
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert!(names.contains(&name.as_str()), "{what}: <{name}> in {html}");
                for (attribute, value) in &tag.attributes {
                    let (attribute, value) =
                        (String::from_utf8_lossy(attribute), String::from_utf8_lossy(&value.value));
                    assert!(is_listed(&name, &attribute, &value), "{what}: <{name} {attribute}={value:?}> in {html}");
                }
                let is_void = ["br", "hr", "img", "source"].contains(&name.as_str());
                if !is_void {
                    open.push(name);
                    assert!(open.len() <= balance::DEPTH_MAX * 2, "{what}: nested {} deep", open.len());
                }
            }
            Token::EndTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert_eq!(open.pop().as_ref(), Some(&name), "{what}: </{name}> in {html}");
            }
            Token::String(_) | Token::Error(_) => {}
            Token::Comment(_) | Token::Doctype(_) => panic!("{what}: {token:?} in {html}"),
        }
    }
    assert!(open.is_empty(), "{what}: {open:?} left open in {html}");
}

fn is_listed(element: &str, attribute: &str, value: &str) -> bool {
    let own = attributes::WRITTEN.iter().any(|(name, given)| *name == element && given.contains(&attribute));
    match attribute {
        "id" => value.starts_with("readme-"),
        "class" => value.split_ascii_whitespace().all(|class| attributes::classes().any(|known| known == class)),
        "rel" => element == "a" && value == clean::LINK_REL,
        "href" => own && ["#readme-", "https://", "http://", "mailto:"].iter().any(|start| value.starts_with(start)),
        "src" => {
            let data = ["png", "gif", "jpeg", "webp"].map(|kind| format!("data:image/{kind};base64,"));
            own && (value.starts_with("https://") || data.iter().any(|start| value.starts_with(start)))
        }
        "srcset" => own && value.split(", ").all(|candidate| candidate.starts_with("https://")),
        _ => own,
    }
}

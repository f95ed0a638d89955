use super::{attributes, elements, urls};
use ammonia::Builder;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

/// What every link says: it is no recommendation of ours, and where it leads learns nothing.
pub const LINK_REL: &str = "nofollow noopener noreferrer";

/// Lets through what is on the list, whatever stands in `html`.
pub fn clean(html: &str) -> String {
    static CLEANER: OnceLock<Builder<'static>> = OnceLock::new();
    CLEANER.get_or_init(cleaner).clean(html).to_string()
}

fn cleaner() -> Builder<'static> {
    let names: HashSet<&str> = elements::names().collect();
    let attributes: HashMap<&str, HashSet<&str>> =
        attributes::WRITTEN.iter().map(|(name, given)| (*name, given.iter().copied().collect())).collect();
    let classes: HashSet<&str> = attributes::classes().collect();
    let mut cleaner = Builder::empty();
    cleaner
        .allowed_classes(names.iter().map(|name| (*name, classes.clone())).collect())
        .tags(names)
        .clean_content_tags(elements::DROPPED.into_iter().collect())
        .generic_attributes(HashSet::from(["id"]))
        .tag_attributes(attributes)
        .url_schemes(HashSet::from(["http", "https", "mailto", "data"]))
        .attribute_filter(|element, attribute, value| is_fit(element, attribute, value).then(|| value.into()))
        .link_rel(Some(LINK_REL))
        .id_prefix(Some(urls::ID_PREFIX))
        .set_tag_attribute_value("img", "loading", "lazy")
        .set_tag_attribute_value("img", "referrerpolicy", "no-referrer");
    cleaner
}

fn is_fit(element: &str, attribute: &str, value: &str) -> bool {
    match (element, attribute) {
        // What is written is what was understood: a browser has nothing left to guess.
        ("a", "href") => {
            let is_here = value.strip_prefix('#').is_some_and(|id| id.starts_with(urls::ID_PREFIX));
            is_here || urls::link(value).as_deref() == Some(value)
        }
        ("img", "src") => urls::picture(value).as_deref() == Some(value),
        ("source", "srcset") => urls::pictures(value).as_deref() == Some(value),
        (_, "href" | "src" | "srcset") => false,
        ("div", "role") => value == "group",
        (_, "tabindex") => value == "0",
        ("div", "aria-label") => value == "Table",
        _ => true,
    }
}

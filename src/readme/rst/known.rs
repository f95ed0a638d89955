//! What the names of a description stand for.

use super::Image;
use std::collections::{HashMap, HashSet};

/// Most names from one to the next until the place is found.
const NAMES_MAX: usize = 16;

/// Longest text that a name stands for, in bytes; it may stand in many places.
const SUBSTITUTE_BYTES_MAX: usize = 2_000;

#[derive(Default)]
pub struct Known {
    targets: HashMap<String, Target>,
    /// Titles are names too, where nothing else has the name.
    titles: HashMap<String, Target>,
    /// Places without a name, in their order.
    nameless: Vec<Target>,
    substitutes: HashMap<String, Substitute>,
    pub footnotes: Vec<Footnote>,
    /// Names of the roles that the text defines, and what each is based on.
    roles: HashMap<String, String>,
}

#[derive(Clone)]
pub enum Target {
    Address(String),
    Name(String),
    /// A place in this text.
    Here(String),
}

#[derive(Clone)]
pub enum Substitute {
    Text(String),
    Image(Image),
}

pub struct Footnote {
    /// As it is written: a number, `#`, `#name`, `*`, or the name of a citation.
    pub label: String,
    /// As it is shown.
    pub shown: String,
}

impl Footnote {
    pub fn id(&self) -> String {
        format!("footnote-{}", id_of(&self.shown))
    }
}

impl Known {
    pub fn add_target(&mut self, name: &str, target: Target) {
        self.targets.entry(normal(name)).or_insert(target);
    }

    pub fn add_title(&mut self, title: &str, id: &str) {
        self.titles.entry(normal(title)).or_insert_with(|| Target::Here(id.to_owned()));
    }

    pub fn replace_target(&mut self, name: &str, target: Target) {
        self.targets.insert(normal(name), target);
    }

    pub fn add_nameless(&mut self, target: Target) {
        self.nameless.push(target);
    }

    pub fn add_substitute(&mut self, name: &str, substitute: Substitute) {
        let fits = !matches!(&substitute, Substitute::Text(text) if text.len() > SUBSTITUTE_BYTES_MAX);
        if fits {
            self.substitutes.entry(normal(name)).or_insert(substitute);
        }
    }

    pub fn add_role(&mut self, name: &str, base: &str) {
        self.roles.insert(name.to_owned(), base.to_owned());
    }

    pub fn substitute(&self, name: &str) -> Option<&Substitute> {
        self.substitutes.get(&normal(name))
    }

    pub fn base_of_role<'a>(&'a self, role: &'a str) -> &'a str {
        self.roles.get(role).map_or(role, String::as_str)
    }

    /// Where a name leads: an address, or `#` and a place here.
    pub fn href(&self, name: &str) -> Option<String> {
        self.follow(self.target(name)?)
    }

    pub fn nameless_href(&self, at: usize) -> Option<String> {
        self.follow(self.nameless.get(at)?)
    }

    fn target(&self, name: &str) -> Option<&Target> {
        let name = normal(name);
        self.targets.get(&name).or_else(|| self.titles.get(&name))
    }

    fn follow(&self, target: &Target) -> Option<String> {
        let mut target = target;
        for _ in 0..NAMES_MAX {
            match target {
                Target::Address(address) => return Some(address.clone()),
                Target::Here(id) => return Some(format!("#{id}")),
                Target::Name(name) => target = self.target(name)?,
            }
        }
        None
    }

    /// Footnotes without a number get the numbers that are left, in their order.
    pub fn number_footnotes(&mut self) {
        let mut taken: HashSet<String> = self.footnotes.iter().map(|footnote| footnote.label.clone()).collect();
        let (mut number, mut stars) = (0_usize, 0_usize);
        for footnote in &mut self.footnotes {
            footnote.shown = if footnote.label.starts_with('#') {
                loop {
                    number += 1;
                    if taken.insert(number.to_string()) {
                        break number.to_string();
                    }
                }
            } else if footnote.label == "*" {
                stars += 1;
                if stars <= 5 { "*".repeat(stars) } else { format!("*{stars}") }
            } else {
                footnote.label.clone()
            };
        }
    }
}

/// Names are compared without case and without how they are broken over lines.
fn normal(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

pub fn id_of(name: &str) -> String {
    let mut id = String::with_capacity(name.len());
    for char in name.chars().flat_map(char::to_lowercase) {
        if char.is_alphanumeric() {
            id.push(char);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    id.truncate(id.trim_end_matches('-').len());
    if id.is_empty() { "section".to_owned() } else { id }
}

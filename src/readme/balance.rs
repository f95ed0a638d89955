//! HTML of any shape becomes HTML whose every element is closed where it should be, nested no deeper than a parser likes.
//!
//! A parser of HTML repairs what is not whole, and what repairs it can be made to repeat it without end: thousands of
//! open elements are looked through for each tag, or opened anew in each paragraph. What leaves here needs no repair.

use super::attributes::{self, Given};
use super::elements::{DROPPED, Element, Kind, element};
use super::{SHOWN_BYTES_MAX, push_escaped};
use html5gum::{DefaultEmitter, EndTag, StartTag, Token, Tokenizer};
use std::collections::HashSet;

/// Most elements open at one time; more are left out, their text is not.
pub const DEPTH_MAX: usize = 64;

/// Most open elements of those that a parser opens again where they were not closed.
const FORMATTING_MAX: usize = 8;

/// What may be implied around one tag.
const IMPLIED_MAX: usize = 4;

/// The level of a description's first heading.
const TOP_HEADING: usize = 3;

/// `cut`: whether the description is longer than what stands in `html`. What leaves is hardly longer than `bytes_max`.
pub fn balance(html: &str, bytes_max: usize, cut: bool) -> String {
    let mut balance = Balance {
        out: String::with_capacity(html.len() + html.len() / 4),
        open: Vec::new(),
        formatting: 0,
        levels: Vec::new(),
        ids: HashSet::new(),
        skipping: None,
        ends: ends_of_dropped(html),
        full: false,
    };
    for Ok(token) in Tokenizer::new_with_emitter(html, DefaultEmitter::default()) {
        if balance.out.len() >= bytes_max {
            balance.full = true;
            break;
        }
        match token {
            Token::StartTag(tag) => balance.start(&tag),
            Token::EndTag(tag) => balance.end(&tag),
            Token::String(text) => balance.text(&String::from_utf8_lossy(&text.value)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    balance.close_down_to(0);
    if cut || balance.full {
        let shown = SHOWN_BYTES_MAX / 1024;
        let sentence = if cut {
            format!("The description is longer than {shown} KiB. The rest is not shown.")
        } else {
            "The description takes too much room. The rest is not shown.".to_owned()
        };
        balance.out.push_str(&format!("<p><em>{sentence}</em></p>"));
    }
    balance.out
}

struct Balance {
    out: String,
    open: Vec<Open>,
    /// How many of those open are formatting.
    formatting: usize,
    /// Levels of the headings that the next one may stand below.
    levels: Vec<u8>,
    /// Of elements; the first that has one keeps it.
    ids: HashSet<String>,
    /// The element that is passed over with all that is in it, and how many of its name are open.
    skipping: Option<(&'static str, usize)>,
    /// Which of those are closed anywhere, with how many end tags to come.
    ends: Vec<(&'static str, usize)>,
    full: bool,
}

struct Open {
    kind: Kind,
    name: &'static str,
    /// Where its tag begins and where its content does.
    start: usize,
    content: usize,
    id: Option<String>,
    /// A reader finds something in it: text, or a picture that has one.
    says: bool,
    has_summary: bool,
}

impl Balance {
    fn start(&mut self, tag: &StartTag<()>) {
        let written = String::from_utf8_lossy(&tag.name);
        if let Some((name, depth)) = &mut self.skipping {
            let is_foreign = matches!(*name, "svg" | "math");
            match element(&written) {
                _ if written == *name => *depth += 1,
                // A parser leaves a picture at an element of a page.
                Some(Element { kind, .. }) if is_foreign && kind.is_block() => self.skipping = None,
                _ => {}
            }
            if self.skipping.is_some() {
                return;
            }
        }
        if let Ok(at) = DROPPED.binary_search(&&*written) {
            let name = DROPPED.get(at).copied().unwrap_or_default();
            let closes = self.ends.iter().any(|(known, left)| *known == name && *left > 0);
            if closes && !tag.self_closing {
                self.skipping = Some((name, 1));
            }
            return;
        }
        if let Some(element) = element(&written) {
            self.element(&element, &Given::of(tag));
        }
    }

    fn end(&mut self, tag: &EndTag<()>) {
        let written = String::from_utf8_lossy(&tag.name);
        if let Some((_, left)) = self.ends.iter_mut().find(|(name, _)| *name == written) {
            *left = left.saturating_sub(1);
        }
        if let Some((name, depth)) = &mut self.skipping {
            if written == *name {
                *depth -= 1;
                if *depth == 0 {
                    self.skipping = None;
                }
            }
            return;
        }
        let Some(element) = element(&written) else { return };
        let is_same = |open: &Open| match element.kind {
            Kind::Heading => open.kind == Kind::Heading,
            _ => open.name == element.name,
        };
        let inside_wall = !element.kind.is_frame() && !element.kind.is_wall();
        if let Some(at) = self.nearest(inside_wall, is_same) {
            self.close_down_to(at);
        }
    }

    fn text(&mut self, text: &str) {
        if self.skipping.is_some() {
            return;
        }
        // A parser drops a line break there, at each reading another.
        let is_first = self.open.last().is_some_and(|open| open.kind == Kind::Pre && open.content == self.out.len());
        let text = if is_first { text.trim_start_matches('\n') } else { text };
        if !text.trim().is_empty() {
            self.make_room_for_content();
            if let Some(open) = self.open.last_mut() {
                open.says = true;
            }
        } else if self.open.last().is_some_and(|open| open.kind.is_frame()) {
            return;
        }
        push_escaped(&mut self.out, text);
    }

    fn element(&mut self, element: &Element, given: &Given) {
        match element.kind {
            Kind::Void => self.void(element.name, given),
            Kind::Heading => self.heading(element.name, given),
            Kind::Formatting if self.formatting >= FORMATTING_MAX => {}
            kind => {
                if self.make_room(kind) {
                    self.push(kind, element.name, given);
                }
            }
        }
    }

    fn void(&mut self, name: &'static str, given: &Given) {
        match name {
            "hr" => {
                self.end_paragraph();
                self.make_room_for_content();
                self.out.push_str("<hr>");
            }
            "img" => {
                self.make_room_for_content();
                let in_link = self.nearest(true, |open| open.kind == Kind::Link).is_some();
                let says = attributes::push_picture(&mut self.out, given, in_link);
                if let Some(open) = self.open.last_mut() {
                    open.says |= says;
                }
            }
            "source" => {
                if self.open.last().is_some_and(|open| open.kind == Kind::Picture) {
                    attributes::push_source(&mut self.out, given);
                }
            }
            "input" => {
                if given.get("type") == Some("checkbox") {
                    self.text(if given.get("checked").is_some() { "\u{2611} " } else { "\u{2610} " });
                }
            }
            _ => {
                self.make_room_for_content();
                self.out.push_str("<br>");
            }
        }
    }

    /// No level is left out on the way down, whatever the description does.
    fn heading(&mut self, name: &'static str, given: &Given) {
        if !self.make_room(Kind::Heading) {
            return;
        }
        let level = name.bytes().last().unwrap_or(b'1');
        while self.levels.last().is_some_and(|above| *above >= level) {
            self.levels.pop();
        }
        self.levels.push(level);
        let name = match TOP_HEADING + self.levels.len() - 1 {
            ..=3 => "h3",
            4 => "h4",
            5 => "h5",
            6.. => "h6",
        };
        self.push(Kind::Heading, name, given);
    }

    /// Closes and opens what an element of this kind needs to stand where it is; whether it may stand at all.
    fn make_room(&mut self, kind: Kind) -> bool {
        if self.open.len() + IMPLIED_MAX >= DEPTH_MAX {
            return false;
        }
        if kind.is_block() {
            self.end_paragraph();
        }
        match kind {
            Kind::Link | Kind::Heading | Kind::Picture => {
                self.close_nearest(|open| open.kind == kind);
                self.make_room_for_content();
            }
            Kind::Item => match self.nearest(true, |open| open.kind == Kind::List) {
                Some(list) => self.close_down_to(list + 1),
                None => return false,
            },
            Kind::Term => match self.nearest(true, |open| open.kind == Kind::Definitions) {
                Some(list) => self.close_down_to(list + 1),
                None => return false,
            },
            Kind::Summary => {
                let fits = self.open.last_mut().filter(|open| open.kind == Kind::Details && !open.has_summary);
                match fits {
                    Some(details) => details.has_summary = true,
                    None => return false,
                }
            }
            Kind::Figcaption => return self.open.last().is_some_and(|open| open.kind == Kind::Figure),
            Kind::Caption | Kind::Section => match self.table() {
                Some(table) => self.close_down_to(table + 1),
                None => return false,
            },
            Kind::Row => match self.table() {
                Some(table) => {
                    self.close_into_frame(table, Kind::Section);
                    self.make_section();
                }
                None => return false,
            },
            Kind::Cell => match self.table() {
                Some(table) => {
                    self.close_into_frame(table, Kind::Row);
                    self.make_row();
                }
                None => return false,
            },
            _ => self.make_room_for_content(),
        }
        true
    }

    /// Text and what belongs to it stands in an item, a term or a cell where there is a list or a table around it.
    fn make_room_for_content(&mut self) {
        match self.open.last().map(|open| open.kind) {
            Some(Kind::List) => self.push(Kind::Item, "li", &Given::default()),
            Some(Kind::Definitions) => self.push(Kind::Term, "dd", &Given::default()),
            Some(Kind::Table | Kind::Section | Kind::Row) => {
                self.make_row();
                self.push(Kind::Cell, "td", &Given::default());
            }
            _ => {}
        }
    }

    fn make_section(&mut self) {
        if self.open.last().is_some_and(|open| open.kind == Kind::Table) {
            self.push(Kind::Section, "tbody", &Given::default());
        }
    }

    fn make_row(&mut self) {
        self.make_section();
        if self.open.last().is_some_and(|open| open.kind == Kind::Section) {
            self.push(Kind::Row, "tr", &Given::default());
        }
    }

    fn end_paragraph(&mut self) {
        self.close_nearest(|open| open.kind == Kind::Paragraph);
    }

    fn table(&self) -> Option<usize> {
        self.open.iter().rposition(|open| open.kind == Kind::Table)
    }

    /// Closes down to that part of the table, or to the table.
    fn close_into_frame(&mut self, table: usize, part: Kind) {
        let is_part = |open: &Open| open.kind == part || (part == Kind::Row && open.kind == Kind::Section);
        let found = self.open.iter().skip(table).rposition(is_part).map(|at| table + at);
        self.close_down_to(found.unwrap_or(table) + 1);
    }

    /// The innermost that is so, and with `inside_wall` only where no cell or table is between.
    fn nearest(&self, inside_wall: bool, is_so: impl Fn(&Open) -> bool) -> Option<usize> {
        for (at, open) in self.open.iter().enumerate().rev() {
            if is_so(open) {
                return Some(at);
            }
            if inside_wall && open.kind.is_wall() {
                return None;
            }
        }
        None
    }

    fn close_nearest(&mut self, is_so: impl Fn(&Open) -> bool) {
        if let Some(at) = self.nearest(true, is_so) {
            self.close_down_to(at);
        }
    }

    fn push(&mut self, kind: Kind, name: &'static str, given: &Given) {
        let start = self.out.len();
        let id = given.id().filter(|id| self.ids.insert(id.clone()));
        if kind == Kind::Table {
            self.out.push_str("<div class=\"wide\" role=\"group\" aria-label=\"Table\" tabindex=\"0\">");
        }
        attributes::push_tag(&mut self.out, kind, name, given, id.as_deref());
        self.formatting += usize::from(kind == Kind::Formatting);
        self.open.push(Open { kind, name, start, content: self.out.len(), id, says: false, has_summary: false });
    }

    fn close_down_to(&mut self, length: usize) {
        while self.open.len() > length {
            let Some(open) = self.open.pop() else { break };
            self.formatting -= usize::from(open.kind == Kind::Formatting);
            let says = open.says || open.kind == Kind::Summary;
            self.close(open);
            if let Some(around) = self.open.last_mut() {
                around.says |= says;
            }
        }
    }

    /// What says nothing is not announced as a heading, a link, a header or a paragraph.
    fn close(&mut self, open: Open) {
        let is_empty = self.out.len() == open.content;
        match open.kind {
            Kind::Paragraph | Kind::Heading | Kind::Link if is_empty => {
                self.out.truncate(open.start);
                if let Some(id) = open.id {
                    attributes::push_tag(&mut self.out, Kind::Inline, "span", &Given::default(), Some(&id));
                    self.out.push_str("</span>");
                }
                return;
            }
            Kind::Heading | Kind::Link if !open.says => {
                let name = if open.kind == Kind::Link { "span" } else { "div" };
                return self.rename(&open, name);
            }
            Kind::Cell if open.name == "th" && !open.says => return self.rename(&open, "td"),
            Kind::Summary if !open.says => self.out.push_str("Details"),
            _ => {}
        }
        self.out.push_str("</");
        self.out.push_str(open.name);
        self.out.push('>');
        if open.kind == Kind::Table {
            self.out.push_str("</div>");
        }
    }

    fn rename(&mut self, open: &Open, name: &'static str) {
        let content = self.out.split_off(open.content);
        self.out.truncate(open.start);
        attributes::push_tag(&mut self.out, Kind::Inline, name, &Given::default(), open.id.as_deref());
        self.out.push_str(&content);
        self.out.push_str(&format!("</{name}>"));
    }
}

/// How often each element that is dropped is closed. What is never closed takes nothing with it.
fn ends_of_dropped(html: &str) -> Vec<(&'static str, usize)> {
    let mut ends: Vec<_> = DROPPED.iter().map(|name| (*name, 0)).collect();
    for Ok(token) in Tokenizer::new_with_emitter(html, DefaultEmitter::default()) {
        if let Token::EndTag(tag) = token
            && let Some((_, count)) = ends.iter_mut().find(|(name, _)| tag.name.as_slice() == name.as_bytes())
        {
            *count += 1;
        }
    }
    ends
}

use super::body::target_of;
use super::known::{Substitute, Target, id_of};
use super::roles::push_role;
use super::scan::{address, begins, ends, is_edge, is_escaped, mail_address, unescaped, word};
use super::write::Writer;
use crate::readme::{HTML_BYTES_MAX, push_escaped};

/// How deep a text that stands for a name may name others, and how often that is done in one description.
const SUBSTITUTES_DEPTH_MAX: usize = 4;
const SUBSTITUTES_MAX: usize = 5_000;

/// Longest name of a substitution, in bytes: so far its end is looked for, at each beginning anew.
const NAME_BYTES_MAX: usize = 200;

/// Most references to footnotes; each is looked for among all of them.
const FOOTNOTE_REFERENCES_MAX: usize = 2_000;

/// Longest name of a role, in bytes.
const ROLE_BYTES_MAX: usize = 60;

/// Marks that end nowhere in the rest of a text: it is looked through once for each, not once for each beginning.
#[derive(Default)]
struct Missing {
    literal: bool,
    strong: bool,
    emphasis: bool,
    quote: bool,
}

impl Writer {
    pub fn inline(&mut self, text: &str) {
        self.inline_at(text, 0);
    }

    fn inline_at(&mut self, text: &str, depth: usize) {
        let mut missing = Missing::default();
        let mut before = None;
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            if self.out.len() > HTML_BYTES_MAX {
                return;
            }
            let taken = self.piece(text, at, before, depth, &mut missing).max(1);
            let end = (at + taken).min(text.len());
            before = rest.get(..taken).and_then(|piece| piece.chars().next_back());
            at = end;
        }
    }

    /// Writes what begins there; how long it was.
    fn piece(&mut self, text: &str, at: usize, before: Option<char>, depth: usize, missing: &mut Missing) -> usize {
        let rest = text.get(at..).unwrap_or_default();
        let mut chars = rest.chars();
        let Some(first) = chars.next() else { return 0 };
        let second = chars.next();
        let is_apart = begins(before, second);
        let taken = match first {
            '\\' => {
                let shown = second.filter(|char| !char.is_whitespace());
                shown.iter().for_each(|char| push_escaped(&mut self.out, char.encode_utf8(&mut [0; 4])));
                return 1 + second.map_or(0, char::len_utf8);
            }
            '`' if rest.starts_with("``") && begins(before, rest.chars().nth(2)) => self.literal(text, at, missing),
            '*' if rest.starts_with("**") => self.marked(text, at, before, "**", "strong", &mut missing.strong),
            '*' => self.marked(text, at, before, "*", "em", &mut missing.emphasis),
            '`' if is_apart => self.quoted(text, at, 0, "", missing),
            ':' => role_before(rest)
                .filter(|_| begins(before, second))
                .and_then(|role| self.quoted(text, at, role.len() + 2, role, missing)),
            '_' if rest.starts_with("_`") && begins(before, rest.chars().nth(2)) => self.place(text, at, missing),
            '|' if is_apart => self.substitute(rest, depth),
            '[' if is_apart => self.footnote_reference(rest),
            _ if first.is_alphanumeric() && before.is_none_or(|before| !before.is_alphanumeric()) => {
                Some(self.word(rest, before))
            }
            _ => None,
        };
        taken.unwrap_or_else(|| {
            push_escaped(&mut self.out, first.encode_utf8(&mut [0; 4]));
            first.len_utf8()
        })
    }

    fn literal(&mut self, text: &str, at: usize, missing: &mut Missing) -> Option<usize> {
        let end = end_of(text, at + 2, "``", false, &mut missing.literal)?;
        self.element("code", text.get(at + 2..end)?);
        Some(end + 2 - at)
    }

    fn marked(
        &mut self,
        text: &str,
        at: usize,
        before: Option<char>,
        mark: &str,
        element: &str,
        missing: &mut bool,
    ) -> Option<usize> {
        let after = text.get(at + mark.len()..)?.chars().next();
        if !begins(before, after) {
            return None;
        }
        let end = end_of(text, at + mark.len(), mark, true, missing)?;
        self.element(element, &unescaped(text.get(at + mark.len()..end)?));
        Some(end + mark.len() - at)
    }

    /// Text in back quotes: a reference, or text with a role before or after it. `skip`: bytes before the quote.
    fn quoted(&mut self, text: &str, at: usize, skip: usize, role: &str, missing: &mut Missing) -> Option<usize> {
        let start = at + skip + 1;
        let end = quote_end(text, start, &mut missing.quote)?;
        let (inside, after) = (text.get(start..end)?, text.get(end + 1..)?);
        let taken = end + 1 - at;
        if role.is_empty() {
            if after.starts_with("__") && is_edge(after.get(2..)?.chars().next()) {
                self.reference(inside, true);
                return Some(taken + 2);
            }
            if after.starts_with('_') && is_edge(after.get(1..)?.chars().next()) {
                self.reference(inside, false);
                return Some(taken + 1);
            }
            if let Some(role) = role_after(after) {
                self.role(role, inside);
                return Some(taken + role.len() + 2);
            }
        }
        self.role(role, inside);
        Some(taken)
    }

    fn role(&mut self, role: &str, inside: &str) {
        let base = self.known.base_of_role(role).to_owned();
        match (base.as_str(), inside.trim().parse::<u32>().ok()) {
            ("pep" | "pep-reference", Some(pep)) => {
                self.link(Some(&format!("https://peps.python.org/pep-{pep:04}/")), &format!("PEP {pep}"));
            }
            ("rfc" | "rfc-reference", Some(rfc)) => {
                self.link(Some(&format!("https://www.rfc-editor.org/rfc/rfc{rfc}")), &format!("RFC {rfc}"));
            }
            _ => push_role(&mut self.out, &base, inside),
        }
    }

    /// A phrase that leads somewhere: `text <address>`, a name, or the next place without one.
    fn reference(&mut self, inside: &str, is_nameless: bool) {
        let embedded = inside.strip_suffix('>').and_then(|inside| {
            let open = inside.rfind('<')?;
            let text = inside.get(..open)?;
            (text.is_empty() || text.ends_with(char::is_whitespace)).then_some((text.trim(), inside.get(open + 1..)?))
        });
        let (shown, href) = match embedded {
            Some((text, target)) => {
                let target = target_of(target);
                let href = match &target {
                    Target::Name(name) => self.known.href(name),
                    Target::Address(address) => Some(unescaped(address)),
                    Target::Here(id) => Some(format!("#{id}")),
                };
                let shown = if text.is_empty() { href.clone().unwrap_or_default() } else { unescaped(text) };
                if !is_nameless {
                    self.known.add_target(&shown, target);
                }
                (shown, href)
            }
            None if is_nameless => {
                self.nameless += 1;
                (unescaped(inside), self.known.nameless_href(self.nameless - 1))
            }
            None => (unescaped(inside), self.known.href(&unescaped(inside))),
        };
        self.link(href.as_deref(), &shown);
    }

    /// `` _`a place` ``
    fn place(&mut self, text: &str, at: usize, missing: &mut Missing) -> Option<usize> {
        let end = quote_end(text, at + 2, &mut missing.quote)?;
        let name = unescaped(text.get(at + 2..end)?);
        let id = id_of(&name);
        self.known.add_target(&name, Target::Here(id.clone()));
        self.out.push_str(&format!("<span id=\"{}\">", crate::readme::escaped(&id)));
        push_escaped(&mut self.out, &name);
        self.out.push_str("</span>");
        Some(end + 1 - at)
    }

    fn substitute(&mut self, rest: &str, depth: usize) -> Option<usize> {
        let near = rest.get(..rest.floor_char_boundary(NAME_BYTES_MAX))?;
        let end = end_of(near, 1, "|", true, &mut false)?;
        let name = rest.get(1..end)?;
        let substitute = self.known.substitute(name)?.clone();
        if depth >= SUBSTITUTES_DEPTH_MAX || self.substituted >= SUBSTITUTES_MAX {
            return None;
        }
        self.substituted += 1;
        let after = rest.get(end + 1..)?;
        let underscores = ["__", "_"].into_iter().find(|mark| after.starts_with(mark)).unwrap_or_default();
        let href = match underscores {
            "__" => {
                self.nameless += 1;
                self.known.nameless_href(self.nameless - 1)
            }
            "_" => self.known.href(name),
            _ => None,
        };
        self.open_link(href.as_deref());
        match substitute {
            Substitute::Text(text) => self.inline_at(&text, depth + 1),
            Substitute::Image(image) => self.image(&image),
        }
        self.close_link(href.as_deref());
        Some(end + 1 + underscores.len())
    }

    /// `[1]_`, `[#]_`, `[#name]_`, `[*]_`, `[CIT2002]_`
    fn footnote_reference(&mut self, rest: &str) -> Option<usize> {
        let head = rest.get(..rest.floor_char_boundary(100))?;
        let end = head.find("]_")?;
        let label = rest.get(1..end)?;
        if label.is_empty() || label.contains(char::is_whitespace) || !is_edge(rest.get(end + 2..)?.chars().next()) {
            return None;
        }
        self.noted += 1;
        if self.noted > FOOTNOTE_REFERENCES_MAX {
            return None;
        }
        let nth = match label {
            "#" => {
                self.unnamed_notes += 1;
                self.unnamed_notes
            }
            "*" => {
                self.stars += 1;
                self.stars
            }
            _ => 1,
        };
        let footnote = self.known.footnotes.iter().filter(|footnote| footnote.label == label).nth(nth - 1)?;
        let (href, shown) = (format!("#{}", footnote.id()), footnote.shown.clone());
        self.link(Some(&href), &format!("[{shown}]"));
        Some(end + 2)
    }

    /// A word, which may be an address or a name that leads somewhere.
    fn word(&mut self, rest: &str, before: Option<char>) -> usize {
        if let Some(found) = address(rest) {
            self.link(Some(found), found);
            return found.len();
        }
        let word = word(rest);
        if let Some(found) = mail_address(rest, word) {
            self.link(Some(&format!("mailto:{found}")), found);
            return found.len();
        }
        let after = rest.get(word.len()..).unwrap_or_default();
        let underscores = ["__", "_"].into_iter().find(|mark| after.starts_with(mark)).unwrap_or_default();
        let is_apart = before.is_none_or(|before| begins(Some(before), Some('a')));
        let next = after.get(underscores.len()..).and_then(|after| after.chars().next());
        if !underscores.is_empty() && is_apart && is_edge(next) {
            let href = match underscores {
                "__" => self.known.nameless_href(self.nameless),
                _ => self.known.href(word),
            };
            if href.is_some() {
                self.nameless += usize::from(underscores == "__");
                self.link(href.as_deref(), word);
                return word.len() + underscores.len();
            }
        }
        push_escaped(&mut self.out, word);
        word.len()
    }
}

/// Where the mark that ends it stands.
fn end_of(text: &str, from: usize, mark: &str, escapes: bool, missing: &mut bool) -> Option<usize> {
    if *missing {
        return None;
    }
    let mut search = from;
    while let Some(found) = text.get(search..)?.find(mark) {
        let at = search + found;
        let before = text.get(..at)?.chars().next_back().filter(|_| at > from);
        let after = text.get(at + mark.len()..)?.chars().next();
        // A substitution may be a reference as well.
        let is_end = ends(before, after) || (mark == "|" && before.is_some() && after == Some('_'));
        if is_end && !(escapes && is_escaped(text, at)) {
            return Some(at);
        }
        search = at + 1;
    }
    *missing = true;
    None
}

fn quote_end(text: &str, from: usize, missing: &mut bool) -> Option<usize> {
    if *missing {
        return None;
    }
    let mut search = from;
    while let Some(found) = text.get(search..)?.find('`') {
        let at = search + found;
        let before = text.get(..at)?.chars().next_back().filter(|_| at > from);
        let after = text.get(at + 1..)?;
        let says = before.is_some_and(|before| !before.is_whitespace()) && !is_escaped(text, at);
        let is_end = is_edge(after.chars().next()) || after.starts_with('_') || role_after(after).is_some();
        if says && is_end {
            return Some(at);
        }
        search = at + 1;
    }
    *missing = true;
    None
}

/// The name in `:name:` before a back quote.
fn role_before(rest: &str) -> Option<&str> {
    let name = role_after(rest)?;
    rest.get(name.len() + 2..)?.starts_with('`').then_some(name)
}

/// The name in `:name:`
fn role_after(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix(':')?;
    let name = word(rest.get(..rest.floor_char_boundary(ROLE_BYTES_MAX))?);
    (!name.is_empty() && rest.get(name.len()..)?.starts_with(':')).then_some(name)
}

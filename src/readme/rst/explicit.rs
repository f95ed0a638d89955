use super::body::{paragraph_end, target_of};
use super::directives::Directive;
use super::images;
use super::known::{Footnote, Substitute, Target, id_of};
use super::lines::{dedented, indented_end, is_blank, trimmed};
use super::{Block, Reader};

impl Reader {
    /// What begins with two dots: a target, a footnote, a substitution, a directive; everything else is a comment.
    pub fn explicit(&mut self, lines: &[&str], at: usize, depth: usize, blocks: &mut Vec<Block>) -> usize {
        let line = lines.get(at).copied().unwrap_or_default();
        let text = line.get(2..).unwrap_or_default().trim_start();
        // Two dots alone end what is above; what goes in below them is no part of them.
        if text.is_empty() && lines.get(at + 1).is_none_or(|next| is_blank(next)) {
            return at + 1;
        }
        let mut end = indented_end(lines, at + 1);
        if text.starts_with('_') {
            end = end.min(paragraph_end(lines, at));
        }
        let mut block = vec![text];
        block.extend(dedented(lines.get(at + 1..end).unwrap_or_default()));
        if let Some(target) = text.strip_prefix('_') {
            self.target(target, &block);
        } else if let Some((label, first)) = footnote_label(text) {
            self.footnote(label, first, &block, depth, blocks);
        } else if let Some((name, rest)) = text.strip_prefix('|').and_then(|text| text.split_once('|')) {
            self.substitution(name, rest, &block);
        } else if let Some((name, argument)) = directive_name(text) {
            let directive = Directive::read(name, argument, &block);
            let written = lines.get(at..end).unwrap_or_default();
            self.directive(&directive, written, depth, blocks);
        }
        end
    }

    /// `name: address`, `` `a phrase`: name_ ``, `_: address`
    fn target(&mut self, text: &str, block: &[&str]) {
        let (name, first) = if let Some(rest) = text.strip_prefix('`') {
            match rest.split_once("`:") {
                Some(parts) => parts,
                None => return,
            }
        } else {
            match name_end(text) {
                Some(colon) => (text.get(..colon).unwrap_or_default(), text.get(colon + 1..).unwrap_or_default()),
                None => return,
            }
        };
        let mut address = first.trim().to_owned();
        for line in block.iter().skip(1) {
            address.push(' ');
            address.push_str(line);
        }
        if name == "_" {
            self.known.add_nameless(target_of(&address));
            return;
        }
        let name = name.replace('\\', "");
        if address.trim().is_empty() {
            self.known.add_target(&name, Target::Here(id_of(&name)));
            self.pending.push(name);
            return;
        }
        // Names before an address lead there too.
        for before in std::mem::take(&mut self.pending) {
            self.known.replace_target(&before, target_of(&address));
        }
        self.known.add_target(&name, target_of(&address));
    }

    fn footnote(&mut self, label: &str, first: &str, block: &[&str], depth: usize, blocks: &mut Vec<Block>) {
        let mut inside = vec![first];
        inside.extend(block.iter().skip(1));
        let at = self.known.footnotes.len();
        self.known.footnotes.push(Footnote { label: label.to_owned(), shown: label.to_owned() });
        let body = self.blocks(trimmed(&inside), depth + 1);
        blocks.push(Block::Footnote { at, body });
    }

    fn substitution(&mut self, name: &str, rest: &str, block: &[&str]) {
        let Some((directive, argument)) = directive_name(rest.trim_start()) else { return };
        let directive = Directive::read(directive, argument, block);
        match directive.name.as_str() {
            "image" => {
                let mut image = images::image(&directive);
                if image.alt.is_empty() {
                    image.alt = name.to_owned();
                }
                self.known.add_substitute(name, Substitute::Image(image));
            }
            "replace" => {
                let text = directive.text();
                self.known.add_substitute(name, Substitute::Text(text));
            }
            "unicode" => {
                let text = directive.argument.split_whitespace().take_while(|word| *word != "..").map(unicode);
                self.known.add_substitute(name, Substitute::Text(text.collect()));
            }
            _ => {}
        }
    }
}

/// `0x2014`, `U+2014`, or the text itself.
fn unicode(word: &str) -> String {
    let prefixes = ["0x", "x", "\\x", "U+", "u", "\\u"];
    let number = prefixes.iter().find_map(|prefix| u32::from_str_radix(word.strip_prefix(prefix)?, 16).ok());
    number.and_then(char::from_u32).map_or_else(|| word.to_owned(), String::from)
}

/// The colon that ends a name, which may hold escaped ones.
fn name_end(text: &str) -> Option<usize> {
    text.match_indices(':').map(|(at, _)| at).find(|at| {
        let before = text.get(..*at).unwrap_or_default();
        let after = text.get(at + 1..).unwrap_or_default();
        !before.ends_with('\\') && (after.is_empty() || after.starts_with(' '))
    })
}

/// `[1] text`, `[#name] text`, `[CIT2002] text`
fn footnote_label(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.strip_prefix('[')?.split_once(']')?;
    let is_label = !label.is_empty() && label.len() <= 100 && !label.contains(char::is_whitespace);
    (is_label && (rest.is_empty() || rest.starts_with(' '))).then(|| (label, rest.trim_start()))
}

/// `name:: argument`
pub fn directive_name(text: &str) -> Option<(&str, &str)> {
    let (name, argument) = text.split_once("::")?;
    let name = name.trim_end();
    let is_name = name.starts_with(char::is_alphanumeric)
        && name.chars().all(|char| char.is_alphanumeric() || "-_:.+".contains(char))
        && (argument.is_empty() || argument.starts_with(' '));
    is_name.then(|| (name, argument.trim()))
}

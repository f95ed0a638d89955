use super::known::{Target, id_of};
use super::lines::{adornment, columns, dedented, indent, indented_end, is_blank, trimmed};
use super::lists::{is_option, item_marker};
use super::{Block, DEPTH_MAX, Reader};

/// A line of so many equal characters with nothing above or below it is a rule.
const RULE_CHARS_MIN: usize = 4;

impl Reader {
    /// The blocks of these lines; `depth` counts the blocks around them.
    pub fn blocks(&mut self, lines: &[&str], depth: usize) -> Vec<Block> {
        if depth >= DEPTH_MAX {
            return literal(lines).into_iter().collect();
        }
        let mut blocks = Vec::new();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            if is_blank(line) {
                at += 1;
                continue;
            }
            if !self.pending.is_empty() && !line.starts_with(".. _") && !line.starts_with("__ ") {
                blocks.push(self.anchors());
            }
            at = self.block(lines, at, depth, &mut blocks).max(at + 1);
        }
        if depth == 0 && !self.pending.is_empty() {
            blocks.push(self.anchors());
        }
        blocks
    }

    /// Reads the block that begins there; the line after it.
    fn block(&mut self, lines: &[&str], at: usize, depth: usize, blocks: &mut Vec<Block>) -> usize {
        let line = lines.get(at).copied().unwrap_or_default();
        let next = lines.get(at + 1).copied().unwrap_or_default();
        if indent(line) > 0 {
            if let Some(end) = self.overlined(lines, at, depth, blocks) {
                return end;
            }
            let end = indented_end(lines, at);
            let inside = dedented(lines.get(at..end).unwrap_or_default());
            blocks.push(Block::Quote(self.blocks(&inside, depth + 1)));
            return end;
        }
        if line == ".." || line.starts_with(".. ") {
            return self.explicit(lines, at, depth, blocks);
        }
        if let Some(address) = line.strip_prefix("__ ") {
            let end = indented_end(lines, at + 1).min(paragraph_end(lines, at));
            let further = lines.get(at + 1..end).unwrap_or_default().concat();
            self.known.add_nameless(target_of(&format!("{address} {further}")));
            return end;
        }
        if line == "|" || line.starts_with("| ") {
            return self.line_block(lines, at, blocks);
        }
        if line.starts_with(">>>") {
            let end = paragraph_end(lines, at);
            blocks.extend(literal(lines.get(at..end).unwrap_or_default()));
            return end;
        }
        if (line.starts_with("+-") || line.starts_with("+="))
            && let Some(end) = self.grid_table(lines, at, depth, blocks)
        {
            return end;
        }
        if line.starts_with('=')
            && line.contains(' ')
            && let Some(end) = self.simple_table(lines, at, depth, blocks)
        {
            return end;
        }
        if let Some(end) = self.overlined(lines, at, depth, blocks) {
            return end;
        }
        if adornment(line).is_some() && columns(line) >= RULE_CHARS_MIN && is_blank(next) {
            blocks.push(Block::Rule);
            return at + 1;
        }
        if let (Some(drawn), 0) = (adornment(next), depth)
            && adornment(line).is_none()
            && (columns(next) >= columns(line) || columns(next) >= RULE_CHARS_MIN)
        {
            blocks.push(self.title(line, (drawn, false)));
            return at + 2;
        }
        if let Some(marker) = item_marker(line)
            && let Some(end) = self.list(lines, at, &marker, depth, blocks)
        {
            return end;
        }
        if super::lists::field(line).is_some() {
            return self.fields(lines, at, depth, blocks);
        }
        if is_option(line)
            && let Some(end) = self.options(lines, at, depth, blocks)
        {
            return end;
        }
        if indent(next) > 0 && !line.ends_with("::") {
            return self.definitions(lines, at, depth, blocks);
        }
        self.paragraph(lines, at, blocks)
    }

    /// A title between two equal lines.
    fn overlined(&mut self, lines: &[&str], at: usize, depth: usize, blocks: &mut Vec<Block>) -> Option<usize> {
        let [above, text, below] = lines.get(at..at + 3)? else { return None };
        let drawn = adornment(above).filter(|_| depth == 0 && columns(above) >= 3)?;
        let fits = adornment(below) == Some(drawn) && !is_blank(text) && adornment(text).is_none();
        if !fits || columns(below) < 3 {
            return None;
        }
        blocks.push(self.title(text.trim(), (drawn, true)));
        Some(at + 3)
    }

    fn title(&mut self, text: &str, drawn: (char, bool)) -> Block {
        let level = self.titles.iter().position(|known| *known == drawn).unwrap_or_else(|| {
            self.titles.push(drawn);
            self.titles.len() - 1
        });
        let id = id_of(text);
        self.known.add_title(text, &id);
        Block::Title { level: level + 1, text: text.to_owned(), id }
    }

    fn anchors(&mut self) -> Block {
        let names = std::mem::take(&mut self.pending);
        Block::Anchors(names.iter().map(|name| id_of(name)).collect())
    }

    /// Text up to a blank line, and the literal block that it announces.
    fn paragraph(&mut self, lines: &[&str], at: usize, blocks: &mut Vec<Block>) -> usize {
        let mut end = at + 1;
        // A line that goes in is another block.
        while lines.get(end).is_some_and(|line| !is_blank(line) && indent(line) == 0) {
            end += 1;
        }
        let mut text = lines.get(at..end).unwrap_or_default().join("\n");
        let announces = text.strip_suffix("::").map(str::to_owned);
        if let Some(before) = &announces {
            let before = before.trim_end();
            let is_apart = before.is_empty() || text.ends_with(" ::") || text.ends_with("\n::");
            text = if is_apart { before.to_owned() } else { format!("{before}:") };
        }
        if !text.is_empty() {
            blocks.push(Block::Paragraph(text));
        }
        match announces {
            Some(_) => self.announced(lines, end, blocks),
            None => end,
        }
    }

    /// A literal block: lines that go in, or that all begin with the same sign.
    fn announced(&mut self, lines: &[&str], at: usize, blocks: &mut Vec<Block>) -> usize {
        let Some(first) = (at..lines.len()).find(|at| lines.get(*at).is_some_and(|line| !is_blank(line))) else {
            return at;
        };
        let line = lines.get(first).copied().unwrap_or_default();
        if indent(line) > 0 {
            let end = indented_end(lines, first);
            blocks.extend(literal(&dedented(lines.get(first..end).unwrap_or_default())));
            return end;
        }
        let Some(sign) = line.chars().next().filter(char::is_ascii_punctuation).filter(|_| first > at) else {
            return at;
        };
        // Such a line begins other blocks too; only a quote is meant by more than one, or by an arrow.
        let mut end = first;
        while lines.get(end).is_some_and(|line| line.starts_with(sign)) {
            end += 1;
        }
        if line == ".." || line.starts_with(".. ") || (sign != '>' && end == first + 1) || item_marker(line).is_some() {
            return at;
        }
        blocks.extend(literal(lines.get(first..end).unwrap_or_default()));
        end
    }
}

pub fn literal(lines: &[&str]) -> Option<Block> {
    let lines = trimmed(lines);
    (!lines.is_empty()).then(|| Block::Literal(lines.join("\n")))
}

/// Up to a blank line.
pub fn paragraph_end(lines: &[&str], at: usize) -> usize {
    let rest = lines.get(at..).unwrap_or_default();
    at + rest.iter().position(|line| is_blank(line)).unwrap_or(rest.len())
}

/// What stands behind the name of a target: an address, which may be broken over lines, or another name.
pub fn target_of(text: &str) -> Target {
    let text = text.trim();
    let phrase = text.strip_prefix('`').and_then(|text| text.strip_suffix("`_"));
    let name = text.strip_suffix('_').filter(|name| !name.contains([' ', '/', ':']) && !name.ends_with('\\'));
    match phrase.or(name) {
        Some(name) => Target::Name(name.to_owned()),
        None => Target::Address(text.split_whitespace().collect::<String>().replace("\\_", "_")),
    }
}

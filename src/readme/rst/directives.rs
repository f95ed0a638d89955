use super::body::literal;
use super::lines::{dedented, is_blank, trimmed};
use super::lists::field;
use super::{Block, Cell, Reader, Table, csv, images};

/// A directive as it is written.
pub struct Directive {
    pub name: String,
    pub argument: String,
    options: Vec<(String, String)>,
    content: Vec<String>,
    /// Argument, options and content as they stand, for directives whose argument is their text.
    whole: Vec<String>,
}

impl Directive {
    /// `block`: the line of the name, and the lines below it without what they go in.
    pub fn read(name: &str, argument: &str, block: &[&str]) -> Self {
        let below = block.get(1..).unwrap_or_default();
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let mut whole = vec![argument.to_owned()];
        whole.extend(owned(below));
        let mut argument = argument.to_owned();
        let mut options: Vec<(String, String)> = Vec::new();
        let mut at = 0;
        while let Some(line) = below.get(at).filter(|line| !is_blank(line)) {
            match (field(line), options.last_mut()) {
                (Some((name, value)), _) => options.push((name.to_ascii_lowercase(), value.to_owned())),
                (None, Some((_, before))) if line.starts_with(' ') => {
                    before.push(' ');
                    before.push_str(line.trim());
                }
                (None, Some(_)) => break,
                (None, None) => {
                    argument.push(' ');
                    argument.push_str(line);
                }
            }
            at += 1;
        }
        let content = owned(trimmed(below.get(at..).unwrap_or_default()));
        let name = name.to_ascii_lowercase();
        Self { name, argument: argument.trim().to_owned(), options, content, whole }
    }

    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn content(&self) -> Vec<&str> {
        self.content.iter().map(String::as_str).collect()
    }

    /// Argument and content as one text.
    pub fn text(&self) -> String {
        let mut text = self.argument.clone();
        for line in &self.content {
            text.push('\n');
            text.push_str(line);
        }
        text.trim().to_owned()
    }

    /// The text of a directive that takes no argument: what stands behind its name is the first line of it.
    fn body(&self) -> Vec<&str> {
        let whole: Vec<&str> = self.whole.iter().map(String::as_str).collect();
        let first = whole.first().copied().unwrap_or_default();
        let options = usize::from(first.is_empty()) * self.options.len();
        let below = whole.get(1 + options..).unwrap_or_default();
        let mut body = vec![first];
        body.extend(dedented(below));
        trimmed(&body).to_vec()
    }
}

impl Reader {
    /// `written`: the lines of it, for when it is not understood.
    pub fn directive(&mut self, directive: &Directive, written: &[&str], depth: usize, blocks: &mut Vec<Block>) {
        let inside = depth + 1;
        match directive.name.as_str() {
            "attention" | "caution" | "danger" | "error" | "hint" | "important" | "note" | "tip" | "warning"
            | "seealso" | "todo" => {
                let title = match directive.name.as_str() {
                    "seealso" => "See also".to_owned(),
                    name => capital(name),
                };
                let is_warning =
                    matches!(directive.name.as_str(), "attention" | "caution" | "danger" | "error" | "warning");
                let body = self.blocks(&directive.body(), inside);
                blocks.push(Block::Admonition { title, is_warning, body });
            }
            "admonition" | "topic" | "sidebar" => {
                let (title, body) = (directive.argument.clone(), self.blocks(&directive.content(), inside));
                blocks.push(Block::Admonition { title, is_warning: false, body });
            }
            "versionadded" | "versionchanged" | "deprecated" | "versionremoved" => {
                let said = match directive.name.as_str() {
                    "versionadded" => "New in version",
                    "versionchanged" => "Changed in version",
                    "versionremoved" => "Removed in version",
                    _ => "Deprecated since version",
                };
                blocks.push(Block::Paragraph(format!("*{said}* {}", directive.argument)));
                blocks.extend(self.blocks(&directive.content(), inside));
            }
            "image" => blocks.push(Block::Image(images::image(directive))),
            "figure" => {
                let body = self.blocks(&directive.content(), inside);
                blocks.push(Block::Figure(images::image(directive), body));
            }
            "code" | "code-block" | "sourcecode" | "math" | "parsed-literal" | "prompt" | "doctest" | "testcode"
            | "testoutput" | "literal" | "console" | "highlight-block" => {
                let content = directive.content();
                match content.is_empty() {
                    // The argument of these is text, or somebody forgot the blank line above the code.
                    true => blocks.extend(literal(&directive.body())),
                    false => blocks.extend(literal(&content)),
                }
            }
            "container" | "class" | "rst-class" | "compound" | "only" | "ifconfig" | "hlist" => {
                blocks.push(Block::Group(self.blocks(&directive.content(), inside)));
            }
            "epigraph" | "highlights" | "pull-quote" => {
                blocks.push(Block::Quote(self.blocks(&directive.body(), inside)));
            }
            "rubric" => blocks.push(Block::Paragraph(format!("**{}**", directive.argument))),
            "centered" => blocks.push(Block::Paragraph(directive.argument.clone())),
            "table" => {
                let mut found = self.blocks(&directive.content(), inside);
                if let Some(Block::Table(table)) = found.first_mut() {
                    table.caption.clone_from(&directive.argument);
                }
                blocks.extend(found);
            }
            "list-table" => self.list_table(directive, depth, blocks),
            "csv-table" => {
                let (rows, head) = csv::rows(directive);
                let cell = |text: String| Cell { columns: 1, rows: 1, body: vec![Block::Paragraph(text)] };
                let rows = rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
                blocks.push(Block::Table(Table { caption: directive.argument.clone(), head, rows }));
            }
            "role" => {
                if let Some((name, base)) = directive.argument.trim_end_matches(')').split_once('(') {
                    self.known.add_role(name.trim(), base.trim());
                }
            }
            // What a description leaves to its renderer, and what it may not ask of ours.
            "contents" | "sectnum" | "section-numbering" | "raw" | "include" | "literalinclude" | "meta" | "title"
            | "target-notes" | "header" | "footer" | "default-role" | "toctree" | "index" | "highlight"
            | "currentmodule" | "py:currentmodule" | "module" | "py:module" | "tabularcolumns" | "autofunction"
            | "autoclass" | "automodule" => {}
            _ => blocks.extend(literal(written)),
        }
    }

    /// A list of rows, each a list of cells.
    fn list_table(&mut self, directive: &Directive, depth: usize, blocks: &mut Vec<Block>) {
        let mut rows = Vec::new();
        for block in self.blocks(&directive.content(), depth + 1) {
            let Block::List(items) = block else { continue };
            for item in items {
                let cells = item.into_iter().find_map(|block| match block {
                    Block::List(cells) => Some(cells),
                    _ => None,
                });
                let cell = |body| Cell { columns: 1, rows: 1, body };
                rows.push(cells.unwrap_or_default().into_iter().map(cell).collect());
            }
        }
        let head = directive.option("header-rows").and_then(|rows| rows.trim().parse().ok()).unwrap_or_default();
        blocks.push(Block::Table(Table { caption: directive.argument.clone(), head, rows }));
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

use super::known::Known;
use super::{Block, Cell, Image, Table};
use crate::readme::{HTML_BYTES_MAX, escaped, push_escaped};

pub fn write(blocks: &[Block], known: Known) -> String {
    let mut writer =
        Writer { known, out: String::new(), nameless: 0, noted: 0, unnamed_notes: 0, stars: 0, substituted: 0 };
    writer.blocks(blocks);
    writer.out
}

pub struct Writer {
    pub known: Known,
    pub out: String,
    /// How many references without a name there were, to footnotes, to numbers, and to stars; how many names were
    /// replaced.
    pub nameless: usize,
    pub noted: usize,
    pub unnamed_notes: usize,
    pub stars: usize,
    pub substituted: usize,
}

impl Writer {
    fn blocks(&mut self, blocks: &[Block]) {
        let mut at = 0;
        while let Some(block) = blocks.get(at) {
            if self.out.len() > HTML_BYTES_MAX {
                return;
            }
            // Badges stand side by side.
            let is_plain = |block: &Block| matches!(block, Block::Image(image) if image.align.is_empty());
            let images = blocks.get(at..).unwrap_or_default().iter().take_while(|block| is_plain(block)).count();
            if images > 0 {
                self.out.push_str("<p>");
                for block in blocks.iter().skip(at).take(images) {
                    if let Block::Image(image) = block {
                        self.image(image);
                        self.out.push('\n');
                    }
                }
                self.out.push_str("</p>\n");
            } else {
                self.block(block);
            }
            at += images.max(1);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Title { level, text, id } => {
                let level = (*level).min(6);
                self.out.push_str(&format!("<h{level} id=\"{}\">", escaped(id)));
                self.inline(text);
                self.out.push_str(&format!("</h{level}>\n"));
            }
            Block::Paragraph(text) => self.around("p", |writer| writer.inline(text)),
            Block::Literal(text) => {
                self.out.push_str("<pre><code>");
                push_escaped(&mut self.out, text);
                self.out.push_str("</code></pre>\n");
            }
            Block::Quote(body) => self.around("blockquote", |writer| writer.blocks(body)),
            Block::List(items) => self.around("ul", |writer| writer.items(items)),
            Block::Numbered { style, start, items } => {
                self.out.push_str(&format!("<ol type=\"{style}\" start=\"{start}\">\n"));
                self.items(items);
                self.out.push_str("</ol>\n");
            }
            Block::Definitions(entries) => self.entries(entries, |writer, term| match term.split_once(" : ") {
                Some((term, class)) => {
                    writer.inline(term);
                    writer.out.push_str(" : ");
                    writer.out.push_str("<em>");
                    writer.inline(class);
                    writer.out.push_str("</em>");
                }
                None => writer.inline(term),
            }),
            Block::Fields(entries) => self.entries(entries, |writer, name| writer.inline(name)),
            Block::Options(entries) => self.entries(entries, |writer, names| writer.element("code", names)),
            Block::Lines(lines) => {
                self.out.push_str("<div class=\"line-block\">");
                for (at, (depth, text)) in lines.iter().enumerate() {
                    if at > 0 {
                        self.out.push_str("<br>");
                    }
                    self.out.extend(std::iter::repeat_n('\u{a0}', (*depth).min(40)));
                    self.inline(text);
                }
                self.out.push_str("</div>\n");
            }
            Block::Table(table) => self.table(table),
            Block::Image(image) => self.around("p", |writer| writer.image(image)),
            Block::Figure(image, body) => self.around("figure", |writer| {
                writer.image(image);
                if !body.is_empty() {
                    writer.around("figcaption", |writer| writer.item(body));
                }
            }),
            Block::Admonition { title, is_warning, body } => {
                let class = if *is_warning { "admonition warning" } else { "admonition" };
                self.out.push_str(&format!("<div class=\"{class}\"><p class=\"admonition-title\">"));
                self.inline(title);
                self.out.push_str("</p>\n");
                self.blocks(body);
                self.out.push_str("</div>\n");
            }
            Block::Footnote { at, body } => {
                let Some(footnote) = self.known.footnotes.get(*at) else { return };
                let (id, shown) = (footnote.id(), footnote.shown.clone());
                self.out.push_str(&format!("<div class=\"footnotes\" id=\"{}\">", escaped(&id)));
                push_escaped(&mut self.out, &format!("[{shown}] "));
                self.item(body);
                self.out.push_str("</div>\n");
            }
            Block::Anchors(ids) => {
                for id in ids {
                    self.out.push_str(&format!("<span id=\"{}\"></span>", escaped(id)));
                }
            }
            Block::Group(body) => self.blocks(body),
            Block::Rule => self.out.push_str("<hr>\n"),
        }
    }

    fn items(&mut self, items: &[Vec<Block>]) {
        for item in items {
            self.around("li", |writer| writer.item(item));
        }
    }

    /// A paragraph that is all, or all before a list, is text without a frame.
    fn item(&mut self, body: &[Block]) {
        match body {
            [Block::Paragraph(text)] => self.inline(text),
            [Block::Paragraph(text), rest @ ..] if rest.iter().all(|block| matches!(block, Block::List(_))) => {
                self.inline(text);
                self.blocks(rest);
            }
            _ => self.blocks(body),
        }
    }

    fn entries(&mut self, entries: &[(String, Vec<Block>)], term: impl Fn(&mut Self, &str)) {
        self.out.push_str("<dl>\n");
        for (name, body) in entries {
            self.around("dt", |writer| term(writer, name));
            self.around("dd", |writer| writer.item(body));
        }
        self.out.push_str("</dl>\n");
    }

    fn table(&mut self, table: &Table) {
        self.out.push_str("<table>\n");
        if !table.caption.is_empty() {
            self.around("caption", |writer| writer.inline(&table.caption));
        }
        let (head, body) = table.rows.split_at(table.head.min(table.rows.len()));
        if !head.is_empty() {
            self.around("thead", |writer| head.iter().for_each(|row| writer.row(row, "th")));
        }
        self.around("tbody", |writer| body.iter().for_each(|row| writer.row(row, "td")));
        self.out.push_str("</table>\n");
    }

    fn row(&mut self, row: &[Cell], element: &str) {
        self.out.push_str("<tr>");
        for cell in row {
            self.out.push_str(&format!("<{element}"));
            for (name, span) in [("colspan", cell.columns), ("rowspan", cell.rows)] {
                if span > 1 {
                    self.out.push_str(&format!(" {name}=\"{span}\""));
                }
            }
            self.out.push('>');
            self.item(&cell.body);
            self.out.push_str(&format!("</{element}>"));
        }
        self.out.push_str("</tr>\n");
    }

    pub fn image(&mut self, image: &Image) {
        let name = image.target.strip_suffix('_').map(|name| name.trim_matches('`'));
        let target = match name.and_then(|name| self.known.href(name)) {
            Some(href) => Some(href),
            None => Some(image.target.clone()).filter(|target| !target.is_empty()),
        };
        self.open_link(target.as_deref());
        self.out.push_str("<img");
        for (name, value) in [
            ("src", &image.src),
            ("alt", &image.alt),
            ("width", &image.width),
            ("height", &image.height),
            ("align", &image.align),
        ] {
            self.out.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        self.out.push('>');
        self.close_link(target.as_deref());
    }

    pub fn link(&mut self, href: Option<&str>, shown: &str) {
        self.open_link(href);
        push_escaped(&mut self.out, shown);
        self.close_link(href);
    }

    pub fn open_link(&mut self, href: Option<&str>) {
        if let Some(href) = href {
            self.out.push_str(&format!("<a href=\"{}\">", escaped(href)));
        }
    }

    pub fn close_link(&mut self, href: Option<&str>) {
        if href.is_some() {
            self.out.push_str("</a>");
        }
    }

    pub fn element(&mut self, element: &str, text: &str) {
        self.out.push_str(&format!("<{element}>"));
        push_escaped(&mut self.out, text);
        self.out.push_str(&format!("</{element}>"));
    }

    fn around(&mut self, element: &str, inside: impl FnOnce(&mut Self)) {
        self.out.push_str(&format!("<{element}>"));
        inside(self);
        self.out.push_str(&format!("</{element}>\n"));
    }
}

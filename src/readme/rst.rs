//! reStructuredText, as far as descriptions of packages use it.
//!
//! Two passes: `body` and its neighbours read the blocks and note what names stand for ([`known`]); `write` turns them
//! into HTML and reads the text inside them (`inline`), for a name may be used before it is explained. Nothing is
//! included from anywhere, nothing is passed through. What is not understood is shown as it was written.

mod body;
mod csv;
mod directives;
mod explicit;
mod grid;
mod images;
mod inline;
mod known;
mod lines;
mod lists;
mod roles;
mod scan;
mod simple_table;
mod write;

use known::Known;

/// Most blocks within blocks; what lies deeper is shown as it was written.
const DEPTH_MAX: usize = 20;

/// Most steps that are taken to find the cells of all tables: characters that are looked at.
const TABLE_STEPS_MAX: usize = 4_000_000;

pub fn to_html(text: &str) -> String {
    let lines = lines::prepared(text);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut reader =
        Reader { known: Known::default(), titles: Vec::new(), pending: Vec::new(), steps: TABLE_STEPS_MAX };
    let blocks = reader.blocks(&lines, 0);
    reader.known.number_footnotes();
    write::write(&blocks, reader.known)
}

struct Reader {
    known: Known,
    /// The ways in which titles are underlined, from the highest level: the character, and whether it is overlined.
    titles: Vec<(char, bool)>,
    /// Names of the place that comes next.
    pending: Vec<String>,
    /// Left for tables.
    steps: usize,
}

enum Block {
    Title {
        level: usize,
        text: String,
        id: String,
    },
    Paragraph(String),
    Literal(String),
    Quote(Vec<Block>),
    List(Vec<Vec<Block>>),
    Numbered {
        style: char,
        start: usize,
        items: Vec<Vec<Block>>,
    },
    Definitions(Vec<(String, Vec<Block>)>),
    /// Names without their colons.
    Fields(Vec<(String, Vec<Block>)>),
    Options(Vec<(String, Vec<Block>)>),
    /// Lines with how far each goes in.
    Lines(Vec<(usize, String)>),
    Table(Table),
    Image(Image),
    Figure(Image, Vec<Block>),
    Admonition {
        title: String,
        is_warning: bool,
        body: Vec<Block>,
    },
    Footnote {
        at: usize,
        body: Vec<Block>,
    },
    /// Places that something may lead to.
    Anchors(Vec<String>),
    /// Blocks without anything around them.
    Group(Vec<Block>),
    Rule,
}

#[derive(Default)]
struct Table {
    caption: String,
    /// How many of the rows are a head.
    head: usize,
    rows: Vec<Vec<Cell>>,
}

struct Cell {
    columns: usize,
    rows: usize,
    body: Vec<Block>,
}

#[derive(Default, Clone)]
struct Image {
    src: String,
    alt: String,
    width: String,
    height: String,
    align: String,
    /// An address, or a name with its underscore.
    target: String,
}

use super::lines::{dedented, is_blank};
use super::{Block, Cell, Reader, Table};

/// Longest table that is read as one, in lines, and most of its columns.
const LINES_MAX: usize = 2_000;
const COLUMNS_MAX: usize = 100;

/// A row whose lines are being gathered: each column's text.
struct Row {
    cells: Vec<Vec<String>>,
    /// How many columns each cell takes.
    spans: Vec<usize>,
}

impl Reader {
    /// A table whose columns stand under lines of `=`; none where no such line ends it.
    pub fn simple_table(&mut self, lines: &[&str], at: usize, depth: usize, blocks: &mut Vec<Block>) -> Option<usize> {
        let columns = ruled(lines.get(at)?, '=')?;
        if columns.len() > COLUMNS_MAX {
            return None;
        }
        let mut rules = Vec::new();
        for (line_at, line) in lines.iter().enumerate().skip(at + 1).take(LINES_MAX) {
            self.steps = self.steps.checked_sub(1 + line.len() / 8)?;
            if ruled(line, '=').is_some() {
                rules.push(line_at);
                if lines.get(line_at + 1).is_none_or(|next| is_blank(next)) {
                    break;
                }
            }
        }
        let (end, head) = match rules.as_slice() {
            [end] => (*end, None),
            [head, .., end] => (*end, Some(*head)),
            [] => return None,
        };
        let body = |from: usize, to: usize| lines.get(from..to).unwrap_or_default();
        let mut rows = Vec::new();
        let mut head_rows = 0;
        if let Some(head) = head {
            rows = self.rows(body(at + 1, head), &columns, depth);
            head_rows = rows.len();
        }
        rows.extend(self.rows(body(head.unwrap_or(at) + 1, end), &columns, depth));
        blocks.push(Block::Table(Table { caption: String::new(), head: head_rows, rows }));
        Some(end + 1)
    }

    fn rows(&mut self, lines: &[&str], columns: &[(usize, usize)], depth: usize) -> Vec<Vec<Cell>> {
        let mut found: Vec<Row> = Vec::new();
        let mut ended = true;
        for line in lines {
            if is_blank(line) {
                // A blank line within a cell of several paragraphs, or between rows.
                found
                    .iter_mut()
                    .last()
                    .into_iter()
                    .flat_map(|row| &mut row.cells)
                    .for_each(|cell| cell.push(String::new()));
                continue;
            }
            if ruled(line, '=').is_some() {
                ended = true;
                continue;
            }
            if let Some(under) = ruled(line, '-') {
                if let Some(row) = found.last_mut() {
                    join(row, columns, &under);
                }
                ended = true;
                continue;
            }
            let chars: Vec<char> = line.chars().collect();
            let texts: Vec<String> = (0..columns.len()).map(|at| text_of(&chars, columns, at)).collect();
            let first_is_blank = texts.first().is_none_or(|text| text.trim().is_empty());
            match found.last_mut() {
                Some(row) if first_is_blank && !ended => {
                    row.cells.iter_mut().zip(texts).for_each(|(cell, text)| cell.push(text));
                }
                _ => {
                    let cells: Vec<_> = texts.into_iter().map(|text| vec![text]).collect();
                    found.push(Row { spans: vec![1; cells.len()], cells });
                }
            }
            ended = false;
        }
        found.into_iter().map(|row| self.row(row, depth)).collect()
    }

    fn row(&mut self, row: Row, depth: usize) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (lines, columns) in row.cells.iter().zip(row.spans) {
            let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
            cells.push(Cell { columns, rows: 1, body: self.blocks(&dedented(&lines), depth + 1) });
        }
        cells
    }
}

/// The columns that a line of equal characters and blanks draws; one alone is no table.
fn ruled(line: &str, with: char) -> Option<Vec<(usize, usize)>> {
    if !line.starts_with(with) || !line.chars().all(|char| char == with || char == ' ') {
        return None;
    }
    let mut columns = Vec::new();
    let mut start = None;
    for (at, char) in line.chars().chain([' ']).enumerate() {
        match (char == with, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                columns.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    (columns.len() > 1 || with == '-').then_some(columns)
}

/// From the start of a column to that of the next; the last goes on as far as it likes.
fn text_of(line: &[char], columns: &[(usize, usize)], at: usize) -> String {
    let start = columns.get(at).map_or(0, |(start, _)| *start);
    let end = columns.get(at + 1).map_or(line.len(), |(start, _)| *start);
    line.iter().take(end).skip(start).collect()
}

/// A line below a row joins columns to cells that take several.
fn join(row: &mut Row, columns: &[(usize, usize)], under: &[(usize, usize)]) {
    let mut cells: Vec<Vec<String>> = Vec::new();
    let mut spans: Vec<usize> = Vec::new();
    for ((start, _), lines) in columns.iter().zip(std::mem::take(&mut row.cells)) {
        let begins = under.iter().any(|(from, _)| from == start) || cells.is_empty();
        match (begins, cells.last_mut(), spans.last_mut()) {
            (false, Some(cell), Some(span)) => {
                *span += 1;
                cell.iter_mut().zip(lines).for_each(|(text, more)| text.push_str(&more));
            }
            _ => {
                cells.push(lines);
                spans.push(1);
            }
        }
    }
    (row.cells, row.spans) = (cells, spans);
}

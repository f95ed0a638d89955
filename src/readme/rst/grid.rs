use super::lines::dedented;
use super::{Block, Cell, Reader, Table};
use std::collections::BTreeSet;

/// Largest table that is read as one: columns of characters and lines.
const COLUMNS_MAX: usize = 600;
const LINES_MAX: usize = 2_000;

/// Where a cell is, by the lines that are drawn around it.
struct Found {
    top: usize,
    left: usize,
    bottom: usize,
    right: usize,
}

impl Reader {
    /// A table that is drawn with `+`, `-` and `|`; none where the drawing does not close.
    pub fn grid_table(&mut self, lines: &[&str], at: usize, depth: usize, blocks: &mut Vec<Block>) -> Option<usize> {
        let drawn = lines.iter().skip(at).take(LINES_MAX).take_while(|line| line.starts_with(['+', '|']));
        let mut grid: Vec<Vec<char>> = drawn.map(|line| line.chars().collect()).collect();
        let end = at + grid.len();
        let width = grid.first().map(Vec::len).filter(|width| *width <= COLUMNS_MAX)?;
        grid.iter_mut().for_each(|line| line.resize(width, ' '));
        let is_head_line = |line: &Vec<char>| line.contains(&'=') && line.iter().all(|char| "+=".contains(*char));
        let head_line = grid.iter().position(is_head_line).filter(|line| *line > 0);
        if let Some(line) = head_line.and_then(|line| grid.get_mut(line)) {
            line.iter_mut().filter(|char| **char == '=').for_each(|char| *char = '-');
        }
        let found = self.cells(&grid)?;
        let lefts: BTreeSet<usize> = found.iter().flat_map(|cell| [cell.left, cell.right]).collect();
        let tops: BTreeSet<usize> = found.iter().flat_map(|cell| [cell.top, cell.bottom]).collect();
        let mut rows: Vec<Vec<Cell>> = tops.iter().skip(1).map(|_| Vec::new()).collect();
        for cell in found {
            let inside: Vec<String> = grid
                .iter()
                .take(cell.bottom)
                .skip(cell.top + 1)
                .map(|line| line.iter().take(cell.right).skip(cell.left + 1).collect::<String>().trim_end().to_owned())
                .collect();
            let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
            let body = self.blocks(&dedented(&inside), depth + 1);
            let row = tops.iter().position(|top| *top == cell.top)?;
            let span = |edges: &BTreeSet<usize>, from, to| edges.range(from..to).count();
            rows.get_mut(row)?.push(Cell {
                columns: span(&lefts, cell.left, cell.right),
                rows: span(&tops, cell.top, cell.bottom),
                body,
            });
        }
        let head = head_line.map_or(0, |line| tops.range(..line).count());
        blocks.push(Block::Table(Table { caption: String::new(), head, rows }));
        Some(end)
    }

    /// All cells from the upper left corner on; none where they do not fill the drawing.
    fn cells(&mut self, grid: &[Vec<char>]) -> Option<Vec<Found>> {
        let (bottom, right) = (grid.len().checked_sub(1)?, grid.first()?.len().checked_sub(1)?);
        if bottom < 2 || right < 2 {
            return None;
        }
        let mut corners = BTreeSet::from([(0, 0)]);
        let mut cells: Vec<Found> = Vec::new();
        // Down to which line each column is filled.
        let mut filled = vec![0; right];
        while let Some((top, left)) = corners.pop_first() {
            // A corner on the edge of a wider cell is none.
            if filled.get(left).is_none_or(|line| *line != top) || top == bottom {
                continue;
            }
            let cell = self.cell(grid, top, left)?;
            corners.insert((top, cell.right));
            corners.insert((cell.bottom, left));
            for column in filled.get_mut(left..cell.right)? {
                if *column != top {
                    return None;
                }
                *column = cell.bottom;
            }
            cells.push(cell);
        }
        filled.iter().all(|line| *line == bottom).then_some(cells)
    }

    /// The smallest cell with that corner.
    fn cell(&mut self, grid: &[Vec<char>], top: usize, left: usize) -> Option<Found> {
        let at = |line: usize, column: usize| grid.get(line).and_then(|line| line.get(column)).copied().unwrap_or(' ');
        if at(top, left) != '+' {
            return None;
        }
        let width = grid.first()?.len();
        for right in left + 1..width {
            self.steps = self.steps.checked_sub(1)?;
            match at(top, right) {
                '-' => continue,
                '+' => {}
                _ => return None,
            }
            for bottom in top + 1..grid.len() {
                self.steps = self.steps.checked_sub(1)?;
                match at(bottom, right) {
                    '|' => continue,
                    '+' => {}
                    _ => break,
                }
                self.steps = self.steps.checked_sub(right - left + bottom - top)?;
                let closes = at(bottom, left) == '+'
                    && (left..=right).all(|column| "+-".contains(at(bottom, column)))
                    && (top..=bottom).all(|line| "+|".contains(at(line, left)));
                if closes {
                    return Some(Found { top, left, bottom, right });
                }
            }
        }
        None
    }
}

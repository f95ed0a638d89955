use super::directives::Directive;

/// Rows of cells, and how many of them are a head.
pub fn rows(directive: &Directive) -> (Vec<Vec<String>>, usize) {
    let delimiter = match directive.option("delim").map(str::trim) {
        Some("tab") => '\t',
        Some("space") => ' ',
        Some(text) => text.chars().next().unwrap_or(','),
        None => ',',
    };
    let mut rows = directive.option("header").map(|header| read(header, delimiter)).unwrap_or_default();
    let mut head = rows.len();
    head += directive.option("header-rows").and_then(|rows| rows.trim().parse::<usize>().ok()).unwrap_or_default();
    rows.extend(read(&directive.content().join("\n"), delimiter));
    (rows, head)
}

fn read(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell).trim().to_owned());
                rows.push(std::mem::take(&mut row));
            }
            _ if char == delimiter && !quoted => row.push(std::mem::take(&mut cell).trim().to_owned()),
            _ => cell.push(char),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell.trim().to_owned());
        rows.push(row);
    }
    rows.retain(|row| row.iter().any(|cell| !cell.is_empty()));
    rows
}

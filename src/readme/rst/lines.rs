/// Columns to the next stop of a tab.
const TAB_COLUMNS: usize = 8;

/// The lines without tabs, odd blanks and trailing blanks.
pub fn prepared(text: &str) -> Vec<String> {
    text.lines().map(line).collect()
}

fn line(raw: &str) -> String {
    let mut line = String::with_capacity(raw.len());
    let mut column = 0;
    for char in raw.trim_end().chars() {
        match char {
            '\t' => {
                let blanks = TAB_COLUMNS - column % TAB_COLUMNS;
                line.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
                continue;
            }
            '\u{feff}' => continue,
            _ if char.is_whitespace() => line.push(' '),
            _ => line.push(char),
        }
        column += 1;
    }
    line.truncate(line.trim_end().len());
    line
}

pub fn is_blank(line: &str) -> bool {
    line.is_empty()
}

/// Blanks before the text, in bytes, which are columns as long as there are only blanks.
pub fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Without so many of the blanks before it.
pub fn without_indent(line: &str, columns: usize) -> &str {
    line.get(indent(line).min(columns)..).unwrap_or_default()
}

/// Lines from `from` on that are blank or go in; the end of those, without blank ones at the end.
pub fn indented_end(lines: &[&str], from: usize) -> usize {
    let mut end = from;
    for (at, line) in lines.iter().enumerate().skip(from) {
        if is_blank(line) {
            continue;
        }
        if indent(line) == 0 {
            break;
        }
        end = at + 1;
    }
    end
}

/// The lines without what they all go in.
pub fn dedented<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let common = lines.iter().filter(|line| !is_blank(line)).map(|line| indent(line)).min().unwrap_or_default();
    lines.iter().map(|line| without_indent(line, common)).collect()
}

/// Without blank lines at both ends.
pub fn trimmed<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
    let Some(first) = lines.iter().position(|line| !is_blank(line)) else { return &[] };
    let last = lines.iter().rposition(|line| !is_blank(line)).unwrap_or(first);
    lines.get(first..=last).unwrap_or_default()
}

/// The character that the whole line consists of, where titles and rules are drawn with it.
pub fn adornment(line: &str) -> Option<char> {
    let first = line.chars().next().filter(char::is_ascii_punctuation)?;
    line.chars().all(|char| char == first).then_some(first)
}

/// How wide the text looks.
pub fn columns(text: &str) -> usize {
    text.chars().count()
}

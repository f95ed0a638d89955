use super::body::literal;
use super::lines::{dedented, indent, indented_end, is_blank, without_indent};
use super::{Block, Reader};

/// What an item of a list begins with.
pub struct Marker {
    /// Bytes up to the text.
    width: usize,
    kind: MarkerKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MarkerKind {
    Bullet(char),
    /// How its numbers are written (`1`, `a`, `A`, `i`, `I`), what is around them, and this one's.
    Number {
        style: char,
        form: (bool, char),
        value: Option<usize>,
    },
}

/// Longest name of a field or of an option that is taken for one, in bytes.
const NAME_BYTES_MAX: usize = 200;

pub fn item_marker(line: &str) -> Option<Marker> {
    let first = line.chars().next()?;
    if "*+-\u{2022}\u{2023}\u{2043}".contains(first) {
        let rest = line.get(first.len_utf8()..)?;
        let is_item = rest.is_empty() || rest.starts_with(' ');
        return is_item.then(|| Marker { width: width_of(line, first.len_utf8()), kind: MarkerKind::Bullet(first) });
    }
    let (opens, inner) = line.strip_prefix('(').map_or((false, line), |inner| (true, inner));
    let length = inner.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#').take(10).count();
    let (number, rest) = (inner.get(..length)?, inner.get(length..)?);
    let close = rest.chars().next().filter(|close| *close == ')' || (*close == '.' && !opens))?;
    let after = rest.get(1..)?;
    if !(after.is_empty() || after.starts_with(' ')) {
        return None;
    }
    let (style, value) = number_of(number)?;
    let width = width_of(line, usize::from(opens) + length + 1);
    Some(Marker { width, kind: MarkerKind::Number { style, form: (opens, close), value } })
}

fn width_of(line: &str, marker: usize) -> usize {
    let rest = line.get(marker..).unwrap_or_default();
    marker + indent(rest).max(1)
}

fn number_of(text: &str) -> Option<(char, Option<usize>)> {
    if text == "#" {
        return Some(('1', None));
    }
    if let Ok(number) = text.parse::<usize>() {
        return Some(('1', Some(number)));
    }
    let roman = roman(&text.to_ascii_lowercase());
    let is_upper = text.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_lower = text.bytes().all(|byte| byte.is_ascii_lowercase());
    match (roman, text.bytes().next()) {
        // A lone letter is one of the alphabet, but for the first Roman number.
        (Some(value), _) if (is_upper || is_lower) && (text.len() > 1 || value == 1) => {
            Some((if is_upper { 'I' } else { 'i' }, Some(value)))
        }
        (_, Some(letter)) if text.len() == 1 && letter.is_ascii_alphabetic() => {
            let value = usize::from(letter.to_ascii_lowercase() - b'a') + 1;
            Some((if is_upper { 'A' } else { 'a' }, Some(value)))
        }
        _ => None,
    }
}

fn roman(text: &str) -> Option<usize> {
    let mut total = 0;
    let mut above = 0;
    for byte in text.bytes().rev() {
        let value = match byte {
            b'i' => 1,
            b'v' => 5,
            b'x' => 10,
            b'l' => 50,
            b'c' => 100,
            _ => return None,
        };
        total = if value < above { total - value } else { total + value };
        above = above.max(value);
    }
    (total > 0).then_some(total as usize).filter(|_| !text.is_empty())
}

impl MarkerKind {
    fn goes_on_with(self, next: Self) -> bool {
        match (self, next) {
            (Self::Bullet(one), Self::Bullet(other)) => one == other,
            (Self::Number { style, form, .. }, Self::Number { style: other, form: as_well, value }) => {
                form == as_well && (value.is_none() || style == other || (style == 'i' && other == 'a'))
            }
            _ => false,
        }
    }
}

impl Reader {
    /// A list of items; none where the line only looks like one.
    pub fn list(
        &mut self,
        lines: &[&str],
        at: usize,
        first: &Marker,
        depth: usize,
        blocks: &mut Vec<Block>,
    ) -> Option<usize> {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        let follows =
            is_blank(next) || indent(next) > 0 || item_marker(next).is_some_and(|it| first.kind.goes_on_with(it.kind));
        // A sentence may begin with a number and a dot: `1999. That year`.
        if !follows && matches!(first.kind, MarkerKind::Number { .. }) {
            return None;
        }
        let mut items = Vec::new();
        let mut end = at;
        while let Some(line) = lines.get(end) {
            if is_blank(line) {
                end += 1;
                continue;
            }
            let Some(marker) = item_marker(line).filter(|marker| first.kind.goes_on_with(marker.kind)) else { break };
            let item_end = indented_end(lines, end + 1);
            let mut inside = vec![line.get(marker.width..).unwrap_or_default()];
            inside.extend(
                lines.get(end + 1..item_end).unwrap_or_default().iter().map(|line| without_indent(line, marker.width)),
            );
            items.push(self.blocks(&inside, depth + 1));
            end = item_end;
        }
        blocks.push(match first.kind {
            MarkerKind::Bullet(_) => Block::List(items),
            MarkerKind::Number { style, value, .. } => Block::Numbered { style, start: value.unwrap_or(1), items },
        });
        Some(end)
    }

    pub fn fields(&mut self, lines: &[&str], at: usize, depth: usize, blocks: &mut Vec<Block>) -> usize {
        let mut fields = Vec::new();
        let end = self.entries(lines, at, depth, field, &mut fields);
        blocks.push(Block::Fields(fields));
        end
    }

    /// Options of a command and what they do; none where the line only looks like one.
    pub fn options(&mut self, lines: &[&str], at: usize, depth: usize, blocks: &mut Vec<Block>) -> Option<usize> {
        let mut options = Vec::new();
        let end = self.entries(lines, at, depth, option, &mut options);
        if options.iter().all(|(_, body)| body.is_empty()) {
            return None;
        }
        blocks.push(Block::Options(options));
        Some(end)
    }

    fn entries(
        &mut self,
        lines: &[&str],
        at: usize,
        depth: usize,
        read: impl for<'a> Fn(&'a str) -> Option<(&'a str, &'a str)>,
        entries: &mut Vec<(String, Vec<Block>)>,
    ) -> usize {
        let mut end = at;
        while let Some(line) = lines.get(end) {
            if is_blank(line) {
                end += 1;
                continue;
            }
            let Some((name, text)) = read(line) else { break };
            let body_end = indented_end(lines, end + 1);
            let mut inside = vec![text];
            inside.extend(dedented(lines.get(end + 1..body_end).unwrap_or_default()));
            entries.push((name.to_owned(), self.blocks(&inside, depth + 1)));
            end = body_end;
        }
        end
    }

    pub fn definitions(&mut self, lines: &[&str], at: usize, depth: usize, blocks: &mut Vec<Block>) -> usize {
        let mut definitions = Vec::new();
        let mut end = at;
        while let (Some(term), Some(next)) = (lines.get(end), lines.get(end + 1)) {
            let is_other = item_marker(term).is_some() || term.starts_with(".. ") || field(term).is_some();
            let is_term = !is_blank(term) && indent(term) == 0 && indent(next) > 0 && !term.ends_with("::");
            if !is_term || (is_other && end > at) {
                break;
            }
            let body_end = indented_end(lines, end + 1);
            let inside = dedented(lines.get(end + 1..body_end).unwrap_or_default());
            definitions.push(((*term).to_owned(), self.blocks(&inside, depth + 1)));
            end = body_end;
            while lines.get(end).is_some_and(|line| is_blank(line)) {
                end += 1;
            }
        }
        blocks.push(Block::Definitions(definitions));
        end
    }

    pub fn line_block(&mut self, lines: &[&str], at: usize, blocks: &mut Vec<Block>) -> usize {
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut end = at;
        while let Some(line) = lines.get(end).filter(|line| !is_blank(line)) {
            match (line.strip_prefix('|'), found.last_mut()) {
                (Some(text), _) if text.is_empty() || text.starts_with(' ') => {
                    found.push((indent(text).saturating_sub(1), text.trim().to_owned()));
                }
                (None, Some((_, before))) if indent(line) > 0 => {
                    before.push('\n');
                    before.push_str(line.trim());
                }
                _ => break,
            }
            end += 1;
        }
        match found.is_empty() {
            true => blocks.extend(literal(lines.get(at..at + 1).unwrap_or_default())),
            false => blocks.push(Block::Lines(found)),
        }
        end
    }
}

/// `:name: text`
pub fn field(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(':')?;
    let head = rest.get(..rest.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or(rest);
    let mut from = 0;
    loop {
        let colon = from + head.get(from..)?.find(':')?;
        let after = rest.get(colon + 1..)?;
        let escaped = head.get(..colon)?.ends_with('\\');
        if !escaped && (after.is_empty() || after.starts_with(' ')) {
            let name = head.get(..colon)?;
            let is_name = !name.is_empty() && !name.starts_with(' ');
            return is_name.then(|| (name, after.trim_start()));
        }
        // `:role:` and a back quote are text.
        if after.starts_with('`') {
            return None;
        }
        from = colon + 1;
    }
}

pub fn is_option(line: &str) -> bool {
    option(line).is_some()
}

/// `-a`, `--all=WHICH`, `/V`, several with commas; then two blanks and a text, or the text on the next line.
fn option(line: &str) -> Option<(&str, &str)> {
    if !line.starts_with(['-', '/']) {
        return None;
    }
    let (names, text) = line.split_once("  ").unwrap_or((line, ""));
    let is_one = |one: &str| {
        let mut words = one.split([' ', '=']);
        let name = words.next().unwrap_or_default();
        let stem = name.trim_start_matches(['-', '/']);
        let dashes = name.len() - stem.len();
        let is_name =
            (1..=2).contains(&dashes) && stem.starts_with(|char: char| char.is_ascii_alphanumeric() || char == '?');
        let arguments: Vec<_> = words.collect();
        is_name && arguments.len() <= 1 && (dashes == 2 || stem.len() <= 12)
    };
    (names.len() <= NAME_BYTES_MAX && names.split(", ").all(is_one)).then(|| (names, text.trim_start()))
}

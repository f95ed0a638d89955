//! `pip.conf` and `.pypirc` as Python's configparser reads them: sections, `key = value` or `key: value`, values that go
//! on in indented lines, comments in lines of their own.

use super::EditError;
use super::splice::{Draft, Spot, line_start};
use std::ops::Range;

struct Entry<'a> {
    section: &'a str,
    /// As written, without blanks around it.
    key: &'a str,
    lines: Range<usize>,
    /// Where the value begins: behind the sign and blanks.
    value: usize,
}

/// A header's lines, and whether anything stands below it before the next.
struct Header<'a> {
    section: &'a str,
    lines: Range<usize>,
    bare: bool,
}

pub(super) fn entry(text: &str, section: &str, key: &str) -> Option<Range<usize>> {
    let (_, entries) = read(text);
    entries.into_iter().find(|entry| entry.is(section, key)).map(|entry| entry.lines)
}

pub(super) fn bare_header(text: &str, section: &str) -> Option<Range<usize>> {
    let (headers, _) = read(text);
    headers.into_iter().find(|header| header.section == section && header.bare).map(|header| header.lines)
}

/// The value of a key, its lines joined as they are.
pub fn get<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let (_, entries) = read(text);
    let entry = entries.into_iter().find(|entry| entry.is(section, key))?;
    text.get(entry.value..entry.lines.end).map(str::trim)
}

/// Refuses what configparser does not read either, and an indented line that an entry put above it would swallow.
pub(super) fn check(text: &str) -> Result<(), EditError> {
    let (headers, entries) = read(text);
    let mut starts = text.split_inclusive('\n').scan(0, |at, line| {
        *at += line.len();
        Some((*at - line.len(), line))
    });
    let wrong = starts.position(|(at, line)| {
        let content = line.trim();
        let known = entries.iter().any(|entry| entry.lines.contains(&at) && !entry.section.is_empty())
            || headers.iter().any(|header| header.lines.start == at);
        !content.is_empty() && !content.starts_with(['#', ';']) && !known
    });
    wrong.map_or(Ok(()), |line| Err(EditError::Ini(line + 1)))
}

/// Sets a key; everything else stays as it is, byte for byte. `value` is indented where it has several lines.
pub(super) fn set(draft: &mut Draft, section: &str, key: &str, value: &str) {
    let end = draft.line_end();
    let spot = || Spot::IniEntry { section: section.to_owned(), key: key.to_owned() };
    let (headers, entries) = read(&draft.text);
    if let Some(entry) = entries.iter().find(|entry| entry.is(section, key)) {
        let lines = entry.lines.clone();
        let old = draft.text.get(lines.clone()).unwrap_or_default();
        if draft.text.get(entry.value..lines.end).is_some_and(|now| now.trim() == value) {
            return;
        }
        let before = draft.text.get(lines.start..entry.value).unwrap_or_default().trim_end_matches(['\r', '\n']);
        let blank = if before.ends_with([' ', '\t']) || value.starts_with(end) { "" } else { " " };
        let kept_end = &old[old.trim_end_matches(['\r', '\n']).len()..];
        let new = format!("{before}{blank}{value}{}", if kept_end.is_empty() { "" } else { end });
        return draft.put(spot(), lines, new);
    }
    let at = match headers.iter().find(|header| header.section == section) {
        Some(header) => header.lines.end,
        None => {
            let (at, new) = (draft.text.len(), format!("{}[{section}]{end}", draft.lead()));
            draft.put(Spot::IniHeader { section: section.to_owned() }, at..at, new);
            draft.text.len()
        }
    };
    // A header may be the last line and have no end.
    let lead = if at > 0 && line_start(&draft.text, at) != at { end } else { "" };
    let blank = if value.starts_with(end) { "" } else { " " };
    draft.put(spot(), at..at, format!("{lead}{key} ={blank}{value}{end}"));
}

impl Entry<'_> {
    /// pip takes `index_url` for `index-url`.
    fn is(&self, section: &str, key: &str) -> bool {
        self.section == section && self.key.replace('_', "-").eq_ignore_ascii_case(key)
    }
}

fn read(text: &str) -> (Vec<Header<'_>>, Vec<Entry<'_>>) {
    let (mut headers, mut entries): (Vec<Header<'_>>, Vec<Entry<'_>>) = (Vec::new(), Vec::new());
    let mut at = 0;
    // Whether an indented line goes on with the last entry.
    let mut open = false;
    for line in text.split_inclusive('\n') {
        let lines = at..at + line.len();
        at = lines.end;
        let content = line.trim();
        let indented = line.starts_with([' ', '\t']);
        if content.is_empty() {
            continue;
        }
        if let Some(section) = content.strip_prefix('[').and_then(|rest| rest.split(']').next()).filter(|_| !indented) {
            headers.push(Header { section, lines, bare: true });
            open = false;
            continue;
        }
        if let Some(header) = headers.last_mut() {
            header.bare = false;
        }
        if content.starts_with(['#', ';']) {
            continue;
        }
        if indented && open {
            if let Some(entry) = entries.last_mut() {
                entry.lines.end = lines.end;
            }
            continue;
        }
        let Some(sign) = line.find(['=', ':']).filter(|_| !indented) else {
            open = false;
            continue;
        };
        let rest = line.get(sign + 1..).unwrap_or_default();
        let value = lines.start + sign + 1 + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        let section = headers.last().map_or("", |header| header.section);
        let key = line.get(..sign).unwrap_or_default().trim();
        entries.push(Entry { section, key, lines, value });
        open = true;
    }
    (headers, entries)
}

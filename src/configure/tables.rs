//! TOML: places are found by the parser's own spans, and only the bytes there are replaced.

use super::splice::{Draft, Spot, Step, form, line_start, line_stop, shown};
use super::{EditError, Wish};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A key's and its value's bytes in the text.
struct Found {
    key: Range<usize>,
    value: Range<usize>,
    /// The end of all that is inside.
    stop: usize,
    empty: bool,
}

pub(super) fn value(text: &str, path: &[Step]) -> Option<Range<usize>> {
    find(text, path).map(|found| found.value)
}

pub(super) fn line(text: &str, path: &[Step]) -> Option<Range<usize>> {
    let found = find(text, path)?;
    Some(line_start(text, found.key.start)..line_stop(text, found.value.end))
}

pub(super) fn block(text: &str, path: &[Step]) -> Option<Range<usize>> {
    let found = find(text, path).filter(|found| has_header(text, found))?;
    Some(line_start(text, found.value.start)..line_stop(text, found.stop))
}

pub(super) fn bare_header(text: &str, path: &[Step]) -> Option<Range<usize>> {
    let found = find(text, path).filter(|found| found.empty && has_header(text, found))?;
    Some(line_start(text, found.value.start)..line_stop(text, found.value.end))
}

pub fn check(text: &str) -> Result<(), EditError> {
    DeTable::parse(text).map(|_| ()).map_err(|why| EditError::Toml(why.message().to_owned()))
}

/// A text or a switch, as it is read.
pub fn get(text: &str, path: &[Step]) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let (last, parents) = path.split_last()?;
    let table = descend(document.get_ref(), parents)?;
    let value = match last {
        Step::Name(name) => table.get(name.as_str())?.get_ref(),
        Step::Place(_) => return None,
    };
    value.as_str().map(str::to_owned).or_else(|| value.as_bool().map(|switch| switch.to_string()))
}

/// How many elements a list of tables has.
pub fn count(text: &str, path: &[Step]) -> usize {
    let Ok(document) = DeTable::parse(text) else { return 0 };
    let Some((Step::Name(last), parents)) = path.split_last() else { return 0 };
    let list = descend(document.get_ref(), parents).and_then(|table| table.get(last.as_str()));
    list.and_then(|list| list.get_ref().as_array()).map_or(0, |list| list.len())
}

/// Sets one key of a table that may be missing.
pub(super) fn set(draft: &mut Draft, table: &[Step], key: &str, text: &str) -> Result<(), EditError> {
    let quoted = quoted(text);
    let mut path = table.to_vec();
    path.push(Step::Name(key.to_owned()));
    if get(&draft.text, &path).as_deref() == Some(text) {
        return Ok(());
    }
    if let Some(range) = value(&draft.text, &path) {
        draft.put(Spot::TomlValue { path }, range, quoted);
        return Ok(());
    }
    let end = draft.line_end();
    let header = find(&draft.text, table).filter(|found| has_header(&draft.text, found));
    let at = match header {
        Some(found) => line_stop(&draft.text, found.value.end),
        None => {
            let (at, new) = (draft.text.len(), format!("{}[{}]{end}", draft.lead(), shown(table)));
            draft.put(Spot::TomlHeader { path: table.to_vec() }, at..at, new);
            draft.text.len()
        }
    };
    let lead = if line_start(&draft.text, at) != at { end } else { "" };
    draft.put(Spot::TomlLine { path: path.clone() }, at..at, format!("{lead}{key} = {quoted}{end}"));
    checked(draft, &path, text)
}

/// Points the element of a list of tables that `wish` means at its index, or appends one of these lines.
pub(super) fn set_element(
    draft: &mut Draft,
    list: &[Step],
    wish: &Wish,
    chosen: Option<usize>,
    name: &str,
    lines: &[(&str, String)],
) -> Result<(), EditError> {
    let url = wish.simple();
    let at = |place: Step, key: &str| [list, &[place, Step::Name(key.to_owned())]].concat();
    if let Some(place) = chosen {
        // By its name where it has one: it may be moved meanwhile.
        let named = get(&draft.text, &at(Step::Place(place), "name")).map_or(Step::Place(place), Step::Name);
        let path = at(named, "url");
        if get(&draft.text, &path).as_deref() != Some(&url)
            && let Some(range) = value(&draft.text, &path)
        {
            draft.put(Spot::TomlValue { path: path.clone() }, range, quoted(&url));
        }
        return checked(draft, &path, &url);
    }
    let end = draft.line_end();
    let mut new = format!("{}[[{}]]{end}", draft.lead(), shown(list));
    for (key, value) in lines {
        new.push_str(&format!("{key} = {value}{end}"));
    }
    let bytes = draft.text.len();
    let element = Step::Name(name.to_owned());
    draft.put(Spot::TomlBlock { path: [list, std::slice::from_ref(&element)].concat() }, bytes..bytes, new);
    checked(draft, &at(element, "url"), &url)
}

/// Puts one more line below the line of a key of the same table.
pub(super) fn add_line(draft: &mut Draft, beside: &[Step], key: &str, value: &str) -> Result<(), EditError> {
    let mut path = beside.to_vec();
    path.pop();
    let instead = "a [[table]] of its own";
    let found = find(&draft.text, &path).filter(|found| has_header(&draft.text, found));
    let (Some(_), Some(line)) = (found, line(&draft.text, beside)) else {
        return Err(form(&shown(beside), instead));
    };
    path.push(Step::Name(key.to_owned()));
    let end = draft.line_end();
    let lead = if line_start(&draft.text, line.end) != line.end { end } else { "" };
    draft.put(Spot::TomlLine { path: path.clone() }, line.end..line.end, format!("{lead}{key} = {value}{end}"));
    checked(draft, &path, value)
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

pub(super) fn steps(path: &[&str]) -> Vec<Step> {
    path.iter().map(|step| Step::Name((*step).to_owned())).collect()
}

/// An edit is right when the parser reads what was wished.
fn checked(draft: &Draft, path: &[Step], wanted: &str) -> Result<(), EditError> {
    match get(&draft.text, path).as_deref() == Some(wanted) {
        true => Ok(()),
        false => Err(form(&shown(path), "a [table] of its own with one key to a line")),
    }
}

/// `[header]`, not a table in braces, one of dotted keys, or one that only stands in the names of others.
fn has_header(text: &str, found: &Found) -> bool {
    text.get(found.value.clone()).is_some_and(|piece| piece.starts_with('['))
        && line_start(text, found.value.start) == found.value.start - leading_blanks(text, found.value.start)
}

fn leading_blanks(text: &str, at: usize) -> usize {
    let line = text.get(line_start(text, at)..at).unwrap_or_default();
    if line.trim().is_empty() { line.len() } else { 0 }
}

fn find(text: &str, path: &[Step]) -> Option<Found> {
    let document = DeTable::parse(text).ok()?;
    let (last, parents) = path.split_last()?;
    if let Step::Name(name) = last
        && let Some(table) = descend(document.get_ref(), parents)
    {
        let (key, value) = table.get_key_value(name.as_str())?;
        return Some(found(key.span(), value));
    }
    // An element of a list.
    let (Step::Name(list), above) = parents.split_last()? else { return None };
    let list = descend(document.get_ref(), above)?.get(list.as_str())?.get_ref().as_array()?;
    let element = match last {
        Step::Place(place) => list.get(*place)?,
        Step::Name(name) => list.iter().find(|element| is_named(element.get_ref(), name))?,
    };
    Some(found(element.span(), element))
}

fn found(key: Range<usize>, value: &toml::Spanned<DeValue<'_>>) -> Found {
    let empty = value.get_ref().as_table().is_none_or(|table| table.is_empty());
    Found { key, value: value.span(), stop: stop(value), empty }
}

fn stop(value: &toml::Spanned<DeValue<'_>>) -> usize {
    let inner = match value.get_ref() {
        DeValue::Table(table) => table.iter().map(|(_, value)| stop(value)).max(),
        DeValue::Array(list) => list.iter().map(stop).max(),
        _ => None,
    };
    inner.unwrap_or(0).max(value.span().end)
}

fn descend<'a, 'i>(from: &'a DeTable<'i>, path: &[Step]) -> Option<&'a DeTable<'i>> {
    let mut table = from;
    let mut rest = path;
    while let Some((Step::Name(name), after)) = rest.split_first() {
        match table.get(name.as_str())?.get_ref() {
            DeValue::Table(inner) => (table, rest) = (inner, after),
            DeValue::Array(list) => {
                let (element, after) = after.split_first()?;
                let element = match element {
                    Step::Place(place) => list.get(*place)?.get_ref(),
                    Step::Name(name) => {
                        list.iter().map(toml::Spanned::get_ref).find(|element| is_named(element, name))?
                    }
                };
                (table, rest) = (element.as_table()?, after);
            }
            _ => return None,
        }
    }
    rest.is_empty().then_some(table)
}

fn is_named(element: &DeValue<'_>, name: &str) -> bool {
    let told = element.as_table().and_then(|table| table.get("name")).and_then(|told| told.get_ref().as_str());
    told == Some(name)
}

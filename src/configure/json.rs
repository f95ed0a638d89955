//! devpi-client's `current.json`: one object, two blanks to a step.

use super::EditError;
use super::splice::{Draft, Spot};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Range;

pub(super) fn value(text: &str, key: &str) -> Option<Range<usize>> {
    let object: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    // The raw value is a part of the text itself.
    let raw = object.get(key)?.get();
    let start = (raw.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some(start..start + raw.len())
}

pub(super) fn line(text: &str, key: &str) -> Option<Range<usize>> {
    let value = value(text, key)?;
    let start = text.get(..value.start)?.rfind(&format!("\"{key}\""))?;
    let start = text.get(..start)?.trim_end().len();
    let comma = text.get(value.end..)?.starts_with(',') as usize;
    Some(start..value.end + comma)
}

/// A text of the object, as it is.
pub fn get(text: &str, key: &str) -> Option<String> {
    serde_json::from_str(text.get(value(text, key)?)?).ok()
}

pub(super) fn set(draft: &mut Draft, pairs: &[(&str, String)]) -> Result<(), EditError> {
    let quoted = |value: &str| serde_json::Value::from(value).to_string();
    let object: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&draft.text).ok();
    match object {
        None if draft.text.trim().is_empty() => {
            let lines: Vec<_> = pairs.iter().map(|(key, value)| format!("  \"{key}\": {}", quoted(value))).collect();
            let all = 0..draft.text.len();
            draft.put(Spot::Whole, all, format!("{{\n{}\n}}", lines.join(",\n")));
        }
        None => return Err(EditError::Json),
        Some(object) if object.is_empty() => return Err(EditError::Json),
        Some(_) => {
            for (key, wanted) in pairs {
                let key_name = (*key).to_owned();
                match value(&draft.text, key) {
                    Some(range) => draft.put(Spot::JsonValue { key: key_name }, range, quoted(wanted)),
                    None => {
                        let at = draft.text.find('{').map_or(0, |brace| brace + 1);
                        let new = format!("\n  \"{key}\": {},", quoted(wanted));
                        draft.put(Spot::JsonLine { key: key_name }, at..at, new);
                    }
                }
            }
        }
    }
    Ok(())
}

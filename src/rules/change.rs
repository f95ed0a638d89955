use super::error::{SettingsError, shown, shown_plain};
use super::settings::IndexSettings;
use super::values::{Change, Outcome, What};
use serde_json::{Map, Value};

impl IndexSettings {
    /// The settings after a change as devpi's clients send it: an object of settings, where what is not named stays,
    /// or a list of `key=value`, `key+=value`, `key-=value` and `key-=`.
    ///
    /// An answer of ours that comes back as a whole is taken too.
    pub fn change(&self, change: &Value) -> Result<Self, SettingsError> {
        let mut changed = self.clone();
        match change {
            Value::Array(steps) => {
                for step in steps {
                    changed.step(step.as_str().ok_or_else(|| SettingsError::NoChange(shown(step)))?)?;
                }
            }
            Value::Object(given) => changed.merge(unwrapped(given))?,
            other => return Err(SettingsError::NoChange(shown(other))),
        }
        Ok(changed)
    }

    fn merge(&mut self, given: &Map<String, Value>) -> Outcome {
        match given.get("type") {
            Some(said) if said != self.type_name() => Err(SettingsError::TypeChange),
            _ => self.set_all(given),
        }
    }

    /// As devpi reads it: a text without `=` sets its key to nothing.
    fn step(&mut self, step: &str) -> Outcome {
        let (key, value) = step.split_once('=').unwrap_or((step, ""));
        let text = Value::from(value);
        let (key, what) = if let Some(key) = key.strip_suffix('+') {
            (key, What::Add(&text))
        } else if let Some(key) = key.strip_suffix('-') {
            (key, if value.is_empty() { What::Drop } else { What::Remove(&text) })
        } else {
            (key, What::Set(&text))
        };
        match (key, what) {
            ("projects", _) => return Ok(()),
            ("type", What::Set(said)) if said == self.type_name() => return Ok(()),
            ("type", _) => return Err(SettingsError::TypeChange),
            _ => {}
        }
        if self.apply(Change { key, what })? {
            return Ok(());
        }
        match what {
            // What was never there is gone.
            What::Drop => Ok(()),
            What::Remove(_) => Err(SettingsError::NotThere { key: key.to_owned(), value: shown_plain(&text) }),
            What::Set(_) | What::Add(_) => Err(SettingsError::Unexpected(format!("{key}={}", shown_plain(&text)))),
        }
    }
}

/// The settings within an answer of type `indexconfig`.
fn unwrapped(given: &Map<String, Value>) -> &Map<String, Value> {
    match (given.get("type"), given.get("result")) {
        (Some(kind), Some(Value::Object(result))) if kind == "indexconfig" => result,
        _ => given,
    }
}

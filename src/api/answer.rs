use crate::index::IndexError;
use serde_json::{Map, Value, json};

/// An answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub json: Value,
}

impl Answer {
    /// A result and what kind of thing it is; the two come together or not at all (devpi's `apiresult`).
    pub fn result(kind: &str, result: impl Into<Value>) -> Self {
        Self { status: 200, json: json!({ "result": result.into(), "type": kind }) }
    }

    pub fn message(message: impl Into<String>) -> Self {
        Self { status: 200, json: json!({ "message": message.into() }) }
    }

    pub fn and_message(mut self, message: &str) -> Self {
        if let Some(object) = self.json.as_object_mut() {
            object.insert("message".to_owned(), message.into());
        }
        self
    }

    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// As it is sent: devpi indents by two and ends with a line end.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.json).unwrap_or_default() + "\n"
    }
}

/// A body that must be a JSON object. An empty one is an empty object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, IndexError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(IndexError::Invalid("Bad request: the body must be a JSON object".to_owned())),
        Err(_) => Err(IndexError::Invalid("Bad request: could not decode json".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_devpis() {
        let answer = Answer::result("userconfig", json!({ "username": "ada" }));
        assert_eq!(
            answer.text(),
            "{\n  \"result\": {\n    \"username\": \"ada\"\n  },\n  \"type\": \"userconfig\"\n}\n"
        );
        assert_eq!(Answer::message("done").text(), "{\n  \"message\": \"done\"\n}\n");
        assert!(object(b"[]").is_err() && object(b"{").is_err() && object(b" \n").unwrap().is_empty());
    }
}

use serde_json::{Map, Number, Value};

/// Deepest nesting that is read. devpi's own values are five deep: a change, a version, a link, its log, a date.
const DEPTH_MAX: u8 = 32;

/// Longest number written as decimal digits, in bytes: that of any `i64`.
const DIGITS_BYTES_MAX: usize = 20;

/// What is wrong with a blob of devpi's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    #[error("it ends before its time")]
    Short,
    #[error("it has a code that is not known here: {0:#04x}")]
    Code(u8),
    #[error("it takes more than there is, or puts it where it does not go")]
    Stack,
    #[error("it states a length that is not there")]
    Length,
    #[error("it is nested deeper than {DEPTH_MAX} levels")]
    Deep,
    #[error("it has a text that is not UTF-8, or a number that is none")]
    Text,
    #[error("it is not a set of changes")]
    Shape,
}

/// One key's value as a change wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub key: String,
    pub kind: String,
    /// Null: the key was deleted.
    pub value: Value,
}

/// Reads the changes that devpi wrote at one serial: those of the keys that are `wanted`; the others cost no memory.
///
/// The form is that of a machine with a stack: each code pushes a value, or takes some and pushes one that holds them.
/// Tuples, lists and sets become arrays, bytes become text. Nothing that a blob states is believed before it is there.
pub fn changes(blob: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Change>, BlobError> {
    let mut machine = Machine { rest: blob, stack: Vec::new(), slots: blob.len() / SLOT_BYTES_MIN, skipping: false };
    let value = machine.run(&wanted)?;
    let Value::Array(parts) = value else { return Err(BlobError::Shape) };
    let Some(Value::Object(changes)) = parts.into_iter().next() else { return Err(BlobError::Shape) };
    let change = |(key, value)| {
        let Value::Array(parts) = value else { return Err(BlobError::Shape) };
        let mut parts = parts.into_iter();
        let (Some(Value::String(kind)), Some(_), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BlobError::Shape);
        };
        Ok(Change { key, kind, value })
    };
    changes.into_iter().map(change).collect()
}

/// A list is made of empty places that are filled one by one: each costs at least an index (5 bytes), a value and a
/// code. So a blob can fill no more places than this leaves it, whatever it states.
const SLOT_BYTES_MIN: usize = 7;

struct Machine<'a> {
    rest: &'a [u8],
    /// With the depth of each.
    stack: Vec<(Value, u8)>,
    /// Places that lists may still have.
    slots: usize,
    /// What is read belongs to a key that nobody wants.
    skipping: bool,
}

/// Where the parts of the one large dictionary lie on the stack: itself, a key, the key's value.
const CHANGES: usize = 1;
const ENTRY: usize = 3;

impl<'a> Machine<'a> {
    fn run(&mut self, wanted: &impl Fn(&str) -> bool) -> Result<Value, BlobError> {
        loop {
            let code = self.take(1)?.first().copied().ok_or(BlobError::Short)?;
            match code {
                b'Q' => return self.pop().map(|(value, _)| value),
                b'J' => self.push(Value::Object(Map::new()), 1),
                b'N' | b'S' => {
                    let text = std::str::from_utf8(self.counted()?).map_err(|_| BlobError::Text)?;
                    if self.stack.len() == CHANGES {
                        self.skipping = !wanted(text);
                    }
                    self.text(text);
                }
                // Bytes of Python 2.
                b'A' | b'M' => {
                    let text = String::from_utf8_lossy(self.counted()?);
                    self.text(&text);
                }
                b'F' | b'G' => {
                    let number = self.int()?;
                    self.push(number.into(), 0);
                }
                b'H' | b'I' => {
                    let digits = Some(self.counted()?).filter(|digits| digits.len() <= DIGITS_BYTES_MAX);
                    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(BlobError::Text)?;
                    self.push(digits.parse::<i64>().map_err(|_| BlobError::Text)?.into(), 0);
                }
                b'D' => {
                    let bytes = self.take(8)?.try_into().map_err(|_| BlobError::Short)?;
                    self.push(Number::from_f64(f64::from_be_bytes(bytes)).map_or(Value::Null, Value::Number), 0);
                }
                b'L' => self.push(Value::Null, 0),
                b'C' => self.push(false.into(), 0),
                b'R' => self.push(true.into(), 0),
                b'K' => {
                    let places = self.length()?;
                    self.slots = self.slots.checked_sub(places).ok_or(BlobError::Length)?;
                    let places = if self.skipping { 0 } else { places };
                    self.push(Value::Array(vec![Value::Null; places]), 1);
                }
                b'P' => self.put()?,
                b'@' | b'O' | b'E' => self.gather()?,
                other => return Err(BlobError::Code(other)),
            }
        }
    }

    /// Takes a value and a key, and puts the value into what then lies on top.
    fn put(&mut self) -> Result<(), BlobError> {
        let ends = self.stack.len() == ENTRY;
        let ((value, depth), (key, _)) = (self.pop()?, self.pop()?);
        let (into, into_depth) = self.stack.last_mut().ok_or(BlobError::Stack)?;
        if self.skipping {
            self.skipping = !ends;
            return Ok(());
        }
        *into_depth = deeper(depth)?.max(*into_depth);
        match (into, key) {
            (Value::Object(map), Value::String(key)) => drop(map.insert(key, value)),
            // A number is a key of old tables of ours and theirs; as text it is one of JSON's.
            (Value::Object(map), Value::Number(key)) => drop(map.insert(key.to_string(), value)),
            (Value::Array(list), Value::Number(at)) => {
                let at = at.as_u64().and_then(|at| usize::try_from(at).ok()).ok_or(BlobError::Stack)?;
                *list.get_mut(at).ok_or(BlobError::Stack)? = value;
            }
            _ => return Err(BlobError::Stack),
        }
        Ok(())
    }

    /// Takes so many values and pushes them as one.
    fn gather(&mut self) -> Result<(), BlobError> {
        let count = self.length()?;
        let from = self.stack.len().checked_sub(count).ok_or(BlobError::Stack)?;
        let mut depth = 0;
        let mut values = Vec::new();
        for (value, inner) in self.stack.drain(from..) {
            depth = inner.max(depth);
            if !self.skipping {
                values.push(value);
            }
        }
        self.push(Value::Array(values), deeper(depth)?);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let value = if self.skipping { Value::Null } else { Value::String(text.to_owned()) };
        self.push(value, 0);
    }

    fn push(&mut self, value: Value, depth: u8) {
        self.stack.push((value, depth));
    }

    fn pop(&mut self) -> Result<(Value, u8), BlobError> {
        self.stack.pop().ok_or(BlobError::Stack)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], BlobError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(BlobError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn int(&mut self) -> Result<i32, BlobError> {
        self.take(4)?.try_into().map(i32::from_be_bytes).map_err(|_| BlobError::Short)
    }

    fn length(&mut self) -> Result<usize, BlobError> {
        usize::try_from(self.int()?).map_err(|_| BlobError::Length)
    }

    fn counted(&mut self) -> Result<&'a [u8], BlobError> {
        let length = self.length()?;
        self.take(length)
    }
}

fn deeper(depth: u8) -> Result<u8, BlobError> {
    if depth < DEPTH_MAX { Ok(depth + 1) } else { Err(BlobError::Deep) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// Writes as devpi does: the other direction, for tests.
    pub fn write(out: &mut Vec<u8>, value: &Value) {
        let counted = |out: &mut Vec<u8>, code: u8, bytes: &[u8]| {
            out.push(code);
            out.extend((bytes.len() as i32).to_be_bytes());
            out.extend(bytes);
        };
        match value {
            Value::Null => out.push(b'L'),
            Value::Bool(yes) => out.push(if *yes { b'R' } else { b'C' }),
            Value::Number(number) => match number.as_i64().map(i32::try_from) {
                Some(Ok(small)) => {
                    out.push(b'F');
                    out.extend(small.to_be_bytes());
                }
                Some(Err(_)) => counted(out, b'H', number.to_string().as_bytes()),
                None => {
                    out.push(b'D');
                    out.extend(number.as_f64().unwrap_or_default().to_be_bytes());
                }
            },
            Value::String(text) => counted(out, b'N', text.as_bytes()),
            Value::Array(list) => {
                out.push(b'K');
                out.extend((list.len() as i32).to_be_bytes());
                for (at, value) in list.iter().enumerate() {
                    write(out, &at.into());
                    write(out, value);
                    out.push(b'P');
                }
            }
            Value::Object(map) => {
                out.push(b'J');
                for (key, value) in map {
                    write(out, &key.as_str().into());
                    write(out, value);
                    out.push(b'P');
                }
            }
        }
    }

    /// A change of these keys, each with its kind.
    pub fn blob(keys: &[(&str, &str, Value)]) -> Vec<u8> {
        let mut out = vec![b'J'];
        for (key, kind, value) in keys {
            write(&mut out, &(*key).into());
            write(&mut out, &(*kind).into());
            write(&mut out, &(-1).into());
            write(&mut out, value);
            out.extend(b"@\0\0\0\x03P");
        }
        out.extend(b"K\0\0\0\0@\0\0\0\x02Q");
        out
    }

    #[test]
    fn reads_what_devpi_writes_and_skips_what_nobody_wants() {
        let value = json!({"a": [1, "é", null], "b": {"c": true, "d": 5_000_000_000_i64, "e": 1.5}});
        let blob =
            blob(&[("u/.config", "USER", value.clone()), ("x", "OTHER", value.clone()), ("z", "GONE", json!(null))]);
        let all = changes(&blob, |_| true).unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], Change { key: "u/.config".into(), kind: "USER".into(), value: value.clone() });
        assert_eq!(all[2].value, Value::Null);
        let one = changes(&blob, |key| key == "x").unwrap();
        assert_eq!(one, [Change { key: "x".into(), kind: "OTHER".into(), value }]);
    }

    #[test]
    fn tuples_sets_and_bytes_are_read() {
        let mut blob = b"JN\0\0\0\x01kN\0\0\0\x04KINDF\xff\xff\xff\xff".to_vec();
        blob.extend(b"N\0\0\0\x01aN\0\0\0\x01bO\0\0\0\x02M\0\0\0\x01cG\0\0\0\x07@\0\0\0\x02@\0\0\0\x02");
        blob.extend(b"@\0\0\0\x03PK\0\0\0\0@\0\0\0\x02Q");
        assert_eq!(changes(&blob, |_| true).unwrap()[0].value, json!([["a", "b"], ["c", 7]]));
    }

    #[test]
    fn hostile_blobs_are_refused() {
        let nested = |count: usize| {
            let mut blob = b"JN\0\0\0\x01kL".to_vec();
            blob.extend(b"@\0\0\0\x01".repeat(count));
            blob.extend(b"P@\0\0\0\x01Q");
            blob
        };
        assert_eq!(changes(&nested(1_000_000), |_| true), Err(BlobError::Deep));
        assert_eq!(changes(&nested(1_000_000), |_| false), Err(BlobError::Deep));
        for (blob, why) in [
            (&b""[..], BlobError::Short),
            (b"Q", BlobError::Stack),
            (b"N\x7f\xff\xff\xffx", BlobError::Short),
            (b"N\xff\xff\xff\xffx", BlobError::Length),
            (b"K\x7f\xff\xff\xffQ", BlobError::Length),
            (b"@\0\0\0\x05Q", BlobError::Stack),
            (b"JLLPQ", BlobError::Stack),
            (b"LLLPQ", BlobError::Stack),
            (b"PQ", BlobError::Stack),
            (b"N\0\0\0\x01\xffQ", BlobError::Text),
            (b"H\0\0\0\x01xQ", BlobError::Text),
            (b"T", BlobError::Code(b'T')),
            (b"LQ", BlobError::Shape),
            (b"JN\0\0\0\x01kLP@\0\0\0\x01Q", BlobError::Shape),
        ] {
            assert_eq!(changes(blob, |_| true), Err(why), "{blob:?}");
        }
        // Many lists that state many places each.
        let greedy = b"K\0\0\x10\0".repeat(10_000);
        assert_eq!(changes(&greedy, |_| true), Err(BlobError::Length));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_and_back(value in any_value(), other in any_value()) {
            let blob = blob(&[("k", "A", value.clone()), ("l", "B", other)]);
            prop_assert_eq!(&changes(&blob, |key| key == "k").unwrap()[0].value, &value);
            prop_assert_eq!(changes(&blob, |_| true).unwrap().len(), 2);
        }

        #[test]
        fn damage_never_panics(value in any_value(), at in 0..200_usize, to: u8, cut in 0..200_usize, noise in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut blob = blob(&[("k", "A", value)]);
            if let Some(byte) = blob.get_mut(at) { *byte = to; }
            let _ = changes(&blob, |_| true);
            let _ = changes(&blob, |_| false);
            blob.truncate(cut);
            let _ = changes(&blob, |_| true);
            let _ = changes(&noise, |_| true);
        }
    }
}

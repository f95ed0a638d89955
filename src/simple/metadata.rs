/// Most fields taken: a wheel with some hundred dependencies and classifiers exists, one with ten thousand does not.
const FIELDS_MAX: usize = 10_000;

/// Core metadata: METADATA of a wheel or PKG-INFO of an sdist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFile {
    pub name: String,
    pub version: String,
    pub requires_python: Option<String>,
    /// All fields of the head in their order, as written; continued lines are joined by `\n`.
    pub fields: Vec<(String, String)>,
    /// The body, else the field `Description`.
    pub description: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("it has no {0}")]
    Missing(&'static str),
    /// Readers differ on which one counts.
    #[error("it has more than one {0}")]
    Repeated(&'static str),
    #[error("its Requires-Python is not one short line of text")]
    RequiresPython,
    #[error("it has more than {FIELDS_MAX} fields")]
    TooMany,
}

impl MetadataFile {
    /// Reads what is written like the head of a mail: `Name: value`, continued by lines that begin with white space,
    /// then an empty line and the body. As Python's reader does, the first line that is no field begins the body.
    ///
    /// Bounded by the caller in bytes, here in fields. What is not UTF-8 is replaced: old files have Latin-1 names.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetadataError> {
        let text = String::from_utf8_lossy(bytes);
        let mut rest = text.as_ref();
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut body = "";
        while !rest.is_empty() {
            let (line, after) = split_line(rest);
            if let Some((_, value)) = fields.last_mut()
                && line.starts_with([' ', '\t'])
            {
                value.push('\n');
                value.push_str(line.trim_end());
            } else if let Some((name, value)) = field(line) {
                if fields.len() == FIELDS_MAX {
                    return Err(MetadataError::TooMany);
                }
                fields.push((name.to_owned(), value.trim().to_owned()));
            } else {
                body = if line.is_empty() { after } else { rest };
                break;
            }
            rest = after;
        }
        let name = single(&fields, "Name")?.ok_or(MetadataError::Missing("Name"))?.to_owned();
        let version = single(&fields, "Version")?.ok_or(MetadataError::Missing("Version"))?.to_owned();
        let requires_python = single(&fields, "Requires-Python")?.map(one_line);
        let mut metadata = Self { name, version, requires_python, fields, description: None };
        metadata.description = match body.trim() {
            "" => metadata.all("Description").next().map(ToOwned::to_owned),
            _ => Some(body.to_owned()),
        };
        Ok(metadata)
    }

    /// The fields as forms of uploads name them (PyPI's upload API: `Requires-Dist` is `requires_dist`), the description
    /// last. What setuptools calls `UNKNOWN` is nothing.
    pub fn form_fields(&self) -> Vec<(String, String)> {
        let told = |(name, value): &&(String, String)| {
            !value.is_empty() && value != "UNKNOWN" && !name.eq_ignore_ascii_case("Description")
        };
        let field = |(name, value): &(String, String)| (form_key(name), value.clone());
        let mut fields: Vec<_> = self.fields.iter().filter(told).map(field).collect();
        fields.extend(self.description.clone().map(|text| ("description".to_owned(), text)));
        fields
    }

    /// All values of a field, in their order; names of fields have no case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        all(&self.fields, name)
    }
}

/// The fields whose key in a form is not their name in lower case.
const FORM_KEYS: [(&str, &str); 2] = [("classifier", "classifiers"), ("project_url", "project_urls")];

fn form_key(name: &str) -> String {
    let key = name.to_ascii_lowercase().replace('-', "_");
    FORM_KEYS.iter().find(|(field, _)| *field == key).map_or(key, |(_, other)| (*other).to_owned())
}

fn all<'a>(fields: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    fields.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The field's value, when it has one; a second one is refused.
fn single<'a>(fields: &'a [(String, String)], name: &'static str) -> Result<Option<&'a str>, MetadataError> {
    let mut values = all(fields, name);
    let first = values.next();
    match values.next() {
        Some(_) => Err(MetadataError::Repeated(name)),
        None => Ok(first.filter(|value| !value.is_empty())),
    }
}

pub fn one_line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `Name: value`, with a name as mails have it.
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())).then_some((name, value))
}

/// The first line without its end, and what follows: `\n`, `\r\n` and `\r` all end a line, as in Python.
fn split_line(text: &str) -> (&str, &str) {
    let Some(at) = text.find(['\r', '\n']) else { return (text, "") };
    let (line, end) = text.split_at(at);
    let after = end.strip_prefix("\r\n").or_else(|| end.strip_prefix(['\r', '\n'])).unwrap_or_default();
    (line, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_fields_continuations_and_the_body() {
        let text = b"Metadata-Version: 2.1\r\nname: a.b\r\nVersion:1.0\nRequires-Python: >=3.8,\n   !=3.9\n\
            Classifier: X\nclassifier: Y: Z\nDescription: one\n        two\n\n# Body\n\nEnd: of it\n";
        let metadata = MetadataFile::parse(text).unwrap();
        assert_eq!((metadata.name.as_str(), metadata.version.as_str()), ("a.b", "1.0"));
        assert_eq!(metadata.requires_python.as_deref(), Some(">=3.8, !=3.9"));
        assert_eq!(metadata.all("Classifier").collect::<Vec<_>>(), ["X", "Y: Z"]);
        assert_eq!(metadata.all("description").next(), Some("one\n        two"));
        assert_eq!(metadata.description.as_deref(), Some("# Body\n\nEnd: of it\n"));
        assert_eq!(metadata.fields.len(), 7);
        let old = MetadataFile::parse(b"Name: a\nVersion: 1\nAuthor: J\xf6rg\nDescription: D").unwrap();
        assert_eq!(old.description.as_deref(), Some("D"));
    }

    #[test]
    fn fields_are_told_as_a_form_has_them() {
        let text = b"Name: a\nVersion: 1\nHome-page: UNKNOWN\nClassifier: X\nClassifier: Y\nRequires-Dist: b\n\nbody";
        let fields = MetadataFile::parse(text).unwrap().form_fields();
        let fields: Vec<_> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected =
            [("name", "a"), ("version", "1"), ("classifiers", "X"), ("classifiers", "Y"), ("requires_dist", "b")];
        assert_eq!(fields, [expected.as_slice(), &[("description", "body")]].concat());
    }

    #[test]
    fn a_line_that_is_no_field_begins_the_body() {
        let metadata = MetadataFile::parse(b"Name: a\nVersion: 1\nno field\nRequires-Python: >=3").unwrap();
        assert_eq!(metadata.requires_python, None);
        assert_eq!(metadata.description.as_deref(), Some("no field\nRequires-Python: >=3"));
    }

    #[test]
    fn refuses_what_readers_would_differ_on() {
        for (text, error) in [
            (String::new(), MetadataError::Missing("Name")),
            ("Name: a\n\nVersion: 1".into(), MetadataError::Missing("Version")),
            ("Name: \nVersion: 1".into(), MetadataError::Missing("Name")),
            ("Name: a\nname: b\nVersion: 1".into(), MetadataError::Repeated("Name")),
            ("Name: a\rVersion: 1\rVersion: 2".into(), MetadataError::Repeated("Version")),
            ("a: b\n".repeat(FIELDS_MAX + 1), MetadataError::TooMany),
        ] {
            assert_eq!(MetadataFile::parse(text.as_bytes()), Err(error));
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "(Name|Version|[a-z:\r\n \t])*") {
            let _ = MetadataFile::parse(&bytes);
            let _ = MetadataFile::parse(text.as_bytes());
        }
    }
}

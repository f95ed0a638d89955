//! Where settings come from, and which of two wins. Values are still text here.

use super::devpi::{self, DevpiGiven, Level, Renamed};
use super::error::ConfigError;
use super::secret::redact;
use super::{ENV_CONFIG, ENV_PREFIX};
use std::borrow::Cow;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The keys of the file's top level; each is also an environment variable. `true`: a list.
pub(super) const KEYS: [(&str, bool); 22] = [
    ("allowed_hosts", true),
    ("data", false),
    ("disk", false),
    ("file_origins", true),
    ("listen", true),
    ("log_file", false),
    ("log_file_max", false),
    ("log_format", false),
    ("memory", false),
    ("metadata", false),
    ("offline", false),
    ("page_ttl", false),
    ("public_url", false),
    ("push_origins", true),
    ("root_password_file", false),
    ("scrub_period", false),
    ("upload_max", false),
    ("upstream", false),
    ("upstream_connect_timeout", false),
    ("upstream_timeout", false),
    ("user_creation", false),
    // Only in the file, where it is a list of tables.
    (MIRROR, false),
];

pub(super) const MIRROR_KEYS: [&str; 7] =
    ["name", "upstream", "file_origins", "username", "password_file", "password_env", "page_ttl"];

const MIRROR: &str = "mirror";

/// The command line's settings, as written. What is not given is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    pub listen: Vec<String>,
    pub data: Option<String>,
    pub upstream: Option<String>,
    pub file_origins: Vec<String>,
    pub page_ttl: Option<String>,
    pub memory: Option<String>,
    pub disk: Option<String>,
    pub offline: bool,
    pub log_format: Option<String>,
    pub log_file: Option<String>,
    pub public_url: Option<String>,
    pub allowed_hosts: Vec<String>,
    pub root_password_file: Option<String>,
    pub user_creation: Option<String>,
    pub upload_max: Option<String>,
    pub devpi: DevpiGiven,
}

/// Everything that was given.
pub(super) struct Sources {
    pub(super) top: Settings,
    /// The `[[mirror]]` tables, in the file's order.
    pub(super) mirrors: Vec<Settings>,
    /// What is to be said of devpi-server's options that were given.
    pub(super) notices: Vec<String>,
}

/// Settings by key, the winning ones.
pub(super) struct Settings {
    /// What errors call the place of a setting that is missing.
    pub(super) place: String,
    given: BTreeMap<String, Setting>,
}

struct Setting {
    place: String,
    values: Vec<String>,
    /// It was written as a list, even if of one.
    list: bool,
}

impl Sources {
    pub(super) fn gather(
        file: Option<(&str, &str)>,
        env: &BTreeMap<String, String>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let place = file.map_or("no file", |(name, _)| name).to_owned();
        let devpi = devpi::translate(&flags.devpi, env)?;
        let top = Settings { place, given: BTreeMap::new() };
        let mut sources = Self { top, mirrors: Vec::new(), notices: devpi.notices };
        sources.take_devpi(&devpi.renamed, Level::File);
        if let Some((name, text)) = file {
            sources.take_file(name, text)?;
        }
        sources.take_devpi(&devpi.renamed, Level::Env);
        sources.take_env(env)?;
        sources.take_devpi(&devpi.renamed, Level::Flag);
        sources.take_flags(flags);
        for renamed in &devpi.renamed {
            let winner = sources.top.given.get(renamed.key).map_or("", |setting| &setting.place);
            sources.notices.push(renamed.notice(winner));
        }
        Ok(sources)
    }

    /// What devpi-server's options give at a level; our own names are taken after them, and win.
    fn take_devpi(&mut self, renamed: &[Renamed], level: Level) {
        for Renamed { key, place, values, list, .. } in renamed.iter().filter(|renamed| renamed.level == level) {
            let setting = Setting { place: place.clone(), values: values.clone(), list: *list };
            self.top.given.insert((*key).to_owned(), setting);
        }
    }

    fn take_file(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let table: Table = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            // The message alone: toml's own display repeats the line, and a line may hold a secret.
            let (line, message) = (before.matches('\n').count() + 1, error.message().to_owned());
            ConfigError::Syntax { file: name.to_owned(), line, message }
        })?;
        for (key, value) in table {
            if key == MIRROR {
                self.take_mirrors(name, value)?;
            } else if KEYS.iter().any(|(known, _)| *known == key) {
                self.top.take_value(key, name, value)?;
            } else {
                return Err(unknown(&key, name, KEYS.iter().map(|(known, _)| Cow::Borrowed(*known))));
            }
        }
        Ok(())
    }

    fn take_mirrors(&mut self, file: &str, value: Value) -> Result<(), ConfigError> {
        let refuse = |value: &Value| ConfigError::Value {
            key: MIRROR.to_owned(),
            place: file.to_owned(),
            value: format!("({})", value.type_str()),
            accepted: "write a table [[mirror]] with name and upstream for each mirror".to_owned(),
        };
        let Value::Array(tables) = value else {
            return Err(refuse(&value));
        };
        for (at, table) in tables.into_iter().enumerate() {
            let Value::Table(table) = table else {
                return Err(refuse(&table));
            };
            let name = table.get("name").and_then(Value::as_str).map(|name| format!("{name:?}"));
            let place = format!("{file}, [[mirror]] {}", name.unwrap_or_else(|| format!("number {}", at + 1)));
            let mut settings = Settings { place: place.clone(), given: BTreeMap::new() };
            for (key, value) in table {
                if key == "password" {
                    let accepted = "a password does not stand in the file: name the file that holds it (password_file) \
                                    or the environment variable (password_env)";
                    return Err(value_error(&key, &place, "[secret]", accepted));
                } else if !MIRROR_KEYS.contains(&key.as_str()) {
                    return Err(unknown(&key, &place, MIRROR_KEYS.into_iter().map(Cow::Borrowed)));
                }
                settings.take_value(key, &place, value)?;
            }
            self.mirrors.push(settings);
        }
        Ok(())
    }

    fn take_env(&mut self, env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        let names_password = |variable: &str| {
            self.mirrors.iter().any(|mirror| mirror.raw("password_env").is_some_and(|named| named == variable))
        };
        let mut taken = Vec::new();
        for (variable, value) in env {
            let Some(rest) = variable.strip_prefix(ENV_PREFIX).filter(|_| !value.is_empty()) else {
                continue;
            };
            if variable == ENV_CONFIG || names_password(variable) {
                continue;
            }
            let known = KEYS.iter().find(|(key, _)| *key != MIRROR && key.to_ascii_uppercase() == rest);
            let Some((key, list)) = known else {
                let all = KEYS.iter().filter(|(key, _)| *key != MIRROR);
                let all = all.map(|(key, _)| Cow::Owned(format!("{ENV_PREFIX}{}", key.to_ascii_uppercase())));
                return Err(unknown(variable, "environment", all.chain([Cow::Borrowed(ENV_CONFIG)])));
            };
            let items = value.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty());
            let values = if *list { items.collect() } else { vec![value.clone()] };
            taken.push((*key, Setting { place: variable.clone(), values, list: *list }));
        }
        self.top.given.extend(taken.into_iter().map(|(key, setting)| (key.to_owned(), setting)));
        Ok(())
    }

    fn take_flags(&mut self, flags: &Flags) {
        for Said { key, flag, values, form } in flags.said() {
            let setting = Setting { place: flag.to_owned(), values, list: form == Form::List };
            self.top.given.insert(key.to_owned(), setting);
        }
    }
}

/// How a setting stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    List,
    Text,
    Switch,
}

/// A flag that was given.
pub(super) struct Said {
    pub(super) key: &'static str,
    pub(super) flag: &'static str,
    /// Exactly one where it is no list.
    pub(super) values: Vec<String>,
    pub(super) form: Form,
}

impl Flags {
    /// What is given, but for devpi-server's options.
    pub(super) fn said(&self) -> Vec<Said> {
        // All fields are named, so that a new flag cannot be forgotten here.
        let Self {
            listen,
            data,
            upstream,
            file_origins,
            page_ttl,
            memory,
            disk,
            offline,
            log_format,
            log_file,
            public_url,
            allowed_hosts,
            root_password_file,
            user_creation,
            upload_max,
            devpi: _,
        } = self;
        let lists = [
            ("listen", "--listen", listen),
            ("file_origins", "--file-origin", file_origins),
            ("allowed_hosts", "--allowed-host", allowed_hosts),
        ];
        let texts = [
            ("data", "--data", data),
            ("upstream", "--upstream", upstream),
            ("page_ttl", "--page-ttl", page_ttl),
            ("memory", "--memory", memory),
            ("disk", "--disk", disk),
            ("log_format", "--log-format", log_format),
            ("log_file", "--log-file", log_file),
            ("public_url", "--public-url", public_url),
            ("root_password_file", "--root-password-file", root_password_file),
            ("user_creation", "--user-creation", user_creation),
            ("upload_max", "--upload-max", upload_max),
        ];
        let lists = lists.map(|(key, flag, values)| Said { key, flag, values: values.clone(), form: Form::List });
        let texts = texts.map(|(key, flag, value)| Said {
            key,
            flag,
            values: value.iter().cloned().collect(),
            form: Form::Text,
        });
        let values = if *offline { vec!["true".to_owned()] } else { Vec::new() };
        let switch = Said { key: "offline", flag: "--offline", values, form: Form::Switch };
        let all = lists.into_iter().chain(texts).chain([switch]);
        all.filter(|said| !said.values.is_empty()).collect()
    }
}

impl Settings {
    /// One value, parsed. The parser's error says what is accepted.
    pub(super) fn one<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(setting) = self.given.get(key) else {
            return Ok(None);
        };
        match setting.values.as_slice() {
            [value] if !setting.list => match parse(value) {
                Ok(parsed) => Ok(Some(parsed)),
                Err(accepted) => Err(value_error(key, &setting.place, value, &accepted)),
            },
            values => Err(value_error(key, &setting.place, &values.join(", "), "write one value, not a list")),
        }
    }

    /// A list, parsed, without repeats. An empty list is refused: leaving the key out gives the default.
    pub(super) fn list<T: PartialEq>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(setting) = self.given.get(key) else {
            return Ok(None);
        };
        let refuse = |value: &str, accepted: &str| value_error(key, &setting.place, value, accepted);
        let mut list = Vec::new();
        for value in &setting.values {
            let parsed = parse(value).map_err(|accepted| refuse(value, &accepted))?;
            if list.contains(&parsed) {
                return Err(refuse(value, "it stands in the list twice; write it once"));
            }
            list.push(parsed);
        }
        if list.is_empty() {
            return Err(refuse("[]", "the list is empty; leave the key out to have the default"));
        }
        Ok(Some(list))
    }

    /// A single value as written.
    pub(super) fn raw(&self, key: &str) -> Option<&str> {
        self.given.get(key).and_then(|setting| setting.values.first()).map(String::as_str)
    }

    /// An error about a key that is present.
    pub(super) fn refuse(&self, key: &str, accepted: &str) -> ConfigError {
        let place = self.given.get(key).map_or(&self.place, |setting| &setting.place);
        value_error(key, place, self.raw(key).unwrap_or_default(), accepted)
    }

    fn take_value(&mut self, key: String, place: &str, value: Value) -> Result<(), ConfigError> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Boolean(switch) => Some(switch.to_string()),
            Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
        };
        let (values, list): (Option<Vec<String>>, bool) = match &value {
            Value::Array(items) => (items.iter().map(text).collect(), true),
            single => (text(single).map(|text| vec![text]), false),
        };
        let Some(values) = values else {
            let accepted = "write a text in quotes, or a list of them";
            return Err(value_error(&key, place, &format!("({})", value.type_str()), accepted));
        };
        self.given.insert(key, Setting { place: place.to_owned(), values, list });
        Ok(())
    }
}

fn value_error(key: &str, place: &str, value: &str, accepted: &str) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        place: place.to_owned(),
        value: redact(value),
        accepted: accepted.to_owned(),
    }
}

/// Most edits between a wrong key and the one that is proposed for it; beyond that all keys are listed.
const TYPO_EDITS_MAX: usize = 3;

fn unknown<'a>(key: &str, place: &str, known: impl Iterator<Item = Cow<'a, str>>) -> ConfigError {
    let known: Vec<_> = known.collect();
    let plain = key.to_ascii_lowercase().replace('-', "_");
    let distance = |candidate: &str| strsim::damerau_levenshtein(&plain, &candidate.to_ascii_lowercase());
    let nearest = known.iter().min_by_key(|candidate| distance(candidate));
    let way_out = match nearest {
        Some(nearest) if distance(nearest) <= TYPO_EDITS_MAX => format!("did you mean {nearest:?}?"),
        _ => format!("there are {}", known.join(", ")),
    };
    ConfigError::UnknownKey { key: redact(key), place: place.to_owned(), way_out }
}

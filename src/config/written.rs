use super::Flags;
use super::sources::{Form, Said};
use toml::{Table, Value};

impl Flags {
    /// What is given, as a configuration file says it. devpi-server's options have no place in one.
    pub fn as_table(&self) -> Table {
        let mut table = Table::new();
        for Said { key, values, form, .. } in self.said() {
            let value = match form {
                Form::List => Some(Value::from(values)),
                Form::Switch => Some(Value::from(true)),
                Form::Text => values.into_iter().next().map(Value::from),
            };
            table.extend(value.map(|value| (key.to_owned(), value)));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, DevpiGiven};
    use std::collections::BTreeMap;

    #[test]
    fn a_file_says_what_the_flags_said() {
        let text = |text: &str| Some(text.to_owned());
        let list = |item: &str| vec![item.to_owned()];
        let flags = Flags {
            listen: list("127.0.0.1:4"),
            data: text("/d \"quoted\" \\ %"),
            upstream: text("https://index.example/simple/"),
            file_origins: list("https://files.example"),
            page_ttl: text("3m"),
            memory: text("128MiB"),
            disk: text("3GB"),
            offline: true,
            log_format: text("json"),
            log_file: text("/l"),
            public_url: text("https://pypi.example/"),
            allowed_hosts: list("wheels.example"),
            root_password_file: text("/r"),
            user_creation: text("anyone"),
            upload_max: text("2GB"),
            devpi: DevpiGiven::default(),
        };
        let env = BTreeMap::new();
        let file = flags.as_table().to_string();
        let read = Config::load(Some(("file", &file)), &env, &Flags::default()).unwrap();
        assert_eq!(read, Config::load(None, &env, &flags).unwrap());
        assert!(Flags::default().as_table().is_empty());
    }
}

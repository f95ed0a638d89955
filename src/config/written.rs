use super::Flags;
use toml::{Table, Value};

impl Flags {
    /// What is given, as a configuration file says it. devpi-server's options have no place in one.
    pub fn as_table(&self) -> Table {
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
        let mut table = Table::new();
        for (key, values) in [("listen", listen), ("file_origins", file_origins), ("allowed_hosts", allowed_hosts)] {
            if !values.is_empty() {
                table.insert(key.to_owned(), Value::from(values.clone()));
            }
        }
        for (key, value) in [
            ("data", data),
            ("upstream", upstream),
            ("page_ttl", page_ttl),
            ("memory", memory),
            ("disk", disk),
            ("log_format", log_format),
            ("log_file", log_file),
            ("public_url", public_url),
            ("root_password_file", root_password_file),
            ("user_creation", user_creation),
            ("upload_max", upload_max),
        ] {
            if let Some(value) = value {
                table.insert(key.to_owned(), Value::from(value.clone()));
            }
        }
        if *offline {
            table.insert("offline".to_owned(), Value::from(true));
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

use super::ImportError;
use super::read::text;
use super::taker::Taker;
use crate::auth;
use crate::index::{Took, stamps};
use crate::names::{IndexName, UserName};
use crate::rules::{IndexSettings, MirrorUrl, ROOT};
use crate::store::UserRow;
use serde_json::{Map, Value};

/// What is told of a user.
const FACTS: [&str; 4] = ["email", "title", "description", "custom_data"];

/// What else stands in devpi's row of a user, and is taken in another way or means nothing here.
const ALSO: [&str; 6] = ["username", "indexes", "created", "modified", "pwhash", "pwsalt"];

/// Longest fact about a user, in bytes of its JSON: what the API takes.
const FACT_BYTES_MAX: usize = 64 * 1024;

impl Taker<'_> {
    pub async fn user(&mut self, name: &str, row: &Map<String, Value>) -> Result<(), ImportError> {
        let what = format!("user {name}");
        let parsed = match UserName::parse(name) {
            Ok(parsed) => parsed,
            Err(why) => {
                self.report.left_out("users", what, why);
                return Ok(());
            }
        };
        let mut facts = Map::new();
        for (key, value) in row.iter().filter(|(key, _)| !ALSO.contains(&key.as_str())) {
            if value.is_null() {
                continue;
            }
            if FACTS.contains(&key.as_str()) && value.to_string().len() <= FACT_BYTES_MAX {
                facts.insert(key.clone(), value.clone());
            } else {
                self.report.left_out("facts", format!("{what}: {key}"), "it is not a fact that is kept of a user here");
            }
        }
        let password = self.password(name, &what, row).await;
        let time = |key| text(row, key).and_then(stamps::unix_of);
        let row = UserRow {
            name: parsed,
            password,
            created: time("created").unwrap_or(self.now),
            modified: time("modified"),
            facts,
        };
        let Some(index) = self.index else {
            self.report.came("users");
            return Ok(());
        };
        let took = index.take_user(row).await;
        if name == ROOT && matches!(took, Ok(Took::Differs)) {
            let why = "root has another password here already, which stays; to keep devpi's, import into a new --data \
                       before a server starts on it";
            self.report.left_out("users", what, why);
            return Ok(());
        }
        self.account("users", &what, took)?;
        Ok(())
    }

    /// The hash, if it can be checked here and is not everybody's.
    async fn password(&mut self, name: &str, what: &str, row: &Map<String, Value>) -> Option<String> {
        let hash = text(row, "pwhash").filter(|hash| !hash.is_empty());
        let what = format!("{what}: password");
        if text(row, "pwsalt").is_some_and(|salt| !salt.is_empty()) {
            let why = "its hash is of an old kind that is no longer checked; the user is here and needs a new password";
            self.report.left_out("passwords", what, why);
            return None;
        }
        let hash = hash?;
        if let Err(why) = auth::readable(hash) {
            self.report.left_out("passwords", what, why);
            return None;
        }
        if name == ROOT && auth::is_password(hash, "") {
            let why = "it is empty, so that anybody could log in as root; it is not taken, root keeps the password that \
                       is set here, or gets one when the server starts";
            self.report.note(what, why);
            return None;
        }
        Some(hash.to_owned())
    }

    pub async fn index(&mut self, name: &str, config: &Map<String, Value>) -> Result<(), ImportError> {
        let what = format!("index {name}");
        let parsed = match IndexName::parse(name) {
            Ok(parsed) => parsed,
            Err(why) => {
                self.report.left_out("indexes", what, why);
                return Ok(());
            }
        };
        let settings = match self.settings(&what, config) {
            Ok(settings) => settings,
            Err(why) => {
                self.report.left_out("indexes", what, why);
                return Ok(());
            }
        };
        let mirror = settings.is_mirror();
        let Some(index) = self.index else {
            self.mirrors.insert(parsed, mirror);
            self.report.came("indexes");
            return Ok(());
        };
        if let (Ok(ours), IndexSettings::Mirror(theirs)) = (index.entry(&parsed), &settings)
            && let IndexSettings::Mirror(mirror) = &ours.settings
            && ours.fixed
        {
            self.compare_upstreams(&what, mirror.mirror_url.as_ref(), theirs.mirror_url.as_ref());
        }
        let took = index.take_index(&parsed, settings).await;
        self.account("indexes", &what, took)?;
        // What is in it can be taken as long as the index here is of the same kind.
        if index.entry(&parsed).is_ok_and(|ours| ours.settings.is_mirror() == mirror) {
            self.mirrors.insert(parsed, mirror);
        }
        Ok(())
    }

    /// The settings that mean something here; the others are told.
    fn settings(&mut self, what: &str, config: &Map<String, Value>) -> Result<IndexSettings, String> {
        let mut config = config.clone();
        // Its name of long ago.
        if let Some(whitelist) = config.shift_remove("pypi_whitelist") {
            config.entry("mirror_whitelist").or_insert(whitelist);
        }
        if config.get("uploadtrigger_jenkins").is_some_and(|jenkins| !is_something(jenkins)) {
            config.shift_remove("uploadtrigger_jenkins");
        }
        let kind = config.get("type").cloned().unwrap_or_else(|| "stage".into());
        let mut good = Map::new();
        good.insert("type".to_owned(), kind.clone());
        for (key, value) in config.into_iter().filter(|(key, value)| key != "type" && !value.is_null()) {
            let alone: Map<_, _> =
                [("type".to_owned(), kind.clone()), (key.clone(), value.clone())].into_iter().collect();
            match IndexSettings::from_stored(&alone) {
                Ok(_) => drop(good.insert(key, value)),
                Err(_) if alone.len() < 2 => {}
                // Not its value, which may be a secret.
                Err(_) => self.report.left_out(
                    "settings",
                    format!("{what}: {key}"),
                    "it is no setting here, or not with this value",
                ),
            }
        }
        IndexSettings::from_stored(&good).map_err(|why| why.to_string())
    }

    fn compare_upstreams(&mut self, what: &str, ours: Option<&MirrorUrl>, theirs: Option<&MirrorUrl>) {
        let plain =
            |url: Option<&MirrorUrl>| url.map(|url| url.shown().trim_end_matches('/').to_owned()).unwrap_or_default();
        let (here, there) = (plain(ours), plain(theirs));
        if here != there && !there.is_empty() {
            let why = format!(
                "it mirrored {there}, and here {here} by the settings; where that is not meant, set upstream to {there}"
            );
            self.report.note(what, why);
        }
        if theirs.is_some_and(|url| url.expose() != url.shown()) {
            let why = "its URL holds a password; where it mirrors from is said in the settings here: write the password \
                       there, see sidewheel.example.toml";
            self.report.left_out("settings", format!("{what}: mirror_url"), why);
        }
    }

    /// Tells of bases that are not there, once all indexes are.
    pub fn look_at_bases(&mut self, indexes: &[(String, Map<String, Value>)]) {
        for (name, config) in indexes {
            let bases = config.get("bases").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for base in bases.iter().filter_map(Value::as_str) {
                if !indexes.iter().any(|(other, _)| other == base) {
                    let why =
                        format!("its base {base} is not there; it is kept, and counts once there is such an index");
                    self.report.note(format!("index {name}"), why);
                }
            }
        }
    }
}

fn is_something(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("")
}

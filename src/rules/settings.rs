use super::acl::Acl;
use super::reserved::{Reserved, Whitelisted};
use super::value::{self, SettingsError};
use crate::names::{IndexName, ProjectName, UserName};
use serde_json::{Map, Value};

/// The settings of an index, in devpi's words and two of our own (`acl_read`, `reserved`).
#[derive(Debug, Clone, PartialEq)]
pub enum IndexSettings {
    Stage(StageSettings),
    Mirror(MirrorSettings),
}

/// An index that is uploaded to and may draw from others.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSettings {
    pub bases: Vec<IndexName>,
    /// Whether files may be overwritten and removed.
    pub volatile: bool,
    pub acl_upload: Acl,
    pub acl_toxresult_upload: Acl,
    pub acl_read: Acl,
    pub mirror_whitelist: Vec<Whitelisted>,
    pub mirror_whitelist_inheritance: Inheritance,
    pub reserved: Vec<Reserved>,
    pub told: Told,
}

/// An index that shows what another server has.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorSettings {
    pub volatile: bool,
    /// May hold a user and a password.
    pub mirror_url: Option<String>,
    pub mirror_web_url_fmt: Option<String>,
    /// Seconds for which a page is believed.
    pub mirror_cache_expiry: Option<u64>,
    pub mirror_no_project_list: bool,
    pub mirror_use_external_urls: bool,
    /// Taken for devpi's clients; we find out ourselves.
    pub mirror_provides_core_metadata: bool,
    pub mirror_ignore_serial_header: bool,
    pub acl_read: Acl,
    pub reserved: Vec<Reserved>,
    pub told: Told,
}

/// What people write about an index.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    pub title: Option<String>,
    pub description: Option<String>,
    pub custom_data: Option<Value>,
}

/// How the whitelists of several stages become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inheritance {
    Intersection,
    Union,
}

/// What devpi takes on a mirror and forgets: old exports have it.
const FORGOTTEN_ON_MIRRORS: [&str; 4] = ["bases", "acl_upload", "mirror_whitelist", "pypi_whitelist"];

/// What stands for a password that is not shown.
const HIDDEN: &str = "***";

impl StageSettings {
    pub fn of(owner: &UserName) -> Self {
        Self {
            bases: Vec::new(),
            volatile: true,
            acl_upload: Acl::new([owner.to_string()]),
            acl_toxresult_upload: Acl::everybody(),
            acl_read: Acl::everybody(),
            mirror_whitelist: Vec::new(),
            mirror_whitelist_inheritance: Inheritance::Intersection,
            reserved: Vec::new(),
            told: Told::default(),
        }
    }

    fn set(&mut self, key: &str, given: &Value) -> Result<bool, SettingsError> {
        match key {
            "bases" => self.bases = value::bases(given)?,
            "volatile" => self.volatile = value::boolean(given)?,
            "acl_upload" => self.acl_upload = value::acl(given)?,
            "acl_toxresult_upload" => self.acl_toxresult_upload = value::acl(given)?,
            "acl_read" => self.acl_read = value::acl(given)?,
            "mirror_whitelist" => self.mirror_whitelist = value::whitelist(given)?,
            "mirror_whitelist_inheritance" => self.mirror_whitelist_inheritance = Inheritance::parse(given)?,
            "reserved" => self.reserved = value::reserved(given)?,
            key => return self.told.set(key, given),
        }
        Ok(true)
    }

    fn json(&self) -> Map<String, Value> {
        let texts = |items: Vec<String>| Value::from(items);
        let mut json = Map::new();
        json.insert("acl_upload".to_owned(), texts(self.acl_upload.names().to_vec()));
        json.insert("bases".to_owned(), texts(self.bases.iter().map(ToString::to_string).collect()));
        json.insert("acl_toxresult_upload".to_owned(), texts(self.acl_toxresult_upload.names().to_vec()));
        json.insert("volatile".to_owned(), self.volatile.into());
        let whitelist = self.mirror_whitelist.iter().map(ToString::to_string).collect();
        json.insert("mirror_whitelist".to_owned(), texts(whitelist));
        json.insert("mirror_whitelist_inheritance".to_owned(), self.mirror_whitelist_inheritance.as_str().into());
        own(&mut json, &self.acl_read, &self.reserved);
        self.told.json(&mut json);
        json.insert("type".to_owned(), "stage".into());
        json
    }
}

impl Default for MirrorSettings {
    fn default() -> Self {
        Self {
            volatile: true,
            mirror_url: None,
            mirror_web_url_fmt: None,
            mirror_cache_expiry: None,
            mirror_no_project_list: false,
            mirror_use_external_urls: false,
            mirror_provides_core_metadata: false,
            mirror_ignore_serial_header: false,
            acl_read: Acl::everybody(),
            reserved: Vec::new(),
            told: Told::default(),
        }
    }
}

impl MirrorSettings {
    fn set(&mut self, key: &str, given: &Value) -> Result<bool, SettingsError> {
        match key {
            "volatile" => self.volatile = value::boolean(given)?,
            // What was shown without its password comes back without it.
            "mirror_url" if self.mirror_url.as_deref().map(hidden).as_deref() == given.as_str() => {}
            "mirror_url" => self.mirror_url = Some(value::url(given)?),
            "mirror_web_url_fmt" => self.mirror_web_url_fmt = Some(value::text(key, given)?),
            "mirror_cache_expiry" => self.mirror_cache_expiry = Some(value::seconds(key, given)?),
            "mirror_no_project_list" => self.mirror_no_project_list = value::boolean(given)?,
            "mirror_use_external_urls" => self.mirror_use_external_urls = value::boolean(given)?,
            "mirror_provides_core_metadata" => self.mirror_provides_core_metadata = value::boolean(given)?,
            "mirror_ignore_serial_header" => self.mirror_ignore_serial_header = value::boolean(given)?,
            "acl_read" => self.acl_read = value::acl(given)?,
            "reserved" => self.reserved = value::reserved(given)?,
            key if FORGOTTEN_ON_MIRRORS.contains(&key) => {}
            key => return self.told.set(key, given),
        }
        Ok(true)
    }

    /// Takes a setting back; whether there was such a key to take back.
    fn unset(&mut self, key: &str) -> bool {
        let fresh = Self::default();
        match key {
            "mirror_url" => self.mirror_url = None,
            "mirror_web_url_fmt" => self.mirror_web_url_fmt = None,
            "mirror_cache_expiry" => self.mirror_cache_expiry = None,
            "mirror_no_project_list" => self.mirror_no_project_list = fresh.mirror_no_project_list,
            "mirror_use_external_urls" => self.mirror_use_external_urls = fresh.mirror_use_external_urls,
            "mirror_provides_core_metadata" => self.mirror_provides_core_metadata = false,
            "mirror_ignore_serial_header" => self.mirror_ignore_serial_header = fresh.mirror_ignore_serial_header,
            key => return self.told.unset(key),
        }
        true
    }

    fn json(&self, with_password: bool) -> Map<String, Value> {
        let mut json = Map::new();
        json.insert("type".to_owned(), "mirror".into());
        json.insert("volatile".to_owned(), self.volatile.into());
        self.told.json(&mut json);
        if let Some(url) = &self.mirror_url {
            let url = if with_password { url.clone() } else { hidden(url) };
            json.insert("mirror_url".to_owned(), url.into());
        }
        if let Some(format) = &self.mirror_web_url_fmt {
            json.insert("mirror_web_url_fmt".to_owned(), format.clone().into());
        }
        if let Some(seconds) = self.mirror_cache_expiry {
            json.insert("mirror_cache_expiry".to_owned(), seconds.into());
        }
        for (key, flag) in [
            ("mirror_no_project_list", self.mirror_no_project_list),
            ("mirror_use_external_urls", self.mirror_use_external_urls),
            ("mirror_provides_core_metadata", self.mirror_provides_core_metadata),
            ("mirror_ignore_serial_header", self.mirror_ignore_serial_header),
        ] {
            if flag {
                json.insert(key.to_owned(), true.into());
            }
        }
        own(&mut json, &self.acl_read, &self.reserved);
        json
    }
}

impl IndexSettings {
    /// The settings of a new index, from what its maker gives.
    pub fn create(owner: &UserName, given: &Map<String, Value>) -> Result<Self, SettingsError> {
        let mut settings = match given.get("type").map_or(Some("stage"), Value::as_str) {
            Some("stage") => Self::Stage(StageSettings::of(owner)),
            Some("mirror") => Self::Mirror(MirrorSettings::default()),
            other => return Err(format!("unknown index type '{}'", other.unwrap_or_default()).into()),
        };
        settings.take(given)?;
        Ok(settings)
    }

    /// What [`IndexSettings::to_stored`] wrote. devpi's old data lacks the inheritance, and means a union by that.
    pub fn from_stored(owner: &UserName, stored: &Map<String, Value>) -> Result<Self, SettingsError> {
        Self::create(owner, stored)
    }

    /// As the database keeps them: with a mirror's password.
    pub fn to_stored(&self) -> Map<String, Value> {
        match self {
            Self::Stage(stage) => stage.json(),
            Self::Mirror(mirror) => mirror.json(true),
        }
    }

    /// As they are shown.
    pub fn to_shown(&self) -> Map<String, Value> {
        match self {
            Self::Stage(stage) => stage.json(),
            Self::Mirror(mirror) => mirror.json(false),
        }
    }

    /// Sets what is given and leaves the rest.
    pub(super) fn take(&mut self, given: &Map<String, Value>) -> Result<(), SettingsError> {
        let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
        for (key, value) in given.iter().filter(|(key, _)| !matches!(key.as_str(), "type" | "projects")) {
            let set = match self {
                Self::Stage(stage) => stage.set(key, value),
                Self::Mirror(mirror) => mirror.set(key, value),
            };
            match set {
                Ok(true) => {}
                Ok(false) => unknown.push(format!("{key}={}", python(value))),
                Err(SettingsError(why)) => wrong.extend(why),
            }
        }
        if !unknown.is_empty() {
            wrong.push(format!("indexconfig got unexpected keyword arguments: {}", unknown.join(", ")));
        }
        if wrong.is_empty() { Ok(()) } else { Err(SettingsError(wrong)) }
    }

    /// Takes one setting back to nothing (`key-=`).
    pub(super) fn drop_key(&mut self, key: &str) -> Result<(), SettingsError> {
        let dropped = match self {
            Self::Stage(stage) => stage.told.unset(key),
            Self::Mirror(mirror) => mirror.unset(key),
        };
        if dropped {
            return Ok(());
        }
        // Our own two go back to what they are when nobody says anything.
        match (key, self) {
            ("acl_read", Self::Stage(StageSettings { acl_read, .. }) | Self::Mirror(MirrorSettings { acl_read, .. })) => {
                *acl_read = Acl::everybody();
                Ok(())
            }
            ("reserved", Self::Stage(StageSettings { reserved, .. }) | Self::Mirror(MirrorSettings { reserved, .. })) => {
                reserved.clear();
                Ok(())
            }
            (key, settings) if settings.to_stored().contains_key(key) => {
                Err("Default values can't be removed.".to_owned().into())
            }
            _ => Ok(()),
        }
    }

    pub fn is_stage(&self) -> bool {
        matches!(self, Self::Stage(_))
    }

    pub fn bases(&self) -> &[IndexName] {
        match self {
            Self::Stage(stage) => &stage.bases,
            Self::Mirror(_) => &[],
        }
    }

    pub fn volatile(&self) -> bool {
        match self {
            Self::Stage(stage) => stage.volatile,
            Self::Mirror(mirror) => mirror.volatile,
        }
    }

    pub fn acl_read(&self) -> &Acl {
        match self {
            Self::Stage(stage) => &stage.acl_read,
            Self::Mirror(mirror) => &mirror.acl_read,
        }
    }

    pub fn reserves(&self, project: &ProjectName) -> bool {
        let reserved = match self {
            Self::Stage(stage) => &stage.reserved,
            Self::Mirror(mirror) => &mirror.reserved,
        };
        reserved.iter().any(|reserved| reserved.covers(project))
    }
}

/// Whether all bases are there.
pub fn check_bases(settings: &IndexSettings, exists: impl Fn(&IndexName) -> bool) -> Result<(), SettingsError> {
    let missing = settings.bases().iter().filter(|base| !exists(base));
    let messages: Vec<_> = missing.map(|base| format!("base index '{base}' does not exist")).collect();
    if messages.is_empty() { Ok(()) } else { Err(SettingsError(messages)) }
}

impl Told {
    fn set(&mut self, key: &str, given: &Value) -> Result<bool, SettingsError> {
        match key {
            "title" => self.title = Some(value::text(key, given)?),
            "description" => self.description = Some(value::text(key, given)?),
            "custom_data" => self.custom_data = Some(value::any(key, given)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn unset(&mut self, key: &str) -> bool {
        match key {
            "title" => self.title = None,
            "description" => self.description = None,
            "custom_data" => self.custom_data = None,
            _ => return false,
        }
        true
    }

    fn json(&self, json: &mut Map<String, Value>) {
        for (key, text) in [("title", &self.title), ("description", &self.description)] {
            if let Some(text) = text {
                json.insert(key.to_owned(), text.clone().into());
            }
        }
        if let Some(data) = &self.custom_data {
            json.insert("custom_data".to_owned(), data.clone());
        }
    }
}

impl Inheritance {
    fn parse(given: &Value) -> Result<Self, SettingsError> {
        match given.as_str().map(str::to_lowercase).as_deref() {
            Some("intersection") => Ok(Self::Intersection),
            Some("union") => Ok(Self::Union),
            _ => Err(format!(
                "Unknown value '{}' for mirror_whitelist_inheritance, must be 'intersection' or 'union'.",
                given.as_str().unwrap_or_default()
            )
            .into()),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Intersection => "intersection",
            Self::Union => "union",
        }
    }
}

/// Our own keys are shown where they say something, so that other indexes look as in devpi.
fn own(json: &mut Map<String, Value>, acl_read: &Acl, reserved: &[Reserved]) {
    if *acl_read != Acl::everybody() {
        json.insert("acl_read".to_owned(), acl_read.names().to_vec().into());
    }
    if !reserved.is_empty() {
        json.insert("reserved".to_owned(), reserved.iter().map(ToString::to_string).collect::<Vec<_>>().into());
    }
}

/// A URL without its password.
fn hidden(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(parsed) if parsed.password().is_some() || !parsed.username().is_empty() => {
            let authority = url.split_once("//").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
            match authority.and_then(|authority| authority.rsplit_once('@')) {
                Some((secret, _)) => url.replacen(&format!("{secret}@"), &format!("{HIDDEN}@"), 1),
                None => url.to_owned(),
            }
        }
        _ => url.to_owned(),
    }
}

/// A value as devpi's sentences show it.
fn python(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "settings/tests.rs"]
mod tests;

use super::acl::Acl;
use super::error::{SettingsError, shown, shown_plain};
use super::mirror_url::MirrorUrl;
use super::patterns::{Reserved, Whitelisted};
use super::values::{self, Change, Outcome, What};
use crate::names::{IndexName, UserName};
use serde_json::{Map, Value};
use std::fmt::Display;

/// What an index is set to. Equal settings are the same settings: a change that leaves them equal changed nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum IndexSettings {
    Stage(StageSettings),
    Mirror(MirrorSettings),
}

/// A private index.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSettings {
    /// Indexes whose files this one shows too, in order.
    pub bases: Vec<IndexName>,
    /// Whether files may be overwritten and deleted.
    pub volatile: bool,
    pub acl_upload: Acl,
    pub acl_toxresult_upload: Acl,
    pub acl_read: Acl,
    pub mirror_whitelist: Vec<Whitelisted>,
    pub mirror_whitelist_inheritance: Inheritance,
    pub reserved: Vec<Reserved>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub custom_data: Option<Value>,
}

/// An index that fetches from another server.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorSettings {
    pub volatile: bool,
    pub mirror_url: Option<MirrorUrl>,
    /// A project's page for people at the upstream, with `{name}` in it.
    pub mirror_web_url_fmt: Option<String>,
    /// Seconds; none: the house's own.
    pub mirror_cache_expiry: Option<u64>,
    pub mirror_no_project_list: bool,
    pub mirror_use_external_urls: bool,
    pub mirror_provides_core_metadata: bool,
    pub mirror_ignore_serial_header: bool,
    pub acl_read: Acl,
    pub reserved: Vec<Reserved>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub custom_data: Option<Value>,
}

/// How the whitelists of the stages in an order combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inheritance {
    Intersection,
    Union,
}

impl IndexSettings {
    /// The settings of a new index: devpi's defaults, and what was given.
    pub fn create(owner: &UserName, given: &Map<String, Value>) -> Result<Self, SettingsError> {
        let mut settings = match given.get("type") {
            None => Self::Stage(StageSettings::new(owner)),
            Some(said) if said == "stage" => Self::Stage(StageSettings::new(owner)),
            Some(said) if said == "mirror" => Self::Mirror(MirrorSettings::new()),
            Some(said) => return Err(SettingsError::Type(shown(said))),
        };
        settings.set_all(given)?;
        Ok(settings)
    }

    /// Reads what [`to_stored`](Self::to_stored) or devpi itself stored. What is missing there means what devpi takes
    /// it for, which is not always what a new index gets.
    pub fn from_stored(stored: &Map<String, Value>) -> Result<Self, SettingsError> {
        let said = stored.get("type").unwrap_or(&Value::Null);
        let mut settings = match said.as_str() {
            Some("stage") => Self::Stage(StageSettings::nothing_said()),
            Some("mirror") => Self::Mirror(MirrorSettings { volatile: false, ..MirrorSettings::new() }),
            _ => return Err(SettingsError::Type(shown(said))),
        };
        settings.set_all(stored)?;
        Ok(settings)
    }

    /// The settings for showing, as devpi's `indexconfig`: without passwords.
    pub fn to_json(&self) -> Map<String, Value> {
        self.write(MirrorUrl::shown)
    }

    /// The settings for the database: with the password that a mirror's URL holds.
    pub fn to_stored(&self) -> Map<String, Value> {
        self.write(|url| url.expose().to_owned())
    }

    /// Whether all bases exist, as `exists` knows it.
    pub fn check_bases(&self, exists: impl Fn(&IndexName) -> bool) -> Result<(), SettingsError> {
        let missing = self.bases().iter().filter(|base| !exists(base));
        SettingsError::of(missing.map(|base| SettingsError::NoBase(base.to_string())).collect())
    }

    pub fn bases(&self) -> &[IndexName] {
        match self {
            Self::Stage(stage) => &stage.bases,
            Self::Mirror(_) => &[],
        }
    }

    pub fn is_mirror(&self) -> bool {
        matches!(self, Self::Mirror(_))
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

    pub fn title(&self) -> Option<&str> {
        match self {
            Self::Stage(stage) => stage.title.as_deref(),
            Self::Mirror(mirror) => mirror.title.as_deref(),
        }
    }

    /// The settings' own type, as its JSON names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Stage(_) => "stage",
            Self::Mirror(_) => "mirror",
        }
    }

    /// Sets what is given; the rest stays.
    pub(super) fn set_all(&mut self, given: &Map<String, Value>) -> Outcome {
        let mut unknown = Vec::new();
        // Not settings: the type is chosen once, and the projects only came along with what was shown.
        for (key, value) in given.iter().filter(|(key, _)| *key != "type" && *key != "projects") {
            if !self.apply(Change { key, what: What::Set(value) })? {
                unknown.push(format!("{key}={}", shown_plain(value)));
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(SettingsError::Unexpected(unknown.join(", "))) }
    }

    /// Makes one change; false when there is no such setting.
    pub(super) fn apply(&mut self, change: Change<'_>) -> Result<bool, SettingsError> {
        match self {
            Self::Stage(stage) => stage.apply(change),
            Self::Mirror(mirror) => mirror.apply(change),
        }
    }

    fn write(&self, url: impl Fn(&MirrorUrl) -> String) -> Map<String, Value> {
        match self {
            Self::Stage(stage) => stage.write(),
            Self::Mirror(mirror) => mirror.write(url),
        }
    }
}

impl StageSettings {
    /// devpi's defaults for a new index.
    pub fn new(owner: &UserName) -> Self {
        Self {
            bases: Vec::new(),
            volatile: true,
            acl_upload: Acl::only(owner),
            acl_toxresult_upload: Acl::everybody(),
            acl_read: Acl::everybody(),
            mirror_whitelist: Vec::new(),
            mirror_whitelist_inheritance: Inheritance::Intersection,
            reserved: Vec::new(),
            title: None,
            description: None,
            custom_data: None,
        }
    }

    /// What devpi makes of a stored index of which nothing is said; whitelists were united when it knew no other way.
    fn nothing_said() -> Self {
        Self {
            bases: Vec::new(),
            volatile: false,
            acl_upload: Acl::default(),
            acl_toxresult_upload: Acl::everybody(),
            acl_read: Acl::everybody(),
            mirror_whitelist: Vec::new(),
            mirror_whitelist_inheritance: Inheritance::Union,
            reserved: Vec::new(),
            title: None,
            description: None,
            custom_data: None,
        }
    }

    fn apply(&mut self, change: Change<'_>) -> Result<bool, SettingsError> {
        match change.key {
            "bases" => change.bases(&mut self.bases),
            "volatile" => change.one(&mut self.volatile, values::boolean),
            "acl_upload" => change.acl("acl_upload", &mut self.acl_upload),
            "acl_toxresult_upload" => change.acl("acl_toxresult_upload", &mut self.acl_toxresult_upload),
            "acl_read" => change.readers(&mut self.acl_read),
            "mirror_whitelist" => change.whitelist(&mut self.mirror_whitelist),
            "mirror_whitelist_inheritance" => change.one(&mut self.mirror_whitelist_inheritance, values::inheritance),
            "reserved" => change.reserved(&mut self.reserved),
            "title" => change.text("title", &mut self.title),
            "description" => change.text("description", &mut self.description),
            "custom_data" => change.any(&mut self.custom_data),
            // The whitelist's name of long ago, which devpi takes and forgets.
            "pypi_whitelist" => Ok(()),
            _ => return Ok(false),
        }
        .map(|()| true)
    }

    fn write(&self) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("acl_upload".into(), list(self.acl_upload.principals()));
        out.insert("bases".into(), list(&self.bases));
        out.insert("acl_toxresult_upload".into(), list(self.acl_toxresult_upload.principals()));
        out.insert("volatile".into(), self.volatile.into());
        out.insert("mirror_whitelist".into(), list(&self.mirror_whitelist));
        out.insert("mirror_whitelist_inheritance".into(), self.mirror_whitelist_inheritance.as_str().into());
        write_ours(&mut out, &self.acl_read, &self.reserved);
        write_text(&mut out, "title", self.title.as_ref());
        write_text(&mut out, "description", self.description.as_ref());
        write_any(&mut out, "custom_data", self.custom_data.as_ref());
        out.insert("type".into(), "stage".into());
        out
    }
}

impl MirrorSettings {
    /// devpi's defaults for a new index.
    pub fn new() -> Self {
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
            title: None,
            description: None,
            custom_data: None,
        }
    }

    fn apply(&mut self, change: Change<'_>) -> Result<bool, SettingsError> {
        match change.key {
            "volatile" => change.one(&mut self.volatile, values::boolean),
            "mirror_url" => self.apply_url(change),
            "mirror_web_url_fmt" => change.text("mirror_web_url_fmt", &mut self.mirror_web_url_fmt),
            "mirror_cache_expiry" => change.maybe(&mut self.mirror_cache_expiry, values::expiry),
            "mirror_no_project_list" => change.flag(&mut self.mirror_no_project_list),
            "mirror_use_external_urls" => change.flag(&mut self.mirror_use_external_urls),
            "mirror_provides_core_metadata" => change.flag(&mut self.mirror_provides_core_metadata),
            "mirror_ignore_serial_header" => change.flag(&mut self.mirror_ignore_serial_header),
            "acl_read" => change.readers(&mut self.acl_read),
            "reserved" => change.reserved(&mut self.reserved),
            "title" => change.text("title", &mut self.title),
            "description" => change.text("description", &mut self.description),
            "custom_data" => change.any(&mut self.custom_data),
            // Stages' settings that old exports have on mirrors, which devpi takes and forgets.
            "bases" | "acl_upload" | "mirror_whitelist" | "pypi_whitelist" => Ok(()),
            _ => return Ok(false),
        }
        .map(|()| true)
    }

    /// A URL that comes back as it was shown keeps its password.
    fn apply_url(&mut self, change: Change<'_>) -> Outcome {
        if let What::Set(Value::String(said)) = change.what
            && self.mirror_url.as_ref().is_some_and(|url| url.shown() == *said)
        {
            return Ok(());
        }
        let read = |value: &Value| MirrorUrl::parse(value.as_str().ok_or(SettingsError::MirrorUrl)?);
        change.maybe(&mut self.mirror_url, read)
    }

    fn write(&self, url: impl Fn(&MirrorUrl) -> String) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("type".into(), "mirror".into());
        out.insert("volatile".into(), self.volatile.into());
        write_text(&mut out, "title", self.title.as_ref());
        write_text(&mut out, "mirror_url", self.mirror_url.as_ref().map(url).as_ref());
        write_text(&mut out, "mirror_web_url_fmt", self.mirror_web_url_fmt.as_ref());
        if let Some(seconds) = self.mirror_cache_expiry {
            out.insert("mirror_cache_expiry".into(), seconds.into());
        }
        for (key, flag) in [
            ("mirror_no_project_list", self.mirror_no_project_list),
            ("mirror_use_external_urls", self.mirror_use_external_urls),
            ("mirror_provides_core_metadata", self.mirror_provides_core_metadata),
            ("mirror_ignore_serial_header", self.mirror_ignore_serial_header),
        ] {
            if flag {
                out.insert(key.into(), true.into());
            }
        }
        write_ours(&mut out, &self.acl_read, &self.reserved);
        write_text(&mut out, "description", self.description.as_ref());
        write_any(&mut out, "custom_data", self.custom_data.as_ref());
        out
    }
}

impl Default for MirrorSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl Inheritance {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intersection => "intersection",
            Self::Union => "union",
        }
    }
}

fn list(entries: &[impl Display]) -> Value {
    entries.iter().map(ToString::to_string).collect()
}

/// The settings that devpi does not have: shown only where they say something.
fn write_ours(out: &mut Map<String, Value>, acl_read: &Acl, reserved: &[Reserved]) {
    if *acl_read != Acl::everybody() {
        out.insert("acl_read".into(), list(acl_read.principals()));
    }
    if !reserved.is_empty() {
        out.insert("reserved".into(), list(reserved));
    }
}

fn write_text(out: &mut Map<String, Value>, key: &str, text: Option<&String>) {
    if let Some(text) = text {
        out.insert(key.into(), text.as_str().into());
    }
}

fn write_any(out: &mut Map<String, Value>, key: &str, value: Option<&Value>) {
    if let Some(value) = value {
        out.insert(key.into(), value.clone());
    }
}

/// Why the settings are refused. Every sentence names the key, its place and the way out; no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{file}, line {line}: this is not TOML: {message}")]
    Syntax { file: String, line: usize, message: String },
    #[error("{file}, line {line}: this is not devpi-server's YAML: {message}")]
    Yaml { file: String, line: usize, message: String },
    /// An option of devpi-server that cannot be left out.
    #[error("{place} {value:?} is devpi-server's and cannot be done here: {way_out}")]
    Devpi { place: String, value: String, way_out: String },
    /// `way_out` proposes the nearest key or lists all.
    #[error("{place}: there is no setting {key:?}; {way_out}")]
    UnknownKey { key: String, place: String, way_out: String },
    #[error("{key} = {value:?} (from {place}) is not accepted: {accepted}")]
    Value { key: String, place: String, value: String, accepted: String },
    #[error("{key} is missing ({place}): {accepted}")]
    Missing { key: String, place: String, accepted: String },
    #[error("there is no home directory to keep data in: set `data` in the file, SIDEWHEEL_DATA, or --data")]
    NoHome,
}

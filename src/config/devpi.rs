//! devpi-server's options, so that its command lines, variables and files go on working: each becomes one of our
//! settings, is not needed here, or is refused because leaving it out would do something else than what was asked.

mod file;
mod options;

pub use options::{DEVPI_OPTIONS, DevpiOption};

use super::{ConfigError, ENV_PREFIX};
use options::{Meaning, Said, option};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The prefix of the environment variables that devpi-server reads.
const DEVPI_PREFIX: &str = "DEVPISERVER_";

/// An older name of `DEVPISERVER_SERVERDIR`.
const DEVPI_SERVERDIR: &str = "DEVPI_SERVERDIR";

const PORT_DEFAULT: &str = "3141";
const HOST_DEFAULT: &str = "127.0.0.1";

/// devpi-server's options on the command line, and its configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevpiGiven {
    /// The name of a [`DevpiOption`] and its values; a switch has none.
    pub options: Vec<(&'static str, Vec<String>)>,
    /// The name of the file that [`configfile`](Self::configfile) names, and its text.
    pub file: Option<(String, String)>,
}

impl DevpiGiven {
    /// devpi-server's configuration file, where one is named; one that is only found lying about is not ours.
    pub fn configfile(&self, env: &BTreeMap<String, String>) -> Option<PathBuf> {
        let flag = self.options.iter().find(|(name, _)| *name == CONFIGFILE).and_then(|(_, values)| values.last());
        flag.or_else(|| env.get("DEVPISERVER_CONFIGFILE")).filter(|path| !path.is_empty()).map(PathBuf::from)
    }
}

/// Where an option stands; the later wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    File,
    Env,
    Flag,
}

/// One of our settings that a devpi option gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Renamed {
    pub(super) level: Level,
    pub(super) key: &'static str,
    /// Where it was given, in devpi's words.
    pub(super) place: String,
    pub(super) values: Vec<String>,
    pub(super) list: bool,
    /// What differs from devpi, if anything does.
    note: Option<&'static str>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Translation {
    pub(super) renamed: Vec<Renamed>,
    /// What to say of the options that do nothing here.
    pub(super) notices: Vec<String>,
}

impl Renamed {
    /// Tells the new name; `winner` is where the setting that counts was given.
    pub(super) fn notice(&self, winner: &str) -> String {
        let (place, key) = (&self.place, self.key);
        let now = match self.level {
            Level::Flag => options::flag_of(key).map(str::to_owned),
            Level::Env => Some(format!("{ENV_PREFIX}{}", key.to_ascii_uppercase())),
            Level::File => Some(format!("{key} in Sidewheel's own file")),
        };
        let now = now.unwrap_or_else(|| format!("{ENV_PREFIX}{} or {key} in the file", key.to_ascii_uppercase()));
        let is = if place.contains(" and ") { "are devpi-server's names" } else { "is devpi-server's name" };
        match self.note {
            _ if winner != place => format!("{place} {is} of {now}; overruled by {winner}"),
            None => format!("{place} {is} of {now}"),
            Some(note) => format!("{place} {is} of {now}; {note}"),
        }
    }
}

/// An option, where its winning value stands.
struct Given {
    level: Level,
    place: String,
    values: Vec<String>,
}

type AllGiven = BTreeMap<&'static str, Given>;

const CONFIGFILE: &str = "configfile";

/// Reads what was given, and says what it means here.
pub(super) fn translate(given: &DevpiGiven, env: &BTreeMap<String, String>) -> Result<Translation, ConfigError> {
    let mut translation = Translation::default();
    let mut given = gather(given, env, &mut translation.notices)?;
    let listen = listen(&mut given, &mut translation.notices);
    for (name, given) in &given {
        let Some(option) = option(name) else { continue };
        let value = given.values.last().map(String::as_str).unwrap_or_default();
        let said = match option.meaning {
            Meaning::Listens | Meaning::Reads => continue,
            Meaning::Needless(why) => Said::Needless(why),
            Meaning::Refused(way_out) => Said::Refused(way_out),
            Meaning::Depends(read) => read(value),
        };
        match said {
            Said::Becomes { key, value, note } => translation.renamed.push(Renamed {
                level: given.level,
                key,
                place: given.place.clone(),
                values: vec![value],
                list: false,
                note,
            }),
            Said::Needless(why) => {
                translation.notices.push(format!("{} is devpi-server's and does nothing here: {why}", given.place));
            }
            Said::Refused(way_out) => return Err(refused(&given.place, value, way_out)),
        }
    }
    translation.renamed.extend(listen);
    Ok(translation)
}

fn refused(place: &str, value: &str, way_out: &str) -> ConfigError {
    ConfigError::Devpi { place: place.to_owned(), value: super::secret::redact(value), way_out: way_out.to_owned() }
}

/// The options from all places, the winning ones; switches that are off are not there.
fn gather(
    given: &DevpiGiven,
    env: &BTreeMap<String, String>,
    notices: &mut Vec<String>,
) -> Result<AllGiven, ConfigError> {
    let mut all = Vec::new();
    if let Some((file, text)) = &given.file {
        for (key, values) in file::read(file, text)? {
            all.push((key.clone(), Given { level: Level::File, place: format!("{key} in {file}"), values }));
        }
    }
    for (variable, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
        let rest = match variable.strip_prefix(DEVPI_PREFIX) {
            Some(rest) => rest,
            None if variable == DEVPI_SERVERDIR => "SERVERDIR",
            None => continue,
        };
        let name = rest.to_ascii_lowercase().replace('_', "-");
        all.push((name, Given { level: Level::Env, place: variable.clone(), values: vec![value.clone()] }));
    }
    for (name, values) in &given.options {
        let given = Given { level: Level::Flag, place: format!("--{name}"), values: values.clone() };
        all.push(((*name).to_owned(), given));
    }
    let mut winning = AllGiven::new();
    for (name, given) in all {
        let Some(option) = option(&name) else {
            notices.push(format!("{} is no option of devpi-server that is known here; it does nothing", given.place));
            continue;
        };
        let off = match given.values.last() {
            Some(value) if !option.takes_value => !switch(value).map_err(|why| refused(&given.place, value, why))?,
            _ => false,
        };
        match off {
            true => drop(winning.remove(option.name)),
            false => drop(winning.insert(option.name, given)),
        }
    }
    Ok(winning)
}

/// devpi's own words for yes and no.
fn switch(value: &str) -> Result<bool, &'static str> {
    match value.to_ascii_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Ok(true),
        "n" | "no" | "f" | "false" | "off" | "0" => Ok(false),
        _ => Err("write yes or no"),
    }
}

/// The options that say where to listen, taken out of `given`: `--listen` alone, or host and port, and a Unix socket.
fn listen(given: &mut AllGiven, notices: &mut Vec<String>) -> Option<Renamed> {
    let (listen, unix) = (given.remove("listen"), given.remove("unix-socket"));
    let (host, port) = (given.remove("host"), given.remove("port"));
    if listen.is_some() {
        for overruled in [&host, &port].into_iter().flatten() {
            notices.push(format!("{} is overruled by devpi-server's option listen", overruled.place));
        }
    }
    let mut values = Vec::new();
    let mut from: Vec<&Given> = Vec::new();
    if let Some(listen) = &listen {
        values.extend(listen.values.iter().flat_map(|value| value.split(',')).map(|item| item.trim().to_owned()));
        from.push(listen);
    } else if host.is_some() || port.is_some() {
        let last = |given: &Option<Given>| given.as_ref().and_then(|given| given.values.last().cloned());
        let host = last(&host).unwrap_or_else(|| HOST_DEFAULT.to_owned());
        let port = last(&port).unwrap_or_else(|| PORT_DEFAULT.to_owned());
        let bare_v6 = host.contains(':') && !host.starts_with('[');
        values.push(if bare_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") });
    }
    if listen.is_none() {
        from.extend([&host, &port].into_iter().flatten());
    }
    if let Some(unix) = &unix {
        values.extend(unix.values.last().map(|path| format!("unix:{path}")));
        from.push(unix);
    }
    let level = from.iter().map(|given| given.level).max()?;
    let place = from.iter().map(|given| given.place.as_str()).collect::<Vec<_>>().join(" and ");
    let note = values.iter().any(|value| !stays_here(value)).then_some(
        "requests must name this machine as --allowed-host or --public-url say, and a proxy in front should keep \
         strangers out",
    );
    Some(Renamed { level, key: "listen", place, values, list: true, note })
}

fn stays_here(listen: &str) -> bool {
    ["127.", "localhost:", "[::1]:", "unix:"].iter().any(|start| listen.starts_with(start))
}

#[cfg(test)]
mod tests;

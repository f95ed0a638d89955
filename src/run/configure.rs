use super::{RunError, say};
use crate::cli::{Aim, ConfigureOptions, EnvOptions};
use crate::config::{Config, DEFAULT_INDEX, Listen};
use crate::configure::{
    EditError, FILE_BYTES_MAX, Machine, Place, Shell, Splice, Tool, Wish, edit, hidden, undo, variables,
};
use crate::names::IndexName;
use crate::platform::machine::MACOS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use url::Url;

/// Where it is noted what was changed, in the user's configuration directory.
const BOOK_FILE: &str = "configure.json";

/// `sidewheel env`: lines for a shell.
pub(super) fn env(config: &Config, options: &EnvOptions, env: &BTreeMap<String, String>) -> Result<(), RunError> {
    let wish = wish(config, &options.aim, None)?;
    let from_env = || env.get("SHELL").and_then(|path| Shell::parse(path.rsplit('/').next()?));
    let shell = options.shell.as_deref().and_then(Shell::parse).or_else(from_env).unwrap_or(Shell::Sh);
    for (name, value) in variables(&wish) {
        say(&if options.undo { shell.unset(name) } else { shell.set(name, &value) });
    }
    Ok(())
}

/// `sidewheel configure`: edits what other tools read, or takes that back.
pub(super) fn configure(
    config: &Config,
    options: &ConfigureOptions,
    env: &BTreeMap<String, String>,
) -> Result<(), RunError> {
    let wish = wish(config, &options.aim, options.username.clone())?;
    let here = std::env::current_dir()?;
    let machine = Machine { env, macos: MACOS, here: &here };
    let mut book = Book::open(&machine)?;
    let all = options.tools.iter().any(|tool| tool == "all");
    let tools: Vec<Tool> = match all {
        true => Tool::ALL.into_iter().filter(|tool| *tool != Tool::PreCommit).collect(),
        false => options.tools.iter().filter_map(|tool| Tool::parse(tool)).collect(),
    };
    for tool in tools {
        let job = Job { tool, machine: &machine, wish: &wish, options, all };
        let done = if options.undo { job.take_back(&mut book) } else { job.point_here(&mut book) };
        match done {
            Err(RunError::Usage(why)) if all => say(&format!("{tool}: left alone: {why}")),
            done => done?,
        }
    }
    Ok(())
}

fn wish(config: &Config, aim: &Aim, username: Option<String>) -> Result<Wish, RunError> {
    let index = IndexName::parse(aim.index.as_deref().unwrap_or(DEFAULT_INDEX))?;
    let base = match &aim.url {
        Some(raw) => base(raw)?,
        None => base_of(config).ok_or_else(|| {
            RunError::Usage("the settings name no URL that clients reach the server at; give one with --url".to_owned())
        })?,
    };
    let stage = config.mirror(&index).is_none();
    Ok(Wish { base, index, stage, username })
}

/// How clients on this machine reach the server, as far as the settings tell.
fn base_of(config: &Config) -> Option<String> {
    if let Some(url) = super::open::public_url(config) {
        return Some(url);
    }
    config.server.listen.iter().find_map(|listen| match listen {
        Listen::Tcp(address) if address.port() != 0 => Some(format!("http://{}", crate::doctor::reachable(*address))),
        _ => None,
    })
}

fn base(raw: &str) -> Result<String, RunError> {
    let url = Url::parse(raw).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    let url = url.ok_or_else(|| RunError::Usage("--url is no http or https URL".to_owned()))?;
    if !url.username().is_empty() || url.password().is_some() {
        let way_out = "no password is written into files: leave user and password out of --url, and give them to the \
                       tool by ~/.netrc, by its keyring, or by its own login";
        return Err(RunError::Usage(way_out.to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() || url.path().contains("/+") {
        return Err(RunError::Usage("--url is the server's own URL, without an index; see --index".to_owned()));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// One tool's turn.
struct Job<'a> {
    tool: Tool,
    machine: &'a Machine<'a>,
    wish: &'a Wish,
    options: &'a ConfigureOptions,
    all: bool,
}

impl Job<'_> {
    fn point_here(&self, book: &mut Book) -> Result<(), RunError> {
        let (tool, place) = (self.tool, self.place());
        let file = self.file(place)?;
        let is_pyproject = file.file_name().is_some_and(|name| name == "pyproject.toml");
        let now = read(&file)?;
        self.wanted(place, is_pyproject, now.as_deref(), &file)?;
        let text = now.clone().unwrap_or_default();
        let refused = |why: &dyn std::fmt::Display| RunError::Usage(format!("{}: {why}", file.display()));
        // What we changed before is taken back first, so that the way back always leads to what was there before us.
        let known = book.find(tool, &file).cloned();
        let before = match &known {
            None => text.clone(),
            Some(record) => match undo(&text, &record.splices, false) {
                Ok(before) => before,
                Err(_) if self.options.force => text.clone(),
                Err(why) => {
                    let way_out = "--force points it here all the same";
                    return Err(refused(&format!("{why}; {way_out}")));
                }
            },
        };
        let (new, splices) = edit(tool, place, is_pyproject, &before, self.wish).map_err(|why| refused(&why))?;
        if new == text {
            say(&format!("{tool}: {} points here already", file.display()));
        } else if self.options.dry_run {
            show(&file, &text, &new);
        } else {
            let created = known.as_ref().map_or(now.is_none(), |record| record.created);
            let made = match &known {
                Some(record) => record.made.clone(),
                None => make_parent(&file)?,
            };
            // Noted first: a change that is not noted could not be taken back.
            book.put(Record { tool: whose(tool).to_owned(), file: file.clone(), created, made, splices });
            book.write()?;
            write(&file, &new, tool == Tool::Twine)?;
            say(&format!("{tool}: {} points to {}", file.display(), self.target()));
        }
        self.notes(place);
        Ok(())
    }

    fn take_back(&self, book: &mut Book) -> Result<(), RunError> {
        let tool = self.tool;
        let places = match self.options.project {
            Some(true) => vec![Place::Project],
            Some(false) => vec![Place::User],
            None => vec![Place::User, Place::Project],
        };
        let files: Vec<PathBuf> =
            places.iter().filter_map(|place| self.machine.files(tool, *place).ok()).flatten().map(real).collect();
        let records: Vec<Record> =
            book.records.iter().filter(|record| record.is(tool) && files.contains(&record.file)).cloned().collect();
        if records.is_empty() {
            let elsewhere = book.records.iter().find(|record| record.is(tool));
            let hint = elsewhere.map_or(String::new(), |record| format!("; {} was, go there", record.file.display()));
            say(&format!("{tool}: nothing was changed here{hint}"));
        }
        for record in records {
            let file = &record.file;
            let Some(text) = read(file)? else {
                say(&format!("{tool}: {} is gone, and with it what was changed", file.display()));
                book.remove(&record);
                book.write()?;
                continue;
            };
            let old = undo(&text, &record.splices, self.options.force).map_err(|why| {
                let way_out = "--force takes it back all the same";
                RunError::Usage(format!("{}: {why}; {way_out}", file.display()))
            })?;
            if self.options.dry_run {
                show(file, &text, &old);
                continue;
            }
            match record.created && old.trim().is_empty() {
                true => remove(file, record.made.as_deref())?,
                false => write(file, &old, false)?,
            }
            book.remove(&record);
            book.write()?;
            say(&format!("{tool}: {} is as it was", file.display()));
        }
        Ok(())
    }

    /// poetry has indexes in projects only.
    fn place(&self) -> Place {
        match self.options.project {
            Some(true) => Place::Project,
            Some(false) => Place::User,
            None if self.tool == Tool::Poetry => Place::Project,
            None => Place::User,
        }
    }

    fn file(&self, place: Place) -> Result<PathBuf, RunError> {
        let files =
            self.machine.files(self.tool, place).map_err(|why| RunError::Usage(format!("{}: {why}", self.tool)))?;
        let there = files.iter().find(|file| file.exists());
        let possible = || files.iter().find(|file| file.parent().is_some_and(Path::exists));
        let file = there.or_else(possible).or_else(|| files.last()).cloned();
        file.map(real).ok_or_else(|| RunError::Usage(format!("{} has no file of settings", self.tool)))
    }

    /// A project is there already, and `all` means what is in use.
    fn wanted(&self, place: Place, is_pyproject: bool, text: Option<&str>, file: &Path) -> Result<(), RunError> {
        let refuse = |sentence: String| Err(RunError::Usage(sentence));
        if is_pyproject && text.is_none() {
            return refuse(format!("there is no {}; go to the project's directory", file.display()));
        }
        let used = match self.tool {
            Tool::Poetry | Tool::Pdm if place == Place::Project => {
                text.is_some_and(|text| text.contains(&format!("tool.{}", self.tool)))
            }
            Tool::Devpi => text.is_some(),
            _ => true,
        };
        if self.all && !used {
            return refuse(format!(
                "it is not used here; name it to have it configured: sidewheel configure {}",
                self.tool
            ));
        }
        Ok(())
    }

    fn target(&self) -> String {
        match self.tool {
            Tool::Twine => format!("{} (twine upload -r sidewheel dist/*)", self.wish.upload()),
            Tool::Poetry if self.place() == Place::User => {
                format!("{} (poetry publish -r sidewheel); projects: --project", self.wish.upload())
            }
            Tool::PreCommit => format!("{} (pre-commit installs with pip)", self.wish.simple()),
            Tool::Devpi => format!("{}/{}", self.wish.base, self.wish.index),
            _ => self.wish.simple(),
        }
    }

    /// What wins over a file, and what a tool does not take.
    fn notes(&self, place: Place) {
        let set = |name: &&str| self.machine.env.get(*name).is_some_and(|value| !value.is_empty());
        let stronger: &[&str] = match self.tool {
            Tool::Uv => &["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_NO_CONFIG"],
            Tool::Pip | Tool::PreCommit => &["PIP_INDEX_URL"],
            Tool::Pdm if place == Place::User => &["PDM_PYPI_URL"],
            Tool::Devpi => &["DEVPI_INDEX"],
            _ => &[],
        };
        for name in stronger.iter().filter(|name| set(name)) {
            say(&format!("  note: {name} is set and wins over the file; `unset {name}`"));
        }
        if matches!(self.tool, Tool::Pip | Tool::PreCommit) {
            if self.machine.pip_read().is_empty() {
                say("  note: PIP_CONFIG_FILE=/dev/null makes pip read no file; `unset PIP_CONFIG_FILE`");
            }
            let url = Url::parse(&self.wish.base).ok().filter(|url| url.scheme() == "http");
            if let Some(host) = url.as_ref().and_then(Url::host_str).filter(|host| !is_loopback(host)) {
                say(&format!(
                    "  note: pip takes no plain http from {host}; use https, or tell it `trusted-host = {host}`"
                ));
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.") || host == "[::1]"
}

fn show(file: &Path, old: &str, new: &str) {
    let name = file.display().to_string();
    let diff = similar::TextDiff::from_lines(old, new);
    say(hidden(&diff.unified_diff().header(&name, &name).to_string()).trim_end());
}

/// What was changed, so that it can be taken back. It may hold an old URL with a password in it, as the file did: only
/// the user may read it.
struct Book {
    path: PathBuf,
    records: Vec<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    tool: String,
    file: PathBuf,
    /// The file was not there before.
    created: bool,
    /// The topmost directory that was made for it.
    made: Option<PathBuf>,
    splices: Vec<Splice>,
}

impl Record {
    fn is(&self, tool: Tool) -> bool {
        self.tool == whose(tool)
    }
}

/// pre-commit's file is pip's.
fn whose(tool: Tool) -> &'static str {
    if tool == Tool::PreCommit { Tool::Pip.name() } else { tool.name() }
}

impl Book {
    fn open(machine: &Machine<'_>) -> Result<Self, RunError> {
        let directory = machine.app_config("sidewheel").ok_or_else(|| {
            RunError::Usage(EditError::NotHere("there is no HOME to note changes in".to_owned()).to_string())
        })?;
        let path = directory.join(BOOK_FILE);
        let text = read(&path)?.unwrap_or_default();
        let records = match text.trim().is_empty() {
            true => Vec::new(),
            false => serde_json::from_str(&text).map_err(|why| {
                RunError::Usage(format!(
                    "{}: {why}; it notes what was changed: mend it or move it away",
                    path.display()
                ))
            })?,
        };
        Ok(Self { path, records })
    }

    fn find(&self, tool: Tool, file: &Path) -> Option<&Record> {
        self.records.iter().find(|record| record.is(tool) && record.file == file)
    }

    fn put(&mut self, record: Record) {
        self.records.retain(|other| other.file != record.file || other.tool != record.tool);
        self.records.push(record);
    }

    fn remove(&mut self, record: &Record) {
        self.records.retain(|other| other != record);
    }

    fn write(&self) -> Result<(), RunError> {
        make_parent(&self.path)?;
        let text = serde_json::to_string_pretty(&self.records).map_err(io::Error::from)?;
        write(&self.path, &(text + "\n"), true)
    }
}

/// The file itself, through links: a link stays one.
fn real(path: PathBuf) -> PathBuf {
    if let Ok(real) = fs::canonicalize(&path) {
        return real;
    }
    let parent = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path,
    }
}

fn read(path: &Path) -> Result<Option<String>, RunError> {
    let failed = |why| RunError::File { path: path.to_owned(), why };
    match fs::metadata(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(failed(why)),
        Ok(facts) if !facts.is_file() => return Err(failed(io::Error::other("it is no file"))),
        Ok(facts) if facts.len() > FILE_BYTES_MAX => {
            return Err(failed(io::Error::other("it is too large to be settings")));
        }
        Ok(_) => {}
    }
    fs::read_to_string(path).map(Some).map_err(failed)
}

/// Makes the directory of a file; the topmost that was missing.
fn make_parent(file: &Path) -> Result<Option<PathBuf>, RunError> {
    let Some(parent) = file.parent() else { return Ok(None) };
    let missing = parent.ancestors().take_while(|directory| !directory.exists()).last().map(Path::to_owned);
    fs::create_dir_all(parent).map_err(|why| RunError::File { path: parent.to_owned(), why })?;
    Ok(missing)
}

/// Whole or not at all, with the mode and the owner that the file had. One that is made is the user's alone if `secret`.
fn write(path: &Path, text: &str, secret: bool) -> Result<(), RunError> {
    let failed = |why| RunError::File { path: path.to_owned(), why };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let _ = fs::remove_file(&temporary);
        let mode = if secret { 0o600 } else { 0o644 };
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        if let Ok(facts) = fs::metadata(path) {
            // root may edit another user's file; anybody else owns what he makes.
            let _ = std::os::unix::fs::fchown(&file, Some(facts.uid()), Some(facts.gid()));
            file.set_permissions(fs::Permissions::from_mode(facts.permissions().mode()))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}

/// Removes a file that we made, and the directories that we made for it, as long as nothing else is in them.
fn remove(file: &Path, made: Option<&Path>) -> Result<(), RunError> {
    fs::remove_file(file).map_err(|why| RunError::File { path: file.to_owned(), why })?;
    let Some(made) = made else { return Ok(()) };
    for directory in file.ancestors().skip(1).take_while(|directory| directory.starts_with(made)) {
        if fs::remove_dir(directory).is_err() {
            break;
        }
    }
    Ok(())
}

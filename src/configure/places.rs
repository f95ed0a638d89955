use super::{EditError, Tool};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Whose configuration is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    User,
    /// This directory's `pyproject.toml`, or what stands for it.
    Project,
}

/// What decides where tools look for their files.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    pub env: &'a BTreeMap<String, String>,
    pub macos: bool,
    /// The directory that the command runs in.
    pub here: &'a Path,
}

impl Machine<'_> {
    /// The files that a tool's configuration of that place may stand in, the preferred first; one is taken that is
    /// there, else the first whose directory is there, else the last.
    pub fn files(&self, tool: Tool, place: Place) -> Result<Vec<PathBuf>, EditError> {
        let not_here = |sentence: &str| Err(EditError::NotHere(sentence.to_owned()));
        let no_home = || EditError::NotHere("there is no HOME, so there is no user whose files could be edited".into());
        match (tool, place) {
            (Tool::Uv, Place::Project) => Ok(vec![self.here.join("uv.toml"), self.here.join("pyproject.toml")]),
            (Tool::Poetry | Tool::Pdm, Place::Project) => Ok(vec![self.here.join("pyproject.toml")]),
            (Tool::Pip | Tool::PreCommit, Place::Project) => match self.var("VIRTUAL_ENV") {
                Some(venv) => Ok(vec![venv.join("pip.conf")]),
                None => not_here(
                    "pip has no settings of a project; activate its virtual environment, or leave out --project",
                ),
            },
            (Tool::Twine | Tool::Devpi, Place::Project) => {
                not_here("it has no settings of a project; leave out --project")
            }
            (Tool::Uv, Place::User) => {
                self.one("UV_CONFIG_FILE", || Some(self.xdg()?.join("uv/uv.toml"))).ok_or_else(no_home)
            }
            (Tool::Pip | Tool::PreCommit, Place::User) => self.pip_user().ok_or_else(no_home),
            (Tool::Poetry, Place::User) => match self.var("POETRY_CONFIG_DIR") {
                Some(directory) => Ok(vec![directory.join("config.toml")]),
                None => Ok(vec![self.app_config("pypoetry").ok_or_else(no_home)?.join("config.toml")]),
            },
            (Tool::Pdm, Place::User) => {
                self.one("PDM_CONFIG_FILE", || Some(self.app_config("pdm")?.join("config.toml"))).ok_or_else(no_home)
            }
            (Tool::Twine, Place::User) => Ok(vec![self.home().ok_or_else(no_home)?.join(".pypirc")]),
            (Tool::Devpi, Place::User) => {
                let directory = self.var("DEVPI_CLIENTDIR").or_else(|| Some(self.home()?.join(".devpi/client")));
                Ok(vec![directory.ok_or_else(no_home)?.join("current.json")])
            }
        }
    }

    /// All files that pip reads, the weakest first.
    pub fn pip_read(&self) -> Vec<PathBuf> {
        let disabled = self.var("PIP_CONFIG_FILE").is_some_and(|file| file == Path::new("/dev/null"));
        if disabled {
            return Vec::new();
        }
        let mut files = Vec::new();
        if self.macos {
            files.push(PathBuf::from("/Library/Application Support/pip/pip.conf"));
        } else {
            let all = self.env.get("XDG_CONFIG_DIRS").filter(|all| !all.is_empty()).map_or("/etc/xdg", String::as_str);
            files.extend(all.split(':').map(|directory| Path::new(directory).join("pip/pip.conf")));
            files.push(PathBuf::from("/etc/pip.conf"));
        }
        files.extend(self.home().map(|home| home.join(".pip/pip.conf")));
        files.extend(self.pip_user_places());
        files.extend(self.var("VIRTUAL_ENV").map(|venv| venv.join("pip.conf")));
        files.extend(self.var("PIP_CONFIG_FILE"));
        files
    }

    /// All files that uv reads, the weakest first.
    pub fn uv_read(&self) -> Vec<PathBuf> {
        if let Some(file) = self.var("UV_CONFIG_FILE") {
            return vec![file];
        }
        if self.env.get("UV_NO_CONFIG").is_some_and(|told| !told.is_empty()) {
            return Vec::new();
        }
        let mut files = vec![PathBuf::from("/etc/uv/uv.toml")];
        files.extend(self.xdg().map(|xdg| xdg.join("uv/uv.toml")));
        files.push(self.here.join("pyproject.toml"));
        files.push(self.here.join("uv.toml"));
        files
    }

    /// Where programs keep what a user told them: what we note about edits lies there too.
    pub fn app_config(&self, name: &str) -> Option<PathBuf> {
        match self.macos {
            true => Some(self.home()?.join("Library/Application Support").join(name)),
            false => Some(self.xdg()?.join(name)),
        }
    }

    pub fn home(&self) -> Option<PathBuf> {
        self.var("HOME")
    }

    fn pip_user(&self) -> Option<Vec<PathBuf>> {
        self.one("PIP_CONFIG_FILE", || None).or_else(|| Some(self.pip_user_places()).filter(|files| !files.is_empty()))
    }

    fn pip_user_places(&self) -> Vec<PathBuf> {
        let library =
            self.home().filter(|_| self.macos).map(|home| home.join("Library/Application Support/pip/pip.conf"));
        library.into_iter().chain(self.xdg().map(|xdg| xdg.join("pip/pip.conf"))).collect()
    }

    /// The file that a variable names, else another. `/dev/null` there means that nothing is read.
    fn one(&self, variable: &str, other: impl FnOnce() -> Option<PathBuf>) -> Option<Vec<PathBuf>> {
        let named = self.var(variable).filter(|file| file != Path::new("/dev/null"));
        named.or_else(other).map(|file| vec![file])
    }

    fn xdg(&self) -> Option<PathBuf> {
        self.var("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(|| Some(self.home()?.join(".config")))
    }

    fn var(&self, name: &str) -> Option<PathBuf> {
        self.env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
}

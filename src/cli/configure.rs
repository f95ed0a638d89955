use super::{Command, Options};
use crate::config::Flags;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Which index tools are pointed at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aim {
    pub index: Option<String>,
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvOptions {
    pub aim: Aim,
    pub shell: Option<String>,
    pub undo: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigureOptions {
    pub tools: Vec<String>,
    pub aim: Aim,
    pub username: Option<String>,
    /// None: what is usual for the tool.
    pub project: Option<bool>,
    pub dry_run: bool,
    pub undo: bool,
    pub force: bool,
}

#[derive(Debug, Args)]
struct AimWords {
    /// Read settings from this TOML file: they say how clients reach the server
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Install from this index (root/pypi by default)
    #[arg(long, value_name = "USER/INDEX")]
    index: Option<String>,
    /// How clients reach the server, like https://packages.example (by default what the settings say)
    #[arg(long, value_name = "BASE")]
    url: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct EnvWords {
    #[command(flatten)]
    aim: AimWords,
    /// For whom the lines are (by default what SHELL says)
    #[arg(long, value_enum)]
    shell: Option<ShellWord>,
    /// Print the lines that take the variables back
    #[arg(long)]
    undo: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShellWord {
    Sh,
    Fish,
    Powershell,
    Github,
    Dotenv,
}

#[derive(Debug, Args)]
pub(super) struct ConfigureWords {
    /// The tools to point here; all of them with `all`
    #[arg(required = true, value_name = "TOOL")]
    #[arg(value_parser = ["all", "uv", "pip", "poetry", "pdm", "twine", "devpi", "pre-commit"])]
    tools: Vec<String>,
    #[command(flatten)]
    aim: AimWords,
    /// Who publishes, for .pypirc (by default the index's user); a password is never written
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Edit this directory's pyproject.toml (poetry's way unless --user is given)
    #[arg(long, conflicts_with = "user")]
    project: bool,
    /// Edit the user's own configuration
    #[arg(long)]
    user: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take back what was changed, and nothing else
    #[arg(long)]
    undo: bool,
    /// Go on where a value was changed by hand since
    #[arg(long)]
    force: bool,
}

impl AimWords {
    fn split(self) -> (Options, Aim) {
        let options = Options { config: self.config, flags: Flags::default() };
        (options, Aim { index: self.index, url: self.url })
    }
}

impl From<EnvWords> for Command {
    fn from(EnvWords { aim, shell, undo }: EnvWords) -> Self {
        let (options, aim) = aim.split();
        let shell = shell.and_then(|shell| Some(shell.to_possible_value()?.get_name().to_owned()));
        Self::Env(options, EnvOptions { aim, shell, undo })
    }
}

impl From<ConfigureWords> for Command {
    fn from(words: ConfigureWords) -> Self {
        let ConfigureWords { tools, aim, username, project, user, dry_run, undo, force } = words;
        let (options, aim) = aim.split();
        let project = (project || user).then_some(project);
        Self::Configure(options, ConfigureOptions { tools, aim, username, project, dry_run, undo, force })
    }
}

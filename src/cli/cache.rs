use super::{Command, Place};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What is done with the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheCommand {
    List(CacheList),
    Stats { json: bool },
    Purge(CachePurge),
    Prefetch(CachePrefetch),
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CacheList {
    /// Only files of these projects
    #[arg(value_name = "PROJECT")]
    pub projects: Vec<String>,
    /// Only files that came through this index, like root/pypi
    #[arg(long, value_name = "USER/INDEX")]
    pub index: Option<String>,
    /// What comes first: the largest, the most used, the oldest, or by name
    #[arg(long, value_enum, default_value_t = CacheSort::Name)]
    pub sort: CacheSort,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CacheSort {
    Size,
    Uses,
    Age,
    Name,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct CachePurge {
    /// Files and pages of these projects
    #[arg(value_name = "PROJECT")]
    pub projects: Vec<String>,
    /// Only what came through this index, like root/pypi
    #[arg(long, value_name = "USER/INDEX")]
    pub index: Option<String>,
    /// Only files that came longer ago, like 30d
    #[arg(long, value_name = "TIME")]
    pub older_than: Option<String>,
    /// Only files that nobody has asked for in that time, like 30d
    #[arg(long, value_name = "TIME")]
    pub unused_for: Option<String>,
    /// Everything
    #[arg(long, conflicts_with_all = ["projects", "index", "older_than", "unused_for"])]
    pub all: bool,
    /// Say what would go, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct CachePrefetch {
    /// requirements.txt, uv.lock, pylock.toml, poetry.lock or pdm.lock
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Through this index, where the file names none of ours
    #[arg(long, value_name = "USER/INDEX", default_value = "root/pypi")]
    pub index: String,
    /// Through the server at this address, like http://127.0.0.1:3141/root/pypi/+simple/
    #[arg(long, value_name = "URL", conflicts_with = "index")]
    pub index_url: Option<String>,
    /// Read protected indexes with the token that this file holds, or standard input (-)
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Only files for this Python, like 3.12; files for any without
    #[arg(long, value_name = "VERSION")]
    pub python: Option<String>,
    /// Only files for this platform, like linux_x86_64 or macos_arm64; may be repeated; this machine's without
    #[arg(long = "platform", value_name = "PLATFORM")]
    pub platforms: Vec<String>,
    /// All files that the lockfile names, for any Python and platform
    #[arg(long, conflicts_with_all = ["python", "platforms"])]
    pub all_files: bool,
    /// Fetch nothing; say what is missing here, with exit code 1 if anything is
    #[arg(long, visible_alias = "offline")]
    pub check: bool,
    /// Say what would be fetched, and fetch nothing
    #[arg(long, conflicts_with = "check")]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheSubcommands {
    /// List what is cached
    List {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        list: CacheList,
    },
    /// Say how much is cached, how often that was of use and what it saved
    Stats {
        #[command(flatten)]
        place: Place,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a part of the cache out, so that it is fetched anew; never what was uploaded
    Purge {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        purge: CachePurge,
    },
    /// Fetch what a requirements file or a lockfile names, before anybody asks
    Prefetch {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        prefetch: CachePrefetch,
    },
}

impl From<CacheSubcommands> for Command {
    fn from(command: CacheSubcommands) -> Self {
        match command {
            CacheSubcommands::List { place, list } => Self::Cache(place.into(), CacheCommand::List(list)),
            CacheSubcommands::Stats { place, json } => Self::Cache(place.into(), CacheCommand::Stats { json }),
            CacheSubcommands::Purge { place, purge } => Self::Cache(place.into(), CacheCommand::Purge(purge)),
            CacheSubcommands::Prefetch { place, prefetch } => {
                Self::Cache(place.into(), CacheCommand::Prefetch(prefetch))
            }
        }
    }
}

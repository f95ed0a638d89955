use super::settings::Settings;
use super::{Command, Options};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What is done with the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceCommand {
    Install(Box<ServiceInstall>),
    Uninstall(ServicePlace),
    Status { place: ServicePlace, json: bool },
    Logs { place: ServicePlace, lines: u32, follow: bool },
}

/// A service that is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceInstall {
    pub place: ServicePlace,
    /// What the server is to be told; it goes into the configuration file.
    pub options: Options,
    pub wish: ServiceWish,
}

/// Which service is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ServicePlace {
    /// This user's own service: a LaunchAgent, or a unit of the user's systemd (the default, except for root)
    #[arg(long, conflicts_with = "system")]
    pub user: bool,
    /// A service of the machine: a LaunchDaemon, or a unit of the system's systemd (the default for root)
    #[arg(long)]
    pub system: bool,
    /// The service's name (net.sidewheel.server on macOS, sidewheel elsewhere)
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// Another system than this one
    #[arg(long = "for", value_name = "SYSTEM", hide = true)]
    pub system_name: Option<SystemName>,
}

/// Whose service manager is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SystemName {
    Macos,
    Linux,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ServiceWish {
    /// Run a service of the machine as this user; with systemd, one is made up without it
    #[arg(long, value_name = "USER")]
    pub run_as: Option<String>,
    /// Let the service manager hold the listening sockets: while the server is restarted, connections wait
    #[arg(long)]
    pub socket_activation: bool,
    /// Write logs to files in this directory (by default only on macOS, in Library/Logs/sidewheel)
    #[arg(long, value_name = "DIRECTORY")]
    pub log_dir: Option<PathBuf>,
    /// Give the service this variable, like HTTPS_PROXY=http://proxy.example.org:3128; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Wait at most so long until the server is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub wait: u32,
    /// Overwrite files that were not made by this command
    #[arg(long)]
    pub force: bool,
    /// Only show what would be written
    #[arg(long)]
    pub print: bool,
    /// Say as JSON what was done
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ServiceSubcommands {
    /// Write the service, load it, start it, and wait until it is ready; a second time only what changed
    Install {
        #[command(flatten)]
        place: ServicePlace,
        #[command(flatten)]
        wish: ServiceWish,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Stop and remove the service; the data stays
    Uninstall {
        #[command(flatten)]
        place: ServicePlace,
    },
    /// Say whether the service is installed, runs and is ready: exit code 0, 3 when it is stopped, 4 when not installed
    Status {
        #[command(flatten)]
        place: ServicePlace,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the end of the log
    Logs {
        #[command(flatten)]
        place: ServicePlace,
        /// So many lines
        #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 50)]
        lines: u32,
        /// Go on with what is written from now on
        #[arg(short, long)]
        follow: bool,
    },
}

impl From<ServiceSubcommands> for Command {
    fn from(command: ServiceSubcommands) -> Self {
        Self::Service(match command {
            ServiceSubcommands::Install { place, wish, settings } => {
                ServiceCommand::Install(Box::new(ServiceInstall { place, wish, options: (*settings).into() }))
            }
            ServiceSubcommands::Uninstall { place } => ServiceCommand::Uninstall(place),
            ServiceSubcommands::Status { place, json } => ServiceCommand::Status { place, json },
            ServiceSubcommands::Logs { place, lines, follow } => ServiceCommand::Logs { place, lines, follow },
        })
    }
}

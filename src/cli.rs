//! The command line, as words: which command, which file, which settings.
//!
//! Enters: the program's arguments. Leaves: a [`Command`]. Must not know: what the settings mean; see `config`.

use crate::config::Flags;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Options),
    /// Read and check the settings, and say what is wrong with them; nothing is opened.
    Check(Options),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The configuration file; without it the environment's `SIDEWHEEL_CONFIG`, or none.
    pub config: Option<PathBuf>,
    pub flags: Flags,
}

/// Reads the program's own arguments. Prints help, the version or an error, and ends the program, where that is what
/// the arguments ask for.
pub fn parse() -> Command {
    Line::parse().into()
}

/// Reads arguments, the program's name first. Help and the version come as errors too, which print themselves.
pub fn parse_from(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Command, clap::Error> {
    Line::try_parse_from(arguments).map(Command::from)
}

/// A caching mirror of PyPI that serves beside Caddy.
#[derive(Debug, Parser)]
#[command(name = "sidewheel", version, arg_required_else_help = true)]
#[command(
    after_help = "Every setting can also stand in the file or in the environment, as SIDEWHEEL_ and its name in \
                        capitals. A flag wins over the environment, the environment over the file."
)]
struct Line {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Serve until told to stop
    Serve(Settings),
    /// Check the settings and say what is wrong with them, without serving
    Check(Settings),
}

#[derive(Debug, Args)]
struct Settings {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here: 127.0.0.1:3141 (the default), [::1]:3141 or unix:/path; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Keep the cache and its database in this directory
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<String>,
    /// Mirror the simple API at this URL (PyPI by default)
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Fetch files from this origin too, like https://files.example.org; may be repeated
    #[arg(long = "file-origin", value_name = "ORIGIN")]
    file_origins: Vec<String>,
    /// Believe a page for this long before upstream is asked again, like 30s, 10m (the default) or 2h
    #[arg(long, value_name = "TIME")]
    page_ttl: Option<String>,
    /// Hold at most this much in memory, like 512MB or 1GiB (256MiB by default)
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Keep at most this much of upstream's files on disk (20GB by default)
    #[arg(long, value_name = "SIZE")]
    disk: Option<String>,
    /// Never ask upstream; serve what is stored
    #[arg(long)]
    offline: bool,
    /// Write logs for people or for programs: human (the default) or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// The URL at which clients reach this server through a proxy
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Accept requests for this host name too, with or without a port; may be repeated
    #[arg(long = "allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
}

impl From<Line> for Command {
    fn from(line: Line) -> Self {
        match line.command {
            Subcommands::Serve(settings) => Self::Serve(settings.into()),
            Subcommands::Check(settings) => Self::Check(settings.into()),
        }
    }
}

impl From<Settings> for Options {
    fn from(settings: Settings) -> Self {
        let Settings {
            config,
            listen,
            data,
            upstream,
            file_origins,
            page_ttl,
            memory,
            disk,
            offline,
            log_format,
            public_url,
            allowed_hosts,
        } = settings;
        let flags = Flags {
            listen,
            data,
            upstream,
            file_origins,
            page_ttl,
            memory,
            disk,
            offline,
            log_format,
            public_url,
            allowed_hosts,
        };
        Self { config, flags }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_definition_is_sound_and_every_flag_explains_itself() {
        let mut line = Line::command();
        line.build();
        line.clone().debug_assert();
        for command in line.get_subcommands().filter(|command| command.get_name() != "help") {
            assert!(command.get_arguments().count() > 12);
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some_and(|help| !help.to_string().is_empty()), "{argument}");
            }
        }
    }

    #[test]
    fn reads_every_flag() {
        let arguments = "sidewheel serve --config a.toml --listen 127.0.0.1:0 --listen unix:/s --data /d --upstream u \
                         --file-origin o --file-origin p --page-ttl 1m --memory 1GB --disk 2GB --offline \
                         --log-format json --public-url q --allowed-host h --allowed-host i";
        let text = |text: &str| Some(text.to_owned());
        let flags = Flags {
            listen: vec!["127.0.0.1:0".to_owned(), "unix:/s".to_owned()],
            data: text("/d"),
            upstream: text("u"),
            file_origins: vec!["o".to_owned(), "p".to_owned()],
            page_ttl: text("1m"),
            memory: text("1GB"),
            disk: text("2GB"),
            offline: true,
            log_format: text("json"),
            public_url: text("q"),
            allowed_hosts: vec!["h".to_owned(), "i".to_owned()],
        };
        let options = Options { config: Some(PathBuf::from("a.toml")), flags };
        assert_eq!(parse_from(arguments.split_whitespace()).unwrap(), Command::Serve(options));
        assert_eq!(parse_from(["sidewheel", "check"]).unwrap(), Command::Check(Options::default()));
    }

    #[test]
    fn no_arguments_mean_help() {
        for (arguments, kind) in [
            (&["sidewheel"][..], ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            (&["sidewheel", "--help"], ErrorKind::DisplayHelp),
            (&["sidewheel", "--version"], ErrorKind::DisplayVersion),
            (&["sidewheel", "sreve"], ErrorKind::InvalidSubcommand),
            (&["sidewheel", "serve", "--page_ttl", "1m"], ErrorKind::UnknownArgument),
            (&["sidewheel", "serve", "--offline", "yes"], ErrorKind::UnknownArgument),
        ] {
            assert_eq!(parse_from(arguments).map_err(|error| error.kind()), Err(kind), "{arguments:?}");
        }
    }
}

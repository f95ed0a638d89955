//! The command line, as words: which command, which file, which settings.
//!
//! Enters: the program's arguments. Leaves: a [`Command`]. Must not know: what the settings mean; see `config`.

mod backup;
mod cache;
mod configure;
mod devpi;
mod doctor;
mod export;
mod import;
mod service;
mod settings;
mod token;

pub use backup::{BackupOptions, RestoreOptions, VerifyOptions};
pub use cache::{CacheCommand, CacheList, CachePrefetch, CachePurge, CacheSort};
pub use configure::{Aim, ConfigureOptions, EnvOptions};
pub use doctor::DoctorOptions;
pub use export::ExportOptions;
pub use import::{ImportCommand, ImportFrom, ImportOptions};
pub use service::{ServiceCommand, ServiceInstall, ServicePlace, ServiceWish, SystemName};
pub use token::{TokenCommand, TokenOptions};

use crate::config::Flags;
use backup::{BackupArguments, RestoreArguments, VERIFY_CODES, VerifyArguments};
use cache::CacheSubcommands;
use clap::{Args, Parser, Subcommand};
use configure::{ConfigureWords, EnvWords};
use doctor::DoctorWords;
use export::Export;
use import::ImportSubcommands;
use service::ServiceSubcommands;
use settings::Settings;
use std::ffi::OsString;
use std::path::PathBuf;
use token::TokenSubcommands;

/// What was typed cannot be understood (sysexits.h).
pub const EXIT_USAGE: u8 = 64;

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Options, Begin),
    /// Let a running server start its program anew, without a gap.
    Upgrade(Options),
    /// Read and check the settings, and say what is wrong with them; nothing is opened.
    Check(Options),
    /// Make the data directory and root's password.
    Init(Options),
    /// Make, list or take back tokens.
    Token(Options, TokenCommand),
    /// Look at the cache, take a part of it out, or fill it.
    Cache(Options, CacheCommand),
    /// Run the server as a service of this system.
    Service(ServiceCommand),
    /// Say who serves on the data directory, and whether it is ready; as JSON or for people.
    Status(Options, bool),
    /// Take or list backups.
    Backup(Options, BackupOptions),
    /// Put a backup back.
    Restore(Options, RestoreOptions),
    /// Read everything through.
    Verify(Options, VerifyOptions),
    /// Say what is wrong on this machine.
    Doctor(Options, DoctorOptions),
    /// Print lines for a shell.
    Env(Options, EnvOptions),
    /// Edit the configuration of other tools.
    Configure(Options, ConfigureOptions),
    /// Write what devpi-import reads.
    Export(Options, ExportOptions),
    /// Take over what another server or a directory holds.
    Import(Options, ImportCommand),
}

/// How serving begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begin {
    #[default]
    Alone,
    /// With the sockets of the server that runs on the same data directory, if one does.
    TakeOver,
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
    match Line::try_parse() {
        Ok(line) => line.into(),
        Err(told) => {
            let _ = told.print();
            std::process::exit(if told.use_stderr() { EXIT_USAGE.into() } else { 0 })
        }
    }
}

/// Reads arguments, the program's name first. Help and the version come as errors too, which print themselves.
pub fn parse_from(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Command, clap::Error> {
    Line::try_parse_from(arguments).map(Command::from)
}

/// The wheel server that rides beside Caddy: a mirror of PyPI and private package indexes.
#[derive(Debug, Parser)]
#[command(name = "sidewheel", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Every setting can also stand in the file or in the environment, as SIDEWHEEL_ and its name in \
                        capitals. A flag wins over the environment, the environment over the file. devpi-server's \
                        options, DEVPISERVER_ variables and YAML file (-c) are understood too; each says its new name."
)]
struct Line {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Serve until told to stop
    Serve {
        #[command(flatten)]
        settings: Settings,
        /// Take over from the server that runs on the same data directory, without a gap
        #[arg(long)]
        take_over: bool,
    },
    /// Let the running server start its program anew, and wait until the new one serves
    Upgrade(Place),
    /// Check the settings and say what is wrong with them, without serving
    Check(Settings),
    /// Make the data directory and set root's password, once
    Init(Settings),
    /// Make, list or take back tokens for uploading and reading
    Token {
        #[command(subcommand)]
        command: TokenSubcommands,
    },
    /// Run the server as a service: launchd on macOS, systemd elsewhere
    Service {
        #[command(subcommand)]
        command: ServiceSubcommands,
    },
    /// Say which server runs on the data directory and whether it is ready; fails when none is
    Status {
        #[command(flatten)]
        place: Place,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a backup of everything that cannot be fetched again, also while a server runs
    Backup(BackupArguments),
    /// Put a backup back into a new data directory
    Restore(RestoreArguments),
    /// Read through all stored files, of a data directory or of a backup, and say what is wrong with them
    #[command(after_help = VERIFY_CODES)]
    Verify(VerifyArguments),
    /// Look for what is wrong on this machine and say the line to type; nothing is changed
    Doctor(DoctorWords),
    /// Print the lines that point a shell's installers and publishers here
    Env(EnvWords),
    /// Point uv, pip, poetry, pdm, twine or devpi-client here, in their own configuration
    Configure(ConfigureWords),
    /// Write users, indexes and releases out, so that devpi can take over
    Export(Export),
    /// Take over a devpi-server's directory, a devpi export or a directory of wheels
    Import {
        #[command(subcommand)]
        command: ImportSubcommands,
    },
    /// Look at the cache, take a part of it out, or fill it
    Cache {
        #[command(subcommand)]
        command: CacheSubcommands,
    },
}

/// Which data directory is meant.
#[derive(Debug, Args)]
struct Place {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data directory
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<String>,
}

impl From<Line> for Command {
    fn from(line: Line) -> Self {
        match line.command {
            Subcommands::Serve { settings, take_over } => {
                let begin = if take_over { Begin::TakeOver } else { Begin::Alone };
                Self::Serve(settings.into(), begin)
            }
            Subcommands::Upgrade(place) => Self::Upgrade(place.into()),
            Subcommands::Check(settings) => Self::Check(settings.into()),
            Subcommands::Init(settings) => Self::Init(settings.into()),
            Subcommands::Token { command } => command.into(),
            Subcommands::Service { command } => command.into(),
            Subcommands::Status { place, json } => Self::Status(place.into(), json),
            Subcommands::Backup(arguments) => arguments.into(),
            Subcommands::Restore(arguments) => arguments.into(),
            Subcommands::Verify(arguments) => arguments.into(),
            Subcommands::Doctor(words) => words.into(),
            Subcommands::Env(words) => words.into(),
            Subcommands::Configure(words) => words.into(),
            Subcommands::Export(export) => export.into(),
            Subcommands::Import { command } => command.into(),
            Subcommands::Cache { command } => command.into(),
        }
    }
}

impl From<Place> for Options {
    fn from(Place { config, data }: Place) -> Self {
        Self { config, flags: Flags { data, ..Flags::default() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEVPI_OPTIONS, DevpiGiven};
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_definition_is_sound_and_every_flag_explains_itself() {
        let mut line = Line::command();
        line.build();
        line.clone().debug_assert();
        let serves = ["serve", "check", "init"];
        for command in line.get_subcommands().filter(|command| serves.contains(&command.get_name())) {
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
                         --log-format json --log-file l --public-url q --allowed-host h --allowed-host i \
                         --root-password-file r --user-creation anyone --upload-max 3GB";
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
            log_file: text("l"),
            public_url: text("q"),
            allowed_hosts: vec!["h".to_owned(), "i".to_owned()],
            root_password_file: text("r"),
            user_creation: text("anyone"),
            upload_max: text("3GB"),
            devpi: DevpiGiven::default(),
        };
        let options = Options { config: Some(PathBuf::from("a.toml")), flags };
        assert_eq!(parse_from(arguments.split_whitespace()).unwrap(), Command::Serve(options, Begin::Alone));
        assert_eq!(parse_from(["sidewheel", "check"]).unwrap(), Command::Check(Options::default()));
    }

    #[test]
    fn takes_every_option_of_devpi_server() {
        for option in &DEVPI_OPTIONS {
            let mut line = vec!["sidewheel".to_owned(), "serve".to_owned(), format!("--{}", option.name)];
            line.extend(option.takes_value.then(|| "1".to_owned()));
            let Command::Serve(options, _) = parse_from(&line).unwrap() else { panic!("{line:?}") };
            let values = if option.takes_value { vec!["1".to_owned()] } else { Vec::new() };
            match option.name {
                "listen" => assert_eq!(options.flags.listen, values),
                name => assert_eq!(options.flags.devpi.options, [(name, values)]),
            }
        }
        let short = parse_from(["sidewheel", "check", "-c", "devpi-server.yml"]).unwrap();
        let Command::Check(Options { flags, .. }) = short else { panic!("{short:?}") };
        assert_eq!(flags.devpi.configfile(&Default::default()), Some(PathBuf::from("devpi-server.yml")));
    }

    #[test]
    fn reads_what_is_done_with_tokens() {
        let read = |line: &str| parse_from(line.split_whitespace()).unwrap();
        let place = Options { config: None, flags: Flags { data: Some("/d".to_owned()), ..Flags::default() } };
        let line = "sidewheel token create --data /d --user ada --index ada/dev --upload --expires 30d --name ci";
        let token = TokenOptions {
            user: "ada".to_owned(),
            name: "ci".to_owned(),
            index: Some("ada/dev".to_owned()),
            upload: true,
            read: false,
            expires: Some("30d".to_owned()),
        };
        assert_eq!(read(line), Command::Token(place.clone(), TokenCommand::Create(token)));
        let revoke = TokenCommand::Revoke { ids: vec!["a".to_owned(), "b".to_owned()] };
        assert_eq!(read("sidewheel token revoke --data /d a b"), Command::Token(place.clone(), revoke));
        assert_eq!(read("sidewheel status --data /d --json"), Command::Status(place, true));
    }

    #[test]
    fn reads_what_tools_are_to_be_pointed_here() {
        let read = |line: &str| parse_from(line.split_whitespace());
        let line = "sidewheel configure uv pip --index ada/dev --url http://a.example --user --dry-run --username ada";
        let options = ConfigureOptions {
            tools: vec!["uv".to_owned(), "pip".to_owned()],
            aim: Aim { index: Some("ada/dev".to_owned()), url: Some("http://a.example".to_owned()) },
            username: Some("ada".to_owned()),
            project: Some(false),
            dry_run: true,
            undo: false,
            force: false,
        };
        assert_eq!(read(line).unwrap(), Command::Configure(Options::default(), options));
        let options = EnvOptions { aim: Aim::default(), shell: Some("fish".to_owned()), undo: true };
        assert_eq!(read("sidewheel env --shell fish --undo").unwrap(), Command::Env(Options::default(), options));
        assert!(read("sidewheel configure").is_err() && read("sidewheel configure conda").is_err());
        assert!(read("sidewheel configure uv --user --project").is_err());
    }

    #[test]
    fn reads_what_is_exported() {
        let line = "sidewheel export --data /d --devpi /dump --include-mirrored-files --json";
        let place = Options { config: None, flags: Flags { data: Some("/d".to_owned()), ..Flags::default() } };
        let wish = ExportOptions { devpi: PathBuf::from("/dump"), include_mirrored_files: true, json: true };
        assert_eq!(parse_from(line.split_whitespace()).unwrap(), Command::Export(place, wish));
        let missing = parse_from(["sidewheel", "export", "--data", "/d"]).map_err(|error| error.kind());
        assert_eq!(missing, Err(ErrorKind::MissingRequiredArgument));
    }

    #[test]
    fn no_arguments_mean_help() {
        for (arguments, kind) in [
            (&["sidewheel"][..], ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            (&["sidewheel", "--help"], ErrorKind::DisplayHelp),
            (&["sidewheel", "--version"], ErrorKind::DisplayVersion),
            (&["sidewheel", "serve", "--version"], ErrorKind::DisplayVersion),
            (&["sidewheel", "sreve"], ErrorKind::InvalidSubcommand),
            (&["sidewheel", "serve", "--page_ttl", "1m"], ErrorKind::UnknownArgument),
            (&["sidewheel", "serve", "--offline", "yes"], ErrorKind::UnknownArgument),
        ] {
            assert_eq!(parse_from(arguments).map_err(|error| error.kind()), Err(kind), "{arguments:?}");
        }
    }
}

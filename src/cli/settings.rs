use super::Options;
use super::devpi::DevpiOptions;
use crate::config::Flags;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Settings {
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
    /// Write the log to this file instead of standard error; it is kept small, and opened anew on SIGHUP
    #[arg(long, value_name = "FILE")]
    log_file: Option<String>,
    /// The URL at which clients reach this server through a proxy
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Accept requests for this host name too, with or without a port; may be repeated
    #[arg(long = "allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// Take root's first password from this file, or from standard input (-); without one, one is made
    #[arg(long, value_name = "FILE")]
    root_password_file: Option<String>,
    /// Who may make users: root (the default) or anyone
    #[arg(long, value_name = "WHO")]
    user_creation: Option<String>,
    /// Take uploads of at most this size (1GiB by default)
    #[arg(long, value_name = "SIZE")]
    upload_max: Option<String>,
    #[command(flatten)]
    devpi: DevpiOptions,
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
            log_file,
            public_url,
            allowed_hosts,
            root_password_file,
            user_creation,
            upload_max,
            devpi,
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
            log_file,
            public_url,
            allowed_hosts,
            root_password_file,
            user_creation,
            upload_max,
            devpi: devpi.into(),
        };
        Self { config, flags }
    }
}

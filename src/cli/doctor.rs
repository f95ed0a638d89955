use super::settings::Settings;
use super::{Command, Options};
use clap::Args;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoctorOptions {
    pub json: bool,
    pub no_network: bool,
    pub no_smoke: bool,
    pub through: Option<String>,
    pub package: String,
    pub upload_probe: String,
}

#[derive(Debug, Args)]
pub(super) struct DoctorWords {
    #[command(flatten)]
    settings: Settings,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Ask nothing outside this machine
    #[arg(long)]
    no_network: bool,
    /// Install nothing
    #[arg(long)]
    no_smoke: bool,
    /// Where clients reach the server through a proxy (by default what public_url says)
    #[arg(long, value_name = "URL")]
    through: Option<String>,
    /// Install this package to see whether it comes
    #[arg(long, value_name = "PACKAGE", default_value = "six")]
    package: String,
    /// Send an upload of this size through the proxy, to be refused; raise it to find a limit
    #[arg(long, value_name = "SIZE", default_value = "4MB")]
    upload_probe: String,
}

impl From<DoctorWords> for Command {
    fn from(words: DoctorWords) -> Self {
        let DoctorWords { settings, json, no_network, no_smoke, through, package, upload_probe } = words;
        let options: Options = settings.into();
        Self::Doctor(options, DoctorOptions { json, no_network, no_smoke, through, package, upload_probe })
    }
}

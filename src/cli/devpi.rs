use crate::config::{DEVPI_OPTIONS, DevpiGiven, DevpiOption};
use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// devpi-server's options, which are taken and not shown; `config` says what they mean here.
#[derive(Debug, Default)]
pub(super) struct DevpiOptions(DevpiGiven);

impl From<DevpiOptions> for DevpiGiven {
    fn from(options: DevpiOptions) -> Self {
        options.0
    }
}

/// Those that are not options of ours by the same name.
fn foreign() -> impl Iterator<Item = &'static DevpiOption> {
    DEVPI_OPTIONS.iter().filter(|option| option.name != "listen")
}

impl Args for DevpiOptions {
    fn augment_args(command: Command) -> Command {
        foreign().fold(command, |command, option| {
            let arg = Arg::new(option.name).long(option.name).hide(true).help("An option of devpi-server");
            let arg = match option.takes_value {
                true => arg.action(ArgAction::Append).value_name("VALUE"),
                false => arg.action(ArgAction::SetTrue),
            };
            command.arg(if option.name == "configfile" { arg.short('c') } else { arg })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for DevpiOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut options = Vec::new();
        for option in foreign() {
            if !option.takes_value {
                options.extend(matches.get_flag(option.name).then(|| (option.name, Vec::new())));
            } else if let Some(values) = matches.get_many::<String>(option.name) {
                options.push((option.name, values.cloned().collect()));
            }
        }
        Ok(Self(DevpiGiven { options, file: None }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

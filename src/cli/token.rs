use super::{Command, Place};
use clap::{Args, Subcommand};

/// What is done with tokens; a running server notices within a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenCommand {
    Create(TokenOptions),
    List { user: Option<String>, json: bool },
    Revoke { ids: Vec<String> },
}

/// A token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TokenOptions {
    /// The user that the token speaks for
    #[arg(long)]
    pub user: String,
    /// What it is for, for people
    #[arg(long, default_value = "")]
    pub name: String,
    /// Good for this index only, like team/dev
    #[arg(long, value_name = "USER/INDEX")]
    pub index: Option<String>,
    /// It may upload
    #[arg(long)]
    pub upload: bool,
    /// It may read protected indexes
    #[arg(long)]
    pub read: bool,
    /// When it ends, like 12h, 30d or 1y; never without
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenSubcommands {
    /// Make a token and print it; it is shown only now
    Create {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        token: TokenOptions,
    },
    /// List the tokens, without their secrets
    List {
        #[command(flatten)]
        place: Place,
        /// Only those of this user
        #[arg(long)]
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take tokens back, by the ids that the list shows
    Revoke {
        #[command(flatten)]
        place: Place,
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

impl From<TokenSubcommands> for Command {
    fn from(command: TokenSubcommands) -> Self {
        match command {
            TokenSubcommands::Create { place, token } => Self::Token(place.into(), TokenCommand::Create(token)),
            TokenSubcommands::List { place, user, json } => {
                Self::Token(place.into(), TokenCommand::List { user, json })
            }
            TokenSubcommands::Revoke { place, ids } => Self::Token(place.into(), TokenCommand::Revoke { ids }),
        }
    }
}

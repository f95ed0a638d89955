use super::{RunError, human, say};
use crate::cli::{TokenCommand, TokenOptions};
use crate::clock::Clock;
use crate::config::Config;
use crate::index::{IndexError, TokenWish, make_token, stamps};
use crate::names::{IndexName, UserName};
use crate::store::{PRIVATE_FILE, Private, TokenRow};
use serde_json::json;

/// `sidewheel token …`: works on the database itself, beside a server that runs or without one.
pub(super) async fn tokens(config: &Config, command: TokenCommand) -> Result<(), RunError> {
    let data = &config.cache.data;
    if !data.join(PRIVATE_FILE).is_file() {
        let sentence =
            format!("{} holds no users yet; run `sidewheel init` first, or give another --data", data.display());
        return Err(RunError::Usage(sentence));
    }
    let private = Private::open(data).await?;
    let done = match command {
        TokenCommand::Create(options) => create(&private, options).await,
        TokenCommand::List { user, json } => list(&private, user, json).await,
        TokenCommand::Revoke { ids } => revoke(&private, &ids).await,
    };
    private.close().await;
    done
}

async fn create(private: &Private, options: TokenOptions) -> Result<(), RunError> {
    let usage = |why: String| RunError::Usage(why);
    let now = Clock::system().unix();
    let index = options.index.as_deref().map(IndexName::parse).transpose().map_err(|why| usage(why.to_string()))?;
    if let Some(index) = &index
        && !private.indexes().await?.iter().any(|row| row.name == *index)
    {
        return Err(usage(format!("there is no index {index} yet; make it first")));
    }
    let wish = TokenWish {
        user: UserName::parse(&options.user).map_err(|why| usage(why.to_string()))?,
        name: options.name,
        index,
        // Who says nothing wants to read.
        read: options.read || !options.upload,
        upload: options.upload,
        expires: options
            .expires
            .as_deref()
            .map(human::seconds)
            .transpose()
            .map_err(usage)?
            .map(|seconds| now + seconds),
    };
    let made = make_token(private, now, wish).await.map_err(|why| match why {
        IndexError::NotThere(_) | IndexError::Invalid(_) => RunError::Usage(why.to_string()),
        why => RunError::Index(why),
    });
    say(made?.expose());
    Ok(())
}

async fn list(private: &Private, user: Option<String>, as_json: bool) -> Result<(), RunError> {
    let user = user.as_deref().map(UserName::parse).transpose().map_err(|why| RunError::Usage(why.to_string()))?;
    let now = Clock::system().unix();
    let rows = private.tokens(user.as_ref()).await?;
    let rows: Vec<_> = rows.into_iter().filter(|row| !row.login).collect();
    if as_json {
        let rows: Vec<_> = rows.iter().map(shown).collect();
        say(&serde_json::to_string_pretty(&rows).unwrap_or_default());
        return Ok(());
    }
    for row in rows {
        let ends = match row.expires {
            None => "never ends".to_owned(),
            Some(expires) if expires <= now => format!("ended {}", stamps::iso(expires)),
            Some(expires) => format!("ends {}", stamps::iso(expires)),
        };
        let index = row.index.as_ref().map_or("all indexes", IndexName::as_str);
        say(&format!("{}  {}  {index}  {}  {ends}  {}", row.id, row.user, may(&row), row.name));
    }
    Ok(())
}

async fn revoke(private: &Private, ids: &[String]) -> Result<(), RunError> {
    for id in ids {
        if !private.remove_token(id).await? {
            return Err(RunError::Usage(format!(
                "there is no token {id:?}; `sidewheel token list` shows those there are"
            )));
        }
        say(&format!("{id} is revoked"));
    }
    Ok(())
}

fn may(row: &TokenRow) -> &'static str {
    match (row.read, row.upload) {
        (true, true) => "read, upload",
        (true, false) => "read",
        (false, true) => "upload",
        (false, false) => "nothing",
    }
}

fn shown(row: &TokenRow) -> serde_json::Value {
    json!({
        "id": row.id,
        "user": row.user.as_str(),
        "name": row.name,
        "index": row.index.as_ref().map(IndexName::as_str),
        "read": row.read,
        "upload": row.upload,
        "created": stamps::iso(row.created),
        "expires": row.expires.map(stamps::iso),
    })
}

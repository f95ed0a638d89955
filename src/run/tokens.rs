use super::{RunError, say};
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
        expires: options.expires.as_deref().map(seconds).transpose().map_err(usage)?.map(|seconds| now + seconds),
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

/// A time as people write it: `90m`, `12h`, `30d`, `8w`, `1y`; in seconds.
fn seconds(raw: &str) -> Result<u64, String> {
    let accepted = || format!("{raw:?} is no time; write one like 12h, 30d or 1y");
    let unit = raw.chars().last().ok_or_else(accepted)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(accepted()),
    };
    let count: u64 = raw.trim_end_matches(unit).parse().map_err(|_| accepted())?;
    count.checked_mul(factor).filter(|seconds| (1..=SECONDS_MAX).contains(seconds)).ok_or_else(accepted)
}

/// Longest life of a token that ends at all: a hundred years.
const SECONDS_MAX: u64 = 100 * 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (raw, expected) in
            [("90m", Some(5_400)), ("12h", Some(43_200)), ("30d", Some(2_592_000)), ("1y", Some(31_536_000))]
        {
            assert_eq!(seconds(raw).ok(), expected, "{raw}");
        }
        for raw in ["", "d", "0d", "-1d", "1", "1x", "99999999999999999999y", "1é", "500y"] {
            assert!(seconds(raw).is_err(), "{raw}");
        }
    }
}

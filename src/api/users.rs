use super::{Answer, Asked};
use crate::index::{Claim, Index, IndexError, Login, stamps};
use crate::names::UserName;
use crate::rules::Verdict;
use crate::store::UserRow;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// `GET /`: all users and the indexes that the asker may read.
pub fn show_users(asked: &Asked<'_>) -> Answer {
    let catalog = asked.index.catalog();
    let users = catalog.users.values().map(|user| (user.name.to_string(), user_json(asked, user).into()));
    Answer::result("list:userconfig", users.collect::<Map<_, Value>>())
}

/// `GET /{user}`
pub fn show_user(asked: &Asked<'_>, name: &UserName) -> Result<Answer, IndexError> {
    let user = asked.index.user(name)?;
    Ok(Answer::result("userconfig", user_json(asked, &user)))
}

/// `PUT /{user}`
pub async fn create_user(asked: &Asked<'_>, name: &UserName, given: &Map<String, Value>) -> Result<Answer, IndexError> {
    let user = asked.index.create_user(asked.subject, name, given).await?;
    Ok(Answer::result("userconfig", user_json(asked, &user)).status(201))
}

/// `PATCH /{user}`: with a new password the answer holds a new login, for the old ones have ended.
pub async fn modify_user(asked: &Asked<'_>, name: &UserName, given: &Map<String, Value>) -> Result<Answer, IndexError> {
    Ok(match asked.index.modify_user(asked.subject, name, given, asked.proof).await? {
        Some(login) => Answer::result("userpassword", login_json(&login)).and_message("user updated, new proxy auth"),
        None => Answer::message("user updated"),
    })
}

/// `DELETE /{user}`
pub async fn delete_user(asked: &Asked<'_>, name: &UserName) -> Result<Answer, IndexError> {
    asked.index.delete_user(asked.subject, name).await?;
    Ok(Answer::message(format!("user '{name}' deleted")))
}

/// `POST /+login`
pub async fn login(index: &Index, given: &Map<String, Value>, peer: Option<IpAddr>) -> Result<Answer, IndexError> {
    let text = |key: &str| given.get(key).and_then(Value::as_str);
    let (Some(user), Some(password)) = (text("user"), text("password")) else {
        return Err(IndexError::Invalid("Bad request: no user/password specified".to_owned()));
    };
    let claim = Claim { user: user.to_owned(), secret: crate::config::Secret::new(password.to_owned()) };
    let login = index.login(&claim, peer).await?;
    Ok(Answer::result("proxyauth", login_json(&login)).and_message("login successful"))
}

fn login_json(login: &Login) -> Value {
    json!({ "password": login.token.expose(), "expiration": login.seconds })
}

/// A user as devpi shows one: what is known in its order, never a hash.
fn user_json(asked: &Asked<'_>, user: &UserRow) -> Map<String, Value> {
    let mut shown = Map::new();
    for (key, value) in &user.facts {
        shown.insert(key.clone(), value.clone());
    }
    shown.insert("created".to_owned(), stamps::iso(user.created).into());
    if let Some(modified) = user.modified {
        shown.insert("modified".to_owned(), stamps::iso(modified).into());
    }
    let catalog = asked.index.catalog();
    let mut indexes = Map::new();
    for entry in catalog.indexes_of(&user.name) {
        let may = crate::rules::may_read_all(asked.subject, &catalog.order(entry));
        if entry.public || may == Verdict::Allowed {
            indexes.insert(entry.name.index().to_owned(), entry.settings.to_json().into());
        }
    }
    shown.insert("indexes".to_owned(), indexes.into());
    shown.insert("username".to_owned(), user.name.as_str().into());
    shown
}

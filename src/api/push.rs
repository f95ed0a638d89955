use super::{Answer, Asked};
use crate::config::Secret;
use crate::index::{IndexError, PushAsk, PushTarget};
use crate::names::{IndexName, ProjectName};
use serde_json::{Map, Value};

/// `PUSH /{user}/{index}`: a release goes to another index of ours, or to another server.
pub async fn push(asked: &Asked<'_>, source: &IndexName, given: Map<String, Value>) -> Result<Answer, IndexError> {
    let mut given = given;
    let mut text = |key: &str| match given.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (Some(name), Some(version)) = (text("name"), text("version")) else {
        return Err(invalid("Bad request: a push needs \"name\" and \"version\""));
    };
    let (target, url) = (text("targetindex"), text("posturl"));
    let (username, password) = (text("username"), text("password"));
    let mut flag = |key: &str| given.shift_remove(key).is_some_and(|value| truth(&value));
    let (no_docs, only_docs, register) = (flag("no_docs"), flag("only_docs"), flag("register_project"));
    if no_docs && only_docs {
        return Err(invalid("can't use 'no_docs' and 'only_docs' together"));
    }
    if !given.is_empty() && target.is_some() {
        let mut keys: Vec<_> = given.keys().map(String::as_str).collect();
        keys.sort_unstable();
        return Err(invalid(&format!("unknown additional options: {}", keys.join(", "))));
    }
    let project = ProjectName::parse(&name)?;
    let ask = PushAsk { project, name, version, files: !only_docs, docs: !no_docs };
    let pushed = match (target, url) {
        (Some(target), _) => {
            let target = IndexName::parse(&target).map_err(|_| invalid("targetindex not in format user/index"))?;
            asked.index.push(asked.subject, source, ask, &target).await?
        }
        (None, Some(url)) => {
            let url = url.parse().map_err(|_| invalid("posturl is no URL"))?;
            let (Some(username), Some(password)) = (username, password) else {
                return Err(invalid("a push to another server needs \"username\" and \"password\""));
            };
            let target = PushTarget { url, username, password: Secret::new(password), register };
            asked.index.push_outside(asked.subject, source, ask, &target).await?
        }
        (None, None) => return Err(invalid("a push needs \"targetindex\", or \"posturl\" of another server")),
    };
    let log: Vec<Value> = pushed.log.into_iter().map(Value::Array).collect();
    Ok(Answer::result("actionlog", log).status(if pushed.ok { 200 } else { 502 }))
}

/// devpi takes what Python takes for true.
fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Null => false,
        _ => true,
    }
}

fn invalid(sentence: &str) -> IndexError {
    IndexError::Invalid(sentence.to_owned())
}

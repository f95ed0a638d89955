//! Sessions: how a browser stays logged in. They are no tokens, and nothing here is asked by the API.

use super::accounts::{Claim, Kept};
use super::errors::IndexError;
use super::{House, Index};
use crate::auth::{NewSession, form_token, parse_session, parse_token, same_session};
use crate::config::Secret;
use crate::names::UserName;
use crate::rules::{Scope, Subject};
use crate::store::SessionRow;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::net::IpAddr;

/// How long a session lasts however much it is used, in seconds: once a week a password is no burden, and a cookie that
/// was copied is worth no more than that.
pub const SESSION_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// How long it lasts unused, in seconds: who comes to work each day stays logged in, and over a weekend nobody does.
pub const SESSION_IDLE_SECONDS_MAX: u64 = 36 * 3600;

/// A use is noted when the last one is so long ago, in seconds: reading pages must not write all the time.
const NOTED_EVERY_SECONDS: u64 = 600;

/// Longest name of a browser that is kept, in characters; real ones are under 200.
const CLIENT_CHARS_MAX: usize = 200;

/// Uses that wait to be written; those beyond are noted the next time.
const USES_MAX: usize = 10_000;

/// Who is logged in with a browser.
pub struct Person {
    pub subject: Subject,
    /// The session's public name.
    pub session: String,
    /// What the forms that this person is shown must carry.
    pub form_token: String,
}

/// Last uses that are not written down yet, by public name.
#[derive(Default)]
pub struct LastUses {
    pub(super) sessions: Uses,
    pub(super) tokens: Uses,
}

#[derive(Default)]
pub struct Uses(Mutex<HashMap<String, u64>>);

impl Index {
    /// Logs a browser in with a password; what its cookie shall hold.
    pub async fn open_session(&self, claim: &Claim, peer: Option<IpAddr>, client: &str) -> Result<Secret, IndexError> {
        self.0.open_session(claim, peer, client).await
    }

    /// Who the browser is logged in as, by what its cookie holds.
    pub async fn person(&self, cookie: &str) -> Result<Option<Person>, IndexError> {
        self.0.person(cookie).await
    }

    /// The sessions of a user, newest first.
    pub async fn sessions(&self, user: &UserName) -> Result<Vec<SessionRow>, IndexError> {
        let mut rows = self.0.private.sessions(user).await?;
        rows.retain(|row| self.0.holds(row));
        for row in &mut rows {
            row.used = row.used.max(self.0.last_uses.sessions.of(&row.id));
        }
        Ok(rows)
    }

    /// Ends one of the user's sessions; says whether there was such a one.
    pub async fn end_session(&self, user: &UserName, id: &str) -> Result<bool, IndexError> {
        Ok(self.0.private.remove_session(user, id).await?)
    }

    /// Ends all sessions of the user but one; says how many.
    pub async fn end_other_sessions(&self, user: &UserName, session: &str) -> Result<u64, IndexError> {
        Ok(self.0.private.remove_sessions_of(user, Some(session)).await?)
    }

    /// Changes the password of who is logged in, who has to know the old one. All else that was logged in with it ends.
    pub async fn change_password(
        &self,
        user: &UserName,
        session: &str,
        peer: Option<IpAddr>,
        (old, new): (Secret, Secret),
    ) -> Result<(), IndexError> {
        let claim = Claim { user: user.to_string(), secret: old };
        let subject = self.0.by_password(&claim, peer).await?;
        if subject == Subject::Anonymous {
            return Err(IndexError::Forbidden("this is not your password".to_owned()));
        }
        let given = Map::from_iter([("password".to_owned(), Value::from(new.expose()))]);
        self.0.change_user(&subject, user, &given, Kept::Session(session)).await.map(|_| ())
    }
}

impl House {
    async fn open_session(&self, claim: &Claim, peer: Option<IpAddr>, client: &str) -> Result<Secret, IndexError> {
        let wrong = || IndexError::Unproved("this user name and this password do not belong together".to_owned());
        // A token is for programs; what it may do less than its user would be lost here.
        if parse_token(claim.secret.expose()).is_some() {
            return Err(IndexError::Unproved("a token is for programs; log in with the password".to_owned()));
        }
        let before = self.password_of(&claim.user);
        // Not what was remembered: a password that is just being changed is asked for anew.
        let Subject::User { name, .. } = self.by_password(claim, peer).await? else { return Err(wrong()) };
        let (session, now) = (NewSession::new()?, self.clock.unix());
        {
            let _change = self.changing.lock().await;
            if self.password_of(&claim.user) != before {
                return Err(wrong());
            }
            let client = client.chars().filter(|c| !c.is_control()).take(CLIENT_CHARS_MAX).collect();
            let (id, hash) = (session.id.to_string(), session.hash);
            let row = SessionRow { id, hash, user: name.clone(), created: now, used: now, client };
            self.private.put_session(&row).await?;
        }
        self.upgrade_password(&name, claim).await;
        Ok(session.text)
    }

    fn password_of(&self, user: &str) -> Option<String> {
        let name = UserName::parse(user).ok()?;
        self.catalog().users.get(&name)?.password.clone()
    }

    async fn person(&self, cookie: &str) -> Result<Option<Person>, IndexError> {
        let Some((id, hash)) = parse_session(cookie) else { return Ok(None) };
        let row = self.private.session(&id.to_string()).await?;
        let good = |row: &SessionRow| same_session(&row.hash, &hash) && self.holds(row);
        let Some(row) = row.filter(good) else { return Ok(None) };
        let now = self.clock.unix();
        if now >= row.used + NOTED_EVERY_SECONDS {
            self.last_uses.sessions.note(&row.id, now);
        }
        let subject = Subject::User { name: row.user, scope: Scope::Everything };
        Ok(Some(Person { subject, session: row.id, form_token: form_token(cookie) }))
    }

    /// Whether the session has not ended by itself, and its user is there.
    fn holds(&self, row: &SessionRow) -> bool {
        let now = self.clock.unix();
        let used = row.used.max(self.last_uses.sessions.of(&row.id));
        now < row.created + SESSION_SECONDS_MAX
            && now < used + SESSION_IDLE_SECONDS_MAX
            && self.catalog().users.contains_key(&row.user)
    }

    /// Removes the sessions that have ended by themselves.
    pub(super) async fn sweep_sessions(&self) -> Result<(), IndexError> {
        let now = self.clock.unix();
        let (made, used) = (now.saturating_sub(SESSION_SECONDS_MAX), now.saturating_sub(SESSION_IDLE_SECONDS_MAX));
        self.private.remove_old_sessions(made, used).await?;
        Ok(())
    }

    /// Writes down when sessions and tokens were last used.
    pub(super) async fn write_last_uses(&self) {
        let (sessions, tokens) = (self.last_uses.sessions.take(), self.last_uses.tokens.take());
        let mut wrote = Ok(());
        if !sessions.is_empty() {
            wrote = self.private.touch_sessions(&sessions).await;
        }
        if !tokens.is_empty() {
            wrote = wrote.and(self.private.touch_tokens(&tokens).await);
        }
        if let Err(why) = wrote {
            self.disk_trouble(&why);
        }
    }
}

impl Uses {
    pub(super) fn note(&self, id: &str, now: u64) {
        let mut uses = self.0.lock();
        if uses.len() < USES_MAX || uses.contains_key(id) {
            uses.insert(id.to_owned(), now);
        }
    }

    /// Zero where nothing is noted.
    pub(super) fn of(&self, id: &str) -> u64 {
        self.0.lock().get(id).copied().unwrap_or_default()
    }

    fn take(&self) -> Vec<(String, u64)> {
        self.0.lock().drain().collect()
    }
}

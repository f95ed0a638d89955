use super::House;
use super::catalog::Catalog;
use super::errors::IndexError;
use crate::auth::{AuthError, Checked, NewToken, TokenId, parse_token, same_hash};
use crate::config::Secret;
use crate::names::{IndexName, Sha256, UserName};
use crate::rules::{self, ROOT, Scope, Subject, Verdict};
use crate::store::{Private, TOKENS_PER_USER_MAX, TokenRow, UserRow};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;

/// How long a login lasts, in seconds: devpi's ten hours.
pub const LOGIN_SECONDS: u64 = 36_000;

/// A token's use is noted when the last one is so long ago, in seconds.
const USE_NOTED_EVERY_SECONDS: u64 = 3_600;

/// Names that cannot be users: their URLs are aliases of the default index.
pub(super) const USERS_RESERVED: [&str; 2] = ["simple", "pypi"];

/// What tells of a user; everything else that a client sends about one is refused (devpi's `User.public_keys`).
const FACTS: [&str; 4] = ["custom_data", "description", "email", "title"];

/// What clients send along because they were shown it; it is passed over (devpi's `ignored_keys` and `info_keys`).
const FACTS_IGNORED: [&str; 4] = ["indexes", "username", "created", "modified"];

/// Longest text of one fact about a user, in bytes.
const FACT_BYTES_MAX: usize = 64 * 1024;

/// Users at most: each is held in memory.
const USERS_MAX: usize = 100_000;

/// What a request brought to prove who asks.
pub struct Claim {
    pub user: String,
    pub secret: Secret,
}

/// A login that was made.
pub struct Login {
    pub token: Secret,
    pub seconds: u64,
}

/// What goes on although the password was changed.
pub enum Kept<'a> {
    Nothing,
    /// The login that was used for the change, if it was one.
    Login(&'a Claim),
    /// The session of this public name.
    Session(&'a str),
}

/// A wish for a token.
pub struct TokenWish {
    pub user: UserName,
    pub name: String,
    pub index: Option<IndexName>,
    pub read: bool,
    pub upload: bool,
    /// Unix seconds.
    pub expires: Option<u64>,
}

impl House {
    /// Who asks. A claim that is not proved is nobody: public things are for everybody (devpi's behaviour).
    pub(super) async fn authenticate(&self, claim: &Claim, peer: Option<IpAddr>) -> Result<Subject, IndexError> {
        let print = self.auth.fingerprint(&claim.user, claim.secret.expose());
        if let Some(subject) = self.auth.remembered(&print) {
            return Ok(subject);
        }
        let begun = self.auth.begin();
        let (subject, until) = match parse_token(claim.secret.expose()) {
            Some((id, hash)) => self.by_token(claim, &id, &hash, peer).await?,
            None => (self.by_password(claim, peer).await?, None),
        };
        if subject != Subject::Anonymous {
            self.auth.remember(begun, print, subject.clone(), until);
        }
        Ok(subject)
    }

    pub(super) async fn by_password(&self, claim: &Claim, peer: Option<IpAddr>) -> Result<Subject, IndexError> {
        let name = UserName::parse(&claim.user).ok();
        let user = name.as_ref().and_then(|name| self.catalog().users.get(name).cloned());
        let stored = user.as_ref().and_then(|user| user.password.as_deref());
        match (self.auth.check(&claim.user, peer, &claim.secret, stored).await, user) {
            (Checked::Right, Some(user)) => Ok(Subject::User { name: user.name, scope: Scope::Everything }),
            (Checked::Right | Checked::Wrong, _) => Ok(Subject::Anonymous),
            (Checked::TooMany { retry_after_seconds }, _) => Err(IndexError::TooManyAttempts(retry_after_seconds)),
            (Checked::Busy, _) => Err(IndexError::Busy),
        }
    }

    async fn by_token(
        &self,
        claim: &Claim,
        id: &TokenId,
        hash: &Sha256,
        peer: Option<IpAddr>,
    ) -> Result<(Subject, Option<u64>), IndexError> {
        self.auth.may_try(&claim.user, peer).map_err(|wait| IndexError::TooManyAttempts(wait.seconds))?;
        let row = self.private.token(&id.to_string()).await?.filter(|row| {
            same_hash(&row.hash, hash)
                && (claim.user == TOKEN_USER || claim.user == row.user.as_str())
                && row.expires.is_none_or(|expires| self.clock.unix() < expires)
                && self.catalog().users.contains_key(&row.user)
        });
        let Some(row) = row else {
            self.auth.failed(&claim.user, peer);
            return Ok((Subject::Anonymous, None));
        };
        self.note_token(&row);
        let scope = match row.login {
            true => Scope::Everything,
            false => Scope::Token { index: row.index, read: row.read, upload: row.upload },
        };
        Ok((Subject::User { name: row.user, scope }, row.expires))
    }

    /// Notes that a token was used, once in a while: to write it costs more than to prove it.
    fn note_token(&self, row: &TokenRow) {
        let now = self.clock.unix();
        if !row.login && row.used.is_none_or(|used| now >= used + USE_NOTED_EVERY_SECONDS) {
            self.last_uses.tokens.note(&row.id, now);
        }
    }

    /// `+login`: a password, or a login that still holds, becomes a new login.
    pub(super) async fn login(&self, claim: &Claim, peer: Option<IpAddr>) -> Result<Login, IndexError> {
        match self.authenticate(claim, peer).await? {
            Subject::User { name, scope: Scope::Everything } => {
                self.upgrade_password(&name, claim).await;
                self.new_login(&name).await
            }
            _ => Err(IndexError::Unproved(format!("user {} could not be authenticated", quoted(&claim.user)))),
        }
    }

    async fn new_login(&self, user: &UserName) -> Result<Login, IndexError> {
        let (token, now) = (NewToken::login()?, self.clock.unix());
        let row = TokenRow {
            id: token.id.to_string(),
            hash: token.hash,
            user: user.clone(),
            login: true,
            name: String::new(),
            index: None,
            read: true,
            upload: true,
            created: now,
            expires: Some(now + LOGIN_SECONDS),
            used: None,
        };
        self.private.put_token(&row).await?;
        Ok(Login { token: token.text, seconds: LOGIN_SECONDS })
    }

    /// An old server may have hashed the password more weakly than we do.
    pub(super) async fn upgrade_password(&self, name: &UserName, claim: &Claim) {
        let weak = |user: &UserRow| user.password.as_deref().is_some_and(crate::auth::is_weaker_than_ours);
        if parse_token(claim.secret.expose()).is_some() || !self.catalog().users.get(name).is_some_and(weak) {
            return;
        }
        let Ok(hash) = self.auth.hash(&claim.secret).await else { return };
        let _change = self.changing.lock().await;
        let Some(user) = self.catalog().users.get(name).cloned() else { return };
        if weak(&user) {
            let _ = self.put_user(UserRow { password: Some(hash), ..user }).await;
        }
    }

    /// Makes a user (devpi: PUT `/{user}`).
    pub(super) async fn create_user(
        &self,
        subject: &Subject,
        name: &UserName,
        given: &Map<String, Value>,
    ) -> Result<UserRow, IndexError> {
        let what = || format!("no permission to create user {name}");
        allowed(rules::may_create_user(subject, self.user_creation), what)?;
        if self.catalog().users.contains_key(name) {
            return Err(IndexError::Conflict("user already exists".to_owned()));
        }
        if USERS_RESERVED.contains(&name.as_str()) {
            let sentence = format!("URLs that begin with /{name}/ are taken; choose another user name");
            return Err(IndexError::Invalid(sentence));
        }
        let Some(password) = given.get("password").and_then(Value::as_str) else {
            return Err(IndexError::Invalid("password needs to be set".to_owned()));
        };
        let mut user = UserRow {
            name: name.clone(),
            password: Some(self.hashed(password).await?),
            created: self.clock.unix(),
            modified: None,
            facts: Map::new(),
        };
        take_facts(&mut user, given)?;
        let _change = self.changing.lock().await;
        let catalog = self.catalog();
        if catalog.users.contains_key(name) {
            return Err(IndexError::Conflict("user already exists".to_owned()));
        }
        if catalog.users.len() >= USERS_MAX {
            return Err(IndexError::Invalid(format!("there are {USERS_MAX} users already")));
        }
        self.put_user(user.clone()).await?;
        Ok(user)
    }

    /// Changes a user (devpi: PATCH `/{user}`); a new password ends all logins but the one that is returned and the one
    /// that was used for it (`proof`): devpi's client goes on with that.
    pub(super) async fn modify_user(
        &self,
        subject: &Subject,
        name: &UserName,
        given: &Map<String, Value>,
        proof: Option<&Claim>,
    ) -> Result<Option<Login>, IndexError> {
        let kept = proof.map_or(Kept::Nothing, Kept::Login);
        match self.change_user(subject, name, given, kept).await? {
            true => self.new_login(name).await.map(Some),
            false => Ok(None),
        }
    }

    /// Changes a user; a new password ends all logins and sessions but what is kept. Says whether there is one.
    pub(super) async fn change_user(
        &self,
        subject: &Subject,
        name: &UserName,
        given: &Map<String, Value>,
        kept: Kept<'_>,
    ) -> Result<bool, IndexError> {
        let what = || format!("no permission to modify user {name}");
        allowed(rules::may_modify_user(subject, name), what)?;
        self.user(name)?;
        let password = match given.get("password") {
            None | Some(Value::Null) => None,
            Some(Value::String(password)) => Some(self.hashed(password).await?),
            Some(_) => return Err(IndexError::Invalid("a password is a text".to_owned())),
        };
        let changed = password.is_some();
        let _change = self.changing.lock().await;
        let mut user = self.user(name)?;
        take_facts(&mut user, given)?;
        if let Some(password) = password {
            user.password = Some(password);
        }
        user.modified = Some(self.clock.unix());
        self.put_user(user).await?;
        if changed {
            self.end_logins(name, kept).await?;
        }
        Ok(changed)
    }

    /// Ends all that was logged in with an old password.
    async fn end_logins(&self, name: &UserName, kept: Kept<'_>) -> Result<(), IndexError> {
        let (login, session) = match kept {
            Kept::Nothing => (None, None),
            Kept::Login(claim) => (parse_token(claim.secret.expose()), None),
            Kept::Session(id) => (None, Some(id)),
        };
        let login = match login {
            Some((id, _)) => self.private.token(&id.to_string()).await?.filter(|row| row.user == *name),
            None => None,
        };
        self.private.remove_tokens_of(name, true).await?;
        self.private.remove_sessions_of(name, session).await?;
        if let Some(row) = login.filter(|row| row.login) {
            self.private.put_token(&row).await?;
        }
        self.auth.forget_user(name);
        Ok(())
    }

    /// Deletes a user with all volatile indexes (devpi: DELETE `/{user}`).
    pub(super) async fn delete_user(&self, subject: &Subject, name: &UserName) -> Result<(), IndexError> {
        let what = || format!("no permission to delete user {name}");
        allowed(rules::may_delete_user(subject, name), what)?;
        let _change = self.changing.lock().await;
        let catalog = self.catalog();
        if !catalog.users.contains_key(name) {
            return Err(no_user(name));
        }
        if name.as_str() == ROOT {
            return Err(IndexError::Forbidden("the user root cannot be deleted".to_owned()));
        }
        for entry in catalog.indexes_of(name) {
            let index = entry.name.index();
            if entry.fixed {
                let sentence = format!("index {} stands in the server's settings; take it out there", entry.name);
                return Err(IndexError::Forbidden(sentence));
            }
            if !entry.volatile() {
                let sentence = format!("user {} has non-volatile index: {index}", quoted(name.as_str()));
                return Err(IndexError::Forbidden(sentence));
            }
        }
        let _shelf = self.shelf.lock().await;
        let removed = self.private.remove_user(name).await?;
        let mut next = Catalog::clone(&catalog);
        next.users.remove(name);
        let kept = catalog.parts().into_values().filter(|parts| parts.name.user() != name.as_str());
        self.swap_catalog(next.with_indexes(kept));
        self.auth.forget_user(name);
        for entry in catalog.indexes_of(name) {
            if let Err(why) = self.index_gone(entry).await {
                self.disk_trouble(&why);
            }
        }
        self.unreferenced(removed.map(|removed| removed.unreferenced).unwrap_or_default()).await;
        Ok(())
    }

    /// Sets the password of root when there is none yet; says whether it did.
    pub(super) async fn first_password(&self, password: &Secret) -> Result<bool, IndexError> {
        let _change = self.changing.lock().await;
        let mut root = self.user(&root_name()?)?;
        if root.password.is_some() {
            return Ok(false);
        }
        root.password = Some(self.hashed(password.expose()).await?);
        self.put_user(root).await?;
        Ok(true)
    }

    pub(super) async fn create_token(&self, wish: TokenWish) -> Result<Secret, IndexError> {
        make_token(&self.private, self.clock.unix(), wish).await
    }

    pub(super) fn user(&self, name: &UserName) -> Result<UserRow, IndexError> {
        self.catalog().users.get(name).cloned().ok_or_else(|| no_user(name))
    }

    /// Writes a user down and then shows it; the caller holds the lock on changes.
    pub(super) async fn put_user(&self, user: UserRow) -> Result<(), IndexError> {
        self.private.put_user(&user).await?;
        let mut next = Catalog::clone(&self.catalog());
        next.users.insert(user.name.clone(), user);
        self.swap_catalog(next);
        Ok(())
    }

    async fn hashed(&self, password: &str) -> Result<String, IndexError> {
        if password.is_empty() {
            return Err(IndexError::Invalid("a password cannot be empty".to_owned()));
        }
        match self.auth.hash(&Secret::new(password.to_owned())).await {
            Err(why @ AuthError::TooLong) => Err(IndexError::Invalid(why.to_string())),
            hashed => Ok(hashed?),
        }
    }
}

/// Makes a token for a user that there is; the command line does so without a server.
pub async fn make_token(private: &Private, now: u64, wish: TokenWish) -> Result<Secret, IndexError> {
    if !private.users().await?.iter().any(|user| user.name == wish.user) {
        return Err(no_user(&wish.user));
    }
    if !wish.read && !wish.upload {
        return Err(IndexError::Invalid("a token that may neither read nor upload is good for nothing".to_owned()));
    }
    let token = NewToken::scoped()?;
    let row = TokenRow {
        id: token.id.to_string(),
        hash: token.hash,
        user: wish.user,
        login: false,
        name: wish.name,
        index: wish.index,
        read: wish.read,
        upload: wish.upload,
        created: now,
        expires: wish.expires,
        used: None,
    };
    if !private.add_token(&row).await? {
        let sentence = format!(
            "{} has {TOKENS_PER_USER_MAX} tokens, and no more fit; revoke those that nobody needs any more",
            row.user
        );
        return Err(IndexError::Invalid(sentence));
    }
    Ok(token.text)
}

/// The user name that a client gives with a token that says itself whose it is, as at PyPI.
const TOKEN_USER: &str = "__token__";

pub(super) fn root_name() -> Result<UserName, IndexError> {
    UserName::parse(ROOT).map_err(|why| IndexError::Invalid(why.to_string()))
}

/// What a verdict means for the one who asked.
pub(super) fn allowed(verdict: Verdict, what: impl FnOnce() -> String) -> Result<(), IndexError> {
    match verdict {
        Verdict::Allowed => Ok(()),
        Verdict::NeedsLogin => Err(IndexError::NeedsLogin(what())),
        Verdict::Forbidden => Err(IndexError::Forbidden(what())),
    }
}

fn no_user(name: &UserName) -> IndexError {
    IndexError::NotThere(format!("no user {}", quoted(name.as_str())))
}

/// A text in quotes, as devpi's sentences show it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Takes what is said of a user; an empty value takes a fact back.
fn take_facts(user: &mut UserRow, given: &Map<String, Value>) -> Result<(), IndexError> {
    for (key, value) in given {
        if key == "password" || FACTS_IGNORED.contains(&key.as_str()) {
            continue;
        }
        if !FACTS.contains(&key.as_str()) {
            return Err(IndexError::Invalid(format!("Unknown keys in user config: {key}")));
        }
        if value.to_string().len() > FACT_BYTES_MAX {
            return Err(IndexError::Invalid(format!("{key} is longer than {FACT_BYTES_MAX} bytes")));
        }
        let empty = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        match empty {
            true => drop(user.facts.shift_remove(key)),
            false => drop(user.facts.insert(key.clone(), value.clone())),
        }
    }
    Ok(())
}

/// Shared pictures are read without a lock being held over what follows.
impl House {
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read())
    }

    /// Shows a changed catalog to all who ask from now on.
    pub(super) fn swap_catalog(&self, next: Catalog) {
        *self.catalog.write() = Arc::new(next);
        self.catalog_version.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    }
}

//! Proofs of identity: passwords and tokens.
//!
//! Enters: credentials and the stored hash given to it, and who sent them. Leaves: whether they agree; hashes and new
//! tokens to store; for a minute, the [`Subject`] that was proved before.
//! Must not know: the store, HTTP's headers, what the subject may do.
//!
//! A request with credentials passes in this order: [`Auth::fingerprint`] and [`Auth::remembered`], which end nearly
//! all of them; then [`Auth::begin`], the account is read from the store, [`Auth::check`] (or, for a token,
//! [`Auth::may_try`], [`parse_token`], [`same_hash`] and perhaps [`Auth::failed`]); then [`Auth::remember`].

mod passwords;
mod random;
mod remembered;
mod sessions;
mod shared;
mod throttle;
mod tokens;
mod turns;

pub use passwords::{PASSWORD_BYTES_MAX, is_password, is_weaker_than_ours, readable};
pub use remembered::{Claim, Fingerprint, REMEMBERED_MAX};
pub use sessions::{NewSession, form_token, parse_session, same_session, same_text};
pub use throttle::RetryAfter;
pub use tokens::{NewToken, TokenId, parse_token, random_password, same_hash};
pub use turns::WAITING_MAX;

use crate::clock::Clock;
use crate::config::Secret;
use crate::names::UserName;
use crate::rules::Subject;
use passwords::Stored;
use random::Key;
use remembered::Remembered;
use shared::Shared;
use std::net::IpAddr;
use std::sync::Arc;
use throttle::{Throttle, Who};
use turns::Turns;

/// A handle on what proves identities; cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    key: Key,
    remembered: Remembered,
    throttle: Arc<Throttle>,
    shared: Shared,
    turns: Turns,
}

/// Whether a password is an account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    Right,
    /// Wrong, or there is no such account, or it has no password: nobody learns which.
    Wrong,
    /// Too many failures of this account from this peer, or of this peer: nothing was checked. 429.
    TooMany {
        retry_after_seconds: u64,
    },
    /// Too many passwords wait to be checked: nothing was checked. 503.
    Busy,
}

/// Never names a password or a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("too many passwords are waiting to be hashed; try again in a moment")]
    Busy,
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes; choose a shorter one")]
    TooLong,
    #[error("the password could not be hashed: {0}")]
    NotHashed(argon2::Error),
    #[error("the stored password hash cannot be used ({0}); set a new password for the account")]
    StoredHash(&'static str),
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

impl Auth {
    /// Fails only where the system gives no random bytes.
    pub fn new(clock: Clock) -> Result<Self, AuthError> {
        Ok(Self(Arc::new(Inner {
            key: Key::new()?,
            remembered: Remembered::new(clock.clone()),
            throttle: Arc::new(Throttle::new(clock)),
            shared: Shared::default(),
            turns: Turns::new(),
        })))
    }

    /// A stored form of `password`, for an account that is made or changed.
    pub async fn hash(&self, password: &Secret) -> Result<String, AuthError> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Err(AuthError::TooLong);
        }
        let turn = self.0.turns.turn().await.ok_or(AuthError::Busy)?;
        let password = password.clone();
        turn.run(move || passwords::hash(password.expose())).await.unwrap_or(Err(AuthError::Busy))
    }

    /// Whether `password` is the one behind `stored`, the account's hash. `None` says that there is no such account or
    /// that it has no password: then as much work is done, and the answer is [`Checked::Wrong`].
    ///
    /// An installer sends its password with fifty requests at once: the same question is worked on once at a time.
    pub async fn check(&self, account: &str, peer: Option<IpAddr>, password: &Secret, stored: Option<&str>) -> Checked {
        let who = self.0.throttle.who(account, peer);
        if let Err(wait) = self.0.throttle.may_try(who) {
            return wait.into();
        }
        if password.expose().len() > PASSWORD_BYTES_MAX {
            self.0.throttle.failed(who);
            return Checked::Wrong;
        }
        let question = self.0.key.fingerprint(&[account, password.expose(), stored.unwrap_or_default()]);
        match self.0.shared.answer(question, || self.work(account, who, password, stored)).await {
            Ok(true) => Checked::Right,
            Ok(false) => Checked::Wrong,
            Err(not_checked) => not_checked,
        }
    }

    async fn work(&self, account: &str, who: Who, password: &Secret, stored: Option<&str>) -> Result<bool, Checked> {
        let turn = self.0.turns.turn().await.ok_or(Checked::Busy)?;
        // Others of the same peer may have failed while this one waited. Only one works at a time, and it notes its
        // failure before the next begins, so the count is exact and a right password need not pay in advance.
        self.0.throttle.may_try(who)?;
        let hash = stored.and_then(|stored| match Stored::parse(stored) {
            Ok(hash) => Some(hash),
            Err(error) => {
                tracing::warn!(account, %error, "nobody can log in with this password");
                None
            }
        });
        let (password, throttle) = (password.clone(), Arc::clone(&self.0.throttle));
        // Whoever hangs up early has failed all the same.
        let worked = turn.run(move || {
            let agrees = match hash {
                Some(hash) => hash.agrees(password.expose()),
                None => Stored::nobody().agrees(password.expose()).map(|_| false),
            };
            if agrees == Ok(false) {
                throttle.failed(who);
            }
            agrees
        });
        match worked.await {
            Some(Ok(right)) => Ok(right),
            Some(Err(error)) => {
                tracing::error!(%error, "a password was not checked");
                Err(Checked::Busy)
            }
            None => Err(Checked::Busy),
        }
    }

    /// Whether this peer may try to prove that it is `account`; for proofs that cost nothing to check, as tokens.
    pub fn may_try(&self, account: &str, peer: Option<IpAddr>) -> Result<(), RetryAfter> {
        self.0.throttle.may_try(self.0.throttle.who(account, peer))
    }

    /// Such a proof was wrong. [`Auth::check`] counts for itself.
    pub fn failed(&self, account: &str, peer: Option<IpAddr>) {
        self.0.throttle.failed(self.0.throttle.who(account, peer));
    }

    /// What stands for these credentials in memory; `secret` is a password or a token.
    pub fn fingerprint(&self, user: &str, secret: &str) -> Fingerprint {
        self.0.key.fingerprint(&[user, secret])
    }

    /// Who proved to be whom with these credentials within the last minute.
    pub fn remembered(&self, fingerprint: &Fingerprint) -> Option<Subject> {
        self.0.remembered.get(fingerprint)
    }

    /// The right to remember what comes out of a check. To be taken before the account or token is read from the store:
    /// what is forgotten between is not remembered again.
    pub fn begin(&self) -> Claim {
        self.0.remembered.begin()
    }

    /// Remembers a proof for a minute at most, and not beyond `valid_until_unix`, the proof's own end in Unix seconds.
    pub fn remember(&self, claim: Claim, proof: Fingerprint, subject: Subject, valid_until_unix: Option<u64>) {
        self.0.remembered.put(claim, proof, subject, valid_until_unix);
    }

    /// A password was changed, a token revoked or a user deleted. To be called when that is stored.
    pub fn forget_user(&self, user: &UserName) {
        self.0.remembered.forget(|subject| subject.user() == Some(user));
    }

    pub fn forget_all(&self) {
        self.0.remembered.forget(|_| true);
    }
}

impl From<RetryAfter> for Checked {
    fn from(wait: RetryAfter) -> Self {
        Self::TooMany { retry_after_seconds: wait.seconds }
    }
}

#[cfg(test)]
mod tests;

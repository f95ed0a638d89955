//! Tokens, as text `sidewheel_login_0123456789abcdef_` or `sidewheel_token_0123456789abcdef_` and 43 characters of
//! base64url.
//!
//! The beginning is for scanners that look for leaked secrets; devpi's client takes what begins with `pypi-` or `devpi-`
//! for a macaroon and changes it. All characters may stand in a URL, and none is a colon, which ends a user's name.

use super::{AuthError, random};
use crate::config::Secret;
use crate::names::Sha256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use subtle::ConstantTimeEq;

const LOGIN: &str = "sidewheel_login_";
const SCOPED: &str = "sidewheel_token_";

/// What cannot be guessed of a token, in bytes.
const SECRET_BYTES: usize = 32;

/// Hex digits of a [`TokenId`].
const ID_DIGITS: usize = 16;

/// What is typed is short, so that four and four can be read aloud; no letter looks like another.
const TYPEABLE: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Characters of a first password: 5 bits each, 140 in all.
const PASSWORD_CHARS: usize = 28;

/// The public name of a token, by which it is found, listed and revoked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(u64);

/// A token that was just made. `text` is shown once; `id` and `hash` are stored.
#[derive(Debug)]
pub struct NewToken {
    pub id: TokenId,
    pub text: Secret,
    pub hash: Sha256,
}

impl NewToken {
    /// What a login hands out in place of the password.
    pub fn login() -> Result<Self, AuthError> {
        Self::new(LOGIN)
    }

    /// A token for one purpose.
    pub fn scoped() -> Result<Self, AuthError> {
        Self::new(SCOPED)
    }

    fn new(prefix: &str) -> Result<Self, AuthError> {
        let (id, text) = secret(prefix)?;
        let hash = Sha256::of(text.as_bytes());
        Ok(Self { id, text: Secret::new(text), hash })
    }
}

/// Reads what was sent in place of a password: the id to look for, and the hash that must be stored there. None for
/// what is no token, so may be a password. The hash is over the whole text: a token cannot be passed off as another.
pub fn parse_token(text: &str) -> Option<(TokenId, Sha256)> {
    let rest = text.strip_prefix(LOGIN).or_else(|| text.strip_prefix(SCOPED))?;
    read(rest).map(|id| (id, Sha256::of(text.as_bytes())))
}

/// A new secret that begins so, and the name in it.
pub(super) fn secret(prefix: &str) -> Result<(TokenId, String), AuthError> {
    let id = TokenId(u64::from_le_bytes(random::bytes()?));
    let secret: [u8; SECRET_BYTES] = random::bytes()?;
    Ok((id, format!("{prefix}{id}_{}", URL_SAFE_NO_PAD.encode(secret))))
}

/// The name in a secret, when what follows its beginning is whole.
pub(super) fn read(rest: &str) -> Option<TokenId> {
    let (id, secret) = rest.split_once('_')?;
    let id = TokenId::parse(id)?;
    URL_SAFE_NO_PAD.decode(secret).is_ok_and(|secret| secret.len() == SECRET_BYTES).then_some(id)
}

/// Whether the stored hash is the one of what was sent; takes the same time for all.
pub fn same_hash(stored: &Sha256, sent: &Sha256) -> bool {
    stored.as_bytes().ct_eq(sent.as_bytes()).into()
}

/// A strong password that can be typed, for an account that nobody has chosen one for: seven groups of four.
pub fn random_password() -> Result<Secret, AuthError> {
    let bytes: [u8; PASSWORD_CHARS] = random::bytes()?;
    let mut password = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            password.push('-');
        }
        // 256 is a multiple of 32: all characters are as likely.
        password.extend(TYPEABLE.get(usize::from(byte % 32)).map(|character| *character as char));
    }
    Ok(Secret::new(password))
}

impl TokenId {
    /// Reads 16 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        digits.then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0ID_DIGITS$x}", self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_token_is_read_back() {
        for (token, prefix) in [(NewToken::login(), "sidewheel_login_"), (NewToken::scoped(), "sidewheel_token_")] {
            let token = token.unwrap();
            let text = token.text.expose();
            assert!(text.starts_with(prefix) && text.len() == prefix.len() + 16 + 1 + 43, "{text}");
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')), "{text}");
            let (id, hash) = parse_token(text).unwrap();
            assert_eq!(id, token.id);
            assert!(same_hash(&token.hash, &hash));
            assert_eq!(TokenId::parse(&id.to_string()), Some(id));
            assert!(!format!("{token:?}").contains(text.rsplit_once(&id.to_string()).unwrap().1));
        }
        assert_eq!(TokenId(0xab).to_string(), "00000000000000ab");
        let many: HashSet<_> = (0..100).map(|_| NewToken::login().unwrap().text.expose().to_owned()).collect();
        assert_eq!(many.len(), 100);
    }

    #[test]
    fn a_changed_token_is_another_or_none() {
        let token = NewToken::scoped().unwrap();
        let text = token.text.expose();
        for at in 0..text.len() {
            for other in ["a", "B", "0", "_", "-", "=", ":", "é", ""] {
                let mut changed = text.to_owned();
                changed.replace_range(at..at + 1, other);
                if changed != text {
                    let same = parse_token(&changed).is_some_and(|(_, hash)| same_hash(&token.hash, &hash));
                    assert!(!same, "{changed}");
                }
            }
        }
        let login = text.replace("_token_", "_login_");
        assert!(!same_hash(&token.hash, &parse_token(&login).unwrap().1), "a scoped token made itself a login");
    }

    #[test]
    fn what_is_no_token_is_none() {
        let secret = "A".repeat(43);
        assert!(parse_token(&format!("sidewheel_token_0123456789abcdef_{secret}")).is_some());
        for text in [
            String::new(),
            "hunter2".to_owned(),
            "sidewheel_token_".to_owned(),
            format!("sidewheel_token_0123456789ABCDEF_{secret}"),
            format!("sidewheel_token_0123456789abcde_{secret}"),
            format!("sidewheel_token_+123456789abcdef_{secret}"),
            format!("sidewheel_token_0123456789abcdef{secret}"),
            format!("sidewheel_token_0123456789abcdef_{secret}A"),
            format!("sidewheel_token_0123456789abcdef_{secret}="),
            format!("sidewheel_token_0123456789abcdef_{}B", "A".repeat(42)),
            format!("sidewheel_other_0123456789abcdef_{secret}"),
            format!(" sidewheel_token_0123456789abcdef_{secret}"),
            format!("pypi-token_0123456789abcdef_{secret}"),
        ] {
            assert_eq!(parse_token(&text), None, "{text}");
        }
    }

    #[test]
    fn a_first_password_can_be_typed_and_not_guessed() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert!(one.expose().split('-').all(|group| group.len() == 4), "{}", one.expose());
        assert_eq!(one.expose().split('-').count(), 7);
        let distinct: HashSet<_> = TYPEABLE.iter().collect();
        assert_eq!(distinct.len(), 32);
        const { assert!(PASSWORD_CHARS * 5 >= 128) };
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_none(text in r"\PC{0,60}|sidewheel_(login|token)_[0-9a-f]{14,18}_?[A-Za-z0-9_-]{40,45}") {
            if let Some((id, _)) = parse_token(&text) {
                prop_assert!(text.contains(&id.to_string()));
            }
        }
    }
}

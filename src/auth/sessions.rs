//! Sessions of browsers, as text `sidewheel_session_0123456789abcdef_` and 43 characters of base64url.
//!
//! A session is no token: its text is read here alone, and what reads tokens does not know its beginning. So a cookie
//! that was stolen is worth nothing at the API, and a token nothing in a cookie.

use super::tokens::{TokenId, read, secret};
use super::{AuthError, same_hash};
use crate::config::Secret;
use crate::names::Sha256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

const SESSION: &str = "sidewheel_session_";

/// Stands before what is hashed into a form's token. The text of a session begins otherwise, so no form's token is ever
/// the hash that is stored of a session.
const FORM: &str = "token of the forms of ";

/// A session that was just made. `text` goes into the cookie; `id` and `hash` are stored.
#[derive(Debug)]
pub struct NewSession {
    pub id: TokenId,
    pub text: Secret,
    pub hash: Sha256,
}

impl NewSession {
    pub fn new() -> Result<Self, AuthError> {
        let (id, text) = secret(SESSION)?;
        let hash = Sha256::of(text.as_bytes());
        Ok(Self { id, text: Secret::new(text), hash })
    }
}

/// Reads what a cookie holds: the id to look for, and the hash that must be stored there. None for what is no session.
pub fn parse_session(text: &str) -> Option<(TokenId, Sha256)> {
    read(text.strip_prefix(SESSION)?).map(|id| (id, Sha256::of(text.as_bytes())))
}

/// What the forms that are shown within a session carry: nobody who does not know the session's secret can make it, and
/// it says nothing about the secret, which has 256 random bits.
pub fn form_token(session: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::of(format!("{FORM}{session}").as_bytes()).as_bytes())
}

/// Whether two texts are the same; takes the same time for all of one length.
pub fn same_text(ours: &str, sent: &str) -> bool {
    ours.as_bytes().ct_eq(sent.as_bytes()).into()
}

/// Whether `sent` is the session whose hash is stored.
pub fn same_session(stored: &Sha256, sent: &Sha256) -> bool {
    same_hash(stored, sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{NewToken, parse_token};

    #[test]
    fn a_session_is_read_back_and_is_no_token() {
        let session = NewSession::new().unwrap();
        let text = session.text.expose();
        let (id, hash) = parse_session(text).unwrap();
        assert!(id == session.id && same_session(&session.hash, &hash));
        assert_eq!(parse_token(text), None);
        let other = text.replace("_session_", "_login_");
        assert!(!same_session(&session.hash, &parse_token(&other).unwrap().1), "a session made itself a login");
        for token in [NewToken::login().unwrap(), NewToken::scoped().unwrap()] {
            assert_eq!(parse_session(token.text.expose()), None);
            let other = token.text.expose().replace("_login_", "_session_").replace("_token_", "_session_");
            assert!(!same_session(&token.hash, &parse_session(&other).unwrap().1), "a token made itself a session");
        }
        for text in ["", "sidewheel_session_", &text[1..], &text[..text.len() - 1], &format!("{text}A")] {
            assert_eq!(parse_session(text), None, "{text}");
        }
    }

    #[test]
    fn each_session_has_its_own_token_for_forms() {
        let (one, other) = (NewSession::new().unwrap(), NewSession::new().unwrap());
        let token = form_token(one.text.expose());
        assert_eq!(token, form_token(one.text.expose()));
        assert_ne!(token, form_token(other.text.expose()));
        assert_ne!(token, URL_SAFE_NO_PAD.encode(one.hash.as_bytes()), "the stored hash would make forms");
        assert!(!one.text.expose().contains(&token) && same_text(&token, &token));
        for wrong in ["", "a", &token[1..], &format!("{token}A")] {
            assert!(!same_text(&token, wrong), "{wrong}");
        }
    }
}

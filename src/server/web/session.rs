//! Who is in front of a page: the cookie of a session is read and given out here alone. The API never looks at it.

use super::super::handler::{Handler, Request};
use super::super::reply::{Reply, Status};
use super::{page_reply, see_other};
use crate::config::Secret;
use crate::http::{self, Field};
use crate::index::{Claim, IndexError, SESSION_SECONDS_MAX};
use crate::metrics::Kind;
use crate::server::incoming::Incoming;
use crate::server::statuses;
use crate::web::{self, Asked, Form, Typed, Viewer};
use tokio::io::{AsyncRead, AsyncWrite};

/// Most bytes of a login, which anybody may send: a name, a password of at most 4 KiB and where to go on, encoded.
const LOGIN_BYTES_MAX: usize = 64 * 1024;

/// Where a login leads that was not asked for by a page.
const AFTER_LOGIN: &str = "/+account";

pub(super) const FOREIGN: &str =
    "this form was not sent by a page of this server; open the page anew and send it from there";

impl Handler {
    /// Who is in front of the page: whose session the browser has, or else whom its credentials prove. These may read,
    /// but are given nothing to do: a browser sends them along to whoever makes it.
    pub(in crate::server) async fn viewer(&self, request: &Request<'_>) -> Result<Viewer, IndexError> {
        if let Some(viewer) = self.by_cookie(request).await? {
            return Ok(viewer);
        }
        Ok(Viewer { subject: self.subject(request).await?, ..Viewer::nobody() })
    }

    /// Who has a session with this browser.
    pub(super) async fn by_cookie(&self, request: &Request<'_>) -> Result<Option<Viewer>, IndexError> {
        let name = cookie_name(&self.outside(request));
        let Some(value) = http::cookie(request.facts.get(Field::Cookie), &name) else { return Ok(None) };
        let person = self.index().person(value).await?;
        Ok(person.map(|person| Viewer {
            subject: person.subject,
            form_token: Some(person.form_token),
            session: Some(person.session),
        }))
    }

    /// `GET /+login`, for who is nobody yet.
    pub(super) fn login_page(&self, next: Option<String>) -> web::Page {
        let next = next.as_deref().and_then(http::way_back).unwrap_or(AFTER_LOGIN);
        web::login(&Typed { form: Form::of([("next".to_owned(), next.to_owned())]), wrong: Vec::new() })
    }

    /// Where `GET /+login` leads who is somebody already.
    pub(super) fn past_login(next: Option<&str>) -> Reply {
        see_other(next.and_then(http::way_back).unwrap_or(AFTER_LOGIN))
    }

    /// `POST /+login` with a form. A session is made anew with every login, so nobody can be given one beforehand; and
    /// the form has to come from our own page, or another site could log a person in as somebody else.
    pub(in crate::server) async fn log_in<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        body: &mut Incoming<'_, S>,
    ) -> Reply {
        let sent = match body.whole(LOGIN_BYTES_MAX).await {
            Ok(sent) => sent,
            Err(why) => return crate::server::api::body_failed(&why),
        };
        if !self.is_from_our_page(request) {
            // devpi's JSON under curl's own media type; what it gets is no session.
            if sent.first() == Some(&b'{') {
                return self.log_in_by_json(request, &sent).await;
            }
            return self.refused(request, FOREIGN);
        }
        let form = match Form::parse(&sent) {
            Ok(form) => form,
            Err(why) => return self.page_problem(request, &Viewer::nobody(), &why),
        };
        let secret = Secret::new(form.get("password").unwrap_or_default().to_owned());
        let claim = Claim { user: form.text("user").unwrap_or_default().to_owned(), secret };
        let client = request.facts.get(Field::UserAgent).unwrap_or("a browser without a name");
        match self.index().open_session(&claim, self.peer(request), client).await {
            Ok(cookie) => {
                let to = form.get("next").and_then(http::way_back).unwrap_or(AFTER_LOGIN);
                let outside = self.outside(request);
                let age = SESSION_SECONDS_MAX.to_string();
                see_other(to).line("Set-Cookie", set_cookie(&outside, cookie.expose(), &age))
            }
            Err(why) => self.login_again(request, &form, &why),
        }
    }

    fn login_again(&self, request: &Request<'_>, form: &Form, why: &IndexError) -> Reply {
        let next = form.get("next").and_then(http::way_back).unwrap_or(AFTER_LOGIN);
        let kept = [("user", form.get("user").unwrap_or_default()), ("next", next)];
        let form = Form::of(kept.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let page = web::login(&Typed::wrong(&form, "", statuses::sentence(why)));
        let told = statuses::reply(why, Kind::Other, false);
        // A 401 would have to name a scheme, and a browser would open its own window for it.
        let status = if told.status == Status(401) { Status(403) } else { told.status };
        let base = self.base(request);
        page_reply(&self.asked(&Viewer::nobody(), &base), status, &page)
    }

    /// The end of the session that the browser has.
    pub(super) async fn log_out(&self, request: &Request<'_>, viewer: &Viewer, to: String) -> Reply {
        if let (Some(user), Some(session)) = (viewer.subject.user(), &viewer.session)
            && let Err(why) = self.index().end_session(user, session).await
        {
            return self.page_problem(request, viewer, &why);
        }
        see_other(&to).line("Set-Cookie", set_cookie(&self.outside(request), "", "0"))
    }

    /// Whether a browser sends this from a page of ours.
    pub(super) fn is_from_our_page(&self, request: &Request<'_>) -> bool {
        http::our_own_page(request.facts.fetch_facts(), &self.outside(request))
    }

    /// A form that is not ours.
    pub(super) fn refused(&self, request: &Request<'_>, sentence: &str) -> Reply {
        self.page_problem(request, &Viewer::nobody(), &IndexError::Forbidden(sentence.to_owned()))
    }

    pub(super) fn asked<'a>(&'a self, viewer: &'a Viewer, base: &'a str) -> Asked<'a> {
        Asked { index: self.index(), viewer, base, default_index: self.default_index(), now: self.unix() }
    }

    /// Our origin as the browser sees it, by the host that it asked: a machine may be reached by more than one.
    fn outside(&self, request: &Request<'_>) -> String {
        let host = request.facts.host.unwrap_or("localhost");
        let public = self.base(request);
        let is_public = |scheme: &str| {
            let rest = public.strip_prefix(scheme)?;
            let authority = rest.split('/').next()?;
            authority.eq_ignore_ascii_case(host).then_some(())
        };
        let told = request.facts.get(Field::XForwardedProto).filter(|_| request.peer.is_proxy());
        let secure = is_public("https://").is_some() || told == Some("https");
        format!("{}://{host}", if secure { "https" } else { "http" })
    }
}

/// Cookies know no port: the name does, so that two servers on one machine do not log each other's people out. Over
/// https its beginning binds it to this very host (RFC 6265bis §4.1.3.2): no sister site can plant one.
fn cookie_name(outside: &str) -> String {
    let (scheme, authority) = outside.split_once("://").unwrap_or(("http", outside));
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let beginning = if scheme == "https" { "__Host-" } else { "" };
    match port {
        Some(port) => format!("{beginning}sidewheel-{port}"),
        None => format!("{beginning}sidewheel"),
    }
}

fn set_cookie(outside: &str, value: &str, age: &str) -> String {
    let secure = if outside.starts_with("https://") { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}", cookie_name(outside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_for_this_server_alone() {
        for (outside, name) in [
            ("http://localhost:3141", "sidewheel-3141"),
            ("http://localhost", "sidewheel"),
            ("http://[::1]:3141", "sidewheel-3141"),
            ("http://[::1]", "sidewheel"),
            ("https://pypi.example.org", "__Host-sidewheel"),
            ("https://pypi.example.org:8443", "__Host-sidewheel-8443"),
        ] {
            assert_eq!(cookie_name(outside), name);
            let line = set_cookie(outside, "abc", "60");
            let secure = if outside.starts_with("https") { "; Secure" } else { "" };
            assert_eq!(line, format!("{name}=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict{secure}"));
        }
    }
}

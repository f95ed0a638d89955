use super::handler::{Handler, Request, failed};
use super::incoming::{Incoming, IncomingError};
use super::places::Full;
use super::reply::{Reply, Status};
use super::statuses::RETRY_AFTER_SECONDS;
use crate::api::{self, Answer, Asked, Yank};
use crate::http::{self, Field, FileWhat, Query, Route};
use crate::index::{Claim, IndexError, Removal};
use crate::metrics::Kind;
use crate::names::{IndexName, ProjectName};
use crate::rules::Subject;
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};

/// Most bytes of a JSON body; devpi-client's are under a few KiB.
const JSON_BYTES_MAX: usize = 1024 * 1024;

/// The same of a login, which anybody may send: a name and a password of at most 4 KiB.
const LOGIN_BYTES_MAX: usize = 64 * 1024;

/// Most bytes of a tox result: it holds the output of a whole run.
const TOX_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Why a request of the API has no answer from it.
pub(super) enum Refused {
    Index(IndexError),
    Body(IncomingError),
    Full(Full),
    /// The address does not know the method; which ones it does know.
    Method(&'static str),
}

impl From<IndexError> for Refused {
    fn from(why: IndexError) -> Self {
        Self::Index(why)
    }
}

impl From<IncomingError> for Refused {
    fn from(why: IncomingError) -> Self {
        Self::Body(why)
    }
}

impl Handler {
    /// Who asks: asked only where it matters, since proving it costs something.
    pub(super) async fn subject(&self, request: &Request<'_>) -> Result<Subject, IndexError> {
        match claim(request) {
            None => Ok(Subject::Anonymous),
            Some(claim) => self.index().authenticate(&claim, self.peer(request)).await,
        }
    }

    /// Lets a reader of an index in: anybody where it is public, else whom its settings name.
    pub(super) async fn let_in(&self, request: &Request<'_>, index: &IndexName) -> Result<Openness, IndexError> {
        if self.index().is_public(index) == Some(true) {
            return Ok(Openness::Public);
        }
        let subject = self.subject(request).await?;
        self.index().readable(&subject, index)?;
        Ok(Openness::Protected)
    }

    /// Everything but the two hot journeys.
    pub(super) async fn api<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        route: Route,
        query: &Query,
        body: &mut Incoming<'_, S>,
    ) -> Reply {
        let answered = self.answered(request, route, query, body).await;
        let reply = match answered {
            Ok(answer) => return self.spoken(answer).await,
            Err(Refused::Index(why)) => self.denied(request, &why, Kind::Other, true),
            Err(Refused::Body(why)) => body_failed(&why),
            Err(Refused::Full(why)) => full(&why, true),
            Err(Refused::Method(allowed)) => unknown_method(allowed),
        };
        self.signed(reply).await
    }

    /// `POST /+login` whose body was read already.
    pub(super) async fn log_in_by_json(&self, request: &Request<'_>, sent: &[u8]) -> Reply {
        let answered = async { api::login(self.index(), &api::object(sent)?, self.peer(request)).await };
        match answered.await {
            Ok(answer) => self.spoken(answer).await,
            Err(why) => self.signed(self.denied(request, &why, Kind::Other, true)).await,
        }
    }

    async fn answered<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        route: Route,
        query: &Query,
        body: &mut Incoming<'_, S>,
    ) -> Result<Answer, Refused> {
        let method = request.facts.method;
        if let (Route::Login, "POST") = (&route, method) {
            let given = api::object(&body.whole(LOGIN_BYTES_MAX).await?)?;
            return Ok(api::login(self.index(), &given, self.peer(request)).await?);
        }
        let (subject, proof) = (self.subject(request).await?, claim(request));
        let base = self.base(request);
        let asked = Asked { index: self.index(), subject: &subject, proof: proof.as_ref(), base: &base };
        match (route, method) {
            (Route::Login, _) => Err(Refused::Method("POST")),
            (Route::Root, "GET" | "HEAD") => Ok(api::show_users(&asked)),
            (Route::Api | Route::UserApi(_), "GET" | "HEAD") => Ok(api::config(&asked, None)?),
            (Route::IndexApi(index), "GET" | "HEAD") => Ok(api::config(&asked, Some(&index))?),
            (Route::Status, "GET" | "HEAD") => Ok(api::status(&asked, self.unix()).await?),
            (Route::User(user), method) => match method {
                "GET" | "HEAD" => Ok(api::show_user(&asked, &user)?),
                "PUT" => Ok(api::create_user(&asked, &user, &self.object(body).await?).await?),
                "PATCH" => Ok(api::modify_user(&asked, &user, &self.object(body).await?).await?),
                "DELETE" => Ok(api::delete_user(&asked, &user).await?),
                _ => Err(Refused::Method("GET, HEAD, PUT, PATCH, DELETE")),
            },
            (Route::Index { index, .. }, method) => match method {
                "GET" | "HEAD" => Ok(api::show_index(&asked, &index, !query.no_projects).await?),
                "PUT" => {
                    let given = self.object(body).await?;
                    Ok(api::create_index(&asked, &index, &given).await?)
                }
                "PATCH" => {
                    let change = self.whole(body, JSON_BYTES_MAX).await?;
                    Ok(api::modify_index(&asked, &index, &change, query.error_on_noop).await?)
                }
                "DELETE" => Ok(api::delete_index(&asked, &index).await?),
                "PUSH" | "POST" => {
                    let given = self.object(body).await?;
                    Ok(api::push(&asked, &index, given).await?)
                }
                _ => Err(Refused::Method("GET, HEAD, PUT, PATCH, DELETE, POST, PUSH")),
            },
            (Route::ProjectInfo { index, name, .. }, method) => match method {
                "GET" | "HEAD" => Ok(api::show_project(&asked, &index, &name, query.ignore_bases).await?),
                "DELETE" => Ok(api::delete_project(&asked, &index, &name, query.force).await?),
                _ => Err(Refused::Method("GET, HEAD, DELETE")),
            },
            (Route::VersionInfo { index, name, version, .. }, method) => match method {
                "GET" | "HEAD" => Ok(api::show_version(&asked, &index, &name, &version).await?),
                "DELETE" => Ok(api::delete_version(&asked, &index, &name, &version, query.force).await?),
                "PATCH" => {
                    let yank = Yank::parse(&self.object(body).await?)?;
                    Ok(yank.carry_out(&asked, &index, &Removal::Version(&name, &version)).await?)
                }
                _ => Err(Refused::Method("GET, HEAD, DELETE, PATCH")),
            },
            (Route::File { index, prefix, filename, what: FileWhat::ToxResult(stamp) }, method) => match method {
                "DELETE" => {
                    let name = format!("{filename}{stamp}");
                    Ok(api::delete_file(&asked, &index, &name, prefix, query.force).await?)
                }
                _ => Err(Refused::Method("GET, HEAD, DELETE")),
            },
            (Route::File { index, prefix, filename, what: FileWhat::Itself }, method) => match method {
                "GET" | "HEAD" => {
                    Ok(api::show_file(&asked, &index, &filename.projects(), filename.as_str(), prefix).await?)
                }
                "DELETE" => Ok(api::delete_file(&asked, &index, filename.as_str(), prefix, query.force).await?),
                "PATCH" => {
                    let yank = Yank::parse(&self.object(body).await?)?;
                    Ok(yank.carry_out(&asked, &index, &Removal::File(filename.as_str(), prefix)).await?)
                }
                "POST" => {
                    // Before 32 MiB are read.
                    self.index().readable(&subject, &index)?;
                    let result = self.whole(body, TOX_BYTES_MAX).await?;
                    crate::upload::check_toxresult(&result).map_err(|why| IndexError::Invalid(why.to_string()))?;
                    let stored = self.index().store_toxresult(&subject, &index, &filename, prefix, result);
                    Ok(api::tox_stored(stored.await?))
                }
                _ => Err(Refused::Method("GET, HEAD, DELETE, PATCH, POST")),
            },
            _ => Err(Refused::Method("GET, HEAD")),
        }
    }

    async fn object<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        body: &mut Incoming<'_, S>,
    ) -> Result<Map<String, Value>, Refused> {
        Ok(api::object(&self.whole(body, JSON_BYTES_MAX).await?)?)
    }

    /// A body that is held in memory until the answer is given; large ones are few at a time.
    pub(super) async fn whole<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        body: &mut Incoming<'_, S>,
        bytes_max: usize,
    ) -> Result<Bytes, Refused> {
        if !body.states_more_than(bytes_max as u64) {
            body.place = self.places().for_body(body.stated()).await.map_err(Refused::Full)?;
        }
        Ok(body.whole(bytes_max).await?)
    }

    /// `POST /{user}/{index}/+simple/{project}/refresh`: devpi's client sends no credentials with it.
    pub(super) async fn refresh(&self, request: &Request<'_>, index: &IndexName, project: &ProjectName) -> Reply {
        if request.facts.method != "POST" {
            return unknown_method("POST");
        }
        let refreshed = async {
            let subject = self.subject(request).await?;
            let entry = self.index().readable(&subject, index)?;
            self.index().refresh(&entry, project).await
        };
        match refreshed.await {
            Ok(()) => self.signed(found(&format!("{}/+simple/{project}/", http::index_path(index)))).await,
            Err(why) => self.denied(request, &why, Kind::Other, true),
        }
    }

    /// An error, and where it is a refusal, how to prove who one is.
    pub(super) fn denied(&self, request: &Request<'_>, why: &IndexError, kind: Kind, json: bool) -> Reply {
        let reply = failed(why, kind, json);
        match why {
            IndexError::Unproved(_) => reply.line("WWW-Authenticate", CHALLENGE),
            IndexError::NeedsLogin(_) => {
                let reply = reply.line("WWW-Authenticate", CHALLENGE);
                // devpi's client forgets a login that is over when it is told where to log in again.
                match request.facts.get(Field::XDevpiAuth) {
                    Some(_) => reply.line("Location", format_args!("{}/+login", self.base(request))),
                    None => reply,
                }
            }
            _ => reply,
        }
    }

    async fn spoken(&self, answer: Answer) -> Reply {
        let reply = Reply::text(Status(answer.status), Kind::Other, "application/json", answer.text());
        self.signed(reply.line("Cache-Control", "no-store")).await
    }

    /// What devpi's client looks for in every answer.
    pub(super) async fn signed(&self, reply: Reply) -> Reply {
        let reply =
            reply.line("X-DEVPI-API-VERSION", api::VERSION_SPOKEN).line("X-DEVPI-SERVER-VERSION", api::SERVER_SPOKEN);
        match self.index().identity().await {
            Ok((serial, uuid)) => reply
                .line("X-DEVPI-SERIAL", serial)
                .line("X-DEVPI-UUID", &uuid)
                .line("X-DEVPI-MASTER-UUID", &uuid)
                .line("X-DEVPI-PRIMARY-UUID", &uuid),
            Err(_) => reply,
        }
    }
}

/// Stands in every 401 (RFC 9110 §15.5.2).
const CHALLENGE: &str = "Basic realm=\"pypi\"";

/// Whether answers may be kept by caches that serve several users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Openness {
    Public,
    Protected,
}

impl Openness {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Protected => "private",
        }
    }
}

fn claim(request: &Request<'_>) -> Option<Claim> {
    let facts = request.facts;
    let (user, secret) = http::credentials(facts.get(Field::Authorization), facts.get(Field::XDevpiAuth))?;
    Some(Claim { user, secret: crate::config::Secret::new(secret) })
}

/// 302 to another place of ours.
pub(super) fn found(location: &str) -> Reply {
    Reply::text(Status(302), Kind::Other, "text/plain; charset=utf-8", format!("found at {location}\n"))
        .line("Location", location)
        .line("Cache-Control", "no-store")
}

fn unknown_method(allowed: &str) -> Reply {
    let sentence = format!("this address knows only {allowed}");
    Reply::error(Status(405), Kind::Other, &sentence, true).line("Allow", allowed)
}

pub(super) fn full(why: &Full, json: bool) -> Reply {
    Reply::error(Status(503), Kind::Other, &why.to_string(), json).line("Retry-After", RETRY_AFTER_SECONDS)
}

pub(super) fn body_failed(why: &IncomingError) -> Reply {
    let status = match why {
        IncomingError::TooLarge(_) => Status(413),
        IncomingError::Slow => Status(408),
        IncomingError::Gone(_) | IncomingError::Chunks => Status(400),
    };
    Reply::error(status, Kind::Other, &why.to_string(), true)
}

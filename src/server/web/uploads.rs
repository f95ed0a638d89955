//! `POST /+do/upload?index=…`: files that a browser sends, by a form of ours or by its script. Whose session it is and
//! whether he may is asked before the body is read; the form's token before anything is published.

use super::super::handler::{Handler, Request};
use super::super::reply::{Reply, Status};
use super::actions::{STALE, is_ours};
use super::page_reply;
use crate::http::{self, Field, Query};
use crate::index::{IndexError, Stored};
use crate::metrics::Kind;
use crate::names::IndexName;
use crate::server::incoming::{Incoming, IncomingError};
use crate::server::uploads::{AROUND_BYTES_MAX, Refused};
use crate::server::{api, statuses};
use crate::upload::{self, Content, Limits, UploadError};
use crate::web::{self, Outcome, Sent, Viewer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

/// Files of one form: a release has some twenty wheels. The script sends each on its own.
const FILES_MAX: usize = 64;

impl Handler {
    pub(super) async fn upload_in_browser<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        query: &Query,
        viewer: &Viewer,
        body: &mut Incoming<'_, S>,
    ) -> Reply {
        let json = http::wants_plain_json(request.facts.get(Field::Accept));
        match self.taken(request, query, viewer, body).await {
            Ok(taken) => {
                let status = taken.refused.as_ref().map_or(Status::OK, |reply| reply.status);
                let mut reply = match json {
                    true => told(&taken.index, status, &taken.sent),
                    false => {
                        let base = self.base(request);
                        page_reply(&self.asked(viewer, &base), status, &web::uploaded(&taken.index, &taken.sent))
                    }
                };
                reply.trouble = taken.refused.and_then(|refused| refused.trouble);
                reply
            }
            Err(Refused::Full(why)) => api::full(&why, json),
            Err(Refused::Upload(UploadError::Body(_))) if body.was_slow() => api::body_failed(&IncomingError::Slow),
            Err(Refused::Upload(why @ UploadError::Body(_))) => statuses::upload(&why, json),
            Err(why) => {
                let (refused, sentence) = words(&why);
                let status = refused.status;
                if json {
                    return refused;
                }
                let base = self.base(request);
                let page = web::problem(status.0, status.phrase(), &sentence);
                let mut reply = page_reply(&self.asked(viewer, &base), status, &page);
                reply.trouble = refused.trouble;
                reply
            }
        }
    }

    async fn taken<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        query: &Query,
        viewer: &Viewer,
        body: &mut Incoming<'_, S>,
    ) -> Result<Taken, Refused> {
        let invalid = |why: &str| IndexError::Invalid(why.to_owned());
        let index = query.field("index").and_then(|name| IndexName::parse(&name).ok());
        let index = index.ok_or_else(|| invalid("the address does not say which index the files are for"))?;
        self.index().may_upload(&viewer.subject, &index)?;
        let limits = Limits { content_bytes_max: self.upload_bytes_max(), contents_max: FILES_MAX };
        let content_type = request.facts.get(Field::ContentType).unwrap_or_default();
        if body.states_more_than(limits.content_bytes_max.saturating_add(AROUND_BYTES_MAX)) {
            let what = "the upload (one file at a time, it may fit)";
            return Err(UploadError::TooLarge { what, limit: limits.content_bytes_max }.into());
        }
        body.place = Some(self.places().for_upload().await.map_err(Refused::Full)?);
        let mut form = upload::receive(body.pieces(), content_type, self.index().disk(), limits).await?;
        // To the end, so that the connection can go on.
        while let Ok(Some(_)) = body.next().await {}
        if !is_ours(viewer, form.get("token")) {
            return Err(IndexError::Forbidden(STALE.to_owned()).into());
        }
        if form.get("what") == Some("docs") {
            let filename = form.content.as_ref().map(|content| content.filename.clone()).unwrap_or_default();
            let outcome = self.take_docs(viewer, &index, form).await;
            let mut taken = Taken { index, sent: Vec::new(), refused: None };
            taken.add(filename, outcome);
            return Ok(taken);
        }
        // What a browser sends for a field in which nothing was chosen has no name.
        let contents = form.content.take().into_iter().chain(form.more.drain(..));
        let contents: Vec<_> = contents.filter(|content| !content.filename.is_empty()).collect();
        if contents.is_empty() {
            return Err(invalid("no file was chosen; go back and choose one").into());
        }
        let mut taken = Taken { index, sent: Vec::new(), refused: None };
        for content in contents {
            let filename = content.filename.clone();
            let outcome = self.take_bare(viewer, &taken.index, content).await;
            taken.add(filename, outcome);
        }
        Ok(taken)
    }

    async fn take_bare(&self, viewer: &Viewer, index: &IndexName, content: Content) -> Result<Outcome, Refused> {
        let file = upload::check_bare_file(content).await?;
        let (project, version) = (file.project.clone(), Some(file.version.clone()));
        let stored = self.index().publish(&viewer.subject, index, file).await?;
        Ok(Outcome::There { project, version, before: stored == Stored::Identical })
    }

    async fn take_docs(&self, viewer: &Viewer, index: &IndexName, form: upload::Form) -> Result<Outcome, Refused> {
        let docs = upload::check_docs(form).await?;
        let (project, version) = (docs.project.clone(), docs.version.clone());
        let stored = self.index().publish_docs(&viewer.subject, index, docs).await?;
        Ok(Outcome::There { project, version, before: stored == Stored::Identical })
    }
}

/// What became of the files of a form.
struct Taken {
    index: IndexName,
    sent: Vec<Sent>,
    /// The answer to the first that was not taken, had it come alone.
    refused: Option<Reply>,
}

impl Taken {
    fn add(&mut self, filename: String, outcome: Result<Outcome, Refused>) {
        let outcome = outcome.unwrap_or_else(|why| {
            let (reply, sentence) = words(&why);
            self.refused.get_or_insert(reply);
            Outcome::Refused(sentence)
        });
        self.sent.push(Sent { filename, outcome });
    }
}

/// What a refusal is as an answer of its own, and in words.
fn words(why: &Refused) -> (Reply, String) {
    match why {
        Refused::Index(why) => {
            let mut reply = statuses::reply(why, Kind::Other, true);
            // A 401 would have to name a scheme, and a browser would open its own window for it.
            if reply.status == Status(401) {
                reply.status = Status(403);
            }
            (reply, statuses::sentence(why))
        }
        Refused::Upload(why) => (statuses::upload(why, true), statuses::upload_sentence(why)),
        Refused::Full(why) => (api::full(why, true), why.to_string()),
    }
}

/// For the script.
fn told(index: &IndexName, status: Status, sent: &[Sent]) -> Reply {
    let files: Vec<Value> = sent
        .iter()
        .map(|one| {
            let refused = matches!(one.outcome, Outcome::Refused(_));
            json!({ "filename": one.filename, "refused": refused, "words": one.words(), "path": one.path(index) })
        })
        .collect();
    let text = json!({ "files": files }).to_string() + "\n";
    Reply::text(status, Kind::Other, "application/json", text).line("Cache-Control", "no-store")
}

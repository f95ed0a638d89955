//! `POST /+do/{action}`: the forms of the pages. Each is proved to be ours before it is looked into.

use super::super::handler::{Handler, Request, is_plain_form};
use super::super::reply::{Reply, Status};
use super::session::FOREIGN;
use super::{page_reply, see_other};
use crate::auth::same_text;
use crate::http::{self, Route, Routed};
use crate::index::{FileKey, IndexError, Place};
use crate::metrics::Kind;
use crate::server::api::Openness;
use crate::server::incoming::Incoming;
use crate::server::{api, statuses};
use crate::web::{self, Acted, Doer, Form, Note, Viewer};
use tokio::io::{AsyncRead, AsyncWrite};

/// Most bytes of a form without a file; the longest has a description of an index in it, and every character of another
/// script is nine when it is encoded.
const FORM_BYTES_MAX: usize = 256 * 1024;

pub(super) const STALE: &str = "this form belongs to another login; open the page anew and send it from there";

impl Handler {
    pub(in crate::server) async fn act<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        action: &str,
        query: &http::Query,
        body: &mut Incoming<'_, S>,
    ) -> Reply {
        if request.facts.method != "POST" {
            let reply = Reply::error(Status(405), Kind::Other, "forms are sent here with POST", false);
            return reply.line("Allow", "POST");
        }
        // In this order: who made the browser send it, who has the browser, and only then what it says.
        if !self.is_from_our_page(request) {
            return self.refused(request, FOREIGN);
        }
        let viewer = match self.by_cookie(request).await {
            Ok(Some(viewer)) => viewer,
            Ok(None) => {
                let base = self.base(request);
                return page_reply(&self.asked(&Viewer::nobody(), &base), Status(403), &web::not_logged_in(None));
            }
            Err(why) => return self.page_problem(request, &Viewer::nobody(), &why),
        };
        if action == "upload" {
            return self.upload_in_browser(request, query, &viewer, body).await;
        }
        if !is_plain_form(request) {
            return Reply::error(Status(415), Kind::Other, "this address takes forms", false);
        }
        let form = match self.whole(body, FORM_BYTES_MAX).await {
            Ok(sent) => Form::parse(&sent),
            Err(api::Refused::Full(why)) => return api::full(&why, false),
            Err(api::Refused::Body(why)) => return api::body_failed(&why),
            Err(api::Refused::Index(why)) => Err(why),
            Err(api::Refused::Method(_)) => Err(IndexError::Lost),
        };
        match form {
            Ok(form) if !is_ours(&viewer, form.get("token")) => self.refused(request, STALE),
            Ok(form) => self.carry_out(request, &viewer, action, &form).await,
            Err(why) => self.page_problem(request, &viewer, &why),
        }
    }

    async fn carry_out(&self, request: &Request<'_>, viewer: &Viewer, action: &str, form: &Form) -> Reply {
        if action == "logout" {
            return self.log_out(request, viewer, Note::LoggedOut.at("/")).await;
        }
        let (Some(user), Some(session)) = (viewer.subject.user(), &viewer.session) else {
            return self.refused(request, STALE);
        };
        if action == "download" {
            return self.download(request, viewer, form).await;
        }
        let base = self.base(request);
        let asked = self.asked(viewer, &base);
        let doer = Doer { user, session, peer: self.peer(request) };
        match web::act(&asked, &doer, action, form).await {
            Ok(Acted::Done { to, note }) => {
                tracing::info!(action, %user, to, "done in the browser");
                see_other(&note.at(http::way_back(&to).unwrap_or("/")))
            }
            Ok(Acted::Shown(page)) => page_reply(&asked, Status::OK, &page),
            Ok(Acted::Again(page, why)) => page_reply(&asked, form_status(&why), &page),
            Err(why) => self.page_problem(request, viewer, &why),
        }
    }
}

impl Handler {
    /// A file of an index that not everybody may read: its own address is the API's, which takes no cookie.
    async fn download(&self, request: &Request<'_>, viewer: &Viewer, form: &Form) -> Reply {
        let routed = form.get("file").and_then(http::way_back).map(http::route);
        let Some(Routed::Found { route: Route::File { index, prefix, filename, what }, .. }) = routed else {
            let why = IndexError::Invalid("the form does not say which file is meant".to_owned());
            return self.page_problem(request, viewer, &why);
        };
        if let Err(why) = self.index().readable(&viewer.subject, &index) {
            return self.page_problem(request, viewer, &why);
        }
        let file = FileKey { index, place: Place::Digest(prefix), filename };
        self.file_for(request, file, what, Openness::Protected, false).await
    }
}

/// Whether the form carries what only the pages of this very session hold.
pub(super) fn is_ours(viewer: &Viewer, token: Option<&str>) -> bool {
    matches!((&viewer.form_token, token), (Some(ours), Some(sent)) if same_text(ours, sent))
}

/// Who is logged in and is refused gets no 401: it would have to name a scheme, and a browser would open its own window.
fn form_status(why: &IndexError) -> Status {
    match statuses::reply(why, Kind::Other, false).status {
        Status(401) => Status(403),
        status => status,
    }
}

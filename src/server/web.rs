mod actions;
mod docs;
mod search;
mod session;
mod uploads;

pub(super) use docs::DocsPlace;

use super::handler::{Handler, Request};
use super::reply::{Reply, Status};
use super::statuses;
use crate::http::{self, Field, IndexForm, Query, Route, wants_page};
use crate::index::IndexError;
use crate::metrics::Kind;
use crate::rules::Subject;
use crate::web::{self, Asked, Doorway, Note, Page, Viewer};

/// What every page says to browsers: nothing but what is ours, no frame around it, no script in it.
const PAGE_SAFE: &str = "Cross-Origin-Resource-Policy: same-origin\r\n\
                         Cross-Origin-Opener-Policy: same-origin\r\nReferrer-Policy: same-origin\r\n";

/// Pictures of descriptions lie elsewhere; everything else is ours.
fn content_security_policy(pictures: bool) -> &'static str {
    match pictures {
        true => {
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data: https:; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        }
        false => {
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        }
    }
}

/// A year: an asset's name holds its digest.
const ASSET_CACHE_CONTROL: &str = "max-age=31536000, immutable, public";

impl Handler {
    /// Whether a request that reads is one for a page: some addresses are pages alone, of others programs read JSON.
    pub(super) fn is_for_page(request: &Request<'_>, route: &Route) -> bool {
        match route {
            Route::Search
            | Route::Account
            | Route::NewIndex(_)
            | Route::IndexForm { .. }
            | Route::ToxResults { .. } => true,
            Route::Root
            | Route::Status
            | Route::Login
            | Route::User(_)
            | Route::Index { .. }
            | Route::ProjectInfo { .. }
            | Route::VersionInfo { .. } => wants_page(request.facts.get(Field::Accept)),
            _ => false,
        }
    }

    /// A page for people.
    pub(super) async fn page_for_people(&self, request: &Request<'_>, route: Route, query: &Query) -> Reply {
        let viewer = match self.viewer(request).await {
            Ok(viewer) => viewer,
            Err(why) => return self.page_problem(request, &Viewer::nobody(), &why),
        };
        let base = self.base(request);
        let asked = self.asked(&viewer, &base);
        let next = query.field("next");
        if route == Route::Login {
            return match viewer.session {
                Some(_) => Self::past_login(next.as_deref()),
                None => page_reply(&asked, Status::OK, &self.login_page(next)),
            };
        }
        if route == Route::Status {
            return page_reply(&asked, Status::OK, &web::status(&asked, &self.doorway()));
        }
        match page(&asked, route, query).await {
            Ok(page) => {
                let note = query.field("done").and_then(|word| Note::of_word(&word));
                page_reply(&asked, Status::OK, &Page { note, ..page })
            }
            Err(IndexError::NeedsLogin(_)) if viewer.subject == Subject::Anonymous => to_login(&asked, request),
            Err(why) => self.page_problem(request, &viewer, &why),
        }
    }

    /// What `/+status` shows of this moment.
    pub(super) fn status_event(&self, viewer: &Viewer) -> String {
        web::status_event(&self.index().status(&viewer.subject), &self.doorway())
    }

    fn doorway(&self) -> Doorway {
        Doorway { uploads: self.places().uploads(), connections_max: self.connections_max() }
    }

    /// A browser is at an address of which we know nothing.
    pub(super) async fn nothing_here(&self, request: &Request<'_>) -> Reply {
        let viewer = self.viewer(request).await.unwrap_or_else(|_| Viewer::nobody());
        let why = IndexError::NotThere("there is nothing at this address".to_owned());
        self.page_problem(request, &viewer, &why)
    }

    fn page_problem(&self, request: &Request<'_>, viewer: &Viewer, why: &IndexError) -> Reply {
        let failed = statuses::reply(why, Kind::Other, false);
        // Nobody is asked for credentials here: a browser would open its own window, beside our page for it.
        let status = if failed.status == Status(401) { Status(403) } else { failed.status };
        let base = self.base(request);
        let page = web::problem(status.0, status.phrase(), &statuses::sentence(why));
        Reply { trouble: failed.trouble, ..page_reply(&self.asked(viewer, &base), status, &page) }
    }

    /// `/+static/{name}`
    pub(super) fn asset(&self, name: &str) -> Reply {
        match web::asset(name) {
            Some(asset) => Reply::text(Status::OK, Kind::Other, asset.content_type, asset.bytes)
                .line("Cross-Origin-Resource-Policy", "same-origin")
                .line("Cache-Control", ASSET_CACHE_CONTROL),
            None => Reply::error(Status(404), Kind::Other, "there is nothing at this address", false),
        }
    }
}

async fn page(asked: &Asked<'_>, route: Route, query: &Query) -> Result<Page, IndexError> {
    match route {
        Route::Root => Ok(web::front(asked)),
        Route::User(user) => web::user(asked, &user),
        Route::Index { index, .. } => web::index(asked, &index, query).await,
        Route::ProjectInfo { index, name, .. } => web::project(asked, &index, &name, query).await,
        Route::VersionInfo { index, name, version, .. } => web::version(asked, &index, &name, &version, query).await,
        Route::Search => web::search(asked, query).await,
        Route::ToxResults { index, name, version } => web::toxresults(asked, &index, &name, &version, query).await,
        Route::Account => web::account(asked).await,
        Route::NewIndex(user) => web::new_index(asked, &user, query.field("type").as_deref()).await,
        Route::IndexForm { index, form: IndexForm::Settings } => web::index_settings(asked, &index).await,
        Route::IndexForm { index, form: IndexForm::Upload } => web::upload(asked, &index),
        _ => Err(IndexError::NotThere("there is no page at this address".to_owned())),
    }
}

/// The way to the login for who may not read the page as nobody, and back.
fn to_login(asked: &Asked<'_>, request: &Request<'_>) -> Reply {
    let here = http::way_back(request.facts.target);
    // Who comes by a link from elsewhere brings no cookie, for it is `SameSite=Strict`; our own page gets it.
    if let (Some("cross-site" | "same-site"), Some(here)) = (request.facts.get(Field::SecFetchSite), here) {
        return page_reply(asked, Status::OK, &web::once_more(here));
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", here.unwrap_or("/"));
    see_other(&format!("/+login?{}", query.finish()))
}

/// 303 to a place of ours.
fn see_other(to: &str) -> Reply {
    Reply::text(Status(303), Kind::Other, "text/plain; charset=utf-8", format!("go on at {to}\n"))
        .line("Location", to)
        .line("Cache-Control", "no-store")
}

fn page_reply(asked: &Asked<'_>, status: Status, page: &Page) -> Reply {
    let text = web::document(asked, page);
    let mut reply = Reply::text(status, Kind::Other, "text/html; charset=utf-8", text);
    reply.lines.push_str(PAGE_SAFE);
    reply
        .line("Content-Security-Policy", content_security_policy(page.pictures))
        .line("Cache-Control", "no-store")
        .line("Vary", "Accept, Cookie")
}

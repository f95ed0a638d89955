//! Uploaded documents are pages that somebody else wrote, at our own address: what they may do is said here.

use super::super::handler::{Handler, Request};
use super::super::reply::{Body, Reply, Status};
use super::to_login;
use crate::http::{self, Field, wants_page};
use crate::index::{Docs, DocsMember, IndexError};
use crate::metrics::Kind;
use crate::names::{IndexName, ProjectName};
use crate::rules::Subject;
use crate::server::api::found;
use crate::web;

/// No script: it would act as the person who reads. The origin stays, for an opaque one would be sent no cookie, and
/// private documents need it.
const DOCS_POLICY: &str = "sandbox allow-same-origin allow-popups allow-top-navigation-by-user-activation; \
     default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
     media-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// As devpi-web: documents of a version may be uploaded anew.
const DOCS_CACHE_CONTROL: &str = "max-age=60, public";

/// Of an index that not everybody may read: asked for again each time, lest one reads what another was shown.
const PROTECTED_DOCS_CACHE_CONTROL: &str = "no-cache, private";

/// Where documents are.
pub(in crate::server) struct DocsPlace {
    pub index: IndexName,
    pub name: ProjectName,
    pub version: String,
    pub path: String,
}

impl Handler {
    /// `/{user}/{index}/{project}/{version}/+doc/{path}`
    pub(in crate::server) async fn docs(&self, request: &Request<'_>, place: DocsPlace) -> Reply {
        let for_person = wants_page(request.facts.get(Field::Accept));
        let viewer = match self.viewer(request).await {
            Ok(viewer) => viewer,
            Err(why) => return self.denied(request, &why, Kind::Other, false),
        };
        match self.docs_reply(request, &viewer.subject, &place).await {
            Ok(reply) => reply,
            Err(IndexError::NeedsLogin(_)) if for_person && viewer.subject == Subject::Anonymous => {
                to_login(&self.asked(&viewer, &self.base(request)), request)
            }
            Err(why) if for_person => self.page_problem(request, &viewer, &why),
            Err(why) => self.denied(request, &why, Kind::Other, false),
        }
    }

    async fn docs_reply(
        &self,
        request: &Request<'_>,
        subject: &Subject,
        place: &DocsPlace,
    ) -> Result<Reply, IndexError> {
        let DocsPlace { index, name, version, path } = place;
        let entry = self.index().readable(subject, index)?;
        let here = http::docs_path(index, name, version, path);
        let asked = request.facts.target.split('?').next().unwrap_or_default();
        // Links of the documents are relative to the slash; devpi's frame around them led here.
        if (path.is_empty() && !asked.ends_with('/')) || asked.contains("/+d/") {
            return Ok(found(&here));
        }
        let head_only = request.facts.method == "HEAD";
        match self.index().docs(&entry, name, version, path, head_only).await? {
            Docs::Directory => Ok(found(&format!("{here}/"))),
            Docs::Member(member) => {
                let public = self.index().is_public(index) == Some(true);
                Ok(member_reply(request, member, public))
            }
        }
    }
}

fn member_reply(request: &Request<'_>, member: DocsMember, public: bool) -> Reply {
    let etag = format!("\"{}\"", member.tag);
    let not_modified = http::not_modified(request.facts.get(Field::IfNoneMatch), None, &etag, None);
    let status = if not_modified { Status::NOT_MODIFIED } else { Status::OK };
    let mut reply = Reply::new(status, Kind::Other)
        .line("ETag", etag)
        .line("Cache-Control", if public { DOCS_CACHE_CONTROL } else { PROTECTED_DOCS_CACHE_CONTROL })
        .line("Vary", "Cookie")
        .line("Content-Security-Policy", DOCS_POLICY)
        .line("X-Content-Type-Options", "nosniff")
        .line("Cross-Origin-Resource-Policy", "same-origin")
        .line("Cross-Origin-Opener-Policy", "same-origin")
        .line("Referrer-Policy", "same-origin");
    if not_modified {
        return reply;
    }
    reply = match web::docs_type(&member.name) {
        Some(content_type) => reply.line("Content-Type", content_type),
        None => reply.line("Content-Type", "application/octet-stream").line("Content-Disposition", "attachment"),
    };
    reply = reply.line("Content-Length", member.size);
    reply.body = Body::Bytes(member.bytes.into());
    reply
}

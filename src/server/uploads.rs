use super::handler::{Handler, Request};
use super::incoming::{Incoming, IncomingError};
use super::places::Full;
use super::reply::{Reply, Status};
use crate::http::Field;
use crate::index::{IndexError, Stored};
use crate::metrics::Kind;
use crate::names::IndexName;
use crate::rules::Subject;
use crate::upload::{self, Action, Limits, UploadError};
use tokio::io::{AsyncRead, AsyncWrite};

/// Why an upload was not taken.
pub(super) enum Refused {
    Index(IndexError),
    Upload(UploadError),
    Full(Full),
}

impl From<IndexError> for Refused {
    fn from(why: IndexError) -> Self {
        Self::Index(why)
    }
}

impl From<upload::Refusal> for Refused {
    fn from(why: upload::Refusal) -> Self {
        Self::Upload(why.into())
    }
}

impl From<UploadError> for Refused {
    fn from(why: UploadError) -> Self {
        Self::Upload(why)
    }
}

/// What a body may hold beside its file, in bytes: the fields and all that is around them. One that states more than
/// both is not read at all.
pub(super) const AROUND_BYTES_MAX: u64 = 2 * upload::FIELDS_BYTES_MAX as u64;

/// devpi's words for bytes that were there already.
const IDENTICAL: &str = "Upload of identical file to non volatile index.";

impl Handler {
    /// `POST /{user}/{index}/`: what twine, uv, flit, hatch, poetry, pdm and devpi-client upload. Who may not is told
    /// before the body is read.
    pub(super) async fn upload<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        index: &IndexName,
        body: &mut Incoming<'_, S>,
        json: bool,
    ) -> Reply {
        let reply = match self.uploaded(request, index, body).await {
            // Success is exactly 200 for devpi's client, and no redirect for twine.
            Ok(stored) => {
                let reply = Reply::text(Status::OK, Kind::Other, "text/html; charset=UTF-8", "");
                if stored == Stored::Identical { reply.reason(IDENTICAL) } else { reply }
            }
            Err(Refused::Index(why)) => {
                let reason = super::statuses::sentence(&why);
                self.denied(request, &why, Kind::Other, json).reason(&reason)
            }
            Err(Refused::Full(why)) => super::api::full(&why, json).reason(&why.to_string()),
            Err(Refused::Upload(UploadError::Body(_))) if body.was_slow() => {
                super::api::body_failed(&IncomingError::Slow)
            }
            Err(Refused::Upload(why)) => {
                let reply = super::statuses::upload(&why, json);
                match why {
                    UploadError::Body(_) => reply,
                    why => reply.reason(&why.to_string()),
                }
            }
        };
        self.signed(reply).await
    }

    async fn uploaded<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        index: &IndexName,
        body: &mut Incoming<'_, S>,
    ) -> Result<Stored, Refused> {
        let subject = self.subject(request).await?;
        self.index().may_upload(&subject, index)?;
        let limits = Limits { content_bytes_max: self.upload_bytes_max(), contents_max: 1 };
        let content_type = request.facts.get(Field::ContentType).unwrap_or_default();
        if body.states_more_than(limits.content_bytes_max.saturating_add(AROUND_BYTES_MAX)) {
            return Err(UploadError::TooLarge { what: "the upload", limit: limits.content_bytes_max }.into());
        }
        body.place = Some(self.places().for_upload().await.map_err(Refused::Full)?);
        let form = upload::receive(body.pieces(), content_type, self.index().disk(), limits).await?;
        // To the end, so that the connection can go on.
        while let Ok(Some(_)) = body.next().await {}
        self.take(&subject, index, form).await
    }

    async fn take(&self, subject: &Subject, index: &IndexName, form: upload::Form) -> Result<Stored, Refused> {
        match Action::of(&form)? {
            Action::FileUpload => {
                let file = upload::check_file(form).await?;
                Ok(self.index().publish(subject, index, file).await?)
            }
            Action::DocUpload => {
                let docs = upload::check_docs(form).await?;
                Ok(self.index().publish_docs(subject, index, docs).await?)
            }
            Action::Submit => {
                self.index().register(subject, index, upload::check_submit(&form)?).await?;
                Ok(Stored::New)
            }
        }
    }
}

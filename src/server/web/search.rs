use super::super::handler::{Handler, Request, failed};
use super::super::reply::{Reply, Status};
use crate::api;
use crate::http::{Field, Query, wants_plain_json};
use crate::index::IndexError;
use crate::metrics::Kind;
use crate::names::IndexName;
use crate::web;

impl Handler {
    /// Whether a search is asked for by a program.
    pub(in crate::server) fn wants_found_as_json(request: &Request<'_>, query: &Query) -> bool {
        match query.format.as_deref() {
            Some(format) => format == "json",
            None => wants_plain_json(request.facts.get(Field::Accept)),
        }
    }

    /// `GET /+search`, as JSON. It is what the page shows, and shows it to whom the page would: its own script asks.
    pub(in crate::server) async fn search(&self, request: &Request<'_>, query: &Query) -> Reply {
        let found = async {
            let viewer = self.viewer(request).await?;
            let (ask, page) = web::search_ask(query)?;
            let answer = self.index().search(&viewer.subject, &ask).await?;
            Ok::<_, IndexError>(api::search(&answer, &ask.text, page))
        };
        match found.await {
            Ok(answer) => json_reply(answer),
            Err(why) => failed(&why, Kind::Other, true).line("Cache-Control", "no-store"),
        }
    }

    /// `POST /+search?index=user/mirror`: has the whole list of a mirror fetched.
    pub(in crate::server) async fn want_whole_list(&self, request: &Request<'_>, query: &Query) -> Reply {
        let wanted = async {
            let subject = self.subject(request).await?;
            let name = query.field("index").unwrap_or_default();
            let index = IndexName::parse(&name)
                .map_err(|_| IndexError::Invalid("name the mirror: POST /+search?index=user/mirror".to_owned()))?;
            self.index().want_whole_list(&subject, &index)?;
            Ok::<_, IndexError>(api::Answer::message(format!("the list of {index} is being fetched")).status(202))
        };
        match wanted.await {
            Ok(answer) => json_reply(answer),
            Err(why) => failed(&why, Kind::Other, true),
        }
    }
}

fn json_reply(answer: api::Answer) -> Reply {
    Reply::text(Status(answer.status), Kind::Other, "application/json", answer.text())
        .line("Cache-Control", "no-store")
        .line("Vary", "Accept, Cookie, Authorization")
}

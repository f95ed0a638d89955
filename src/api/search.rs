use super::Answer;
use crate::http::index_path;
use crate::index::{Hit, ListStanding, ListState, SearchAnswer, stamps};
use serde_json::{Value, json};

/// `GET /+search`, for programs.
pub fn search(answer: &SearchAnswer, text: &str, page: usize) -> Answer {
    let hits: Vec<_> = answer.hits.iter().map(hit).collect();
    let lists: Vec<_> = answer.lists.iter().map(list).collect();
    Answer {
        status: 200,
        json: json!({ "query": text, "page": page, "hits": hits, "more": answer.more, "lists": lists }),
    }
}

fn hit(hit: &Hit) -> Value {
    json!({
        "index": hit.index.as_str(),
        "project": hit.project.as_str(),
        "version": hit.version,
        "summary": hit.summary,
        "kind": hit.kind.as_str(),
        "why": hit.why.as_str(),
        "path": format!("{}/{}", index_path(&hit.index), hit.project),
    })
}

fn list(list: &ListState) -> Value {
    let mut told = json!({ "index": list.mirror.as_str() });
    let facts = match &list.standing {
        ListStanding::Absent => json!({ "state": "absent" }),
        ListStanding::Fetching { names } => json!({ "state": "fetching", "names": names }),
        ListStanding::Ready { names, built, renewing } => {
            json!({ "state": "ready", "names": names, "built": stamps::iso(*built), "renewing": renewing })
        }
        ListStanding::Failed { why } => json!({ "state": "failed", "why": why }),
    };
    if let (Some(told), Value::Object(facts)) = (told.as_object_mut(), facts) {
        told.extend(facts);
    }
    told
}

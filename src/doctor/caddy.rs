//! What a proxy in front makes of our answers: the same questions are asked straight and through it.

use super::{Door, Finding, QUESTION_PATIENCE, Subject, ask};
use crate::config::DEFAULT_INDEX;
use crate::upstream::{FetchError, Heard, Question, Way, probe};
use bytes::Bytes;
use url::Url;

const CHECK: &str = "proxy";

/// Both answers to one question.
struct Pair {
    straight: Option<Heard>,
    through: Result<Heard, FetchError>,
}

struct Facts {
    url: Url,
    /// How absolute URLs of ours must begin.
    told_base: String,
    has_public_url: bool,
    /// `/+api`
    api: Pair,
    /// `/+metrics`, with `Accept-Encoding: gzip`: a text of some length that we send as it is.
    text: Pair,
    /// `/%2Bhealth`
    plus: Pair,
    /// An upload that is refused.
    upload: Pair,
    upload_bytes: u64,
}

pub(super) async fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let public = &subject.config.server.public_url;
    let Some(url) = subject.wanted.through.as_ref().or(public.as_ref()) else {
        return vec![Finding::skipped(CHECK, "the settings name no public_url; name a proxy's URL with --through")];
    };
    let door = Door::of(subject).filter(|_| subject.server.is_some());
    let base = url.as_str().trim_end_matches('/').to_owned();
    let (door, base) = (door.as_ref(), base.as_str());
    let body = Bytes::from(vec![b'-'; usize::try_from(subject.wanted.upload_bytes).unwrap_or(0)]);
    let facts = Facts {
        url: url.clone(),
        told_base: public.as_ref().map_or(base, |url| url.as_str()).trim_end_matches('/').to_owned(),
        has_public_url: public.is_some(),
        api: pair(door, base, "/+api", &[("Accept", "application/json")]).await,
        text: pair(door, base, "/+metrics", &[("Accept-Encoding", "gzip")]).await,
        plus: pair(door, base, "/%2Bhealth", &[]).await,
        upload: upload(door, base, body).await,
        upload_bytes: subject.wanted.upload_bytes,
    };
    judge(&facts)
}

async fn pair(door: Option<&Door>, base: &str, path: &str, headers: &[(&'static str, &str)]) -> Pair {
    let straight = match door {
        Some(door) => door.get(path, headers).await.ok(),
        None => None,
    };
    let through = match Url::parse(&format!("{base}{path}")) {
        Ok(url) => ask(&url, headers, Way::Straight).await,
        Err(why) => Err(FetchError::BadAnswer { host: base.to_owned(), why: why.to_string() }),
    };
    Pair { straight, through }
}

/// Nobody is logged in, so that nothing is kept; by HTTP/1.1, for its reason phrase.
async fn upload(door: Option<&Door>, base: &str, body: Bytes) -> Pair {
    let headers = [("Content-Type", "multipart/form-data; boundary=sidewheel-doctor")];
    let post = async |base: &str, way: Way<'_>| {
        let bad = |why: url::ParseError| FetchError::BadAnswer { host: base.to_owned(), why: why.to_string() };
        let url = Url::parse(&format!("{base}/{DEFAULT_INDEX}/")).map_err(bad)?;
        let (headers, body) = (&headers[..], Some(body.clone()));
        probe(Question { url: &url, headers, credentials: None, body, way, timeout: QUESTION_PATIENCE }).await
    };
    let straight = match door {
        Some(door @ Door::Tcp(_)) => post(&door.base(), Way::StraightHttp1).await.ok(),
        Some(door @ Door::Socket(path)) => post(&door.base(), Way::Socket(path)).await.ok(),
        None => None,
    };
    Pair { straight, through: post(base, Way::StraightHttp1).await }
}

fn judge(facts: &Facts) -> Vec<Finding> {
    let url = &facts.url;
    let api = match &facts.api.through {
        Ok(api) => api,
        Err(FetchError::Tls { why, .. }) => {
            let says =
                format!("{url}: this machine does not trust its certificate ({why}); installers will not either");
            return vec![Finding::failed(
                CHECK,
                says,
                "caddy trust   # for `tls internal`; else a certificate for this very name",
            )];
        }
        Err(why) => return vec![Finding::failed(CHECK, format!("{url}: {why}"), format!("curl -v {url}+health"))],
    };
    let by = by(api);
    match api.status {
        200 => {}
        421 if facts.has_public_url => {
            let says = format!("{url}: {by} passes another host name on than the one that it is asked for");
            return vec![Finding::failed(CHECK, says, "Caddyfile: take out `header_up Host …`, which changes it")];
        }
        421 => {
            let says = format!("{url}: this name is not known to the server");
            return vec![Finding::failed(
                CHECK,
                says,
                format!("sidewheel serve --public-url {url}   # or `public_url` in the settings"),
            )];
        }
        502..=504 => {
            let says = format!("{url}: {by} answers {}, it does not reach the server", api.status);
            return vec![Finding::failed(
                CHECK,
                says,
                "Caddyfile: reverse_proxy 127.0.0.1:3141   # where the server listens",
            )];
        }
        status => {
            let says = format!("{url}: {by} answers /+api with {status}; that is not us");
            return vec![Finding::failed(
                CHECK,
                says,
                "Caddyfile: reverse_proxy for all paths of this name, no `handle` before it",
            )];
        }
    }
    let mut findings = Vec::new();
    let uuid = |heard: &Heard| heard.header("x-devpi-uuid").map(str::to_owned);
    match (uuid(api), facts.api.straight.as_ref().and_then(uuid)) {
        (None, _) => {
            let says = format!("{url}: {by} answers, and it is no server like ours");
            return vec![Finding::failed(CHECK, says, "Caddyfile: reverse_proxy 127.0.0.1:3141")];
        }
        (Some(there), Some(here)) if there != here => {
            let says = format!("{url}: {by} leads to another server than the one that runs here");
            return vec![Finding::failed(
                CHECK,
                says,
                "Caddyfile: reverse_proxy 127.0.0.1:3141   # where this one listens",
            )];
        }
        (Some(_), _) => {
            let version = if api.http2 { "HTTP/2" } else { "HTTP/1.1" };
            findings.push(Finding::ok(
                CHECK,
                format!("{url}: {by} leads to this server, over {version}, in {} ms", api.took_ms),
            ));
        }
    }
    findings.extend(host(facts, api, &by));
    findings.extend(compressed(facts, &by));
    findings.extend(plus(facts, &by));
    findings.extend(uploads(facts, &by));
    findings
}

/// Absolute URLs are made of the name that arrives.
fn host(facts: &Facts, api: &Heard, by: &str) -> Option<Finding> {
    let said: serde_json::Value = serde_json::from_slice(&api.body).ok()?;
    let login = said.get("result")?.get("login")?.as_str()?;
    if login.starts_with(&format!("{}/", facts.told_base)) {
        return None;
    }
    let says = format!(
        "the server's own links begin with {}, not with {}",
        login.trim_end_matches("/+login"),
        facts.told_base
    );
    let line =
        format!("sidewheel serve --public-url {}   # or `public_url` in the settings; {by} must keep Host", facts.url);
    Some(Finding::failed(CHECK, says, line))
}

fn compressed(facts: &Facts, by: &str) -> Option<Finding> {
    let through = facts.text.through.as_ref().ok()?;
    let coding = through.header("content-encoding").filter(|coding| *coding != "identity");
    let straight = facts.text.straight.as_ref();
    let ours = straight.is_some_and(|straight| straight.header("content-encoding").is_some());
    if let (Some(coding), false) = (coding, ours) {
        let says = format!(
            "{by} compresses answers anew ({coding}): that takes the length away, by which a client sees that an answer was cut"
        );
        return Some(Finding::failed(CHECK, says, "Caddyfile: take out `encode` for this site"));
    }
    if through.header("content-length").is_none() && through.status == 200 && !through.http2 {
        let says = format!("{by} takes Content-Length away: a client cannot see that an answer was cut");
        return Some(Finding::failed(
            CHECK,
            says,
            "Caddyfile: take out what changes bodies (encode, templates, replace)",
        ));
    }
    None
}

/// File names of wheels have a plus, as `+` and as `%2B`.
fn plus(facts: &Facts, by: &str) -> Option<Finding> {
    let (through, straight) = (facts.plus.through.as_ref().ok()?, facts.plus.straight.as_ref()?);
    if through.status == straight.status {
        return None;
    }
    let says = format!(
        "{by} changes paths with a plus: /%2Bhealth is answered {} through it, {} straight",
        through.status, straight.status
    );
    Some(Finding::failed(CHECK, says, "Caddyfile: take out `uri` and `rewrite`; the path must go on as it came"))
}

fn uploads(facts: &Facts, by: &str) -> Vec<Finding> {
    let size = super::shown_bytes(facts.upload_bytes);
    let limit = "Caddyfile: request_body { max_size 2GB }   # nginx: client_max_body_size 2g";
    let Some(straight) = &facts.upload.straight else { return Vec::new() };
    let through = match &facts.upload.through {
        Ok(through) => through,
        Err(why) => {
            return vec![Finding::failed(
                CHECK,
                format!("an upload of {size} does not come through {by}: {why}"),
                limit,
            )];
        }
    };
    if through.status == 413 && straight.status != 413 {
        return vec![Finding::failed(CHECK, format!("{by} refuses uploads of {size}"), limit)];
    }
    if through.status != straight.status {
        let says =
            format!("{by} answers an upload with {}, the server itself with {}", through.status, straight.status);
        return vec![Finding::warning(CHECK, says, "curl -v on both, and compare")];
    }
    let mut findings = vec![Finding::ok(CHECK, format!("uploads of {size} come through"))];
    if let (Some(said), Some(heard)) = (&straight.phrase, &through.phrase)
        && said != heard
    {
        // Go's servers write their own phrase for each status; nothing in a Caddyfile changes that.
        findings.push(Finding::ok(
            CHECK,
            format!(
                "{by} puts its own reason phrase in place of ours: devpi and twine then show the sentence of the body"
            ),
        ));
    }
    findings
}

/// Who stands in front, as it calls itself.
fn by(heard: &Heard) -> String {
    let via = heard.header("via").and_then(|via| via.split_whitespace().nth(1));
    via.or(heard.header("server")).map_or("the proxy".to_owned(), |name| name.chars().take(40).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn heard(status: u16, headers: &[(&str, &str)], body: &str) -> Heard {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Heard { status, headers, body: Bytes::from(body.to_owned()), http2: false, took_ms: 3, phrase: None }
    }

    fn same(heard: Heard) -> Pair {
        Pair { straight: Some(heard.clone()), through: Ok(heard) }
    }

    fn good() -> Facts {
        let login = "{\"result\": {\"login\": \"https://packages.example/+login\"}}";
        Facts {
            url: Url::parse("https://packages.example/").unwrap(),
            told_base: "https://packages.example".to_owned(),
            has_public_url: true,
            api: same(heard(200, &[("x-devpi-uuid", "u"), ("via", "1.1 Caddy")], login)),
            text: same(heard(200, &[("content-length", "900")], "")),
            plus: same(heard(200, &[], "ok")),
            upload: same(heard(405, &[], "")),
            upload_bytes: 4_000_000,
        }
    }

    #[test]
    fn a_good_proxy_is_good() {
        let found = judge(&good());
        assert!(found.iter().all(|found| found.status == Status::Ok), "{found:?}");
        assert!(found[0].says.contains("Caddy leads to this server"), "{found:?}");
    }

    type Spoil = fn(&mut Facts);

    #[test]
    fn names_what_a_proxy_spoils() {
        let cases: [(Spoil, &str); 11] = [
            (|facts| facts.api.through = Ok(heard(421, &[], "")), "header_up Host"),
            (|facts| (facts.api.through, facts.has_public_url) = (Ok(heard(421, &[], "")), false), "--public-url"),
            (|facts| facts.api.through = Ok(heard(502, &[("server", "Caddy")], "")), "reverse_proxy"),
            (|facts| facts.api.through = Ok(heard(404, &[], "")), "handle"),
            (|facts| facts.api.through = Ok(heard(200, &[], "hello")), "reverse_proxy"),
            (|facts| facts.api.through = Ok(heard(200, &[("x-devpi-uuid", "v")], "")), "where this one listens"),
            (|facts| facts.told_base = "https://other.example".to_owned(), "--public-url"),
            (|facts| facts.text.through = Ok(heard(200, &[("content-encoding", "gzip")], "")), "`encode`"),
            (|facts| facts.text.through = Ok(heard(200, &[], "")), "changes bodies"),
            (|facts| facts.plus.through = Ok(heard(404, &[], "")), "rewrite"),
            (|facts| facts.upload.through = Ok(heard(413, &[], "")), "max_size"),
        ];
        for (spoil, line) in cases {
            let mut facts = good();
            spoil(&mut facts);
            let found = judge(&facts);
            let bad: Vec<_> = found.iter().filter(|found| found.status == Status::Failed).collect();
            let named = bad.first().and_then(|found| found.line.as_deref()).unwrap_or_default();
            assert!(bad.len() == 1 && named.contains(line), "{line}: {found:?}");
        }
        let mut facts = good();
        facts.api.through = Err(FetchError::Tls { host: "h".to_owned(), why: "UnknownIssuer".to_owned() });
        assert!(judge(&facts)[0].line.as_deref().is_some_and(|line| line.contains("caddy trust")));
    }
}

//! Whether upstream is reached, and trusted: name, connection, certificate, proxy, answer. Its clock is compared too.

use super::proxies::{Road, road};
use super::{Finding, QUESTION_PATIENCE, Subject, clock};
use crate::clock::Clock;
use crate::config::MirrorConfig;
use crate::platform::machine::{self, MACOS};
use crate::upstream::{Credentials, FetchError, Heard, Question, RootsFound, Way, probe, roots_found};
use std::path::PathBuf;
use url::Url;

const CHECK: &str = "upstream";

/// Variables that decide how upstream is reached; a service often has others than a shell.
const VARIABLES: [&str; 10] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

struct Facts<'a> {
    name: &'a str,
    base: &'a Url,
    road: Road,
    roots: &'a RootsFound,
    /// The addresses of the name, or why it has none; none where a proxy resolves it.
    resolved: Option<Result<usize, String>>,
    heard: Result<Heard, FetchError>,
}

pub(super) async fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let offline = subject.config.upstream.offline;
    if offline || !subject.wanted.network {
        let why = if offline { "the settings say offline" } else { "--no-network was given" };
        return vec![Finding::skipped(CHECK, why), Finding::skipped(clock::CHECK, why)];
    }
    let roots = roots_found(subject.env);
    let mut findings = named_roots(&roots);
    let mut date = None;
    for (mirror, credentials) in subject.config.mirrors.iter().zip(&subject.credentials) {
        let (found, answered) = one(subject, mirror, credentials.as_ref(), &roots).await;
        findings.extend(found);
        date = date.or(answered);
    }
    findings.extend(other_environment(subject));
    findings.push(clock::judge(date, Clock::system().unix()));
    findings
}

async fn one(
    subject: &Subject<'_>,
    mirror: &MirrorConfig,
    credentials: Option<&Credentials>,
    roots: &RootsFound,
) -> (Vec<Finding>, Option<clock::Told>) {
    let Ok(page) = mirror.upstream.join(&format!("{}/", subject.wanted.package)) else { return (Vec::new(), None) };
    let road = road(&page, subject.env);
    let resolved = match (&road, page.host_str(), page.port_or_known_default()) {
        (Road::Through { .. }, ..) => None,
        (_, Some(host), Some(port)) => {
            Some(match tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await {
                Ok(found) => Ok(found.count()),
                Err(why) => Err(why.to_string()),
            })
        }
        _ => None,
    };
    // The encodings are not undone here: only the head is looked at.
    let headers = [("Accept", "application/vnd.pypi.simple.v1+json, text/html;q=0.1"), ("Accept-Encoding", "gzip")];
    let question = Question {
        url: &page,
        headers: &headers,
        credentials,
        body: None,
        way: Way::AsMirrors,
        timeout: QUESTION_PATIENCE,
    };
    let heard = match &resolved {
        Some(Err(why)) => Err(FetchError::Unreachable { host: host(&page), why: why.clone() }),
        _ => probe(question).await,
    };
    let date = heard.as_ref().ok().and_then(|heard| clock::told(heard.header("date")?, &host(&page)));
    let facts = Facts { name: mirror.name.as_str(), base: &mirror.upstream, road, roots, resolved, heard };
    (vec![judge(&facts)], date)
}

fn judge(facts: &Facts<'_>) -> Finding {
    let Facts { name, base, road, heard, .. } = facts;
    let way = match road {
        Road::Straight => "directly (no proxy is set)".to_owned(),
        Road::Excepted(entry) => format!("directly (NO_PROXY has {entry})"),
        Road::Through { variable, proxy } => format!("through the proxy {proxy} ({variable})"),
    };
    let intro = format!("{name}: {base} {way}");
    let host = host(base);
    match heard {
        Ok(heard) => match heard.status {
            200 | 304 => {
                let version = if heard.http2 { "HTTP/2" } else { "HTTP/1.1" };
                let trusted = match base.scheme() {
                    "https" => format!(", certificate good ({})", which(facts.roots)),
                    _ => String::new(),
                };
                Finding::ok(CHECK, format!("{intro}: answers in {} ms over {version}{trusted}", heard.took_ms))
            }
            401 | 403 => Finding::failed(
                CHECK,
                format!("{intro}: wants a user and a password (status {})", heard.status),
                "write username and password_file into a [[mirror]] table of the settings",
            ),
            407 => Finding::failed(
                CHECK,
                format!("{intro}: the proxy wants a user and a password"),
                "export HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT   # in the service's environment",
            ),
            404 => Finding::warning(
                CHECK,
                format!("{intro}: answers, but does not have the package that was asked for; is that a simple API?"),
                format!("curl -I {base}"),
            ),
            301..=308 => {
                let to = heard.header("location").unwrap_or("another address");
                Finding::warning(CHECK, format!("{intro}: leads on to {to}"), "set `upstream` to where it leads")
            }
            status => {
                Finding::failed(CHECK, format!("{intro}: answers with status {status}"), format!("curl -v {base}"))
            }
        },
        Err(FetchError::Tls { why, .. }) => untrusted(facts, &intro, why),
        Err(_) if matches!(facts.resolved, Some(Err(_)) | Some(Ok(0))) => {
            let proxied = "; where only a proxy reaches the world, set HTTPS_PROXY";
            let line =
                if MACOS { format!("dscacheutil -q host -a name {host}") } else { format!("getent hosts {host}") };
            Finding::failed(CHECK, format!("{intro}: the name {host} cannot be resolved{proxied}"), line)
        }
        Err(why) => {
            let line = match road {
                Road::Through { proxy, .. } => format!("curl -v --proxy {proxy} {base}"),
                _ => format!("curl -v --noproxy '*' {base}"),
            };
            Finding::failed(CHECK, format!("{intro}: {why}"), line)
        }
    }
}

/// Why a certificate is not believed, in words of people.
fn untrusted(facts: &Facts<'_>, intro: &str, why: &str) -> Finding {
    let add = match MACOS {
        true => "sudo security add-trusted-cert -d -k /Library/Keychains/System.keychain company-ca.pem",
        false => {
            "sudo cp company-ca.pem /usr/local/share/ca-certificates/company-ca.crt && sudo update-ca-certificates"
        }
    };
    // The last two: an authority that only has the name of a trusted one, and another key.
    let foreign = ["UnknownIssuer", "CaUsedAsEndEntity", "BadSignature", "UnsupportedSignatureAlgorithm"];
    if foreign.iter().any(|words| why.contains(words)) {
        let says = format!(
            "{intro}: its certificate is signed by none of the {} trusted ones ({}). Where a company's proxy opens TLS, its \
             own CA has to be trusted too (or named: SSL_CERT_FILE=/path/all.pem)",
            facts.roots.count,
            which(facts.roots)
        );
        return Finding::failed(CHECK, says, add);
    }
    if why.contains("Expired")
        || why.contains("NotValidYet")
        || why.contains("expired")
        || why.contains("not valid yet")
    {
        return Finding::failed(
            CHECK,
            format!("{intro}: its certificate is out of its time ({why}); is the clock right?"),
            super::clock::SET_CLOCK,
        );
    }
    if why.contains("NotValidForName") || why.contains("not valid for name") {
        let line = "set `upstream` to the name in the certificate, or ask who answers in its place";
        return Finding::failed(CHECK, format!("{intro}: its certificate is for another name ({why})"), line);
    }
    Finding::failed(CHECK, format!("{intro}: no secure connection: {why}"), format!("curl -v {}", facts.base))
}

/// What SSL_CERT_FILE and SSL_CERT_DIR name has to be there.
fn named_roots(roots: &RootsFound) -> Vec<Finding> {
    if roots.count > 0 && roots.troubles.is_empty() {
        return Vec::new();
    }
    let troubles = if roots.troubles.is_empty() { String::new() } else { format!(": {}", roots.troubles.join("; ")) };
    let line = match (&roots.named[..], MACOS) {
        ([], false) => "sudo apt install ca-certificates   # or the like of your system",
        ([], true) => "security verify-cert -R offline",
        _ => "unset SSL_CERT_FILE SSL_CERT_DIR   # or name a PEM file that is there",
    };
    match roots.count {
        0 => {
            vec![Finding::failed(CHECK, format!("no trusted certificate was found ({}){troubles}", which(roots)), line)]
        }
        count => vec![Finding::warning(
            CHECK,
            format!("some trusted certificates cannot be read, {count} can ({}){troubles}", which(roots)),
            line,
        )],
    }
}

fn which(roots: &RootsFound) -> String {
    match &roots.named[..] {
        [] => "the system's".to_owned(),
        named => {
            let paths: Vec<String> = named.iter().map(|path: &PathBuf| path.display().to_string()).collect();
            format!("those of {}", paths.join(" and "))
        }
    }
}

/// A service does not see what a shell exports: what was found above may not hold for it.
fn other_environment(subject: &Subject<'_>) -> Option<Finding> {
    let server = subject.server.as_ref()?;
    let theirs = machine::environment(server.pid)?;
    let differs = |name: &&&str| {
        theirs.get(**name).filter(|value| !value.is_empty())
            != subject.env.get(**name).filter(|value| !value.is_empty())
    };
    let names: Vec<&str> = VARIABLES.iter().filter(differs).copied().collect();
    if names.is_empty() {
        return None;
    }
    let says =
        format!("the running server (process {}) has other values of {} than this shell", server.pid, names.join(", "));
    Some(Finding::warning(CHECK, says, "set them where the service is defined, and start it again"))
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn says_why_upstream_is_not_reached() {
        let base = Url::parse("https://index.example/simple/").unwrap();
        let roots = RootsFound { count: 140, troubles: Vec::new(), named: Vec::new() };
        let heard = |status| {
            let headers = [("location".to_owned(), "https://other.example/".to_owned())].into();
            Ok(Heard { status, headers, body: Default::default(), http2: true, took_ms: 12, phrase: None })
        };
        let host = || "index.example".to_owned();
        let tls = |why: &str| Err(FetchError::Tls { host: host(), why: why.to_owned() });
        let proxy = Road::Through { variable: "HTTPS_PROXY", proxy: "http://p:1".to_owned() };
        let known = Some(Ok(2));
        for (road, resolved, heard, status, words) in [
            (
                Road::Straight,
                known.clone(),
                heard(200),
                Status::Ok,
                "12 ms over HTTP/2, certificate good (the system's)",
            ),
            (Road::Straight, known.clone(), heard(401), Status::Failed, "user and a password"),
            (proxy.clone(), None, heard(407), Status::Failed, "the proxy wants"),
            (Road::Straight, known.clone(), heard(404), Status::Warning, "simple API"),
            (Road::Straight, known.clone(), heard(301), Status::Warning, "other.example"),
            (Road::Straight, known.clone(), heard(503), Status::Failed, "503"),
            (
                Road::Straight,
                known.clone(),
                tls("invalid peer certificate: UnknownIssuer"),
                Status::Failed,
                "company's proxy",
            ),
            (Road::Straight, known.clone(), tls("invalid peer certificate: Expired"), Status::Failed, "clock"),
            (
                Road::Straight,
                known.clone(),
                tls("invalid peer certificate: NotValidForName"),
                Status::Failed,
                "another name",
            ),
            (
                Road::Straight,
                known.clone(),
                tls("invalid peer certificate: BadSignature"),
                Status::Failed,
                "company's proxy",
            ),
            (Road::Straight, known.clone(), tls("handshake failure"), Status::Failed, "handshake"),
            (Road::Straight, Some(Err("no".into())), Err(FetchError::Busy), Status::Failed, "cannot be resolved"),
            (Road::Straight, known.clone(), Err(FetchError::Timeout { host: host() }), Status::Failed, "in time"),
            (proxy, None, Err(FetchError::Timeout { host: host() }), Status::Failed, "through the proxy http://p:1"),
        ] {
            let facts = Facts { name: "root/pypi", base: &base, road, roots: &roots, resolved, heard };
            let found = judge(&facts);
            assert!(found.status == status && found.says.contains(words), "{words}: {found:?}");
        }
        let none = RootsFound { count: 0, troubles: vec!["no such file".to_owned()], named: vec!["/ca.pem".into()] };
        assert!(
            named_roots(&none)
                .first()
                .is_some_and(|found| found.status == Status::Failed && found.says.contains("/ca.pem"))
        );
        assert_eq!(named_roots(&roots), []);
    }
}

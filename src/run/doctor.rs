use super::{RunError, load, open, say};
use crate::cli::{DoctorOptions, Options};
use crate::config::{Config, ENV_CONFIG, size};
use crate::doctor::{CHECKS, Finding, Server, Status, Subject, Wanted, examine};
use crate::http::Hosts;
use crate::names::ProjectName;
use crate::server::control::{Answer, ControlError, Request, ask};
use serde_json::json;
use std::collections::BTreeMap;
use url::Url;

const SETTINGS: &str = "settings";

/// The largest upload that is tried through a proxy, in bytes: it is held in memory.
const PROBE_BYTES_MAX: u64 = 1 << 30;

/// `sidewheel doctor`: what is wrong here, each with the line to type. Nothing is changed.
pub(super) async fn doctor(
    options: &Options,
    wanted: &DoctorOptions,
    env: &BTreeMap<String, String>,
) -> Result<(), RunError> {
    let wishes = wishes(wanted)?;
    let mut findings = Vec::new();
    match settings(options, env) {
        Ok((config, finding)) => {
            findings.push(finding);
            findings.extend(examined(&config, wishes, env).await?);
        }
        Err(why) => {
            let file = options.config.as_ref().map(|file| file.display().to_string()).or(env.get(ENV_CONFIG).cloned());
            let line = file.map_or("sidewheel check".to_owned(), |file| format!("sidewheel check --config {file}"));
            findings.push(Finding::failed(SETTINGS, why.to_string(), line));
            let skipped = |check: &&'static str| Finding::skipped(check, "the settings cannot be read");
            findings.extend(CHECKS.iter().map(skipped));
        }
    }
    let worst = findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok);
    match wanted.json {
        true => say(&serde_json::to_string_pretty(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "status": if worst == Status::Skipped { Status::Ok } else { worst },
            "findings": findings,
        }))
        .unwrap_or_default()),
        false => say(&told(&findings)),
    }
    match findings.iter().filter(|finding| finding.status == Status::Failed).count() {
        0 => Ok(()),
        count => Err(RunError::Unwell(count)),
    }
}

fn wishes(wanted: &DoctorOptions) -> Result<Wanted, RunError> {
    let usage = |sentence: String| RunError::Usage(sentence);
    let url = |raw: &String| {
        let url = Url::parse(raw).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| usage(format!("--through {raw}: write a URL that starts with https:// or http://")))
    };
    let package = ProjectName::parse(&wanted.package).map_err(|why| usage(format!("--package: {why}")))?;
    let upload_bytes = size(&wanted.upload_probe, 1).map_err(|why| usage(format!("--upload-probe: {why}")))?;
    if upload_bytes > PROBE_BYTES_MAX {
        return Err(usage("--upload-probe: at most 1GiB, for it is held in memory".to_owned()));
    }
    Ok(Wanted {
        network: !wanted.no_network,
        smoke: !wanted.no_smoke,
        through: wanted.through.as_ref().map(url).transpose()?,
        package: package.to_string(),
        upload_bytes,
    })
}

fn settings(options: &Options, env: &BTreeMap<String, String>) -> Result<(Config, Finding), RunError> {
    let config = load(options, env)?;
    Hosts::new(&config.server.host_names())?;
    for mirror in &config.mirrors {
        open::site(mirror, &config)?;
    }
    let file = options.config.as_ref().map(|file| file.display().to_string()).or(env.get(ENV_CONFIG).cloned());
    let from = file.map_or("no file; flags, environment and defaults".to_owned(), |file| file);
    let finding = Finding::ok(SETTINGS, format!("good: {} mirror(s) ({from})", config.mirrors.len()));
    Ok((config, finding))
}

async fn examined(config: &Config, wanted: Wanted, env: &BTreeMap<String, String>) -> Result<Vec<Finding>, RunError> {
    let data = &config.cache.data;
    let mut findings = Vec::new();
    let server = match ask(data, &Request::Status).await {
        #[allow(unreachable_patterns, reason = "other questions have other answers")]
        Ok(answer) => match answer {
            Answer::Status(status) => Some(Server {
                pid: status.pid,
                version: status.version,
                addresses: status.addresses,
                cached_bytes: status.cached_bytes,
            }),
            _ => None,
        },
        Err(ControlError::NoServer { .. }) => None,
        Err(why) => {
            findings.push(Finding::failed("server", why.to_string(), "sidewheel status"));
            None
        }
    };
    let credentials = config.mirrors.iter().map(|mirror| Ok(open::site(mirror, config)?.credentials));
    let credentials = credentials.collect::<Result<Vec<_>, RunError>>()?;
    let here = std::env::current_dir()?;
    findings.extend(examine(&Subject { config, env, here: &here, server, credentials, wanted }).await);
    Ok(findings)
}

fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { check, status, says, line } in findings {
        let word = match status {
            Status::Ok => "ok",
            Status::Skipped => "skipped",
            Status::Warning => "warning",
            Status::Failed => "FAILED",
        };
        text.push_str(&format!("{word:<8} {check:<12} {says}\n"));
        if let Some(line) = line {
            text.push_str(&format!("{:<21} -> {line}\n", ""));
        }
    }
    text.trim_end().to_owned()
}

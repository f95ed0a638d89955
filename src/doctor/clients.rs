//! Whether the tools of this user install from here, and from where else they would.

use super::proxies::{Road, road};
use super::{Door, Finding, Subject};
use crate::configure::{Machine, Place, Role, Told, Tool, hidden, told, told_by_env};
use std::fs;
use std::path::{Path, PathBuf};
use url::Url;

const CHECK: &str = "tools";

/// Largest file that is read, in bytes: settings are a thousandth of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

struct Facts {
    tool: Tool,
    /// The program is on the path.
    here: bool,
    /// Each place that tells it something, the weakest first.
    told: Vec<(String, Told)>,
    /// How clients reach us.
    ours: Vec<Url>,
}

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let machine = subject.machine();
    let through = subject.wanted.through.iter().chain(&subject.config.server.public_url).cloned();
    let straight =
        Door::of(subject).filter(|door| matches!(door, Door::Tcp(_))).and_then(|door| Url::parse(&door.base()).ok());
    let ours: Vec<Url> = through.chain(straight.clone()).collect();
    let mut findings = Vec::new();
    for tool in [Tool::Uv, Tool::Pip, Tool::Poetry, Tool::Pdm, Tool::Twine, Tool::Devpi] {
        let here = on_path(subject, tool.name()).is_some();
        findings.extend(judge(&Facts { tool, here, told: gather(&machine, tool), ours: ours.clone() }));
    }
    findings.extend(straight.and_then(|url| past_proxies(&url, &road(&url, subject.env))));
    if findings.is_empty() {
        findings.push(Finding::skipped(
            CHECK,
            "neither uv, pip, poetry, pdm, twine nor devpi is on the path or configured",
        ));
    }
    findings
}

/// The program of that name on the path.
pub(super) fn on_path(subject: &Subject<'_>, name: &str) -> Option<PathBuf> {
    let path = subject.env.get("PATH")?;
    path.split(':').map(|directory| Path::new(directory).join(name)).find(|program| program.is_file())
}

fn gather(machine: &Machine<'_>, tool: Tool) -> Vec<(String, Told)> {
    let user = machine.files(tool, Place::User).unwrap_or_default();
    let files = match tool {
        Tool::Pip => machine.pip_read(),
        Tool::Uv => machine.uv_read(),
        Tool::Poetry | Tool::Pdm => [user, machine.files(tool, Place::Project).unwrap_or_default()].concat(),
        _ => user,
    };
    let mut all = Vec::new();
    for file in files {
        let small = fs::metadata(&file).is_ok_and(|facts| facts.is_file() && facts.len() <= FILE_BYTES_MAX);
        let Some(text) = fs::read_to_string(&file).ok().filter(|_| small) else { continue };
        let pyproject = file.ends_with("pyproject.toml");
        all.extend(told(tool, pyproject, &text).into_iter().map(|told| (file.display().to_string(), told)));
    }
    let by_env = machine.env.iter().filter_map(|(name, value)| told_by_env(name, value));
    let by_env = by_env.filter(|(other, _)| *other == tool).flat_map(|(_, told)| told);
    all.extend(by_env.map(|told| ("the environment".to_owned(), told)));
    all
}

fn judge(facts: &Facts) -> Vec<Finding> {
    let tool = facts.tool;
    let configure = match tool {
        Tool::Poetry => "sidewheel configure poetry   # in the project".to_owned(),
        Tool::Twine => "sidewheel configure twine --index USER/INDEX".to_owned(),
        _ => format!("sidewheel configure {tool}"),
    };
    let is_ours =
        |told: &Told| Url::parse(&told.value).is_ok_and(|url| facts.ours.iter().any(|ours| same_place(&url, ours)));
    let mut findings = Vec::new();
    // The strongest of those that name the index is the one that is used.
    let index = facts.told.iter().rfind(|(_, told)| told.role == Role::Index);
    match index {
        Some((place, told)) if is_ours(told) => {
            findings.push(Finding::ok(CHECK, format!("{tool} installs from here ({place})")));
        }
        Some((place, told)) => {
            let value = hidden(&told.value);
            let old = if told.value.contains("/+simple") { ", as one of devpi does" } else { "" };
            let line = match place == "the environment" {
                true => format!("unset {}   # then: {configure}", told.setting),
                false => configure.clone(),
            };
            findings.push(Finding::warning(
                CHECK,
                format!("{tool} installs from {value}{old}, not from here ({}, {place})", told.setting),
                line,
            ));
        }
        None if facts.here && matches!(tool, Tool::Uv | Tool::Pip | Tool::Pdm) => {
            findings.push(Finding::warning(
                CHECK,
                format!("{tool} is told nothing and installs from PyPI itself"),
                configure.clone(),
            ));
        }
        None => {}
    }
    for (place, told) in &facts.told {
        let value = hidden(&told.value);
        let setting = &told.setting;
        match told.role {
            Role::Index => {}
            Role::Extra => {
                let what = match tool {
                    Tool::Uv => "it is asked first, and what it has hides what is here",
                    _ => {
                        "whoever offers the higher version wins, so that a stranger can take the place of a private name"
                    }
                };
                let says = format!("{tool} asks {value} too ({setting}, {place}): {what}");
                findings.push(Finding::warning(
                    CHECK,
                    says,
                    "take it out; an index here can have several bases: bases=root/pypi,team/other",
                ));
            }
            Role::Trusted => {
                let says = format!("{tool} does not look at the certificate of {value} ({setting}, {place})");
                findings.push(Finding::warning(
                    CHECK,
                    says,
                    "take it out; for 127.0.0.1 it is not needed, else have the certificate trusted",
                ));
            }
            Role::Publish if is_ours(told) => {
                findings.push(Finding::ok(CHECK, format!("{tool} publishes here ({setting}, {place})")));
            }
            Role::Publish if told.value.contains("devpi") || is_loopback(&told.value) => {
                let says = format!("{tool} publishes to {value}, not here ({setting}, {place})");
                findings.push(Finding::warning(CHECK, says, configure.clone()));
            }
            Role::Publish => {}
        }
    }
    findings
}

/// Installers send what is meant for this machine to the proxy too, unless they are told.
fn past_proxies(url: &Url, road: &Road) -> Option<Finding> {
    let Road::Through { variable, proxy } = road else { return None };
    let host = url.host_str().unwrap_or_default();
    let says = format!("installers ask the proxy {proxy} for {url} ({variable}), which does not reach this machine");
    Some(Finding::warning(CHECK, says, format!("export NO_PROXY={host},localhost")))
}

fn same_place(one: &Url, other: &Url) -> bool {
    let host = |url: &Url| {
        let host = url.host_str().unwrap_or_default().to_owned();
        if host == "localhost" || host == "[::1]" { "127.0.0.1".to_owned() } else { host }
    };
    host(one) == host(other)
        && one.port_or_known_default() == other.port_or_known_default()
        && one.path().starts_with(other.path().trim_end_matches('/'))
}

fn is_loopback(url: &str) -> bool {
    url.contains("://127.0.0.1") || url.contains("://localhost")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn tools_install_from_here_and_nowhere_else() {
        use Role::*;
        use Status::{Ok, Warning};
        const HERE: &str = "http://localhost:3141/root/pypi/+simple/";
        for (tool, here, told, expected) in [
            (Tool::Uv, true, &[][..], &[(Warning, "PyPI itself")][..]),
            (Tool::Uv, false, &[], &[]),
            (Tool::Poetry, true, &[], &[]),
            (Tool::Pip, true, &[(HERE, Index)], &[(Ok, "installs from here")]),
            (Tool::Pip, true, &[("http://old/x", Index), (HERE, Index)], &[(Ok, "installs from here")]),
            (
                Tool::Pip,
                true,
                &[(HERE, Index), ("https://u:p@corp.example/", Index)],
                &[(Warning, "https://***@corp.example/, not")],
            ),
            (Tool::Pip, true, &[("http://127.0.0.1:3142/root/pypi/+simple/", Index)], &[(Warning, "devpi")]),
            (Tool::Pip, true, &[(HERE, Index), ("https://x.example/", Extra)], &[(Ok, ""), (Warning, "private name")]),
            (Tool::Uv, true, &[(HERE, Index), ("https://x.example/", Extra)], &[(Ok, ""), (Warning, "hides")]),
            (
                Tool::Pip,
                true,
                &[(HERE, Index), ("x.example", Trusted)],
                &[(Ok, ""), (Warning, "certificate of x.example")],
            ),
            (Tool::Twine, true, &[("http://127.0.0.1:3141/alice/dev/", Publish)], &[(Ok, "publishes here")]),
            (Tool::Twine, true, &[("http://127.0.0.1:3142/alice/dev/", Publish)], &[(Warning, "not here")]),
            (Tool::Twine, true, &[("https://corp.example/", Publish)], &[]),
        ] {
            let place = |(value, role): &(&str, Role)| {
                ("a file".to_owned(), Told { setting: "s".to_owned(), value: (*value).to_owned(), role: *role })
            };
            let ours = vec![Url::parse("http://127.0.0.1:3141").unwrap()];
            let found = judge(&Facts { tool, here, told: told.iter().map(place).collect(), ours });
            let right = found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(found, (status, words))| found.status == *status && found.says.contains(words));
            assert!(right, "{tool} {told:?}: {found:?}");
        }
    }
}

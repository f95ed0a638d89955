//! One real install through the running server, as its users do it; without uv and pip a page and a file by our own hand.

use super::clients::on_path;
use super::{Door, Finding, QUESTION_PATIENCE, Subject};
use crate::config::DEFAULT_INDEX;
use crate::configure::hidden;
use crate::upstream::{Question, Way, probe};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use url::Url;

const CHECK: &str = "install";

/// The end of what an installer wrote that is shown, in characters.
const TOLD_CHARS_MAX: usize = 400;

pub(super) async fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let skipped = |why: &str| vec![Finding::skipped(CHECK, why)];
    if !subject.wanted.smoke {
        return skipped("--no-smoke was given");
    }
    if !subject.wanted.network {
        return skipped("--no-network was given, and the server might ask upstream");
    }
    if subject.server.is_none() {
        return skipped("no server runs on this data directory");
    }
    let through = subject.wanted.through.clone().or_else(|| subject.config.server.public_url.clone());
    let (base, socket) = match (Door::of(subject), through) {
        (Some(door @ Door::Tcp(_)), _) => (door.base(), None),
        (_, Some(url)) => (url.as_str().trim_end_matches('/').to_owned(), None),
        (Some(door @ Door::Socket(_)), None) => match &door {
            Door::Socket(path) => (door.base(), Some(path.clone())),
            Door::Tcp(_) => (door.base(), None),
        },
        (None, None) => return skipped("the server says no address"),
    };
    let index = format!("{base}/{DEFAULT_INDEX}/+simple/");
    let package = &subject.wanted.package;
    let found = match installer(subject).filter(|_| socket.is_none()) {
        Some(installer) => installed(installer, index.clone(), package.clone()).await,
        None => None,
    };
    vec![match found {
        Some(Ok(how)) => Finding::ok(CHECK, format!("{how} installed {package} from {index}")),
        Some(Err(why)) => Finding::failed(
            CHECK,
            format!("{package} cannot be installed from {index}: {why}"),
            format!("curl -v {index}{package}/"),
        ),
        None => match by_hand(&index, package, socket.as_deref()).await {
            Ok(file) => {
                Finding::ok(CHECK, format!("{file} came from {index}, and its digest is right (no uv, no pip here)"))
            }
            Err(why) => Finding::failed(
                CHECK,
                format!("{package} does not come from {index}: {why}"),
                format!("curl -v {index}{package}/"),
            ),
        },
    }]
}

/// A program that installs.
enum Installer {
    Uv(PathBuf),
    Pip(PathBuf),
}

fn installer(subject: &Subject<'_>) -> Option<Installer> {
    let uv = on_path(subject, "uv").filter(|_| on_path(subject, "python3").is_some()).map(Installer::Uv);
    uv.or_else(|| ["pip3", "pip"].iter().find_map(|name| on_path(subject, name)).map(Installer::Pip))
}

/// Into a directory that is removed again, past all caches and settings of the tool. None where the tool itself cannot run.
async fn installed(installer: Installer, index: String, package: String) -> Option<Result<&'static str, String>> {
    let work = move || {
        let directory = std::env::temp_dir().join(format!("sidewheel-doctor-{}", std::process::id()));
        if let Err(why) = std::fs::create_dir(&directory) {
            return Some(Err(format!("{}: {why}", directory.display())));
        }
        let done = run(&installer, &index, &package, &directory);
        let _ = std::fs::remove_dir_all(&directory);
        done
    };
    tokio::task::spawn_blocking(work).await.ok()?
}

fn run(installer: &Installer, index: &str, package: &str, directory: &Path) -> Option<Result<&'static str, String>> {
    let (name, mut command) = match installer {
        Installer::Uv(program) => {
            let mut command = Command::new(program);
            command.args([
                "pip",
                "install",
                "--no-config",
                "--no-cache",
                "--no-deps",
                "--default-index",
                index,
                "--target",
            ]);
            command.arg(directory).arg(package).env("UV_HTTP_RETRIES", "0");
            ("uv", command)
        }
        Installer::Pip(program) => {
            let mut command = Command::new(program);
            command.args(["--isolated", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "download"]);
            command.args(["--no-deps", "--retries", "0", "--timeout", "15", "--index-url", index, "--dest"]);
            command.arg(directory).arg(package);
            ("pip", command)
        }
    };
    // These would win over what is asked for here.
    for variable in ["UV_INDEX", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "PIP_REQUIRE_VIRTUALENV"] {
        command.env_remove(variable);
    }
    let output = command.output().ok()?;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let cannot = ["No interpreter", "No Python", "No module named", "command not found", "No virtual environment"];
    if !output.status.success() && cannot.iter().any(|words| told.contains(words)) {
        return None;
    }
    let came = std::fs::read_dir(directory).into_iter().flatten().flatten().next().is_some();
    Some(match output.status.success() && came {
        true => Ok(name),
        false => Err(format!("{name} says: {}", last(&told))),
    })
}

fn last(told: &str) -> String {
    let told = hidden(told.trim());
    let from = told.char_indices().rev().nth(TOLD_CHARS_MAX).map_or(0, |(at, _)| at);
    told.get(from..).unwrap_or_default().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The page, then its newest wheel or file, held against the page's digest.
async fn by_hand(index: &str, package: &str, socket: Option<&Path>) -> Result<String, String> {
    let way = socket.map_or(Way::Straight, Way::Socket);
    let page = Url::parse(&format!("{index}{package}/")).map_err(|why| why.to_string())?;
    let headers = [("Accept", "application/vnd.pypi.simple.v1+json")];
    let get = async |url: &Url| {
        let question =
            Question { url, headers: &headers, credentials: None, body: None, way, timeout: QUESTION_PATIENCE };
        let heard = probe(question).await.map_err(|why| why.to_string())?;
        match heard.status {
            200 => Ok(heard.body),
            status => Err(format!("status {status}: {}", last(&String::from_utf8_lossy(&heard.body)))),
        }
    };
    let listed: serde_json::Value = serde_json::from_slice(&get(&page).await?).map_err(|why| why.to_string())?;
    let files = listed.get("files").and_then(serde_json::Value::as_array).ok_or("its page lists no files")?;
    let wheel = |file: &&serde_json::Value| file["filename"].as_str().is_some_and(|name| name.ends_with(".whl"));
    let file = files.iter().rfind(wheel).or(files.last()).ok_or("its page lists no files")?;
    let url = file["url"].as_str().and_then(|url| page.join(url).ok()).ok_or("its file has no URL")?;
    let digest = file["hashes"]["sha256"].as_str().ok_or("its file has no digest")?;
    let hex: String = Sha256::digest(get(&url).await?).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = file["filename"].as_str().unwrap_or(package).to_owned();
    if hex == digest { Ok(name) } else { Err(format!("{name} has another digest than its page says")) }
}

#[cfg(test)]
mod tests {
    use super::last;

    #[test]
    fn the_end_of_what_is_told_is_shown() {
        assert_eq!(last(" a\n  b "), "a b");
        let long = "é".repeat(1_000) + "end";
        assert!(last(&long).ends_with("end") && last(&long).chars().count() < 500);
        assert!(!last("https://u:geheim@a.example/").contains("geheim"));
    }
}

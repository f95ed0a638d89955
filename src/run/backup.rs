use super::progress::Progress;
use super::{EXIT_CONFIG, EXIT_DAMAGED, EXIT_MISSING, EXIT_TEMPORARY, EXIT_UNAVAILABLE, EXIT_UNREADABLE, EXIT_USAGE};
use super::{RunError, say};
use crate::backup::{
    self, BackupError, BackupWish, Fault, Finding, RestoreWish, SnapshotId, Step, Told, Totals, snapshots,
};
use crate::cache::Pace;
use crate::cli::{BackupOptions, RestoreOptions, VerifyOptions};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::store::{FormatError, StoreError};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Slower than this nothing would ever be read to its end, in bytes a second.
const RATE_BYTES_MIN: u64 = 1_000;

/// `sidewheel backup TARGET`
pub(super) async fn backup(config: &Config, file: Option<PathBuf>, wish: BackupOptions) -> Result<(), RunError> {
    if wish.list {
        return list(&wish.target, wish.json);
    }
    let bar = Bar::new("copying");
    let asked = BackupWish {
        data: config.cache.data.clone(),
        target: wish.target.clone(),
        config: file,
        cache: wish.cache,
        keep: wish.keep,
        check: wish.check,
    };
    let taken = backup::take(asked, &Clock::system(), bar.told()).await;
    bar.end();
    let taken = taken?;
    match wish.json {
        true => print(&json!({
            "snapshot": taken.id.as_str(),
            "private": shown(taken.private),
            "cache": shown(taken.cache),
            "copied": shown(taken.copied),
            "document_bytes": taken.documents,
            "lacking": taken.lacking.iter().map(finding).collect::<Vec<_>>(),
            "pruned": taken.pruned.iter().map(SnapshotId::as_str).collect::<Vec<_>>(),
            "removed": shown(taken.removed),
        })),
        false => {
            let mut line = format!("snapshot {} in {}: {}", taken.id, wish.target.display(), told(taken.private));
            if wish.cache {
                line += &format!(" and {} of the cache", told(taken.cache));
            }
            line += &format!("; copied {} and {} of databases", told(taken.copied), size(taken.documents));
            if !taken.pruned.is_empty() {
                line += &format!("; removed {} older and {}", taken.pruned.len(), told(taken.removed));
            }
            say(&line);
        }
    }
    let sentence = "the snapshot was taken, but the data directory lacks files that it should have";
    judged(sentence, &taken.lacking, wish.json)
}

/// `sidewheel backup --list TARGET`
fn list(target: &Path, as_json: bool) -> Result<(), RunError> {
    let all = snapshots(target)?;
    if as_json {
        let shown = all.iter().map(|snapshot| match &snapshot.manifest {
            Ok(manifest) => json!({
                "snapshot": snapshot.id.as_str(),
                "files": manifest.private.len(),
                "cached": manifest.cache.len(),
                "bytes": manifest.bytes(),
                "lacking": manifest.lacking.len(),
                "format": manifest.format,
                "program": manifest.program,
                "uuid": manifest.uuid,
                "serial": manifest.serial,
            }),
            Err(why) => json!({ "snapshot": snapshot.id.as_str(), "damaged": why }),
        });
        print(&Value::from(shown.collect::<Vec<_>>()));
        return Ok(());
    }
    for snapshot in &all {
        say(&match &snapshot.manifest {
            Ok(manifest) => {
                let (files, cached) = (manifest.private.len(), manifest.cache.len());
                let cached = if cached > 0 { format!(" and {cached} of the cache") } else { String::new() };
                let lacking = match manifest.lacking.len() {
                    0 => String::new(),
                    lacking => format!(", {lacking} lacking"),
                };
                format!("{}  {files} files{cached}, {}{lacking}", snapshot.id, size(manifest.bytes()))
            }
            Err(why) => format!("{}  damaged: {why}", snapshot.id),
        });
    }
    if all.is_empty() {
        say("there is no snapshot yet");
    }
    Ok(())
}

/// `sidewheel restore TARGET`
pub(super) async fn restore(config: &Config, wish: RestoreOptions) -> Result<(), RunError> {
    let bar = Bar::new("restoring");
    let data = &config.cache.data;
    let asked = RestoreWish {
        target: wish.target,
        snapshot: wish.snapshot,
        data: data.clone(),
        force: wish.force,
        partial: wish.partial,
    };
    let restored = backup::restore(asked, &Clock::system(), bar.told()).await;
    bar.end();
    let restored = match restored {
        Err(BackupError::Damaged { id, findings }) => {
            if wish.json {
                print(
                    &json!({ "snapshot": id.as_str(), "findings": findings.iter().map(finding).collect::<Vec<_>>() }),
                );
            }
            tell(&findings, wish.json);
            return Err(BackupError::Damaged { id, findings }.into());
        }
        restored => restored?,
    };
    match wish.json {
        true => print(&json!({
            "snapshot": restored.id.as_str(),
            "data": data.display().to_string(),
            "files": restored.files,
            "bytes": restored.bytes,
            "lacking": restored.lacking.iter().map(finding).collect::<Vec<_>>(),
            "aside": restored.aside.as_ref().map(|path| path.display().to_string()),
            "config": restored.config.as_ref().map(|path| path.display().to_string()),
        })),
        false => {
            let (files, bytes) = (restored.files, size(restored.bytes));
            say(&format!("{} is snapshot {} again: {files} files, {bytes}, all checked", data.display(), restored.id));
            if let Some(aside) = &restored.aside {
                say(&format!("what was there before is in {}", aside.display()));
            }
            if let Some(config) = &restored.config {
                say(&format!("the configuration of then is in {}", config.display()));
            }
        }
    }
    tell(&restored.lacking, wish.json);
    Ok(())
}

/// `sidewheel verify`
pub(super) async fn verify(config: &Config, wish: VerifyOptions) -> Result<(), RunError> {
    let rate = wish.rate.as_deref().map(|rate| config::size(rate, RATE_BYTES_MIN)).transpose();
    let rate = rate.map_err(|why| RunError::Usage(format!("--rate: {why}")))?;
    let pace = Pace::new(Clock::system(), rate);
    let bar = Bar::new("verifying");
    let verified = match &wish.target {
        Some(target) => backup::verify_backup(target, wish.snapshot.as_deref(), pace, bar.told()).await,
        None => backup::verify_data(&config.cache.data, pace, bar.told()).await,
    };
    bar.end();
    let verified = verified?;
    let place = wish.target.as_deref().unwrap_or(&config.cache.data).display();
    if wish.json {
        let count = |fault| verified.findings.iter().filter(|finding| finding.fault == fault).count();
        print(&json!({
            "place": place.to_string(),
            "snapshots": wish.target.as_ref().map(|_| verified.snapshots),
            "whole": shown(verified.read),
            "damaged": count(Fault::Damaged),
            "missing": count(Fault::Missing),
            "unreadable": count(Fault::Unreadable),
            "extra": shown(verified.extra),
            "findings": verified.findings.iter().map(finding).collect::<Vec<_>>(),
        }));
    } else {
        say(&format!("{place}: {} whole", told(verified.read)));
        if verified.extra.files > 0 {
            say(&format!("{} that nothing refers to; no fault", told(verified.extra)));
        }
    }
    judged(&format!("{place} is not as it should be"), &verified.findings, wish.json)
}

pub(super) fn exit_code(why: &BackupError) -> u8 {
    match why {
        BackupError::Busy { .. } | BackupError::Serving { .. } | BackupError::Restless => EXIT_TEMPORARY,
        BackupError::NoData(_) | BackupError::NoBackup(_) | BackupError::Empty(_) | BackupError::NoSnapshot { .. } => {
            EXIT_MISSING
        }
        BackupError::Foreign(_) | BackupError::Inside(..) | BackupError::Occupied(_) | BackupError::Mounted(_) => {
            EXIT_USAGE
        }
        BackupError::Manifest { .. } | BackupError::Damaged { .. } => EXIT_DAMAGED,
        BackupError::Store(StoreError::OpenPrivate { .. }) => EXIT_DAMAGED,
        BackupError::Io { .. } | BackupError::Closed { .. } | BackupError::Disk { .. } => EXIT_UNREADABLE,
        BackupError::Format(FormatError::Newer { .. } | FormatError::Backup(_) | FormatError::Restoring(_))
        | BackupError::Store(StoreError::Newer { .. }) => EXIT_CONFIG,
        _ => EXIT_UNAVAILABLE,
    }
}

pub(super) fn exit_code_of(fault: Fault) -> u8 {
    match fault {
        Fault::Damaged => EXIT_DAMAGED,
        Fault::Missing => EXIT_MISSING,
        Fault::Unreadable => EXIT_UNREADABLE,
    }
}

/// Names what is wrong, file by file, and ends with the code of the worst.
fn judged(sentence: &str, findings: &[Finding], as_json: bool) -> Result<(), RunError> {
    tell(findings, as_json);
    match findings.iter().map(|finding| finding.fault).min() {
        None => Ok(()),
        Some(worst) => Err(RunError::Files(format!("{sentence}: {} files", findings.len()), worst)),
    }
}

fn tell(findings: &[Finding], as_json: bool) {
    if as_json {
        return;
    }
    for finding in findings {
        let files = match finding.files.is_empty() {
            true => String::new(),
            false => format!(" ({})", finding.files.join(", ")),
        };
        let _ = writeln!(io::stderr(), "{}: {}: {}{files}", finding.fault, finding.path, finding.why);
    }
}

fn finding(finding: &Finding) -> Value {
    let Finding { fault, path, why, files } = finding;
    json!({ "fault": fault.as_str(), "path": path, "why": why, "files": files })
}

fn shown(totals: Totals) -> Value {
    json!({ "files": totals.files, "bytes": totals.bytes })
}

fn told(totals: Totals) -> String {
    format!("{} files, {}", totals.files, size(totals.bytes))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn print(value: &Value) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A bar that grows with what is found.
struct Bar(Arc<Progress>);

impl Bar {
    fn new(what: &'static str) -> Self {
        Self(Arc::new(Progress::bytes(what, 0)))
    }

    fn told(&self) -> Told {
        let bar = Arc::clone(&self.0);
        Arc::new(move |step| match step {
            Step::Ahead(bytes) => bar.grow(bytes),
            Step::Done(bytes) => bar.step(bytes),
        })
    }

    /// Off the screen, before anything else is said.
    fn end(self) {}
}

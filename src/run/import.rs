use super::open::{open_data, open_index};
use super::progress::Progress;
use super::{RunError, say};
use crate::cli::{ImportCommand, ImportFrom};
use crate::clock::Clock;
use crate::config::Config;
use crate::import::{Line, Report, Source, Watch, import};
use crate::metrics::Metrics;
use crate::names::IndexName;
use indicatif::HumanBytes;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Lines of each kind that a report for people shows; `--json` shows all.
const SHOWN_MAX: usize = 20;

/// What is counted, in the order and words of the report.
const KINDS: [(&str, &str); 12] = [
    ("users", "users"),
    ("passwords", "passwords"),
    ("facts", "facts about users"),
    ("indexes", "indexes"),
    ("settings", "settings"),
    ("names", "names without releases"),
    ("releases", "releases"),
    ("files", "release files"),
    ("docs", "documentation"),
    ("test_results", "test results"),
    ("cached_files", "cached files"),
    ("pages", "pages of mirrors"),
];

/// `sidewheel import …`: takes over what a directory holds, while no server runs on the data directory.
pub(super) async fn take_over(config: &Config, command: ImportCommand) -> Result<(), RunError> {
    let ImportCommand { from, options } = command;
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let bar = Progress::things("importing", 0);
    let (more, step) = (|count| bar.grow(count), |count| bar.step(count));
    let watch = Watch { more: &more, step: &step };
    let mut report = if options.dry_run {
        let room = Room::make()?;
        import(&source(from, &room.0)?, None, clock.unix(), watch).await?
    } else {
        let ground = open_data(config, None).await?;
        let index = open_index(config, ground, &clock, &metrics).await?;
        let done = import(&source(from, &config.cache.data.join("tmp"))?, Some(&index), clock.unix(), watch).await;
        index.close().await;
        done?
    };
    drop(bar);
    if report.cached_bytes > config.cache.disk_bytes {
        let (what, have, cap) = ("the cache".to_owned(), report.cached_bytes, config.cache.disk_bytes);
        let why =
            format!("the mirrors' files have {have} bytes and the cache keeps {cap}; raise disk, or the oldest go");
        report.notes.push(Line { what, why });
    }
    if options.json {
        say(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        tell(&report, options.dry_run, config);
    }
    if report.is_whole() { Ok(()) } else { Err(RunError::LeftOut(report.left_out.len() as u64 + report.left_out_more)) }
}

fn source(from: ImportFrom, room: &Path) -> Result<Source, RunError> {
    Ok(match from {
        ImportFrom::Devpi { serverdir } => Source::Devpi { serverdir, room: room.to_owned() },
        ImportFrom::Export { directory } => Source::Export { directory },
        ImportFrom::Wheels { directory, index } => Source::Wheels { directory, index: IndexName::parse(&index)? },
    })
}

fn tell(report: &Report, dry_run: bool, config: &Config) {
    say(&match dry_run {
        true => "nothing was written; this is what would come:".to_owned(),
        false => format!("taken over into {}:", config.cache.data.display()),
    });
    for (kind, words) in KINDS {
        let Some(counts) = report.kinds.get(kind) else { continue };
        let mut line = format!("  {words}: {} new", counts.new);
        for (count, what) in [(counts.same, "here already"), (counts.left_out, "left out")] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        say(&line);
    }
    let bytes = HumanBytes(report.bytes);
    match dry_run {
        true => say(&format!("  {bytes} of files, all verified")),
        false => {
            say(&format!("  {bytes} of new files, all verified: {} linked, {} copied", report.linked, report.copied))
        }
    }
    list("to know:", &report.notes, 0);
    list("left out:", &report.left_out, report.left_out_more);
}

fn list(title: &str, lines: &[Line], more: u64) {
    if lines.is_empty() {
        return;
    }
    say(title);
    lines.iter().take(SHOWN_MAX).for_each(|line| say(&format!("  {}: {}", line.what, line.why)));
    let more = lines.len().saturating_sub(SHOWN_MAX) as u64 + more;
    if more > 0 {
        say(&format!("  and {more} more; --json lists them"));
    }
}

/// A directory outside of the data directory, for a run that writes nothing there. Its drop removes it.
struct Room(PathBuf);

impl Room {
    fn make() -> Result<Self, RunError> {
        let path = std::env::temp_dir().join(format!("sidewheel-import-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

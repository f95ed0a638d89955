mod here;
mod source;

use crate::cli::CachePrefetch;
use crate::config::Config;
use crate::names::Sha256;
use crate::prefetch::{LeftOut, NotFound, Platform, Requirements, Target, Wants, Wish, choose, lockfile, requirements};
use crate::run::progress::Progress;
use crate::run::{RunError, complain, human, say};
use crate::simple::{File, ProjectPage};
use crate::upstream::{FetchError, FileStatus};
use futures_util::StreamExt;
use futures_util::stream;
use sha2::Digest;
use source::Source;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// Pages and files that are fetched at the same time: enough to keep a line busy, few enough to leave it to others.
const AT_ONCE_MAX: usize = 8;

/// Most files that one requirements file may include, itself counted.
const INCLUDES_MAX: usize = 200;

/// `sidewheel cache prefetch`: fetches through the server what the files name, so that it is here before anybody asks.
pub(super) async fn prefetch(config: &Config, options: &CachePrefetch) -> Result<(), RunError> {
    let target = target(options)?;
    let wants = wanted(&options.files)?;
    for LeftOut { what, why } in &wants.left_out {
        complain(&format!("left out: {what}: {why}"));
    }
    let wishes: Vec<_> = wants.wishes.into_iter().filter(|wish| target.wants(&wish.markers)).collect();
    if options.check {
        return here::check(config, options, &wishes, &target).await;
    }
    let mut source = Source::open(config, options).await?;
    let done = fetch(&source, options, &wishes, &target).await;
    source.close().await;
    done
}

fn target(options: &CachePrefetch) -> Result<Target, RunError> {
    let usage = |why: &dyn std::fmt::Display| RunError::Usage(why.to_string());
    let platforms = match (options.all_files, options.platforms.as_slice()) {
        (true, _) => Vec::new(),
        (false, []) => Platform::of_machine(std::env::consts::OS, std::env::consts::ARCH).into_iter().collect(),
        (false, raw) => raw.iter().map(|raw| raw.parse()).collect::<Result<_, _>>().map_err(|why| usage(&why))?,
    };
    let python = options.python.as_deref().map(str::parse).transpose().map_err(|why| usage(&why))?;
    Ok(Target { python, platforms })
}

/// What all the files want together; each thing once.
fn wanted(paths: &[PathBuf]) -> Result<Wants, RunError> {
    let (mut all, mut constraints, mut wants) = (Vec::new(), Vec::new(), Wants::default());
    for path in paths {
        let locks = path.extension().is_some_and(|extension| extension == "toml" || extension == "lock");
        match locks {
            true => {
                let read = lockfile(&text(path)?).map_err(|why| unreadable(path, &why))?;
                wants.wishes.extend(read.wishes);
                wants.left_out.extend(read.left_out);
            }
            false => include(path, &mut all, &mut constraints)?,
        }
    }
    let read = Requirements::joined(all, constraints);
    wants.wishes.extend(read.wishes);
    wants.left_out.extend(read.left_out);
    wants.wishes.sort_by(|one, other| one.project.cmp(&other.project));
    wants.wishes.dedup();
    Ok(wants)
}

/// Reads a requirements file and those that it includes, each once; their paths begin where it lies.
fn include(path: &Path, all: &mut Vec<Requirements>, constraints: &mut Vec<Requirements>) -> Result<(), RunError> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(path.to_owned(), false)];
    while let Some((path, as_constraints)) = waiting.pop() {
        if !seen.insert((path.clone(), as_constraints)) {
            continue;
        }
        if seen.len() > INCLUDES_MAX {
            let sentence = format!("{} includes more than {INCLUDES_MAX} files", path.display());
            return Err(RunError::Usage(sentence));
        }
        let read = requirements(&text(&path)?).map_err(|why| unreadable(&path, &why))?;
        let beside = path.parent().unwrap_or(Path::new(""));
        waiting.extend(read.includes.iter().map(|one| (beside.join(&one.path), as_constraints || one.constraints)));
        if as_constraints { constraints.push(read) } else { all.push(read) }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, RunError> {
    let failed = |why| RunError::File { path: path.to_owned(), why };
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| failed(std::io::Error::other("it is not UTF-8")))
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> RunError {
    RunError::Usage(format!("{}: {why}", path.display()))
}

/// A file that is to be fetched.
struct Wanted {
    file: File,
    url: Url,
    source: Arc<source::Index>,
}

/// What came of one.
struct Came {
    bytes: u64,
    failed: Option<String>,
}

async fn fetch(source: &Source, options: &CachePrefetch, wishes: &[Wish], target: &Target) -> Result<(), RunError> {
    let (wanted, mut failed) = plan(source, wishes, target, options.all_files).await;
    let total: u64 = wanted.iter().filter_map(|wanted| wanted.file.size).sum();
    let files = human::count(wanted.len() as u64, "file", "files");
    if options.dry_run {
        for Wanted { file, .. } in &wanted {
            say(&format!("{}  {}", file.filename, file.size.map_or("?".to_owned(), human::bytes)));
        }
        say(&format!("would fetch: {files}, {}", human::bytes(total)));
        return finish(failed);
    }
    let bar = Progress::bytes("prefetching", total);
    let came: Vec<_> =
        stream::iter(wanted.iter().map(|wanted| one(wanted, &bar))).buffer_unordered(AT_ONCE_MAX).collect().await;
    drop(bar);
    let bytes = came.iter().map(|came| came.bytes).sum();
    let here = came.iter().filter(|came| came.failed.is_none()).count();
    failed.extend(came.into_iter().filter_map(|came| came.failed));
    say(&format!("here now: {here} of {files}, {}", human::bytes(bytes)));
    finish(failed)
}

/// Reads the pages, each once, and chooses the files; what cannot be had is told.
async fn plan(source: &Source, wishes: &[Wish], target: &Target, all: bool) -> (Vec<Wanted>, Vec<String>) {
    let bar = Progress::things("reading pages", wishes.len() as u64);
    let read = stream::iter(wishes.iter().map(|wish| {
        let bar = &bar;
        async move {
            let read = page(source, wish).await;
            bar.step(1);
            (wish, read)
        }
    }));
    let read: Vec<_> = read.buffered(AT_ONCE_MAX).collect().await;
    let (mut wanted, mut failed, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (wish, read) in read {
        let (page, index) = match read {
            Ok(read) => read,
            Err(why) => {
                failed.push(format!("{}: {why}", wish.project));
                continue;
            }
        };
        let (found, missing) = choose(&page, wish, target, all);
        failed.extend(missing.iter().map(NotFound::to_string));
        for file in found {
            match Url::parse(&file.url) {
                Ok(url) if seen.insert(file.url.clone()) => {
                    wanted.push(Wanted { file: file.clone(), url, source: Arc::clone(&index) });
                }
                Ok(_) => {}
                Err(why) => failed.push(format!("{}: {why}", file.filename)),
            }
        }
    }
    (wanted, failed)
}

async fn page(source: &Source, wish: &Wish) -> Result<(ProjectPage, Arc<source::Index>), String> {
    if wish.index.is_some() {
        // What looks like an index of ours may be another server's.
        let index = source.index(wish.index.as_ref());
        if let Ok(page) = index.page(&wish.project).await {
            return Ok((page, index));
        }
    }
    let index = source.index(None);
    Ok((index.page(&wish.project).await?, index))
}

/// Fetches one file and looks whether it is what the page says. The server has verified it too; a line that bends bytes
/// is seen here.
async fn one(wanted: &Wanted, bar: &Progress) -> Came {
    let mut bytes = 0;
    let failed = match read(wanted, bar, &mut bytes).await {
        Ok(digest) if wanted.file.sha256.is_none_or(|expected| expected == digest) => None,
        Ok(_) => Some("the bytes are not those that the page promises".to_owned()),
        Err(why) => Some(why.to_string()),
    };
    Came { bytes, failed: failed.map(|why| format!("{}: {why}", wanted.file.filename)) }
}

async fn read(wanted: &Wanted, bar: &Progress, bytes: &mut u64) -> Result<Sha256, FetchError> {
    let mut fetched = wanted.source.file(&wanted.url).await?;
    if fetched.status != FileStatus::Whole {
        return Err(FetchError::Broken { host: "the server".to_owned(), why: "it sent a part only".to_owned() });
    }
    if wanted.file.size.is_none() {
        bar.grow(fetched.len.unwrap_or_default());
    }
    let mut hasher = sha2::Sha256::new();
    while let Some(piece) = fetched.body.next().await {
        let piece = piece?;
        hasher.update(&piece);
        *bytes += piece.len() as u64;
        bar.step(piece.len() as u64);
    }
    Ok(Sha256::from_bytes(hasher.finalize().into()))
}

fn finish(failed: Vec<String>) -> Result<(), RunError> {
    if failed.is_empty() {
        return Ok(());
    }
    let count = human::count(failed.len() as u64, "thing was", "things were");
    let lines: Vec<_> = failed.into_iter().map(|why| format!("  {why}")).collect();
    Err(RunError::Incomplete(format!("{count} not to be had:\n{}", lines.join("\n"))))
}

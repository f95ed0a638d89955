use super::{index, open, projects};
use crate::cli::CachePurge;
use crate::clock::Clock;
use crate::config::Config;
use crate::index::{Purged, Selection, inventory};
use crate::metrics::Metrics;
use crate::names::ProjectName;
use crate::run::open::{open_data, open_index};
use crate::run::progress::Progress;
use crate::run::{RunError, human, say};
use crate::server::control::{self, Answer, CachePart, ControlError, Request};
use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Write};

/// `sidewheel cache purge`: through the server that runs, so that memory and disk agree; else on the directory itself.
pub(super) async fn purge(config: &Config, options: &CachePurge) -> Result<(), RunError> {
    let selection = selection(options)?;
    let planned = plan(config, &selection, options.dry_run).await?;
    if planned.files() == 0 && planned.documents == 0 {
        say("nothing of that is in the cache");
        return Ok(());
    }
    if options.dry_run {
        say(&format!("would go: {}", told(&planned)));
        return Ok(());
    }
    if planned.projects.len() > 1 || selection.projects.len() != 1 {
        agreed(&planned, options.yes)?;
    }
    let purged = match through_server(config, &selection, planned.files()).await {
        Err(RunError::Control(ControlError::NoServer { .. })) => alone(config, selection).await?,
        purged => purged?,
    };
    for (project, (files, bytes)) in &purged.projects {
        let project = project.as_ref().map_or("(no project)", ProjectName::as_str);
        say(&format!("{project}: {}, {}", human::count(*files, "file", "files"), human::bytes(*bytes)));
    }
    say(&format!("purged: {}", told(&purged)));
    Ok(())
}

fn selection(options: &CachePurge) -> Result<Selection, RunError> {
    let now = Clock::system().unix();
    let before = |time: &Option<String>| {
        let seconds = time.as_deref().map(human::seconds).transpose().map_err(RunError::Usage)?;
        Ok::<_, RunError>(seconds.map(|seconds| now.saturating_sub(seconds)))
    };
    let selection = Selection {
        projects: projects(&options.projects)?,
        index: index(options.index.as_deref())?,
        came_before: before(&options.older_than)?,
        unused_since: before(&options.unused_for)?,
    };
    match selection == Selection::default() && !options.all {
        true => Err(RunError::Usage(
            "say what is to go: projects, --index, --older-than, --unused-for, or --all".to_owned(),
        )),
        false => Ok(selection),
    }
}

/// What is there to go.
async fn plan(config: &Config, selection: &Selection, show: bool) -> Result<Purged, RunError> {
    let store = open(config).await?;
    let (rows, keys) = (inventory(&store).await?, store.document_keys().await?);
    store.close().await;
    let mut planned = Purged::default();
    for row in rows.iter().filter(|row| selection.takes(row)) {
        planned.add(row);
        if show {
            let name = row.name.as_ref().map_or_else(|| row.sha256.to_hex(), |name| name.filename.clone());
            say(&format!("{name}  {}", human::bytes(row.size)));
        }
    }
    planned.documents = keys.iter().filter(|key| selection.takes_document(key)).count() as u64;
    Ok(planned)
}

fn agreed(planned: &Purged, yes: bool) -> Result<(), RunError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let sentence = format!("that is {}; add --yes if it is meant", told(planned));
        return Err(RunError::Usage(sentence));
    }
    let projects = human::count(planned.projects.len() as u64, "project", "projects");
    let mut out = io::stderr();
    let _ = write!(out, "Purge {} of {projects}? [y/N] ", told(planned)).and_then(|()| out.flush());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(RunError::Usage("nothing was purged".to_owned())),
    }
}

fn told(purged: &Purged) -> String {
    let files = human::count(purged.files(), "file", "files");
    let pages = human::count(purged.documents, "stored page", "stored pages");
    format!("{files} ({}) and {pages}", human::bytes(purged.bytes()))
}

async fn through_server(config: &Config, selection: &Selection, files: u64) -> Result<Purged, RunError> {
    let request = Request::CachePurge(CachePart::from(selection));
    let mut all = Purged::default();
    let mut bar = None;
    loop {
        let Answer::CachePurged(purged) = control::ask(&config.cache.data, &request).await? else {
            return Err(ControlError::Foreign { data: config.cache.data.clone() }.into());
        };
        let purged = Purged::from(purged);
        bar.get_or_insert_with(|| Progress::things("purging", files)).step(purged.files());
        if !add(&mut all, purged) {
            return Ok(all);
        }
    }
}

/// Without a server: the directory is this process's own for as long as it takes.
async fn alone(config: &Config, selection: Selection) -> Result<Purged, RunError> {
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let ground = open_data(config, None).await?;
    let index = open_index(&uncapped(config), ground, &clock, &metrics).await?;
    let mut all = Purged::default();
    let purged = loop {
        match index.purge(selection.clone()).await {
            Ok(purged) => {
                if !add(&mut all, purged) {
                    break Ok(all);
                }
            }
            Err(why) => break Err(why.into()),
        }
    };
    index.close().await;
    purged
}

/// The same without a cap: the server's own may stand where this command does not look, and nothing is to be evicted
/// by the way.
pub(super) fn uncapped(config: &Config) -> Config {
    let mut config = config.clone();
    config.cache.disk_bytes = u64::MAX;
    config
}

/// Adds to a sum; whether there is more.
fn add(all: &mut Purged, purged: Purged) -> bool {
    let mut projects: BTreeMap<_, (u64, u64)> = std::mem::take(&mut all.projects);
    for (project, (files, bytes)) in purged.projects {
        let sum = projects.entry(project).or_default();
        *sum = (sum.0 + files, sum.1 + bytes);
    }
    *all = Purged { projects, documents: all.documents + purged.documents, more: purged.more };
    all.more
}

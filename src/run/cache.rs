mod list;
mod prefetch;
mod purge;
mod stats;

use super::{RunError, complain};
use crate::cli::CacheCommand;
use crate::config::Config;
use crate::names::{DistFilename, IndexName, ProjectName};
use crate::server::control::{self, Answer, ControlError, Request};
use crate::store::{BlobRow, STORE_FILE, Store, StoreError};

/// `sidewheel cache …`: reads the database itself, beside a server that runs or without one.
pub(super) async fn cache(config: &Config, command: CacheCommand) -> Result<(), RunError> {
    match command {
        CacheCommand::List(list) => list::list(config, &list).await,
        CacheCommand::Stats { json } => stats::stats(config, json).await,
        CacheCommand::Purge(purge) => purge::purge(config, &purge).await,
        CacheCommand::Prefetch(wanted) => prefetch::prefetch(config, &wanted).await,
    }
}

/// The database as it is now: a server that runs writes down first what it holds in memory.
async fn open(config: &Config) -> Result<Store, RunError> {
    let data = &config.cache.data;
    if !data.join(STORE_FILE).is_file() {
        let sentence = format!("{} holds no cache yet; give another --data, or serve first", data.display());
        return Err(RunError::Usage(sentence));
    }
    match control::ask(data, &Request::CacheBooks).await {
        Ok(Answer::CacheBooks) | Err(ControlError::NoServer { .. }) => {}
        Ok(_) => complain("the server gave an answer to another question; its last minute is not counted"),
        Err(why) => complain(&format!("{why}; the server's last minute is not counted")),
    }
    match Store::open(data).await {
        Err(StoreError::Open { .. }) => Ok(Store::open_read_only(data).await?),
        opened => Ok(opened?),
    }
}

/// Whether it is a distribution, not what lies beside it.
fn is_dist(row: &BlobRow) -> bool {
    row.name.as_ref().is_some_and(|name| DistFilename::parse(&name.filename).is_ok())
}

fn projects(names: &[String]) -> Result<Vec<ProjectName>, RunError> {
    let read = |name: &String| ProjectName::parse(name).map_err(|why| RunError::Usage(format!("{name:?}: {why}")));
    names.iter().map(read).collect()
}

fn index(name: Option<&str>) -> Result<Option<IndexName>, RunError> {
    name.map(IndexName::parse).transpose().map_err(|why| RunError::Usage(why.to_string()))
}

use super::{index, is_dist, open, projects};
use crate::cli::{CacheList, CacheSort};
use crate::clock::Clock;
use crate::config::Config;
use crate::index::{Selection, inventory, stamps, version_of};
use crate::run::{RunError, human, say};
use crate::store::BlobRow;
use serde_json::json;
use std::cmp::Reverse;

/// `sidewheel cache list`: each file, its uses and where it came from; metadata is counted with the totals.
pub(super) async fn list(config: &Config, options: &CacheList) -> Result<(), RunError> {
    let wanted = Selection {
        projects: projects(&options.projects)?,
        index: index(options.index.as_deref())?,
        ..Selection::default()
    };
    let store = open(config).await?;
    let rows = inventory(&store).await?;
    store.close().await;
    let mut rows: Vec<_> = rows.into_iter().filter(|row| wanted.takes(row)).collect();
    sort(&mut rows, options.sort);
    match options.json {
        true => say(&shown(&rows)),
        false => say(&told(&rows, Clock::system().unix())),
    }
    Ok(())
}

fn sort(rows: &mut [BlobRow], by: CacheSort) {
    rows.sort_by(|one, other| key_of_name(one).cmp(&key_of_name(other)));
    match by {
        CacheSort::Name => {}
        CacheSort::Size => rows.sort_by_key(|row| Reverse(row.size)),
        CacheSort::Uses => rows.sort_by_key(|row| Reverse(row.uses)),
        CacheSort::Age => rows.sort_by_key(|row| row.fetched.unwrap_or(0)),
    }
}

/// The nameless come last.
fn key_of_name(row: &BlobRow) -> (bool, Option<&str>, Option<&str>) {
    let project = row.name.as_ref().and_then(|name| name.project.as_ref()).map(|project| project.as_str());
    (row.name.is_none(), project, row.name.as_ref().map(|name| &*name.filename))
}

fn shown(rows: &[BlobRow]) -> String {
    let file = |row: &BlobRow| {
        let name = row.name.as_ref();
        json!({
            "project": name.and_then(|name| name.project.as_ref()).map(|project| project.as_str()),
            "filename": name.map(|name| &name.filename),
            "version": name.and_then(version_of),
            "index": name.map(|name| name.index.as_str()),
            "sha256": row.sha256.to_hex(),
            "size": row.size,
            "fetched": row.fetched.map(stamps::iso),
            "last_used": stamps::iso(row.used),
            "uses": row.uses,
            "served_bytes": row.served,
        })
    };
    let files: Vec<_> = rows.iter().map(file).collect();
    let bytes: u64 = rows.iter().map(|row| row.size).sum();
    let all = json!({ "files": files, "totals": { "files": rows.len(), "bytes": bytes } });
    serde_json::to_string_pretty(&all).unwrap_or_default()
}

fn told(rows: &[BlobRow], now: u64) -> String {
    let (dists, rest): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.name.is_none() || is_dist(row));
    let mut lines = vec![
        ["PROJECT", "VERSION", "SIZE", "USES", "LAST USED", "FETCHED", "INDEX", "FILE"].map(str::to_owned).to_vec(),
    ];
    lines.extend(dists.iter().map(|row| {
        let name = row.name.as_ref();
        vec![
            name.and_then(|name| name.project.as_ref()).map_or("-".to_owned(), |project| project.to_string()),
            name.and_then(version_of).unwrap_or_else(|| "-".to_owned()),
            human::bytes(row.size),
            row.uses.to_string(),
            human::ago(row.used, now),
            row.fetched.map_or("-".to_owned(), |fetched| human::ago(fetched, now)),
            name.map_or("-".to_owned(), |name| name.index.to_string()),
            name.map_or_else(|| format!("sha256:{}", row.sha256.to_hex()), |name| name.filename.clone()),
        ]
    }));
    let size = |rows: &[&BlobRow]| human::bytes(rows.iter().map(|row| row.size).sum());
    let mut total = format!("{}, {}", human::count(dists.len() as u64, "file", "files"), size(&dists));
    if !rest.is_empty() {
        total += &format!("; metadata and lists beside them: {}, {}", rest.len(), size(&rest));
    }
    match dists.is_empty() {
        true => total,
        false => format!("{}\n{total}", human::table(&lines, &[2, 3, 4, 5])),
    }
}

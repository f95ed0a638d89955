use super::progress::Progress;
use super::{RunError, say};
use crate::backup::Fault;
use crate::cli::ExportOptions;
use crate::config::Config;
use crate::export::{ExportWish, Exported, FixedMirror, Kind, LeftOut, Step, export as do_export};
use crate::store::PRIVATE_FILE;
use serde_json::json;

/// Lines of one kind that a person is shown; JSON has all.
const LINES_MAX: usize = 20;

/// `sidewheel export`: reads beside a server that runs, or without one.
pub(super) async fn export(config: &Config, options: ExportOptions) -> Result<(), RunError> {
    let data = &config.cache.data;
    if !data.join(PRIVATE_FILE).is_file() {
        let sentence = format!("{} holds no users and no releases; give another --data", data.display());
        return Err(RunError::Usage(sentence));
    }
    let mirrors = config.mirrors.iter().map(|mirror| FixedMirror {
        name: mirror.name.clone(),
        url: mirror.upstream.as_str().to_owned(),
        credentials: mirror.credentials.is_some(),
    });
    let wish = ExportWish {
        data: data.clone(),
        target: options.devpi.clone(),
        mirrored_files: options.include_mirrored_files,
        mirrors: mirrors.collect(),
    };
    let mut bar = None;
    let exported = do_export(&wish, |step| match step {
        Step::Found(bytes) => bar = Some(Progress::bytes("exporting", bytes)),
        Step::Carried(bytes) => bar.iter().for_each(|bar| bar.step(bytes)),
    })
    .await;
    drop(bar);
    let exported = exported?;
    if options.json {
        say(&as_json(&exported, &options))
    } else {
        tell(&exported, &options)
    }
    match exported.left_out.iter().filter(|left| left.kind == Kind::File).count() {
        0 => Ok(()),
        count => Err(RunError::Files(
            format!("{count} file(s) could not be exported; `sidewheel verify` says what else is damaged"),
            Fault::Damaged,
        )),
    }
}

fn tell(exported: &Exported, options: &ExportOptions) {
    let Exported { users, indexes, releases, files, bytes, linked, left_out } = exported;
    let (copied, megabytes) = (files - linked, *bytes as f64 / 1e6);
    say(&format!(
        "{users} user(s), {indexes} index(es), {releases} release(s), {files} file(s) of {megabytes:.1} MB ({linked} \
         linked, {copied} copied) are in {}; devpi-import reads them into a new server directory",
        options.devpi.display()
    ));
    if !left_out.is_empty() {
        say("left out:");
    }
    for kind in left_out.chunk_by(|a, b| a.kind == b.kind) {
        kind.iter().take(LINES_MAX).for_each(|left| say(&format!("  {left}")));
        if let Some(more) = kind.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
            let name = kind.first().map_or("", |left| left.kind.as_str());
            say(&format!("  and {more} more of this kind ({name}); --json lists all"));
        }
    }
}

fn as_json(exported: &Exported, options: &ExportOptions) -> String {
    let left = |left: &LeftOut| json!({ "kind": left.kind.as_str(), "what": left.what, "why": left.why });
    let report = json!({
        "directory": options.devpi.display().to_string(),
        "users": exported.users,
        "indexes": exported.indexes,
        "releases": exported.releases,
        "files": exported.files,
        "bytes": exported.bytes,
        "linked": exported.linked,
        "left_out": exported.left_out.iter().map(left).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&report).unwrap_or_default()
}

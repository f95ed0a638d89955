//! The rooms of ARCHITECTURE.md §3, held by reading the sources. When this test is in the way, the picture is redrawn
//! there first, and the table here after it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by layer; a room uses only rooms of a lower layer, and those of `SIDEWAYS`.
const LAYERS: [&[&str]; 6] = [
    &["names", "clock", "metrics", "platform"],
    &["simple", "rules", "http", "fresh", "config", "configure", "readme", "search"],
    &["store", "cache", "upstream", "auth"],
    &["index"],
    &["upload", "api", "web", "import", "export", "backup", "prefetch"],
    &["server", "service", "doctor"],
];

const SIDEWAYS: [(&str, &str); 3] = [("http", "simple"), ("rules", "simple"), ("import", "upload")];

/// Outside the rooms: they put the house together.
const WIRING: [&str; 4] = ["lib", "main", "cli", "run"];

const LINES_MAX: usize = 600;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
    /// The text without comments, string literals' neighbours left as they are.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    assert!(paths.len() > 30, "only {} source files found: the walk is broken", paths.len());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let inside = path.strip_prefix(&root).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        Source { path, room, text, code }
    };
    paths.into_iter().map(read).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

fn is_test(source: &Source) -> bool {
    source.path.file_name().is_some_and(|name| name == "tests.rs")
        || source.path.components().any(|c| c.as_os_str() == "tests")
}

/// The part of a file that is compiled into the program.
fn program(source: &Source) -> &str {
    if is_test(source) {
        return "";
    }
    source.code.split("#[cfg(test)]").next().unwrap_or_default()
}

fn used_rooms(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = group.split("};").next().unwrap_or_default();
                used.extend(group.split(',').map(|part| word(part.trim())).filter(|name| layer(name).is_some()));
            }
            None => used.push(word(rest)),
        }
    }
    used
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for source in sources() {
        if WIRING.contains(&source.room.as_str()) {
            continue;
        }
        let Some(from) = layer(&source.room) else {
            wrong.push(format!("{} is in no room", source.path.display()));
            continue;
        };
        for used in used_rooms(program(&source)) {
            let sideways = SIDEWAYS.contains(&(source.room.as_str(), used.as_str()));
            match layer(&used) {
                _ if used == source.room || sideways => {}
                Some(to) if to < from => {}
                _ => wrong.push(format!("{}: {} uses {used}", source.path.display(), source.room)),
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn the_walls_are_seen() {
    assert_eq!(used_rooms("use crate::store::Store; crate::{cache::X, names};"), ["store", "cache", "names"]);
    assert!(layer("index") > layer("store") && layer("server") > layer("api"));
}

#[test]
fn words_stay_in_their_rooms() {
    // (word, rooms or files that may say it, why)
    let walls: [(&str, &[&str], &str); 11] = [
        ("pingora", &["server/engine.rs"], "one file names Pingora"),
        ("reqwest", &["upstream"], "only upstream asks other servers"),
        ("sqlx", &["store"], "only the store speaks SQL"),
        ("PoolOptions::new", &["src/store.rs"], "pools begin as store::pool_options says, or they may spin"),
        ("min_connections", &[], "pools begin as store::pool_options says, or a new database may be locked"),
        ("Pool::connect", &[], "pools begin as store::pool_options says, or they may spin"),
        ("moka", &["cache"], "only the cache knows how memory is held"),
        (
            "Instant::now",
            &["clock", "index/fill.rs", "platform/allocator.rs", "server"],
            "time comes from the clock; durations for the log may be taken",
        ),
        ("SystemTime", &["clock"], "time comes from the clock"),
        ("std::env::var", &["main", "run", "upstream/clients.rs"], "the environment is read once; proxies have theirs"),
        (
            "fs::",
            &[
                "cache",
                "store",
                "import",
                "backup",
                "export/target.rs",
                "platform",
                "service/files.rs",
                "server/listen.rs",
                "server/control/socket.rs",
                "server.rs",
                "run",
                "doctor",
            ],
            "only the hands open paths",
        ),
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        for (word, allowed, why) in walls {
            let path = source.path.to_string_lossy().replace('\\', "/");
            let may = allowed.iter().any(|place| source.room == *place || path.ends_with(place));
            // Reading what a hand has opened is no business with paths.
            let code = program(&source).replace("std::fs::File;", "").replace("std::os::unix::fs::FileExt;", "");
            if !may && code.contains(word) {
                wrong.push(format!("{path}: {word} ({why})"));
            }
        }
    }
    assert!(wrong.is_empty(), "words outside their rooms:\n{}", wrong.join("\n"));
}

#[test]
fn the_lower_layers_do_not_wait() {
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|source| layer(&source.room).is_some_and(|layer| layer <= 1))
        .filter(|source| program(source).contains("async ") || program(source).contains("tokio"))
        .map(|source| source.path)
        .collect();
    assert!(wrong.is_empty(), "layers 0 and 1 are pure, but these wait: {wrong:?}");
}

#[test]
fn files_are_short_and_finished() {
    let mut wrong = Vec::new();
    // Put together here so that this file does not find itself.
    let marks = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("FIX", "ME"),
        concat!("XX", "X "),
    ];
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{}: {lines} lines", source.path.display()));
        }
        wrong.extend(
            marks
                .iter()
                .filter(|mark| source.text.contains(**mark))
                .map(|mark| format!("{}: {mark}", source.path.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_is_reached() {
    let sources = sources();
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    for source in &sources {
        for line in source.text.lines() {
            let line = line
                .trim()
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub(super) ")
                .trim_start_matches("pub ");
            if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                *reached.entry(name).or_default() += 1;
            }
        }
    }
    let lost: Vec<_> = sources
        .iter()
        .filter(|source| !["lib.rs", "main.rs"].iter().any(|root| source.path.ends_with(format!("src/{root}"))))
        .filter(|source| !reached.contains_key(source.path.file_stem().unwrap().to_str().unwrap()))
        .map(|source| &source.path)
        .collect();
    assert!(lost.is_empty(), "no `mod` reaches {lost:?}");
}

#[test]
fn the_public_index_is_named_in_one_place() {
    let hosts = [concat!("pypi", ".org"), concat!("python", "hosted")];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tracked = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().unwrap();
    let files: Vec<_> = tracked.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    assert!(files.len() > 30, "git lists only {} files", files.len());
    let mut named = Vec::new();
    for file in files {
        let path = root.join(std::str::from_utf8(file).unwrap());
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if hosts.iter().any(|host| text.contains(host)) && !path.ends_with("src/config/public_index.rs") {
            named.push(path);
        }
    }
    assert!(named.is_empty(), "the public index's address stands in {named:?} too");
}

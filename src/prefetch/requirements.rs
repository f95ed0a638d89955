use super::{FILE_BYTES_MAX, LeftOut, Marker, Newest, WISHES_MAX, Wants, WantsError, What, Wish};
use crate::names::{ProjectName, Sha256};
use pep440_rs::{VersionSpecifier, VersionSpecifiers};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What a requirements file says, before those that it includes are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    pub wishes: Vec<Wish>,
    pub includes: Vec<Include>,
    pub left_out: Vec<LeftOut>,
    /// Releases before the final one are as good.
    pub pre: bool,
}

/// Another file that is named in one, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    pub path: String,
    /// It only narrows what others wish (`-c`).
    pub constraints: bool,
}

/// Reads a requirements file as pip does: comments, lines that go on, options, hashes, markers and extras.
pub fn requirements(text: &str) -> Result<Requirements, WantsError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(WantsError::TooLarge);
    }
    let mut read = Requirements::default();
    for line in logical_lines(text.trim_start_matches('\u{feff}')) {
        let line = without_comment(&line).trim();
        match line.starts_with('-') {
            _ if line.is_empty() => {}
            true => option(line, &mut read),
            false => match wish(line) {
                Ok(wish) => read.wishes.push(wish),
                Err(why) => read.left_out.push(LeftOut::new(line, why)),
            },
        }
        if read.wishes.len() + read.includes.len() + read.left_out.len() > WISHES_MAX {
            return Err(WantsError::TooMany);
        }
    }
    Ok(read)
}

impl Requirements {
    /// What this and the files that it includes want together; `constraints` are those of its `-c` files.
    pub fn joined(all: Vec<Self>, constraints: Vec<Self>) -> Wants {
        let mut narrowed: BTreeMap<ProjectName, Vec<VersionSpecifier>> = BTreeMap::new();
        let mut wants = Wants::default();
        for wish in constraints.into_iter().flat_map(|file| file.wishes) {
            // One with a marker holds only somewhere; leaving it out fetches a newer release there, no wrong one.
            if let (What::Newest(newest), true) = (wish.what, wish.markers.is_empty()) {
                narrowed.entry(wish.project).or_default().extend(newest.specifiers.iter().cloned());
            }
        }
        let pre = all.iter().any(|file| file.pre);
        for file in all {
            wants.left_out.extend(file.left_out);
            for mut wish in file.wishes {
                if let What::Newest(newest) = &mut wish.what {
                    newest.pre = pre;
                    let more = narrowed.get(&wish.project).into_iter().flatten();
                    newest.specifiers = newest.specifiers.iter().chain(more).cloned().collect();
                }
                wants.wishes.push(wish);
            }
        }
        wants
    }
}

/// Lines that end in a backslash go on in the next; a comment ends there whatever it ends in.
fn logical_lines(text: &str) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for part in text.lines() {
        match part.strip_suffix('\\').filter(|_| without_comment(part).len() == part.len()) {
            Some(part) => line.push_str(part),
            None => {
                // A comment in the middle of what goes on still begins after a space.
                if part.trim_start().starts_with('#') {
                    line.push(' ');
                }
                line.push_str(part);
                lines.push(std::mem::take(&mut line));
            }
        }
    }
    lines.push(line);
    lines
}

/// A comment begins at the start or after a space: the `#` of a URL is none.
fn without_comment(line: &str) -> &str {
    let begins = |at: &usize| *at == 0 || line.get(..*at).is_some_and(|before| before.ends_with(char::is_whitespace));
    match line.match_indices('#').map(|(at, _)| at).find(begins) {
        Some(at) => line.get(..at).unwrap_or_default(),
        None => line,
    }
}

fn option(line: &str, read: &mut Requirements) {
    let (word, rest) = line.split_once(|c: char| c.is_whitespace() || c == '=').unwrap_or((line, ""));
    let rest = rest.trim().trim_matches(['"', '\'']);
    // `-rother.txt` is one word.
    let (word, value) = match (word.get(..2), word.get(2..)) {
        (Some(short @ ("-r" | "-c" | "-e")), Some(glued)) if !glued.is_empty() => (short, glued),
        _ => (word, rest),
    };
    let include = |constraints| Include { path: value.to_owned(), constraints };
    match word {
        "-r" | "--requirement" | "-c" | "--constraint" if value.is_empty() => {
            read.left_out.push(LeftOut::new(line, "it names no file"));
        }
        "-r" | "--requirement" => read.includes.push(include(false)),
        "-c" | "--constraint" => read.includes.push(include(true)),
        "-e" | "--editable" => read.left_out.push(LeftOut::new(line, "it is a directory of its own, not a release")),
        "--pre" => read.pre = true,
        // Where pip looks and what it trusts; here the index is given on the command line.
        "-i" | "--index-url" | "--pypi-url" | "--extra-index-url" | "--no-index" | "--trusted-host"
        | "--require-hashes" | "--prefer-binary" | "--only-binary" | "--no-binary" | "--use-feature" => {}
        "-f" | "--find-links" => read.left_out.push(LeftOut::new(line, "only the index is asked")),
        _ => read.left_out.push(LeftOut::new(line, "it is an option that is not known")),
    }
}

/// `name[extra]==1.0 ; marker --hash=sha256:…`
fn wish(line: &str) -> Result<Wish, &'static str> {
    let (requirement, options) = match line.match_indices("--").find(|(at, _)| is_option(line, *at)) {
        Some((at, _)) => line.split_at(at),
        None => (line, ""),
    };
    let requirement = requirement.trim();
    let not_of_an_index = requirement.contains("://")
        || requirement.starts_with(['.', '/', '~'])
        || requirement.contains(" @ ")
        || requirement.split_once('@').is_some_and(|(name, _)| ProjectName::parse(name.trim()).is_ok());
    if not_of_an_index {
        return Err("it has an address of its own, not a release of the index");
    }
    let name_ends = requirement.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c));
    let (name, rest) = requirement.split_at(name_ends.unwrap_or(requirement.len()));
    let project = ProjectName::parse(name).map_err(|_| "it is no requirement")?;
    // Extras ask for more projects, which nobody resolves here.
    let rest = match rest.trim_start().strip_prefix('[') {
        Some(extras) => extras.split_once(']').ok_or("it is no requirement")?.1,
        None => rest,
    };
    let (version, marker) = match rest.split_once(';') {
        Some((version, marker)) => (version, Some(marker)),
        None => (rest, None),
    };
    // Parentheses are how it was written before PEP 508.
    let version = version.trim();
    let version = version.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(version);
    let specifiers = match version.trim() {
        "" => VersionSpecifiers::empty(),
        version => VersionSpecifiers::from_str(version).map_err(|_| "it is no requirement")?,
    };
    let markers = match marker {
        Some(marker) => vec![Marker::parse(marker).ok_or("it is no requirement")?],
        None => Vec::new(),
    };
    Ok(Wish {
        project,
        index: None,
        what: What::Newest(Newest { specifiers, hashes: hashes(options), pre: false }),
        markers,
    })
}

/// Whether an option of a requirement begins there, after a space.
fn is_option(line: &str, at: usize) -> bool {
    line.get(..at).is_some_and(|before| before.ends_with(char::is_whitespace))
}

/// The SHA-256 digests of `--hash=sha256:…`; those of other kinds say nothing that an index could be asked for.
fn hashes(options: &str) -> Vec<Sha256> {
    let digest = |word: &str| Sha256::from_hex(word.trim_start_matches("--hash=").strip_prefix("sha256:")?).ok();
    options.split_whitespace().filter_map(digest).collect()
}

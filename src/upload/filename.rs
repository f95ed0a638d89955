use super::Refusal;
use crate::names::{DistFilename, DistKind, ProjectName, Version};
use std::str::FromStr;

/// Longest version taken, in bytes: it stands in URLs and file names.
const VERSION_BYTES_MAX: usize = 200;

/// The version of a form: one safe segment of a URL. Versions that are not PEP 440 were uploaded to devpi for years.
pub fn version(raw: &str) -> Result<&str, Refusal> {
    let safe = |byte: u8| byte.is_ascii_graphic() && !b"/\\<>%#\"?".contains(&byte);
    match raw {
        "" => Err(Refusal::MissingField("version")),
        // `+` begins devpi's own addresses.
        _ if raw.len() > VERSION_BYTES_MAX || raw.starts_with(['.', '+']) || !raw.bytes().all(safe) => {
            Err(Refusal::Version)
        }
        _ => Ok(raw),
    }
}

/// Whether the file is a distribution of the project in this version, by its name.
///
/// devpi asks only that the name begins with the project and has the version somewhere in it, so that `foo` could take
/// `foo_bar-1.0.tar.gz`; here the parts have to be the project and the version.
pub fn check(raw: &str, project: &ProjectName, display_name: &str, version: &str) -> Result<DistFilename, Refusal> {
    let archive_name = || Refusal::ArchiveName(raw.to_owned());
    let filename = DistFilename::parse(raw).map_err(|_| archive_name())?;
    // Documentation is no sdist, and these have never been taken by an index.
    if [".doc.zip", ".tar.xz", ".tar.Z"].iter().any(|extension| raw.ends_with(extension)) {
        return Err(archive_name());
    }
    let wrong_project = || Refusal::WrongProject { filename: raw.to_owned(), project: display_name.to_owned() };
    let wrong_version = || Refusal::WrongVersion { filename: raw.to_owned(), version: version.to_owned() };
    let is_project = |name: &str| ProjectName::parse(name).as_ref() == Ok(project);
    let agrees = match filename.kind() {
        DistKind::Wheel => {
            let (name, stated) = wheel(raw)?;
            if !is_project(name) {
                return Err(wrong_project());
            }
            same_version(stated, version)
        }
        DistKind::Sdist => {
            let stem = stem(raw);
            let mut rests = splits(stem).filter(|(name, _)| is_project(name)).map(|(_, rest)| rest).peekable();
            if rests.peek().is_none() {
                return Err(wrong_project());
            }
            rests.any(|rest| same_version(rest, version))
        }
        DistKind::Other => {
            let folded_name = folded(raw);
            let Some(rest) = folded_name.strip_prefix(&format!("{project}-")) else { return Err(wrong_project()) };
            // `1.0-py2.7.egg`, `1.0.win32.exe`: whatever follows the version is not looked at.
            let by_letters = rest.strip_prefix(&folded(version)).is_some_and(|rest| rest.starts_with('-'));
            let first = |rest: &str| rest.split('-').next().is_some_and(|stated| same_version(stated, version));
            by_letters || splits(raw).any(|(name, rest)| is_project(name) && first(rest))
        }
    };
    if agrees { Ok(filename) } else { Err(wrong_version()) }
}

/// Whether two versions are one: by PEP 440, else by their letters, with what file names escape folded.
pub fn same_version(one: &str, other: &str) -> bool {
    // A wheel's name has `_` where the version has `-`.
    let parsed = |version: &str| Version::from_str(&version.replace('_', "-")).ok();
    match (parsed(one), parsed(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => folded(one) == folded(other),
        _ => false,
    }
}

/// The name and the version of a wheel's file name, all of whose parts are as PEP 427 has them.
fn wheel(raw: &str) -> Result<(&str, &str), Refusal> {
    let wrong = |why| Refusal::WheelName { filename: raw.to_owned(), why };
    let parts: Vec<&str> = stem(raw).split('-').collect();
    let (name, version, build, tags) = match parts.as_slice() {
        [name, version, tags @ ..] if tags.len() == 3 => (*name, *version, None, tags),
        [name, version, build, tags @ ..] if tags.len() == 3 => (*name, *version, Some(*build), tags),
        _ => return Err(wrong("it has five or six parts between hyphens")),
    };
    if build.is_some_and(|build| !build.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(wrong("its build number begins with a digit"));
    }
    let is_tag = |tag: &str| !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !tags.iter().all(|set| set.split('.').all(is_tag)) {
        return Err(wrong("its tags have letters, digits and '_', joined by '.'"));
    }
    Ok((name, version))
}

/// The name without its extension.
fn stem(raw: &str) -> &str {
    [".whl", ".tar.gz", ".tar.bz2", ".tgz", ".zip"]
        .iter()
        .find_map(|extension| raw.strip_suffix(extension))
        .unwrap_or(raw)
}

fn splits(stem: &str) -> impl Iterator<Item = (&str, &str)> {
    stem.match_indices('-').map(|(at, _)| (stem.get(..at).unwrap_or_default(), stem.get(at + 1..).unwrap_or_default()))
}

/// Lower case, with runs of all but letters and digits as one `-`.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            folded.extend(letter.to_lowercase());
        } else if !folded.ends_with('-') {
            folded.push('-');
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(raw: &str, project: &str, version: &str) -> Result<(), Refusal> {
        check(raw, &ProjectName::parse(project).unwrap(), project, version).map(|_| ())
    }

    #[test]
    fn takes_what_belongs_to_the_release() {
        for (raw, project, version) in [
            (
                "zope.interface-7.2-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "zope.interface",
                "7.2",
            ),
            ("Hello_Pkg-1.0-py2.py3-none-any.whl", "hello-pkg", "1.0.0"),
            ("a-1!2.0+local.1-py3-none-any.whl", "a", "1!2.0+local-1"),
            ("a-2004d-py3-none-any.whl", "a", "2004d"),
            ("hello-pkg-1.0.tar.gz", "hello_pkg", "1.0"),
            ("hello-pkg-1.0rc1.zip", "Hello.Pkg", "1.0.rc1"),
            ("pkg-3-ok-1.0.tar.bz2", "pkg-3-ok", "1.0"),
            ("a-1.0-final-draft.tgz", "a", "1.0-final_draft"),
            ("a-1.0-py2.7.egg", "a", "1.0"),
            ("a-1.0.win-amd64-py2.7.exe", "a", "1.0"),
            ("a-1.0-1.noarch.rpm", "a", "1.0"),
            ("python-a_1.0_all.deb", "python-a", "1.0"),
        ] {
            assert_eq!(of(raw, project, version), Ok(()), "{raw}");
        }
    }

    #[test]
    fn refuses_other_projects_and_versions() {
        for (raw, project, version) in [
            ("foo_bar-1.0.tar.gz", "foo", "1.0"),
            ("foobar-1.0-py3-none-any.whl", "foo", "1.0"),
            ("foobar-1.0-py2.7.egg", "foo", "1.0"),
            ("foo.tar.gz", "foo", "1.0"),
        ] {
            let wrong = Refusal::WrongProject { filename: raw.into(), project: project.into() };
            assert_eq!(of(raw, project, version), Err(wrong));
        }
        for (raw, version) in [
            ("foo-1.0.tar.gz", "1.0.1"),
            ("foo-1.0.1.tar.gz", "1.0"),
            ("foo-bar-1.0.tar.gz", "1.0"),
            ("foo-11.0-py3-none-any.whl", "1.0"),
            ("foo-1.01-py2.7.egg", "1.0"),
        ] {
            let wrong = Refusal::WrongVersion { filename: raw.into(), version: version.into() };
            assert_eq!(of(raw, "foo", version), Err(wrong));
        }
    }

    #[test]
    fn refuses_what_is_no_distribution() {
        for raw in ["", "foo-1.0.html", "../foo-1.0.tar.gz", "foo-1.0.doc.zip", "foo-1.0.tar.xz", "C:\\foo-1.0.zip"] {
            assert_eq!(of(raw, "foo", "1.0"), Err(Refusal::ArchiveName(raw.into())));
        }
        for raw in [
            "foo-1.0.whl",
            "foo-1.0-py3-none.whl",
            "foo-1.0-x-py3-none-any.whl",
            "foo-1.0-1-py3-none-any-more.whl",
            "foo-1.0-py3--any.whl",
            "foo-1.0-py3-none-a+b.whl",
            "foo-1.0-py3-none-a..b.whl",
        ] {
            assert!(matches!(of(raw, "foo", "1.0"), Err(Refusal::WheelName { .. })), "{raw}");
        }
        for raw in ["a/b", "..", "+f", "1<2", "1 0", "é", "1\n", &"1".repeat(201)] {
            assert_eq!(version(raw), Err(Refusal::Version));
        }
    }

    proptest! {
        #[test]
        fn never_panics(raw in ".{0,40}(\\.whl|\\.tar\\.gz|\\.egg)", stated in ".{0,10}") {
            let _ = of(&raw, "a", &stated);
            let _ = version(&stated);
            let _ = same_version(&raw, &stated);
        }
    }
}

use super::ProjectName;
use pep440_rs::Version;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest file name, in bytes: the limit of the file systems that clients keep it on.
const FILENAME_BYTES_MAX: usize = 255;

/// Extensions of distributions that PyPI serves or once served, longest first so that `.tar.gz` wins over `.gz`.
const SDIST_EXTENSIONS: [&str; 6] = [".tar.bz2", ".tar.gz", ".tar.xz", ".tar.Z", ".tgz", ".zip"];
const BINARY_EXTENSIONS: [&str; 7] = [".whl", ".egg", ".exe", ".msi", ".rpm", ".dmg", ".deb"];

/// The file name of a distribution: one path segment of visible ASCII with a distribution's extension. Cheap to clone.
///
/// Mirrors list legacy names that the wheel and sdist specifications (PEP 427, PEP 625) refuse; they are kept as
/// upstream wrote them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DistFilename {
    raw: Arc<str>,
    kind: DistKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DistKind {
    Wheel,
    Sdist,
    /// Eggs, installers and other legacy forms.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilenameError {
    #[error("a file name is one segment of visible ASCII characters, at most {FILENAME_BYTES_MAX}")]
    Characters,
    #[error("the file name has no extension of a distribution (.whl, .tar.gz, .zip, …)")]
    Extension,
}

impl DistFilename {
    pub fn parse(raw: &str) -> Result<Self, FilenameError> {
        let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b'\\';
        if raw.is_empty() || raw.len() > FILENAME_BYTES_MAX || raw.starts_with('.') || !raw.bytes().all(visible) {
            return Err(FilenameError::Characters);
        }
        let has = |extension: &&str| raw.len() > extension.len() && raw.ends_with(*extension);
        let kind = if has(&".whl") {
            DistKind::Wheel
        } else if SDIST_EXTENSIONS.iter().any(has) {
            DistKind::Sdist
        } else if BINARY_EXTENSIONS.iter().any(has) {
            DistKind::Other
        } else {
            return Err(FilenameError::Extension);
        };
        Ok(Self { raw: raw.into(), kind })
    }

    pub fn as_str(&self) -> &str {
        &self.raw
    }

    pub fn kind(&self) -> DistKind {
        self.kind
    }

    /// The projects that this name may belong to, likeliest first.
    ///
    /// A wheel and an egg say it (the part before the first `-`); an sdist's name may itself hold hyphens, so every
    /// split whose rest starts like a version is a candidate, longest name last cut first.
    pub fn projects(&self) -> Vec<ProjectName> {
        let stem = self.stem();
        let mut projects: Vec<ProjectName> = Vec::new();
        let mut add = |name: &str| {
            if let Ok(name) = ProjectName::parse(name)
                && !projects.contains(&name)
            {
                projects.push(name);
            }
        };
        if self.kind == DistKind::Wheel {
            add(stem.split('-').next().unwrap_or_default());
            return projects;
        }
        let splits = || stem.match_indices('-').map(|(at, _)| (&stem[..at], &stem[at + 1..]));
        for (name, _) in splits().filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit() || c == 'v')) {
            add(name);
        }
        for (name, _) in splits() {
            add(name);
        }
        add(stem);
        projects.truncate(PROJECT_CANDIDATES_MAX);
        projects
    }

    /// The version that the name states for `project`, when it can be read.
    pub fn version(&self, project: &ProjectName) -> Option<Version> {
        let stem = self.stem();
        if self.kind == DistKind::Wheel {
            return Version::from_str(&stem.split('-').nth(1)?.replace('_', "-")).ok();
        }
        stem.match_indices('-')
            .filter(|(at, _)| ProjectName::parse(&stem[..*at]).as_ref() == Ok(project))
            .find_map(|(at, _)| Version::from_str(&stem[at + 1..]).ok())
    }

    /// The version that the name states for `project`, as it is written there.
    pub fn version_text(&self, project: &ProjectName) -> Option<String> {
        let stem = self.stem();
        if self.kind == DistKind::Wheel {
            return stem.split('-').nth(1).map(|version| version.replace('_', "-"));
        }
        let of_project = |at: usize| ProjectName::parse(stem.get(..at)?).ok().filter(|name| name == project);
        let mut rests = stem.match_indices('-').filter_map(|(at, _)| of_project(at).and(stem.get(at + 1..)));
        let first = rests.clone().next();
        rests.find(|rest| Version::from_str(rest).is_ok()).or(first).map(str::to_owned)
    }

    /// A wheel's compatibility tags as written: python, ABI, platform.
    pub fn wheel_tags(&self) -> Option<(&str, &str, &str)> {
        if self.kind != DistKind::Wheel {
            return None;
        }
        let mut parts = self.stem().rsplitn(4, '-');
        let (platform, abi, python) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next()?;
        Some((python, abi, platform))
    }

    fn stem(&self) -> &str {
        SDIST_EXTENSIONS
            .iter()
            .chain(&BINARY_EXTENSIONS)
            .find_map(|extension| self.raw.strip_suffix(extension))
            .unwrap_or(&self.raw)
    }
}

/// Most projects that one file name is tried for: each may cost a page from upstream.
const PROJECT_CANDIDATES_MAX: usize = 4;

impl fmt::Display for DistFilename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

impl fmt::Debug for DistFilename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(raw: &str) -> DistFilename {
        DistFilename::parse(raw).unwrap()
    }

    #[test]
    fn tells_kind_and_project() {
        let wheel = name("zope.interface-7.2-1-cp311-cp311-manylinux_2_17_x86_64.whl");
        assert_eq!(wheel.kind(), DistKind::Wheel);
        assert_eq!(wheel.projects(), [ProjectName::parse("zope-interface").unwrap()]);
        assert_eq!(wheel.wheel_tags(), Some(("cp311", "cp311", "manylinux_2_17_x86_64")));
        let sdist = name("pytest-3-ok-1.0.tar.gz");
        assert_eq!(sdist.kind(), DistKind::Sdist);
        let projects: Vec<_> = sdist.projects().iter().map(ToString::to_string).collect();
        assert_eq!(projects, ["pytest", "pytest-3-ok", "pytest-3", "pytest-3-ok-1-0"]);
        assert_eq!(name("old-1.0-py2.7.egg").kind(), DistKind::Other);
    }

    #[test]
    fn reads_versions() {
        let project = ProjectName::parse("a-b").unwrap();
        for (file, version) in [
            ("a_b-1.0-py3-none-any.whl", "1.0"),
            ("a-b-2.0rc1.tar.gz", "2.0rc1"),
            ("a_b-1!2.0+local.1-py3-none-any.whl", "1!2.0+local.1"),
        ] {
            assert_eq!(name(file).version(&project), Version::from_str(version).ok(), "{file}");
        }
        assert_eq!(name("other-1.0.tar.gz").version(&project), None);
        for (file, version) in [
            ("a_b-1.0-py3-none-any.whl", Some("1.0")),
            ("a_b-1.0_local-py3-none-any.whl", Some("1.0-local")),
            ("a-b-2.0-beta.tar.gz", Some("2.0-beta")),
            ("a-b-dev-snapshot.tar.gz", Some("dev-snapshot")),
            ("other-1.0.tar.gz", None),
        ] {
            assert_eq!(name(file).version_text(&project).as_deref(), version, "{file}");
        }
    }

    #[test]
    fn refuses_paths_controls_and_pages() {
        for raw in ["", ".whl", "a/b.whl", "..", "../a.whl", "a\\b.whl", "a\0.whl", "a b.whl", "é.whl", "a\n.whl"] {
            assert_eq!(DistFilename::parse(raw), Err(FilenameError::Characters), "{raw:?}");
        }
        assert_eq!(DistFilename::parse("index.html"), Err(FilenameError::Extension));
    }

    proptest! {
        #[test]
        fn never_panics(raw in ".{0,60}(\\.whl|\\.tar\\.gz|\\.zip|\\.egg)?") {
            if let Ok(file) = DistFilename::parse(&raw) {
                let projects = file.projects();
                prop_assert!(projects.len() <= PROJECT_CANDIDATES_MAX);
                for project in &projects {
                    let _ = file.version(project);
                }
                let _ = file.wheel_tags();
                prop_assert!(!file.as_str().contains('/'));
            }
        }
    }
}

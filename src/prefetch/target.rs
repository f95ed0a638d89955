use super::marker::{Environment, Marker};
use std::str::FromStr;

/// The Pythons and platforms that files are wanted for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// None: any Python.
    pub python: Option<Python>,
    /// Empty: any platform.
    pub platforms: Vec<Platform>,
}

/// CPython 3 of this minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Python {
    minor: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    system: System,
    /// Not newer than this: of glibc, musl or macOS. None: any.
    version: Option<(u32, u32)>,
    /// As wheels write it: `x86_64`, `arm64`, `amd64`.
    machine: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Glibc,
    Musl,
    MacOs,
    Windows,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no Python 3; write one like 3.12")]
pub struct PythonError(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no platform; write one like linux_x86_64, manylinux_2_28_aarch64, musllinux_x86_64, macos_arm64, \
     macosx_14_0_x86_64 or win_amd64"
)]
pub struct PlatformError(String);

/// Pythons that are thought of where any is meant: those that anybody still installs for.
const MINORS: std::ops::RangeInclusive<u32> = 8..=16;

impl FromStr for Python {
    type Err = PythonError;

    /// Reads `3.12`, and `3.12.4` likewise.
    fn from_str(raw: &str) -> Result<Self, PythonError> {
        let wrong = || PythonError(raw.to_owned());
        let rest = raw.strip_prefix("3.").ok_or_else(wrong)?;
        let minor = rest.split('.').next().unwrap_or_default().parse().map_err(|_| wrong())?;
        if minor > 99 { Err(wrong()) } else { Ok(Self { minor }) }
    }
}

impl Python {
    /// As `requires-python` and markers are asked: the last release of it that one could think of.
    pub fn full(self) -> String {
        format!("3.{}.99", self.minor)
    }

    /// How well a wheel's Python and ABI tags suit it, more being better; none when they do not.
    pub(super) fn suits(self, python: &str, abi: &str) -> Option<u32> {
        let exact = format!("cp3{}", self.minor);
        let one = |python: &str, abi: &str| {
            let minor_of = |prefix: &str| python.strip_prefix(prefix).and_then(|rest| rest.parse::<u32>().ok());
            match (python, abi) {
                (python, abi) if python == exact && abi == exact => Some(1_000),
                (_, "abi3") => minor_of("cp3").filter(|minor| *minor <= self.minor).map(|minor| 500 + minor.min(99)),
                (python, "none") if python == exact => Some(400),
                ("py3", "none") => Some(100),
                (_, "none") => minor_of("py3").filter(|minor| *minor <= self.minor).map(|minor| 101 + minor.min(99)),
                _ => None,
            }
        };
        python.split('.').flat_map(|python| abi.split('.').filter_map(move |abi| one(python, abi))).max()
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(raw: &str) -> Result<Self, PlatformError> {
        let of = |system, version, machine: &str| Self { system, version, machine: machine.to_owned() };
        let platform = match raw.split_once('_') {
            _ if raw == "win32" => of(System::Windows, None, "32"),
            Some(("win", machine)) => of(System::Windows, None, machine),
            Some(("linux", machine)) => of(System::Glibc, None, machine),
            Some(("macos", machine)) => of(System::MacOs, None, machine),
            Some((word @ ("manylinux" | "musllinux" | "macosx"), rest)) => {
                let system = match word {
                    "manylinux" => System::Glibc,
                    "musllinux" => System::Musl,
                    _ => System::MacOs,
                };
                match versioned(rest) {
                    Some((version, machine)) => of(system, Some(version), machine),
                    None => of(system, None, rest),
                }
            }
            Some((word, machine)) => {
                of(System::Glibc, Some(old_manylinux(word).ok_or(PlatformError(raw.to_owned()))?), machine)
            }
            None => return Err(PlatformError(raw.to_owned())),
        };
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match !platform.machine.is_empty() && platform.machine.bytes().all(good) {
            true => Ok(platform),
            false => Err(PlatformError(raw.to_owned())),
        }
    }
}

impl Platform {
    /// The machine that this runs on, as far as wheels know it; `os` and `arch` as Rust names them.
    pub fn of_machine(os: &str, arch: &str) -> Option<Self> {
        let name = match (os, arch) {
            ("linux", machine) => format!("linux_{machine}"),
            ("macos", "aarch64") => "macos_arm64".to_owned(),
            ("macos", machine) => format!("macos_{machine}"),
            _ => return None,
        };
        name.parse().ok()
    }

    /// Whether a wheel with this platform tag runs there.
    pub(super) fn takes(&self, tags: &str) -> bool {
        tags.split('.').any(|tag| tag == "any" || self.takes_one(tag))
    }

    fn takes_one(&self, tag: &str) -> bool {
        let within = |found: (u32, u32)| self.version.is_none_or(|most| found <= most);
        let Some((word, rest)) = tag.split_once('_') else {
            return self.system == System::Windows && tag == "win32" && self.machine == "32";
        };
        let newer = || versioned(rest).filter(|(version, _)| within(*version)).map(|(_, machine)| machine);
        match (self.system, word) {
            (System::Glibc | System::Musl, "linux") => rest == self.machine,
            (System::Glibc, "manylinux") | (System::Musl, "musllinux") => newer() == Some(&self.machine),
            (System::Glibc, word) => old_manylinux(word).is_some_and(within) && rest == self.machine,
            (System::MacOs, "macosx") => newer().is_some_and(|machine| {
                machine == self.machine
                    || machine == "universal2"
                    || (self.machine == "x86_64" && ["intel", "universal", "fat64", "fat3"].contains(&machine))
            }),
            (System::Windows, "win") => rest == self.machine,
            _ => false,
        }
    }

    fn environment(&self, minor: u32) -> Environment {
        let (os_name, system, sys_platform) = match self.system {
            System::Glibc | System::Musl => ("posix", "Linux", "linux"),
            System::MacOs => ("posix", "Darwin", "darwin"),
            System::Windows => ("nt", "Windows", "win32"),
        };
        let machine = match (self.system, &*self.machine) {
            (System::Windows, "amd64") => "AMD64",
            (System::Windows, "arm64") => "ARM64",
            (System::Windows, "32") => "x86",
            (_, machine) => machine,
        };
        let (python, python_full) = (format!("3.{minor}"), Python { minor }.full());
        Environment { python, python_full, os_name, sys_platform, system, machine: machine.to_owned() }
    }
}

impl Target {
    /// Whether one of these markers holds for a Python and a platform that are meant; without markers it does.
    pub fn wants(&self, markers: &[Marker]) -> bool {
        if markers.is_empty() || self.platforms.is_empty() {
            return true;
        }
        let mut minors = self.python.map_or(MINORS, |python| python.minor..=python.minor);
        minors.any(|minor| {
            let mut environments = self.platforms.iter().map(|platform| platform.environment(minor));
            environments.any(|environment| markers.iter().any(|marker| marker.holds(&environment)))
        })
    }

    /// How well a wheel suits, more being better; none when it does not.
    pub(super) fn suits(&self, (python, abi, platform): (&str, &str, &str)) -> Option<u32> {
        if !self.platforms.is_empty() && !self.platforms.iter().any(|target| target.takes(platform)) {
            return None;
        }
        match self.python {
            Some(target) => target.suits(python, abi),
            None => Some(0),
        }
    }
}

/// `2_28_x86_64`: the version and what follows it.
fn versioned(rest: &str) -> Option<((u32, u32), &str)> {
    let (major, rest) = rest.split_once('_')?;
    let (minor, machine) = rest.split_once('_')?;
    Some(((major.parse().ok()?, minor.parse().ok()?), machine))
}

/// The glibc of the names from before PEP 600.
fn old_manylinux(word: &str) -> Option<(u32, u32)> {
    match word {
        "manylinux1" => Some((2, 5)),
        "manylinux2010" => Some((2, 12)),
        "manylinux2014" => Some((2, 17)),
        _ => None,
    }
}

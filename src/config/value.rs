//! Single values: text in, a type out, or a sentence that says what is accepted.

use crate::platform::machine::MACOS;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Longest path of a Unix socket, in bytes: macOS's `sun_path` less its final NUL, the smallest of our systems.
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// Longest life of a page: beyond it, `offline` says what is meant.
const PAGE_TTL_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Bounds of a timeout: shorter ones fail on any real network, longer ones outlast every client.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_secs(120);

/// Bounds of the time in which all stored files are read through: no disk is to be read without end, and what is read
/// less than once a year tells nothing.
const SCRUB_PERIOD_MIN: Duration = Duration::from_secs(1);
const SCRUB_PERIOD_MAX: Duration = Duration::from_secs(366 * 86_400);

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// Port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// An absolute path.
    Unix(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

/// A scheme (http or https), host and port: a place that files may be fetched from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(url::Origin);

impl Origin {
    /// A URL's origin; `None` for schemes other than http and https.
    pub fn of(url: &Url) -> Option<Self> {
        is_http(url).then(|| Self(url.origin()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.ascii_serialization())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `127.0.0.1:3141`, `[::1]:3141` or `unix:/path`; as the host also `localhost`, and `*` for all addresses.
pub(super) fn listen(raw: &str, env: &BTreeMap<String, String>) -> Result<Listen, String> {
    let accepted =
        || "write an address and a port like 127.0.0.1:3141 or [::1]:3141, or unix:/path/to/socket".to_owned();
    let Some(path) = raw.strip_prefix("unix:") else {
        let host = |name: &str, address: &str| raw.strip_prefix(name).map(|port| format!("{address}{port}"));
        let address = host("localhost:", "127.0.0.1:").or_else(|| host("*:", "0.0.0.0:"));
        return address.as_deref().unwrap_or(raw).parse().map(Listen::Tcp).map_err(|_| accepted());
    };
    let path = self::path(path, env)?;
    if !path.is_absolute() || path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(format!("the path of a socket starts with / and has at most {SOCKET_PATH_BYTES_MAX} bytes"));
    }
    Ok(Listen::Unix(path))
}

/// A path; `~/` is the user's home.
pub(super) fn path(raw: &str, env: &BTreeMap<String, String>) -> Result<PathBuf, String> {
    if raw.is_empty() || raw.contains('\0') {
        return Err("write a path".to_owned());
    }
    match raw.strip_prefix("~/") {
        None => Ok(PathBuf::from(raw)),
        Some(rest) => match home(env) {
            Some(home) => Ok(home.join(rest)),
            None => Err("there is no HOME that ~ could stand for; write the whole path".to_owned()),
        },
    }
}

/// Where data is kept by default: the XDG directory on Linux and others, the Library on macOS.
pub(super) fn default_data(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    if MACOS {
        return Some(home(env)?.join("Library/Application Support/sidewheel"));
    }
    // A relative XDG_DATA_HOME is to be ignored (XDG Base Directory Specification).
    let xdg = env.get("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    Some(xdg.or_else(|| Some(home(env)?.join(".local/share")))?.join("sidewheel"))
}

fn home(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    env.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// An http or https URL of a directory: a final `/` is added. User information, query and fragment are refused.
pub(super) fn base_url(raw: &str) -> Result<Url, String> {
    let mut url = http_url(raw)?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// `https://host` or `https://host:port`.
pub(super) fn origin(raw: &str) -> Result<Origin, String> {
    let accepted = || "write scheme, host and, if need be, port, like https://files.example.org".to_owned();
    let url = http_url(raw)?;
    if url.path() != "/" {
        return Err(accepted());
    }
    Origin::of(&url).ok_or_else(accepted)
}

fn http_url(raw: &str) -> Result<Url, String> {
    let accepted = || "write a URL that starts with https:// or http://".to_owned();
    // The parser forgives a missing slash or a blank; what is meant is not ours to guess.
    let clean = raw.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
    if !clean || raw.contains(['\\', ' ', '\t', '\r', '\n']) {
        return Err(accepted());
    }
    let url = Url::parse(raw).ok().filter(is_http).ok_or_else(accepted)?;
    if !url.username().is_empty() || url.password().is_some() {
        let way_out = "a URL here holds no user name or password: write a [[mirror]] table with username and \
                       password_file or password_env";
        return Err(way_out.to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a URL here has no ? and no #".to_owned());
    }
    Ok(url)
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// A host name or address with or without a port, as in a `Host` field; in lower case.
pub(super) fn host(raw: &str) -> Result<String, String> {
    let accepted = || {
        "write a host with or without a port, like pypi.example.org or 10.0.0.5:3141 (no scheme, no path, no *)"
            .to_owned()
    };
    let (host, port) = match raw.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (raw, None),
    };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good_host = match in_brackets {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && !host.ends_with('.') && host.bytes().all(character)
        }
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let good_port = port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok());
    if good_host && good_port { Ok(raw.to_ascii_lowercase()) } else { Err(accepted()) }
}

pub(super) fn log_format(raw: &str) -> Result<LogFormat, String> {
    match raw {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("write human or json".to_owned()),
    }
}

pub(super) fn switch(raw: &str) -> Result<bool, String> {
    match raw.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err("write on or off, or true or false".to_owned()),
    }
}

/// Who may make users: whether it is anyone.
pub(super) fn user_creation(raw: &str) -> Result<bool, String> {
    match raw {
        "root" => Ok(false),
        "anyone" => Ok(true),
        _ => Err("write root (only root makes users) or anyone".to_owned()),
    }
}

pub(super) fn page_ttl(raw: &str) -> Result<Duration, String> {
    duration(raw, Duration::ZERO, PAGE_TTL_MAX)
}

/// How long a pass over all stored files takes; none: there is none.
pub(super) fn scrub_period(raw: &str) -> Result<Option<Duration>, String> {
    match raw {
        "0" | "off" => Ok(None),
        raw => {
            duration(raw, SCRUB_PERIOD_MIN, SCRUB_PERIOD_MAX).map(Some).map_err(|accepted| accepted + ", or 0 for none")
        }
    }
}

pub(super) fn timeout(raw: &str) -> Result<Duration, String> {
    duration(raw, TIMEOUT_MIN, TIMEOUT_MAX)
}

fn duration(raw: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let accepted = || {
        let unit = "write a whole number and its unit, like 500ms, 30s, 10m, 2h or 1d";
        format!("{unit}; at least {}, at most {}", show(min), show(max))
    };
    let (number, unit) = number_and_unit(raw).ok_or_else(accepted)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(accepted()),
    };
    let duration = number.checked_mul(milliseconds).map(Duration::from_millis);
    duration.filter(|duration| (min..=max).contains(duration)).ok_or_else(accepted)
}

fn show(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (0, milliseconds) if milliseconds > 0 => format!("{milliseconds}ms"),
        (seconds, _) if seconds > 0 && seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        (seconds, _) => format!("{seconds}s"),
    }
}

/// A size in bytes: `512MB` is 512 000 000, `1GiB` is 1 073 741 824.
pub fn size(raw: &str, min_bytes: u64) -> Result<u64, String> {
    let least = match min_bytes {
        mebibytes if mebibytes % (1 << 20) == 0 => format!("{}MiB", mebibytes >> 20),
        bytes => format!("{}kB", bytes / 1_000),
    };
    let accepted = || format!("write a whole number and its unit, like 512MB or 1GiB; at least {least}");
    let (number, unit) = number_and_unit(raw).ok_or_else(accepted)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1u64 << 40,
        _ => return Err(accepted()),
    };
    number.checked_mul(factor).filter(|bytes| *bytes >= min_bytes).ok_or_else(accepted)
}

/// Splits `10 m` into 10 and `m`. A number without a unit is nothing: `600` could be anything.
fn number_and_unit(raw: &str) -> Option<(u64, &str)> {
    let raw = raw.trim();
    let (number, unit) = raw.split_at_checked(raw.bytes().take_while(u8::is_ascii_digit).count())?;
    let unit = unit.trim_start();
    if unit.is_empty() { None } else { Some((number.parse().ok()?, unit)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_durations() {
        for (raw, seconds) in
            [("0s", 0), ("30s", 30), ("10m", 600), (" 2 h ", 7200), ("1d", 86_400), ("30d", 2_592_000)]
        {
            assert_eq!(page_ttl(raw), Ok(Duration::from_secs(seconds)), "{raw}");
        }
        assert_eq!(timeout("250ms"), Ok(Duration::from_millis(250)));
        for (raw, period) in [("0", None), ("off", None), ("30d", Some(Duration::from_secs(2_592_000)))] {
            assert_eq!(scrub_period(raw), Ok(period), "{raw}");
        }
        for raw in ["", "0s", "30", "367d"] {
            assert!(scrub_period(raw).unwrap_err().contains("0 for none"), "{raw}");
        }
        for raw in ["", "600", "m", "10", "-1s", "1.5h", "10M", "31d", "1 s s", "99999999999999999999d", "1w", "٣s"] {
            assert!(page_ttl(raw).is_err(), "{raw}");
        }
        for raw in ["0s", "99ms", "121s", "1d"] {
            let accepted = timeout(raw).unwrap_err();
            assert!(accepted.contains("100ms") && accepted.contains("120s"), "{accepted}");
        }
    }

    #[test]
    fn reads_sizes() {
        for (raw, bytes) in [
            ("512MB", 512_000_000),
            ("1GiB", 1 << 30),
            ("16mib", 16 << 20),
            ("20 GB", 20_000_000_000),
            ("2TB", 2_000_000_000_000),
        ] {
            assert_eq!(size(raw, 1), Ok(bytes), "{raw}");
        }
        for raw in ["", "512", "512M", "1.5GB", "-1GB", "GB", "99999999TiB", "1 GB GB"] {
            assert!(size(raw, 1).is_err(), "{raw}");
        }
        assert!(size("15MiB", 16 << 20).is_err());
        assert!(size("16MiB", 16 << 20).is_ok());
    }

    #[test]
    fn reads_addresses() {
        let env = BTreeMap::from([("HOME".to_owned(), "/home/a".to_owned())]);
        for (raw, shown) in [
            ("127.0.0.1:3141", "127.0.0.1:3141"),
            ("[::1]:0", "[::1]:0"),
            ("unix:/run/sidewheel.sock", "unix:/run/sidewheel.sock"),
            ("unix:~/s", "unix:/home/a/s"),
            ("localhost:3141", "127.0.0.1:3141"),
            ("*:3141", "0.0.0.0:3141"),
        ] {
            assert_eq!(listen(raw, &env).unwrap().to_string(), shown);
        }
        let long = format!("unix:/{}", "a".repeat(SOCKET_PATH_BYTES_MAX));
        for raw in [
            "",
            "3141",
            ":3141",
            "localhost",
            "localhost:",
            "*",
            "pypi.example.org:3141",
            "127.0.0.1",
            "::1:3141",
            "unix:",
            "unix:run/s",
            "127.0.0.1:65536",
            &long,
        ] {
            assert!(listen(raw, &env).is_err(), "{raw}");
        }
        assert!(listen("unix:~/s", &BTreeMap::new()).is_err());
    }

    #[test]
    fn reads_urls_and_origins() {
        for (raw, url) in [
            ("https://index.example/simple", "https://index.example/simple/"),
            ("http://index.example:8080/a/b/", "http://index.example:8080/a/b/"),
            ("HTTPS://Index.Example", "https://index.example/"),
            ("https://index.example:443/", "https://index.example/"),
        ] {
            assert_eq!(base_url(raw).map(String::from), Ok(url.to_owned()), "{raw}");
        }
        for raw in [
            "",
            "index.example",
            "ftp://index.example/",
            "file:///simple/",
            "https:index.example",
            "https:///index.example",
            "https://",
            "https://index.example/?a",
            "https://index.example/#a",
            "https://index.example\\a/",
            " https://index.example/",
            "https://user@index.example/",
            "https://user:secret@index.example/",
            "https://:secret@index.example/",
        ] {
            assert!(base_url(raw).is_err(), "{raw}");
            assert!(origin(raw).is_err(), "{raw}");
        }
        assert!(base_url("https://user:secret@index.example/").unwrap_err().contains("password_file"));
        assert_eq!(origin("https://Files.example:443/").unwrap().to_string(), "https://files.example");
        assert_eq!(
            origin("http://files.example:8080"),
            Ok(Origin::of(&Url::parse("http://files.example:8080/a/b").unwrap()).unwrap())
        );
        assert_ne!(origin("http://files.example"), origin("https://files.example"));
        assert!(origin("https://files.example/packages/").is_err());
        assert_eq!(Origin::of(&Url::parse("ftp://files.example/").unwrap()), None);
    }

    #[test]
    fn reads_hosts() {
        for raw in ["pypi.example.org", "Wheels", "10.0.0.5:3141", "[fd00::5]", "[::1]:3141", "a_b:1"] {
            assert_eq!(host(raw), Ok(raw.to_ascii_lowercase()));
        }
        for raw in [
            "",
            "https://a",
            "a/",
            "a:",
            "a:0",
            "a:70000",
            "a:+1",
            "*.example",
            "a.",
            "a.:80",
            "u@a",
            "::1",
            "[a]",
            "[::1",
            "a b",
        ] {
            assert!(host(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn finds_the_data_directory() {
        let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let home = default_data(&env(&[("HOME", "/home/a"), ("XDG_DATA_HOME", "")]));
        if MACOS {
            assert_eq!(home, Some(PathBuf::from("/home/a/Library/Application Support/sidewheel")));
        } else {
            assert_eq!(home, Some(PathBuf::from("/home/a/.local/share/sidewheel")));
            for (xdg, expected) in [("/data", "/data/sidewheel"), ("data", "/home/a/.local/share/sidewheel")] {
                let found = default_data(&env(&[("HOME", "/home/a"), ("XDG_DATA_HOME", xdg)]));
                assert_eq!(found, Some(PathBuf::from(expected)));
            }
        }
        assert_eq!(default_data(&env(&[("HOME", "")])), None);
    }

    proptest! {
        #[test]
        fn never_panics(raw in ".{0,40}|[0-9]{0,22}[a-zA-Z ]{0,4}|https?://[a-z:@/\\[\\]?#.%]{0,20}") {
            let env = BTreeMap::new();
            let _ = (page_ttl(&raw), size(&raw, 0), listen(&raw, &env), path(&raw, &env));
            let _ = (base_url(&raw), origin(&raw), host(&raw), switch(&raw));
            if let Ok(url) = base_url(&raw) {
                prop_assert!(url.path().ends_with('/') && url.username().is_empty() && url.password().is_none());
            }
        }
    }
}

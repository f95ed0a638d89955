//! The guard against DNS rebinding: whether a request's `Host` is one of ours. It stands before routing, because a web
//! page can make a browser send any path to a server on loopback, but only under the page's own host name.
//!
//! What is allowed:
//! - `localhost`, `[::1]` and any address of 127.0.0.0/8, with the port that the connection came in by, or without a
//!   port: a browser sends no port only to ports 80 and 443, so such a request came through a proxy on this machine;
//! - a configured name without a port: with no port, 80, 443 or the port that the connection came in by;
//! - a configured name with a port: with exactly that port, and for 80 and 443 also without one;
//! - on a Unix socket, which no browser can reach: the same names with any port.
//!
//! Everything else is foreign: other addresses of this machine must be configured. A trailing dot makes another name.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Ports that a URL of http and https leaves out.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// How the connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The listening TCP port.
    Tcp {
        port: u16,
    },
    Unix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAnswer {
    Ok,
    /// No `Host`, or an empty one: 400.
    Missing,
    /// A well-formed name that is not ours: 421.
    Foreign,
    /// Not a host at all: 400.
    Malformed,
}

/// The configured host names. Cheap to ask: no allocation per request.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    entries: Vec<Authority<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a host: write a name or an address, with or without a port, like pypi.example.org or 10.0.0.5:3141"
)]
pub struct HostEntryError(String);

/// A host, an IPv6 address without its brackets, and the port if there is one.
#[derive(Debug, Clone)]
struct Authority<S> {
    host: S,
    v6: Option<Ipv6Addr>,
    port: Option<u16>,
}

impl Hosts {
    /// `extra` are `name`, `name:port`, `[v6]` or `[v6]:port`: the host of the public URL and the allowed hosts.
    pub fn new(extra: &[String]) -> Result<Self, HostEntryError> {
        let entry = |raw: &String| match parse(raw) {
            Some(Authority { host, v6, port }) if !host.contains('@') => {
                Ok(Authority { host: host.to_owned(), v6, port })
            }
            _ => Err(HostEntryError(raw.clone())),
        };
        Ok(Self { entries: extra.iter().map(entry).collect::<Result<_, _>>()? })
    }

    /// Judges a request's `Host` field, and the authority of its target where that was absolute (`http://host/path`;
    /// see [`super::authority`]): both must be ours, whichever of them another reader would believe.
    pub fn check(&self, host: Option<&str>, target_authority: Option<&str>, via: Via) -> HostAnswer {
        match (self.check_one(host, via), target_authority) {
            (HostAnswer::Ok, Some(authority)) => self.check_one(Some(authority), via),
            (answer, _) => answer,
        }
    }

    fn check_one(&self, host: Option<&str>, via: Via) -> HostAnswer {
        let Some(raw) = host.filter(|host| !host.is_empty()) else {
            return HostAnswer::Missing;
        };
        let Some(host) = parse(raw) else {
            return HostAnswer::Malformed;
        };
        let ours = (is_loopback(&host) && loopback_port(host.port, via))
            || self.entries.iter().any(|entry| entry.is_host_of(&host) && entry.allows_port(host.port, via));
        if ours { HostAnswer::Ok } else { HostAnswer::Foreign }
    }
}

impl Authority<String> {
    fn is_host_of(&self, other: &Authority<&str>) -> bool {
        match (self.v6, other.v6) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, None) => self.host.eq_ignore_ascii_case(other.host),
            _ => false,
        }
    }

    fn allows_port(&self, port: Option<u16>, via: Via) -> bool {
        match (via, self.port, port) {
            (Via::Unix, _, _) | (_, None, None) => true,
            (Via::Tcp { port: listening }, None, Some(port)) => port == listening || DEFAULT_PORTS.contains(&port),
            (_, Some(own), None) => DEFAULT_PORTS.contains(&own),
            (_, Some(own), Some(port)) => own == port,
        }
    }
}

fn is_loopback(host: &Authority<&str>) -> bool {
    host.v6.is_some_and(|address| address.is_loopback())
        || host.host.eq_ignore_ascii_case("localhost")
        || host.host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

fn loopback_port(port: Option<u16>, via: Via) -> bool {
    match via {
        Via::Unix => true,
        Via::Tcp { port: listening } => port.is_none_or(|port| port == listening),
    }
}

/// Splits `host[:port]`, `None` when it is not one. User information is let through as part of the host: such a host
/// is well-formed, and no entry can be equal to it.
fn parse(raw: &str) -> Option<Authority<&str>> {
    if let Some(rest) = raw.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = match port.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if port.is_empty() => None,
            None => return None,
        };
        return Some(Authority { host, v6: Some(host.parse().ok()?), port });
    }
    let (host, port) = match raw.rsplit_once(':') {
        // `user:password@host`: what follows the colon is no port.
        Some((_, rest)) if rest.contains('@') => (raw, None),
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (raw, None),
    };
    let user_colon = |at: usize| host.get(at..).is_some_and(|rest| rest.contains('@'));
    let allowed = |(at, byte): (usize, u8)| byte != b':' && is_host_byte(byte) || byte == b':' && user_colon(at);
    (!host.is_empty() && host.bytes().enumerate().all(allowed)).then_some(Authority { host, v6: None, port })
}

/// The characters of a registered name (RFC 3986 §3.2.2), and `@`.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=@".contains(&byte)
}

/// One to five digits without a leading zero, at most 65535.
fn parse_port(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    if digits && !port.starts_with('0') { port.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HostAnswer::*;
    use proptest::prelude::*;

    const TCP: Via = Via::Tcp { port: 3141 };

    fn hosts() -> Hosts {
        let extra = ["pypi.example.org", "Wheels.Example:8443", "secure.example:443", "10.0.0.5", "[fd00::5]:3141"];
        Hosts::new(&extra.map(str::to_owned)).unwrap()
    }

    #[test]
    fn judges_every_form() {
        for (host, tcp, unix) in [
            ("127.0.0.1:3141", Ok, Ok),
            ("127.0.0.1", Ok, Ok),
            ("127.8.9.10:3141", Ok, Ok),
            ("localhost:3141", Ok, Ok),
            ("LOCALHOST:3141", Ok, Ok),
            ("localhost", Ok, Ok),
            ("[::1]:3141", Ok, Ok),
            ("[::1]", Ok, Ok),
            ("[0:0:0:0:0:0:0:1]:3141", Ok, Ok),
            ("localhost:80", Foreign, Ok),
            ("127.0.0.1:3142", Foreign, Ok),
            ("[::1]:8080", Foreign, Ok),
            // Configured without a port.
            ("pypi.example.org", Ok, Ok),
            ("PyPI.Example.ORG:443", Ok, Ok),
            ("pypi.example.org:80", Ok, Ok),
            ("pypi.example.org:3141", Ok, Ok),
            ("pypi.example.org:8443", Foreign, Ok),
            ("10.0.0.5:3141", Ok, Ok),
            // Configured with one.
            ("wheels.example:8443", Ok, Ok),
            ("wheels.example", Foreign, Ok),
            ("wheels.example:3141", Foreign, Ok),
            ("secure.example", Ok, Ok),
            ("secure.example:443", Ok, Ok),
            ("[FD00::5]:3141", Ok, Ok),
            ("[fd00::5]", Foreign, Ok),
            // Others.
            ("evil.example", Foreign, Foreign),
            ("evil.example:3141", Foreign, Foreign),
            ("127.0.0.1.rebind.example:3141", Foreign, Foreign),
            ("localhost.", Foreign, Foreign),
            ("localhost.:3141", Foreign, Foreign),
            ("pypi.example.org.", Foreign, Foreign),
            ("sub.pypi.example.org", Foreign, Foreign),
            ("localhost.evil.example", Foreign, Foreign),
            ("user@localhost:3141", Foreign, Foreign),
            ("user:secret@localhost", Foreign, Foreign),
            ("user:secret@localhost:3141", Foreign, Foreign),
            ("localhost:3141@evil.example", Foreign, Foreign),
            ("127.1:3141", Foreign, Foreign),
            ("0x7f000001", Foreign, Foreign),
            ("2130706433", Foreign, Foreign),
            ("0.0.0.0:3141", Foreign, Foreign),
            ("128.0.0.1:3141", Foreign, Foreign),
            ("[::ffff:127.0.0.1]:3141", Foreign, Foreign),
            ("[::]:3141", Foreign, Foreign),
            ("localhost%2e", Foreign, Foreign),
            // Not hosts.
            ("", Missing, Missing),
            (":3141", Malformed, Malformed),
            ("localhost:", Malformed, Malformed),
            ("localhost:03141", Malformed, Malformed),
            ("localhost:+3141", Malformed, Malformed),
            ("localhost:65536", Malformed, Malformed),
            ("localhost:3141:3141", Malformed, Malformed),
            ("localhost:port", Malformed, Malformed),
            ("::1", Malformed, Malformed),
            ("[::1", Malformed, Malformed),
            ("[::1]3141", Malformed, Malformed),
            ("[::1%25lo0]", Malformed, Malformed),
            ("[localhost]", Malformed, Malformed),
            ("local host", Malformed, Malformed),
            ("localhost/path", Malformed, Malformed),
            ("http://localhost", Malformed, Malformed),
            ("localhost, evil.example", Malformed, Malformed),
            ("localhost?", Malformed, Malformed),
            ("localhost#", Malformed, Malformed),
            ("localhost\\", Malformed, Malformed),
            ("löcalhost", Malformed, Malformed),
            ("localhost\0", Malformed, Malformed),
        ] {
            assert_eq!(hosts().check(Some(host), None, TCP), tcp, "{host:?} on TCP");
            assert_eq!(hosts().check(Some(host), None, Via::Unix), unix, "{host:?} on a Unix socket");
        }
        assert_eq!(hosts().check(None, None, TCP), Missing);
    }

    #[test]
    fn an_absolute_target_must_be_ours_too() {
        let check = |host, target| hosts().check(Some(host), Some(target), TCP);
        assert_eq!(check("localhost:3141", "localhost:3141"), Ok);
        assert_eq!(check("localhost:3141", "evil.example"), Foreign);
        assert_eq!(check("evil.example", "localhost:3141"), Foreign);
        assert_eq!(check("localhost:3141", ""), Missing);
        assert_eq!(hosts().check(None, Some("localhost:3141"), TCP), Missing);
    }

    #[test]
    fn refuses_entries_that_are_not_hosts() {
        for raw in ["", "https://pypi.example.org", "pypi.example.org/", "user@pypi.example.org", "a b", "::1", "x:0"] {
            assert_eq!(Hosts::new(&[raw.to_owned()]).map(|_| ()), Err(HostEntryError(raw.to_owned())), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_the_listed_gets_in(host in "[a-z0-9.:@\\[\\]-]{0,24}|(localhost|127\\.0\\.0\\.1|\\[::1\\])[.:@a-z0-9]{0,9}|.{0,20}") {
            if Hosts::default().check(Some(&host), None, TCP) == Ok {
                let name = host.strip_suffix(":3141").unwrap_or(&host);
                let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
                prop_assert!(name == "localhost" || address.is_ok_and(|ip| ip.is_loopback()), "{host}");
            }
        }
    }
}

//! What the proxy variables make of a URL.

use std::collections::BTreeMap;
use std::net::IpAddr;
use url::{Host, Url};

/// How a request leaves this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Road {
    /// No variable concerns it.
    Straight,
    /// Past the proxy, for this entry of `NO_PROXY`.
    Excepted(String),
    Through {
        variable: &'static str,
        proxy: String,
    },
}

/// Lower case wins, as with curl and most programs.
pub(super) fn road(url: &Url, env: &BTreeMap<String, String>) -> Road {
    let var = |name: &'static str| env.get(name).filter(|value| !value.is_empty()).map(|value| (name, value));
    let own = match url.scheme() {
        "https" => var("https_proxy").or_else(|| var("HTTPS_PROXY")),
        _ => var("http_proxy").or_else(|| var("HTTP_PROXY")),
    };
    let Some((variable, proxy)) = own.or_else(|| var("all_proxy")).or_else(|| var("ALL_PROXY")) else {
        return Road::Straight;
    };
    let exceptions = var("no_proxy").or_else(|| var("NO_PROXY")).map_or("", |(_, list)| list.as_str());
    match exceptions.split(',').map(str::trim).find(|entry| excepts(entry, url)) {
        Some(entry) => Road::Excepted(entry.to_owned()),
        None => Road::Through { variable, proxy: crate::configure::hidden(proxy) },
    }
}

/// Whether an entry of `NO_PROXY` means the URL's host: `*`, a name and all below it, an address or a network.
fn excepts(entry: &str, url: &Url) -> bool {
    let Some(host) = url.host() else { return false };
    if entry == "*" {
        return true;
    }
    match host {
        Host::Domain(name) => {
            let entry = entry.trim_start_matches('.').to_ascii_lowercase();
            !entry.is_empty() && (name == entry || name.ends_with(&format!(".{entry}")))
        }
        Host::Ipv4(address) => in_network(IpAddr::V4(address), entry),
        Host::Ipv6(address) => in_network(IpAddr::V6(address), entry),
    }
}

fn in_network(address: IpAddr, entry: &str) -> bool {
    let (network, length) = entry.split_once('/').unwrap_or((entry, "128"));
    let (Ok(network), Ok(length)) = (network.trim_matches(['[', ']']).parse(), length.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u32::from(one) ^ u32::from(other)).leading_zeros() >= length.min(32),
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            (u128::from(one) ^ u128::from(other)).leading_zeros() >= length.min(128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proxy_variables_as_clients_do() {
        let through = |variable, proxy: &str| Road::Through { variable, proxy: proxy.to_owned() };
        let excepted = |entry: &str| Road::Excepted(entry.to_owned());
        for (url, pairs, expected) in [
            ("https://a.example/", &[][..], Road::Straight),
            ("https://a.example/", &[("HTTP_PROXY", "http://p:1")], Road::Straight),
            ("https://a.example/", &[("HTTPS_PROXY", "http://u:s@p:1")], through("HTTPS_PROXY", "http://***@p:1")),
            ("http://a.example/", &[("ALL_PROXY", "p:1")], through("ALL_PROXY", "p:1")),
            ("https://a.example/", &[("https_proxy", "x"), ("HTTPS_PROXY", "y")], through("https_proxy", "x")),
            ("https://a.b.example/", &[("HTTPS_PROXY", "y"), ("NO_PROXY", "c, .b.example")], excepted(".b.example")),
            ("https://ab.example/", &[("HTTPS_PROXY", "y"), ("NO_PROXY", "b.example")], through("HTTPS_PROXY", "y")),
            ("https://a.example/", &[("HTTPS_PROXY", "y"), ("no_proxy", "*")], excepted("*")),
            ("https://10.1.2.3/", &[("HTTPS_PROXY", "y"), ("NO_PROXY", "10.0.0.0/8")], excepted("10.0.0.0/8")),
            ("https://11.1.2.3/", &[("HTTPS_PROXY", "y"), ("NO_PROXY", "10.0.0.0/8")], through("HTTPS_PROXY", "y")),
            ("http://127.0.0.1/", &[("http_proxy", "y"), ("NO_PROXY", "127.0.0.1")], excepted("127.0.0.1")),
        ] {
            let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(road(&Url::parse(url).unwrap(), &env), expected, "{url} {pairs:?}");
        }
    }
}

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// Resolves a name to its public addresses only, so that the address which is checked is the one connected to.
///
/// Names of proxies are let through: a proxy stands in the private network as a rule, and the operator named it.
pub(super) struct PublicResolver {
    proxies: Arc<HashSet<String>>,
}

/// A name had addresses, but no public one.
#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
pub(super) struct NoPublicAddress;

impl PublicResolver {
    pub(super) fn new(proxies: Arc<HashSet<String>>) -> Self {
        Self { proxies }
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxies.contains(&name.as_str().to_ascii_lowercase());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let any = !found.is_empty();
            let kept: Vec<SocketAddr> =
                found.into_iter().filter(|address| is_proxy || is_public(address.ip())).collect();
            if any && kept.is_empty() {
                return Err(NoPublicAddress.into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// Whether a host written in a URL may be connected to as far as can be told before it is resolved.
pub(super) fn may_be_public(host: &Host<String>) -> bool {
    match host {
        Host::Domain(_) => true,
        Host::Ipv4(address) => is_public(IpAddr::V4(*address)),
        Host::Ipv6(address) => is_public(IpAddr::V6(*address)),
    }
}

/// Whether an address is one of the public internet (the IANA special-purpose registries, RFC 6890).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Blocks of IPv4 that are not the public internet: address and prefix length in bits.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by carriers (RFC 6598)
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, and the metadata services of clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays, retired
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(168, 63, 129, 16), 32), // the metadata service of one large cloud, on a public number
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, and broadcast
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !NOT_PUBLIC_V4.iter().any(|(block, length)| (bits ^ u32::from(*block)).leading_zeros() >= *length)
}

/// Blocks inside 2000::/3 that are not the public internet.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, ORCHID, benchmarks
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: carries any IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Global unicast is 2000::/3; all else (loopback, mapped IPv4, unique local, link-local, multicast) is not public.
/// The well-known NAT64 prefix is judged by the IPv4 address that it carries: networks without IPv4 reach the whole
/// IPv4 internet that way (RFC 6052, RFC 6147).
fn is_public_v6(address: Ipv6Addr) -> bool {
    const NAT64: u128 = 0x0064_ff9b << 96;
    const GLOBAL_UNICAST: u128 = 0x2000 << 112;
    let bits = u128::from(address);
    if (bits ^ NAT64).leading_zeros() >= 96 {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let inside = |block: u128, length: u32| (bits ^ block).leading_zeros() >= length;
    inside(GLOBAL_UNICAST, 3) && !NOT_PUBLIC_V6.iter().any(|(block, length)| inside(u128::from(*block), *length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(raw: &str) -> bool {
        is_public(raw.parse().unwrap())
    }

    #[test]
    fn tells_public_addresses() {
        for raw in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a04:4e42::223",
            "2001:4860::8888",
            "2620:4f:8000::1",
            "64:ff9b::101:101",
        ] {
            assert!(public(raw), "{raw}");
        }
    }

    #[test]
    fn refuses_all_else() {
        for raw in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "168.63.129.16",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:1.1.1.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::101:101",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:101:101::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(raw), "{raw}");
        }
    }

    #[tokio::test]
    async fn a_local_name_has_no_public_address_unless_it_is_the_proxys() {
        let resolver = |proxies: &[&str]| {
            PublicResolver::new(Arc::new(proxies.iter().map(ToString::to_string).collect::<HashSet<_>>()))
        };
        let Err(refused) = resolver(&[]).resolve("localhost".parse().unwrap()).await else {
            panic!("localhost was resolved");
        };
        assert!(refused.downcast_ref::<NoPublicAddress>().is_some(), "{refused:?}");
        assert!(resolver(&["localhost"]).resolve("LocalHost".parse().unwrap()).await.unwrap().count() > 0);
    }

    proptest! {
        #[test]
        fn the_standard_library_agrees_on_what_it_knows(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let known = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_documentation() || address.is_unspecified()
                || address.is_broadcast();
            prop_assert!(!(known && is_public_v4(address)));
        }

        #[test]
        fn no_mapped_or_local_v6_is_public(bits: u128, v4: u32) {
            let address = Ipv6Addr::from(bits);
            let known = address.is_loopback() || address.is_unspecified() || address.is_multicast()
                || address.is_unique_local() || address.is_unicast_link_local();
            prop_assert!(!(known && is_public_v6(address)));
            prop_assert!(!is_public_v6(Ipv4Addr::from(v4).to_ipv6_mapped()));
        }
    }
}

//! Which addresses an untrusted URL may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use ipnet::IpNet as Network;

/// Which addresses an untrusted URL may reach: public ones, and those of networks that the operator opened.
///
/// The guard sees the address that is connected to, not the name, so a name that changes its address between check and
/// use gains nothing.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Networks that may be reached although they are not public.
    pub allow: Vec<Network>,
}

/// IPv4 networks that are not the public internet (IANA's special-purpose registry, and multicast).
const PRIVATE_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // The platform address of one large cloud: public by number, the host's own services in fact.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

// === impl Egress ===

impl Egress {
    /// Whether an untrusted URL may reach this address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address)) || is_public(address)
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !PRIVATE_V4.iter().any(|(network, prefix)| {
        let mask = u32::MAX << (32 - u32::from(*prefix));
        address.to_bits() & mask == network.to_bits()
    })
}

/// Only global unicast is public, and what carries an IPv4 address in it is judged by that one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let carried = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        // Translation (NAT64) by the well-known prefix. The one for local use is not public at all.
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => is_public_v4(carried(g, h)),
        // Teredo, benchmarks, ORCHID and the rest of the protocol assignments; documentation.
        (0x2001, 0x0000..=0x01ff | 0xdb8) => false,
        // 6to4.
        (0x2002, _) => is_public_v4(carried(b, c)),
        // Documentation.
        (0x3fff, 0x0000..=0x0fff) => false,
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(permitted: bool, allow: &[&str], addresses: &[&str]) {
        let allow = allow.iter().map(|network| network.parse().unwrap()).collect();
        let egress = Egress { allow };
        for address in addresses {
            assert_eq!(egress.permits(address.parse().unwrap()), permitted, "{address}");
        }
    }

    #[test]
    fn public_addresses_are_open() {
        check(
            true,
            &[],
            &["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "223.255.255.255"],
        );
        check(
            true,
            &[],
            &["2606:4700::1", "2a00:1450::1", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"],
        );
    }

    #[test]
    fn addresses_inside_are_closed() {
        check(false, &[], &["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255"]);
        check(false, &[], &["192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "198.18.0.1"]);
        check(false, &[], &["224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "168.63.129.16"]);
        check(false, &[], &["::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"]);
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_judged_too() {
        check(false, &[], &["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"]);
        check(
            false,
            &[],
            &["64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:1::1", "2001:db8::1"],
        );
    }

    #[test]
    fn what_the_operator_opened_is_open() {
        check(true, &["10.1.0.0/16", "fd00::/8"], &["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"]);
        check(false, &["10.1.0.0/16"], &["10.2.0.1", "127.0.0.1"]);
    }
}

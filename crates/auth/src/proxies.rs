//! Proxies that are trusted to say for whom they ask.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;

use crate::Peer;
use crate::grant::network;

/// Networks whose peers name their client in `X-Forwarded-For`. Nobody's word is taken where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

// === impl TrustedProxies ===

impl TrustedProxies {
    /// The proxies of these networks and addresses; else the first text that is none.
    pub fn new(networks: &[String]) -> Result<Self, &str> {
        networks.iter().map(|text| network(text).ok_or(text.as_str())).collect::<Result<_, _>>().map(Self)
    }

    /// Where a request comes from: its peer, or whom trusted peers name. The last address counts that is not itself a
    /// trusted proxy's: what stands before it anybody can have written.
    pub fn client(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        if !self.trusts(peer.0) {
            return peer;
        }
        let lists = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let hops = lists.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        let mut client = peer;
        for hop in hops {
            // A proxy that does not name an address hides somebody who may be anybody.
            client = Peer(address(hop).unwrap_or(Ipv6Addr::UNSPECIFIED.into()));
            if !self.trusts(client.0) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|at| at.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_peers_say_for_whom_they_ask() {
        let trusted = TrustedProxies::new(&["10.0.0.0/8".into(), "::1".into()]).unwrap();
        assert_eq!(TrustedProxies::new(&["10.0.0.0/40".into()]), Err("10.0.0.0/40"));
        for (peer, lists, client) in [
            ("10.0.0.1", &["203.0.113.7"][..], "203.0.113.7"),
            ("192.0.2.1", &["203.0.113.7"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["6.6.6.6", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7:4711"], "203.0.113.7"),
            ("::1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["203.0.113.7, unknown"], "::"),
            ("10.0.0.1", &[""], "::"),
        ] {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(FORWARDED_FOR, list.parse().unwrap());
            }
            let found = trusted.client(Peer(peer.parse().unwrap()), &headers);
            assert_eq!(found.0, client.parse::<IpAddr>().unwrap(), "{peer} {lists:?}");
            let nobody = TrustedProxies::default().client(Peer(peer.parse().unwrap()), &headers);
            assert_eq!(nobody.0, peer.parse::<IpAddr>().unwrap(), "nobody is trusted");
        }
    }
}

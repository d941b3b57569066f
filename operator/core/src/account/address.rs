//! Whose address a request comes from, behind proxies of which a stated number is believed.

use std::net::{IpAddr, Ipv6Addr};

/// The caller's address: what the farthest of `hops` trusted proxies saw. Each proxy adds the address it was asked from to
/// the end of `forwarded` (the values of `X-Forwarded-For`, in order); what stands before that, the caller wrote itself.
///
/// Without proxies, and where fewer have written than are trusted, it is `peer`, whom nobody can forge.
#[must_use]
pub fn caller<'a>(
    peer: IpAddr,
    forwarded: impl IntoIterator<Item = &'a str>,
    hops: usize,
) -> IpAddr {
    let entries: Vec<&str> = forwarded
        .into_iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let at = entries.len().checked_sub(hops).filter(|_| hops > 0);
    let seen = at.and_then(|at| parse(entries.get(at)?));
    seen.unwrap_or(peer).to_canonical()
}

/// An address with or without a port, as proxies write it.
fn parse(entry: &str) -> Option<IpAddr> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address);
    }
    let socket = entry.parse::<std::net::SocketAddr>();
    socket.ok().map(|socket| socket.ip())
}

/// What an address is counted as: of IPv6, one household has 2^64.
#[must_use]
pub fn counted_as(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(forwarded: &[&str], hops: usize) -> String {
        let peer = "10.0.0.7".parse().unwrap();
        caller(peer, forwarded.iter().copied(), hops).to_string()
    }

    #[test]
    fn without_trusted_proxies_a_header_says_nothing() {
        assert_eq!(from(&["1.2.3.4"], 0), "10.0.0.7");
    }

    #[test]
    fn what_the_caller_wrote_before_the_proxies_is_not_believed() {
        assert_eq!(from(&["6.6.6.6, 203.0.113.9"], 1), "203.0.113.9");
        assert_eq!(
            from(&["6.6.6.6", "203.0.113.9, 10.1.1.1"], 2),
            "203.0.113.9"
        );
    }

    #[test]
    fn fewer_entries_than_proxies_or_nonsense_means_the_peer() {
        for forwarded in [&[][..], &["203.0.113.9"], &["nonsense, 1.1.1.1"]] {
            assert_eq!(from(forwarded, 2), "10.0.0.7", "{forwarded:?}");
        }
    }

    #[test]
    fn a_port_is_left_out_and_a_mapped_address_is_its_own() {
        assert_eq!(from(&["203.0.113.9:4711"], 1), "203.0.113.9");
        assert_eq!(from(&["::ffff:203.0.113.9"], 1), "203.0.113.9");
    }

    #[test]
    fn the_addresses_of_one_household_are_counted_as_one() {
        let counted = |text: &str| counted_as(text.parse().unwrap());
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(counted("2001:db8:1:2::1"), counted("2001:db8:1:2:ffff::"));
        assert_eq!(counted("203.0.113.9"), "203.0.113.9");
    }
}

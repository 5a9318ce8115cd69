//! Whom a run may be pointed at. A load test against somebody else's server is an attack: what is not loopback or of a
//! private network must be named as authorised.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why a host must not be loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthorised {
    /// It has no address that could be judged.
    #[error("host {host} has no address, so it can't be told whether it is yours")]
    Unresolved {
        /// The host.
        host: String,
    },
    /// It is out in the world and nobody said that it may be loaded.
    #[error("host {host} is at {address}, neither loopback nor a private network; name it under `target.authorised`")]
    Public {
        /// The host.
        host: String,
        /// Its address.
        address: IpAddr,
    },
}

/// Passes if the host is in the list (as a name or an address, whatever the case), or if *every* address of it is
/// loopback or private: a name that has one public address may lead there at the next connect.
pub fn check(host: &str, resolved: &[SocketAddr], authorised: &[String]) -> Result<(), NotAuthorised> {
    let bare = bare(host);
    if authorised.iter().any(|name| self::bare(name).eq_ignore_ascii_case(bare)) {
        return Ok(());
    }
    if resolved.is_empty() {
        return Err(NotAuthorised::Unresolved { host: host.to_owned() });
    }
    match resolved.iter().map(SocketAddr::ip).find(|&ip| !is_private(ip)) {
        Some(address) => Err(NotAuthorised::Public { host: host.to_owned(), address }),
        None => Ok(()),
    }
}

/// Loopback (RFC 1122, RFC 4291), private use (RFC 1918, RFC 4193) or link-local (RFC 3927, RFC 4291).
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_private_v4(ip),
            None => ip == Ipv6Addr::LOCALHOST || ip.is_unique_local() || ip.is_unicast_link_local(),
        },
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.is_private() || ip.is_link_local()
}

/// Without the brackets of a literal and the dot of a full name.
fn bare(host: &str) -> &str {
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn private_is_free_and_the_rest_must_be_named() {
        let pass = |host: &str, at: &[&str], authorised: &[&str], passes: bool| {
            let at: Vec<SocketAddr> = at.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect();
            let authorised: Vec<String> = authorised.iter().map(|&a| a.to_owned()).collect();
            let verdict = check(host, &at, &authorised);
            assert_eq!(verdict.is_ok(), passes, "{host} {at:?} {authorised:?}");
        };
        for ip in ["127.0.0.1", "127.255.0.9", "10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.1.1", "169.254.1.1"] {
            pass("mdm.test", &[ip], &[], true);
        }
        for ip in ["::1", "fd00::1", "fe80::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"] {
            pass("mdm.test", &[ip], &[], true);
        }
        for ip in ["8.8.8.8", "172.32.0.1", "100.64.0.1", "0.0.0.0", "2001:db8::1", "::", "::ffff:8.8.8.8"] {
            pass("mdm.test", &[ip], &[], false);
            pass("mdm.test", &[ip], &["other.test"], false);
            pass("mdm.test", &[ip], &["MDM.test."], true);
        }
        pass("mdm.test", &["127.0.0.1", "8.8.8.8"], &[], false);
        pass("mdm.test", &[], &[], false);
        pass("mdm.test", &[], &["mdm.test"], true);
        pass("evil-mdm.test", &["8.8.8.8"], &["mdm.test"], false);
        pass("[2001:db8::1]", &["2001:db8::1"], &["2001:db8::1"], true);
    }
}

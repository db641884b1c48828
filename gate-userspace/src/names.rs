//! What the host names of upstreams meant when the resolver was last asked.
//!
//! Asks nobody. Calls go to these addresses and to no others, so whoever guards them first has
//! guarded every call.

use std::{collections::BTreeMap, net::IpAddr};

/// Names and their addresses, in the order in which the resolver gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<String, Vec<IpAddr>>);

impl Names {
    /// Asks `resolve` for each host that is not an address itself.
    pub fn ask<'a>(
        hosts: impl IntoIterator<Item = &'a str>,
        resolve: impl Fn(&str) -> Vec<IpAddr>,
    ) -> Self {
        let names = hosts
            .into_iter()
            .filter(|host| host.parse::<IpAddr>().is_err());
        Self(names.map(|name| (name.to_owned(), resolve(name))).collect())
    }

    /// The addresses of a host, which may be one itself; none if it is not known.
    pub fn of(&self, host: &str) -> Vec<IpAddr> {
        match host.parse() {
            Ok(address) => vec![address],
            Err(_name) => self.0.get(host).cloned().unwrap_or_default(),
        }
    }

    /// Takes up another answer, unless it is none: the last good one stays. Whether it was new.
    pub fn learn(&mut self, name: &str, mut addresses: Vec<IpAddr>) -> bool {
        let known = self.0.entry(name.to_owned()).or_default();
        let is_same = addresses.len() == known.len()
            && addresses.iter().all(|address| known.contains(address));
        if addresses.is_empty() || is_same {
            return false;
        }
        std::mem::swap(known, &mut addresses);
        true
    }

    /// The names that were asked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_means_itself_and_a_name_its_last_good_answer() {
        let [one, two] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let mut names = Names::ask(["up", "192.0.2.9", "::1"], |_| vec![one, two]);
        assert_eq!(names.names().collect::<Vec<_>>(), ["up"]);
        assert_eq!(names.of("192.0.2.9"), [IpAddr::from([192, 0, 2, 9])]);
        // Resolvers turn their answers round; that is no news.
        assert!(!names.learn("up", vec![two, one]));
        assert_eq!(names.of("up"), [one, two]);
        assert!(!names.learn("up", Vec::new()));
        assert_eq!(names.of("up"), [one, two]);
        assert!(names.learn("up", vec![two]));
        assert_eq!(names.of("up"), [two]);
        assert_eq!(names.of("nobody"), [] as [IpAddr; 0]);
    }
}

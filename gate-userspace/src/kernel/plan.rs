//! Pure: what the kernel must hold for a source, and which writes lead there.

use std::collections::BTreeMap;

use gate_common::entry::{BindKey, Entry, OWN};
use ipnet::IpNet;

use super::message::Opening;
use super::ports::Classes;

/// All that is known of one network or address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// From any interface.
    pub(super) anywhere: Option<Opening>,
    /// From this interface only.
    pub(super) bound: BTreeMap<String, Opening>,
    /// The one interface that `anywhere` means, where its route says so.
    pub(super) home: Option<String>,
    /// Number of its bindings in the kernel; 0 = it has none.
    pub(super) group: u32,
    /// One of this host's own addresses.
    pub(super) own: bool,
    /// What was last written for it, and counted in the filter.
    pub(super) entry: Option<Entry>,
}

impl Source {
    pub(super) fn is_empty(&self) -> bool {
        self.anywhere.is_none() && self.bound.is_empty() && !self.own
    }

    /// Where it is open, and to what.
    pub(super) fn openings(&self) -> impl Iterator<Item = (Option<&str>, &Opening)> {
        let anywhere = self.anywhere.iter().map(|opening| (None, opening));
        let bound = self.bound.iter();
        anywhere.chain(bound.map(|(interface, opening)| (Some(interface.as_str()), opening)))
    }

    /// It has bindings, or will when its interface is there.
    pub(super) fn is_bound(&self) -> bool {
        !self.bound.is_empty() || self.home.is_some()
    }

    pub(super) fn names(&self, interface: &str) -> bool {
        self.bound.contains_key(interface) || self.home.as_deref() == Some(interface)
    }
}

/// What the kernel must hold for one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) entry: Option<Entry>,
    pub(super) binds: BTreeMap<BindKey, Entry>,
}

/// What a picture depends on besides its source.
pub(super) struct Surroundings<'a> {
    pub(super) classes: &'a Classes,
    /// Incarnations by interface name.
    pub(super) links: &'a BTreeMap<String, u32>,
    pub(super) ticks: &'a dyn Fn(Option<i64>) -> u32,
}

impl Surroundings<'_> {
    pub(super) fn picture(&self, net: IpNet, source: &Source) -> Picture {
        let prefix = u32::from(net.prefix_len());
        if source.own {
            // The host's own address can be nobody else's source, listed or not.
            let entry = Entry {
                tag: OWN,
                shape: Entry::shape(prefix, false, 0),
                ..Entry::default()
            };
            return Picture {
                entry: Some(entry),
                binds: BTreeMap::new(),
            };
        }
        // From everywhere, unless its route says from where.
        let (anywhere, at_home) = match &source.home {
            Some(home) => (None, source.anywhere.as_ref().map(|here| (home, here))),
            None => (source.anywhere.as_ref(), None),
        };
        let mut bound: BTreeMap<&String, Vec<&Opening>> = BTreeMap::new();
        for (interface, opening) in source.bound.iter().chain(at_home) {
            bound.entry(interface).or_default().push(opening);
        }
        let all = || {
            anywhere
                .into_iter()
                .chain(bound.values().flatten().copied())
        };
        let Some(first) = all().next() else {
            return Picture::default();
        };
        // A group that is on its way back must not stay in the entry.
        let group = if bound.is_empty() { 0 } else { source.group };
        let (ports, until) = self.reach(anywhere.into_iter());
        let (reach, reach_until) = self.reach(all());
        let entry = Entry {
            tag: first.client,
            until,
            ports,
            shape: Entry::shape(prefix, anywhere.is_none(), group),
            reach,
            reach_until,
        };
        let binds = bound
            .iter()
            .filter_map(|(interface, openings)| {
                let link = *self.links.get(*interface)?;
                let (ports, until) =
                    self.reach(anywhere.into_iter().chain(openings.iter().copied()));
                let bound = Entry {
                    tag: openings
                        .first()
                        .map_or(first.client, |opening| opening.client),
                    until,
                    ports,
                    reach: ports,
                    reach_until: until,
                    ..entry
                };
                Some((BindKey { link, group }, bound))
            })
            .collect();
        Picture {
            entry: Some(entry),
            binds,
        }
    }

    /// Ports of all of them, until the last of their deadlines.
    fn reach<'o>(&self, openings: impl Iterator<Item = &'o Opening>) -> (u32, u32) {
        let mut ports = 0;
        let mut until = 1;
        for opening in openings {
            ports |= self.classes.opened_by(opening);
            let ticks = (self.ticks)(opening.until);
            until = if ticks == 0 || until == 0 {
                0
            } else {
                until.max(ticks)
            };
        }
        (ports, until)
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<K, V> {
    Remove(K),
    Upsert(K, V),
}

/// Removals come first: a crash half way leaves too little open, never too much.
pub(super) fn plan<K: Ord + Clone, V: PartialEq + Clone>(
    want: &BTreeMap<K, V>,
    have: &BTreeMap<K, V>,
) -> Vec<Step<K, V>> {
    let gone = have
        .keys()
        .filter(|key| !want.contains_key(key))
        .map(|key| Step::Remove(key.clone()));
    let new = want
        .iter()
        .filter(|(key, value)| have.get(key) != Some(value))
        .map(|(key, value)| Step::Upsert(key.clone(), value.clone()));
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::super::message::{GuardedPort, Policy};
    use super::*;

    fn classes() -> Classes {
        let guard = GuardedPort {
            port: 80,
            address: None,
            policy: Policy::Gate,
        };
        Classes::assign(&[guard], &BTreeMap::new()).unwrap()
    }

    fn opening(client: u32, until: Option<i64>) -> Opening {
        Opening {
            client,
            until,
            gate: true,
            guarded_ports: Vec::new(),
        }
    }

    fn picture(source: &Source) -> Picture {
        let links = BTreeMap::from([("veth1".to_owned(), 41)]);
        let ticks = |until: Option<i64>| until.map_or(0, |until| u32::try_from(until).unwrap());
        Surroundings {
            classes: &classes(),
            links: &links,
            ticks: &ticks,
        }
        .picture("10.0.0.5/32".parse().unwrap(), source)
    }

    #[test]
    fn an_own_address_opens_nothing_even_when_listed() {
        let source = Source {
            anywhere: Some(opening(3, None)),
            own: true,
            ..Source::default()
        };
        let entry = picture(&source).entry.unwrap();
        assert_eq!((entry.tag, entry.ports, entry.reach), (OWN, 0, 0));
    }

    #[test]
    fn a_bound_source_opens_nothing_elsewhere() {
        let bound = BTreeMap::from([
            ("veth1".to_owned(), opening(3, Some(9))),
            ("absent".to_owned(), opening(4, None)),
        ]);
        let source = Source {
            bound,
            group: 5,
            ..Source::default()
        };
        let picture = picture(&source);
        let entry = picture.entry.unwrap();
        assert!(entry.bound_only());
        assert_eq!((entry.ports, entry.reach, entry.reach_until), (0, 2, 0));
        let keys: Vec<_> = picture.binds.keys().copied().collect();
        assert_eq!(keys, [BindKey { link: 41, group: 5 }]);
        assert_eq!(picture.binds[&keys[0]].until, 9);
    }

    #[test]
    fn an_address_with_a_home_opens_nothing_elsewhere() {
        let at_home = |bound| Source {
            anywhere: Some(opening(3, Some(9))),
            home: Some("veth1".to_owned()),
            bound,
            group: 5,
            ..Source::default()
        };
        let key = BindKey { link: 41, group: 5 };
        let alone = picture(&at_home(BTreeMap::new()));
        let entry = alone.entry.unwrap();
        assert!(entry.bound_only());
        assert_eq!((entry.ports, entry.reach), (0, 2));
        assert_eq!(alone.binds[&key].until, 9);
        // The operator named the same interface, for longer.
        let named = BTreeMap::from([("veth1".to_owned(), opening(4, Some(12)))]);
        let both = picture(&at_home(named));
        assert!(both.entry.unwrap().bound_only());
        assert_eq!((both.binds.len(), both.binds[&key].until), (1, 12));
    }

    #[test]
    fn removals_come_first() {
        let want = BTreeMap::from([(1, 'a'), (2, 'b')]);
        let have = BTreeMap::from([(2, 'x'), (9, 'c'), (1, 'a')]);
        assert_eq!(plan(&want, &have), [Step::Remove(9), Step::Upsert(2, 'b')]);
    }
}

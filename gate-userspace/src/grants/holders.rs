//! Who holds one source, and what it is open to by all of them together.
//!
//! Almost every source has one holder. But all rollouts of a client may share its sources, and then
//! a change of one must not ask all the others.

use std::collections::{BTreeMap, btree_map::Entry};

use super::ledger::{Holder, Opened};
use crate::clock::Stamp;

#[derive(Debug)]
pub(super) enum Holders {
    One(Holder, Opened),
    Many(Box<Many>),
}

/// At least one.
#[derive(Debug, Default)]
pub(super) struct Many {
    by: BTreeMap<Holder, Opened>,
    /// How many hold it until then.
    untils: BTreeMap<Until, usize>,
    /// How many open that port.
    ports: BTreeMap<u16, usize>,
}

/// In the order of which is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    At(Stamp),
    Ever,
}

impl Holders {
    pub(super) fn one((holder, opened): (Holder, Opened)) -> Self {
        Self::One(holder, opened)
    }

    /// Adds a holder, or changes what it opens.
    pub(super) fn put(&mut self, (holder, opened): (Holder, Opened)) {
        match self {
            Self::One(one, before) if *one == holder => *before = opened,
            Self::One(one, before) => {
                let mut many = Many::default();
                many.put(one.clone(), before.clone());
                many.put(holder, opened);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => many.put(holder, opened),
        }
    }

    /// Whether nobody is left without this holder: the source goes as a whole then.
    pub(super) fn are_only(&self, holder: &Holder) -> bool {
        match self {
            Self::One(one, _) => one == holder,
            Self::Many(many) => many.by.len() == 1 && many.by.contains_key(holder),
        }
    }

    /// Takes out one of several.
    pub(super) fn remove(&mut self, holder: &Holder) {
        match self {
            Self::One(..) => {}
            Self::Many(many) => many.remove(holder),
        }
    }

    /// The longest lease, every port. The tag is that of the first, so that it does not change with
    /// who comes and goes behind it.
    pub(super) fn merged(&self) -> Opened {
        match self {
            Self::One(_, opened) => opened.clone(),
            Self::Many(many) => many.merged(),
        }
    }
}

impl Many {
    fn put(&mut self, holder: Holder, opened: Opened) {
        self.remove(&holder);
        *self.untils.entry(Until::of(&opened)).or_default() += 1;
        for port in &opened.ports {
            *self.ports.entry(*port).or_default() += 1;
        }
        self.by.insert(holder, opened);
    }

    fn remove(&mut self, holder: &Holder) {
        let Some(opened) = self.by.remove(holder) else {
            return;
        };
        less(&mut self.untils, Until::of(&opened));
        for port in opened.ports {
            less(&mut self.ports, port);
        }
    }

    fn merged(&self) -> Opened {
        let (_, first) = self.by.first_key_value().expect("it has a holder");
        let latest = self.untils.keys().next_back();
        Opened {
            client: first.client,
            until: match latest {
                Some(Until::At(until)) => Some(*until),
                Some(Until::Ever) | None => None,
            },
            ports: self.ports.keys().copied().collect(),
        }
    }
}

impl Until {
    fn of(opened: &Opened) -> Self {
        opened.until.map_or(Self::Ever, Self::At)
    }
}

fn less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, num::NonZeroU32};

    use super::*;
    use crate::ident::{ClientId, RolloutSerial};

    #[test]
    fn all_together_open_what_any_of_them_does_and_no_more_when_one_went() {
        let mut holders = Holders::one(one(3, Some(30), &[7]));
        holders.put(one(2, Some(20), &[7, 8]));
        holders.put(one(4, None, &[]));
        assert_eq!(holders.merged(), opened(2, None, &[7, 8]));
        holders.remove(&holder(4));
        assert_eq!(holders.merged(), opened(2, Some(30), &[7, 8]));
        holders.put(one(3, Some(10), &[]));
        assert_eq!(holders.merged(), opened(2, Some(20), &[7, 8]));
        assert!(!holders.are_only(&holder(3)));
        holders.remove(&holder(2));
        assert_eq!(holders.merged(), opened(3, Some(10), &[]));
        assert!(!holders.are_only(&holder(2)), "it holds nothing any more");
        assert!(holders.are_only(&holder(3)));
    }

    fn holder(number: u32) -> Holder {
        Holder::Rollout(RolloutSerial(u64::from(number)))
    }

    fn one(number: u32, until: Option<i64>, ports: &[u16]) -> (Holder, Opened) {
        (holder(number), opened(number, until, ports))
    }

    fn opened(client: u32, until: Option<i64>, ports: &[u16]) -> Opened {
        Opened {
            client: ClientId(NonZeroU32::new(client).unwrap()),
            until: until.map(Stamp),
            ports: ports.iter().copied().collect::<BTreeSet<_>>(),
        }
    }
}

//! Many sources brought to the kernel in few system calls, in the order that one is.
//!
//! Plain sources, which are bound nowhere, are gathered: filter words, then entries; or entries,
//! then filter words. Whoever has bindings goes alone. A start with a million sources, and a trainer
//! that opens ten thousand at once, would otherwise hold up every revocation behind them.

use std::collections::BTreeMap;

use gate_common::entry::Entry;
use ipnet::IpNet;

use super::super::fault::KernelError;
use super::super::filter::Word;
use super::super::message::Applied;
use super::super::ports::Classes;
use super::super::table::{Tables, WriteError};
use super::{Sources, name};

/// From so many on it is worth gathering.
const MANY: usize = 8;

/// What became of many sources.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) removed: usize,
    pub(super) written: usize,
    /// Shut now, whatever was wanted.
    pub(super) failed: Vec<IpNet>,
    /// Why, of the first.
    pub(super) first: Option<KernelError>,
}

/// Sources whose writes wait for those of the others.
#[derive(Default)]
struct Gathered {
    /// Words of the filter that must be there before the entries.
    words: BTreeMap<u32, u64>,
    open: Vec<(IpNet, Entry)>,
    /// What the filter knew of each of `open` already, and the kernel held.
    before: Vec<Option<Entry>>,
    shut: Vec<IpNet>,
    /// Those of `shut` that the filter counts.
    counted: Vec<IpNet>,
}

impl Outcome {
    pub(super) fn and(mut self, later: Self) -> Self {
        self.removed += later.removed;
        self.written += later.written;
        self.failed.extend(later.failed);
        self.first = self.first.or(later.first);
        self
    }

    pub(super) fn applied(self, revision: u64) -> Result<Applied, KernelError> {
        let applied = Applied {
            revision,
            removed: self.removed,
            written: self.written,
        };
        self.first.map_or(Ok(applied), Err)
    }

    pub(super) fn all(self) -> Result<(), KernelError> {
        self.first.map_or(Ok(()), Err)
    }

    fn fail(&mut self, net: IpNet, why: WriteError) {
        self.failed.push(net);
        self.first.get_or_insert_with(|| name(why, net, None));
    }
}

impl Sources {
    /// Brings the kernel to the pictures of these sources. One that does not fit leaves the others
    /// to be written.
    pub(super) fn write_all(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        mut nets: Vec<IpNet>,
    ) -> Outcome {
        nets.sort_unstable();
        nets.dedup();
        let is_worth_it = nets.len() >= MANY;
        let (mut outcome, mut gathered) = (Outcome::default(), Gathered::default());
        for net in nets {
            if is_worth_it && self.gather(classes, net, &mut gathered) {
                continue;
            }
            match self.write(tables, classes, net) {
                Ok(one) => {
                    outcome.removed += one.removed;
                    outcome.written += one.written;
                }
                Err(why) => outcome.fail(net, why),
            }
        }
        self.shut_gathered(tables, &gathered, &mut outcome);
        self.open_gathered(tables, &gathered, &mut outcome);
        outcome
    }

    /// `false`: it must go alone.
    fn gather(&mut self, classes: &Classes, net: IpNet, gathered: &mut Gathered) -> bool {
        let Some(source) = self.all.get(&net) else {
            return false;
        };
        if source.is_bound() || source.group != 0 {
            return false;
        }
        let entry = self.picture(classes, net, source).entry;
        let stray = self.strays.remove(&net);
        let before = source.entry.or(stray);
        match entry {
            // A former daemon wrote the very same, and it was read when this one started.
            Some(entry) if stray == Some(entry) => self.remember(net, Some(entry)),
            Some(entry) => {
                if before.is_none()
                    && let Some(word) = self.count(net, true)
                {
                    gathered.words.insert(word.index, word.bits);
                }
                gathered.open.push((net, entry));
                gathered.before.push(before);
            }
            None => {
                gathered.shut.push(net);
                gathered.counted.extend(before.map(|_| net));
            }
        }
        true
    }

    fn shut_gathered(&mut self, tables: &mut Tables, gathered: &Gathered, outcome: &mut Outcome) {
        let gone = tables.erase_many(&gathered.shut).and_then(|removed| {
            outcome.removed += removed;
            self.uncount_many(tables, &gathered.counted)
        });
        if let Err(why) = gone {
            outcome.failed.extend(&gathered.shut);
            outcome.first.get_or_insert(why);
            return;
        }
        for net in &gathered.shut {
            self.remember(*net, None);
        }
    }

    fn open_gathered(&mut self, tables: &mut Tables, gathered: &Gathered, outcome: &mut Outcome) {
        if let Err(why) = tables.write_filter_words(&listed(&gathered.words)) {
            for ((net, _), before) in gathered.open.iter().zip(&gathered.before) {
                if before.is_none() {
                    // A bit too many in the kernel only costs a lookup.
                    self.count(*net, false);
                }
                outcome.failed.push(*net);
            }
            outcome.first.get_or_insert(why);
            return;
        }
        let mut refusals = tables.write_many(&gathered.open);
        refusals.refused.sort_unstable();
        let mut refused = refusals.refused.iter().copied().peekable();
        let mut why = refusals.first;
        for (at, ((net, entry), before)) in gathered.open.iter().zip(&gathered.before).enumerate() {
            if refused.next_if_eq(&at).is_none() {
                outcome.written += usize::from(*before != Some(*entry));
                self.remember(*net, Some(*entry));
                continue;
            }
            // What it had before must not stay beyond what is wanted now.
            let shut = tables.erase(*net).and_then(|_| self.uncount(tables, *net));
            self.remember(*net, None);
            outcome.failed.push(*net);
            let fault = why.take().map(|why| name(why, *net, None));
            outcome.first = outcome.first.take().or(fault).or(shut.err());
        }
    }

    /// Takes sources out of the filter, after their entries went.
    pub(super) fn uncount_many(
        &mut self,
        tables: &mut Tables,
        nets: &[IpNet],
    ) -> Result<(), KernelError> {
        let words = nets.iter().filter_map(|net| self.count(*net, false));
        let words = words.map(|word| (word.index, word.bits)).collect();
        tables.write_filter_words(&listed(&words))
    }
}

/// Each once, as the last change of it left it.
fn listed(words: &BTreeMap<u32, u64>) -> Vec<Word> {
    let words = words.iter();
    words.map(|(&index, &bits)| Word { index, bits }).collect()
}

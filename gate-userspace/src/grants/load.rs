//! Before and after the table is filled from a store.

use std::collections::BTreeMap;

use super::Grants;

impl Grants {
    /// Makes room for so many, or the tables would move all that they hold again and again.
    pub fn expect(&self, rollouts: usize, tokens: usize) {
        self.tokens.pin().reserve(tokens);
        self.by_id.pin().reserve(tokens);
        self.rollouts.pin().reserve(rollouts);
        self.listed.expect(rollouts);
        self.book().ledger.expect(rollouts);
    }

    /// Fills the nodes of what is kept in order. Filled in ascending order they are half empty.
    pub fn pack(&self) {
        let mut book = self.book();
        pack(&mut book.rollouts);
        book.of_client.values_mut().for_each(|serials| {
            *serials = std::mem::take(serials).into_iter().collect();
        });
        book.ledger.pack();
    }
}

/// The same map in as few nodes as it takes.
pub(super) fn pack<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    *map = std::mem::take(map).into_iter().collect();
}

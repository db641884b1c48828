//! What is in the table, for those who list it or change it: never asked on the request path.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ipnet::IpNet;

use super::{ClientGrant, Grants, RolloutGrant};
use crate::ident::{ClientId, RolloutSerial};

impl Grants {
    pub fn client(&self, id: ClientId) -> Option<Arc<ClientGrant>> {
        self.book().clients.get(&id).cloned()
    }

    /// By number, which is the order in which they came.
    pub fn clients(&self) -> Vec<Arc<ClientGrant>> {
        self.book().clients.values().cloned().collect()
    }

    pub fn rollout_of_serial(&self, serial: RolloutSerial) -> Option<Arc<RolloutGrant>> {
        self.book().rollouts.get(&serial).cloned()
    }

    pub fn rollouts(&self) -> Vec<Arc<RolloutGrant>> {
        self.book().rollouts.values().cloned().collect()
    }

    /// The networks that open something here and are bound to no interface: a neighbour on the same
    /// link can claim such an address. Without those that the packet ring bound by itself; in their
    /// order, not more than so many, and how many there are.
    pub fn spoofable(&self, most: usize, bound: &BTreeMap<IpNet, String>) -> (Vec<IpNet>, usize) {
        let book = self.book();
        let mut found: Vec<IpNet> = Vec::new();
        let mut count = 0;
        let open = book.ledger.keys().filter(|key| key.interface.is_none());
        for key in open.filter(|key| !bound.contains_key(&key.net)) {
            count += 1;
            if found.len() < most {
                found.push(key.net);
            }
        }
        (found, count)
    }

    pub fn rollouts_of(&self, client: ClientId) -> Vec<Arc<RolloutGrant>> {
        self.book().rollouts_of(client)
    }

    pub fn count_rollouts_of(&self, client: ClientId) -> usize {
        self.book().of_client.get(&client).map_or(0, BTreeSet::len)
    }
}

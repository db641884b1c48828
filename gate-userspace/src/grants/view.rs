//! What is in the table, for those who list it or change it: never asked on the request path.

use std::{collections::BTreeSet, sync::Arc};

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

    pub fn rollouts_of(&self, client: ClientId) -> Vec<Arc<RolloutGrant>> {
        self.book().rollouts_of(client)
    }

    pub fn count_rollouts_of(&self, client: ClientId) -> usize {
        self.book().of_client.get(&client).map_or(0, BTreeSet::len)
    }
}

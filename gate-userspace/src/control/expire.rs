//! Ends what is over, as a revocation would, also while the store is down.
//!
//! The deadline itself was written long ago, so the table goes first here and the store is told
//! after; at a restart whatever is over is left out before anything is opened.

use super::{
    Actor, Why,
    client::unique,
    lease::Leased,
    rollout::end_rollout,
    writer::{Writer, end_client, put_client},
};
use crate::{
    client::{Client, Credential},
    clock::Stamp,
    rollout::Rollout,
    store::Change,
};

impl Writer {
    /// Ends every lease and token that is over. How many changes that made.
    pub(super) async fn sweep(&mut self) -> usize {
        let now = self.now();
        let (mut changes, mut clients, mut rollouts) = (Vec::new(), Vec::new(), Vec::new());
        for leased in self.desk.leases().due(now) {
            match leased {
                Leased::Client(id) => clients.extend(self.desk.grants.client(id)),
                Leased::Rollout(serial) => {
                    rollouts.extend(self.desk.grants.rollout_of_serial(serial));
                }
            }
        }
        let revision = self.desk.grants.revision();
        let mut over = Vec::new();
        for grant in rollouts {
            let record = grant.record();
            if is_over(record.expires, now) {
                changes.push(end_rollout("rollout.expire", &grant));
                over.push(grant.serial);
            } else {
                changes.extend(self.prune_rollout(&record, &grant, now).await);
            }
        }
        let effects = self.drop_rollouts(unique(over).into_iter());
        self.shut_down(revision, effects, Why::LeaseOver).await;
        for grant in clients {
            let record = grant.record();
            if is_over(record.expires, now) {
                changes.push(end_client("client.expire", &record));
                self.end_client_here(&record, revision, Why::LeaseOver)
                    .await;
            } else {
                changes.extend(self.prune_client(&record, now).await);
            }
        }
        let count = changes.len();
        if count > 0
            && let Ok(revision) = self.commit_ending(Actor::Gate, changes).await
        {
            self.reach(revision);
        }
        count
    }

    async fn prune_client(&mut self, before: &Client, now: Stamp) -> Option<Change> {
        let client = Client {
            tokens: alive(&before.tokens, now),
            ..before.clone()
        };
        self.lease_client(&client);
        if client.tokens.len() == before.tokens.len() {
            return None;
        }
        let change = put_client("client.token.expire", &client, serde_json::json!({}));
        let effects = self.desk.grants.put_client(client);
        let revision = self.desk.grants.revision();
        self.shut_down(revision, effects, Why::LeaseOver).await;
        Some(change)
    }

    async fn prune_rollout(
        &mut self,
        before: &Rollout,
        grant: &crate::grants::RolloutGrant,
        now: Stamp,
    ) -> Option<Change> {
        let rollout = Rollout {
            tokens: alive(&before.tokens, now),
            ..before.clone()
        };
        self.lease_rollout(&rollout);
        if rollout.tokens.len() == before.tokens.len() {
            return None;
        }
        let detail = serde_json::json!({});
        let change = super::rollout::put_rollout("rollout.token.expire", &rollout, grant, detail);
        let effects = self.desk.grants.put_rollout(rollout);
        let revision = self.desk.grants.revision();
        self.shut_down(revision, effects, Why::LeaseOver).await;
        Some(change)
    }
}

pub(super) fn is_over(until: Option<Stamp>, now: Stamp) -> bool {
    until.is_some_and(|until| until <= now)
}

pub(super) fn alive(tokens: &[Credential], now: Stamp) -> Vec<Credential> {
    let alive = tokens.iter().filter(|token| !is_over(token.expires, now));
    alive.cloned().collect()
}

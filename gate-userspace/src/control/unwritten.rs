//! What is in effect here although the store did not take it yet.
//!
//! It is written as soon as the store answers. A record that was changed once more meanwhile is
//! not: the later one was made from it, and writing the older one would bring back what ended.

use std::collections::BTreeSet;

use crate::{
    ident::{ClientName, RolloutId},
    store::{Change, Entity, Write},
};

/// Changes that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Unwritten(Vec<Change>);

impl Unwritten {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn all(&self) -> Vec<Change> {
        self.0.clone()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn add(&mut self, changes: Vec<Change>) {
        self.replaced(&entities(&changes));
        self.0.extend(changes);
    }

    /// Forgets the older records of these. An ending is never older than another change.
    pub(super) fn replaced(&mut self, by: &BTreeSet<Entity>) {
        self.0.retain(|change| match change.write {
            Write::PutClient(_)
            | Write::PutRollout(_)
            | Write::SetClosed(_)
            | Write::SetMaster(_) => !by.contains(&change.write.entity()),
            Write::AddClient(_)
            | Write::AddOperator(_)
            | Write::EndOperator(_)
            | Write::Remark
            | Write::EndClient(_)
            | Write::AddRollout(_)
            | Write::EndRollout(_) => true,
        });
    }

    /// Gives up on one; whether there was such a one.
    pub(super) fn remove(&mut self, index: usize) -> bool {
        let is_there = index < self.0.len();
        if is_there {
            self.0.remove(index);
        }
        is_there
    }

    /// Whether a panic waits.
    pub(super) fn closes(&self) -> bool {
        let mut changes = self.0.iter();
        changes.any(|change| matches!(change.write, Write::SetClosed(true)))
    }

    /// Whether a client of that name has ended; another one may have it by now.
    pub(super) fn ends_client(&self, name: &ClientName) -> bool {
        let subject = format!("client {name}");
        self.ends(|write| matches!(write, Write::EndClient(_)), &subject)
    }

    /// Whether a rollout of that id has ended; another one may have it by now.
    pub(super) fn ends_rollout(&self, id: &RolloutId) -> bool {
        let subject = format!("rollout {id}");
        self.ends(|write| matches!(write, Write::EndRollout(_)), &subject)
    }

    fn ends(&self, is_ending: fn(&Write) -> bool, subject: &str) -> bool {
        let mut changes = self.0.iter();
        changes.any(|change| is_ending(&change.write) && change.note.subject == subject)
    }
}

/// What these changes are about.
pub(super) fn entities(changes: &[Change]) -> BTreeSet<Entity> {
    changes.iter().map(|change| change.write.entity()).collect()
}

//! `panic` shuts every ring, loopback included; `open` ends that. Survives a restart.

use std::time::Instant;

use serde_json::json;

use super::{Actor, Refused, Why, answer::Done, writer::Writer};
use crate::{
    settings::Mode,
    store::{Change, Note, StoreError, Write},
};

impl Writer {
    /// Closed first and written after: an emergency brake does not wait for a disk.
    pub(super) async fn panic(&mut self, actor: Actor) -> Result<Done, Refused> {
        let since = Instant::now();
        self.desk.grants.set_mode(Mode::Closed);
        let mut done = self.done(self.desk.grants.revision());
        let ring = self.desk.ring.set_mode(Mode::Closed).await;
        if let Err(why) = ring {
            done.warn("the packet ring is not closed", &why);
        }
        done.count(self.desk.streams.cut_all(Why::Panic).await);
        let change = set_closed("gate.panic", true);
        let written = self.commit_ending(actor, vec![change]).await;
        done.revision = self.revision_of(&written);
        self.reach(done.revision);
        if matches!(written, Err(StoreError::Forbidden(_))) {
            self.closed_here = true;
            let text = "this host alone is closed: its role in the store does not allow more";
            done.warnings.push(text.to_owned());
            return Ok(done.took(since));
        }
        done.answer(written, "serving", since)
    }

    pub(super) async fn open(&mut self, actor: Actor) -> Result<Done, Refused> {
        let since = Instant::now();
        if self.closed_here {
            self.closed_here = false;
            return self.open_here(since).await;
        }
        let change = set_closed("gate.open", false);
        let revision = self.commit(actor, vec![change]).await?;
        self.reach(revision);
        let mut done = self.done(revision);
        if let Err(why) = self.desk.ring.set_mode(self.desk.mode).await {
            done.warn("the packet ring is still closed", &why);
        }
        self.desk.grants.set_mode(self.desk.mode);
        Ok(done.took(since))
    }

    /// Ends a panic of this host alone; one of the fleet stays in force.
    async fn open_here(&mut self, since: Instant) -> Result<Done, Refused> {
        let is_closed = self.desk.store.is_closed().await?;
        self.apply_mode(is_closed).await;
        Ok(self.done(self.desk.grants.revision()).took(since))
    }
}

fn set_closed(kind: &'static str, closed: bool) -> Change {
    Change {
        write: Write::SetClosed(closed),
        note: Note {
            kind,
            subject: "gate".to_owned(),
            client: String::new(),
            detail: json!({}),
        },
    }
}

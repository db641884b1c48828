//! `panic` shuts every ring, loopback included; `open` ends that. Survives a restart.

use std::time::Instant;

use serde_json::json;

use super::{Actor, Refused, answer::Done, brake::Brake, endings::Stopped, writer::Writer};
use crate::store::{Change, Note, StoreError, Write};

impl Writer {
    /// Closed first and written after. Lets go of the brake when it is.
    pub(super) async fn panic(
        &mut self,
        actor: Actor,
        _brake: Brake,
        stopped: Stopped,
    ) -> Result<Done, Refused> {
        let since = Instant::now();
        let mut done = self.done(self.desk.grants.revision());
        done.count(stopped.wait().await);
        let (ring, cut) = self.desk.shut().await;
        if let Err(why) = ring {
            done.warn("the packet ring is not closed", &why);
            self.owed().entries = true;
        }
        done.count(cut);
        let change = set_closed("gate.panic", true);
        let written = self.commit_ending(actor, vec![change]).await;
        if matches!(written, Err(StoreError::Forbidden(_))) {
            self.closed_here = true;
            let text = "this host alone is closed: its role in the store does not allow more";
            done.warnings.push(text.to_owned());
            return Ok(done.took(since));
        }
        self.answer(done, written, "serving", since)
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
        if let Err(why) = self.desk.enter(self.desk.mode).await {
            done.warn("the packet ring is still closed", &why);
        }
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

//! `panic` shuts every ring, loopback included; `open` ends that. Survives a restart.

use std::time::Instant;

use serde_json::json;

use super::{Actor, Refused, Why, answer::Done, writer::Writer};
use crate::{
    settings::Mode,
    store::{Change, Note, Write},
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
        done.answer(written, "serving", since)
    }

    pub(super) async fn open(&mut self, actor: Actor) -> Result<Done, Refused> {
        let since = Instant::now();
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

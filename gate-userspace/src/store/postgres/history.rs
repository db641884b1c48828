//! What this host has followed, and whether the server at hand goes on from there.
//!
//! Threat: a former primary that comes back, or a copy that lacks the last changes, answers as if
//! nothing had happened. Who believed it would serve what was revoked, and call itself fresh. So a
//! server must hold the last change that this host has seen, be no earlier in a line of servers
//! than one that was seen, and nothing is read from it or written to it otherwise.
//!
//! Does not outlive the process: restarting the gate is how an operator accepts a restored backup.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use deadpool_postgres::{HookError, PoolError};
use tokio::sync::watch;
use tokio_postgres::{Client, Error};

use super::PATIENCE;
use crate::{
    ident::Revision,
    store::{StoreError, change::Commit},
};

/// Which server of a line: each promotion makes the next timeline. Not every engine says so.
const SERVER: &str = "SELECT system_identifier, \
     ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::BIT(32)::INT \
     FROM pg_control_system()";

const AT: &str = "SELECT s.revision, c.at, c.host, c.actor FROM gate_state s \
     LEFT JOIN (SELECT at, host, actor FROM gate_changes WHERE revision = $1 LIMIT 1) c ON TRUE \
     WHERE s.id = 1";

/// Why a server is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Parting {
    #[error("the store at hand is at revision {found}, and this host has followed it to {seen}")]
    Behind { found: Revision, seen: Revision },
    #[error("revision {0} of the store at hand is another change than the one followed here")]
    Forked(Revision),
    #[error(
        "the server at hand is a former primary, of timeline {found}; one of {seen} was followed"
    )]
    Former { found: i32, seen: i32 },
}

/// Where a server stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// The same for a server and all its standbys.
    pub(super) system: i64,
    pub(super) timeline: i32,
}

/// Who made a change and when: no two servers that have parted give a revision the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: i64,
    pub(super) host: String,
    pub(super) actor: String,
}

#[derive(Debug, Default)]
struct Known {
    revision: Revision,
    /// None = the change was forgotten.
    mark: Option<Mark>,
    server: Option<Server>,
    parting: Option<Parting>,
    place: Option<usize>,
}

#[derive(Debug)]
pub(super) struct History {
    known: Mutex<Known>,
    /// Connections from before this moment may lead to a server that is none any more.
    moved: watch::Sender<Instant>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            moved: watch::Sender::new(Instant::now()),
        }
    }
}

impl Mark {
    pub(super) fn of(commit: &Commit) -> Self {
        Self {
            at: commit.at.0,
            host: commit.host.to_string(),
            actor: commit.actor.clone(),
        }
    }
}

impl History {
    /// The last change that this host knows of.
    pub(super) fn revision(&self) -> Revision {
        self.known().revision
    }

    /// Why the server at hand is not believed; none = it is.
    pub(super) fn parting(&self) -> Option<Parting> {
        self.known().parting
    }

    /// This host has read, or made, that change.
    pub(super) fn learn(&self, revision: Revision, mark: Option<Mark>) {
        let mut known = self.known();
        if revision > known.revision {
            (known.revision, known.mark) = (revision, mark);
        } else if revision == known.revision && known.mark.is_none() {
            known.mark = mark;
        }
    }

    /// The server was asked, and holds what is known.
    pub(super) fn is_right(&self) {
        self.known().parting = None;
    }

    /// The server is not believed, and neither is any connection that stands.
    pub(super) fn part(&self, parting: Parting) {
        self.known().parting = Some(parting);
        self.suspect();
    }

    /// Connections that stand may lead to the wrong server: none is used again.
    pub(super) fn suspect(&self) {
        self.moved.send_replace(Instant::now());
    }

    /// Told whenever connections that stand are not used again.
    pub(super) fn moves(&self) -> watch::Receiver<Instant> {
        self.moved.subscribe()
    }

    pub(super) fn is_older(&self, connected: Instant) -> bool {
        connected < *self.moved.borrow()
    }

    /// One of several was chosen. What leads to another one is not used again.
    pub(super) fn arrive(&self, place: usize) {
        let before = self.known().place.replace(place);
        if before.is_some_and(|before| before != place) {
            self.suspect();
        }
    }

    /// How much a server is to be preferred among several that take writes.
    pub(super) fn rank(&self, server: Option<Server>) -> (bool, i32) {
        let known = self.known().server;
        let is_of_line = |server: &Server| known.is_none_or(|known| known.system == server.system);
        server.map_or((false, 0), |server| (is_of_line(&server), server.timeline))
    }

    /// Looks at a new connection before anything else is asked of it.
    pub(super) async fn meet(&self, client: &Client) -> Result<(), HookError> {
        let met = tokio::time::timeout(PATIENCE, self.judge(client)).await;
        match met {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(parting))) => {
                tracing::error!(error = %parting, "the store is not believed");
                self.part(parting);
                Err(HookError::message("not believed"))
            }
            Ok(Err(why)) => Err(HookError::Backend(why)),
            Err(_late) => Err(HookError::message("late")),
        }
    }

    async fn judge(&self, client: &Client) -> Result<Result<(), Parting>, Error> {
        let server = server(client).await?;
        let (seen, mark) = {
            let known = self.known();
            (known.revision, known.mark.clone())
        };
        let found = if seen == Revision::default() {
            None
        } else {
            let row = client.query_one(AT, &[&seen.0.cast_signed()]).await?;
            let at: Option<i64> = row.try_get(1)?;
            let host: Option<String> = row.try_get(2)?;
            let actor: Option<String> = row.try_get(3)?;
            let made = at.zip(host).zip(actor);
            let made = made.map(|((at, host), actor)| Mark { at, host, actor });
            Some((Revision(row.try_get::<_, i64>(0)?.cast_unsigned()), made))
        };
        let mut known = self.known();
        if let (Some(server), Some(before)) = (server, known.server)
            && let Some(parting) = former(before, server)
        {
            return Ok(Err(parting));
        }
        if let Some((found, made)) = found
            && let Some(parting) = parted((seen, mark.as_ref()), (found, made.as_ref()))
        {
            return Ok(Err(parting));
        }
        known.server = server.or(known.server);
        Ok(Ok(()))
    }

    /// The pool knows only that a connection was not taken.
    pub(super) fn explain(&self, why: PoolError) -> StoreError {
        match why {
            PoolError::PostCreateHook(HookError::Message(_)) => {
                self.parting().map_or(StoreError::Slow, StoreError::Parted)
            }
            why @ (PoolError::PostCreateHook(HookError::Backend(_))
            | PoolError::Backend(_)
            | PoolError::Timeout(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified) => why.into(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// None = the engine does not say, or it is a standby.
pub(super) async fn server(client: &Client) -> Result<Option<Server>, Error> {
    match client.query_one(SERVER, &[]).await {
        Ok(row) => Ok(Some(Server {
            system: row.try_get(0)?,
            timeline: row.try_get(1)?,
        })),
        // What it says no to it said itself; without a code it said nothing.
        Err(why) if why.code().is_some() => Ok(None),
        Err(why) => Err(why),
    }
}

/// Timelines of two lines, as before and after an upgrade by copying, say nothing of each other.
fn former(seen: Server, found: Server) -> Option<Parting> {
    let is_former = found.system == seen.system && found.timeline < seen.timeline;
    is_former.then_some(Parting::Former {
        found: found.timeline,
        seen: seen.timeline,
    })
}

/// `seen` = what was known before the server was asked.
pub(super) fn goes_on(seen: Revision, found: Revision) -> Result<(), Parting> {
    if found < seen {
        return Err(Parting::Behind { found, seen });
    }
    Ok(())
}

/// A change that one of them has forgotten tells nothing.
fn parted(seen: (Revision, Option<&Mark>), found: (Revision, Option<&Mark>)) -> Option<Parting> {
    if let Err(behind) = goes_on(seen.0, found.0) {
        return Some(behind);
    }
    let differs = seen
        .1
        .zip(found.1)
        .is_some_and(|(seen, found)| seen != found);
    differs.then_some(Parting::Forked(seen.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_goes_on_only_from_the_change_that_was_followed() {
        let (mine, other) = (mark("a"), mark("b"));
        let seen = (Revision(7), Some(&mine));
        let behind = Parting::Behind {
            found: Revision(6),
            seen: Revision(7),
        };
        let rows = [
            ((Revision(7), Some(&mine)), None),
            ((Revision(9), Some(&mine)), None),
            ((Revision(9), None), None),
            ((Revision(6), None), Some(behind)),
            (
                (Revision(7), Some(&other)),
                Some(Parting::Forked(Revision(7))),
            ),
            (
                (Revision(9), Some(&other)),
                Some(Parting::Forked(Revision(7))),
            ),
        ];
        for (found, want) in rows {
            assert_eq!(parted(seen, found), want, "{found:?}");
        }
        let forgotten = (Revision(7), None);
        assert_eq!(parted(forgotten, (Revision(7), Some(&other))), None);
    }

    #[test]
    fn an_earlier_timeline_of_the_same_line_is_a_former_primary() {
        let at = |system, timeline| Server { system, timeline };
        let former_one = Parting::Former { found: 1, seen: 2 };
        let rows = [
            (at(1, 2), at(1, 2), None),
            (at(1, 2), at(1, 3), None),
            (at(1, 2), at(1, 1), Some(former_one)),
            (at(1, 2), at(9, 1), None),
        ];
        for (seen, found, want) in rows {
            assert_eq!(former(seen, found), want, "{seen:?} {found:?}");
        }
    }

    #[test]
    fn what_was_read_late_does_not_go_back() {
        let history = History::default();
        history.learn(Revision(7), Some(mark("a")));
        history.learn(Revision(6), Some(mark("b")));
        assert_eq!(history.revision(), Revision(7));
        assert_eq!(history.known().mark, Some(mark("a")));
    }

    fn mark(host: &str) -> Mark {
        Mark {
            at: 1,
            host: host.to_owned(),
            actor: "uid=0 pid=1".to_owned(),
        }
    }
}

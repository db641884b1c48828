//! How far the hosts of the fleet are, and waiting until they all are there.

use std::time::Duration;

use super::{Control, Done, HostDone, HostState, Refused};
use crate::{
    clock::Stamp,
    ident::{HostName, Revision},
    store::Told,
};

/// Between two looks while somebody waits.
const LOOK: Duration = Duration::from_millis(10);

/// One host of the fleet, or the only one.
#[derive(Clone, Debug)]
pub struct Host {
    pub host: HostName,
    pub revision: Revision,
    pub state: HostState,
    pub last_seen: Stamp,
}

impl Control {
    /// Every host that has told of itself; this one alone without a fleet.
    pub async fn hosts(&self) -> Result<Vec<Host>, Refused> {
        let (grants, now) = (self.grants(), self.clock().now());
        let revision = grants.revision();
        let told = self.desk.store.hosts().await?;
        if told.is_empty() {
            return Ok(vec![Host {
                host: grants.host().clone(),
                revision,
                state: HostState::Done,
                last_seen: now,
            }]);
        }
        let skew = self.desk.store.bounds().skew;
        let hosts = told.into_iter().map(|told| {
            let age = i64::try_from(told.age.as_millis()).unwrap_or(i64::MAX);
            Host {
                state: state(&told, revision, skew),
                host: told.host,
                revision: told.revision,
                last_seen: Stamp(now.0.saturating_sub(age)),
            }
        });
        Ok(hosts.collect())
    }

    /// Waits until every host enforces what was done, at most this long, and says who does not.
    pub async fn wait_for_hosts(&self, done: &mut Done, wait: Duration) -> Result<(), Refused> {
        let until = tokio::time::Instant::now() + wait;
        let skew = self.desk.store.bounds().skew;
        loop {
            let told = self.desk.store.hosts().await?;
            if told.is_empty() {
                return Ok(());
            }
            let hosts = told.into_iter().map(|told| HostDone {
                state: state(&told, done.revision, skew),
                host: told.host,
                revision: told.revision,
            });
            done.hosts = hosts.collect();
            let is_behind = |host: &HostDone| host.state == HostState::Behind;
            if !done.hosts.iter().any(is_behind) || tokio::time::Instant::now() >= until {
                done.keep_behind(self.grants().host());
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Done {
    /// This host has seen the change, and yet is not done with it while something failed.
    fn keep_behind(&mut self, here: &HostName) {
        let failed = !self.warnings.is_empty();
        for host in &mut self.hosts {
            if failed && host.host == *here {
                host.state = HostState::Behind;
            }
        }
    }
}

/// A host that was not heard of for its staleness has closed itself: it serves nobody any more.
pub(super) fn state(told: &Told, wanted: Revision, skew: Duration) -> HostState {
    let is_over = |staleness| told.age > staleness + skew;
    if told.revision >= wanted {
        HostState::Done
    } else if told.staleness.is_some_and(is_over) {
        HostState::SelfClosed
    } else {
        HostState::Behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its revision alone would say that it is done.
    #[test]
    fn what_failed_here_is_not_done_when_the_others_are() {
        let hosts = ["a", "b"].map(|host| HostDone {
            host: host.parse().unwrap(),
            revision: Revision(7),
            state: HostState::Done,
        });
        let mut done = Done {
            hosts: hosts.into(),
            ..Done::default()
        };
        let (a, states) = ("a".parse().unwrap(), |done: &Done| {
            [done.hosts[0].state, done.hosts[1].state]
        });
        done.keep_behind(&a);
        assert_eq!(states(&done), [HostState::Done, HostState::Done]);
        done.warnings.push("entries may still be open".to_owned());
        done.keep_behind(&a);
        assert_eq!(states(&done), [HostState::Behind, HostState::Done]);
    }

    #[test]
    fn a_host_counts_until_it_has_closed_itself() {
        let told = |revision, age| Told {
            host: "b".parse().unwrap(),
            revision: Revision(revision),
            age: Duration::from_secs(age),
            staleness: Some(Duration::from_mins(1)),
            keys: Vec::new(),
        };
        let rows = [
            (told(7, 0), HostState::Done),
            (told(6, 0), HostState::Behind),
            (told(6, 65), HostState::Behind),
            (told(6, 66), HostState::SelfClosed),
        ];
        for (told, expected) in rows {
            let state = state(&told, Revision(7), Duration::from_secs(5));
            assert_eq!(state, expected, "{told:?}");
        }
    }
}

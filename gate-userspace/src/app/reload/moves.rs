//! Takes up where the names of upstreams lead by now.
//!
//! The guard goes first: when a name leads to an address of this host, the port there is shut to
//! others before the first call goes that way. Where that cannot be, calls go where they went.
//! This host's own addresses change too, so every round looks at the guards, also without news.

use std::{collections::BTreeSet, net::IpAddr};

use tracing::{error, info, warn};

use super::{Reload, union};
use crate::{
    app::{lookup::Answer, protect},
    names::Names,
    telemetry::Chain,
};

/// What was said already, so that it is said once.
#[derive(Debug, Default)]
pub(super) struct Moves {
    unresolved: BTreeSet<String>,
    refused: Option<String>,
}

impl Moves {
    pub(super) async fn take_up(&mut self, reload: &mut Reload, answers: Vec<Answer>) {
        let mut names = reload.names.clone();
        for (name, answer) in answers {
            if let Some(addresses) = self.heard(&name, answer) {
                names.learn(&name, addresses);
            }
        }
        match go(reload, names).await {
            Ok(()) => self.refused = None,
            Err(why) if self.refused.as_ref() == Some(&why) => {}
            Err(why) => {
                error!(error = why, "calls go where they went before");
                self.refused = Some(why);
            }
        }
    }

    fn heard(&mut self, name: &str, answer: std::io::Result<Vec<IpAddr>>) -> Option<Vec<IpAddr>> {
        match answer {
            Ok(addresses) => {
                self.unresolved.remove(name);
                Some(addresses)
            }
            Err(cause) => {
                if self.unresolved.insert(name.to_owned()) {
                    warn!(name, %cause, "an upstream's name cannot be resolved: its last addresses stay");
                }
                None
            }
        }
    }
}

async fn go(reload: &mut Reload, names: Names) -> Result<(), String> {
    let wanted = protect::ports(&reload.standing, &protect::is_own, &names);
    let wanted = wanted.map_err(|error| Chain(&error).to_string())?;
    let before = reload.ring.protected();
    if *before == wanted && names == reload.names {
        return Ok(());
    }
    reload.can_guard(&reload.standing, &before, &wanted)?;
    if *before != wanted {
        for new in wanted.iter().filter(|new| !before.contains(new)) {
            info!(port = new.port, policy = ?new.policy, why = new.why, "protects");
        }
        reload.ring.protect(union(&before, &wanted)).await?;
    }
    for name in names.names() {
        let addresses = names.of(name);
        if addresses != reload.names.of(name) {
            info!(name, ?addresses, "an upstream's name leads elsewhere");
        }
    }
    reload.proxy.moves(&names);
    reload.names = names;
    if *before != wanted {
        reload.ring.protect(wanted).await?;
    }
    Ok(())
}

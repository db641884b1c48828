//! How many sockets may this process have open? All that the system allows it.
//!
//! Shells and service managers start programs with a soft limit of 1024, which is for programs that
//! call `select(2)`; raising it to the hard limit needs no privilege.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// Beside calls: listeners, the store, the packet ring, the admin API.
const OTHERS: u64 = 256;

/// Raises the soft limit, and says so when that is too low for so many connections: each has
/// another to an upstream.
pub(super) fn raise(connections: usize) {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(hard)
    });
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX);
    let wanted = wanted.saturating_mul(2).saturating_add(OTHERS);
    match limit {
        Ok(limit) if limit >= wanted => {}
        Ok(limit) => warn!(
            limit,
            wanted,
            "open files are limited below limits.connections: raise LimitNOFILE or ulimit -n"
        ),
        Err(cause) => warn!(%cause, "the limit of open files stays as it is"),
    }
}

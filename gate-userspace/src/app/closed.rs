//! A panic outlives a restart also while the store is away: a file of this host says so.
//!
//! The store has the last word as soon as it is heard of. A file that cannot be written costs only
//! what it is for, so it is logged and nothing waits for it.

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::Arc};

use super::ring::Ring;
use crate::{
    control::{Applied, Gone, PacketRing, RingError, Work},
    grants::{Delta, Opened, SourceKey},
    ident::Revision,
    settings::Mode,
};

/// `{state_dir}/closed` is there while a panic is in force.
#[derive(Clone, Debug)]
pub(super) struct Marker(PathBuf);

/// The packet ring, whose mode is remembered.
pub(super) struct Remembered {
    pub(super) ring: Arc<Ring>,
    pub(super) marker: Marker,
}

impl Marker {
    pub(super) fn new(state_dir: &std::path::Path) -> Self {
        Self(state_dir.join("closed"))
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.exists()
    }

    fn follow(&self, mode: Mode) {
        let done = match mode {
            Mode::Closed => fs::write(&self.0, ""),
            Mode::Enforce | Mode::Audit => match fs::remove_file(&self.0) {
                Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
        };
        if let Err(why) = done {
            let path = self.0.display();
            tracing::warn!(%path, error = %why, "a restart without the store may forget the mode");
        }
    }
}

impl PacketRing for Remembered {
    fn apply(
        &self,
        revision: Revision,
        deltas: Vec<Delta>,
    ) -> Work<'_, Result<Applied, RingError>> {
        self.ring.apply(revision, deltas)
    }

    fn sync(
        &self,
        revision: Revision,
        openings: BTreeMap<SourceKey, Opened>,
    ) -> Work<'_, Result<Applied, RingError>> {
        self.ring.sync(revision, openings)
    }

    fn destroy(&self, gone: Vec<Gone>) -> Work<'_, Result<usize, RingError>> {
        self.ring.destroy(gone)
    }

    fn set_mode(&self, mode: Mode) -> Work<'_, Result<(), RingError>> {
        // A brake is remembered before it is pulled, and forgotten after it was let go.
        if mode == Mode::Closed {
            self.marker.follow(mode);
        }
        Box::pin(async move {
            let set = self.ring.set_mode(mode).await;
            if mode != Mode::Closed && set.is_ok() {
                self.marker.follow(mode);
            }
            set
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_there_for_the_next_start_until_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let marker = Marker::new(dir.path());
        let ring = Remembered {
            ring: Arc::new(Ring::absent("a test".to_owned(), Vec::new())),
            marker: marker.clone(),
        };
        assert!(!marker.is_there());
        for (mode, is_there) in [
            (Mode::Closed, true),
            (Mode::Closed, true),
            (Mode::Enforce, false),
            (Mode::Audit, false),
        ] {
            ring.set_mode(mode).await.unwrap();
            assert_eq!(marker.is_there(), is_there, "{mode:?}");
        }
    }
}

//! How many connections there may be, in all and from one source.
//!
//! Loopback and Unix peers are only counted in all: a tunnel brings everybody from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

#[derive(Clone)]
pub(crate) struct Crowd(Arc<Room>);

struct Room {
    most: usize,
    most_per_source: usize,
    all: AtomicUsize,
    by_source: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; given back on drop.
pub(crate) struct Place {
    crowd: Crowd,
    source: Option<IpAddr>,
}

impl Crowd {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Self {
        Self(Arc::new(Room {
            most,
            most_per_source,
            all: AtomicUsize::new(0),
            by_source: Mutex::default(),
        }))
    }

    pub(crate) fn enter(&self, address: Option<IpAddr>) -> Option<Place> {
        let source = address.filter(|address| !address.is_loopback());
        if let Some(source) = source {
            let mut by_source = self.by_source();
            let count = by_source.entry(source).or_default();
            if *count >= self.0.most_per_source {
                return None;
            }
            *count += 1;
        }
        let place = Place {
            crowd: self.clone(),
            source,
        };
        // Counted before it is compared, so that two who come at once do not both get the last.
        let before = self.0.all.fetch_add(1, Ordering::AcqRel);
        (before < self.0.most).then_some(place)
    }

    fn by_source(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0
            .by_source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.0.all.fetch_sub(1, Ordering::AcqRel);
        if let Some(source) = self.source {
            let mut by_source = self.crowd.by_source();
            if let Some(count) = by_source.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    by_source.remove(&source);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_every_place() {
        let crowd = Crowd::new(3, 1);
        let (a, b) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        let first = crowd.enter(a);
        assert!(first.is_some());
        assert!(crowd.enter(a).is_none());
        assert!(crowd.enter(b).is_some());
        drop(first);
        assert!(crowd.enter(a).is_some());
    }

    #[test]
    fn the_house_is_full_once() {
        let crowd = Crowd::new(1, 9);
        let first = crowd.enter(None);
        assert!(first.is_some());
        assert!(crowd.enter(None).is_none());
        drop(first);
        assert!(crowd.enter(None).is_some());
    }
}

//! How many connections an address has open.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Far more than a trainer's pool of connections.
const EACH: usize = 32;

#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection's; free when it is dropped.
pub(super) struct Seat {
    seats: Seats,
    from: IpAddr,
}

impl Seats {
    pub(super) fn take(&self, from: IpAddr) -> Option<Seat> {
        let mut all = self.lock();
        let taken = all.entry(from).or_default();
        if *taken >= EACH {
            return None;
        }
        *taken += 1;
        Some(Seat {
            seats: self.clone(),
            from,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.seats.lock();
        if let Some(taken) = all.get_mut(&self.from) {
            *taken -= 1;
            if *taken == 0 {
                all.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_seats_and_no_more_and_gives_them_back() {
        let seats = Seats::default();
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let taken: Vec<Seat> = (0..EACH).filter_map(|_| seats.take(one)).collect();
        assert_eq!(taken.len(), EACH);
        assert!(seats.take(one).is_none());
        assert!(seats.take(other).is_some());
        drop(taken);
        assert!(seats.take(one).is_some());
        assert!(seats.lock().is_empty());
    }
}

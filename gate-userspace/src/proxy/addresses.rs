//! The addresses that an upstream's name stands for, as `app` last published them.
//!
//! Never asks a resolver. Whoever publishes has guarded the upstream's port first, where it is on
//! this host, so a connection to an address from here goes round no guard. What an address did
//! lately is remembered: one that failed is tried last for a while.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

/// How long an address that did not answer is tried last.
const AVOIDED: Duration = Duration::from_secs(30);

pub(crate) struct Addresses {
    port: u16,
    current: watch::Sender<Arc<[IpAddr]>>,
    /// Grows with every change; cheaper to look at than the addresses.
    changes: AtomicU32,
    failed: Mutex<Vec<(IpAddr, Instant)>>,
    /// Wakes whoever asks the resolver.
    wanted: Arc<Notify>,
}

impl Addresses {
    pub(crate) fn new(port: u16, addresses: Vec<IpAddr>, wanted: Arc<Notify>) -> Self {
        Self {
            port,
            current: watch::Sender::new(addresses.into()),
            changes: AtomicU32::new(0),
            failed: Mutex::default(),
            wanted,
        }
    }

    pub(crate) fn publish(&self, addresses: &[IpAddr]) {
        if **self.current.borrow() != *addresses {
            self.current.send_replace(addresses.into());
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn changes(&self) -> u32 {
        self.changes.load(Ordering::Acquire)
    }

    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        self.current.borrow().contains(&address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn all(&self) -> Vec<IpAddr> {
        self.current.borrow().to_vec()
    }

    pub(crate) fn are_known(&self) -> bool {
        !self.current.borrow().is_empty()
    }

    /// In the order in which to try them. Waits for the first answer, as long as it is waited for.
    pub(crate) async fn known(&self) -> Vec<SocketAddr> {
        let mut current = self.current.subscribe();
        if current.borrow().is_empty() {
            self.wanted.notify_one();
        }
        let found = current.wait_for(|addresses| !addresses.is_empty()).await;
        // The sender is here, so there is an answer.
        let addresses = found.map_or_else(|_gone| Arc::default(), |found| Arc::clone(&found));
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|(_, since)| since.elapsed() < AVOIDED);
        let mut ordered = by_turns(&addresses);
        ordered.sort_by_key(|address| failed.iter().any(|(of, _)| of == address));
        let at = ordered.into_iter().map(|address| (address, self.port));
        at.map(SocketAddr::from).collect()
    }

    pub(crate) fn failed(&self, address: IpAddr) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|(of, _)| *of != address);
        failed.push((address, Instant::now()));
    }

    /// None of them answers: the name may mean others by now.
    pub(crate) fn are_doubtful(&self) {
        self.wanted.notify_one();
    }
}

/// The families by turns, beginning with the resolver's choice (RFC 8305 section 4).
fn by_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let is_first =
        |address: &&IpAddr| addresses.first().map(IpAddr::is_ipv6) == Some(address.is_ipv6());
    let (one, other): (Vec<&IpAddr>, Vec<&IpAddr>) = addresses.iter().partition(is_first);
    let longest = one.len().max(other.len());
    let pairs = (0..longest).flat_map(|at| [one.get(at), other.get(at)]);
    pairs.flatten().map(|address| **address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_by_turns() {
        let read = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        for (given, wanted) in [
            (
                &["::1", "::2", "1.1.1.1"][..],
                &["::1", "1.1.1.1", "::2"][..],
            ),
            (&["1.1.1.1", "2.2.2.2"], &["1.1.1.1", "2.2.2.2"]),
            (
                &["1.1.1.1", "::1", "::2", "::3"],
                &["1.1.1.1", "::1", "::2", "::3"],
            ),
            (&[], &[]),
        ] {
            assert_eq!(by_turns(&read(given)), read(wanted));
        }
    }

    #[tokio::test]
    async fn what_failed_is_tried_last_and_nothing_twice() {
        let [one, two] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let addresses = Addresses::new(80, vec![one, two], Arc::default());
        addresses.failed(one);
        addresses.failed(one);
        let known = addresses.known().await;
        assert_eq!(
            known,
            [SocketAddr::from((two, 80)), SocketAddr::from((one, 80))]
        );
    }

    #[tokio::test]
    async fn who_needs_an_address_asks_and_waits() {
        let wanted = Arc::new(Notify::new());
        let addresses = Addresses::new(80, Vec::new(), Arc::clone(&wanted));
        let one = IpAddr::from([192, 0, 2, 1]);
        let asked = async {
            wanted.notified().await;
            addresses.publish(&[one]);
        };
        let (known, ()) = tokio::join!(addresses.known(), asked);
        assert_eq!(known, [SocketAddr::from((one, 80))]);
        assert_eq!(addresses.changes(), 1);
        addresses.publish(&[one]);
        assert_eq!(addresses.changes(), 1);
    }
}

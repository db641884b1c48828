//! Rate and concurrency per client.
//!
//! Costs nothing for a client without limits. Rate is a leaky bucket of one second's worth; the
//! place of a call is given back when its [`Slot`] is dropped.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering},
};

use super::admit::Permit;
use crate::{
    clock::Stamp, fault::Denied, grants::ClientGrant, ident::ClientId, settings::Limits as Defaults,
};

/// Fewer clients than this are kept, ended or not.
const PRUNE_AT: usize = 256;

pub(crate) struct Limits {
    requests_per_second: u32,
    concurrency: u32,
    clients: papaya::HashMap<ClientId, Counted>,
    /// How many clients there are when those that ended are looked for.
    prune_at: AtomicUsize,
}

struct Counted {
    /// Dead when the client has ended and no call of it runs.
    client: Weak<ClientGrant>,
    used: Arc<Use>,
}

#[derive(Default)]
struct Use {
    /// Microseconds since 1970 at which the bucket is empty again.
    drained_at: AtomicI64,
    running: AtomicU32,
}

/// A call's place among its client's.
pub(crate) struct Slot(Option<Arc<Use>>);

impl Limits {
    pub(crate) fn new(defaults: &Defaults) -> Self {
        Self {
            requests_per_second: defaults.requests_per_second,
            concurrency: defaults.concurrency,
            clients: papaya::HashMap::new(),
            prune_at: AtomicUsize::new(PRUNE_AT),
        }
    }

    /// A place for the call; none is needed by one that no client makes.
    pub(crate) fn take(&self, permit: &Permit, now: Stamp) -> Result<Option<Slot>, Denied> {
        let Some(grant) = permit.grant() else {
            return Ok(None);
        };
        self.enter(&grant.client, now).map(Some)
    }

    fn enter(&self, grant: &Arc<ClientGrant>, now: Stamp) -> Result<Slot, Denied> {
        let client = grant.peek();
        let either = |own: u32, default: u32| if own == 0 { default } else { own };
        let rps = either(client.rps, self.requests_per_second);
        let concurrency = either(client.concurrency, self.concurrency);
        if rps == 0 && concurrency == 0 {
            return Ok(Slot(None));
        }
        let use_ = self.used(grant);
        if rps > 0 {
            use_.pace(rps, now)?;
        }
        use_.enter(concurrency)?;
        Ok(Slot(Some(use_)))
    }

    fn used(&self, client: &Arc<ClientGrant>) -> Arc<Use> {
        let clients = self.clients.pin();
        if let Some(counted) = clients.get(&client.id) {
            return Arc::clone(&counted.used);
        }
        if clients.len() >= self.prune_at.load(Ordering::Relaxed) {
            clients.retain(|_, counted| counted.client.strong_count() > 0);
            let next = clients.len().saturating_mul(2).max(PRUNE_AT);
            self.prune_at.store(next, Ordering::Relaxed);
        }
        let counted = clients.get_or_insert_with(client.id, || Counted {
            client: Arc::downgrade(client),
            used: Arc::default(),
        });
        Arc::clone(&counted.used)
    }
}

impl Use {
    fn pace(&self, rps: u32, now: Stamp) -> Result<(), Denied> {
        let price = 1_000_000 / i64::from(rps);
        let now = now.0.saturating_mul(1000);
        let mut late = 0;
        let paid = self
            .drained_at
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |at| {
                let next = at.max(now) + price;
                late = next - now - 1_000_000;
                (late <= 0).then_some(next)
            });
        let retry_after = u32::try_from((late + 999_999) / 1_000_000).unwrap_or(1);
        paid.map(|_| ())
            .map_err(|_full| Denied::TooFast { retry_after })
    }

    fn enter(&self, most: u32) -> Result<(), Denied> {
        let entered = self
            .running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
                (most == 0 || running < most).then_some(running + 1)
            });
        entered.map(|_| ()).map_err(|_full| Denied::TooMany)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(use_) = self.0.take() {
            use_.running.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::{Client, Reach},
        grants::Grants,
        settings::Mode,
    };
    use std::num::NonZeroU32;

    /// Acceptance 145.
    #[test]
    fn the_second_call_within_a_second_waits() {
        let use_ = Use::default();
        assert_eq!(use_.pace(1, Stamp(5000)), Ok(()));
        assert_eq!(
            use_.pace(1, Stamp(5001)),
            Err(Denied::TooFast { retry_after: 1 })
        );
        assert_eq!(use_.pace(1, Stamp(6000)), Ok(()));
    }

    #[test]
    fn a_place_is_given_back() {
        let use_ = Arc::new(Use::default());
        use_.enter(1).unwrap();
        assert_eq!(use_.enter(1), Err(Denied::TooMany));
        drop(Slot(Some(Arc::clone(&use_))));
        assert_eq!(use_.enter(1), Ok(()));
    }

    /// Only while a client lives does it matter what it used.
    #[test]
    fn clients_that_ended_are_forgotten() {
        let limits = Limits {
            requests_per_second: 1,
            concurrency: 0,
            clients: papaya::HashMap::new(),
            prune_at: AtomicUsize::new(PRUNE_AT),
        };
        let grants = Grants::new("here".parse().unwrap(), Mode::Enforce);
        let first = client(&grants, 1);
        assert!(limits.enter(&first, Stamp(5000)).is_ok());
        for number in 2..3 * PRUNE_AT {
            let client = client(&grants, u32::try_from(number).unwrap());
            assert!(limits.enter(&client, Stamp(5000)).is_ok());
            grants.drop_client(client.id);
        }
        assert!(limits.clients.len() <= PRUNE_AT);
        let again = limits.enter(&first, Stamp(5001));
        assert_eq!(again.err(), Some(Denied::TooFast { retry_after: 1 }));
    }

    fn client(grants: &Grants, number: u32) -> Arc<ClientGrant> {
        let id = ClientId(NonZeroU32::new(number).unwrap());
        grants.put_client(Client {
            id,
            name: format!("c{number}").parse().unwrap(),
            sources: Vec::new(),
            ports: Vec::new(),
            scope: None,
            upstream: None,
            key: None,
            reach: Reach::Own,
            enabled: true,
            expires: None,
            rps: 0,
            concurrency: 0,
            created: Stamp(0),
            tokens: Vec::new(),
        });
        grants.client(id).unwrap()
    }
}

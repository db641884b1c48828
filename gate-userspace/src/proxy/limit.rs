//! Rate and concurrency per client.
//!
//! Costs nothing for a client without limits. Rate is a leaky bucket of one second's worth; the
//! place of a call is given back when its [`Slot`] is dropped.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU32, Ordering},
};

use super::admit::Permit;
use crate::{
    client::Client, clock::Stamp, fault::Denied, ident::ClientId, settings::Limits as Defaults,
};

pub(crate) struct Limits {
    requests_per_second: u32,
    concurrency: u32,
    clients: papaya::HashMap<ClientId, Arc<Use>>,
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
        }
    }

    /// A place for the call; none is needed by one that no client makes.
    pub(crate) fn take(&self, permit: &Permit, now: Stamp) -> Result<Option<Slot>, Denied> {
        let Some(grant) = permit.grant() else {
            return Ok(None);
        };
        self.enter(&grant.client.peek(), now).map(Some)
    }

    fn enter(&self, client: &Client, now: Stamp) -> Result<Slot, Denied> {
        let either = |own: u32, default: u32| if own == 0 { default } else { own };
        let rps = either(client.rps, self.requests_per_second);
        let concurrency = either(client.concurrency, self.concurrency);
        if rps == 0 && concurrency == 0 {
            return Ok(Slot(None));
        }
        let use_ = Arc::clone(
            self.clients
                .pin()
                .get_or_insert_with(client.id, Arc::default),
        );
        if rps > 0 {
            use_.pace(rps, now)?;
        }
        use_.enter(concurrency)?;
        Ok(Slot(Some(use_)))
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
}

//! One call from its first byte to its end, which is told exactly once, with its cause.
//!
//! Dropped without an end, the caller left: hyper drops the service's future or the body when the
//! connection goes.

use std::{rc::Rc, sync::Arc, time::Instant};

use http::{HeaderValue, Method};

use super::{
    access,
    connection::Caller,
    counters::{By, Count},
    limit::Slot,
    swap::Auth,
    timing::Timing,
};
use crate::{
    fault::{Cut, Type},
    grants::Grant,
    ident::RolloutId,
    settings::ProfileName,
};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The upstream's answer was passed on to its end.
    Complete,
    /// The gate answered itself, as asked.
    Answered,
    Refused,
    UpstreamFailed,
    ClientGone,
    Cut(Cut),
}

/// A call that has not ended.
pub(crate) struct Exchange(Option<Box<Record>>);

/// What the access log tells of a call.
pub(crate) struct Record {
    pub(crate) caller: Rc<Caller>,
    pub(crate) id: HeaderValue,
    pub(crate) began: Instant,
    pub(crate) method: Method,
    /// Of the route, once there is one.
    pub(crate) profile: Option<ProfileName>,
    pub(crate) grant: Option<Arc<Grant>>,
    pub(crate) rollout: Option<RolloutId>,
    pub(crate) slot: Option<Slot>,
    pub(crate) would_refuse: bool,
    pub(crate) delegated: bool,
    pub(crate) auth: Option<Auth>,
    /// The type of the gate's own answer, and what only the log may know.
    pub(crate) refused: Option<(Type, String)>,
    pub(crate) status: u16,
    /// Since when the gate had all that it needs to judge the call.
    pub(crate) ready: Instant,
    /// When the request went on to the upstream.
    pub(crate) sent: Option<Instant>,
    pub(crate) first_byte: Option<Instant>,
    pub(crate) bytes: u64,
}

impl Exchange {
    pub(crate) fn begin(caller: &Rc<Caller>, method: &Method, id: HeaderValue) -> Self {
        caller.begin();
        let now = Instant::now();
        Self(Some(Box::new(Record {
            caller: Rc::clone(caller),
            id,
            began: now,
            method: method.clone(),
            profile: None,
            grant: None,
            rollout: None,
            slot: None,
            would_refuse: false,
            delegated: false,
            auth: None,
            refused: None,
            status: 0,
            ready: now,
            sent: None,
            first_byte: None,
            bytes: 0,
        })))
    }

    /// Notes something about the call while it lasts.
    pub(crate) fn note(&mut self, note: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.0 {
            note(record);
        }
    }

    /// Leaves nothing to end here: it goes on elsewhere.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    pub(crate) fn end(&mut self, end: End) {
        if self.0.is_some() {
            self.end_at(end, Instant::now());
        }
    }

    /// The same for who knows what time it is.
    pub(crate) fn end_at(&mut self, end: End, now: Instant) {
        if let Some(mut record) = self.0.take() {
            record.slot = None;
            let count = match end {
                End::Complete => Some(Count::Complete),
                End::Answered | End::Refused => None,
                End::UpstreamFailed => Some(Count::UpstreamFailed),
                End::ClientGone => Some(Count::ClientGone),
                End::Cut(_) => Some(Count::Ended),
            };
            let row = &record.caller.worker.row;
            if let Some(count) = count {
                row.add(count);
            }
            let total = now.saturating_duration_since(record.began);
            let by = match record.first_byte {
                Some(_) => By::Upstream,
                None => By::Gate,
            };
            row.end(record.profile, by, record.status);
            if by == By::Upstream {
                row.time(Timing::Whole, total);
            }
            record.caller.end();
            access::write(&record, end, total);
        }
    }
}

impl End {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::UpstreamFailed => "upstream_failed",
            Self::ClientGone => "client_gone",
            Self::Cut(why) => why.as_str(),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.end(End::ClientGone);
    }
}

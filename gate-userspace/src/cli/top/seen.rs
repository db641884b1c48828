//! What was seen so far: two looks at the status make a rate, and the last events stay in sight.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use serde_json::Value;

use crate::{admin::wire::Status, cli::events};

/// Events that are remembered; a screen shows fewer.
const KEPT: usize = 100;

#[derive(Default)]
pub(super) struct Seen {
    pub(super) status: Option<Status>,
    at: Option<Instant>,
    /// Dropped packets a second, by reason, between the last two looks.
    pub(super) rates: BTreeMap<String, f64>,
    /// The newest last, as a row each.
    pub(super) events: VecDeque<String>,
}

impl Seen {
    pub(super) fn take(&mut self, status: Status, at: Instant) {
        let since = self.at.replace(at).map(|before| at.duration_since(before));
        let before = self.status.as_ref().map(|status| &status.drops);
        let rate = |reason: &String, count: u64| {
            let before = before.and_then(|drops| drops.get(reason)).copied();
            let more = count.saturating_sub(before.unwrap_or(count));
            let seconds = since.map_or(0.0, |since| since.as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "a rate that people look at")]
            let rate = if seconds > 0.0 {
                more as f64 / seconds
            } else {
                0.0
            };
            rate
        };
        self.rates = status
            .drops
            .iter()
            .map(|(reason, count)| (reason.clone(), rate(reason, *count)))
            .collect();
        self.status = Some(status);
    }

    pub(super) fn note(&mut self, event: &Value) {
        if self.events.len() >= KEPT {
            self.events.pop_front();
        }
        self.events.push_back(events::row(event));
    }
}

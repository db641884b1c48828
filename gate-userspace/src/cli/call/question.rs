//! What is asked of the admin API: method, path, body, and how long the answer may take.

use std::time::Duration;

use http::Method;
use serde::Serialize;

/// What is asked.
#[derive(Debug)]
pub(in crate::cli) struct Question {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Vec<u8>>,
    pub(super) idempotency_key: Option<String>,
    /// How much longer than usual the answer may take.
    pub(super) patience: Duration,
}

impl Question {
    pub(in crate::cli) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(in crate::cli) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(in crate::cli) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(in crate::cli) fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub(in crate::cli) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    #[must_use]
    pub(in crate::cli) fn json<T: Serialize>(mut self, body: &T) -> Self {
        self.body = Some(serde_json::to_vec(body).expect("wire types have string keys only"));
        self
    }

    /// The same answer to the same key.
    #[must_use]
    pub(in crate::cli) fn once(mut self, key: Option<String>) -> Self {
        self.idempotency_key = key;
        self
    }

    /// Asks the gate to wait for the fleet, and waits that much longer for the gate.
    #[must_use]
    pub(in crate::cli) fn wait(mut self, wait: Option<Duration>) -> Self {
        if let Some(wait) = wait {
            let seconds = whole_seconds(wait);
            self.path = format!("{}?wait_seconds={seconds}", self.path);
            self.patience = wait;
        }
        self
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: None,
            idempotency_key: None,
            patience: Duration::ZERO,
        }
    }
}

/// Seconds, never fewer than asked for.
pub(in crate::cli) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_second_is_never_lost() {
        for (millis, want) in [(0, 0), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), want);
        }
    }
}

//! The log: structured, on stderr, one line an event.
//!
//! Levels say who must act. ERROR: the gate cannot do its job. WARN: look today. INFO: lifecycle.
//! DEBUG: per request. TRACE: per frame. One line a request comes from [`access`], in the same format.

use std::{error::Error, fmt, io};

use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    config::{Log, LogFormat},
    proxy::access::{Form, Journal},
};

/// Starts the log of this process. Later calls change nothing.
pub fn start(log: Log) {
    // Foreign crates speak of their own connections and frames: only at their warnings do we listen.
    let targets = Targets::new()
        .with_default(log.level.min(Level::WARN))
        .with_target("gate_userspace", log.level);
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let started = match log.format {
        LogFormat::Text => registry.with(lines.with_target(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

/// Starts what writes a line per call, if that is wanted.
///
/// # Errors
/// When its thread cannot be started.
pub fn access(log: Log) -> io::Result<Option<Journal>> {
    let form = match log.format {
        LogFormat::Text => Form::Text,
        LogFormat::Json => Form::Json,
    };
    let journal = log.access.then(|| Journal::start(form, io::stderr()));
    journal.transpose()
}

/// An error and all its causes on one line.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

//! One line per call on the log, target `access`.
//!
//! Names and numbers only: no path (it may hold what a caller typed), no header, no body.

use std::time::Instant;

use tracing::info;

use super::{
    end::{End, Record},
    request_id::loggable,
    swap::Auth,
};

pub(super) fn write(record: &Record, end: End) {
    if !tracing::enabled!(target: "access", tracing::Level::INFO) {
        return;
    }
    let grant = record.grant.as_ref();
    let client = grant.map(|grant| grant.client.peek());
    let (kind, reason) = record
        .refused
        .as_ref()
        .map_or(("", ""), |(kind, reason)| (kind.as_str(), reason.as_str()));
    let decision = match (&record.refused, record.would_refuse) {
        (Some(_), _) => "refused",
        (None, true) => "would_refuse",
        (None, false) => "passed",
    };
    info!(
        target: "access",
        id = loggable(&record.id),
        client = client.as_ref().map(|client| client.name.as_str()),
        rollout = record.rollout.as_ref().map(crate::ident::RolloutId::as_str),
        token = grant.map(|grant| tracing::field::display(grant.token)),
        source = %record.caller.peer,
        profile = record.profile,
        method = record.method.as_str(),
        decision,
        auth_mode = record.auth.map(Auth::as_str),
        auth_delegated = record.delegated,
        r#type = kind,
        reason,
        status = record.status,
        bytes = record.bytes,
        first_byte_ms = record.first_byte.map(|at| millis(record.began, at)),
        total_ms = millis(record.began, Instant::now()),
        end = end.as_str(),
        revision = record.caller.worker.proxy.grants.revision().0,
        "request"
    );
}

fn millis(from: Instant, to: Instant) -> f64 {
    let micros = to.saturating_duration_since(from).as_micros();
    // Micros of a call fit 32 bits for an hour; longer ones only lose digits that nobody reads.
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1000.0
}

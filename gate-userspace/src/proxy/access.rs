//! One line per call: names and numbers only, no path (it may hold what a caller typed), no header,
//! no body.
//!
//! A line is formatted by the worker whose call it was and written by [`journal`], so that a slow
//! reader of the log holds up no call.

mod journal;
mod line;

use std::time::Duration;

pub use self::journal::{Form, Journal, Lines};
use self::line::Line;
use super::{
    end::{End, Record},
    request_id::loggable,
    swap::Auth,
};
use crate::{ident::RolloutId, settings::ProfileName};

pub(super) fn write(record: &Record, end: End, total: Duration) {
    let worker = &record.caller.worker;
    let proxy = &worker.proxy;
    let Some(lines) = &proxy.access else {
        return;
    };
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
    let mut text = worker.line.borrow_mut();
    let mut line = Line::begin(&mut text, lines.form(), proxy.clock.now());
    line.text("id", loggable(&record.id));
    line.text("client", client.as_ref().map(|client| client.name.as_str()));
    line.text("rollout", record.rollout.as_ref().map(RolloutId::as_str));
    line.shown("token", grant.map(|grant| grant.token));
    line.shown("source", Some(record.caller.peer));
    let profile = record.profile.map_or("", ProfileName::as_str);
    line.text("profile", Some(profile));
    line.text("method", Some(record.method.as_str()));
    line.text("decision", Some(decision));
    line.text("auth_mode", record.auth.map(Auth::as_str));
    line.truth("auth_delegated", record.delegated);
    line.text("type", Some(kind));
    line.text("reason", Some(reason));
    line.number("status", record.status.into());
    line.number("bytes", record.bytes);
    if let Some(first) = record.first_byte {
        line.millis(
            "first_byte_ms",
            first.saturating_duration_since(record.began),
        );
    }
    line.millis("total_ms", total);
    line.text("end", Some(end.as_str()));
    line.number("revision", proxy.grants.revision().0);
    line.end();
    lines.push(&text);
}

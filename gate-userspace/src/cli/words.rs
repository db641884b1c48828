//! How values that several commands show read in a table.
//!
//! Only wording: what is shown is decided by the command.

use serde_json::Value;

use super::{
    ended,
    exit::Exit,
    print::{Answer, Block, Tone},
};
use crate::admin::wire;

pub(super) fn all<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// `10.0.0.5/32@veth7, 192.0.2.0/24 (anywhere), 10.0.0.9/32 (on b)`; empty = not bound.
pub(super) fn sources(sources: &wire::Sources) -> String {
    let here = sources.sources.iter().cloned();
    let anywhere = sources
        .sources_anywhere
        .iter()
        .map(|source| format!("{source} (anywhere)"));
    let elsewhere = sources.sources_elsewhere.iter().flat_map(|(host, its)| {
        its.iter()
            .map(move |source| format!("{source} (on {host})"))
    });
    here.chain(anywhere)
        .chain(elsewhere)
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn moment(moment: Option<wire::Moment>) -> String {
    moment.map_or_else(|| "never".to_owned(), |moment| moment.to_string())
}

/// The last use of any of these tokens.
pub(super) fn last_used(tokens: &[wire::TokenView]) -> String {
    let last = tokens.iter().filter_map(|token| token.last_used_at).max();
    moment(last)
}

pub(super) fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

pub(super) fn limits(rps: u32, concurrency: u32) -> String {
    match (rps, concurrency) {
        (0, 0) => String::new(),
        (rps, 0) => format!("{rps} requests a second"),
        (0, concurrency) => format!("{concurrency} calls at once"),
        (rps, concurrency) => format!("{rps} requests a second, {concurrency} calls at once"),
    }
}

pub(super) fn tokens(tokens: &[wire::TokenView]) -> Block {
    let row = |token: &wire::TokenView| {
        vec![
            token.token_id.to_string(),
            token.kind.clone(),
            yes_no(token.has_upstream_key).to_owned(),
            token.created_at.to_string(),
            moment(token.expires_at),
            moment(token.last_used_at),
        ]
    };
    Block::Rows {
        head: vec![
            "TOKEN ID",
            "KIND",
            "OWN KEY",
            "CREATED",
            "EXPIRES",
            "LAST USED",
        ],
        rows: tokens.iter().map(row).collect(),
    }
}

pub(super) fn renewed(json: Value) -> Answer {
    Answer::of(json, |renewed: wire::Renewed| {
        vec![Block::pairs([
            ("expires", moment(renewed.expires_at)),
            ("revision", renewed.revision.to_string()),
        ])]
    })
}

pub(super) fn rotated(json: Value) -> Answer {
    let mut exit = Exit::Ok;
    let answer = Answer::of(json, |rotated: wire::Rotated| {
        exit = ended::exit(&rotated.warnings);
        let mut pairs = Vec::new();
        if let Some(token) = &rotated.token {
            pairs.push(("token".to_owned(), token.reveal().to_owned()));
        }
        for (kind, token) in &rotated.tokens {
            pairs.push((format!("{kind} token"), token.reveal().to_owned()));
        }
        pairs.push(("old ones end".to_owned(), rotated.old_until.to_string()));
        pairs.push(("streams cut".to_owned(), rotated.streams_cut.to_string()));
        pairs.push(("revision".to_owned(), rotated.revision.to_string()));
        let mut view = vec![Block::Pairs(pairs)];
        view.extend(ended::warned(&rotated.warnings));
        view
    });
    answer.exit(exit)
}

/// A change that has nothing to show but that it was made.
pub(super) fn changed(json: Value, done: &str) -> Answer {
    Answer::of(json, |changed: wire::Changed| {
        vec![Block::line(
            Tone::Good,
            format!("{done}, revision {}", changed.revision),
        )]
    })
}

/// `: reason`, or nothing without one.
pub(super) fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

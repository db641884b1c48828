//! From a question's texts to what `control` takes: sources, scopes, leases, kinds.

use std::{collections::BTreeMap, time::Duration};

use zeroize::Zeroizing;

use super::{
    refusal::Refusal,
    wire::{ClientAdd, RolloutOpen, Secret, SourcesPatch, TokenKind, TokenWish},
};
use crate::{
    client::Reach,
    control::{Adopted, NewClient, NewRollout, SourceEdit, WantedToken},
    ident::HostName,
    scope::Scope,
    secret::UpstreamKey,
    source::Source,
};

/// A lease of a century is a mistyped unit.
const LONGEST: u64 = 10 * 366 * 24 * 3600;

pub(super) fn client(add: ClientAdd, here: &HostName) -> Result<NewClient, Refusal> {
    let reach = match (add.covers_rollouts, add.service) {
        (true, true) => {
            let text = "covers_rollouts and service exclude each other";
            return Err(Refusal::invalid(text));
        }
        (true, false) => Reach::CoversRollouts,
        (false, true) => Reach::Service,
        (false, false) => Reach::Own,
    };
    let host = add.host.as_ref().unwrap_or(here);
    Ok(NewClient {
        name: add.client,
        sources: sources(&add.sources, &add.sources_anywhere, host)?,
        ports: add.ports,
        scope: scope(&add.scope)?,
        upstream: add.upstream,
        key: add.upstream_key.as_ref().map(key).transpose()?,
        reach,
        ttl: add.ttl_seconds.map(ttl).transpose()?,
        rps: add.rps,
        concurrency: add.concurrency,
        token: add.token.as_ref().map(adopted),
    })
}

pub(super) fn rollout(open: RolloutOpen, here: &HostName) -> Result<NewRollout, Refusal> {
    let host = open.host.as_ref().unwrap_or(here);
    Ok(NewRollout {
        id: open.rollout,
        client: open.client,
        sources: sources(&open.sources, &open.sources_anywhere, host)?,
        scope: scope(&open.scope)?,
        upstream: open.upstream,
        key: open.upstream_key.as_ref().map(key).transpose()?,
        ttl: open.ttl_seconds.map(ttl).transpose()?,
        tokens: tokens(open.tokens)?,
    })
}

pub(super) fn edit(patch: &SourcesPatch, here: &HostName) -> Result<SourceEdit, Refusal> {
    let host = patch.host.as_ref().unwrap_or(here);
    let edit = SourceEdit {
        add: sources(&patch.add_sources, &patch.add_sources_anywhere, host)?,
        remove: sources(&patch.remove_sources, &patch.remove_sources_anywhere, host)?,
    };
    if edit.add.is_empty() && edit.remove.is_empty() {
        return Err(Refusal::invalid("there is no source to add or remove"));
    }
    Ok(edit)
}

pub(super) fn ttl(seconds: u64) -> Result<Duration, Refusal> {
    match seconds {
        0 => Err(Refusal::invalid("ttl_seconds must be more than 0")),
        1..=LONGEST => Ok(Duration::from_secs(seconds)),
        _ => Err(Refusal::invalid(format!(
            "ttl_seconds must be at most {LONGEST}"
        ))),
    }
}

pub(super) fn key(text: &Secret) -> Result<UpstreamKey, Refusal> {
    UpstreamKey::new(text.reveal()).ok_or_else(|| Refusal::invalid("the upstream key is empty"))
}

pub(super) fn adopted(text: &Secret) -> Adopted {
    Adopted(Zeroizing::new(text.reveal().to_owned()))
}

fn tokens(wishes: BTreeMap<TokenKind, TokenWish>) -> Result<Vec<WantedToken>, Refusal> {
    let wanted = wishes.into_iter().map(|(kind, wish)| {
        Ok(WantedToken {
            kind: kind.into(),
            token: wish.token.as_ref().map(adopted),
            key: wish.upstream_key.as_ref().map(key).transpose()?,
        })
    });
    wanted.collect()
}

fn sources(here: &[String], anywhere: &[String], host: &HostName) -> Result<Vec<Source>, Refusal> {
    let here = here.iter().map(|text| Source::on(host, text));
    let anywhere = anywhere.iter().map(|text| Source::anywhere(text));
    here.chain(anywhere)
        .map(|source| source.map_err(|why| Refusal::invalid(why.to_string())))
        .collect()
}

fn scope(rules: &[String]) -> Result<Option<Scope>, Refusal> {
    let rules = rules.iter().map(|rule| rule.parse());
    let rules = rules.collect::<Result<Vec<_>, crate::scope::BadRule>>();
    let rules = rules.map_err(|why| Refusal::invalid(why.to_string()))?;
    Ok(Scope::new(rules))
}

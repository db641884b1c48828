//! From records and outcomes to the answers of the API.

use std::collections::BTreeMap;

use super::{
    Api,
    door::Doors,
    wire::{
        ClientView, Ended, HostState, ModeView, Moment, RolloutOpened, RolloutView, Secret,
        Sources, TokenKind, TokenView, variables,
    },
};
use crate::{
    client::{Client, Credential, Kind, Reach},
    control::{Done, Minted, Opening},
    grants::{Grants, RolloutGrant},
    ident::HostName,
    scope::Scope,
    settings::Mode,
    source::Source,
};

impl Api {
    pub(super) fn client_view(&self, client: &Client) -> ClientView {
        ClientView {
            client: client.name.clone(),
            client_id: client.id.0.get(),
            enabled: client.enabled,
            sources: sources(&client.sources, self.control.grants().host()),
            ports: client.ports.clone(),
            scope: rules(client.scope.as_ref()),
            upstream: client.upstream.clone(),
            has_upstream_key: client.key.is_some(),
            covers_rollouts: client.reach == Reach::CoversRollouts,
            service: client.reach == Reach::Service,
            rps: client.rps,
            concurrency: client.concurrency,
            rollouts: self.control.grants().count_rollouts_of(client.id),
            tokens: tokens(&client.tokens, self.control.grants()),
            created_at: client.created.into(),
            expires_at: client.expires.map(Moment),
        }
    }

    pub(super) fn rollout_view(&self, grant: &RolloutGrant, doors: &Doors<'_>) -> RolloutView {
        let (rollout, client) = (grant.record(), grant.client.record());
        let host = self.control.grants().host();
        let facing = if rollout.sources.is_empty() {
            &client.sources
        } else {
            &rollout.sources
        };
        RolloutView {
            rollout: grant.id.clone(),
            client: client.name.clone(),
            phase: rollout.phase.as_str().to_owned(),
            sources: sources(&rollout.sources, host),
            scope: rules(rollout.scope.as_ref()),
            upstream: rollout.upstream.clone(),
            has_upstream_key: rollout.key.is_some(),
            tokens: tokens(&rollout.tokens, self.control.grants()),
            created_at: rollout.created.into(),
            expires_at: rollout.expires.map(Moment),
            door: doors.door(&grant.id, facing, host),
        }
    }

    /// The only time that a rollout's token is shown.
    pub(super) fn opened(&self, opening: Opening, doors: &Doors<'_>) -> RolloutOpened {
        let Opening {
            rollout,
            client,
            tokens,
            revision,
        } = opening;
        let host = self.control.grants().host();
        let client_sources = match self.control.client_named(&client) {
            Ok(client) => client.sources.clone(),
            Err(_ended_meanwhile) => Vec::new(),
        };
        let facing = if rollout.sources.is_empty() {
            &client_sources
        } else {
            &rollout.sources
        };
        let door = doors.door(&rollout.id, facing, host);
        let (token, token_id, several) = shown(tokens);
        let of_model = token.as_ref().or_else(|| several.get(&TokenKind::Model));
        RolloutOpened {
            env: variables(door.base_url.as_deref(), &door.path, of_model),
            sources: sources(&rollout.sources, host),
            expires_at: rollout.expires.map(Moment),
            rollout: rollout.id,
            client,
            token,
            token_id,
            tokens: several,
            revision,
            door,
        }
    }
}

type Shown = (
    Option<Secret>,
    Option<crate::ident::TokenId>,
    BTreeMap<TokenKind, Secret>,
);

/// One token of the plain kind stands alone; several, or special ones, by their kind.
pub(super) fn shown(tokens: Vec<Minted>) -> Shown {
    let plain = |kind| matches!(kind, Kind::Rollout | Kind::Client);
    if let [one] = &tokens[..]
        && plain(one.kind)
    {
        return (
            Some(Secret::from(one.text.clone())),
            Some(one.id),
            BTreeMap::new(),
        );
    }
    let several = tokens.into_iter().map(|token| {
        let kind = match token.kind {
            Kind::Client | Kind::Rollout => TokenKind::Rollout,
            Kind::Model => TokenKind::Model,
            Kind::State => TokenKind::State,
        };
        (kind, Secret::from(token.text))
    });
    (None, None, several.collect())
}

pub(super) fn ended(done: Done) -> Ended {
    let hosts = done.hosts.into_iter().map(|host| HostState {
        host: host.host,
        revision: host.revision,
        state: host.state.as_str().to_owned(),
    });
    Ended {
        revision: done.revision,
        rollouts_closed: done.rollouts,
        tokens_ended: done.tokens,
        entries_removed: done.entries_removed,
        connections_closed: done.connections,
        streams_cut: done.streams,
        elapsed_us: done.elapsed_us,
        hosts: hosts.collect(),
        warnings: done.warnings,
    }
}

pub(super) fn sources(sources: &[Source], here: &HostName) -> Sources {
    let mut shown = Sources::default();
    for source in sources {
        let text = source.to_string();
        match source {
            Source::Loopback => shown.sources.push(text),
            Source::Anywhere(_) => shown.sources_anywhere.push(text),
            Source::On { host, .. } if host == here => shown.sources.push(text),
            Source::On { host, .. } => {
                let there = shown.sources_elsewhere.entry(host.clone());
                there.or_default().push(text);
            }
        }
    }
    shown
}

pub(super) fn mode(mode: Mode) -> ModeView {
    match mode {
        Mode::Enforce => ModeView::Enforce,
        Mode::Audit => ModeView::Audit,
        Mode::Closed => ModeView::Closed,
    }
}

fn tokens(tokens: &[Credential], grants: &Grants) -> Vec<TokenView> {
    let last_use = |id| grants.find_id(id).and_then(|grant| grant.last_use());
    let views = tokens.iter().map(|token| TokenView {
        token_id: token.id,
        kind: token.kind.as_str().to_owned(),
        has_upstream_key: token.key.is_some(),
        created_at: token.created.into(),
        expires_at: token.expires.map(Moment),
        last_used_at: last_use(token.id).map(Moment),
    });
    views.collect()
}

fn rules(scope: Option<&Scope>) -> Vec<String> {
    let rules = scope.map_or(&[][..], Scope::rules);
    rules.iter().map(ToString::to_string).collect()
}

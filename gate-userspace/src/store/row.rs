//! Rows of the tables, and how they become records.
//!
//! Both stores read and write these plain columns. Lists are words apart by one space: no source,
//! port or scope rule has a space in it. A row that does not parse is an error, never a default:
//! a source that got lost would turn a bound token into an unbound one.

use std::{fmt::Display, num::NonZeroU32, str::FromStr};

use super::change::Entity;
use crate::{
    client::{Client, Credential, Kind, Reach},
    clock::Stamp,
    ident::{ClientId, RolloutSerial, TokenId},
    operator::Operator,
    rollout::{Phase, Rollout},
    scope::Scope,
    secret::{Digest, KeyId, Sealed},
    source::Source,
};

/// A row that is not what this gate writes.
#[derive(Debug, thiserror::Error)]
#[error("row {id} of table `{table}` has a bad `{column}`")]
pub struct BadRow {
    pub(super) table: &'static str,
    pub(super) id: i64,
    pub(super) column: &'static str,
}

#[derive(Debug)]
pub(super) struct ClientRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) enabled: i64,
    pub(super) reach: String,
    pub(super) sources: String,
    pub(super) ports: String,
    pub(super) scope: String,
    pub(super) upstream: Option<String>,
    pub(super) key: Option<String>,
    pub(super) rps: i64,
    pub(super) concurrency: i64,
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
}

#[derive(Debug)]
pub(super) struct RolloutRow {
    pub(super) serial: i64,
    pub(super) id: String,
    pub(super) client: i64,
    pub(super) sources: String,
    pub(super) scope: String,
    pub(super) upstream: Option<String>,
    pub(super) key: Option<String>,
    pub(super) phase: String,
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
}

#[derive(Debug)]
pub(super) struct TokenRow {
    pub(super) id: i64,
    pub(super) digest: Vec<u8>,
    pub(super) kind: String,
    pub(super) client: i64,
    pub(super) rollout: Option<i64>,
    pub(super) key: Option<String>,
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    pub(super) adopted: i64,
}

impl ClientRow {
    pub(super) fn of(client: &Client) -> Self {
        Self {
            id: client.id.0.get().into(),
            name: client.name.to_string(),
            enabled: client.enabled.into(),
            reach: reach_word(client.reach).to_owned(),
            sources: source_words(&client.sources),
            ports: words(&client.ports),
            scope: scope_words(client.scope.as_ref()),
            upstream: client.upstream.as_ref().map(ToString::to_string),
            key: key_text(client.key.as_ref()),
            rps: client.rps.into(),
            concurrency: client.concurrency.into(),
            created: client.created.0,
            expires: client.expires.map(|at| at.0),
        }
    }

    pub(super) fn read(self, tokens: Vec<Credential>) -> Result<Client, BadRow> {
        let row = self.id;
        let bad = |column| BadRow {
            table: "clients",
            id: row,
            column,
        };
        Ok(Client {
            id: client_id(self.id).ok_or_else(|| bad("id"))?,
            name: self.name.parse().map_err(|_why| bad("name"))?,
            sources: read_sources(&self.sources).ok_or_else(|| bad("sources"))?,
            ports: read_words(&self.ports).ok_or_else(|| bad("ports"))?,
            scope: read_scope(&self.scope).map_err(|()| bad("scope"))?,
            upstream: read_optional(self.upstream).map_err(|_why| bad("upstream"))?,
            key: self.key.map(Sealed::from_row),
            reach: read_reach(&self.reach).ok_or_else(|| bad("reach"))?,
            enabled: read_bool(self.enabled).ok_or_else(|| bad("enabled"))?,
            expires: self.expires.map(Stamp),
            rps: self.rps.try_into().map_err(|_why| bad("rps"))?,
            concurrency: self
                .concurrency
                .try_into()
                .map_err(|_why| bad("concurrency"))?,
            created: Stamp(self.created),
            tokens,
        })
    }
}

impl RolloutRow {
    pub(super) fn of(rollout: &Rollout) -> Self {
        Self {
            serial: rollout.serial.0.cast_signed(),
            id: rollout.id.to_string(),
            client: rollout.client.0.get().into(),
            sources: source_words(&rollout.sources),
            scope: scope_words(rollout.scope.as_ref()),
            upstream: rollout.upstream.as_ref().map(ToString::to_string),
            key: key_text(rollout.key.as_ref()),
            phase: rollout.phase.as_str().to_owned(),
            created: rollout.created.0,
            expires: rollout.expires.map(|at| at.0),
        }
    }

    pub(super) fn read(self, tokens: Vec<Credential>) -> Result<Rollout, BadRow> {
        let row = self.serial;
        let bad = |column| BadRow {
            table: "rollouts",
            id: row,
            column,
        };
        Ok(Rollout {
            serial: RolloutSerial(self.serial.cast_unsigned()),
            id: self.id.parse().map_err(|_why| bad("id"))?,
            client: client_id(self.client).ok_or_else(|| bad("client"))?,
            sources: read_sources(&self.sources).ok_or_else(|| bad("sources"))?,
            scope: read_scope(&self.scope).map_err(|()| bad("scope"))?,
            upstream: read_optional(self.upstream).map_err(|_why| bad("upstream"))?,
            key: self.key.map(Sealed::from_row),
            phase: Phase::parse(&self.phase).ok_or_else(|| bad("phase"))?,
            expires: self.expires.map(Stamp),
            created: Stamp(self.created),
            tokens,
        })
    }
}

impl TokenRow {
    pub(super) fn of(token: &Credential, client: ClientId, rollout: Option<RolloutSerial>) -> Self {
        Self {
            id: token.id.0.cast_signed(),
            digest: token.digest.as_bytes().to_vec(),
            kind: token.kind.as_str().to_owned(),
            client: client.0.get().into(),
            rollout: rollout.map(|serial| serial.0.cast_signed()),
            key: key_text(token.key.as_ref()),
            created: token.created.0,
            expires: token.expires.map(|at| at.0),
            adopted: token.adopted.into(),
        }
    }

    pub(super) fn read(self) -> Result<Credential, BadRow> {
        let row = self.id;
        let bad = |column| BadRow {
            table: "tokens",
            id: row,
            column,
        };
        let digest = self.digest.try_into().map_err(|_why| bad("digest"))?;
        Ok(Credential {
            id: TokenId(self.id.cast_unsigned()),
            digest: Digest::from_bytes(digest),
            kind: read_kind(&self.kind).ok_or_else(|| bad("kind"))?,
            expires: self.expires.map(Stamp),
            key: self.key.map(Sealed::from_row),
            created: Stamp(self.created),
            adopted: read_bool(self.adopted).ok_or_else(|| bad("adopted"))?,
        })
    }
}

impl Entity {
    pub(super) fn columns(self) -> (&'static str, i64) {
        match self {
            Self::Client(id) => ("client", id.0.get().into()),
            Self::Rollout(serial) => ("rollout", serial.0.cast_signed()),
            Self::Gate => ("gate", 0),
        }
    }

    pub(super) fn read(entity: &str, id: i64) -> Result<Self, BadRow> {
        let bad = |column| BadRow {
            table: "changes",
            id,
            column,
        };
        match entity {
            "client" => Ok(Self::Client(client_id(id).ok_or_else(|| bad("entity_id"))?)),
            "rollout" => Ok(Self::Rollout(RolloutSerial(id.cast_unsigned()))),
            "gate" => Ok(Self::Gate),
            _ => Err(bad("entity")),
        }
    }
}

pub(super) fn client_id(id: i64) -> Option<ClientId> {
    NonZeroU32::new(u32::try_from(id).ok()?).map(ClientId)
}

fn key_text(key: Option<&Sealed>) -> Option<String> {
    key.map(|key| key.as_row().to_owned())
}

pub(super) fn words<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(" ")
}

pub(super) fn read_words<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.split_ascii_whitespace()
        .map(|word| word.parse().ok())
        .collect()
}

fn scope_words(scope: Option<&Scope>) -> String {
    scope.map_or_else(String::new, |scope| words(scope.rules()))
}

fn read_scope(text: &str) -> Result<Option<Scope>, ()> {
    read_words(text).map(Scope::new).ok_or(())
}

fn read_optional<T: FromStr>(text: Option<String>) -> Result<Option<T>, T::Err> {
    text.map(|text| text.parse()).transpose()
}

/// `lo`, `HOST|PLACE`, or `*|PLACE` for anywhere: a host name holds neither of the signs.
fn source_words(sources: &[Source]) -> String {
    let items: Vec<String> = sources
        .iter()
        .map(|source| match source {
            Source::Loopback => "lo".to_owned(),
            Source::On { host, place } => format!("{host}|{place}"),
            Source::Anywhere(place) => format!("*|{place}"),
        })
        .collect();
    items.join(" ")
}

fn read_sources(text: &str) -> Option<Vec<Source>> {
    let read = |word: &str| match word.split_once('|') {
        None => (word == "lo").then_some(Source::Loopback),
        Some(("*", place)) => Some(Source::Anywhere(place.parse().ok()?)),
        Some((host, place)) => Some(Source::On {
            host: host.parse().ok()?,
            place: place.parse().ok()?,
        }),
    };
    text.split_ascii_whitespace().map(read).collect()
}

fn reach_word(reach: Reach) -> &'static str {
    match reach {
        Reach::Own => "own",
        Reach::CoversRollouts => "covers-rollouts",
        Reach::Service => "service",
    }
}

fn read_reach(text: &str) -> Option<Reach> {
    [Reach::Own, Reach::CoversRollouts, Reach::Service]
        .into_iter()
        .find(|reach| reach_word(*reach) == text)
}

#[derive(Debug)]
pub(super) struct OperatorRow {
    pub(super) name: String,
    pub(super) token: i64,
    pub(super) digest: Vec<u8>,
    pub(super) role: String,
    pub(super) created: i64,
}

impl OperatorRow {
    pub(super) fn read(self) -> Result<Operator, BadRow> {
        let bad = |column| BadRow {
            table: "operators",
            id: self.token,
            column,
        };
        let digest: [u8; 32] = self.digest.try_into().map_err(|_length| bad("digest"))?;
        Ok(Operator {
            name: self.name.parse().map_err(|_why| bad("name"))?,
            token: TokenId(self.token.cast_unsigned()),
            digest: Digest::from_bytes(digest),
            role: self.role.parse().map_err(|_why| bad("role"))?,
            created: Stamp(self.created),
        })
    }
}

pub(super) fn read_master(id: Option<String>) -> Result<Option<KeyId>, BadRow> {
    read_optional(id).map_err(|_why| BadRow {
        table: "state",
        id: 1,
        column: "master",
    })
}

fn read_kind(text: &str) -> Option<Kind> {
    [Kind::Client, Kind::Rollout, Kind::Model, Kind::State]
        .into_iter()
        .find(|kind| kind.as_str() == text)
}

fn read_bool(number: i64) -> Option<bool> {
    match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_back_as_they_went() {
        let host = "h-1.example".parse().unwrap();
        let sources = vec![
            Source::Loopback,
            Source::on(&host, "10.0.0.5/32@veth|7").unwrap(),
            Source::anywhere("fd00::/64").unwrap(),
        ];
        assert_eq!(read_sources(&source_words(&sources)).unwrap(), sources);
    }

    /// A bound token must never become an unbound one.
    #[test]
    fn a_source_that_does_not_parse_is_an_error() {
        for text in ["10.0.0.5", "h|10.0.0.5/8", "|10.0.0.5", "h|", "lo x"] {
            assert!(read_sources(text).is_none(), "{text}");
        }
    }
}

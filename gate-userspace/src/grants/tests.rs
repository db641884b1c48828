//! What a change of the table means, case by case.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::*;
use crate::{
    client::{Client, Credential, Kind, Reach},
    rollout::{Phase, Rollout},
    source::{Peer, Source},
};

#[test]
fn a_revoked_client_takes_its_rollouts_along() {
    let grants = grants();
    grants.put_client(client(1, "10.0.0.5"));
    grants.put_rollout(rollout(7, "a", 1));
    let effects = grants.drop_client(id(1));
    assert_eq!(effects.dead.len(), 2);
    assert!(matches!(effects.deltas[..], [Delta::Shut(_)]));
    assert!(grants.find(&Digest::of(b"rollout 7")).is_none());
    assert!(!grants.lists("10.0.0.5".parse().unwrap()));
    assert_eq!(grants.counts(), (0, 0));
}

/// The entry is first booked on who is left, and then nobody is left.
#[test]
fn an_entry_that_goes_is_not_written_again() {
    let grants = grants();
    grants.put_client(client(1, "10.0.0.5"));
    for serial in [7, 8, 9] {
        let mut short = rollout(serial, &format!("r{serial}"), 1);
        short.expires = Some(Stamp(100));
        grants.put_rollout(short);
    }
    let disabled = Client {
        enabled: false,
        ..client(1, "10.0.0.5")
    };
    let effects = grants.put_client(disabled);
    assert!(
        matches!(effects.deltas[..], [Delta::Shut(_)]),
        "{effects:?}"
    );
}

/// A grant that a request already holds learns of the revocation.
#[test]
fn a_held_grant_dies_with_its_token() {
    let grants = grants();
    grants.put_client(client(1, "10.0.0.5"));
    let held = grants.find(&Digest::of(b"client 1")).unwrap();
    assert_eq!(held.live(Stamp(0)), Ok(()));
    grants.drop_client(id(1));
    assert_eq!(held.live(Stamp(0)), Err(Dead::Revoked));
}

#[test]
fn a_closed_id_may_be_opened_again_and_the_old_closing_does_not_hurt_it() {
    let grants = grants();
    grants.put_client(client(1, "10.0.0.5"));
    grants.put_rollout(rollout(7, "a", 1));
    grants.drop_rollout(RolloutSerial(7));
    grants.put_rollout(rollout(8, "a", 1));
    grants.drop_rollout(RolloutSerial(7));
    assert_eq!(
        grants.rollout(&"a".parse().unwrap()).unwrap().serial,
        RolloutSerial(8)
    );
}

#[test]
fn sources_without_an_interface_are_spoofable() {
    let grants = grants();
    grants.put_client(client(1, "10.0.0.5"));
    let mut bound = rollout(7, "a", 1);
    bound.sources = vec![source("10.0.0.6@veth6"), Source::Loopback];
    grants.put_rollout(bound);
    let mut many = rollout(8, "b", 1);
    many.sources = vec![source("10.0.0.7"), source("10.0.1.0/24")];
    grants.put_rollout(many);
    let shown = |bound| {
        let (named, count) = grants.spoofable(2, &bound);
        (named.iter().map(ToString::to_string).collect(), count)
    };
    let both: Vec<String> = vec!["10.0.0.5/32".to_owned(), "10.0.0.7/32".to_owned()];
    assert_eq!(shown(BTreeMap::new()), (both, 3));
    let by_itself = BTreeMap::from([("10.0.0.5/32".parse().unwrap(), "veth5".to_owned())]);
    let rest = vec!["10.0.0.7/32".to_owned(), "10.0.1.0/24".to_owned()];
    assert_eq!(shown(by_itself), (rest, 2));
}

#[test]
fn own_sources_replace_the_clients() {
    let grants = grants();
    grants.put_client(client(1, "10.0.0.5"));
    let mut own = rollout(7, "a", 1);
    own.sources = vec![source("10.0.0.6")];
    grants.put_rollout(own);
    let grant = grants.find(&Digest::of(b"rollout 7")).unwrap();
    assert!(grant.admits(peer("10.0.0.6"), grants.host()));
    assert!(!grant.admits(peer("10.0.0.5"), grants.host()));
    assert!(!grant.admits(Peer::Loopback, grants.host()));
}

#[test]
fn a_removed_source_narrows_those_who_inherit_it() {
    let grants = grants();
    let mut wide = client(1, "10.0.0.5");
    wide.sources.push(source("10.0.0.6"));
    grants.put_client(wide);
    grants.put_rollout(rollout(7, "a", 1));
    let effects = grants.put_client(client(1, "10.0.0.5"));
    assert_eq!(effects.dead, []);
    assert_eq!(effects.narrowed, [TokenId(1), TokenId(7)]);
    assert!(
        matches!(&effects.deltas[..], [Delta::Shut(key)] if key.net == "10.0.0.6/32".parse().unwrap())
    );
}

#[test]
fn the_first_source_binds_a_token_that_was_not_bound() {
    let grants = grants();
    let mut free = client(1, "10.0.0.5");
    free.sources.clear();
    grants.put_client(free);
    let effects = grants.put_client(client(1, "10.0.0.5"));
    assert_eq!(effects.narrowed, [TokenId(1)]);
}

#[test]
fn a_disabled_client_opens_nothing_and_its_streams_end() {
    let grants = grants();
    grants.put_client(client(1, "10.0.0.5"));
    grants.put_rollout(rollout(7, "a", 1));
    let effects = grants.put_client(Client {
        enabled: false,
        ..client(1, "10.0.0.5")
    });
    assert_eq!(effects.dead, [TokenId(1), TokenId(7)]);
    assert!(matches!(effects.deltas[..], [Delta::Shut(_)]));
    let grant = grants.find(&Digest::of(b"rollout 7")).unwrap();
    assert_eq!(grant.live(Stamp(0)), Err(Dead::Disabled));
}

#[test]
fn a_lease_ends_on_its_deadline() {
    let grants = grants();
    grants.put_client(Client {
        expires: Some(Stamp(100)),
        ..client(1, "10.0.0.5")
    });
    let grant = grants.find(&Digest::of(b"client 1")).unwrap();
    assert_eq!(grant.live(Stamp(99)), Ok(()));
    assert_eq!(grant.live(Stamp(100)), Err(Dead::Expired));
    assert_eq!(grants.expired(Stamp(100)).0, [id(1)]);
}

#[test]
fn a_wide_source_lists_what_it_contains() {
    let grants = grants();
    grants.put_client(client(1, "10.0.0.0/8"));
    grants.put_client(client(2, "fd00::/64"));
    for (address, listed) in [
        ("10.9.9.9", true),
        ("11.0.0.1", false),
        ("fd00::9", true),
        ("fd01::", false),
    ] {
        assert_eq!(grants.lists(address.parse().unwrap()), listed, "{address}");
    }
}

fn grants() -> Grants {
    Grants::new("here".parse().unwrap(), Mode::Enforce)
}

fn client(number: u32, cidr: &str) -> Client {
    Client {
        id: id(number),
        name: format!("client-{number}").parse().unwrap(),
        sources: vec![source(cidr)],
        ports: Vec::new(),
        scope: None,
        upstream: None,
        key: None,
        reach: Reach::Own,
        enabled: true,
        expires: None,
        rps: 0,
        concurrency: 0,
        created: Stamp(0),
        tokens: vec![credential(number.into(), Kind::Client)],
    }
}

fn rollout(serial: u64, name: &str, client: u32) -> Rollout {
    Rollout {
        serial: RolloutSerial(serial),
        id: name.parse().unwrap(),
        client: id(client),
        sources: Vec::new(),
        scope: None,
        upstream: None,
        key: None,
        phase: Phase::Open,
        expires: None,
        created: Stamp(0),
        tokens: vec![credential(serial, Kind::Rollout)],
    }
}

fn credential(number: u64, kind: Kind) -> Credential {
    let text = format!("{} {number}", kind.as_str());
    Credential {
        id: TokenId(number),
        digest: Digest::of(text.as_bytes()),
        kind,
        expires: None,
        key: None,
        created: Stamp(0),
        adopted: false,
    }
}

fn source(text: &str) -> Source {
    Source::on(&"here".parse().unwrap(), text).unwrap()
}

fn peer(text: &str) -> Peer {
    Peer::of(text.parse().unwrap())
}

fn id(number: u32) -> ClientId {
    ClientId(NonZeroU32::new(number).unwrap())
}

//! Orders find the lines they are meant for.

use super::*;
use crate::{
    client::{Client, Credential, Kind, Reach},
    clock::Stamp,
    grants::Grants,
    ident::ClientId,
    secret::Digest,
    settings::Mode,
    source::Source,
};

#[tokio::test]
async fn a_cut_waits_until_the_line_is_gone() {
    let live = Live::new();
    let (_, grant) = granted(&[]);
    let mut hold = live.open(Peer::Loopback, Of::Connection);
    hold.under(&grant, &[], None);
    hold.line().set_busy(true);
    let cut_off = Arc::clone(hold.line());
    let tokens = [grant.token];
    let ended = async {
        assert_eq!(cut_off.ordered().await, Cut::Closed);
        drop(hold);
    };
    let (cut, ()) = tokio::join!(live.cut(&tokens, Cut::Closed), ended);
    assert_eq!((cut.streams, cut.connections), (1, 1));
    assert_eq!(live.connections(), 0);
    assert_eq!(live.cut(&tokens, Cut::Closed).await, Ended::default());
}

#[tokio::test]
async fn only_lines_from_outside_are_narrowed() {
    let live = Live::new();
    let (grants, grant) = granted(&["10.0.0.5"]);
    let mut inside = live.open(Peer::of("10.0.0.5".parse().unwrap()), Of::Connection);
    let mut outside = live.open(Peer::of("10.0.0.6".parse().unwrap()), Of::Connection);
    inside.under(&grant, &[], None);
    outside.under(&grant, &[], None);
    let (kept, ended) = (Arc::clone(inside.line()), Arc::clone(outside.line()));
    let tokens = [grant.token];
    let ending = async {
        ended.ordered().await;
        drop(outside);
    };
    let (narrowed, ()) = tokio::join!(live.narrow(&tokens, grants.host()), ending);
    assert_eq!(narrowed.connections, 1);
    assert_eq!(kept.is_ordered(), None);
}

#[tokio::test]
async fn a_line_moves_with_its_token() {
    let live = Live::new();
    let (_, grant) = granted(&[]);
    let mut hold = live.open(Peer::Loopback, Of::Connection);
    hold.under(&grant, &[TokenId(7)], None);
    assert_eq!(hold.tokens, [grant.token, TokenId(7)]);
    hold.under(&grant, &[], None);
    assert_eq!(live.cut(&[TokenId(7)], Cut::Closed).await, Ended::default());
    assert_eq!(hold.line().is_ordered(), None);
}

fn granted(sources: &[&str]) -> (Grants, Arc<Grant>) {
    let grants = Grants::new("here".parse().unwrap(), Mode::Enforce);
    let digest = Digest::of(b"a");
    let host = grants.host().clone();
    grants.put_client(Client {
        id: ClientId(std::num::NonZeroU32::MIN),
        name: "c".parse().unwrap(),
        sources: sources
            .iter()
            .map(|s| Source::on(&host, s).unwrap())
            .collect(),
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
        tokens: vec![Credential {
            id: TokenId(1),
            digest,
            kind: Kind::Client,
            expires: None,
            key: None,
            created: Stamp(0),
        }],
    });
    let grant = grants.find(&digest).unwrap();
    (grants, grant)
}

//! `gatectl explain`: what each ring would do, by asking the rings themselves.
//!
//! The packet ring runs the loaded program on a made-up frame; the request ring runs the very
//! functions that admit a call, but registers nothing, sends nothing and counts nothing.

use std::net::IpAddr;

use super::{
    facts::{interface, told},
    view::View,
};
use crate::{
    admin::wire::{Explain, RingVerdict, Secret},
    kernel::{Probe, Verdicts},
    proxy::Question,
    settings::{ListenSources, Mode},
    source::Peer,
};

/// In the order in which a caller meets them; ends at the first that refuses.
pub(super) async fn rings(view: &View, asked: Explain) -> Result<Vec<RingVerdict>, String> {
    if let Some(frame) = &asked.frame {
        let probe = Probe::Frame {
            bytes: unhex(frame)?,
            interface: None,
        };
        return Ok(vec![packet(view, probe).await?]);
    }
    let (peer, interface) = from(&asked.from)?;
    let mut rings = vec![match peer {
        Peer::Loopback => loopback(),
        Peer::Address(from) => {
            let port = asked.port.or(view.port());
            let port = port.ok_or("the gate listens on no TCP port; give --port")?;
            if view.ring.agent().is_none() {
                absent(view)
            } else {
                packet(
                    view,
                    Probe::Connect {
                        from,
                        interface,
                        to: None,
                        port,
                    },
                )
                .await?
            }
        }
    }];
    let sources = asked
        .port
        .or(view.port())
        .and_then(|port| view.sources(port));
    if let Some(sources) = sources.filter(|_| rings.iter().all(passes)) {
        rings.push(connection(view, peer, sources));
    }
    if rings.iter().all(passes)
        && sources.is_some()
        && (asked.token.is_some() || asked.path.is_some())
    {
        rings.push(request(view, peer, &asked));
    }
    Ok(rings)
}

async fn packet(view: &View, probe: Probe) -> Result<RingVerdict, String> {
    let agent = view.standing()?;
    let answer = agent.explain(probe).await.map_err(|error| told(&error))?;
    Ok(verdict(&answer))
}

/// A packet must pass every program that it meets.
fn verdict(answer: &Verdicts) -> RingVerdict {
    let facing = answer.interface.as_ref().map(interface);
    let decides = answer.verdicts.iter().find(|verdict| !verdict.passes);
    let decides = decides.or(answer.verdicts.first());
    let matched = answer.entry.as_ref().map_or_else(String::new, |entry| {
        format!("{} of client c{}", entry.net, entry.client)
    });
    RingVerdict {
        ring: "packet".to_owned(),
        verdict: if answer.verdicts.iter().all(|v| v.passes) {
            "pass"
        } else {
            "drop"
        }
        .to_owned(),
        reason: decides.map_or_else(String::new, |v| format!("{}: {}", v.reason, v.sentence)),
        matched,
        interface: facing
            .as_ref()
            .map_or_else(String::new, |facing| facing.name.clone()),
        hook: facing
            .as_ref()
            .map_or_else(String::new, |facing| facing.hook.clone()),
        mode: facing.map_or_else(String::new, |facing| facing.mode),
    }
}

fn loopback() -> RingVerdict {
    RingVerdict {
        ring: "packet".to_owned(),
        verdict: "pass".to_owned(),
        reason: "loopback: arrives on lo, where the packet ring does not stand".to_owned(),
        ..RingVerdict::default()
    }
}

fn absent(view: &View) -> RingVerdict {
    RingVerdict {
        ring: "packet".to_owned(),
        verdict: "pass".to_owned(),
        reason: format!("absent: {}", view.ring.reason()),
        ..RingVerdict::default()
    }
}

fn connection(view: &View, peer: Peer, sources: ListenSources) -> RingVerdict {
    let grants = &view.proxy.grants;
    let (passes, reason) = match (peer, sources) {
        _ if grants.mode() == Mode::Closed => (false, "closed by panic: nothing is served"),
        (Peer::Loopback, _) => (true, "loopback: the list does not apply, the token does"),
        (Peer::Address(_), ListenSources::Any) => (true, "this listener admits any source"),
        (Peer::Address(at), ListenSources::Listed) if grants.lists(at) => (true, "listed"),
        (Peer::Address(_), ListenSources::Listed) => (false, "no live grant lists this source"),
    };
    RingVerdict {
        ring: "connection".to_owned(),
        verdict: if passes { "pass" } else { "refuse" }.to_owned(),
        reason: reason.to_owned(),
        ..RingVerdict::default()
    }
}

fn request(view: &View, peer: Peer, asked: &Explain) -> RingVerdict {
    let answer = view.proxy.explain(&Question {
        peer,
        method: asked.method.as_deref().unwrap_or("POST"),
        path: asked.path.as_deref().unwrap_or("/v1/chat/completions"),
        token: asked.token.as_ref().map(Secret::reveal),
    });
    RingVerdict {
        ring: "request".to_owned(),
        verdict: if answer.passes { "pass" } else { "refuse" }.to_owned(),
        reason: answer.reason,
        matched: answer.matched,
        ..RingVerdict::default()
    }
}

fn passes(verdict: &RingVerdict) -> bool {
    verdict.verdict == "pass"
}

/// `lo`, or `ADDR[%IFACE]`.
fn from(text: &str) -> Result<(Peer, Option<String>), String> {
    if text == "lo" {
        return Ok((Peer::Loopback, None));
    }
    let (address, interface) = match text.split_once('%') {
        Some((address, interface)) => (address, Some(interface.to_owned())),
        None => (text, None),
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_why| format!("`{text}` is not an address or `lo`"))?;
    // An address of loopback on another interface is a claim, and is judged as one.
    if interface.is_some() {
        return Ok((Peer::Address(address), interface));
    }
    Ok((Peer::of(address), None))
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace() && *b != b':')
        .collect();
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair)
            .ok()
            .filter(|text| text.len() == 2)?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
    bytes.ok_or_else(|| "the frame is not an even number of hex digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_with_and_without_its_interface() {
        assert_eq!(from("lo").unwrap(), (Peer::Loopback, None));
        assert_eq!(from("127.0.0.1").unwrap(), (Peer::Loopback, None));
        let (peer, interface) = from("10.0.0.5%veth7").unwrap();
        assert_eq!(peer, Peer::Address("10.0.0.5".parse().unwrap()));
        assert_eq!(interface.as_deref(), Some("veth7"));
        let (peer, _) = from("127.0.0.1%veth7").unwrap();
        assert_eq!(peer, Peer::Address("127.0.0.1".parse().unwrap()));
        assert!(from("nowhere").is_err());
    }

    #[test]
    fn a_frame_is_hex() {
        assert_eq!(unhex("00:1b 2C").unwrap(), [0, 0x1b, 0x2c]);
        assert!(unhex("0").is_err() && unhex("zz").is_err());
    }
}

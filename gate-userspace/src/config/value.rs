//! Single values of the configuration: durations, sizes, ports, words.

use std::{net::IpAddr, time::Duration};

use super::refuse::{Refused, not_one_of};
use crate::settings::{
    CredentialMode, Guard, GuardPolicy, Hook, Interfaces, KernelNeed, ListenSources, Mode,
    NamedInterface, PresentAs, ProfileName, UpstreamGuard,
};

type Parsed<T> = Result<T, Refused>;

/// A setting that is one of a few words.
pub(super) trait Word: Sized + Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];

    /// As it is typed.
    fn word(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        words
            .find(|(_, value)| *value == self)
            .map_or("", |(word, _)| *word)
    }

    fn words() -> Vec<&'static str> {
        Self::WORDS.iter().map(|(word, _)| *word).collect()
    }

    fn read(key: &str, text: &str) -> Parsed<Self> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| not_one_of(key, text, &Self::words()))
    }
}

impl Word for Mode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("enforce", Self::Enforce), ("audit", Self::Audit)];
}

impl Word for ListenSources {
    const WORDS: &'static [(&'static str, Self)] = &[("listed", Self::Listed), ("any", Self::Any)];
}

impl Word for KernelNeed {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("require", Self::Require),
        ("prefer", Self::Prefer),
        ("off", Self::Off),
    ];
}

impl Word for CredentialMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("replace", Self::Replace),
        ("keep", Self::Keep),
        ("none", Self::None),
    ];
}

impl Word for PresentAs {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("bearer", Self::Bearer),
        ("x-api-key", Self::XApiKey),
        ("api-key", Self::ApiKey),
        ("body:api_key", Self::BodyApiKey),
    ];
}

impl Word for UpstreamGuard {
    const WORDS: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("off", Self::Off)];
}

impl Word for ProfileName {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("verifiers", Self::Verifiers),
        ("verifiers-session", Self::VerifiersSession),
        ("openai", Self::Openai),
        ("anthropic", Self::Anthropic),
        ("plain", Self::Plain),
        ("apollo", Self::Apollo),
        ("coder", Self::Coder),
    ];
}

impl Word for GuardPolicy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("listed", Self::Listed),
        ("off", Self::Off),
    ];
}

impl Word for Hook {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("tcx", Self::Tcx),
        ("clsact", Self::Clsact),
        ("xdp", Self::Xdp),
        ("generic", Self::Generic),
    ];
}

pub(super) fn duration(key: &str, text: &str) -> Parsed<Duration> {
    humantime::parse_duration(text)
        .map_err(|_why| refused(key, text, "a duration such as 10s, 5m or 500ms"))
}

pub(super) fn size(key: &str, text: &str) -> Parsed<u64> {
    let parsed: Result<bytesize::ByteSize, _> = text.parse();
    parsed
        .map(|size| size.as_u64())
        .map_err(|_why| refused(key, text, "a size such as 64KiB"))
}

/// `[ADDR:]PORT=POLICY`
pub(super) fn guard(text: &str) -> Parsed<Guard> {
    let no = || refused("--guard", text, "[ADDR:]PORT=none|listed|off");
    let (place, policy) = text.split_once('=').ok_or_else(no)?;
    let policy = GuardPolicy::read("--guard", policy)?;
    let (address, port) = match place.rsplit_once(':') {
        Some((address, port)) => {
            let address = address.trim_start_matches('[').trim_end_matches(']');
            (Some(address.parse::<IpAddr>().map_err(|_why| no())?), port)
        }
        None => (None, place),
    };
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(no)?;
    Ok(Guard {
        port,
        address,
        policy,
    })
}

/// `auto`, `none`, or `NAME[:HOOK],...`
pub(super) fn interfaces(key: &str, items: &[String]) -> Parsed<Interfaces> {
    match items {
        [word] if word == "auto" => return Ok(Interfaces::Auto),
        [word] if word == "none" => return Ok(Interfaces::None),
        _ => {}
    }
    let named = items.iter().map(|item| {
        let (pattern, hook) = match item.split_once(':') {
            Some((pattern, hook)) => (pattern, Some(Hook::read(key, hook)?)),
            None => (item.as_str(), None),
        };
        if pattern.is_empty() || pattern == "lo" {
            return Err(refused(
                key,
                item,
                "an interface other than lo, such as eth0 or veth*:tcx",
            ));
        }
        Ok(NamedInterface {
            pattern: pattern.to_owned(),
            hook,
        })
    });
    named.collect::<Parsed<Vec<_>>>().map(Interfaces::Named)
}

pub(super) fn refused(key: &str, value: &str, expected: &str) -> Refused {
    Refused::Value {
        key: key.to_owned(),
        value: value.to_owned(),
        expected: expected.to_owned(),
    }
}

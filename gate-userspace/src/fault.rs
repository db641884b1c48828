//! What stops a call: `Denied` (the gate said no), `Fault` (something broke), `Cut` (it was ended).
//!
//! Knows no HTTP: `proxy::respond` is the one translator. Nothing here holds a token, a key or a
//! word that a caller sent.

mod upstream;

pub use upstream::{Broken, Unreachable};

use crate::{
    ident::UpstreamName,
    secret::{Look, UnsealError},
};

/// What [`crate::proxy`] answers instead of an upstream.
#[derive(Debug)]
pub enum Stop {
    Denied(Denied),
    Fault(Fault),
    Cut(Cut),
}

/// The gate did its job and said no. A caller never learns which of the credential's faults it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("no credential")]
    NoCredential,
    #[error("the credential is malformed")]
    Malformed,
    #[error("two different credentials")]
    TwoCredentials,
    #[error("a token of this gate stands where none is read")]
    Misplaced,
    #[error("the token is unknown")]
    Unknown(Look),
    #[error("the token is revoked")]
    Revoked,
    #[error("the token, its rollout or its client has expired")]
    Expired,
    #[error("the client is disabled")]
    Disabled,
    #[error("a token of this kind is not good for this path")]
    WrongKind,
    #[error("the token belongs to another rollout")]
    WrongRollout,
    #[error("the call is outside of the token's scope")]
    OutOfScope,
    #[error("the token is bound to other sources")]
    WrongSource,
    #[error("the rollout is draining")]
    Draining,
    #[error("no such rollout of this client")]
    NoSuchRollout,
    #[error("the source is not on the list")]
    Unlisted,
    #[error("the host name is not one of this gate's")]
    Host,
    #[error("the browser origin is not on the list")]
    Origin,
    #[error("callers may not bring their own key on this route")]
    ByokOff,
    #[error("too many failed authentications from this source")]
    Throttled { retry_after: u32 },
    #[error("too many requests of this client")]
    TooFast { retry_after: u32 },
    #[error("too many calls of this client at once")]
    TooMany,
}

/// Something broke.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("no route serves this path")]
    NoRoute,
    #[error("the request line and headers are too large")]
    HeadTooLarge,
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("the body did not arrive in time")]
    BodyStalled,
    #[error("the caller left in the middle of its body")]
    BodyBroken,
    #[error("no upstream is configured; set one with --upstream URL")]
    NoUpstream,
    #[error("the client has no upstream key")]
    NoKey,
    #[error("the stored upstream key cannot be opened")]
    KeyUnavailable(#[source] UnsealError),
    #[error("the upstream key cannot stand in a header")]
    KeyNotText,
    #[error("the store was not heard of for too long")]
    Stale,
    #[error("the gate is draining")]
    Draining,
    #[error("upstream `{upstream}` cannot be reached")]
    Connect {
        upstream: UpstreamName,
        #[source]
        cause: Unreachable,
    },
    #[error("the upstream did not answer in time")]
    UpstreamTimeout,
    #[error("the upstream broke off")]
    UpstreamBroken(#[source] Broken),
    #[error("the upstream changed the protocol without being asked")]
    NotAsked,
    #[error("the provider rejected the key that the gate put in")]
    ProviderAuth,
    #[error("the provider limits the rate")]
    ProviderRate { retry_after: u32 },
    #[error("the provider refuses for billing")]
    ProviderBilling,
}

/// Why running calls are ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// The credential was revoked, or its client disabled.
    Revoked = 1,
    /// The rollout was closed.
    Closed,
    LeaseOver,
    /// The caller's source was removed.
    Narrowed,
    /// Nothing is served any more.
    Panic,
    /// The drain came to its end.
    Draining,
}

/// The machine-readable contract: what `X-Gate-Error` says. `docs/errors.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    Unauthorized,
    RolloutNotFound,
    RolloutConcluded,
    Forbidden,
    InvalidRequest,
    BodyTooLarge,
    HeadTooLarge,
    RateLimit,
    RolloutCancelled,
    AuthError,
    Billing,
    KeyUnavailable,
    ClientMisconfigured,
    ServiceUnavailable,
    ConnectionError,
    UpstreamTimeout,
    UpstreamBroken,
    Revoked,
    InternalError,
}

/// Whose fault it is, which decides how loud the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Client,
    Upstream,
    Gate,
}

impl Denied {
    pub fn kind(self) -> Type {
        match self {
            Self::NoCredential
            | Self::Malformed
            | Self::TwoCredentials
            | Self::Misplaced
            | Self::Unknown(_)
            | Self::Revoked
            | Self::Expired
            | Self::Disabled
            | Self::WrongKind
            | Self::WrongRollout
            | Self::OutOfScope
            | Self::WrongSource => Type::Unauthorized,
            Self::Draining => Type::RolloutConcluded,
            Self::NoSuchRollout => Type::RolloutNotFound,
            Self::Unlisted | Self::Host | Self::Origin | Self::ByokOff => Type::Forbidden,
            Self::Throttled { .. } | Self::TooFast { .. } => Type::RateLimit,
            Self::TooMany => Type::ServiceUnavailable,
        }
    }

    /// Whether it counts against the source's budget of failed authentications.
    pub fn is_failed_authentication(self) -> bool {
        self.kind() == Type::Unauthorized
    }
}

impl Fault {
    pub fn kind(&self) -> Type {
        match self {
            Self::BadRequest(_) | Self::NoRoute | Self::BodyStalled | Self::BodyBroken => {
                Type::InvalidRequest
            }
            Self::HeadTooLarge => Type::HeadTooLarge,
            Self::BodyTooLarge { .. } => Type::BodyTooLarge,
            Self::NoUpstream | Self::Connect { .. } => Type::ConnectionError,
            Self::NoKey => Type::ClientMisconfigured,
            Self::KeyUnavailable(_) => Type::KeyUnavailable,
            Self::KeyNotText => Type::InternalError,
            Self::Stale | Self::Draining => Type::ServiceUnavailable,
            Self::UpstreamTimeout => Type::UpstreamTimeout,
            Self::UpstreamBroken(_) | Self::NotAsked => Type::UpstreamBroken,
            Self::ProviderAuth => Type::AuthError,
            Self::ProviderRate { .. } => Type::RateLimit,
            Self::ProviderBilling => Type::Billing,
        }
    }

    pub fn blame(&self) -> Blame {
        match self {
            Self::BadRequest(_)
            | Self::NoRoute
            | Self::HeadTooLarge
            | Self::BodyTooLarge { .. }
            | Self::BodyStalled
            | Self::BodyBroken => Blame::Client,
            Self::Connect { .. }
            | Self::UpstreamTimeout
            | Self::UpstreamBroken(_)
            | Self::NotAsked
            | Self::ProviderAuth
            | Self::ProviderRate { .. }
            | Self::ProviderBilling => Blame::Upstream,
            Self::NoUpstream
            | Self::NoKey
            | Self::KeyUnavailable(_)
            | Self::KeyNotText
            | Self::Stale
            | Self::Draining => Blame::Gate,
        }
    }
}

impl Cut {
    /// Reads what a line keeps in one byte.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Revoked,
            Self::Closed,
            Self::LeaseOver,
            Self::Narrowed,
            Self::Panic,
            Self::Draining,
        ]
        .into_iter()
        .find(|cut| *cut as u8 == byte)
    }

    /// The type of the last word in a stream.
    pub fn kind(self) -> Type {
        match self {
            Self::Revoked | Self::Closed | Self::LeaseOver | Self::Narrowed => Type::Revoked,
            Self::Panic | Self::Draining => Type::ServiceUnavailable,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Closed => "closed",
            Self::LeaseOver => "lease_over",
            Self::Narrowed => "source_removed",
            Self::Panic => "panic",
            Self::Draining => "draining",
        }
    }
}

impl Type {
    pub const ALL: [Self; 19] = [
        Self::Unauthorized,
        Self::RolloutNotFound,
        Self::RolloutConcluded,
        Self::Forbidden,
        Self::InvalidRequest,
        Self::BodyTooLarge,
        Self::HeadTooLarge,
        Self::RateLimit,
        Self::RolloutCancelled,
        Self::AuthError,
        Self::Billing,
        Self::KeyUnavailable,
        Self::ClientMisconfigured,
        Self::ServiceUnavailable,
        Self::ConnectionError,
        Self::UpstreamTimeout,
        Self::UpstreamBroken,
        Self::Revoked,
        Self::InternalError,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "UNAUTHORIZED",
            Self::RolloutNotFound => "ROLLOUT_NOT_FOUND",
            Self::RolloutConcluded => "ROLLOUT_CONCLUDED",
            Self::Forbidden => "FORBIDDEN",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::HeadTooLarge => "HEAD_TOO_LARGE",
            Self::RateLimit => "RATE_LIMIT",
            Self::RolloutCancelled => "ROLLOUT_CANCELLED",
            Self::AuthError => "AUTH_ERROR",
            Self::Billing => "BILLING",
            Self::KeyUnavailable => "KEY_UNAVAILABLE",
            Self::ClientMisconfigured => "CLIENT_MISCONFIGURED",
            Self::ServiceUnavailable => "SERVICE_UNAVAILABLE",
            Self::ConnectionError => "CONNECTION_ERROR",
            Self::UpstreamTimeout => "UPSTREAM_TIMEOUT",
            Self::UpstreamBroken => "UPSTREAM_BROKEN",
            Self::Revoked => "REVOKED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// The ordinary status; a profile may need another one.
    pub fn status(self) -> u16 {
        match self {
            Self::Unauthorized | Self::AuthError | Self::Revoked => 401,
            Self::Billing => 402,
            Self::Forbidden => 403,
            Self::RolloutNotFound => 404,
            Self::RolloutConcluded => 409,
            Self::BodyTooLarge => 413,
            Self::RateLimit => 429,
            Self::HeadTooLarge => 431,
            Self::RolloutCancelled => 499,
            Self::InvalidRequest => 400,
            Self::ClientMisconfigured | Self::InternalError => 500,
            Self::UpstreamBroken => 502,
            Self::KeyUnavailable | Self::ServiceUnavailable | Self::ConnectionError => 503,
            Self::UpstreamTimeout => 504,
        }
    }
}

impl From<Denied> for Stop {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

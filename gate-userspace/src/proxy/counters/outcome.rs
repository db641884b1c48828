//! How a call ended, in words that are few: they are labels.

/// Who answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    Gate,
    Upstream,
}

/// What its caller read first: the class of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The caller left before there was one.
    None,
    /// The protocol was changed.
    Informational,
    Success,
    Redirection,
    ClientError,
    ServerError,
}

impl By {
    pub const ALL: [Self; 2] = [Self::Gate, Self::Upstream];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Upstream => "upstream",
        }
    }
}

impl Outcome {
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Informational,
        Self::Success,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
    ];

    /// Of a status, or of 0 where there was none. HTTP knows no class beyond 5xx.
    pub(super) fn of(status: u16) -> Self {
        match status {
            0..100 => Self::None,
            100..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

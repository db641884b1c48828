//! Why a command did not do what was asked, with what to try next and how to exit.
//!
//! Does not write anything: `say` does. No variant ever holds a secret: what was read from stdin or
//! the environment is not repeated.

use std::{error::Error, fmt, io};

use super::exit::Exit;

/// A failed command.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) exit: Exit,
    what: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
    status: Option<http::StatusCode>,
}

impl Fault {
    /// The gate, or this host, said no.
    pub(super) fn refused(what: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what)
    }

    /// The command line cannot mean anything.
    pub(super) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Nobody answers at the admin address.
    pub(super) fn unreachable(what: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, what)
    }

    /// Part of it was done; how to exit is what stopped it.
    pub(super) fn failed(exit: Exit, what: impl Into<String>) -> Self {
        Self::new(exit, what)
    }

    #[must_use]
    pub(super) fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What to try next, best a command that can be pasted.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As [`Self::hint`], unless the gate gave one: it knows more.
    #[must_use]
    pub(super) fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// With which status the gate refused.
    #[must_use]
    pub(super) fn answered(mut self, status: http::StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    pub(super) fn is_answer(&self, status: http::StatusCode) -> bool {
        self.status == Some(status)
    }

    /// Whether nothing of what was asked was done: the gate understood it and said no.
    pub(super) fn is_certain(&self) -> bool {
        self.status.is_some_and(|status| {
            status.is_client_error() || status == http::StatusCode::INSUFFICIENT_STORAGE
        })
    }

    /// The gate counts the items of one call; so many went in calls before it.
    #[must_use]
    pub(super) fn counted_from(mut self, before: usize) -> Self {
        let item = self.what.strip_prefix("item ");
        if let Some((number, why)) = item.and_then(|item| item.split_once(": "))
            && let Ok(number) = number.parse::<usize>()
        {
            self.what = format!("item {}: {why}", number + before);
        }
        self
    }

    pub(super) fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether standard output went away, which is how a pager says "enough".
    pub(super) fn is_broken_pipe(&self) -> bool {
        self.cause
            .as_ref()
            .and_then(|cause| cause.downcast_ref::<io::Error>())
            .is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    }

    fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            cause: None,
            hint: None,
            status: None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause
            .as_deref()
            .map(|cause| cause as &(dyn Error + 'static))
    }
}

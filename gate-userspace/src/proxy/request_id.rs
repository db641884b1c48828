//! One name per call, for the log, the upstream and the caller.
//!
//! A caller's own is kept if it looks like an id; the log takes it only in the form of a UUID or of
//! ours, because a caller may put anything there.

use std::cell::Cell;

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A worker's source of ids: unlike any other worker's, without asking anybody.
pub(crate) struct Ids {
    next: Cell<u64>,
}

impl Ids {
    pub(crate) fn new() -> Self {
        let mut seed = [0; 8];
        // Without random numbers the ids start alike; they are names, not secrets.
        let _names_only = getrandom::fill(&mut seed);
        Self {
            next: Cell::new(u64::from_be_bytes(seed)),
        }
    }

    /// The caller's id, or a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(REQUEST_ID) {
            Some(own) if is_id(own.as_bytes()) => own.clone(),
            Some(_) | None => self.fresh(),
        }
    }

    fn fresh(&self) -> HeaderValue {
        // An odd step visits every number; the golden ratio spreads neighbours.
        let number = self.next.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.next.set(number);
        let mut digits = [0; 16];
        for (digit, at) in digits.iter_mut().zip((0..16).rev()) {
            let nibble = u8::try_from(number >> (4 * at) & 15).expect("four bits fit a byte");
            *digit = b"0123456789abcdef"
                .get(usize::from(nibble))
                .copied()
                .unwrap_or(b'0');
        }
        HeaderValue::from_bytes(&digits).expect("hex digits are visible ASCII")
    }
}

/// The id as the log may hold it.
pub(crate) fn loggable(id: &HeaderValue) -> Option<&str> {
    let text = id.to_str().ok()?;
    let is_hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    (matches!(text.len(), 16 | 36) && text.bytes().all(is_hex)).then_some(text)
}

fn is_id(bytes: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=128).contains(&bytes.len()) && bytes.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_id_is_kept_if_it_is_one() {
        let ids = Ids::new();
        let of = |own: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(own).unwrap());
            ids.of(&headers)
        };
        assert_eq!(of("req_abc-1"), "req_abc-1");
        for own in ["", "a b", &"x".repeat(129)] {
            assert!(loggable(&of(own)).is_some(), "{own}");
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }

    #[test]
    fn only_what_cannot_be_a_token_is_logged() {
        for (id, is_logged) in [
            ("0123456789abcdef", true),
            ("123e4567-e89b-12d3-a456-426614174000", true),
            ("gate_05McJmDgrvc_x", false),
            (
                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                false,
            ),
        ] {
            let value = HeaderValue::from_str(id).unwrap();
            assert_eq!(loggable(&value).is_some(), is_logged, "{id}");
        }
    }
}

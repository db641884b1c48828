//! Is this text fit to be a secret? The start guard and every adopted token ask here.

/// Shorter secrets are guessed; 16 is what the systems before settled on.
const SHORTEST: usize = 16;

const PLACEHOLDERS: [&str; 14] = [
    "*",
    "**",
    "***",
    "changeme",
    "your_api_key",
    "your_api_key_here",
    "your-api-key",
    "placeholder",
    "example",
    "dummy",
    "null",
    "none",
    "intercepted",
    "empty",
];

/// Why a text cannot be a secret. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("the secret is empty")]
    Empty,
    #[error("the secret is a placeholder")]
    Placeholder,
    #[error("the secret has {length} characters, fewer than {SHORTEST}")]
    Short { length: usize },
    #[error("the secret has white space inside")]
    WhiteSpace,
    #[error("the secret looks like a gate token, but its checksum is wrong")]
    Mistyped,
    #[error("the secret looks like a provider key, which must not leave this host")]
    ProviderKey,
    #[error("the system has no random numbers to give")]
    NoRandom,
}

/// The trimmed text, if it can serve as a shared secret or an adopted token.
///
/// # Errors
/// Says what is wrong, never what was given.
pub fn usable(text: &str) -> Result<&str, Unusable> {
    let text = text.trim();
    let length = text.chars().count();
    if text.is_empty() {
        Err(Unusable::Empty)
    } else if is_placeholder(text.as_bytes()) {
        Err(Unusable::Placeholder)
    } else if length < SHORTEST {
        Err(Unusable::Short { length })
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err(Unusable::WhiteSpace)
    } else {
        Ok(text)
    }
}

pub(super) fn is_placeholder(text: &[u8]) -> bool {
    PLACEHOLDERS
        .iter()
        .any(|placeholder| text.eq_ignore_ascii_case(placeholder.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acceptance 7.
    #[test]
    fn placeholders_are_refused_by_name() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/vectors.json")).unwrap();
        for text in vectors["placeholder_secrets"].as_array().unwrap() {
            assert_eq!(
                usable(text.as_str().unwrap()),
                Err(Unusable::Placeholder),
                "{text}"
            );
        }
    }

    /// Acceptance 8 and 9.
    #[test]
    fn white_space_does_not_make_a_secret_longer() {
        assert_eq!(
            usable("0123456789abcde"),
            Err(Unusable::Short { length: 15 })
        );
        assert_eq!(usable("0123456789abcdef"), Ok("0123456789abcdef"));
        assert_eq!(usable(&" ".repeat(20)), Err(Unusable::Empty));
        assert_eq!(
            usable(" short          "),
            Err(Unusable::Short { length: 5 })
        );
    }
}

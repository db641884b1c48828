//! Takes from foreign text what could act on a terminal.
//!
//! Threat: the name of a sandbox, a path or an upstream's message is chosen by whoever the gate
//! keeps out. Escape sequences in it could repaint the operator's screen, and direction marks could
//! make one address read like another. Newlines count: one row stays one row.

use std::borrow::Cow;

/// The text without control characters and direction marks.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_active) {
        Cow::Owned(text.chars().filter(|c| !is_active(*c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// JSON whose control characters are all escapes: the encoder leaves DEL, C1 and direction marks raw.
pub(super) fn escape_json(document: &str) -> String {
    document
        .chars()
        .map(|c| {
            if c != '\n' && is_active(c) {
                format!("\\u{:04x}", u32::from(c))
            } else {
                c.to_string()
            }
        })
        .collect()
}

fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_removed() {
        let rows = [
            ("r-17", "r-17"),
            ("a\u{1b}[2Jb", "a[2Jb"),
            ("a\u{9b}2Jb", "a2Jb"),
            ("a\nb\rc\td", "abcd"),
            ("10.0.0.\u{202e}5", "10.0.0.5"),
            ("größe", "größe"),
        ];
        for (text, want) in rows {
            assert_eq!(clean(text), want, "{text:?}");
        }
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({"name": "a\u{9b}b\u{7f}\u{202e}"});
        let text = escape_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}

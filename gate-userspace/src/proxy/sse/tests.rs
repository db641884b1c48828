//! What the scanner sees, however the bytes are cut.

use super::*;
use proptest::prelude::*;

#[test]
fn last_events_of_every_dialect_are_seen() {
    let rows = [
        ("data: [DONE]\n\n", true),
        ("data:[DONE]\r\n\r\n", true),
        ("data: [DONE]\r\r", true),
        ("data: [DONE]", true),
        (
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            true,
        ),
        ("data: {\"type\": \"message_stop\"}\n\n", true),
        ("event: response.completed\ndata: {}\n\n", true),
        (
            "data: {\"type\": \"response.incomplete\", \"x\":1}\n\n",
            true,
        ),
        ("event: error\ndata: {}\n\n", true),
        ("data: {\"error\":{\"message\":\"m\"}}\n\n", true),
        ("data: {\"a\":\"[DONE]\"}\n\n", false),
        ("data: text [DONE]\n\n", false),
        (": [DONE]\n\n", false),
        ("event: message_start\ndata: {}\n\n", false),
        ("", false),
    ];
    for (text, is_last) in rows {
        assert_eq!(scan(&[text.as_bytes()]).is_complete(), is_last, "{text:?}");
    }
}

#[test]
fn an_open_event_is_closed_with_what_it_lacks() {
    let rows = [
        ("", ""),
        ("data: 1\r", "\n\n"),
        ("data: 1\r\r", ""),
        ("data: 1\n\n", ""),
        ("data: 1\r\n\r\n", ""),
        ("data: 1\n", "\n"),
        ("data: 1\r\n", "\n"),
        ("data: 1", "\n\n"),
        ("data: 1\n\nda", "\n\n"),
    ];
    for (text, closing) in rows {
        assert_eq!(scan(&[text.as_bytes()]).closing(), closing, "{text:?}");
    }
}

/// Acceptance 65: an error event parses in its dialect.
#[test]
fn error_events_are_json() {
    for dialect in [
        Dialect::Chat,
        Dialect::Responses,
        Dialect::Messages,
        Dialect::Apollo,
        Dialect::Other,
    ] {
        let event = dialect.error(Type::Revoked, "the credential was revoked");
        let text = std::str::from_utf8(&event).unwrap();
        assert!(text.ends_with("\n\n"), "{text}");
        let data = text.trim_end().rsplit("data: ").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        if dialect == Dialect::Apollo {
            assert_eq!(data["type"], "REVOKED", "{text}");
            continue;
        }
        assert_eq!(data["error"]["code"], "REVOKED", "{text}");
        assert!(scan(&[&event]).is_complete(), "{text}");
    }
}

proptest! {
    #[test]
    fn chunks_do_not_change_what_is_seen(
        lines in prop::collection::vec("(data: |event: |)(\\[DONE\\]|message_stop|x{0,60}|)(\n|\r\n|\r)", 0..6),
        cuts in prop::collection::vec(0usize..200, 0..6),
    ) {
        let text = lines.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
        let (whole, cut) = (scan(&[text.as_bytes()]), scan(&parts));
        prop_assert_eq!(whole.is_complete(), cut.is_complete());
        prop_assert_eq!(whole.closing(), cut.closing());
    }
}

fn scan(parts: &[&[u8]]) -> Scanner {
    let mut scanner = Scanner::new();
    for part in parts {
        scanner.look(part);
    }
    scanner
}

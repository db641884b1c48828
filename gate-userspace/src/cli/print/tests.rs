//! The three forms of an answer, and what foreign text cannot do in them.

use serde_json::json;

use super::{table::table, *};

const PAPER: Paper = Paper {
    output: Output::Table,
    terminal: false,
    colour: false,
};

#[test]
fn columns_stand_under_their_heads_and_foreign_text_is_harmless() {
    let view = [
        Block::line(Tone::Bad, "wrong: \u{1b}[2Jeth0"),
        Block::Rows {
            head: vec!["NAME", "STATE"],
            rows: vec![
                vec!["a-long-name".into(), "up".into()],
                vec!["b\n".into(), "down\u{9b}".into()],
            ],
        },
        Block::pairs([
            ("client", "x".into()),
            ("expires", "never".into()),
            ("none", String::new()),
        ]),
    ];
    assert_eq!(
        table(&view, PAPER),
        "wrong: [2Jeth0\n\
         NAME         STATE\n\
         a-long-name  up\n\
         b            down\n\
         client   x\n\
         expires  never\n"
    );
}

#[test]
fn colour_adds_nothing_to_the_words() {
    let view = [Block::line(Tone::Good, "up"), Block::line(Tone::Plain, "x")];
    let coloured = Paper {
        colour: true,
        ..PAPER
    };
    assert_eq!(table(&view, coloured), "\x1b[32mup\x1b[0m\nx\n");
    assert_eq!(table(&view, PAPER), "up\nx\n");
}

#[test]
fn a_bare_token_is_alone_and_several_are_named() {
    let rows = [
        (json!({"token": "t"}), Some("t\n")),
        (json!({"tokens": {"model": "m"}}), Some("m\n")),
        (
            json!({"tokens": {"state": "s", "model": "m"}}),
            Some("model m\nstate s\n"),
        ),
        (json!({}), None),
    ];
    for (value, want) in rows {
        assert_eq!(bare_token(&value).ok().as_deref(), want, "{value}");
    }
}

#[test]
fn json_on_a_terminal_cannot_act_on_it() {
    let value = json!({"name": "a\u{9b}2J"});
    let on_terminal = Paper {
        terminal: true,
        ..PAPER
    };
    assert_eq!(
        json(&value, on_terminal),
        "{\n  \"name\": \"a\\u009b2J\"\n}\n"
    );
    assert_eq!(json(&value, PAPER), "{\n  \"name\": \"a\u{9b}2J\"\n}\n");
}

//! `gatectl explain`: what each ring would do, asked of the running gate and its loaded program.

mod capture;

use serde_json::{Value, json};

use super::{
    call::{Gate, Question},
    exit::Exit,
    fault::Fault,
    parse::ExplainArgs,
    print::{self, Answer, Block, Tone},
    say, secret_input, words,
};
use crate::admin::wire::{Explain, Explained, RingVerdict};

pub(super) async fn run(gate: &Gate, args: ExplainArgs) -> Result<Answer, Fault> {
    if let Some(file) = &args.pcap {
        let capture = capture::read(file)?;
        if capture.cut > 0 {
            say::note(&format!(
                "{} frames were cut when they were captured, and are judged as they are here",
                capture.cut
            ));
        }
        return capture_verdicts(gate, &capture.frames, args.port).await;
    }
    let frame = args.frame.as_deref().map(hex_digits).transpose()?;
    let token = args
        .token_stdin
        .then(|| secret_input::from_stdin("token"))
        .transpose()?;
    let body = Explain {
        from: args.from.unwrap_or_default(),
        port: args.port,
        token,
        method: args.method,
        path: args.path,
        frame,
    };
    let json = ask(gate, &body).await?;
    let explained: Explained = print::read(&json)?;
    let exit = exit(passes(&explained));
    Ok(Answer::new(json, view(&explained)).exit(exit))
}

async fn ask(gate: &Gate, body: &Explain) -> Result<Value, Fault> {
    gate.ask(Question::post("/v1/explain").json(body)).await
}

/// One row per frame; refused if any is.
async fn capture_verdicts(
    gate: &Gate,
    frames: &[Vec<u8>],
    port: Option<u16>,
) -> Result<Answer, Fault> {
    let mut packets = Vec::with_capacity(frames.len());
    let mut rows = Vec::with_capacity(frames.len());
    let mut all_pass = true;
    for (number, frame) in (1_u32..).zip(frames) {
        let body = Explain {
            port,
            frame: Some(hex(frame)),
            ..Explain::default()
        };
        let json = ask(gate, &body).await?;
        let explained: Explained = print::read(&json)?;
        all_pass &= passes(&explained);
        for ring in &explained.rings {
            rows.push(vec![
                number.to_string(),
                frame.len().to_string(),
                ring.ring.clone(),
                ring.verdict.clone(),
                ring.reason.clone(),
            ]);
        }
        packets.push(json!({"number": number, "bytes": frame.len(), "rings": explained.rings}));
    }
    let head = vec!["PACKET", "BYTES", "RING", "VERDICT", "REASON"];
    let view = vec![Block::Rows { head, rows }];
    Ok(Answer::new(json!({ "packets": packets }), view).exit(exit(all_pass)))
}

/// Nothing is waved through: no ring at all, or a word that is not `pass`, is a refusal.
fn passes(explained: &Explained) -> bool {
    !explained.rings.is_empty() && explained.rings.iter().all(|ring| ring.verdict == "pass")
}

fn exit(passes: bool) -> Exit {
    if passes { Exit::Ok } else { Exit::Refused }
}

fn view(explained: &Explained) -> Vec<Block> {
    let mut view: Vec<Block> = explained.rings.iter().map(line).collect();
    let verdict = if passes(explained) {
        Block::line(Tone::Good, "it would pass")
    } else {
        Block::line(Tone::Bad, "it would be refused")
    };
    view.push(verdict);
    view
}

fn line(ring: &RingVerdict) -> Block {
    let tone = if ring.verdict == "pass" {
        Tone::Good
    } else {
        Tone::Bad
    };
    let matched = if ring.matched.is_empty() {
        String::new()
    } else {
        format!("; matches {}", ring.matched)
    };
    let place = if ring.interface.is_empty() {
        String::new()
    } else {
        let hook = [ring.hook.as_str(), ring.mode.as_str()].join(" ");
        format!("; on {}{}", ring.interface, words::because(hook.trim()))
    };
    let text = format!(
        "{:10}  {:6}  {}{matched}{place}",
        ring.ring, ring.verdict, ring.reason
    );
    Block::line(tone, text)
}

/// Hex as people copy it: with spaces, colons or a `0x`.
fn hex_digits(text: &str) -> Result<String, Fault> {
    let digits: String = text
        .trim()
        .trim_start_matches("0x")
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != ':')
        .collect();
    let whole = digits.len().is_multiple_of(2) && !digits.is_empty();
    if whole && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(digits.to_ascii_lowercase())
    } else {
        Err(Fault::usage("the frame is not whole bytes in hex")
            .hint("an Ethernet frame starts with its destination, such as `ffffffffffff...`"))
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(verdicts: &[&str]) -> Explained {
        let ring = |verdict: &&str| json!({"ring": "packet", "verdict": verdict, "reason": "r"});
        let rings: Vec<Value> = verdicts.iter().map(ring).collect();
        serde_json::from_value(json!({"rings": rings, "revision": 1})).unwrap()
    }

    #[test]
    fn only_rings_that_all_say_pass_are_a_pass() {
        let rows = [
            (&["pass", "pass", "pass"][..], true),
            (&["pass", "refuse"], false),
            (&["drop"], false),
            (&["unheard-of"], false),
            (&[], false),
        ];
        for (verdicts, want) in rows {
            assert_eq!(passes(&explained(verdicts)), want, "{verdicts:?}");
        }
    }

    #[test]
    fn a_frame_is_read_as_people_copy_it() {
        for text in ["0xFFaa", "ff aa", "ff:aa"] {
            assert_eq!(hex_digits(text).unwrap(), "ffaa", "{text}");
        }
        for text in ["", "f", "fg", "0x"] {
            assert!(hex_digits(text).is_err(), "{text}");
        }
    }
}

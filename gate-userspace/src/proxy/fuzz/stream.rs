//! Bytes that pass: seen the same however they are cut, and never changed.

use http::{HeaderMap, Request, header};

use super::credential::headers;
use crate::proxy::{frames::Frames, head, hop, sse::Scanner, upgrade};

/// The first byte says how the stream is cut. The scanner only borrows, so the bytes stay.
pub fn sse(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else {
        return;
    };
    let mut whole = Scanner::new();
    whole.look(stream);
    let mut cut = Scanner::new();
    for piece in stream.chunks(usize::from(step % 16) + 1) {
        cut.look(piece);
    }
    assert_eq!(whole.is_complete(), cut.is_complete());
    assert_eq!(whole.closing(), cut.closing());
    // What is put behind the stream begins an event of its own, in any reader's eyes.
    let closed = [stream, whole.closing().as_bytes()].concat();
    assert!(
        closed.is_empty() || ends_event(&closed),
        "{}",
        closed.escape_ascii()
    );
    whole.look(whole.closing().as_bytes());
    assert_eq!(whole.closing(), "");
}

/// Whether the last line of an event stream is blank, each of CR LF, LF and CR one line end.
fn ends_event(stream: &[u8]) -> bool {
    let (mut lines, mut at) = (vec![0_usize], 0);
    while let Some(byte) = stream.get(at) {
        let is_pair = *byte == b'\r' && stream.get(at + 1) == Some(&b'\n');
        match byte {
            b'\r' | b'\n' => lines.push(0),
            _ => *lines.last_mut().expect("one line at least") += 1,
        }
        at += if is_pair { 2 } else { 1 };
    }
    // Behind the last line end nothing stands, and before it a blank line.
    matches!(lines[..], [.., 0, 0])
}

/// Headers of a handshake, a blank line, then the bytes of frames.
pub fn upgrade(data: &[u8]) {
    let (headers, frames) = headers(data);
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    if let Ok((head, ())) = head::read(request)
        && upgrade::is_wanted(&head)
    {
        asks_anew(head.headers);
    }
    let mut whole = Frames::default();
    whole.look(frames);
    let mut cut = Frames::default();
    for byte in frames {
        cut.look(&[*byte]);
    }
    assert_eq!(whole.is_between(), cut.is_between());
    assert_eq!(whole.is_between(), ends_with_frame(frames));
}

/// What goes upstream asks for this upgrade, once, and carries nothing of the hop.
fn asks_anew(mut headers: HeaderMap) {
    hop::strip(&mut headers);
    for gone in [
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRANSFER_ENCODING,
    ] {
        assert!(!headers.contains_key(gone));
    }
    assert!(
        !headers
            .keys()
            .any(|name| name.as_str().starts_with("x-gate-"))
    );
    upgrade::ask(&mut headers);
    for (name, value) in [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
    ] {
        assert!(headers.get_all(name).iter().eq([value].iter()));
    }
}

/// The same by the book: RFC 6455, section 5.2.
fn ends_with_frame(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some((&[_, second], rest)) = bytes.split_first_chunk() else {
            return false;
        };
        let told = match second & 0x7f {
            126 => rest
                .split_first_chunk()
                .map(|(n, rest)| (u64::from(u16::from_be_bytes(*n)), rest)),
            127 => rest
                .split_first_chunk()
                .map(|(n, rest)| (u64::from_be_bytes(*n), rest)),
            short => Some((u64::from(short), rest)),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let Some((length, rest)) = told.and_then(|(n, rest)| Some((n, rest.get(mask..)?))) else {
            return false;
        };
        let Some(behind) = usize::try_from(length).ok().and_then(|n| rest.get(n..)) else {
            return false;
        };
        bytes = behind;
    }
    true
}

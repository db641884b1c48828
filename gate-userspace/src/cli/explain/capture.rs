//! Reads the frames out of a capture file: the classic pcap form with Ethernet frames.
//!
//! Does not read pcapng. A record that claims more than the file holds ends with an error, because a
//! cut capture would otherwise look like a short one.

use std::path::Path;

use crate::cli::fault::Fault;

const FILE_HEAD: usize = 24;
const RECORD_HEAD: usize = 16;
const ETHERNET: u32 = 1;
/// Each frame is a question of its own to the gate.
const MOST_FRAMES: usize = 10_000;

#[derive(Clone, Copy)]
enum Endian {
    Little,
    Big,
}

/// What a capture holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Capture {
    pub(super) frames: Vec<Vec<u8>>,
    /// How many of them were longer on the wire than what was kept.
    pub(super) cut: usize,
}

pub(super) fn read(file: &Path) -> Result<Capture, Fault> {
    let bytes = std::fs::read(file).map_err(|cause| {
        Fault::refused(format!("cannot read {}", file.display())).because(cause)
    })?;
    parse(&bytes).map_err(|why| {
        Fault::refused(format!("{} {why}", file.display())).hint(format!(
            "convert it: `editcap -F pcap {} capture.pcap`",
            file.display()
        ))
    })
}

fn parse(bytes: &[u8]) -> Result<Capture, &'static str> {
    let (head, mut rest) = bytes
        .split_at_checked(FILE_HEAD)
        .ok_or("is too short for a capture")?;
    let endian = match head.first_chunk() {
        // Microseconds and nanoseconds.
        Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => Endian::Little,
        Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => Endian::Big,
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => return Err("is pcapng, not pcap"),
        Some(_) | None => return Err("is not a capture"),
    };
    if word(head, 20, endian) & 0x0fff_ffff != ETHERNET {
        return Err("does not hold Ethernet frames");
    }
    let mut capture = Capture::default();
    while !rest.is_empty() {
        let (record, after) = rest
            .split_at_checked(RECORD_HEAD)
            .ok_or("ends inside a record")?;
        let length = usize::try_from(word(record, 8, endian)).unwrap_or(usize::MAX);
        let (frame, after) = after
            .split_at_checked(length)
            .ok_or("ends inside a frame")?;
        if capture.frames.len() == MOST_FRAMES {
            return Err("holds more than 10000 frames");
        }
        capture.frames.push(frame.to_vec());
        capture.cut += usize::from(word(record, 12, endian) > word(record, 8, endian));
        rest = after;
    }
    Ok(capture)
}

/// The word at `at`, which the caller made sure is there.
fn word(bytes: &[u8], at: usize, endian: Endian) -> u32 {
    let four = bytes
        .get(at..at + 4)
        .and_then(|four| four.try_into().ok())
        .expect("heads are longer than every offset read from them");
    match endian {
        Endian::Little => u32::from_le_bytes(four),
        Endian::Big => u32::from_be_bytes(four),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(frames: &[&[u8]], big: bool) -> Vec<u8> {
        let word = |value: u32| {
            if big {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut bytes = word(0xa1b2_c3d4).to_vec();
        bytes.extend([0; 16]);
        bytes.extend(word(ETHERNET));
        for frame in frames {
            let length = word(u32::try_from(frame.len()).unwrap());
            bytes.extend([0; 8]);
            bytes.extend(length);
            bytes.extend(length);
            bytes.extend_from_slice(frame);
        }
        bytes
    }

    #[test]
    fn frames_come_out_of_both_byte_orders() {
        let frames: [&[u8]; 2] = [b"first", b"second one"];
        for big in [false, true] {
            let read = parse(&capture(&frames, big)).unwrap();
            assert_eq!(
                (read.frames.as_slice(), read.cut),
                (&frames.map(<[u8]>::to_vec)[..], 0)
            );
        }
    }

    #[test]
    fn frames_that_the_capture_shortened_are_counted() {
        let mut bytes = capture(&[b"frame"], false);
        bytes[FILE_HEAD + 12] += 1;
        assert_eq!(parse(&bytes).unwrap().cut, 1);
    }

    #[test]
    fn a_cut_or_foreign_file_is_refused() {
        let whole = capture(&[b"frame"], false);
        for end in [0, 10, 30, whole.len() - 1] {
            assert!(parse(&whole[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(
            parse(&[0x0a, 0x0d, 0x0d, 0x0a].repeat(8)),
            Err("is pcapng, not pcap")
        );
    }
}

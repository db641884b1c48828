//! Frames out of a capture file, so that `explain` can judge what was really seen.
//!
//! The classic format only (what `tcpdump -w` writes), Ethernet only. The file may be a
//! stranger's: lengths are checked, nothing is allocated by its word.
#![warn(clippy::indexing_slicing, clippy::string_slice)]

use super::fault::KernelError;

const HEADER: usize = 24;
const RECORD: usize = 16;
const ETHERNET: u32 = 1;
/// No link of ours carries longer frames.
const FRAME_MAX: usize = 1 << 18;

/// Every frame, in the order of the file.
pub fn frames(bytes: &[u8]) -> Result<Vec<&[u8]>, KernelError> {
    let Some(magic) = bytes.first_chunk::<4>() else {
        return Err(KernelError::Frame("not a capture file"));
    };
    let word: fn([u8; 4]) -> u32 = match u32::from_le_bytes(*magic) {
        // Microseconds or nanoseconds, in either byte order.
        0xa1b2_c3d4 | 0xa1b2_3c4d => u32::from_le_bytes,
        0xd4c3_b2a1 | 0x4d3c_b2a1 => u32::from_be_bytes,
        _ => {
            return Err(KernelError::Frame(
                "not a capture file (pcapng is not read)",
            ));
        }
    };
    let at = |bytes: &[u8], offset: usize| Some(word(*bytes.get(offset..)?.first_chunk::<4>()?));
    if at(bytes, 20).map(|kind| kind & 0xffff) != Some(ETHERNET) {
        return Err(KernelError::Frame("the capture is not of Ethernet frames"));
    }
    let mut found = Vec::new();
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    while !rest.is_empty() {
        let length = at(rest, 8).map(|length| length as usize);
        let frame = length
            .filter(|length| *length <= FRAME_MAX)
            .and_then(|length| rest.get(RECORD..RECORD + length));
        let Some(frame) = frame else {
            return Err(KernelError::Frame("the capture file is cut short"));
        };
        found.push(frame);
        rest = rest.get(RECORD + frame.len()..).unwrap_or_default();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::from(0xa1b2_c3d4u32.to_le_bytes());
        bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]);
        for frame in frames {
            let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
            bytes.extend([0; 8]);
            bytes.extend(length);
            bytes.extend(length);
            bytes.extend(*frame);
        }
        bytes
    }

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let bytes = capture(&[b"first", b"", b"third"]);
        assert_eq!(
            frames(&bytes).unwrap(),
            [b"first".as_slice(), b"", b"third"]
        );
    }

    #[test]
    fn a_file_that_is_cut_or_foreign_is_refused() {
        let bytes = capture(&[b"first"]);
        for length in 0..bytes.len() {
            let whole = length == HEADER;
            assert_eq!(
                frames(bytes.get(..length).unwrap()).is_ok(),
                whole,
                "{length}"
            );
        }
        assert!(frames(&[0; 64]).is_err());
    }
}

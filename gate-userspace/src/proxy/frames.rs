//! Where one WebSocket frame ends and the next begins, in bytes that were written.
//!
//! Looks at nothing but lengths.

#[derive(Default)]
pub(crate) struct Frames {
    header: [u8; 14],
    have: usize,
    payload_left: u64,
}

impl Frames {
    pub(crate) fn look(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload_left > 0 {
                let here = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let skip = here.min(bytes.len());
                self.payload_left -= skip as u64;
                bytes = bytes.get(skip..).unwrap_or_default();
                continue;
            }
            if let Some(slot) = self.header.get_mut(self.have) {
                *slot = *first;
            }
            self.have += 1;
            bytes = rest;
            if let Some(payload) = self.payload() {
                (self.have, self.payload_left) = (0, payload);
            }
        }
    }

    /// Whether a frame may begin here.
    pub(crate) fn is_between(&self) -> bool {
        self.have == 0 && self.payload_left == 0
    }

    /// The length that a whole header tells.
    fn payload(&self) -> Option<u64> {
        let [_, second, extended @ ..] = &self.header;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let (bytes, length) = match second & 0x7f {
            126 => (2, None),
            127 => (8, None),
            length => (0, Some(u64::from(length))),
        };
        if self.have < 2 + bytes + mask {
            return None;
        }
        let told = extended.get(..bytes).unwrap_or_default();
        let told = told.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Some(length.unwrap_or(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_where_their_length_says() {
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let longer = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![7; 65536]].concat();
        let masked = [&[0x81, 0x82, 1, 2, 3, 4][..], &[7; 2]].concat();
        for frame in [&[0x81, 0][..], &[0x81, 2, 7, 7], &long, &longer, &masked] {
            let mut frames = Frames::default();
            let (last, before) = frame.split_last().unwrap();
            for byte in before {
                frames.look(&[*byte]);
                assert!(!frames.is_between());
            }
            frames.look(&[*last]);
            assert!(frames.is_between());
            frames.look(frame);
            assert!(frames.is_between());
            frames.look(before);
            assert!(!frames.is_between());
        }
    }
}

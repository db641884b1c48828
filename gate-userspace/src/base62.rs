//! Base62 digits (`0-9A-Za-z`, big-endian, left-padded with `0`) of fixed-width numbers.
//!
//! Does not handle variable width: a token's length is part of its form.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Digits that one division yields, and what it divides by: the largest power below 2^32.
const GROUP: usize = 5;
const DIVISOR: u64 = 62u64.pow(5);

/// The `DIGITS` base62 digits of a big-endian number of `BYTES` bytes, which are whole words of 4.
///
/// `DIGITS` must be wide enough: 6 for 4 bytes, 11 for 8, 43 for 32.
pub fn encode<const BYTES: usize, const DIGITS: usize>(mut number: [u8; BYTES]) -> [u8; DIGITS] {
    const { assert!(BYTES.is_multiple_of(4)) };
    let mut digits = [b'0'; DIGITS];
    for group in digits.rchunks_mut(GROUP) {
        let mut remainder = 0;
        let (words, _none) = number.as_chunks_mut::<4>();
        for word in words {
            let value = remainder << 32 | u64::from(u32::from_be_bytes(*word));
            let quotient = u32::try_from(value / DIVISOR);
            let quotient = quotient.expect("remainder < divisor, so the quotient fits a word");
            *word = quotient.to_be_bytes();
            remainder = value % DIVISOR;
        }
        for digit in group.iter_mut().rev() {
            let value = usize::try_from(remainder % 62).expect("less than 62");
            *digit = ALPHABET[value];
            remainder /= 62;
        }
        debug_assert_eq!(remainder, 0, "DIGITS is too narrow");
    }
    debug_assert!(number.iter().all(|byte| *byte == 0), "DIGITS is too narrow");
    digits
}

/// The number that up to eleven digits spell, if they spell one that fits 64 bits.
pub fn decode(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        number
            .checked_mul(62)?
            .checked_add(u64::from(value(*digit)?))
    })
}

/// Whether every byte is a digit.
pub fn is_digits(text: &[u8]) -> bool {
    text.iter().all(|byte| value(*byte).is_some())
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'Z' => Some(digit - b'A' + 10),
        b'a'..=b'z' => Some(digit - b'a' + 36),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_past_64_bits_is_refused() {
        let widest: [u8; 11] = encode(u64::MAX.to_be_bytes());
        assert_eq!(decode(&widest), Some(u64::MAX));
        let mut past = widest;
        past[10] += 1;
        assert_eq!(decode(&past), None);
        assert_eq!(decode(b"zzzzzzzzzzz"), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(number: u64) {
            let digits: [u8; 11] = encode(number.to_be_bytes());
            prop_assert!(is_digits(&digits));
            prop_assert_eq!(decode(&digits), Some(number));
        }
    }
}

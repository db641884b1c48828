//! A short run without a fuzzer: every file of the corpora, and thousands of variants of them.

use std::{collections::BTreeSet, fs, panic::catch_unwind, path::PathBuf};

use super::*;

/// Variants of each corpus file.
const VARIANTS: u64 = 400;

#[test]
fn every_corpus_file_and_its_variants_keep_the_promises() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "target {name} has no corpus");
        let words: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        for (number, file) in files.iter().enumerate() {
            feed(name, target, file);
            for variant in 0..VARIANTS {
                let seed = variant << 16 | number as u64;
                feed(name, target, &mutated(file, &words, &mut Random(seed)));
            }
        }
    }
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let have: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let want = TARGETS.map(|(name, _)| name.to_owned());
    assert_eq!(have, BTreeSet::from(want));
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder().join(name)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn feed(name: &str, target: Target, data: &[u8]) {
    assert!(
        catch_unwind(|| target(data)).is_ok(),
        "target {name} breaks its promise on {}",
        data.escape_ascii()
    );
}

/// A few random changes: bytes turned, cut, put in, doubled, and pieces of other files.
fn mutated(file: &[u8], others: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut data = file.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        let end = (at + random.below(8)).min(data.len());
        match random.below(6) {
            0 => data.truncate(at),
            1 => drop(data.drain(at..end)),
            2 => data.insert(at, INTERESTING[random.below(INTERESTING.len())]),
            3 => {
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            4 => {
                let other = others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                let piece = &other[from..(from + random.below(32)).min(other.len())];
                data.splice(at..at, piece.iter().copied());
            }
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    data
}

const INTERESTING: [u8; 20] = *b"\0\r\n\t %./\\;:25eEfF{}\xff";

/// The same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = bound as u64;
        usize::try_from((mixed ^ mixed >> 31) % bound).expect("below a usize")
    }
}

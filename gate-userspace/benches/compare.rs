//! Does the time to refuse a token tell which of its bytes was wrong? `cargo bench --bench compare`
//!
//! Times the whole way of a presented token: hash, look up, compare. Rounds alternate, so that a
//! noisy neighbour hits both; the answer is a ratio of medians, never an absolute time.

use std::{hint::black_box, time::Instant};

use gate_userspace::secret::{NewToken, Shown};

const ROUNDS: usize = 2001;
const PER_ROUND: u32 = 200;

#[expect(clippy::print_stdout, reason = "a bench tells its result")]
fn main() {
    let token = NewToken::mint().expect("the system has random numbers");
    let right = token.digest;
    let text = token.reveal();
    // The secret's first and last digit; both are base62 digits before and after.
    let wrong = |at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        bytes
    };
    let (first, last) = (wrong(17), wrong(59));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (which, bytes) in [&first, &last].into_iter().enumerate() {
            let start = Instant::now();
            for _ in 0..PER_ROUND {
                let shown = Shown::read(black_box(bytes)).expect("it is not empty");
                assert!(black_box(shown.digest != right));
            }
            if round > 0 {
                times[which].push(start.elapsed().as_nanos() / u128::from(PER_ROUND));
            }
        }
    }
    let [first, last] = times.map(median);
    println!("wrong first digit  {first} ns");
    println!("wrong last digit   {last} ns");
    println!("ratio              {:.3}", ratio(first, last));
}

fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of a hash fit a double exactly"
)]
fn ratio(first: u128, last: u128) -> f64 {
    first as f64 / last as f64
}

//! Four judges on one frame: XDP and tc by test run, the same core on the host, and a reference
//! that shares nothing with them. They must never disagree in a way that matters.
//!
//! `GATE_ORACLE_FRAMES` sets how many frames; the default fits a test run.

use gate_common::packet::Slice;
use gate_common::verdict::judge;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::grammar::frames;
use crate::lab::root;
use crate::reference::{Fate, fate};
use crate::world::{Host, Kernel};

const FRAMES: u32 = 200_000;

fn number() -> u32 {
    std::env::var_os("GATE_ORACLE_FRAMES").map_or(FRAMES, |text| {
        text.to_str().and_then(|text| text.parse().ok()).unwrap()
    })
}

#[test]
fn no_frame_is_judged_differently_by_program_core_and_reference() {
    if !root() {
        return;
    }
    let kernel = Kernel::load();
    let mut seen = [0u32; 3];
    let counted = std::cell::RefCell::new(&mut seen);
    let config = Config {
        cases: number(),
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&frames(), |frame| {
        let core = judge(&Slice(&frame), &Host);
        let reference = fate(&frame);
        counted.borrow_mut()[reference as usize] += 1;
        let check = |judge: &str, passes: bool| {
            let agrees = match reference {
                Fate::Drop => !passes,
                Fate::Pass => passes,
                Fate::Either => true,
            };
            if agrees && passes == core.passes() {
                return Ok(());
            }
            let bytes: Vec<String> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
            Err(TestCaseError::fail(format!(
                "{judge} passes={passes} core={core:?} reference={reference:?} {}",
                bytes.join("")
            )))
        };
        check("core", core.passes())?;
        check("xdp", kernel.xdp(&frame))?;
        kernel
            .tc(&frame)
            .map_or(Ok(()), |passes| check("tc", passes))
    });
    result.unwrap();
    // A grammar that never got to a guarded port would prove nothing.
    let [dropped, passed, either] = seen;
    println!("must drop {dropped}, must pass {passed}, either {either}");
    assert!(
        dropped > number() / 20 && passed > number() / 20,
        "{seen:?}"
    );
}

//! The programs that gate's are compared with, and those that vary the source of a frame.
//!
//! Frames here are IPv4 without options, so a yardstick reads at fixed places: it does the least
//! that any filter for such a frame must do.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::assembler::{Do, Helper, Program, STACK, When, Width};
use super::sys::{Hook, load};

/// Where an untagged IPv4 frame has its source, its identification and its TCP port.
const SOURCE: i16 = 26;
const IDENTIFICATION: i16 = 18;
const PORT: i16 = 36;
const PROTOCOL: i16 = 23;
const KIND: i16 = 12;
const END: i32 = 54;
/// The ports in an entry.
const ENTRY_PORTS: i16 = 8;

/// What passes and what drops.
#[derive(Clone, Copy)]
pub(crate) struct Verdicts {
    pub(crate) pass: i32,
    pub(crate) drop: i32,
}

pub(crate) const fn verdicts(hook: Hook) -> Verdicts {
    match hook {
        Hook::Xdp => Verdicts { pass: 2, drop: 1 },
        Hook::Tcx => Verdicts { pass: -1, drop: 2 },
    }
}

/// Answers at once.
pub(crate) fn bare(hook: Hook, verdict: i32) -> io::Result<OwnedFd> {
    let mut program = Program::default();
    program.answer(verdict);
    load(hook, &program.finish())
}

/// Reads the frame to its port and drops what goes there.
pub(crate) fn parse(hook: Hook, port: u16) -> io::Result<OwnedFd> {
    let mut program = Program::default();
    parsed(&mut program, hook, port);
    program.answer(verdicts(hook).drop);
    load(hook, &program.finish())
}

/// What a lookup does with what it found.
#[derive(Clone, Copy)]
pub(crate) enum Depth {
    /// It is enough that there is something.
    Presence,
    /// Judges by a word of the entry, which lies on a cache line of its own.
    Entry,
}

/// The same, and one lookup of the source in `table`: found passes, else drops.
pub(crate) fn lookup(
    hook: Hook,
    port: u16,
    table: BorrowedFd<'_>,
    depth: Depth,
) -> io::Result<OwnedFd> {
    let mut program = Program::default();
    parsed(&mut program, hook, port);
    program
        .load(Width::Word, 3, 6, SOURCE)
        .store(Width::Word, STACK, -4, 3)
        .with(Do::Set, 2, STACK)
        .by(Do::Add, 2, -4)
        .map(1, table.as_raw_fd())
        .call(Helper::Lookup);
    let unknown = program.label();
    program.jump_if(When::Equal, 0, 0, unknown);
    match depth {
        Depth::Presence => {}
        Depth::Entry => {
            program.load(Width::Word, 3, 0, ENTRY_PORTS);
            program.jump_if(When::Equal, 3, 0, unknown);
        }
    }
    program.answer(verdicts(hook).pass);
    program.bind(unknown).answer(verdicts(hook).drop);
    load(hook, &program.finish())
}

/// Leaves the start of the frame in register 6; whatever is not TCP to the port passes.
fn parsed(program: &mut Program, hook: Hook, port: u16) {
    let (start, end) = match hook {
        Hook::Xdp => (0, 4),
        Hook::Tcx => (76, 80),
    };
    let pass = program.label();
    let go_on = program.label();
    program
        .load(Width::Word, 6, 1, start)
        .load(Width::Word, 7, 1, end)
        .with(Do::Set, 2, 6)
        .by(Do::Add, 2, END);
    program.jump_if_register(When::Above, 2, 7, pass);
    for (width, at, wanted) in [
        (Width::Half, KIND, 0x0800u16.to_be()),
        (Width::Byte, PROTOCOL, 6),
        (Width::Half, PORT, port.to_be()),
    ] {
        program.load(width, 3, 6, at);
        program.jump_if(When::Differs, 3, i32::from(wanted), pass);
    }
    program.by(Do::Set, 0, 0);
    program.jump_if(When::Equal, 0, 0, go_on);
    program.bind(pass).answer(verdicts(hook).pass);
    program.bind(go_on);
}

/// Which sources a varied frame has.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// The first, in host order.
    pub(crate) base: u32,
    /// How many; any of them is as likely.
    pub(crate) count: u32,
}

/// What becomes of a varied frame.
#[derive(Clone, Copy)]
pub(crate) enum Then<'a> {
    /// Judged by the program in this table.
    Judge(BorrowedFd<'a>),
    /// Sent out of a device.
    Send(u32),
    /// Handed to the stack of the device that it claims to come from.
    Stack,
}

/// Gives every frame a source of the span, with the identification that keeps the checksum of the
/// header right.
pub(crate) fn vary(span: Span, then: Then<'_>) -> io::Result<OwnedFd> {
    let mut program = Program::default();
    let short = program.label();
    program.with(Do::Set, 8, 1).call(Helper::Random);
    // (random * count) >> 32: no division, and every source is as likely.
    program
        .with(Do::Set, 9, 0)
        .by(Do::Left, 9, 32)
        .by(Do::Right, 9, 32)
        .by(Do::Set, 3, span.count.cast_signed())
        .by(Do::Left, 3, 32)
        .by(Do::Right, 3, 32)
        .with(Do::Mul, 9, 3)
        .by(Do::Right, 9, 32)
        .by(Do::Set, 3, span.base.cast_signed())
        .by(Do::Left, 3, 32)
        .by(Do::Right, 3, 32)
        .with(Do::Add, 9, 3);
    program
        .load(Width::Word, 6, 8, 0)
        .load(Width::Word, 7, 8, 4)
        .with(Do::Set, 2, 6)
        .by(Do::Add, 2, END);
    program.jump_if_register(When::Above, 2, 7, short);
    // In one store: a load of a word that was stored byte by byte has to wait.
    program
        .with(Do::Set, 3, 9)
        .big_endian(3)
        .store(Width::Word, 6, SOURCE, 3);
    // Ones' complement of the source's two halves: their sum stays 0xffff.
    program
        .with(Do::Set, 3, 9)
        .by(Do::Right, 3, 16)
        .with(Do::Set, 4, 9)
        .by(Do::And, 4, 0xffff)
        .with(Do::Add, 3, 4)
        .with(Do::Set, 4, 3)
        .by(Do::Right, 4, 16)
        .by(Do::And, 3, 0xffff)
        .with(Do::Add, 3, 4)
        .by(Do::Xor, 3, 0xffff)
        .with(Do::Set, 4, 3)
        .by(Do::Right, 4, 8)
        .store(Width::Byte, 6, IDENTIFICATION, 4)
        .store(Width::Byte, 6, IDENTIFICATION + 1, 3);
    match then {
        Then::Judge(table) => program
            .with(Do::Set, 1, 8)
            .map(2, table.as_raw_fd())
            .by(Do::Set, 3, 0)
            .call(Helper::TailCall),
        Then::Send(ifindex) => program
            .by(Do::Set, 1, ifindex.cast_signed())
            .by(Do::Set, 2, 0)
            .call(Helper::Redirect)
            .end(),
        Then::Stack => program.answer(verdicts(Hook::Xdp).pass),
    };
    // A frame too short, or a jump that failed.
    program.bind(short).answer(0);
    load(Hook::Xdp, &program.finish())
}

//! What the packet ring promises for any frame and any capture file.

use std::{cell::Cell, net::Ipv4Addr};

use gate_common::address::{Address, V4};
use gate_common::entry::Entry;
use gate_common::packet::{self, Slice};
use gate_common::reason::Reason;
use gate_common::verdict::{Sources, Tables, judge};

use super::pcap_frames;

/// The one port that is guarded, at every address.
const PORT: u16 = 8765;
const CLASS: u32 = 1;

/// A frame, judged with nobody listed, with everybody, and by a closed gate.
pub fn frame(data: &[u8]) {
    let frame = Slice(data);
    let judged = |world: World| judge(&frame, &world);
    let nobody = judged(World::default());
    let everybody = judged(World {
        lists: true,
        ..World::default()
    });
    let closed = judged(World {
        lists: true,
        is_closed: true,
        ..World::default()
    });
    assert!(nobody != Reason::Allowed, "nobody is listed");
    assert!(closed != Reason::Allowed, "a closed gate allows nobody");
    assert!(
        everybody.passes() || !nobody.passes(),
        "listing shuts: {nobody:?} {everybody:?}"
    );
    assert!(
        nobody.passes() || !closed.passes(),
        "closing opens: {nobody:?} {closed:?}"
    );
    let drawn = Cell::new(false);
    let spent = judged(World {
        lists: true,
        drawn: Some(&drawn),
        ..World::default()
    });
    assert!(
        spent == everybody || drawn.get(),
        "the budget counts without being asked"
    );
    // What an event shows of it is cut to the frame by its reader; it must not wrap.
    assert!(packet::headers(&frame) <= packet::HEADERS_MAX + 256);
}

/// Frames lie in the file, one behind the other.
pub fn pcap(data: &[u8]) {
    let Ok(frames) = pcap_frames(data) else {
        return;
    };
    let mut end = data.as_ptr_range().start;
    for frame in frames {
        let range = frame.as_ptr_range();
        assert!(end <= range.start && range.end <= data.as_ptr_range().end);
        end = range.end;
    }
}

/// One guarded port, and who may reach it.
#[derive(Clone, Copy, Default)]
struct World<'a> {
    lists: bool,
    is_closed: bool,
    /// Notes that the budget was asked, which is empty then.
    drawn: Option<&'a Cell<bool>>,
}

impl<A: Address> Sources<A> for World<'_> {
    fn local(&self, address: A) -> u32 {
        let other = V4::from(Ipv4Addr::new(192, 0, 2, 1)).wide();
        if address.wide() == other {
            0
        } else {
            1 << CLASS
        }
    }
    fn maybe_known(&self, _: A) -> bool {
        self.lists
    }
    fn exact(&self, _: A) -> Option<Entry> {
        self.lists.then(|| Entry {
            tag: 7,
            ports: 1 << CLASS,
            reach: 1 << CLASS,
            shape: Entry::shape(32, false, 0),
            ..Entry::default()
        })
    }
    fn net(&self, _: A, _: u32) -> Option<Entry> {
        None
    }
    fn draw(&self, _: A) -> bool {
        self.drawn.inspect(|drawn| drawn.set(true)).is_none()
    }
}

impl Tables for World<'_> {
    fn port(&self, port: u16) -> u32 {
        if port == PORT { CLASS } else { 0 }
    }
    fn anywhere(&self) -> u32 {
        0
    }
    fn shut(&self) -> u32 {
        0
    }
    fn closed(&self) -> bool {
        self.is_closed
    }
    fn is_past(&self, _: u32) -> bool {
        false
    }
    fn bound(&self, _: u32) -> Option<Entry> {
        None
    }
    fn accuse(&self, _: u32) {}
}

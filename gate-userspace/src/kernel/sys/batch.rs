//! Many elements of one map in one system call (Linux 5.6).
//!
//! A call may do a part of what it was asked for and then fail: how many it did comes back beside
//! the error, so that nothing is taken for written that is not.

use std::io;
use std::os::fd::BorrowedFd;

use aya::Pod;

use super::{bpf, number};

const LOOKUP_BATCH: libc::c_int = 24;
const UPDATE_BATCH: libc::c_int = 26;
const DELETE_BATCH: libc::c_int = 27;

/// Elements in one call: enough to make the call itself cost nothing, few enough to hold no lock
/// for long.
const CHUNK: usize = 4096;

#[repr(C)]
#[derive(Default)]
struct Batch {
    /// Where to go on, and where the kernel says that is.
    from: u64,
    next: u64,
    keys: u64,
    values: u64,
    /// In: so many at most. Out: so many were done.
    count: u32,
    map: u32,
    elem_flags: u64,
    flags: u64,
}

/// What was not done: the element that the kernel refused, and why.
#[derive(Debug)]
pub(in super::super) struct Stopped {
    pub(in super::super) at: usize,
    pub(in super::super) why: io::Error,
}

/// Writes all of them, in order, until one is refused.
pub(in super::super) fn update<K: Pod, V: Pod>(
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> Result<(), Stopped> {
    let mut done = 0;
    for (keys, values) in keys.chunks(CHUNK).zip(values.chunks(CHUNK)) {
        let mut attr = Batch {
            keys: keys.as_ptr() as u64,
            values: values.as_ptr() as u64,
            ..of(map, keys.len().min(values.len()))
        };
        step(UPDATE_BATCH, &mut attr, &mut done)?;
    }
    Ok(())
}

/// Removes all of them, in order, until one is refused; one that is not there is refused.
pub(in super::super) fn delete<K: Pod>(map: BorrowedFd<'_>, keys: &[K]) -> Result<(), Stopped> {
    let mut done = 0;
    for keys in keys.chunks(CHUNK) {
        let mut attr = Batch {
            keys: keys.as_ptr() as u64,
            ..of(map, keys.len())
        };
        step(DELETE_BATCH, &mut attr, &mut done)?;
    }
    Ok(())
}

/// A hash table or an array with keys of 32 bits, read chunk by chunk.
pub(in super::super) struct Reader<'fd, K, V> {
    map: BorrowedFd<'fd>,
    cursor: Option<u32>,
    is_over: bool,
    keys: Vec<K>,
    values: Vec<V>,
}

impl<'fd, K: Pod, V: Pod> Reader<'fd, K, V> {
    pub(in super::super) fn new(map: BorrowedFd<'fd>) -> Self {
        Self {
            map,
            cursor: None,
            is_over: false,
            keys: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The next ones; `None` after the last.
    pub(in super::super) fn next(
        &mut self,
    ) -> io::Result<Option<impl Iterator<Item = (K, V)> + '_>> {
        let mut room = CHUNK;
        while !self.is_over {
            self.keys.clear();
            self.values.clear();
            self.keys.reserve(room);
            self.values.reserve(room);
            let mut next = 0u32;
            let mut attr = Batch {
                from: self
                    .cursor
                    .as_ref()
                    .map_or(0, |at| std::ptr::from_ref(at) as u64),
                next: std::ptr::from_mut(&mut next) as u64,
                keys: self.keys.as_mut_ptr() as u64,
                values: self.values.as_mut_ptr() as u64,
                ..of(self.map, room)
            };
            match bpf(LOOKUP_BATCH, &mut attr) {
                Ok(_) => {}
                Err(why) => match why.raw_os_error() {
                    // The last chunk comes with this.
                    Some(libc::ENOENT) => self.is_over = true,
                    // One bucket holds more than there is room for.
                    Some(libc::ENOSPC) => {
                        room *= 2;
                        continue;
                    }
                    Some(libc::EINTR) => continue,
                    _ => return Err(why),
                },
            }
            self.cursor = Some(next);
            let count = usize::try_from(attr.count)
                .map_err(io::Error::other)?
                .min(room);
            // SAFETY: room for that many was reserved, the kernel wrote so many elements of `Pod`
            // types, whose sizes are those of the map.
            unsafe {
                self.keys.set_len(count);
                self.values.set_len(count);
            }
            if count > 0 {
                return Ok(Some(
                    self.keys.iter().copied().zip(self.values.iter().copied()),
                ));
            }
        }
        Ok(None)
    }
}

fn of(map: BorrowedFd<'_>, count: usize) -> Batch {
    Batch {
        // At most a chunk.
        count: u32::try_from(count).unwrap_or(0),
        map: number(map),
        ..Batch::default()
    }
}

fn step(command: libc::c_int, attr: &mut Batch, done: &mut usize) -> Result<(), Stopped> {
    let asked = attr.count;
    let outcome = bpf(command, attr);
    // A call that failed before its first element leaves the number as it was.
    let is_count = outcome.is_ok() || attr.count < asked;
    *done += if is_count { attr.count as usize } else { 0 };
    outcome.map(drop).map_err(|why| Stopped { at: *done, why })
}

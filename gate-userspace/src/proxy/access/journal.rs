//! Takes lines from the workers and writes them, from a thread of its own.
//!
//! A worker never waits for the disk or for a reader: what does not fit is dropped, counted and
//! told. Lines are taken in batches, so most calls pay for no system call and wake nobody.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing::warn;

/// How much may wait to be written: some thousand lines.
const ROOM: usize = 1 << 20;

/// How long lines gather. What a crash loses is no older.
const GATHER: Duration = Duration::from_millis(5);

/// How a line is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// Where the workers leave their lines.
pub struct Lines {
    form: Form,
    pending: Mutex<Pending>,
    more: Condvar,
}

#[derive(Default)]
struct Pending {
    text: Vec<u8>,
    lost: u64,
    is_writer_asleep: bool,
    is_over: bool,
}

/// The thread that writes. Dropped, it has written what it was given before.
pub struct Journal {
    lines: Arc<Lines>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn push(&self, line: &[u8]) {
        let mut pending = self.pending();
        if pending.text.len() + line.len() > ROOM {
            pending.lost += 1;
            return;
        }
        pending.text.extend_from_slice(line);
        if mem::take(&mut pending.is_writer_asleep) {
            drop(pending);
            self.more.notify_one();
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        loop {
            let mut pending = self.pending();
            while pending.text.is_empty() && pending.lost == 0 && !pending.is_over {
                pending.is_writer_asleep = true;
                let woken = self.more.wait(pending);
                pending = woken.unwrap_or_else(PoisonError::into_inner);
            }
            pending.is_writer_asleep = false;
            mem::swap(&mut batch, &mut pending.text);
            let (lost, is_over) = (mem::take(&mut pending.lost), pending.is_over);
            drop(pending);
            // A log that nobody takes any more must not end the gate.
            let _taken_or_not = out.write_all(&batch);
            batch.clear();
            if lost > 0 {
                warn!(
                    lost,
                    "access lines were dropped: the log is not taken fast enough"
                );
            }
            if is_over {
                return;
            }
            thread::sleep(GATHER);
        }
    }
}

impl Journal {
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(form: Form, out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Arc::new(Lines {
            form,
            pending: Mutex::default(),
            more: Condvar::new(),
        });
        let written = Arc::clone(&lines);
        let thread = thread::Builder::new()
            .name("gate-access".to_owned())
            .spawn(move || written.write_all(out))?;
        Ok(Self {
            lines,
            thread: Some(thread),
        })
    }

    pub fn lines(&self) -> Arc<Lines> {
        Arc::clone(&self.lines)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.lines.pending().is_over = true;
        self.lines.more.notify_one();
        if let Some(thread) = self.thread.take() {
            // If it panicked it has told so on stderr.
            let _told = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Out(mpsc::Sender<Vec<u8>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn dropped_it_has_written_every_line_in_order() {
        let (out, written) = mpsc::channel();
        let journal = Journal::start(Form::Text, Out(out)).unwrap();
        let wanted: Vec<String> = (0..1000).map(|number| format!("{number}\n")).collect();
        for line in &wanted {
            journal.lines().push(line.as_bytes());
        }
        drop(journal);
        let written: Vec<u8> = written.iter().flatten().collect();
        assert_eq!(String::from_utf8(written).unwrap(), wanted.concat());
    }

    /// Takes nothing before it is told to.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _until_then = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_holds_up_nobody() {
        let (goes_on, stuck) = mpsc::channel();
        let journal = Journal::start(Form::Text, Stuck(stuck)).unwrap();
        let line = vec![b'x'; ROOM / 4];
        // At most one batch is with the writer, and one waits.
        for _ in 0..20 {
            journal.lines().push(&line);
        }
        assert!(journal.lines().pending().text.len() <= ROOM);
        assert!(journal.lines().pending().lost >= 20 - 8);
        drop(goes_on);
        drop(journal);
    }
}

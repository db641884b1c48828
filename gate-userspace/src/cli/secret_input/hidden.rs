//! Typing that does not show: the terminal's echo is off while a [`Hidden`] lives.
//!
//! A terminal without echo is unusable, so Ctrl-C and its like must not end the program before the
//! echo is back: these signals are held while a line is awaited, and act once it is restored.

use std::{io::Stdin, os::fd::AsFd as _};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal},
        signalfd::{SfdFlags, SignalFd},
        termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr},
    },
};
use zeroize::Zeroizing;

use crate::cli::fault::Fault;

/// What a user sends from the keyboard, or the system at its end.
const HELD: [Signal; 5] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGTERM,
    Signal::SIGHUP,
];

pub(super) struct Hidden<'a> {
    terminal: &'a Stdin,
    settings_before: Termios,
    signals_before: SigSet,
    signals: SignalFd,
}

impl<'a> Hidden<'a> {
    pub(super) fn start(terminal: &'a Stdin) -> Result<Self, Fault> {
        Self::try_start(terminal).map_err(|cause| {
            Fault::refused("cannot turn the terminal's echo off")
                .because(cause)
                .hint("pipe the secret in: `pass show provider/key | gatectl ...`")
        })
    }

    fn try_start(terminal: &'a Stdin) -> nix::Result<Self> {
        let settings_before = tcgetattr(terminal)?;
        let held = SigSet::from_iter(HELD);
        let signals = SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC)?;
        let signals_before = held.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        // From here on a failure restores what was changed.
        let hidden = Self {
            terminal,
            settings_before,
            signals_before,
            signals,
        };
        let mut silent = hidden.settings_before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(hidden)
    }

    /// One line; nothing when a signal came first, which acts when `self` is dropped.
    pub(super) fn read_line(&self) -> Result<Zeroizing<String>, Fault> {
        let cannot = || Fault::refused("cannot read the terminal");
        let mut line = Zeroizing::new(String::new());
        let mut waiting = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN),
        ];
        while let Err(cause) = poll(&mut waiting, PollTimeout::NONE) {
            // Stopped from outside and continued.
            if cause != Errno::EINTR {
                return Err(cannot().because(cause));
            }
        }
        let [signal, _typed] = waiting;
        if signal.any() != Some(true) {
            self.terminal
                .read_line(&mut line)
                .map_err(|cause| cannot().because(cause))?;
        }
        Ok(line)
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _gone = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.settings_before);
        // A signal that was held acts here.
        let _same = self.signals_before.thread_set_mask();
    }
}

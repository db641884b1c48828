//! A terminal to type into: a pseudo-terminal pair whose far end is the program's stdin and stderr.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
};

use nix::{
    pty::openpty,
    sys::termios::{LocalFlags, tcgetattr},
};

pub(crate) struct Terminal {
    keyboard: File,
    program: OwnedFd,
    seen: String,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let pair = openpty(None, None).unwrap();
        Self {
            keyboard: pair.master.into(),
            program: pair.slave,
            seen: String::new(),
        }
    }

    /// Starts the command with this terminal in front of it.
    pub(crate) fn run(&self, mut command: Command) -> Child {
        let end = || Stdio::from(self.program.try_clone().unwrap());
        command.stdin(end()).stderr(end()).spawn().unwrap()
    }

    /// Reads the screen until the text stands there.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let mut part = [0; 1024];
            let count = self.keyboard.read(&mut part).unwrap();
            self.seen
                .push_str(std::str::from_utf8(&part[..count]).unwrap());
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(line.as_bytes()).unwrap();
        self.keyboard.write_all(b"\n").unwrap();
    }

    pub(crate) fn echoes(&self) -> bool {
        let settings = tcgetattr(&self.program).unwrap();
        settings.local_flags.contains(LocalFlags::ECHO)
    }

    /// All that ever stood on the screen; to be asked once the program has ended.
    pub(crate) fn seen(&mut self) -> &str {
        // A mark of our own ends the screen, so that reading it does not wait for more.
        let mut end = File::from(self.program.try_clone().unwrap());
        end.write_all(b"<end>").unwrap();
        self.wait_for("<end>");
        &self.seen
    }
}

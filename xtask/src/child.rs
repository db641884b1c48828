//! A program to run: built once, then run, read, or printed so that a user can paste it.
//!
//! What is printed is what is run, environment and `sudo` included: a plan the user is shown and
//! the plan that is carried out cannot differ.

use std::{
    convert::Infallible,
    ffi::OsStr,
    fmt, fs,
    io::{self, Read as _, Seek as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, bail};

use crate::surroundings;

/// A program with its arguments and environment. Runs at the repository's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    env: Vec<(String, String)>,
    words: Vec<String>,
}

impl Child {
    pub(crate) fn new(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            env: Vec::new(),
            words: words.into_iter().map(Into::into).collect(),
        }
    }

    pub(crate) fn arg(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    pub(crate) fn args(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// The same program run as root by way of `sudo`, which drops the environment.
    pub(crate) fn with_sudo(&self) -> Self {
        let env = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let words = ["sudo".to_owned()]
            .into_iter()
            .chain(env)
            .chain(self.words.iter().cloned());
        Self {
            env: Vec::new(),
            words: words.collect(),
        }
    }

    /// Runs it with this process's own input and output, and fails if it fails.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let status = self.status()?;
        if !status.success() {
            bail!("`{self}` failed ({status})");
        }
        Ok(())
    }

    /// Runs it with this process's own input and output.
    pub(crate) fn status(&self) -> anyhow::Result<ExitStatus> {
        self.command().status().with_context(|| self.not_started())
    }

    /// Runs it with everything it prints on stdout: test runners put their closing lines on stderr.
    pub(crate) fn status_on_stdout(&self) -> anyhow::Result<ExitStatus> {
        self.command()
            .stderr(io::stdout())
            .status()
            .with_context(|| self.not_started())
    }

    /// Runs it silently; what it printed ends up in `log` and, on failure, at the end of the error.
    pub(crate) fn run_logged(&self, log: &Path) -> anyhow::Result<()> {
        if let Some(dir) = log.parent() {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(log)
            .with_context(|| format!("open {}", log.display()))?;
        let before = file.metadata().map_or(0, |meta| meta.len());
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file.try_clone()?);
        let status = command.status().with_context(|| self.not_started())?;
        if status.success() {
            return Ok(());
        }
        let mut printed = Vec::new();
        file.seek(io::SeekFrom::Start(before))?;
        file.read_to_end(&mut printed)?;
        bail!(
            "`{self}` failed ({status}); it said:\n{}\n(all of it in {})",
            last_lines(&String::from_utf8_lossy(&printed), 15),
            log.display()
        );
    }

    /// What it prints on stdout, or nothing if it is missing or fails.
    pub(crate) fn read(&self) -> Option<String> {
        let output = self
            .command()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Whether it succeeds, and what it complained about if not.
    pub(crate) fn probe(&self) -> Result<(), String> {
        match self.command().stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Becomes the program, so that signals reach it directly. Returns only on failure.
    pub(crate) fn exec(&self) -> anyhow::Result<Infallible> {
        Err(self.command().exec()).with_context(|| self.not_started())
    }

    fn command(&self) -> Command {
        let mut words = self.words.iter().map(OsStr::new);
        let mut command = Command::new(words.next().expect("every caller names a program"));
        command
            .args(words)
            .env("PATH", surroundings::search_path())
            // A question about a toolchain must not install it.
            .env("RUSTUP_AUTO_INSTALL", "0")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(surroundings::root());
        command
    }

    fn not_started(&self) -> String {
        format!("start `{self}`")
    }
}

/// As a shell takes it.
impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = self.words.iter().map(|word| quoted(word));
        f.write_str(&env.chain(words).collect::<Vec<_>>().join(" "))
    }
}

/// A word in single quotes where a shell would otherwise change it. `$PATH` is left to the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+@,%$".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_command_survives_a_shell() {
        let child = Child::new(["cargo", "install"]).env("A", "x y").arg("it's");
        assert_eq!(child.to_string(), r"A='x y' cargo install 'it'\''s'");
    }

    #[test]
    fn sudo_carries_the_environment_as_words() {
        let child = Child::new(["apt-get", "install"]).env("DEBIAN_FRONTEND", "noninteractive");
        assert_eq!(
            child.with_sudo().to_string(),
            "sudo DEBIAN_FRONTEND=noninteractive apt-get install"
        );
    }

    #[test]
    fn failing_child_is_an_error_with_its_last_words() {
        let log = std::env::temp_dir().join(format!("xtask-child-{}", std::process::id()));
        let error = Child::new(["sh", "-c", "echo last words; exit 3"])
            .run_logged(&log)
            .unwrap_err();
        fs::remove_file(&log).unwrap();
        assert!(error.to_string().contains("last words"), "{error}");
    }

    #[test]
    fn absent_program_reads_as_nothing() {
        assert_eq!(Child::new(["gate-no-such-program"]).read(), None);
    }
}

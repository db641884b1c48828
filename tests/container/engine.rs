//! A container engine of one test: storage, settings and network of its own.
//!
//! There is no daemon. What runs ends with the test, also when that is killed: a helper waits for
//! the end of a pipe that only the test holds, and then removes every container.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::log::{Log, says};
use harness::need;
use harness::netns::Namespace;
use harness::scratch::Scratch;
use serde_json::Value;

/// Ends a broken run; a container starts in a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// The image of the Dockerfile.
pub(crate) const GATE: &str = "localhost/gate:test";
/// This machine's Python, and nothing else.
pub(crate) const PYTHON: &str = "localhost/python:test";

pub(crate) struct Engine {
    place: Namespace,
    folder: Scratch,
    remover: Option<Child>,
}

pub(crate) struct Container<'engine> {
    engine: &'engine Engine,
    name: &'static str,
    child: Child,
    log: Log,
}

impl Engine {
    /// None when there can be none here, which is reported.
    pub(crate) fn new() -> Option<Self> {
        let is_here = need::root()
            && ["podman", "runc"]
                .map(need::program)
                .iter()
                .all(Option::is_some);
        if !is_here {
            return None;
        }
        let folder = Scratch::new().unwrap();
        fs::write(folder.join("containers.conf"), settings(folder.path())).unwrap();
        fs::write(folder.join("storage.conf"), storage(folder.path())).unwrap();
        let mut engine = Self {
            place: Namespace::new("engine").unwrap(),
            folder,
            remover: None,
        };
        let remover = engine
            .command("sh")
            .args(["-c", "read -r _; podman rm --all --force --time 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not ended with the test's group.
            .process_group(0)
            .spawn();
        engine.remover = Some(remover.unwrap());
        Some(engine)
    }

    /// Where its containers run when they take the network of their host.
    pub(crate) fn place(&self) -> &Namespace {
        &self.place
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command that uses this engine, if any.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.place.command(program);
        command
            .env("CONTAINERS_CONF", self.folder.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.folder.join("storage.conf"));
        command
    }

    pub(crate) fn podman(&self, arguments: &[&str]) -> Command {
        let mut podman = self.command("podman");
        podman.args(arguments);
        podman
    }

    /// Makes [`GATE`]: what the Dockerfile copies from its first stage is laid out by the script
    /// that the first stage runs, around the programs that are tested.
    pub(crate) fn make_gate(&self) {
        let programs = need::built("GATED_BIN");
        let (stage, empty) = (self.folder.join("stage"), self.folder.join("empty"));
        fs::create_dir_all(&empty).unwrap();
        let mut lay_out = Command::new(deployed("image-root"));
        said(
            lay_out
                .arg(programs.parent().unwrap())
                .arg(stage.join("image")),
        );
        let build = ["build", "--isolation", "chroot", "--tag", GATE];
        let mut build = self.podman(&build);
        build.arg("--build-context");
        build.arg(format!("build={}", stage.display()));
        said(build.arg("--file").arg(deployed("Dockerfile")).arg(empty));
    }

    /// Makes [`PYTHON`].
    pub(crate) fn make_python(&self) {
        said(
            self.command("sh")
                .args(["-ec", IMPORT_PYTHON, "sh", PYTHON]),
        );
    }

    /// Starts a container of [`GATE`] that writes to a log here.
    pub(crate) fn run(
        &self,
        name: &'static str,
        options: &[String],
        arguments: &[&str],
    ) -> Container<'_> {
        let mut run = self.podman(&["run", "--rm", "--name", name, "--pull", "never"]);
        run.args(options).arg(GATE).args(arguments);
        run.stdin(Stdio::null());
        let mut child = run
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Container {
            engine: self,
            name,
            child,
            log: Log::follow(vec![Box::new(out), Box::new(err)]),
        }
    }

    /// What `gatectl` says inside a container.
    pub(crate) fn gatectl(&self, container: &str, arguments: &str) -> Value {
        let mut exec = self.podman(&["exec", container, "gatectl", "--output", "json"]);
        let text = said(exec.args(arguments.split(' ')));
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut remover) = self.remover.take() {
            // Closes its pipe, which is what it waits for.
            let _ended = remover.wait();
        }
    }
}

impl Container<'_> {
    pub(crate) async fn ready(&self) {
        self.log
            .wait(PATIENCE, |line| says(line, "ready"))
            .await
            .unwrap();
    }

    /// Its exit status and everything it said.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(PATIENCE, self.log.complete()).await;
        assert!(ended.is_ok(), "it went on: {}", self.log.text());
        (self.child.wait().unwrap().code(), self.log.text())
    }

    pub(crate) fn gatectl(&self, arguments: &str) -> Value {
        self.engine.gatectl(self.name, arguments)
    }

    /// Its first process, as the host counts.
    pub(crate) fn pid(&self) -> String {
        let inspect = ["inspect", "--format", "{{.State.Pid}}", self.name];
        said(&mut self.engine.podman(&inspect))
    }

    pub(crate) fn kill(mut self) {
        said(&mut self.engine.podman(&["kill", self.name]));
        self.child.wait().unwrap();
    }
}

/// What it writes to stdout. It must succeed.
pub(crate) fn said(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {complaint}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A file of `deploy/container`.
pub(crate) fn deployed(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().join("deploy/container").join(name)
}

/// Limits: raising a hard limit is denied to many a container that tests run in.
fn settings(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n\
         [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
         lock_type = \"file\"\ntmp_dir = \"{folder}/tmp\"\n\
         [network]\nnetwork_config_dir = \"{folder}/networks\"\n"
    )
}

/// Plain folders: an overlay cannot stand on an overlay.
fn storage(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{folder}/storage\"\nrunroot = \"{folder}/run\"\n"
    )
}

/// The interpreter, its library, and the shared objects that both name.
const IMPORT_PYTHON: &str = r#"
python=$(python3 -c 'import os, sys; print(os.path.dirname(sys.executable))')/python3
library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
objects=$(ldd "$python" "$library"/lib-dynload/*.so | grep -o '/[^ :]*\.so[^ :]*' | grep -v lib-dynload | sort -u)
tar --create --dereference --absolute-names --exclude=__pycache__ --exclude='*.a' --exclude='*/test' \
    --exclude='*/config-*' --exclude='*/ensurepip' --exclude='*/idlelib' \
    --exclude='*/lib2to3' --exclude='*/pydoc_data' --exclude='*/site-packages' --exclude='*/dist-packages' "$python" "$library" $objects |
    podman import --quiet --change "ENV PATH=$(dirname "$python")" - "$1"
"#;

//! Nothing that a test started is left when the test is over, however it ended.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::Process;

const PATIENCE: Duration = Duration::from_secs(10);

/// A leader that starts a child of its own and prints the child's number.
async fn family() -> (Process, u32) {
    let mut leader = Command::new("sh");
    let process = Process::spawn(leader.args(["-c", "sleep 1000 & echo $!; wait"])).unwrap();
    let child = process.log().wait(PATIENCE, |_| true).await.unwrap();
    (process, child.parse().unwrap())
}

/// Whether process `id` ends; nothing tells us when, so this looks again and again.
fn ends(id: u32) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        // An orphan that nobody reaps stays as a zombie.
        match fs::read_to_string(format!("/proc/{id}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => thread::yield_now(),
            _ended => return true,
        }
    }
    false
}

#[tokio::test]
async fn dropped_process_takes_its_children_along() {
    let (process, child) = family().await;
    let leader = process.id();
    drop(process);
    assert!(ends(leader) && ends(child));
}

#[tokio::test]
async fn killed_process_is_over_and_its_children_go_with_the_guard() {
    let (mut process, child) = family().await;
    process.kill().unwrap();
    assert_eq!(process.wait().unwrap(), None);
    drop(process);
    assert!(ends(child));
}

#[tokio::test]
async fn process_does_not_survive_the_thread_that_started_it() {
    let start = || Process::spawn(Command::new("sleep").arg("1000")).unwrap();
    let process = thread::spawn(start).join().unwrap();
    assert!(ends(process.id()));
}

#[tokio::test]
async fn exit_code_is_read_once_the_log_is_complete() {
    let mut command = Command::new("sh");
    let process = Process::spawn(command.args(["-c", "echo no; exit 78"])).unwrap();
    process.log().complete().await;
    assert_eq!(
        (process.wait().unwrap(), process.log().text()),
        (Some(78), "no".to_owned())
    );
}

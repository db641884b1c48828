//! What a place isolates, and what it leaves behind: nothing.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use super::Namespace;
use crate::need;

#[test]
fn loopback_of_a_place_is_its_own() {
    if !need::root() {
        return;
    }
    let place = Namespace::new("place").unwrap();
    let listener = place.enter(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    assert!(place.enter(|| TcpStream::connect(address)).is_ok());
    assert!(
        TcpStream::connect(address).is_err(),
        "the listener is visible outside"
    );
}

#[test]
fn devices_and_pins_of_a_place_are_its_own() {
    if !need::root() {
        return;
    }
    let place = Namespace::new("place").unwrap();
    let devices = || fs::read_dir("/sys/class/net").unwrap().count();
    assert_eq!(place.enter(devices), 1);
    place.enter(|| fs::create_dir("/sys/fs/bpf/pinned").unwrap());
    assert!(!Path::new("/sys/fs/bpf/pinned").exists());
    let listing = place.command("ls").arg("/sys/fs/bpf").output().unwrap();
    assert!(
        String::from_utf8_lossy(&listing.stdout)
            .lines()
            .any(|name| name == "pinned")
    );
}

#[test]
fn panic_inside_reaches_the_test() {
    if !need::root() {
        return;
    }
    let place = Namespace::new("place").unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        place.enter(|| assert!(Path::new("/nowhere").exists(), "seen"));
    }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"seen"));
}

#[test]
fn dropped_place_holds_no_descriptor() {
    if !need::root() {
        return;
    }
    let place = Namespace::new("place").unwrap();
    let handle = place.handle();
    let inode = fs::metadata(&handle).unwrap();
    drop(place);
    let still = fs::metadata(&handle).ok();
    let same = |still: fs::Metadata| {
        use std::os::unix::fs::MetadataExt;
        (still.dev(), still.ino()) == (inode.dev(), inode.ino())
    };
    assert!(!still.is_some_and(same));
}

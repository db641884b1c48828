//! What gate costs a sandbox on this host: frames it sends that are dropped, and bulk TCP it may send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::unistd::{Pid, gettid};

use super::figure::{Best, Figure, Goal, Samples};
use super::place::{OUTSIDE, Place, command, within};
use super::sys::{self, Emitter, Hook};
use super::world::{HERE, PORT, World, client, frame};
use super::yardstick::{bare, verdicts};

const ROUNDS: usize = 4;
/// Frames a round sends: a millisecond, so that some rounds are disturbed by nobody.
const FRAMES: u32 = 500;
const BURSTS: usize = 300;
/// How long one round of bulk TCP sends.
const BULK: Duration = Duration::from_millis(400);
const STRANGER: std::net::Ipv4Addr = std::net::Ipv4Addr::new(11, 0, 0, 5);

pub(crate) fn figures(world: &World, groups: usize) -> Result<Vec<Figure>> {
    let gate = world.program(Hook::Tcx)?;
    let drop = bare(Hook::Tcx, verdicts(Hook::Tcx).drop)?;
    let mut dropped = [const { Samples(Vec::new()) }; 3];
    let mut bulk = [const { Samples(Vec::new()) }; 2];
    for _ in 0..groups {
        for (samples, filter) in dropped
            .iter_mut()
            .zip([None, Some(drop.as_fd()), Some(gate)])
        {
            samples
                .0
                .push(within(|place| cost_of_sending(place, filter))?);
        }
        for (samples, filter) in bulk.iter_mut().zip([None, Some(gate)]) {
            samples.0.push(within(|place| throughput(place, filter))?);
        }
    }
    let [none, bare, gate] = dropped;
    let [free, gated] = bulk;
    let sent = "a sandbox's own frame, dropped by TCX";
    Ok(vec![
        Figure::new(
            sent,
            "ns",
            Best::Least,
            &gate,
            ("bare tc drop", &bare),
            Goal::AtMost(1.05),
        ),
        Figure::new(
            sent,
            "ns",
            Best::Least,
            &gate,
            ("no filter", &none),
            Goal::None,
        ),
        Figure::new(
            "bulk TCP of a client, TCX",
            "Gbit/s",
            Best::Most,
            &gated,
            ("no filter", &free),
            Goal::AtLeast(0.95),
        ),
    ])
}

/// Nanoseconds that sending one frame takes, the judgement included: a veth delivers on the
/// sender's CPU.
fn cost_of_sending(place: &Place, filter: Option<BorrowedFd<'_>>) -> Result<f64> {
    let _kept = filter
        .map(|program| sys::link(Hook::Tcx, program, place.inside))
        .transpose()?;
    let emitter = Emitter::new(place.outside).context("a socket for frames")?;
    let frame = frame(place.address, STRANGER, PORT);
    let mut least = f64::INFINITY;
    for _ in 0..BURSTS {
        let started = Instant::now();
        for _ in 0..FRAMES {
            emitter.send(&frame)?;
        }
        least = least.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(FRAMES));
    }
    Ok(least)
}

/// Gbit/s of one connection from a sandbox in a namespace of its own.
fn throughput(place: &Place, filter: Option<BorrowedFd<'_>>) -> Result<f64> {
    everywhere()?;
    let _kept = filter
        .map(|program| sys::link(Hook::Tcx, program, place.inside))
        .transpose()?;
    let (here, there) = mpsc::channel();
    let (moved, ready) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let sandbox = scope.spawn(move || -> Result<()> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            here.send(gettid())?;
            ready.recv()?;
            command("ip", &format!("addr add {}/32 dev {OUTSIDE}", client(5)))?;
            command("ip", &format!("link set {OUTSIDE} up"))?;
            command(
                "ip",
                &format!("route add 10.9.0.0/24 dev {OUTSIDE} src {}", client(5)),
            )?;
            let mut stream = TcpStream::connect(SocketAddr::from((HERE, PORT)))?;
            let block = vec![0u8; 1 << 17];
            let started = Instant::now();
            while started.elapsed() < BULK * u32::try_from(ROUNDS)? {
                stream.write_all(&block)?;
            }
            Ok(())
        });
        let listener = TcpListener::bind(SocketAddr::from((HERE, PORT)))?;
        let thread = there.recv()?;
        let path = format!("/proc/{}/task/{thread}/ns/net", std::process::id());
        command("ip", &format!("link set {OUTSIDE} netns {path}"))?;
        command("ip", &format!("route add {}/32 dev inside", client(5)))?;
        moved.send(())?;
        let (stream, _) = listener.accept()?;
        let best = receive(stream)?;
        sandbox
            .join()
            .map_err(|_panic| anyhow!("the sender panicked"))??;
        Ok(best)
    })
}

/// The best of several stretches.
fn receive(mut stream: TcpStream) -> Result<f64> {
    let mut block = vec![0u8; 1 << 18];
    let mut best = 0f64;
    loop {
        let started = Instant::now();
        let mut bytes = 0f64;
        while started.elapsed() < BULK {
            let count = stream.read(&mut block)?;
            if count == 0 {
                return Ok(best);
            }
            bytes += f64::from(u32::try_from(count)?);
        }
        best = best.max(bytes * 8.0 / started.elapsed().as_secs_f64() / 1e9);
    }
}

/// Undoes the pinning to one CPU: sender and receiver are two.
fn everywhere() -> Result<()> {
    let mut cpus = CpuSet::new();
    let count = thread::available_parallelism()?.get().max(2);
    for cpu in 0..count {
        cpus.set(cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &cpus)?)
}

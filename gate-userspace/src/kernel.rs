//! The kernel half of gate: loads the packet program, keeps it attached, and fills its tables.
//!
//! The rest of the daemon sees [`Agent`] and the messages it carries, nothing else: no map, no
//! link, no `aya` type. It decides nothing about clients; who may send is the caller's word.
//!
//! What stands in the kernel outlives the process on purpose. A killed daemon leaves guarded ports
//! shut to strangers and open to current leases, which the programs end by themselves.

mod agent;
mod attach;
mod bypass;
mod capability;
mod clock;
mod clsact;
mod denied;
mod destroy;
mod events;
mod explain;
mod fault;
mod filter;
mod guard;
mod home;
mod interfaces;
mod keeper;
mod links;
mod local;
mod message;
mod netlink;
pub mod object;
mod pcap;
mod pins;
mod plan;
mod ports;
mod reserve;
mod preview;
mod status;
mod sync;
mod sys;
mod table;
mod unload;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;

pub use agent::Agent;
pub use bypass::{Bypass, bypass};
pub use capability::probe;
pub use denied::Denied;
pub use events::DropEvent;
pub use explain::{MatchedEntry, Probe, Verdict, Verdicts};
pub use fault::KernelError;
pub use message::{
    Applied, Batch, Flow, GuardedPort, Hook, InterfaceRule, Interfaces, Mode, Op, Opening, Policy,
    Reply, Request, Setup, SourceKey, SynBudget, Want,
};
pub use pcap::frames as pcap_frames;
pub use preview::preview;
pub use status::{Audit, Fill, InterfaceStatus, Judged, Spoof, State, Status};
pub use unload::{Unloaded, unload};

//! The packet verdict.
#![cfg_attr(not(test), no_std)]

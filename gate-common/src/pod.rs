//! `aya::Pod` for the map types, in the crate that owns their layout.
#![expect(
    unsafe_code,
    reason = "`Pod` is an unsafe trait and can only be implemented here"
)]

use crate::entry::{BindKey, Bucket, Config, Entry, Near6, SpoofKey};

// SAFETY: plain words; the size assert beside its definition shows that nothing is padding.
unsafe impl aya::Pod for Entry {}
// SAFETY: plain words; the size assert beside its definition shows that nothing is padding.
unsafe impl aya::Pod for BindKey {}
// SAFETY: plain words; the size assert beside its definition shows that nothing is padding.
unsafe impl aya::Pod for SpoofKey {}
// SAFETY: plain words; the size assert beside its definition shows that nothing is padding.
unsafe impl aya::Pod for Bucket {}
// SAFETY: plain words; the size assert beside its definition shows that nothing is padding.
unsafe impl aya::Pod for Config {}
// SAFETY: plain words; the size assert beside its definition shows that nothing is padding.
unsafe impl aya::Pod for Near6 {}

//! `gatectl`: parse, settle, act, print.

//! The admin API on its Unix socket.

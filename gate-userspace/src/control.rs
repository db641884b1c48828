//! Carries out one change: store, table, streams, packet ring, in that order.

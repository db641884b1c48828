//! The packet ring, behind one message-shaped interface.

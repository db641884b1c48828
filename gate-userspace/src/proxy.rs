//! The request path: from an accepted socket to the last byte of the answer.

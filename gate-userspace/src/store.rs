//! What is provisioned, on disk, with a growing revision and a feed of changes.

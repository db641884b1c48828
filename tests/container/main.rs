//! Gate in a container: the image, the powers it needs, and the compose file, with a real engine.
//!
//! Nothing is downloaded but `podman-compose`: the image is the last stage of the Dockerfile around
//! the programs that are tested, and Python comes from this machine.
#![expect(clippy::unwrap_used, reason = "a test panics")]

mod engine;

mod compose;

mod image;

#[expect(dead_code, reason = "the sets of packages there are for other tests")]
#[path = "../compat/venv.rs"]
mod venv;

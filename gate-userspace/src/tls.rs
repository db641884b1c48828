//! TLS as listeners and connections need it: certificates, private keys and roots out of PEM files.
//!
//! Opens no socket and decides nothing about who may connect. One crypto provider is named here, so
//! that no part of the gate depends on a process-wide default.

mod client;
mod server;

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::crypto::{CryptoProvider, ring};
use rustls_pki_types::{CertificateDer, pem, pem::PemObject};

pub use client::{Roots, client};
pub use server::{Pem, Server};

/// The names of HTTP versions in the handshake (RFC 7301, RFC 9113 section 3.2).
pub const H2: &[u8] = b"h2";
pub const HTTP11: &[u8] = b"http/1.1";

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("find a certificate in `{}`", path.display())]
    NoCertificate { path: PathBuf },
    #[error("find a private key in `{}`", path.display())]
    NoKey { path: PathBuf },
    #[error("parse `{}` as PEM", path.display())]
    Pem {
        path: PathBuf,
        #[source]
        cause: pem::Error,
    },
    #[error("use the certificate in `{}` with its key", path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        cause: rustls::Error,
    },
    #[error("find the system's root certificates")]
    NoRoots,
    #[error("set up TLS")]
    Setup(#[source] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Every certificate of a file, in its order; there is at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_reader_iter(open(path)?);
    let found: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(|cause| TlsError::Pem {
            path: path.to_owned(),
            cause,
        })?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

fn open(path: &Path) -> Result<BufReader<File>, TlsError> {
    let file = File::open(path).map_err(|cause| TlsError::Read {
        path: path.to_owned(),
        cause,
    })?;
    Ok(BufReader::new(file))
}

#[cfg(test)]
mod tests;

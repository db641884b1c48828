//! Whom the gate believes when it connects to others: upstreams, and a store on another machine.

use std::{path::PathBuf, sync::Arc};

use rustls::{ClientConfig, RootCertStore};

use super::{TlsError, certificates, provider};

/// Who may vouch for the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Whom this system trusts.
    System,
    /// The certificates of one PEM file, and nobody else.
    File(PathBuf),
}

/// A configuration for connections to others; `versions` are the HTTP versions to offer, none for
/// what is not HTTP.
///
/// # Errors
/// When a file cannot be read or there is not one root.
pub fn client(roots: &Roots, versions: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            // One that cannot be parsed vouches for nobody; the others still do.
            let _unusable = store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                return Err(TlsError::NoRoots);
            }
        }
        Roots::File(path) => {
            for certificate in certificates(path)? {
                store.add(certificate).map_err(|cause| TlsError::Unusable {
                    path: path.clone(),
                    cause,
                })?;
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = versions.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

//! The gate's own certificate, and another one without a restart.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, pem, pem::PemObject};

use super::{TlsError, certificates, open, provider};
use crate::watched::Watched;

/// Where a certificate chain, the leaf first, and its private key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What a listener shows its callers. Handshakes that run keep what they began with.
#[derive(Debug)]
pub struct Server {
    files: Pem,
    versions: &'static [&'static [u8]],
    config: ArcSwap<ServerConfig>,
    watched: Mutex<[Watched; 2]>,
}

impl Server {
    /// Reads the files; `versions` are the HTTP versions to agree on, the preferred one first.
    ///
    /// # Errors
    /// When a file cannot be read or the two do not belong together.
    pub fn load(files: Pem, versions: &'static [&'static [u8]]) -> Result<Self, TlsError> {
        let watched = [&files.certificate, &files.key].map(|file| Watched::new(file.clone()));
        let config = ArcSwap::new(read(&files, versions)?);
        Ok(Self {
            files,
            versions,
            config,
            watched: Mutex::new(watched),
        })
    }

    /// For the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reads the files again. After an error the former certificate stays.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        self.config.store(read(&self.files, self.versions)?);
        Ok(())
    }

    /// Whether a file changed since this was asked last, or since they were read first.
    pub fn has_changed(&self) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let [certificate, key] = watched.each_mut().map(Watched::has_changed);
        certificate || key
    }

    pub fn files(&self) -> &Pem {
        &self.files
    }
}

fn read(files: &Pem, versions: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&files.certificate)?;
    let path = &files.key;
    let key = PrivateKeyDer::from_pem_reader(open(path)?).map_err(|cause| {
        let path = path.clone();
        if matches!(cause, pem::Error::NoItemsFound) {
            TlsError::NoKey { path }
        } else {
            TlsError::Pem { path, cause }
        }
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| TlsError::Unusable {
            path: files.certificate.clone(),
            cause,
        })?;
    config.alpn_protocols = versions.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

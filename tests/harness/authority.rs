//! A certificate authority of one test, and the certificates it gives out.
//!
//! Does not serve: it makes what a TLS server shows, as files or ready for use, good and bad.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::scratch::Scratch;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: Scratch,
}

/// A certificate and its key as files.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Until when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    LongFromNow,
    LongAgo,
}

impl Authority {
    pub fn new() -> anyhow::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = Scratch::new()?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("authority {number} of a test"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(folder.join("ca.pem"), params.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, folder })
    }

    /// The root, for whoever is to believe in it.
    pub fn root(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The line of an `[[upstream]]` that names the root.
    pub fn line(&self) -> String {
        format!("ca_file = \"{}\"", self.root().display())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate for these names and addresses, as files named after the first of them.
    pub fn files(&self, names: &[&str]) -> anyhow::Result<Files> {
        let (certificate, key) = self.leaf(names, Until::LongFromNow)?;
        let first = names.first().context("a certificate needs a name")?;
        let files = Files {
            certificate: self.folder.join(&format!("{first}.crt")),
            key: self.folder.join(&format!("{first}.key")),
        };
        fs::write(&files.certificate, certificate.pem())?;
        fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }

    /// What a server of these names shows; `versions` are the HTTP versions it speaks, the
    /// preferred one first.
    pub fn server(
        &self,
        names: &[&str],
        until: Until,
        versions: &[&str],
    ) -> anyhow::Result<Arc<ServerConfig>> {
        let (certificate, key) = self.leaf(names, until)?;
        let chain = vec![CertificateDer::from(certificate)];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key.into())?;
        config.alpn_protocols = versions
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Ok(Arc::new(config))
    }

    fn leaf(&self, names: &[&str], until: Until) -> anyhow::Result<(rcgen::Certificate, KeyPair)> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        if until == Until::LongAgo {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }
}

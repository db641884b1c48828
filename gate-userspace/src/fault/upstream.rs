//! What can be wrong with an upstream: it cannot be reached, or it breaks off.
//!
//! The caller learns one word of it, the log all of it.

use std::io;

use rustls::CertificateError;

/// Why there is no connection to an upstream.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    #[error("its name has no address")]
    NoAddress,
    #[error(transparent)]
    Socket(io::Error),
    /// Says whose certificate is not believed, and why.
    #[error(transparent)]
    Tls(rustls::Error),
    #[error("it does not speak HTTP/2")]
    NotHttp2,
}

impl Unreachable {
    /// What a caller may know of it.
    pub fn cause(&self) -> String {
        match self {
            Self::NoAddress => "host not found".to_owned(),
            Self::Socket(cause) => cause.kind().to_string(),
            Self::Tls(_) => "TLS handshake failed".to_owned(),
            Self::NotHttp2 => "no HTTP/2".to_owned(),
        }
    }

    /// What an operator may do about it.
    pub fn hint(&self) -> Option<&'static str> {
        let Self::Tls(cause) = self else {
            return (matches!(self, Self::NotHttp2)).then_some("leave `http2` out");
        };
        let rustls::Error::InvalidCertificate(why) = cause else {
            return None;
        };
        matches!(
            why,
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        )
        .then_some("who signed the certificate is not believed: `ca_file` names the authority")
    }
}

impl From<io::ErrorKind> for Unreachable {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Socket(kind.into())
    }
}

/// How an upstream's answer ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("it took its answer back")]
    TakenBack,
}

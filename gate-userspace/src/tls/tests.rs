//! Certificates made on the spot, good ones and bad ones.

use std::{fs, path::Path};

use rcgen::CertifiedKey;

use super::*;

/// Writes a certificate that vouches for itself, and its key.
fn write(folder: &Path, name: &str) -> Pem {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let files = Pem {
        certificate: folder.join(format!("{name}.crt")),
        key: folder.join(format!("{name}.key")),
    };
    fs::write(&files.certificate, cert.pem()).unwrap();
    fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    files
}

#[test]
fn a_certificate_and_its_key_make_a_server_that_its_own_root_vouches_for() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), "localhost");
    let server = Server::load(files.clone(), &[H2, HTTP11]).unwrap();
    assert_eq!(server.config().alpn_protocols, [H2, HTTP11]);
    let config = client(&Roots::File(files.certificate), &[HTTP11]).unwrap();
    assert_eq!(config.alpn_protocols, [HTTP11]);
}

#[test]
fn a_reload_takes_up_new_files_and_keeps_the_old_ones_if_they_are_no_good() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), "localhost");
    let server = Server::load(files.clone(), &[HTTP11]).unwrap();
    assert!(!server.has_changed());
    let first = server.config();
    let other = write(folder.path(), "other");
    fs::copy(&other.certificate, &files.certificate).unwrap();
    assert!(server.has_changed(), "nobody looked between the two");
    // Half of the exchange: the certificate is new, the key is not.
    assert!(matches!(server.reload(), Err(TlsError::Unusable { .. })));
    assert!(Arc::ptr_eq(&first, &server.config()));
    fs::copy(&other.key, &files.key).unwrap();
    server.reload().unwrap();
    assert!(!Arc::ptr_eq(&first, &server.config()));
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), "localhost");
    let swapped = Pem {
        certificate: files.key.clone(),
        key: files.certificate.clone(),
    };
    let error = |files| Server::load(files, &[HTTP11]).unwrap_err();
    assert!(matches!(error(swapped), TlsError::NoCertificate { .. }));
    let no_key = Pem {
        key: files.certificate.clone(),
        ..files.clone()
    };
    assert!(matches!(error(no_key), TlsError::NoKey { .. }));
    let absent = Pem {
        key: folder.path().join("absent"),
        ..files
    };
    assert!(matches!(error(absent), TlsError::Read { .. }));
}

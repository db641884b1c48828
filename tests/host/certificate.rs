//! A renewed certificate is shown without a restart, by itself and at SIGHUP.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use harness::authority::{Authority, Files};
use harness::gated::{Launch, Signal};
use harness::netns::Namespace;
use harness::probe;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

const GATE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8765);
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at what the gate shows.
const LOOK: Duration = Duration::from_millis(50);

#[tokio::test]
async fn renewed_certificate_is_shown_by_the_running_gate() {
    if !harness::need::root() {
        return;
    }
    let host = Namespace::new("host").unwrap();
    let authority = Authority::new().unwrap();
    let files = authority.files(&["localhost"]).unwrap();
    let config = format!(
        "[[listen]]\naddress = \"{GATE}\"\ntls = {{ certificate = \"{}\", key = \"{}\" }}\n\
         [[upstream]]\nname = \"default\"\nurl = \"http://127.0.0.1:9\"\ncredential = \"none\"\n",
        files.certificate.display(),
        files.key.display(),
    );
    let launch = Launch::on(&host).flag("--kernel", "off").config(&config);
    let gated = launch.start().await.unwrap();
    let first = shown(&host, &authority).await;
    // Files that changed are found by the gate itself.
    renew(&authority, &files);
    let second = another(&host, &authority, &first).await;
    // Halves that do not belong together leave the former one in use, and the log says so.
    let key = fs::read(&files.key).unwrap();
    renew(&authority, &files);
    let renewed = fs::read(&files.key).unwrap();
    fs::write(&files.key, key).unwrap();
    gated.signal(Signal::SIGHUP).unwrap();
    let stays = |line: &str| line.contains("the former certificate stays in use");
    gated.log().wait(PATIENCE, stays).await.unwrap();
    assert_eq!(shown(&host, &authority).await, second);
    fs::write(&files.key, renewed).unwrap();
    gated.signal(Signal::SIGHUP).unwrap();
    another(&host, &authority, &second).await;
}

/// A new certificate in the place of the old one.
fn renew(authority: &Authority, files: &Files) {
    let renewed = authority.files(&["localhost"]).unwrap();
    assert_eq!(renewed.certificate, files.certificate);
}

/// Waits until the gate shows another certificate than this.
async fn another(host: &Namespace, authority: &Authority, than: &[u8]) -> Vec<u8> {
    let looking = async {
        loop {
            let now = shown(host, authority).await;
            if now != than {
                return now;
            }
            // Each look is a handshake: not as fast as it can.
            sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it was renewed")
}

/// The certificate that the gate shows, which must be one of this authority.
async fn shown(host: &Namespace, authority: &Authority) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority.root()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = probe::connect(host, GATE).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].to_vec()
}

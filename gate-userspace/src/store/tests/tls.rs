//! A real server with a certificate: who vouches for it is asked, and no way back to the clear.

use rcgen::CertifiedKey;

use super::*;

#[tokio::test]
async fn a_server_is_reached_with_tls_when_its_certificate_holds() {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = signing_key.serialize_pem();
    let Some(port) = server::start_with_tls(&cert.pem(), &key) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("root.pem");
    std::fs::write(&roots, cert.pem()).unwrap();
    let at = format!("postgres://gate@127.0.0.1:{port}/postgres");
    let open = |parameters: &str| Postgres::new(&format!("{at}?{parameters}"), None).unwrap();
    let trusted = format!("sslmode=verify-full&sslrootcert={}", roots.display());
    let store = Store::Postgres(open(&trusted));
    while let Err(why) = store.snapshot().await {
        assert!(why.is_outage(), "{why:?}");
        tokio::task::yield_now().await;
    }
    let first = client(&store, "a").await;
    put(&store, vec![add(&first)]).await.unwrap();
    // The wake-up comes by TLS too.
    let listening = async {
        tokio::select! {
            () = store.listen() => {}
            () = store.rung() => {}
        }
    };
    listening.await;
    // Nobody vouches for it, it is not who it says, and the clear is not let in by the server.
    std::fs::write(&roots, other_root()).unwrap();
    for parameters in [
        format!("sslmode=require&sslrootcert={}", roots.display()),
        "sslmode=disable".to_owned(),
    ] {
        let refused = open(&parameters).snapshot().await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Away(_) | StoreError::Use(_)),
            "{refused:?}"
        );
    }
}

fn other_root() -> String {
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    other.cert.pem()
}

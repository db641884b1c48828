//! The admin API over TCP: off, unless it is given an address, and never in the clear to a network.

use std::{net::SocketAddr, sync::Arc};

use super::{Origin::File, Refused, Shown, raw, value};
use crate::{settings::AdminRemote, tls};

pub(super) fn remote(
    file: &raw::RawAdmin,
    shown: &mut Shown,
) -> Result<Option<AdminRemote>, Refused> {
    let text = shown.pick("listen", [(file.listen.clone(), File)], String::new());
    if text.is_empty() {
        if file.tls.is_some() {
            let expected = "possible without `listen`";
            return Err(value::refused("admin.tls", "a certificate", expected));
        }
        return Ok(None);
    }
    let expected = "ADDRESS:PORT, or \"\" for none";
    let address: SocketAddr = text
        .parse()
        .map_err(|_why| value::refused("admin.listen", &text, expected))?;
    let server = |raw: &raw::RawTls| {
        let files = tls::Pem {
            certificate: (&raw.certificate).into(),
            key: (&raw.key).into(),
        };
        let server = tls::Server::load(files, &[tls::HTTP11]);
        server.map(Arc::new).map_err(|cause| Refused::Certificate {
            address: text.clone(),
            cause,
        })
    };
    let tls = file.tls.as_ref().map(server).transpose()?;
    if tls.is_none() && !address.ip().to_canonical().is_loopback() {
        return Err(Refused::PlainAdmin { address: text });
    }
    if let Some(server) = &tls {
        shown.value("tls.certificate", &server.files().certificate, File);
        shown.value("tls.key", &server.files().key, File);
    }
    Ok(Some(AdminRemote { address, tls }))
}

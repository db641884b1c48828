//! `GET /v1/store/backup`: the whole store as one file, while it is in use.

use axum::{body::Body, extract::State, http::header, response::IntoResponse};
use bytes::Bytes;
use tokio::io::AsyncReadExt;

use super::{Api, peer::Peer, refusal::Refusal};

/// Of the file, in memory at once.
const PIECE: usize = 256 * 1024;

pub(super) async fn backup(
    State(api): State<Api>,
    peer: Peer,
) -> Result<impl IntoResponse, Refusal> {
    peer.must_be_owner("backing up the store")?;
    let file = api.control.backup().await?;
    let length = file.metadata().map(|data| data.len()).unwrap_or_default();
    let file = tokio::fs::File::from_std(file);
    let pieces = futures_util::stream::try_unfold(file, async |mut file| {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.sqlite3".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    Ok((headers, Body::from_stream(pieces)))
}

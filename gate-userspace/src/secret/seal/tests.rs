//! The published vector, and every way a sealed row can be wrong.

use super::*;

const OWNER: &str = "client/7";

/// Acceptance 112: what another system sealed opens, and ours is bound to its owner.
#[test]
fn the_published_form_opens_and_ours_is_bound_to_its_owner() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/vectors.json")).unwrap();
    let vector = &vectors["aes_256_gcm_enc_v1"][0];
    let key: MasterKey = vector["master_key_base64"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let ring = Keyring::new(key, Vec::new());
    let foreign = Sealed::from_row(vector["sealed"].as_str().unwrap().to_owned());
    let opened = ring.open(OWNER, &foreign).unwrap();
    assert_eq!(opened.expose(), vector["plaintext"].as_str().unwrap());

    let sealed = ring.seal(OWNER, &opened).unwrap();
    assert!(
        sealed
            .as_row()
            .starts_with(&format!("enc:v2:{}:", ring.current()))
    );
    assert_eq!(ring.open(OWNER, &sealed).unwrap().expose(), opened.expose());
    assert_eq!(
        ring.open("client/8", &sealed).unwrap_err(),
        UnsealError::Refused
    );
}

/// Acceptance 113.
#[test]
fn one_flipped_bit_keeps_it_shut() {
    let ring = ring();
    let sealed = ring
        .seal(OWNER, &UpstreamKey::new("sk-up").unwrap())
        .unwrap();
    let (prefix, blob) = sealed.as_row().rsplit_once(':').unwrap();
    let blob = STANDARD.decode(blob).unwrap();
    for at in 0..blob.len() {
        let mut wrong = blob.clone();
        wrong[at] ^= 1;
        let row = Sealed::from_row(format!("{prefix}:{}", STANDARD.encode(wrong)));
        assert_eq!(
            ring.open(OWNER, &row).unwrap_err(),
            UnsealError::Refused,
            "byte {at}"
        );
    }
    let short = Sealed::from_row(format!("{prefix}:{}", STANDARD.encode(&blob[..27])));
    assert_eq!(
        ring.open(OWNER, &short).unwrap_err(),
        UnsealError::Malformed
    );
    assert_eq!(
        other_ring().open(OWNER, &sealed).unwrap_err(),
        UnsealError::UnknownKey
    );
}

/// Acceptance 114.
#[test]
fn a_master_key_is_base64_of_32_bytes() {
    for length in [31, 33] {
        let text = STANDARD.encode(vec![7; length]);
        assert_eq!(
            text.parse::<MasterKey>().unwrap_err(),
            MasterKeyError::Length(length)
        );
    }
    let text = STANDARD.encode([0xfb; 32]);
    let url_safe = text.replace('+', "-").replace('/', "_");
    for text in [
        format!(" {text}\n"),
        url_safe.trim_end_matches('=').to_owned(),
        url_safe,
    ] {
        assert_eq!(
            text.parse::<MasterKey>().unwrap().bytes.as_slice(),
            [0xfb; 32],
            "{text}"
        );
    }
    assert_eq!(
        "%%".parse::<MasterKey>().unwrap_err(),
        MasterKeyError::NotBase64
    );
}

/// Acceptance 115.
#[test]
fn sealing_twice_gives_different_rows() {
    let (ring, key) = (ring(), UpstreamKey::new("sk-up").unwrap());
    assert_ne!(
        ring.seal(OWNER, &key).unwrap(),
        ring.seal(OWNER, &key).unwrap()
    );
}

#[test]
fn an_older_key_still_opens() {
    let older = other_ring();
    let sealed = older
        .seal(OWNER, &UpstreamKey::new("sk-up").unwrap())
        .unwrap();
    let both = Keyring::new(
        MasterKey::generate().unwrap(),
        vec![MasterKey::from_bytes(Zeroizing::new([2; 32]))],
    );
    assert_eq!(both.open(OWNER, &sealed).unwrap().expose(), "sk-up");
}

/// Acceptance 116.
#[test]
fn a_row_without_prefix_is_plain_text_and_says_so() {
    let row = Sealed::from_row("sk-plain".to_owned());
    assert!(row.is_plaintext());
    assert_eq!(ring().open(OWNER, &row).unwrap().expose(), "sk-plain");
    assert_eq!(format!("{row:?}"), "Sealed(..)");
}

fn ring() -> Keyring {
    Keyring::new(MasterKey::from_bytes(Zeroizing::new([1; 32])), Vec::new())
}

fn other_ring() -> Keyring {
    Keyring::new(MasterKey::from_bytes(Zeroizing::new([2; 32])), Vec::new())
}

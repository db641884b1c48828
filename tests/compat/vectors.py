"""The pinned vectors, computed by another language. Reads them on stdin, as one line, and prints
how many of each were right; a wrong one is an assertion that says which."""

import base64
import hashlib
import hmac
import json
import sys
import zlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number, digits):
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 62)
        text = BASE62[digit] + text
    assert number == 0, "it fits"
    return text


def token(row):
    identity, secret = (
        base62(int(row[name], 16), digits)
        for name, digits in (("id_bytes_hex", 11), ("secret_bytes_hex", 43))
    )
    text = f"gate_{identity}_{secret}"
    text += base62(zlib.crc32(text.encode()), 6)
    assert (text, len(text)) == (row["token"], row["length"])
    assert hashlib.sha256(text.encode()).hexdigest() == row["sha256_hex"]


def digest(row):
    assert hashlib.sha256(row["token"].strip().encode()).hexdigest() == row["hex"], row["token"]


def opening(row):
    prefix, sealed = row["sealed"][:7], base64.b64decode(row["sealed"][7:], validate=True)
    assert prefix == "enc:v1:"
    iv, tag, text = sealed[:12], sealed[12:28], sealed[28:]
    cipher = AESGCM(base64.b64decode(row["master_key_base64"], validate=True))
    assert cipher.decrypt(iv, text + tag, None).decode() == row["plaintext"]


def signature(row):
    message = "\0".join(["vf-state-v1", row["url"], row["route"]])
    made = hmac.new(row["key"].encode(), message.encode(), "sha256").hexdigest()
    assert hmac.compare_digest(made, row["hex"]), row["url"]


CHECKS = {
    "gate_token": token,
    "sha256_hex_of_trimmed_token": digest,
    "aes_256_gcm_enc_v1": opening,
    "hmac_sha256_state_url": signature,
}

vectors = json.loads(sys.stdin.readline())
for name, check in CHECKS.items():
    for row in vectors[name]:
        check(row)
print(json.dumps({name: len(vectors[name]) for name in CHECKS}), flush=True)

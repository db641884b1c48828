// The pinned vectors, computed by another language. Reads them on stdin, as one line, and prints
// how many of each were right; a wrong one is an assertion that says which. Needs no package.

import assert from "node:assert/strict";
import { createDecipheriv, createHash, createHmac } from "node:crypto";
import { createInterface } from "node:readline";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function base62(number, digits) {
  let text = "";
  for (let digit = 0; digit < digits; digit += 1) {
    text = BASE62[Number(number % 62n)] + text;
    number /= 62n;
  }
  assert.equal(number, 0n, "it fits");
  return text;
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const CHECKS = {
  gate_token(row) {
    const digits = (hex, length) => base62(BigInt(`0x${hex}`), length);
    const body = `gate_${digits(row.id_bytes_hex, 11)}_${digits(row.secret_bytes_hex, 43)}`;
    const text = body + base62(BigInt(crc32(Buffer.from(body))), 6);
    assert.deepEqual([text, text.length], [row.token, row.length]);
    assert.equal(sha256(text), row.sha256_hex);
  },
  sha256_hex_of_trimmed_token(row) {
    assert.equal(sha256(row.token.trim()), row.hex, row.token);
  },
  aes_256_gcm_enc_v1(row) {
    assert.ok(row.sealed.startsWith("enc:v1:"));
    const sealed = Buffer.from(row.sealed.slice(7), "base64");
    const key = Buffer.from(row.master_key_base64, "base64");
    const cipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
    cipher.setAuthTag(sealed.subarray(12, 28));
    const text = Buffer.concat([cipher.update(sealed.subarray(28)), cipher.final()]);
    assert.equal(text.toString(), row.plaintext);
  },
  hmac_sha256_state_url(row) {
    const message = ["vf-state-v1", row.url, row.route].join("\0");
    assert.equal(createHmac("sha256", row.key).update(message).digest("hex"), row.hex, row.url);
  },
};

const { value: line } = await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next();
const vectors = JSON.parse(line);
const right = {};
for (const [name, check] of Object.entries(CHECKS)) {
  vectors[name].forEach(check);
  right[name] = vectors[name].length;
}
console.log(JSON.stringify(right));

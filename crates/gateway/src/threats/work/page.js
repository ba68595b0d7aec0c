// Looks for a number whose SHA-256 digest behind the challenge begins with enough zero bits, shows it, and opens the page again. Nothing else runs here.
"use strict";
(() => {
  const main = document.getElementById("main");
  const status = document.getElementById("status");
  const again = document.getElementById("again");
  const { challenge } = main.dataset;
  const bits = Number(main.dataset.bits);
  const TRIES = 3;
  const SLICE_MS = 50;

  // FIPS 180-4 §4.2.2.
  const K = Int32Array.from([
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  ]);
  const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
  const words = new Int32Array(64);
  const turned = (word, by) => (word >>> by) | (word << (32 - by));

  // One block of 64 bytes, from `offset` on (FIPS 180-4 §6.2.2), from one state to the next.
  const compress = (state, bytes, offset, next) => {
    for (let t = 0, at = offset; t < 16; t += 1, at += 4) {
      words[t] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let t = 16; t < 64; t += 1) {
      const s0 = turned(words[t - 15], 7) ^ turned(words[t - 15], 18) ^ (words[t - 15] >>> 3);
      const s1 = turned(words[t - 2], 17) ^ turned(words[t - 2], 19) ^ (words[t - 2] >>> 10);
      words[t] = (words[t - 16] + s0 + words[t - 7] + s1) | 0;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (let t = 0; t < 64; t += 1) {
      const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
      const one = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + words[t]) | 0;
      const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
    }
    next[0] = a + state[0]; next[1] = b + state[1]; next[2] = c + state[2]; next[3] = d + state[3];
    next[4] = e + state[4]; next[5] = f + state[5]; next[6] = g + state[6]; next[7] = h + state[7];
  };

  // The challenge fills the first block and begins the second one, whose rest is the number, the padding and the length.
  const BLOCK = 64;
  const begin = `${challenge}.`;
  const bytes = new Uint8Array(2 * BLOCK);
  for (let at = 0; at < begin.length; at += 1) bytes[at] = begin.charCodeAt(at);
  const first = new Int32Array(8);
  const last = new Int32Array(8);
  compress(Int32Array.from(START), bytes, 0, first);

  // At most 22 bits are asked for, so the first word of the digest says it all.
  const isEnough = (nonce) => {
    const digits = String(nonce);
    bytes.fill(0, begin.length);
    for (let at = 0; at < digits.length; at += 1) bytes[begin.length + at] = digits.charCodeAt(at);
    const length = begin.length + digits.length;
    bytes[length] = 0x80;
    bytes[2 * BLOCK - 2] = (8 * length) >>> 8;
    bytes[2 * BLOCK - 1] = (8 * length) & 0xff;
    compress(first, bytes, BLOCK, last);
    return Math.clz32(last[0]) >= bits;
  };

  const failed = (words) => {
    status.textContent = words;
    again.hidden = false;
    again.focus();
  };
  again.addEventListener("click", () => {
    remember(0);
    location.reload();
  });

  // Where cookies are off every visit would begin anew: who was let in three times within a minute and is here again has none.
  const MINUTE_MS = 60000;
  const remember = (count) => {
    try { sessionStorage.setItem("proof-of-work", `${count} ${Date.now()}`); } catch { /* Then nobody counts. */ }
  };
  const remembered = () => {
    try {
      const [count, at] = (sessionStorage.getItem("proof-of-work") || "0 0").split(" ").map(Number);
      return Date.now() - at < MINUTE_MS ? count : 0;
    } catch { return 0; }
  };

  const show = async (nonce) => {
    const answer = await fetch(location.href, { headers: { "Proof-Of-Work": begin + nonce }, cache: "no-store", credentials: "same-origin", redirect: "error" });
    if (answer.status !== 204) throw new Error("refused");
    remember(remembered() + 1);
    status.textContent = "Done. Opening the page…";
    location.reload();
  };

  let nonce = 0;
  const work = () => {
    const until = performance.now() + SLICE_MS;
    do {
      for (const end = nonce + 256; nonce < end; nonce += 1) {
        if (isEnough(nonce)) {
          show(String(nonce)).catch(() => failed("That did not work. Check your connection and try again."));
          return;
        }
      }
    } while (performance.now() < until);
    setTimeout(work);
  };

  if (remembered() >= TRIES || !navigator.cookieEnabled) {
    failed("This page does not open without cookies. Allow them for this address and try again.");
  } else {
    work();
  }
})();

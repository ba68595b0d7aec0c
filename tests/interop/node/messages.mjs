// Messages between partners at the command line: what it signs, seals and receipts is read by jose (npm) and joserfc (PyPI), and what these two make is taken, by
// every combination of algorithms. What must be refused is a real message of that kind, beside its twin without the flaw.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as jose from 'jose'
import { Checks, must, refused } from '../checks.mjs'

const ALICE = 'https://alice.example'
const BOB = 'https://bob.example'
const CONTENT = '{"order":1,"amount":"10.00"}'
const SIGNATURES = ['EdDSA', 'ES256', 'PS256']
// Each key management with each kind of key that knows it.
const SEALS = [['ECDH-ES', 'ECDH-P256'], ['ECDH-ES', 'ECDH-X25519'], ['ECDH-ES+A256KW', 'ECDH-P256'], ['ECDH-ES+A256KW', 'ECDH-X25519'], ['RSA-OAEP-256', 'RSA-OAEP-256']]

const home = mkdtempSync(join(tmpdir(), 'messages-'))
const path = (name) => join(home, name)
const checks = new Checks('messages')
const { check } = checks
const sha256 = (text) => createHash('sha256').update(text).digest('base64url')
const now = () => Math.floor(Date.now() / 1000)
const bytes = (text) => new TextEncoder().encode(text)
const text = (bytes) => new TextDecoder().decode(bytes)

function countersign(args, input = '') {
  const { status, stdout, stderr } = spawnSync(process.env.COUNTERSIGN_BIN, ['--json', 'message', ...args], { input, encoding: 'utf8' })
  return { status, stdout, stderr, json: stdout.startsWith('{') ? JSON.parse(stdout) : undefined }
}

function done(args, input) {
  const ended = countersign(args, input)
  must(ended.status === 0, `ended with ${ended.status}: ${ended.stderr}`)
  return ended.json
}

// What the command refused, and why.
function refusedAs(expected, args, input) {
  const { status, json, stderr } = countersign(args, input)
  must(status === 1 && json?.refused === expected, `ended with ${status}, ${JSON.stringify(json)} instead of ${expected}: ${stderr}`)
}

// A key pair of the command's own.
function ours(alg, kid) {
  const file = path(`${kid}.jwk`)
  const set = done(['key', '--alg', alg, '--kid', kid, '--out', file])
  writeFileSync(path(`${kid}.jwks`), JSON.stringify(set))
  return { file, set: path(`${kid}.jwks`), public: set.keys[0], private: JSON.parse(readFileSync(file)), kid }
}

// A key pair of jose's, as files.
async function theirs(alg, kid, use, options = {}) {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true, ...options })
  const named = { kid, use, ...(use === 'sig' ? { alg } : {}) }
  const [shown, hidden] = [{ ...await jose.exportJWK(publicKey), ...named }, { ...await jose.exportJWK(privateKey), ...named }]
  writeFileSync(path(`${kid}.jwks`), JSON.stringify({ keys: [shown] }))
  writeFileSync(path(`${kid}.jwk`), JSON.stringify(hidden))
  return { file: path(`${kid}.jwk`), set: path(`${kid}.jwks`), public: shown, private: hidden, kid, key: privateKey }
}

const PARTIES = ['--from', ALICE, '--to', BOB]
const sign = (key, more = []) => done(['sign', '--key', key.file, ...PARTIES, '--type', 'application/json', ...more], CONTENT)
const seal = (key, receiver, alg) => done(['seal', '--key', key.file, '--receiver', receiver.set, '--alg', alg, ...PARTIES, '--type', 'application/json'], CONTENT)
const verify = (key) => ['verify', '--keys', key.set, ...PARTIES, '--again']
const open = (key, receiver) => ['open', '--key', receiver.file, '--keys', key.set, ...PARTIES, '--again']

function arrived({ content_base64url: content, issuer, audience, content_type: type }) {
  must(text(jose.base64url.decode(content)) === CONTENT, 'another content')
  must(issuer === ALICE && audience === BOB && type === 'application/json', 'other statements')
}

function changed(token, part) {
  const parts = token.split('.')
  const at = Math.floor(parts[part].length / 2)
  parts[part] = parts[part].slice(0, at) + (parts[part][at] === 'A' ? 'B' : 'A') + parts[part].slice(at + 1)
  return parts.join('.')
}

// A header that holds, with whatever is to be otherwise.
const statements = (alg, kid, change = {}) => ({
  alg, kid, typ: 'message+jws', iss: ALICE, aud: BOB, jti: crypto.randomUUID(), iat: now(), exp: now() + 60, cty: 'application/json', content_sha256: sha256(CONTENT), ...change,
})

// What a library is told that is to read or make answers (RFC 7515 §4.1.11).
const ANSWERS = { crit: { answer_to: true } }

async function signedBy(key, alg, change = {}, content = CONTENT) {
  const header = Object.fromEntries(Object.entries(statements(alg, key.kid, change)).filter(([, value]) => value !== undefined))
  return new jose.CompactSign(bytes(content)).setProtectedHeader(header).sign(await jose.importJWK({ ...key.private, alg: undefined }, alg), header.crit ? ANSWERS : undefined)
}

async function sealedFor(receiver, alg, content, change = {}) {
  const header = Object.fromEntries(Object.entries({ alg, enc: 'A256GCM', typ: 'message+jwe', cty: 'message+jws', kid: receiver.kid, ...change }).filter(([, value]) => value !== undefined))
  return new jose.CompactEncrypt(bytes(content)).setProtectedHeader(header).encrypt(await jose.importJWK(receiver.public, header.alg))
}

// What the command signed, read by jose.
async function readSigned(token, key, alg, content) {
  const rules = { algorithms: [alg] }
  const own = await jose.importJWK(key.public, alg)
  const { payload, protectedHeader: header } = await jose.compactVerify(token, own, rules)
  must(text(payload) === content, 'another content')
  must(header.typ === 'message+jws' && header.iss === ALICE && header.aud === BOB && header.kid === key.kid && header.cty === 'application/json', JSON.stringify(header))
  must(header.content_sha256 === sha256(content) && header.exp > header.iat && header.jti.length > 20, JSON.stringify(header))
  for (const part of [1, 2]) await refused(() => jose.compactVerify(changed(token, part), own, rules))
}

async function signatures(alg) {
  const key = ours(alg, `ours-${alg}`)
  const other = await theirs(alg, `theirs-${alg}`, 'sig')
  await check(`jose verifies what we sign (${alg})`, async () => {
    await readSigned(sign(key).message, key, alg, CONTENT)
  })
  await check(`jose verifies what we sign beside its content (${alg})`, async () => {
    const [header, middle, signature] = sign(key, ['--detached']).message.split('.')
    must(middle === '', 'it holds a content')
    const own = await jose.importJWK(key.public, alg)
    const beside = (content) => jose.flattenedVerify({ protected: header, payload: jose.base64url.encode(content), signature }, own)
    must(text((await beside(CONTENT)).payload) === CONTENT, 'another content')
    await refused(() => beside(CONTENT.replace('10', '99')))
  })
  await check(`we verify what jose signs (${alg})`, async () => {
    const token = await signedBy(other, alg)
    arrived(done(verify(other), token))
    refusedAs('signature_wrong', verify(other), changed(token, 1))
    refusedAs('signature_wrong', verify(other), changed(token, 2))
    // A key of the same name that is not the partner's.
    const stranger = await theirs(alg, `stranger-${alg}`, 'sig')
    stranger.kid = other.kid
    refusedAs('signature_wrong', verify(other), await signedBy(stranger, alg))
  })
  await check(`we verify what jose signs beside its content, and no swapped one (${alg})`, async () => {
    const [header, , signature] = (await signedBy(other, alg)).split('.')
    const beside = (content) => {
      writeFileSync(path('content'), content)
      return [...verify(other), '--content', path('content')]
    }
    arrived(done(beside(CONTENT), `${header}..${signature}`))
    refusedAs('signature_wrong', beside(CONTENT.replace('10', '99')), `${header}..${signature}`)
  })
  await check(`jose reads our answers where it knows of them, and refuses them where it does not (${alg})`, async () => {
    const own = await jose.importJWK(key.public, alg)
    const asked = crypto.randomUUID()
    const answers = [['--answer-to', asked], ['--answer']]
    for (const [more, stated] of answers.map((more) => [more, more[1] ?? ''])) {
      const token = sign(key, more).message
      const { payload, protectedHeader: header } = await jose.compactVerify(token, own, { algorithms: [alg], ...ANSWERS })
      must(text(payload) === CONTENT && header.answer_to === stated && header.crit.join() === 'answer_to', JSON.stringify(header))
      await refused(() => jose.compactVerify(token, own, { algorithms: [alg] }))
      // A partner who cannot be told of them.
      const ignorable = await jose.compactVerify(sign(key, [...more, '--ignorable']).message, own, { algorithms: [alg] })
      must(ignorable.protectedHeader.answer_to === stated && !ignorable.protectedHeader.crit, JSON.stringify(ignorable.protectedHeader))
    }
    must(!(await jose.compactVerify(sign(key).message, own)).protectedHeader.crit, 'a request is critical')
  })
  await check(`we take jose's answers for what they answer, and for nothing else (${alg})`, async () => {
    const asked = crypto.randomUUID()
    const critical = { crit: ['answer_to'] }
    for (const mark of [critical, {}]) {
      const token = await signedBy(other, alg, { ...mark, answer_to: asked })
      arrived(done([...verify(other), '--answer-to', asked], token))
      refusedAs('answer_unasked', verify(other), token)
      refusedAs('answer_other', [...verify(other), '--answer-to', crypto.randomUUID()], token)
      refusedAs('answer_other', [...verify(other), '--answer'], token)
      const plain = await signedBy(other, alg, { ...mark, answer_to: '' })
      arrived(done([...verify(other), '--answer'], plain))
      refusedAs('answer_unasked', verify(other), plain)
      refusedAs('answer_other', [...verify(other), '--answer-to', asked], plain)
      refusedAs('statement_malformed', [...verify(other), '--answer-to', asked], await signedBy(other, alg, { ...mark, answer_to: [asked] }))
    }
    // Whoever cannot say so: the twin without the member is a request, and no answer.
    const silent = await signedBy(other, alg)
    arrived(done(verify(other), silent))
    refusedAs('answer_missing', [...verify(other), '--answer-to', asked], silent)
  })
  await check(`jose reads our receipt, and we jose's (${alg})`, async () => {
    const kept = path(`${alg}.sent`)
    const receipt = path(`${alg}.receipt`)
    const message = sign(key, ['--keep', kept]).message
    done(['verify', '--keys', key.set, ...PARTIES, '--seen', path(`${alg}.seen`), '--receipt-key', key.file, '--receipt', receipt], message)
    const rules = { typ: 'receipt+jwt', issuer: BOB, audience: ALICE, algorithms: [alg] }
    const token = readFileSync(receipt, 'utf8')
    const { payload } = await jose.jwtVerify(token, await jose.importJWK(key.public, alg), rules)
    const sent = JSON.parse(readFileSync(kept))
    const about = { jti: sent.id, message_sha256: sent.message_sha256, content_sha256: sent.content_sha256 }
    must(JSON.stringify(Object.entries(payload.message).sort()) === JSON.stringify(Object.entries(about).sort()), JSON.stringify(payload))
    const [header, , signature] = message.split('.')
    must(sent.message_sha256 === sha256(`${header}..${signature}`) && sent.content_sha256 === sha256(CONTENT), 'other digests')
    done(['receipt', receipt, '--sent', kept, '--keys', key.set])
    const make = (typ, message = about) => new jose.SignJWT({ message }).setProtectedHeader({ alg, kid: other.kid, typ }).setIssuer(BOB).setAudience(ALICE).setIssuedAt().setJti('r').sign(other.key)
    const read = ['receipt', '--sent', kept, '--keys', other.set]
    done(read, await make('receipt+jwt'))
    refusedAs('type_other', read, await make('JWT'))
    refusedAs('other_message', read, await make('receipt+jwt', { ...about, content_sha256: sha256('other') }))
    refusedAs('signature_wrong', read, changed(await make('receipt+jwt'), 1))
  })
  return { alg, key, other }
}

async function seals({ alg: signature, key, other }, receivers, jwks) {
  for (const [alg, kind] of SEALS) {
    const own = receivers[kind]
    const library = jwks[kind]
    await check(`jose opens what we seal with ${alg} on ${kind} (${signature})`, async () => {
      const token = seal(key, library, alg).message
      const rules = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: ['A256GCM'] }
      const { plaintext, protectedHeader: header } = await jose.compactDecrypt(token, await jose.importJWK(library.private, alg), rules)
      must(header.typ === 'message+jwe' && header.cty === 'message+jws' && header.kid === library.kid && !header.zip, JSON.stringify(header))
      await readSigned(text(plaintext), key, signature, CONTENT)
      await refused(async () => jose.compactDecrypt(changed(token, 3), await jose.importJWK(library.private, alg), rules))
    })
    await check(`we open what jose seals with ${alg} on ${kind} (${signature})`, async () => {
      const token = await sealedFor(own, alg, await signedBy(other, signature))
      arrived(done(open(other, own), token))
      for (const part of [0, 3, 4]) {
        const bad = countersign(open(other, own), changed(token, part))
        must(bad.status === 1 && ['does_not_open', 'malformed', 'type_other', 'algorithm_other'].includes(bad.json.refused), `${part}: ${JSON.stringify(bad.json)}`)
      }
      refusedAs('does_not_open', open(other, own), changed(token, 3))
      refusedAs('does_not_open', open(other, own), changed(token, 4))
    })
  }
}

// Real messages with one flaw each; the twin holds.
async function refusals({ alg, other }, receivers) {
  const rsa = receivers['RSA-OAEP-256']
  const ec = receivers['ECDH-P256']
  const signed = await signedBy(other, alg)
  const flaws = [
    ['for somebody else', 'audience_other', { aud: 'https://carol.example' }],
    ['for several', 'statement_malformed', { aud: [BOB] }],
    ['from somebody else', 'issuer_other', { iss: 'https://carol.example' }],
    ['that is over', 'expired', { iat: now() - 600, exp: now() - 300 }],
    ['from the future', 'issued_later', { iat: now() + 600, exp: now() + 700 }],
    ['for a year', 'lifetime_other', { exp: now() + 31536000 }],
    ['without an end', 'statement_malformed', { exp: undefined }],
    ['without a name', 'statement_malformed', { jti: undefined }],
    ['without its kind', 'statement_malformed', { cty: undefined }],
    ['with another digest', 'digest_wrong', { content_sha256: sha256('other') }],
    ['of a key nobody published', 'key_unknown', { kid: 'other' }],
    ['that names no key', 'key_unknown', { kid: undefined }],
    ['that is an access token by its type', 'type_other', { typ: 'at+jwt' }],
    ['that is an ID token by its type', 'type_other', { typ: 'JWT' }],
    ['without a type', 'type_other', { typ: undefined }],
  ]
  for (const [what, reason, change] of flaws) {
    await check(`a message ${what} is refused (${reason})`, async () => {
      refusedAs(reason, verify(other), await signedBy(other, alg, change))
      arrived(done(verify(other), await signedBy(other, alg)))
    })
  }
  await check('a message with a critical extension is refused (extension_refused)', async () => {
    const header = statements(alg, other.kid, { crit: ['https://alice.example/ours'], 'https://alice.example/ours': 1 })
    const token = await new jose.CompactSign(bytes(CONTENT)).setProtectedHeader(header).sign(other.key, { crit: { 'https://alice.example/ours': true } })
    refusedAs('extension_refused', verify(other), token)
  })
  await check('a message with an unencoded payload is refused (extension_refused)', async () => {
    const header = statements(alg, other.kid, { b64: false, crit: ['b64'] })
    const { protected: part, signature } = await new jose.FlattenedSign(bytes(CONTENT)).setProtectedHeader(header).sign(other.key)
    writeFileSync(path('content'), CONTENT)
    refusedAs('extension_refused', [...verify(other), '--content', path('content')], `${part}..${signature}`)
  })
  await check('algorithms of other keys, and none, are refused (algorithm_other)', async () => {
    const rs = await theirs('RS256', 'rs', 'sig')
    const both = path('both.jwks')
    writeFileSync(both, JSON.stringify({ keys: [{ ...rs.public, alg: undefined }] }))
    const ps = { ...rs, set: both }
    arrived(done(verify(ps), await signedBy(rs, 'PS256')))
    refusedAs('algorithm_other', verify(ps), await signedBy(rs, 'RS256'))
    refusedAs('algorithm_other', verify(ps), await signedBy(rs, 'PS384'))
    const es384 = await theirs('ES384', other.kid, 'sig')
    refusedAs('algorithm_other', verify({ set: path(`theirs-${alg}-kept.jwks`) }), await signedBy(es384, 'ES384'))
    const header = jose.base64url.encode(JSON.stringify(statements('none', other.kid)))
    refusedAs('algorithm_other', verify({ set: path(`theirs-${alg}-kept.jwks`) }), `${header}.${jose.base64url.encode(CONTENT)}.`)
    // The public key as the secret of an HMAC: the oldest confusion.
    const secret = bytes(JSON.stringify(other.public))
    const mac = await new jose.CompactSign(bytes(CONTENT)).setProtectedHeader(statements('HS256', other.kid)).sign(secret)
    refusedAs('algorithm_other', verify({ set: path(`theirs-${alg}-kept.jwks`) }), mac)
  })
  const kept = { ...other, set: path(`theirs-${alg}-kept.jwks`) }
  for (const enc of ['A128GCM', 'A192GCM', 'A128CBC-HS256', 'A256CBC-HS512']) {
    await check(`a message under ${enc} is refused (algorithm_other)`, async () => {
      refusedAs('algorithm_other', open(kept, ec), await sealedFor(ec, 'ECDH-ES', signed, { enc }))
      arrived(done(open(kept, ec), await sealedFor(ec, 'ECDH-ES', signed)))
    })
  }
  for (const [way, receiver] of [['RSA-OAEP', rsa], ['RSA-OAEP-512', rsa], ['ECDH-ES+A128KW', ec], ['ECDH-ES+A192KW', ec]]) {
    await check(`a message by ${way} is refused (algorithm_other)`, async () => {
      refusedAs('algorithm_other', open(kept, receiver), await sealedFor(receiver, way, signed))
    })
  }
  await check('a message by a password or a shared key is refused before it costs anything', async () => {
    const by = (alg, key, more = (jwe) => jwe) => more(new jose.CompactEncrypt(bytes(signed)).setProtectedHeader({ alg, enc: 'A256GCM', typ: 'message+jwe', cty: 'message+jws', kid: ec.kid })).encrypt(key)
    const began = Date.now()
    refusedAs('extension_refused', open(kept, ec), await by('PBES2-HS256+A128KW', bytes('password')))
    const many = (await by('PBES2-HS256+A128KW', bytes('password'))).split('.')
    many[0] = jose.base64url.encode(JSON.stringify({ ...JSON.parse(text(jose.base64url.decode(many[0]))), p2c: 2_000_000_000 }))
    refusedAs('extension_refused', open(kept, ec), many.join('.'))
    refusedAs('algorithm_other', open(kept, ec), await by('dir', new Uint8Array(32)))
    refusedAs('algorithm_other', open(kept, ec), await by('A256KW', new Uint8Array(32)))
    must(Date.now() - began < 20_000, 'it took its time')
  })
  for (const [what, reason, content, change] of [
    ['without a signature inside', 'not_signed', CONTENT, {}],
    ['inside another', 'not_signed', await sealedFor(ec, 'ECDH-ES', signed), {}],
    ['that says that a JWT is inside', 'type_other', signed, { cty: 'JWT' }],
    ['that says nothing of what is inside', 'type_other', signed, { cty: undefined }],
    ['of another type', 'type_other', signed, { typ: 'JWT' }],
    ['that names no key', 'does_not_open', signed, { kid: undefined }],
    ['that names another key', 'does_not_open', signed, { kid: 'other' }],
    ['signed for somebody else inside', 'audience_other', await signedBy(other, alg, { aud: 'https://carol.example' }), {}],
  ]) {
    await check(`a sealed message ${what} is refused (${reason})`, async () => {
      refusedAs(reason, open(kept, ec), await sealedFor(ec, 'ECDH-ES', content, change))
      arrived(done(open(kept, ec), await sealedFor(ec, 'ECDH-ES', signed)))
    })
  }
  await check('a message comes once', async () => {
    const seen = ['verify', '--keys', kept.set, ...PARTIES, '--seen', path('once.seen')]
    const token = await signedBy(other, alg)
    arrived(done(seen, token))
    refusedAs('replayed', seen, token)
    // Sealed, it is still the same message; the same content under another name is another.
    refusedAs('replayed', ['open', '--key', ec.file, '--keys', kept.set, ...PARTIES, '--seen', path('once.seen')], await sealedFor(ec, 'ECDH-ES', token))
    arrived(done(seen, await signedBy(other, alg)))
  })
  await check('while a partner changes keys, both count', async () => {
    const next = await theirs(alg, 'next', 'sig')
    const both = { set: path('rotation.jwks') }
    writeFileSync(both.set, JSON.stringify({ keys: [other.public, next.public] }))
    const [old, fresh] = [await signedBy(other, alg), await signedBy(next, alg)]
    arrived(done(verify(both), old))
    arrived(done(verify(both), fresh))
    refusedAs('key_unknown', verify(next), old)
  })
}

async function joserfc() {
  const python = process.env.PYTHON
  if (!python) throw new Error('PYTHON names an interpreter with joserfc')
  const child = spawn(python, [join(import.meta.dirname, 'joserfc_messages.py'), home], { stdio: ['ignore', 'pipe', 'inherit'] })
  let last = ''
  createInterface({ input: child.stdout }).on('line', (line) => {
    console.log(line)
    last = line
  })
  await once(child, 'close')
  const [, passed, failed] = last.match(/^joserfc: (\d+) passed, (\d+) failed/) ?? [undefined, 0, 1]
  checks.add({ passed: Number(passed), failed: Number(failed) })
}

try {
  const receivers = Object.fromEntries(['ECDH-P256', 'ECDH-X25519', 'RSA-OAEP-256'].map((kind) => [kind, ours(kind, `ours-${kind}`)]))
  const jwks = {
    'ECDH-P256': await theirs('ECDH-ES', 'theirs-ECDH-P256', 'enc', { crv: 'P-256' }),
    'ECDH-X25519': await theirs('ECDH-ES', 'theirs-ECDH-X25519', 'enc', { crv: 'X25519' }),
    'RSA-OAEP-256': await theirs('RSA-OAEP-256', 'theirs-RSA-OAEP-256', 'enc'),
  }
  const signers = []
  for (const alg of SIGNATURES) signers.push(await signatures(alg))
  for (const signer of signers) {
    // The set of the signer alone, whatever other keys of its name a check writes.
    writeFileSync(path(`theirs-${signer.alg}-kept.jwks`), JSON.stringify({ keys: [signer.other.public] }))
    await seals(signer, receivers, jwks)
  }
  await refusals(signers.find(({ alg }) => alg === 'ES256'), receivers)
  await joserfc()
} catch (error) {
  console.error(error)
  checks.add({ passed: 0, failed: 1 })
} finally {
  rmSync(home, { recursive: true })
}
checks.end()

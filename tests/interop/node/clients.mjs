// The clients of these suites: their keys, their certificates and the configuration that registers them.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as jose from 'jose'

export const AUDIENCE = 'https://orders.example'
export const PASSWORD = 'correct horse battery staple'
export const SECRET = 'a secret of the service that checks tokens'
export const callback = (id) => `https://${id}.example/callback`

// A key pair for the libraries, with its public half as the server gets it.
export async function keyPair(alg, kid, use = 'sig') {
  const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true })
  const jwk = { ...await jose.exportJWK(publicKey), kid, alg, use }
  return { key: privateKey, publicKey, kid, alg, jwk, private: { ...await jose.exportJWK(privateKey), kid, alg, use } }
}

// Certificates as an organisation makes them: an authority, a client's and a stranger's of it, another authority's, and a self-signed one.
export function certificates() {
  const home = mkdtempSync(join(tmpdir(), 'countersign-certificates-'))
  const path = (name) => join(home, name)
  const openssl = (...words) => execFileSync('openssl', words, { cwd: home, stdio: ['ignore', 'ignore', 'pipe'] })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '2']
  const authority = (name) => openssl('req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`,
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
  const issued = (name, dns, by, use = 'clientAuth') => {
    openssl('req', ...key.slice(0, 5), '-new', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    writeFileSync(path(`${name}.ext`), `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=${use}\nsubjectAltName=DNS:${dns}\n`)
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '2', '-out', `${name}.pem`, '-extfile', `${name}.ext`)
  }
  const own = (name) => openssl('req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`,
    '-addext', 'extendedKeyUsage=clientAuth')
  try {
    authority('partners')
    authority('elsewhere')
    issued('till', 'till.partners.example', 'partners')
    issued('stranger', 'stranger.partners.example', 'partners')
    issued('impostor', 'till.partners.example', 'elsewhere')
    issued('receiver', 'localhost', 'partners', 'serverAuth')
    own('kiosk')
    own('other')
    const pair = (name) => ({ cert: readFileSync(path(`${name}.pem`), 'utf8'), key: readFileSync(path(`${name}.key`), 'utf8') })
    return Object.fromEntries(['partners', 'till', 'stranger', 'impostor', 'receiver', 'kiosk', 'other'].map((name) => [name, pair(name)]))
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

const list = (values) => `[${values.map((value) => JSON.stringify(value)).join(', ')}]`
const code = ['authorization_code', 'refresh_token']

export function table(id, { grants = code, more = '', redirect = callback(id), scopes = ['openid', 'profile', 'orders:read'] }) {
  return `
[[clients]]
id = "${id}"
grants = ${list(grants)}
${grants.includes('authorization_code') ? `redirect_uris = ${list([redirect])}` : ''}
scopes = ${list(scopes)}
audiences = ${list([AUDIENCE])}
consent = "implied"
${more}`
}

// Every client, its keys and certificates, the configuration and the files beside it.
export async function everyone({ certs = certificates(), settings = '', bank = 'profile = "fapi2-message-signing"', more = '', moreFiles = {} } = {}) {
  const keys = {
    web: await keyPair('ES256', 'web-1'),
    batch: await keyPair('EdDSA', 'batch-1'),
    bank: await keyPair('PS256', 'bank-1'),
    sealed: await keyPair('ES256', 'sealed-1'),
    sealedEncryption: await keyPair('ECDH-ES+A256KW', 'sealed-2', 'enc'),
    desk: await keyPair('ES256', 'desk-1'),
  }
  const set = (...pairs) => JSON.stringify({ keys: pairs.map((pair) => pair.jwk) })
  const files = {
    'alice.password': PASSWORD,
    'bob.password': PASSWORD,
    'service.secret': SECRET,
    'web.jwks': set(keys.web),
    'batch.jwks': set(keys.batch),
    'bank.jwks': set(keys.bank),
    'sealed.jwks': set(keys.sealed, keys.sealedEncryption),
    'desk.jwks': set(keys.desk),
    'partners.pem': certs.partners.cert,
    'kiosk.pem': certs.kiosk.cert,
    ...moreFiles,
  }
  const modes = 'requests = { response_modes = ["query", "form_post", "query.jwt", "form_post.jwt"] }'
  const configuration = `
${settings}

[[tenants]]
name = "default"
client_ca = "partners.pem"

[[users]]
name = "alice"
password = { file = "alice.password" }

[[users]]
name = "bob"
password = { file = "bob.password" }
${table('web', { grants: [...code, 'client_credentials'], more: `jwks = "web.jwks"\n${modes}` })}
${table('batch', { grants: ['client_credentials'], scopes: ['orders:read'], more: 'jwks = "batch.jwks"' })}
${table('bank', { more: `jwks = "bank.jwks"\nrequests = { response_modes = ["query.jwt"] }\n${bank}` })}
${table('sealed', { more: `jwks = "sealed.jwks"\nrequests = { response_modes = ["query", "query.jwt"], encrypt_responses = { alg = "ECDH-ES+A256KW", enc = "A256GCM" } }` })}
${table('phone', { more: modes })}
${table('till', { grants: [...code, 'client_credentials'], more: 'tls_subject = "dns:till.partners.example"\nbinding = "required"' })}
${table('kiosk', { grants: [...code, 'client_credentials'], more: 'tls_certificates = "kiosk.pem"\nbinding = "required"' })}
${table('television', { grants: ['device_code', 'refresh_token'], more: 'application = "native"' })}
${table('desk', { grants: ['ciba', 'refresh_token'], more: 'jwks = "desk.jwks"' })}
${table('news', { more: 'subject_type = "pairwise"' })}
${table('sport', { redirect: 'https://news.example/sport', more: 'subject_type = "pairwise"' })}
${table('shop', { more: 'subject_type = "pairwise"' })}

[[clients]]
id = "service"
secret = { file = "service.secret" }
serves = ${list([AUDIENCE])}
${more}`
  return { keys, certs, configuration, files }
}

// Everything that the server signs and encrypts, with each of its algorithms, read by jose (npm) and joserfc (PyPI) with nothing but the published keys; and
// what these two sign and encrypt, read by the server. Every reading has a twin that was changed by one letter.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import https from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { Checks, erred, must, refused } from '../checks.mjs'
import { AUDIENCE, SECRET, certificates, everyone, keyPair, table } from './clients.mjs'
import { network } from './net.mjs'
import { Flow, discover } from './oauth4webapi.mjs'
import { Person, forms } from './person.mjs'
import { start } from './server.mjs'

// The server of the first one is the one that reads what the libraries write.
const MAIN = 'ES256'
const ALGORITHMS = [MAIN, 'EdDSA', 'PS256', 'RS256']
const PARTNER = 'https://partner.example'
const DOMAIN = 'https://inner.example'
// Each key management with each content encryption.
const SEALS = ['ECDH-ES', 'ECDH-ES+A256KW', 'RSA-OAEP-256'].flatMap((alg) => ['A128GCM', 'A256GCM', 'A128CBC-HS256'].map((enc) => ({ alg, enc })))
const name = ({ alg, enc }) => `seal-${alg}-${enc}`.toLowerCase().replaceAll('+', '-')

const checks = new Checks('jose')
const { check } = checks
const bytes = (text) => new TextEncoder().encode(text)

// Where logout tokens come to. Nothing but what is sent here is read.
async function receiver() {
  const certs = certificates()
  const came = []
  const waiting = []
  const server = https.createServer({ cert: certs.receiver.cert, key: certs.receiver.key }, (request, answer) => {
    let body = ''
    request.on('data', (chunk) => { body += chunk })
    request.once('end', () => {
      answer.end()
      const token = new URLSearchParams(body).get('logout_token')
      const taker = waiting.shift()
      if (taker) taker(token)
      else came.push(token)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const next = () => (came.length > 0 ? Promise.resolve(came.shift()) : new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no logout token came')), 30_000)
    waiting.push((token) => {
      clearTimeout(timer)
      resolve(token)
    })
  }))
  return { certs, url: `https://localhost:${server.address().port}/logout`, next, close: () => server.close() }
}

// Clients whose answers are encrypted in every way, one that exchanges tokens, one that hears of sign-outs, and one that signs with every algorithm.
async function clients(alg, hook) {
  const broker = await keyPair('ES256', 'broker-1')
  const signers = Object.fromEntries(await Promise.all(['ES256', 'EdDSA', 'PS256'].map(async (alg) => [alg, await keyPair(alg, `signer-${alg}`)])))
  const seals = await Promise.all((alg === MAIN ? SEALS : []).map(async (seal) => ({ ...seal, id: name(seal), key: await keyPair(seal.alg, 'enc-1', 'enc') })))
  const set = (...keys) => JSON.stringify({ keys: keys.map(({ jwk }) => jwk) })
  const more = [
    table('broker', {
      grants: ['authorization_code', 'refresh_token', 'token_exchange'],
      more: `jwks = "broker.jwks"\n[clients.delegation]\ntrust_domains = ["${DOMAIN}"]\n[clients.delegation.assertions."${PARTNER}"]\nclient_id = "broker-there"\nscopes = "read"`,
    }),
    table('signer', { grants: ['authorization_code', 'refresh_token', 'client_credentials'], more: 'jwks = "signer.jwks"' }),
    table('reader', { more: `answers = { userinfo = "signed" }\nbackchannel_logout_uri = "${hook.url}"` }),
    ...seals.map(({ id, alg, enc }) => table(id, {
      more: `requests = { jwks = "${id}.jwks", response_modes = ["query.jwt"], encrypt_responses = { alg = "${alg}", enc = "${enc}" } }
answers = { encrypt_id_tokens = { alg = "${alg}", enc = "${enc}" }, encrypt_userinfo = { alg = "${alg}", enc = "${enc}" } }`,
    })),
  ].join('\n')
  const moreFiles = {
    'broker.jwks': set(broker),
    'signer.jwks': set(...Object.values(signers)),
    ...Object.fromEntries(seals.map(({ id, key }) => [`${id}.jwks`, set(broker, key)])),
  }
  // FAPI 2.0 has no RS256, and the configuration says so.
  const bank = alg === 'RS256' ? '' : undefined
  const all = await everyone({
    certs: hook.certs, bank, more, moreFiles, settings: `[keys]\nalgorithms = ["${alg}"]\n[egress]\nallow = ["localhost"]\nca = "partners.pem"`,
  })
  return { ...all, broker, signers, seals }
}

// One token of every kind, each with what it must say.
async function collect(cx) {
  const signed = []
  const keep = (kind, token, typ, audience) => signed.push({ kind, token, typ, audience, at: now() })
  const web = new Flow(cx, 'web', oauth.PrivateKeyJwt(cx.keys.web))
  const tokens = await web.run()
  keep('ID token', tokens.id_token, 'JWT', 'web')
  keep('access token', tokens.access_token, 'at+jwt', AUDIENCE)
  const refreshed = await web.refresh(tokens.refresh_token)
  keep('access token of a refresh', refreshed.access_token, 'at+jwt', AUDIENCE)
  const jarm = new Flow(cx, 'web', web.authentication)
  const returned = await cx.person.approve(await jarm.push(await jarm.parameters({ response_mode: 'jwt' })))
  keep('authorization response', returned.searchParams.get('response'), undefined, 'web')
  const service = (path, accept, form) => cx.net.send(path, {
    method: 'POST', headers: { authorization: `Basic ${btoa(`service:${encodeURIComponent(SECRET).replaceAll('%20', '+')}`)}`, accept }, body: new URLSearchParams(form),
  })
  const introspected = await service(cx.as.introspection_endpoint, 'application/token-introspection+jwt', { token: tokens.access_token })
  keep('introspection', introspected.text, 'token-introspection+jwt', 'service')
  const revoked = await service(`${cx.server.issuer}/revocations`, '*/*', {})
  keep('list of revocations', revoked.text, 'revocations+jwt', undefined)
  const broker = new Flow(cx, 'broker', oauth.PrivateKeyJwt(cx.broker))
  const own = await broker.run()
  const exchange = async (parameters) => (await oauth.processGenericTokenEndpointResponse(cx.as, broker.client,
    await oauth.genericTokenEndpointRequest(cx.as, broker.client, broker.authentication, 'urn:ietf:params:oauth:grant-type:token-exchange', parameters, broker.options),
    { recognizedTokenTypes: { n_a: () => {} } })).access_token
  keep('identity assertion', await exchange({
    requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag', audience: PARTNER, scope: 'read',
    subject_token: own.id_token, subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
  }), 'oauth-id-jag+jwt', PARTNER)
  keep('transaction token', await exchange({
    requested_token_type: 'urn:ietf:params:oauth:token-type:txn_token', audience: DOMAIN, scope: 'orders:read',
    subject_token: own.access_token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  }), 'txntoken+jwt', DOMAIN)
  const reader = new Flow(cx, 'reader', oauth.None())
  const told = await reader.run({}, { resource: cx.server.issuer })
  const userinfo = await cx.net.send(cx.as.userinfo_endpoint, { headers: { authorization: `Bearer ${told.access_token}` } })
  keep('userinfo', userinfo.text, 'userinfo+jwt', 'reader')
  const { page, form } = await cx.person.walk('/logout')
  must(form ?? forms(page.text)[0], `no form to sign out: ${page.status}`)
  await cx.person.submit(form ?? forms(page.text)[0], {})
  keep('logout token', await cx.hook.next(), 'logout+jwt', 'reader')
  return signed
}

async function collectSealed(cx) {
  const sealed = []
  for (const { id, alg, enc, key } of cx.seals) {
    const keep = (kind, holds, token) => sealed.push({ kind, holds, alg, enc, at: now(), audience: id, token, key: key.private })
    const flow = new Flow(cx, id, oauth.None())
    const returned = await cx.person.approve(flow.url(await flow.parameters({ response_mode: 'jwt' })))
    const response = returned.searchParams.get('response')
    keep('authorization response', 'code', response)
    const open = { [oauth.customFetch]: cx.net.fetch, [oauth.jweDecrypt]: async (jwe) => new TextDecoder().decode((await jose.compactDecrypt(jwe, key.key)).plaintext) }
    const answer = await oauth.validateJwtAuthResponse(cx.as, flow.client, returned, flow.state, open)
    const tokens = await (await oauth.authorizationCodeGrantRequest(cx.as, flow.client, flow.authentication, answer, flow.redirect, flow.verifier,
      { ...flow.options, additionalParameters: { resource: cx.server.issuer } })).json()
    keep('ID token', 'nonce', tokens.id_token)
    keep('userinfo', 'sub', (await cx.net.send(cx.as.userinfo_endpoint, { headers: { authorization: `Bearer ${tokens.access_token}` } })).text)
  }
  return sealed
}

// The same text with one letter of one part changed, so that it stays base64url.
function changed(token, part) {
  const parts = token.split('.')
  const at = Math.floor(parts[part].length / 2)
  const letter = parts[part][at] === 'A' ? 'B' : 'A'
  parts[part] = parts[part].slice(0, at) + letter + parts[part].slice(at + 1)
  return parts.join('.')
}

async function verify({ alg, issuer, jwks }, { kind, token, typ, audience }) {
  const set = jose.createLocalJWKSet(jwks)
  const rules = { issuer, audience, typ, algorithms: [alg] }
  await check(`jose verifies our ${kind} (${alg})`, async () => {
    const { protectedHeader: header } = await jose.jwtVerify(token, set, rules)
    const published = jwks.keys.find(({ kid }) => kid === header.kid)
    must(published?.alg === alg && published.use === 'sig', `the set says ${JSON.stringify(published)}`)
    must(!published.d && !published.p, 'the set holds a private key')
    for (const part of [1, 2]) await refused(() => jose.jwtVerify(changed(token, part), set, rules))
    const payload = token.split('.')[1]
    const bare = `${jose.base64url.encode('{"alg":"none"}')}.${payload}.`
    await refused(() => jose.jwtVerify(bare, set, rules))
    const stranger = await keyPair(alg, header.kid)
    await refused(() => jose.jwtVerify(token, jose.createLocalJWKSet({ keys: [stranger.jwk] }), rules))
  })
}

async function open({ issuer, jwks }, { kind, holds, alg, enc, token, key, audience }) {
  await check(`jose opens our ${kind} encrypted with ${alg} and ${enc}`, async () => {
    const own = await jose.importJWK(key, alg)
    const rules = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: [enc] }
    const { plaintext, protectedHeader } = await jose.compactDecrypt(token, own, rules)
    must(protectedHeader.cty === 'JWT' && protectedHeader.kid === key.kid, JSON.stringify(protectedHeader))
    const { payload } = await jose.jwtVerify(new TextDecoder().decode(plaintext), jose.createLocalJWKSet(jwks), { issuer, audience })
    must(payload[holds], `no ${holds} inside`)
    for (const part of [3, 4]) await refused(() => jose.compactDecrypt(changed(token, part), own, rules))
    const stranger = await keyPair(alg, 'enc-1', 'enc')
    await refused(() => jose.compactDecrypt(token, stranger.key, rules))
  })
}

// Newer libraries call EdDSA by its curve (RFC 9864).
const named = (signers) => ({ ...signers, Ed25519: signers.EdDSA })
const now = () => Math.floor(Date.now() / 1000)

// What jose signs and encrypts, read by the server.
async function taken(cx) {
  const { issuer } = cx.server
  for (const [alg, pair] of Object.entries(named(cx.signers))) {
    const sign = (header, claims) => new jose.SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(pair.key)
    const assertion = () => sign({ kid: pair.kid, typ: 'JWT' }, { iss: 'signer', sub: 'signer', aud: issuer, jti: crypto.randomUUID(), iat: now(), exp: now() + 60 })
    const form = async (more, signed) => new URLSearchParams({
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: signed ?? await assertion(), ...more,
    })
    const post = (url, body, headers = {}) => cx.net.send(url, { method: 'POST', body, headers })
    const credentials = { grant_type: 'client_credentials', scope: 'orders:read' }
    await check(`the server takes a client assertion by jose (${alg})`, async () => {
      const signed = await assertion()
      erred(await post(cx.as.token_endpoint, await form(credentials, changed(signed, 1))), 'invalid_client')
      erred(await post(cx.as.token_endpoint, await form(credentials, changed(signed, 2))), 'invalid_client')
      const answer = await post(cx.as.token_endpoint, await form(credentials, signed))
      must(answer.status === 200, answer.text)
      erred(await post(cx.as.token_endpoint, await form(credentials, signed)), 'invalid_client')
    })
    await check(`the server takes a DPoP proof by jose (${alg})`, async () => {
      const { kid, use, alg: _, ...jwk } = pair.jwk
      const proof = (nonce) => sign({ typ: 'dpop+jwt', jwk }, { htm: 'POST', htu: cx.as.token_endpoint, iat: now(), jti: crypto.randomUUID(), nonce })
      const first = await post(cx.as.token_endpoint, await form(credentials), { dpop: await proof() })
      const nonce = first.headers.get('dpop-nonce') ?? undefined
      const dpop = await proof(nonce)
      erred(await post(cx.as.token_endpoint, await form(credentials), { dpop: changed(dpop, 2) }), 'invalid_dpop_proof')
      const answer = await post(cx.as.token_endpoint, await form(credentials), { dpop })
      must(answer.status === 200 && JSON.parse(answer.text).token_type === 'DPoP', answer.text)
      must(jose.decodeJwt(JSON.parse(answer.text).access_token).cnf.jkt === await jose.calculateJwkThumbprint(jwk), 'bound to another key')
    })
    const flow = new Flow(cx, 'signer', undefined)
    const request = async () => {
      const parameters = Object.fromEntries(await flow.parameters())
      return sign({ kid: pair.kid, typ: 'oauth-authz-req+jwt' }, { ...parameters, iss: 'signer', aud: issuer, nbf: now(), exp: now() + 60 })
    }
    const push = async (request) => post(cx.as.pushed_authorization_request_endpoint, await form({ client_id: 'signer', request }))
    await check(`the server takes a request object by jose (${alg})`, async () => {
      const signed = await request()
      erred(await push(changed(signed, 1)), 'invalid_request_object')
      erred(await push(changed(signed, 2)), 'invalid_request_object')
      must((await push(signed)).status === 201, 'refused')
    })
    for (const [management, enc] of [['ECDH-ES', 'A128GCM'], ['ECDH-ES', 'A128CBC-HS256'], ['ECDH-ES+A256KW', 'A256GCM'], ['ECDH-ES+A256KW', 'A128CBC-HS256']]) {
      await check(`the server opens what jose encrypts with ${management} and ${enc} (${alg})`, async () => {
        const jwk = cx.jwks.keys.find(({ use }) => use === 'enc')
        const sealed = await new jose.CompactEncrypt(bytes(await request())).setProtectedHeader({ alg: management, enc, cty: 'JWT', kid: jwk.kid })
          .encrypt(await jose.importJWK(jwk, management))
        for (const part of [3, 4]) erred(await push(changed(sealed, part)), 'invalid_request_object')
        must((await push(sealed)).status === 201, 'refused')
      })
    }
  }
}

// The same by joserfc, in a process of its own; its counts are added to ours.
async function joserfc(material) {
  const python = process.env.PYTHON
  if (!python) throw new Error('PYTHON names an interpreter with joserfc')
  const path = join(material.home, 'material.json')
  writeFileSync(path, JSON.stringify(material), { mode: 0o600 })
  const child = spawn(python, [join(import.meta.dirname, 'joserfc_tokens.py'), path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let last = ''
  createInterface({ input: child.stdout }).on('line', (line) => {
    console.log(line)
    last = line
  })
  await new Promise((resolve) => child.once('close', resolve))
  const [, passed, failed] = last.match(/^joserfc: (\d+) passed, (\d+) failed/) ?? [undefined, 0, 1]
  checks.add({ passed: Number(passed), failed: Number(failed) })
}

const servers = []
const read = []
const hook = await receiver()
try {
  let main
  for (const alg of ALGORITHMS) {
    const all = await clients(alg, hook)
    const server = await start(all.configuration, all.files)
    servers.push(server)
    const net = network({ ca: server.ca })
    const cx = { ...all, hook, checks, server, net, person: new Person(server, net) }
    cx.as = await discover(server, net)
    cx.jwks = JSON.parse((await net.send(cx.as.jwks_uri)).text)
    const material = { alg, issuer: server.issuer, jwks: cx.jwks, signed: await collect(cx), sealed: alg === MAIN ? await collectSealed(cx) : [] }
    read.push(material)
    for (const token of material.signed) await verify(material, token)
    for (const token of material.sealed) await open(material, token)
    if (alg === MAIN) {
      main = cx
      await taken(cx)
    } else {
      net.close()
      await server.stop()
    }
  }
  const keys = Object.fromEntries(Object.entries(named(main.signers)).map(([alg, pair]) => [alg, { ...pair.private, alg: undefined }]))
  await joserfc({ home: main.server.home, read, keys, as: main.as, jwks: main.jwks, ca: main.server.addresses.ca })
  main.net.close()
} catch (error) {
  console.error(error)
  checks.add({ passed: 0, failed: 1 })
} finally {
  await Promise.all(servers.map((server) => server.stop()))
  hook.close()
}
checks.end()

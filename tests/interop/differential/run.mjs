// The same malformed requests to us and to oidc-provider. Where the two answer differently, `docs/differences-oidc-provider.md` says why; a
// difference that the page does not explain fails, and so does a line of the page that is no longer true. Ends with a line of counts.
import { spawn } from 'node:child_process'
import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { requests } from './requests.mjs'
import { start } from '../server.mjs'

const REDIRECT = 'https://portal.example/callback'
const AUDIENCE = 'https://orders.example'
const SCOPE = 'orders:read'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'keyed-1', alg: 'ES256', use: 'sig' }] }
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

function sign(claims, header) {
  const signed = `${encode({ alg: 'ES256', kid: 'keyed-1', typ: 'JWT', ...header })}.${encode(claims)}`
  if (header.alg === 'none') return `${signed}.`
  const signature = createSign('sha256').update(signed).sign({ key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

async function send(server, request) {
  const value = (of) => (typeof of === 'function' ? of(server) : of)
  const url = new URL(server.metadata[request.at])
  const present = (of) => Object.entries(of).filter(([, text]) => text !== undefined)
  const query = request.query && Object.entries(request.query).map(([name, text]) => [name, value(text)])
  for (const [name, text] of query ? present(Object.fromEntries(query)) : []) url.searchParams.set(name, text)
  const method = request.method ?? (request.query ? 'GET' : 'POST')
  const form = value(request.form)
  const body = request.raw ?? (form && method !== 'GET' ? new URLSearchParams(present(form)).toString() : undefined)
  const headers = { accept: 'application/json, text/html', connection: 'close' }
  if (body !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded'
  const credential = value(request.basic)
  if (credential) headers.authorization = `Basic ${btoa(credential.map(encodeURIComponent).join(':'))}`
  Object.assign(headers, request.headers)
  for (const name of Object.keys(headers)) if (headers[name] === undefined) delete headers[name]
  const answer = await exchange(url, { method, headers, ca: server.ca }, body)
  return outcome(answer)
}

function exchange(url, options, body) {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, { ...options, timeout: 10_000 }, (response) => {
      const parts = []
      response.on('data', (part) => parts.push(part))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() }))
    })
    request.on('error', reject)
    request.on('timeout', () => request.destroy(new Error('no answer in ten seconds')))
    request.end(body)
  })
}

// What a client can tell: a token, an error code, an error page, an error at its redirect URI, or that the person is asked something.
function outcome({ status, headers, body }) {
  if (status >= 500) return `${status}`
  if (headers.location) {
    const target = new URL(headers.location, 'https://here.invalid')
    if (!headers.location.startsWith(REDIRECT)) return 'asks the person'
    const error = target.searchParams.get('error') ?? new URLSearchParams(target.hash.slice(1)).get('error')
    return `redirect ${error ?? 'with a code'}`
  }
  if (headers['content-type']?.includes('text/html')) return status < 400 ? 'asks the person' : 'error page'
  let error
  try {
    error = JSON.parse(body).error
  } catch { /* Not every answer is JSON. */ }
  error ??= /error="([^"]+)"/.exec(headers['www-authenticate'] ?? '')?.[1]
  return error ? `${status} ${error}` : `${status}`
}

async function facts(issuer, extra) {
  const { body } = await exchange(new URL(`${issuer}/.well-known/openid-configuration`), { method: 'GET', headers: { connection: 'close' }, ca: extra.ca })
  const metadata = JSON.parse(body)
  return { ...extra, issuer, metadata, token_endpoint: metadata.token_endpoint, sign, unique: randomUUID, get now() { return Math.floor(Date.now() / 1000) } }
}

async function startPeer(secret) {
  const port = await new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => resolve(port)) })
  })
  const settings = { redirect: REDIRECT, audience: AUDIENCE, scope: SCOPE, secret, jwks }
  const child = spawn(process.execPath, ['peer.mjs'], {
    env: { ...process.env, NODE_ENV: 'production', PORT: String(port), SETTINGS: JSON.stringify(settings) }, stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const issuer = await Promise.race([
    new Promise((resolve) => createInterface({ input: child.stdout }).on('line', (line) => line.startsWith('http') && resolve(line))),
    ended.then(() => { throw new Error('oidc-provider ended before it was ready') }),
  ])
  return { issuer, async stop() { child.kill('SIGTERM'); await ended } }
}

// The rows of the page: request, ours, theirs, why.
function explained() {
  const page = readFileSync(process.env.DIFFERENCES, 'utf8')
  const rows = page.split('\n').filter((line) => line.startsWith('| `'))
  return new Map(rows.map((row) => {
    const [name, ours, theirs, why] = row.split('|').slice(1, -1).map((cell) => cell.trim().replaceAll('`', ''))
    return [name, { ours, theirs, why }]
  }))
}

const server = await start()
let peer
const counts = { passed: 0, failed: 0 }
try {
  const file = join(server.home, 'keyed.jwks')
  writeFileSync(file, JSON.stringify(jwks))
  const registration = ['--grant', 'authorization_code', '--grant', 'refresh_token', '--redirect-uri', REDIRECT, '--scope', 'openid', '--scope', SCOPE, '--audience', AUDIENCE]
  const service = [...registration, '--grant', 'client_credentials']
  const { client_secret: secret } = server.administer(['client', 'add', 'web', '--secret', ...service])
  server.administer(['client', 'add', 'keyed', '--jwks', file, ...service])
  server.administer(['client', 'add', 'phone', '--public', ...registration])
  const theirSecret = 'a-secret-of-the-differential-run-with-enough-length'
  peer = await startPeer(theirSecret)
  const ours = await facts(server.addresses.identity, { secret, ca: readFileSync(server.addresses.ca) })
  const theirs = await facts(peer.issuer, { secret: theirSecret })
  const page = explained()
  for (const request of requests) {
    const [we, they] = [await send(ours, request), await send(theirs, request)]
    const row = page.get(request.name)
    page.delete(request.name)
    const fault = judge(we, they, row)
    counts[fault ? 'failed' : 'passed'] += 1
    console.log(fault ? `FAIL ${request.name}: ours \`${we}\`, theirs \`${they}\`: ${fault}` : `ok   ${request.name}: ${we}${we === they ? '' : ` (theirs ${they})`}`)
  }
  for (const name of page.keys()) {
    counts.failed += 1
    console.log(`FAIL ${name}: the page explains a request that is not sent`)
  }
} catch (error) {
  console.error(error)
  counts.failed += 1
} finally {
  await peer?.stop()
  await server.stop()
}
console.log(`differential: ${counts.passed} passed, ${counts.failed} failed, 0 skipped`)
process.exitCode = counts.failed === 0 ? 0 : 1

function judge(we, they, row) {
  if (/^5/.test(we)) return 'a malformed request must not be our fault'
  if (we === they) return row && 'the page explains a difference that is gone'
  if (!row) return 'not explained'
  if (row.ours !== we || row.theirs !== they) return `the page says \`${row.ours}\` and \`${row.theirs}\``
  return row.why ? undefined : 'the page gives no reason'
}

// Starts the server, adds a person and two clients, and runs the checks in a second process that trusts the server's development CA
// (Node reads extra authorities only at its start). Ends with a line of counts.
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from '../server.mjs'

const REDIRECT = 'https://portal.example/callback'
const AUDIENCE = 'https://orders.example'
const PASSWORD = 'correct horse battery staple'

const server = await start()
let status = 1
try {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'portal-1', alg: 'ES256', use: 'sig' }
  const jwks = join(server.home, 'portal.jwks')
  writeFileSync(jwks, JSON.stringify({ keys: [jwk] }))

  server.administer(['user', 'add', 'alice', '--password-stdin'], PASSWORD)
  const registration = ['--grant', 'authorization_code', '--grant', 'refresh_token', '--redirect-uri', REDIRECT,
    '--scope', 'openid', '--scope', 'orders:read', '--audience', AUDIENCE]
  server.administer(['client', 'add', 'portal', '--jwks', jwks, ...registration])
  server.administer(['client', 'add', 'phone', '--public', ...registration])

  const settings = {
    issuer: server.addresses.identity, redirect: REDIRECT, audience: AUDIENCE, password: PASSWORD,
    key: privateKey.export({ format: 'jwk' }), kid: 'portal-1',
  }
  const child = spawn(process.execPath, ['checks.mjs'], {
    cwd: import.meta.dirname ?? process.cwd(),
    env: { ...process.env, NODE_EXTRA_CA_CERTS: server.addresses.ca, SETTINGS: JSON.stringify(settings) },
    stdio: 'inherit',
  })
  status = await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
} catch (error) {
  console.error(error)
  console.log('openid-client: 0 passed, 1 failed, 0 skipped')
} finally {
  await server.stop()
}
process.exitCode = status

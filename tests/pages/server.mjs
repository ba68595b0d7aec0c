// Starts `countersign up` on free ports in a fresh directory: a default tenant, and a tenant with a look of its own, by which people of the
// first may sign in. The second tenant is the first one's identity provider, so the server is run twice: the first start makes its authority.
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createUpstream } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect } from 'node:tls'
import { PARTNER, certificate, receiver, seed } from './partner.mjs'

const program = process.env.COUNTERSIGN_BIN
if (!program) throw new Error('COUNTERSIGN_BIN names the program to test')

export const PASSWORD = 'correct horse battery staple'
export const CALLBACK = 'https://portal.example/callback'

async function freePort() {
  const socket = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => socket.once('listening', resolve))
  const { port } = socket.address()
  await new Promise((resolve) => socket.close(resolve))
  return port
}

// Chromium refuses passkeys where a certificate is in error, so it is told this server's key.
export async function key_of(issuer) {
  const { hostname, port } = new URL(issuer)
  const socket = connect({ host: hostname, port, servername: hostname, rejectUnauthorized: false })
  await new Promise((resolve, reject) => { socket.once('secureConnect', resolve); socket.once('error', reject) })
  const spki = socket.getPeerX509Certificate().publicKey.export({ type: 'spki', format: 'der' })
  socket.destroy()
  return createHash('sha256').update(spki).digest('base64')
}

async function up(config, data) {
  const child = spawn(program, ['up', '--config', config, '--data', data, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const addresses = await Promise.race([
    new Promise((resolve) => createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)))),
    ended.then((code) => { throw new Error(`the server ended with ${code} before it was ready`) }),
  ])
  return { addresses, async stop() { child.kill('SIGTERM'); await ended } }
}

// What is behind the gateway.
async function behind() {
  const page = '<!doctype html><html lang="en"><title>Search</title><h1>Search</h1></html>'
  const upstream = createUpstream((_, answer) => answer.writeHead(200, { 'content-type': 'text/html' }).end(page)).listen(0, '127.0.0.1')
  await new Promise((resolve) => upstream.once('listening', resolve))
  return upstream
}

const POLICY = `
@challenge("proof-of-work bits=14")
forbid (principal is Anonymous, action == Action::"request", resource is Route)
unless { context has proof_of_work && context.proof_of_work >= 14 };
`

export async function start() {
  const home = mkdtempSync(join(tmpdir(), 'countersign-pages-'))
  const [config, data] = [join(home, 'config'), join(home, 'data')]
  mkdirSync(config)
  const [port, search] = [await freePort(), await behind()]
  mkdirSync(join(config, 'policies'))
  writeFileSync(join(config, 'policies', 'search.cedar'), POLICY)
  const shown = certificate(home)
  const partner = await receiver(shown)
  const write = (upstream) => {
    writeFileSync(join(config, 'countersign.toml'), configuration(port, data, upstream, search.address().port, shown.cert))
    writeFileSync(join(config, 'password'), PASSWORD)
    writeFileSync(join(config, 'secret'), 'a secret between two tenants')
  }
  write(false)
  await (await up(config, data)).stop()
  write(true)
  const server = await up(config, data)
  // Somebody whose password is their own to change: alice's stands in the configuration.
  execFileSync(program, ['user', 'add', 'dora', '--password-stdin', '--data', data], { input: PASSWORD })
  return {
    issuer: `https://localhost:${port}`,
    gateway: server.addresses.gateway,
    data,
    webhooks: await seed(program, data, partner.address().port),
    async stop() {
      await server.stop()
      partner.close()
      partner.closeAllConnections()
      search.close()
      search.closeAllConnections()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

const client = (tenant, id, name, more) => `
[[clients]]
tenant = "${tenant}"
id = "${id}"
name = "${name}"
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "orders:read", "orders:write"]
audiences = ["https://orders.example"]
${more}
`

const configuration = (port, data, upstream, search, believed) => `
[egress]
ca = "${believed}"
allow = ["localhost"]

[listeners]
identity = "127.0.0.1:${port}"
identity_mtls = "127.0.0.1:0"
gateway = "127.0.0.1:0"
control = "127.0.0.1:0"
telemetry = "127.0.0.1:0"

[policies]
directory = "policies"

[[upstreams]]
name = "search"
url = "http://127.0.0.1:${search}"
plain_http_because = "the upstream of a test speaks nothing else"

[[routes]]
name = "search"
path = "/search"
upstream = "search"
audience = "https://search.example"
anonymous = "allowed"
challenge = "door"
actions.GET = { action = "request" }

[[tenants]]
name = "default"

[[tenants]]
name = "acme"

[tenants.branding]
name = "Acme Freight"
accent = "#c2410c"

[[users]]
name = "alice"
password = { file = "password" }

[[users]]
name = "erin"
password = { file = "password" }
attributes = { partner = "${PARTNER}" }

[[users]]
name = "frank"
password = { file = "password" }
attributes = { partner = "contoso" }

[[users]]
tenant = "acme"
name = "alice@acme.example"
password = { file = "password" }
${client('default', 'portal', 'Customer portal', `redirect_uris = ["${CALLBACK}"]`)}
${client('default', 'television', 'Living room television', 'redirect_uris = ["http://127.0.0.1/"]\napplication = "native"')
    .replace('"authorization_code", "refresh_token"', '"urn:ietf:params:oauth:grant-type:device_code", "refresh_token", "authorization_code"')}
${client('acme', 'portal', 'Freight portal', `redirect_uris = ["${CALLBACK}"]`)}
${client('acme', 'countersign', 'Countersign', `redirect_uris = ["https://localhost:${port}/federation/callback/acme"]\nsecret = { file = "secret" }\nconsent = "implied"`)}
${upstream ? `
[[identity_providers]]
name = "acme"
label = "Acme Freight"
issuer = "https://localhost:${port}/t/acme"
client_id = "countersign"
client_secret = { file = "secret" }
domains = ["acme.example"]
linking = "create"
ca = "${join(data, 'ca.pem')}"
private_address_because = "the provider is another tenant of the same test server"
` : ''}`

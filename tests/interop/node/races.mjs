// 200 parallel uses of every one-time value: exactly one succeeds. On SQLite with one server process; with POSTGRES, the URL of a database of our own, on two
// processes that share it, a hundred uses at each.
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { Checks, claims, must } from '../checks.mjs'
import { AUDIENCE, callback, everyone } from './clients.mjs'
import { network } from './net.mjs'
import { introspect } from './oauth4webapi.mjs'
import { Person, forms } from './person.mjs'
import { start } from './server.mjs'

const USES = 200
// Where the two processes answer is no part of their name.
const ISSUER = 'https://id.races.example'
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const SCOPE = 'openid orders:read'

const checks = new Checks(process.env.POSTGRES ? 'races on PostgreSQL with two processes' : 'races on SQLite')
const { check } = checks
const now = () => Math.floor(Date.now() / 1000)

// One server process as its clients see it.
function node(server) {
  const net = network({ ca: server.ca, connections: USES })
  const origin = server.addresses.identity
  const post = (path, form, headers = {}) => net.send(`${origin}${path}`, { method: 'POST', headers, body: new URLSearchParams(form) })
  return { server: { ...server, issuer: origin }, net, origin, post }
}

async function assertion(cx, id, change = {}) {
  const { key, kid, alg } = cx.keys[id]
  const body = { iss: id, sub: id, aud: ISSUER, jti: crypto.randomUUID(), iat: now(), exp: now() + 60, ...change }
  return new jose.SignJWT(body).setProtectedHeader({ alg, kid }).sign(key)
}

const authenticated = async (cx, id, form) => ({ ...form, client_assertion_type: ASSERTION, client_assertion: await assertion(cx, id) })

// Sends `use(node, n)` of all at once, spread over the processes, over connections that are open already.
async function race(cx, use) {
  const turns = Array.from({ length: USES }, (_, at) => cx.nodes[at % cx.nodes.length])
  await Promise.all(turns.map(({ net, origin }) => net.send(`${origin}/.well-known/openid-configuration`)))
  const answers = await Promise.all(turns.map((node, at) => use(node, at)))
  must(answers.every(({ status }) => status < 500), `answered ${tally(answers)}`)
  return answers
}

function tally(answers) {
  const counts = {}
  for (const { status, text } of answers) {
    const name = status === 200 || !text.startsWith('{') ? status : `${status} ${JSON.parse(text).error}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  return JSON.stringify(counts)
}

// Exactly one of the answers is a success, and every other one says what is expected of the late.
function once(answers, { good = ({ status }) => status === 200, late }) {
  const won = answers.filter(good)
  must(won.length === 1, `${won.length} succeeded: ${tally(answers)}`)
  const others = answers.filter((answer) => !good(answer))
  must(others.every(late), `answered ${tally(answers)}`)
  return won[0]
}

const refusedWith = (error) => ({ status, text }) => status >= 400 && text.startsWith('{') && JSON.parse(text).error === error

async function inactive(cx, answer) {
  const { access_token: token } = JSON.parse(answer.text)
  const asked = () => introspect({ ...cx, net: cx.nodes[0].net, as: cx.as }, token)
  // One process knows at once what it revoked itself; what another one revoked is known here within two seconds: asked so long, and no longer.
  const until = Date.now() + (cx.nodes.length > 1 ? 2000 : 0)
  let seen = await asked()
  while (seen.active && Date.now() < until) seen = await asked()
  must(seen.active === false, 'what the first use gave is alive in spite of the others')
}

const query = (id, more = {}) => new URLSearchParams({
  client_id: id, response_type: 'code', redirect_uri: callback(id), scope: SCOPE, state: 's', resource: AUDIENCE,
  code_challenge: CHALLENGE, code_challenge_method: 'S256', ...more,
})

const person = (node, name, cookies) => Object.assign(new Person(node.server, node.net, name), cookies ? { cookies } : {})

async function code(cx, id) {
  const returned = await cx.person.approve(`/authorize?${query(id)}`)
  return returned.searchParams.get('code')
}

const redemption = (id, code) => ({ grant_type: 'authorization_code', code, redirect_uri: callback(id), code_verifier: VERIFIER })

async function codes(cx) {
  await check('code_10_r23_a84_one of 200 parallel redemptions of a code succeeds', async () => {
    const form = { ...redemption('phone', await code(cx, 'phone')), client_id: 'phone' }
    const won = once(await race(cx, ({ post }) => post('/token', form)), { late: refusedWith('invalid_grant') })
    await inactive(cx, won)
  })
}

async function refreshTokens(cx) {
  // The grace of an authenticated client: whoever asks again within seconds gets the same successor.
  await check('rt_5_a16_a84_200 parallel uses of a refresh token leave one successor, and it lives', async () => {
    const first = await cx.nodes[0].post('/token', await authenticated(cx, 'web', redemption('web', await code(cx, 'web'))))
    must(first.status === 200, first.text)
    const { refresh_token } = JSON.parse(first.text)
    const forms = await Promise.all(Array.from({ length: USES }, () => authenticated(cx, 'web', { grant_type: 'refresh_token', refresh_token })))
    const begun = Date.now()
    const answers = await race(cx, ({ post }, at) => post('/token', forms[at]))
    // Ten seconds long the same successor is given again; whoever comes later ends the family, as a thief would.
    const inGrace = Date.now() - begun < 9000
    const good = answers.filter(({ status }) => status === 200)
    must(good.length > 0 && answers.every((answer) => answer.status === 200 || refusedWith('invalid_grant')(answer)), `answered ${tally(answers)}`)
    const successors = new Set(good.map(({ text }) => JSON.parse(text).refresh_token))
    must(successors.size === 1, `${successors.size} successors`)
    const next = await cx.nodes.at(-1).post('/token', await authenticated(cx, 'web', { grant_type: 'refresh_token', refresh_token: [...successors][0] }))
    must(next.status === 200 || !inGrace, `the successor is dead: ${next.text}`)
  })
  await check('rt_4_a84_of 200 parallel uses of a public client\'s refresh token one succeeds', async () => {
    const first = await cx.nodes[0].post('/token', { ...redemption('phone', await code(cx, 'phone')), client_id: 'phone' })
    const form = { grant_type: 'refresh_token', refresh_token: JSON.parse(first.text).refresh_token, client_id: 'phone' }
    const won = once(await race(cx, ({ post }) => post('/token', form)), { late: refusedWith('invalid_grant') })
    await inactive(cx, won)
  })
}

async function requestUris(cx) {
  await check('r17_a84_one of 200 parallel uses of a request_uri is answered with a code', async () => {
    const pushed = await cx.nodes[0].post('/par', await authenticated(cx, 'web', Object.fromEntries(query('web'))))
    must(pushed.status === 201, pushed.text)
    const path = `/authorize?${new URLSearchParams({ client_id: 'web', request_uri: JSON.parse(pushed.text).request_uri })}`
    const answers = await race(cx, (node) => person(node, 'alice', cx.person.cookies).request(path))
    const code = (answer) => answer.location && new URL(answer.location).searchParams.get('code')
    const won = once(answers, { good: code, late: ({ status }) => status === 400 })
    const tokens = await cx.nodes.at(-1).post('/token', await authenticated(cx, 'web', redemption('web', code(won))))
    must(tokens.status === 200, tokens.text)
  })
}

async function assertions(cx) {
  await check('ca_11_a84_one of 200 parallel uses of a client assertion succeeds', async () => {
    const form = await authenticated(cx, 'batch', { grant_type: 'client_credentials' })
    once(await race(cx, ({ post }) => post('/token', form)), { late: refusedWith('invalid_client') })
  })
  await check('ca_11_a84_one of 200 parallel uses of a client assertion at introspection succeeds', async () => {
    const form = await authenticated(cx, 'batch', { token: 'unknown' })
    once(await race(cx, ({ post }) => post('/introspect', form)), { late: refusedWith('invalid_client') })
  })
}

async function proof(cx, nonce) {
  cx.dpop ??= await jose.generateKeyPair('ES256', { extractable: true })
  const jwk = await jose.exportJWK(cx.dpop.publicKey)
  const body = { htm: 'POST', htu: `${ISSUER}/token`, iat: now(), jti: crypto.randomUUID(), nonce }
  return new jose.SignJWT(body).setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk }).sign(cx.dpop.privateKey)
}

// What a use of a proof without a nonce is answered by every process, so that all are past their first seconds.
async function calm(cx) {
  for (;;) {
    const answers = await Promise.all(cx.nodes.map(async ({ post }) =>
      post('/token', await authenticated(cx, 'batch', { grant_type: 'client_credentials' }), { dpop: await proof(cx) })))
    if (answers.every(({ status }) => status === 200)) return
    must(answers.every((answer) => answer.status === 200 || refusedWith('use_dpop_nonce')(answer)), `answered ${tally(answers)}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

async function proofs(cx) {
  const uses = async (dpop) => {
    const forms = await Promise.all(Array.from({ length: USES }, () => authenticated(cx, 'batch', { grant_type: 'client_credentials' })))
    return race(cx, ({ post }, at) => post('/token', forms[at], { dpop }))
  }
  await check('dpop_20_a84_one of 200 parallel uses of a DPoP proof with a nonce succeeds', async () => {
    const asked = await cx.nodes[0].post('/token', await authenticated(cx, 'batch', { grant_type: 'client_credentials' }), { dpop: await proof(cx) })
    const answers = await uses(await proof(cx, asked.headers.get('dpop-nonce')))
    const late = (answer) => refusedWith('invalid_dpop_proof')(answer) || refusedWith('use_dpop_nonce')(answer)
    const won = once(answers, { late })
    must(claims(JSON.parse(won.text).access_token).cnf.jkt, 'the token is not bound')
  })
  // A nonce is of one process; without one it is the database that tells the other what was used. One process alone remembers the same either way.
  if (cx.nodes.length === 1) return
  await calm(cx)
  await check('dpop_20_a84_one of 200 parallel uses of a DPoP proof without a nonce succeeds', async () => {
    once(await uses(await proof(cx)), { late: refusedWith('invalid_dpop_proof') })
  })
}

async function devices(cx) {
  const begin = async () => JSON.parse((await cx.nodes[0].post('/device_authorization', { client_id: 'television', scope: SCOPE })).text)
  const poll = (code) => ({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: code, client_id: 'television' })
  await check('dev_1_a84_one of 200 parallel redemptions of a device code succeeds', async () => {
    const device = await begin()
    const page = await cx.person.connect(device.user_code)
    must(page.text.includes('<h1>Allowed</h1>'), `the person saw ${page.status}`)
    const won = once(await race(cx, ({ post }) => post('/token', poll(device.device_code))), { late: refusedWith('invalid_grant') })
    await inactive(cx, won)
  })
  await check('a84_one of 200 parallel answers to a user code counts', async () => {
    const device = await begin()
    // Two people on both processes have the page before them, and press.
    const open = async (node, who) => {
      const browser = person(node, who.name, who.cookies)
      const { page, form } = await browser.walk('/device')
      must(form, `no form: ${page.status}`)
      const shown = await browser.submit(form, { code: device.user_code })
      const [answer] = forms(shown.text)
      must(answer?.inside.includes('value="allow"'), `no question: ${shown.status} ${shown.location}`)
      return { browser, answer }
    }
    const opened = []
    for (const node of cx.nodes) for (const who of [cx.person, cx.other]) opened.push({ node, ...await open(node, who) })
    const answers = await race(cx, (node, at) => {
      const mine = opened.filter((one) => one.node === node)
      const { browser, answer } = mine[Math.floor(at / cx.nodes.length) % mine.length]
      return browser.submit(answer, { answer: 'allow' })
    })
    once(answers, { good: ({ status, text }) => status === 200 && text.includes('<h1>Allowed</h1>'), late: ({ status }) => status === 400 })
    const tokens = await cx.nodes[0].post('/token', poll(device.device_code))
    must(tokens.status === 200, tokens.text)
  })
}

async function backchannel(cx) {
  const hint = { scope: SCOPE, login_hint: 'alice' }
  const ask = async (form) => cx.nodes[0].post('/bc-authorize', await authenticated(cx, 'desk', form))
  const poll = (id) => authenticated(cx, 'desk', { grant_type: 'urn:openid:params:grant-type:ciba', auth_req_id: id })
  await check('ciba_35_a84_one of 200 parallel polls with an answered auth_req_id succeeds', async () => {
    const { auth_req_id } = JSON.parse((await ask(hint)).text)
    const page = await cx.person.respond()
    must(page.text.includes('<h1>Allowed</h1>'), `the person saw ${page.status}`)
    const forms = await Promise.all(Array.from({ length: USES }, () => poll(auth_req_id)))
    const won = once(await race(cx, ({ post }, at) => post('/token', forms[at])), { late: refusedWith('invalid_grant') })
    await inactive(cx, won)
  })
  await check('a84_one of 200 parallel uses of a signed back-channel request succeeds', async () => {
    const { key, kid, alg } = cx.keys.desk
    const body = { ...hint, iss: 'desk', aud: ISSUER, jti: crypto.randomUUID(), iat: now(), nbf: now(), exp: now() + 60 }
    const request = await new jose.SignJWT(body).setProtectedHeader({ alg, kid }).sign(key)
    const forms = await Promise.all(Array.from({ length: USES }, () => authenticated(cx, 'desk', { request })))
    const answers = await race(cx, ({ post }, at) => post('/bc-authorize', forms[at]))
    once(answers, { late: ({ status }) => status === 400 })
  })
}

const servers = []
try {
  const { POSTGRES } = process.env
  const store = POSTGRES ? '[store]\npostgres = { file = "postgres.url" }' : ''
  const all = await everyone({
    settings: `[listeners]\nissuer_base = "${ISSUER}"\n${store}`,
    moreFiles: { 'postgres.url': POSTGRES ?? 'none' },
  })
  // One after the other: the first one makes the tables.
  for (let at = 0; at < (POSTGRES ? 2 : 1); at += 1) servers.push(await start(all.configuration, all.files, servers[0]))
  const nodes = servers.map(node)
  const cx = { ...all, nodes, person: person(nodes[0], 'alice'), other: person(nodes.at(-1), 'bob') }
  cx.as = await oauth.processDiscoveryResponse(new URL(ISSUER), await nodes[0].net.fetch(`${nodes[0].origin}/.well-known/openid-configuration`))
  cx.as = { ...cx.as, introspection_endpoint: `${nodes[0].origin}/introspect` }
  // Signed in before anything races.
  await cx.person.approve(`/authorize?${query('web')}`)
  await cx.other.approve(`/authorize?${query('web')}`)
  for (const part of [codes, refreshTokens, requestUris, assertions, devices, backchannel, proofs]) await part(cx)
  for (const { net } of nodes) net.close()
} catch (error) {
  console.error(error)
  checks.add({ passed: 0, failed: 1 })
} finally {
  await Promise.all(servers.map((server) => server.stop()))
}
checks.end()

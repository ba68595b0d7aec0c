// What oauth4webapi, a client written by others, sees of every flow; what it must refuse when an answer was changed on its way, and what the server must
// refuse when a request is changed or comes twice.
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { SECRET, callback } from './clients.mjs'
import { claims, erred, forged, must, refused } from '../checks.mjs'
import { network } from './net.mjs'
import { Person } from './person.mjs'

const SCOPE = 'openid orders:read'
const known = (id, more = {}) => ({ client_id: id, ...more })

export async function discover(server, net) {
  const issuer = new URL(server.issuer)
  const answer = await oauth.discoveryRequest(issuer, { [oauth.customFetch]: net.fetch })
  return oauth.processDiscoveryResponse(issuer, answer)
}

// One sign-in, from the request to the tokens.
export class Flow {
  constructor(cx, id, authentication, { client = {}, net = cx.net, redirect = callback(id), DPoP } = {}) {
    Object.assign(this, { cx, as: cx.as, client: known(id, client), authentication, net, redirect, DPoP })
    this.options = { [oauth.customFetch]: net.fetch, DPoP }
    this.verifier = oauth.generateRandomCodeVerifier()
    this.state = oauth.generateRandomState()
    this.nonce = oauth.generateRandomNonce()
  }

  async parameters(more = {}) {
    return new URLSearchParams({
      client_id: this.client.client_id, response_type: 'code', redirect_uri: this.redirect, scope: SCOPE, state: this.state, nonce: this.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(this.verifier), code_challenge_method: 'S256', ...more,
    })
  }

  url(parameters) {
    return `${this.as.authorization_endpoint}?${parameters}`
  }

  async push(parameters) {
    const once = () => oauth.pushedAuthorizationRequest(this.as, this.client, this.authentication, parameters, this.options)
      .then((answer) => oauth.processPushedAuthorizationResponse(this.as, this.client, answer))
    const { request_uri } = await retried(once)
    return this.url(new URLSearchParams({ client_id: this.client.client_id, request_uri }))
  }

  async redeem(response, more = {}) {
    const once = async () => {
      const answer = await oauth.authorizationCodeGrantRequest(this.as, this.client, this.authentication, response, this.redirect, this.verifier,
        { ...this.options, additionalParameters: more })
      const tokens = await oauth.processAuthorizationCodeResponse(this.as, this.client, answer, { expectedNonce: this.nonce, requireIdToken: true })
      await oauth.validateApplicationLevelSignature(this.as, answer, { [oauth.customFetch]: this.net.fetch })
      return tokens
    }
    return retried(once)
  }

  validate(url) {
    return oauth.validateAuthResponse(this.as, this.client, url, this.state)
  }

  async run(more = {}, tokenMore = {}) {
    const url = await this.push(await this.parameters(more))
    const response = this.validate(await this.cx.person.approve(url))
    return this.redeem(response, tokenMore)
  }

  async refresh(token, more = {}) {
    const once = () => oauth.refreshTokenGrantRequest(this.as, this.client, this.authentication, token, { ...this.options, additionalParameters: more })
      .then((answer) => oauth.processRefreshTokenResponse(this.as, this.client, answer))
    return retried(once)
  }
}

// The first seconds after a start ask for a nonce; the library keeps it and wants to be asked again.
async function retried(once) {
  try {
    return await once()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return once()
  }
}

export async function run(cx) {
  for (const part of [discovery, pushed, requestObjects, signedResponses, proofs, certificates, devices, backchannel, stepUp, pairwise, refreshing, introspection]) {
    await part(cx, cx.checks.check)
  }
}

const web = (cx, options) => new Flow(cx, 'web', oauth.PrivateKeyJwt(cx.keys.web), options)
const phone = (cx, options) => new Flow(cx, 'phone', oauth.None(), options)

async function discovery(cx, check) {
  await check('oauth4webapi: metadata of another issuer are refused', () =>
    refused(() => cx.net.tampering('/.well-known/openid-configuration', (text) => text.replace(cx.server.issuer, 'https://elsewhere.example'),
      () => discover(cx.server, cx.net)), oauth.JSON_ATTRIBUTE_COMPARISON))
}

async function pushed(cx, check) {
  const flow = web(cx)
  const url = await check('par_15_oauth4webapi pushes a request', async () => flow.push(await flow.parameters()))
  const returned = await check('oauth4webapi: a person signs in and comes back', () => cx.person.approve(url))
  await check('oauth4webapi: the answer of another issuer is refused', () => {
    const changed = new URL(returned)
    changed.searchParams.set('iss', 'https://elsewhere.example')
    return refused(async () => flow.validate(changed), oauth.INVALID_RESPONSE)
  })
  await check('oauth4webapi: an answer without iss is refused', () => {
    const changed = new URL(returned)
    changed.searchParams.delete('iss')
    return refused(async () => flow.validate(changed), oauth.INVALID_RESPONSE)
  })
  await check('oauth4webapi: an answer with another state is refused', () => {
    const changed = new URL(returned)
    changed.searchParams.set('state', 'another')
    return refused(async () => flow.validate(changed), oauth.INVALID_RESPONSE)
  })
  await check('r17_a request_uri that was answered is refused', async () => {
    const { target, page } = await new Person(cx.server, cx.net).walk(url)
    must(!target?.searchParams.has('code'), 'a second code came')
    must(target ? target.searchParams.get('error') : page.status === 400, `answered ${page.status}`)
  })
  const response = await check('oauth4webapi: the answer is accepted as it came', async () => flow.validate(returned))
  const tokens = await check('oauth4webapi: the code becomes tokens and a signed ID token', () => flow.redeem(response))
  must(tokens, 'nothing to go on with')
  await check('oauth4webapi: the ID token is for this client', () => {
    const told = oauth.getValidatedIdTokenClaims(tokens)
    must(told.aud === 'web' && told.iss === cx.server.issuer && told.auth_time, JSON.stringify(told))
  })
  await check('ca_11_a client assertion that comes again is refused', async () => {
    const exchange = cx.net.last('/token')
    erred(await cx.net.again(exchange), 'invalid_client')
  })
  for (const [name, path, change, code] of [
    ['a forged nonce', '/token', (text) => withToken(text, 'id_token', (jwt) => forged(jwt, () => ({ nonce: 'another' }))), oauth.JWT_CLAIM_COMPARISON],
    ['a forged audience', '/token', (text) => withToken(text, 'id_token', (jwt) => forged(jwt, () => ({ aud: 'shop' }))), oauth.JWT_CLAIM_COMPARISON],
    ['a forged issuer', '/token', (text) => withToken(text, 'id_token', (jwt) => forged(jwt, () => ({ iss: 'https://elsewhere.example' }))), oauth.JWT_CLAIM_COMPARISON],
    ['an ID token past its time', '/token', (text) => withToken(text, 'id_token', (jwt) => forged(jwt, () => ({ exp: 1 }))), oauth.JWT_TIMESTAMP_CHECK],
    ['a forged subject', '/token', (text) => withToken(text, 'id_token', (jwt) => forged(jwt, () => ({ sub: 'somebody' }))), oauth.INVALID_RESPONSE],
    ['a signature by nobody', '/token', (text) => withToken(text, 'id_token', (jwt) => `${jwt.split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`), oauth.INVALID_RESPONSE],
  ]) {
    await check(`oauth4webapi refuses ${name}`, async () => {
      const flow = web(cx)
      await refused(() => cx.net.tampering(path, change, () => flow.run()), code)
    })
  }
  await check('code_5_a code is worth nothing to another client', async () => {
    const flow = web(cx)
    const response = flow.validate(await cx.person.approve(await flow.push(await flow.parameters())))
    const thief = phone(cx, { redirect: flow.redirect })
    thief.verifier = flow.verifier
    await refused(() => thief.redeem(response), 'invalid_grant')
  })
  await check('code_7_a code with another verifier is refused', async () => {
    const flow = web(cx)
    const response = flow.validate(await cx.person.approve(await flow.push(await flow.parameters())))
    flow.verifier = oauth.generateRandomCodeVerifier()
    await refused(() => flow.redeem(response), 'invalid_grant')
  })
  await check('oauth4webapi: userinfo tells the subject of the ID token', async () => {
    const flow = web(cx)
    const tokens = await flow.run({}, { resource: cx.server.issuer })
    const { sub } = oauth.getValidatedIdTokenClaims(tokens)
    const ask = async (expected) => oauth.processUserInfoResponse(cx.as, flow.client, expected,
      await oauth.userInfoRequest(cx.as, flow.client, tokens.access_token, { [oauth.customFetch]: cx.net.fetch }))
    must((await ask(sub)).sub === sub, 'another subject')
    await refused(() => cx.net.tampering('/userinfo', (text) => text.replace(sub, 'somebody'), () => ask(sub)), oauth.JSON_ATTRIBUTE_COMPARISON)
  })
}

function withToken(text, name, change) {
  const answer = JSON.parse(text)
  if (answer[name]) answer[name] = change(answer[name])
  return JSON.stringify(answer)
}

async function encryptionKey(cx) {
  const { keys } = JSON.parse((await cx.net.send(cx.as.jwks_uri)).text)
  const jwk = keys.find(({ use }) => use === 'enc')
  must(jwk, 'no key for encryption in the set')
  return { jwk, key: await jose.importJWK(jwk, 'ECDH-ES+A256KW') }
}

async function requestObjects(cx, check) {
  const signed = (flow, parameters, options) => oauth.issueRequestObject(cx.as, flow.client, parameters, cx.keys.web, options)
  const direct = (flow, request) => flow.url(new URLSearchParams({ client_id: flow.client.client_id, request }))
  await check('oauth4webapi: a signed request (JAR) becomes tokens', async () => {
    const flow = web(cx)
    const returned = await cx.person.approve(direct(flow, await signed(flow, await flow.parameters())))
    await flow.redeem(flow.validate(returned))
  })
  await check('oauth4webapi: a signed request is pushed', async () => {
    const flow = web(cx)
    const url = await flow.push(new URLSearchParams({ request: await signed(flow, await flow.parameters()) }))
    await flow.redeem(flow.validate(await cx.person.approve(url)))
  })
  await check('jar_3_a request that was changed after it was signed is refused', async () => {
    const flow = web(cx)
    const request = forged(await signed(flow, await flow.parameters()), () => ({ scope: 'openid' }))
    const { target } = await cx.person.walk(direct(flow, request))
    must(!target?.searchParams.has('code'), 'a code came')
    await refused(() => flow.push(new URLSearchParams({ request })), 'invalid_request_object')
  })
  await check('jar_10_a request for another server is refused, the same for this one is not', async () => {
    const flow = web(cx)
    const parameters = await flow.parameters()
    const elsewhere = await signed(flow, parameters, { [oauth.modifyAssertion]: (_, payload) => { payload.aud = 'https://elsewhere.example' } })
    await refused(() => flow.push(new URLSearchParams({ request: elsewhere })), 'invalid_request_object')
    await flow.push(new URLSearchParams({ request: await signed(flow, parameters) }))
  })
  await check('jar_12_what stands outside of a signed request does not count', async () => {
    const flow = web(cx)
    const url = new URL(direct(flow, await signed(flow, await flow.parameters({ scope: 'openid' }))))
    url.searchParams.set('scope', SCOPE)
    url.searchParams.set('state', 'outside')
    const returned = await cx.person.approve(url.href)
    must(returned.searchParams.get('state') === flow.state, 'the state from outside came back')
    const tokens = await flow.redeem(flow.validate(returned))
    must(tokens.scope === 'openid', `scope is ${tokens.scope}`)
  })
  await check('oauth4webapi and jose: an encrypted signed request is taken, and one for another key is not', async () => {
    const flow = web(cx)
    const { jwk, key } = await encryptionKey(cx)
    const seal = async (to, request) => new jose.CompactEncrypt(new TextEncoder().encode(request))
      .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', kid: jwk.kid, cty: 'JWT' }).encrypt(to)
    const request = await signed(flow, await flow.parameters())
    const { publicKey: foreign } = await jose.generateKeyPair('ECDH-ES+A256KW')
    const wrong = await seal(foreign, request)
    await refused(() => flow.push(new URLSearchParams({ request: wrong })), 'invalid_request_object')
    const url = await flow.push(new URLSearchParams({ request: await seal(key, request) }))
    await flow.redeem(flow.validate(await cx.person.approve(url)))
  })
}

async function signedResponses(cx, check) {
  const validate = (flow, url, more = {}) => oauth.validateJwtAuthResponse(cx.as, flow.client, url, flow.state, { [oauth.customFetch]: cx.net.fetch, ...more })
  await check('oauth4webapi: a signed answer (JARM) is validated, a changed one is refused', async () => {
    const flow = web(cx)
    const returned = await cx.person.approve(await flow.push(await flow.parameters({ response_mode: 'jwt' })))
    must([...returned.searchParams.keys()].join() === 'response', `the answer carries ${[...returned.searchParams.keys()]}`)
    const response = returned.searchParams.get('response')
    for (const change of [() => ({ code: 'another' }), () => ({ state: 'another' }), () => ({ iss: 'https://elsewhere.example' }), () => ({ aud: 'phone' }), () => ({ exp: 1 })]) {
      const changed = new URL(returned)
      changed.searchParams.set('response', forged(response, change))
      await refused(() => validate(flow, changed))
    }
    must(claims(response).exp - Date.now() / 1000 < 600, 'the answer lives long')
    await flow.redeem(await validate(flow, returned))
  })
  await check('oauth4webapi: an error comes signed as well', async () => {
    const flow = web(cx)
    const { target } = await new Person(cx.server, cx.net).walk(await flow.push(await flow.parameters({ response_mode: 'jwt', prompt: 'none' })))
    await refused(() => validate(flow, target), 'login_required')
  })
  await check('oauth4webapi and jose: an encrypted signed answer is opened by its key alone', async () => {
    const flow = new Flow(cx, 'sealed', oauth.PrivateKeyJwt(cx.keys.sealed))
    const returned = await cx.person.approve(await flow.push(await flow.parameters({ response_mode: 'jwt' })))
    must(returned.searchParams.get('response').split('.').length === 5, 'it is not encrypted')
    const opener = (key) => ({ [oauth.jweDecrypt]: async (jwe) => new TextDecoder().decode((await jose.compactDecrypt(jwe, key)).plaintext) })
    const { privateKey: foreign } = await jose.generateKeyPair('ECDH-ES+A256KW')
    await refused(() => validate(flow, returned, opener(foreign)))
    await flow.redeem(await validate(flow, returned, opener(cx.keys.sealedEncryption.key)))
  })
}

async function proofs(cx, check) {
  const handle = async (id, alg = 'ES256') => oauth.DPoP(known(id), await oauth.generateKeyPair(alg))
  for (const alg of ['ES256', 'EdDSA', 'PS256']) {
    await check(`dpop_20_22_24_oauth4webapi binds tokens to its ${alg} key, and each proof works once`, async () => {
      const DPoP = await handle('phone', alg)
      const flow = phone(cx, { DPoP })
      const tokens = await flow.run({}, { resource: cx.server.issuer })
      must(tokens.token_type === 'dpop', `token_type is ${tokens.token_type}`)
      must(claims(tokens.access_token).cnf.jkt === await DPoP.calculateThumbprint(), 'bound to another key')
      const { sub } = oauth.getValidatedIdTokenClaims(tokens)
      const ask = (options) => retried(async () => oauth.processUserInfoResponse(cx.as, flow.client, sub,
        await oauth.userInfoRequest(cx.as, flow.client, tokens.access_token, { [oauth.customFetch]: cx.net.fetch, ...options })))
      await ask({ DPoP })
      const seen = cx.net.last('/userinfo')
      const replayed = await cx.net.again(seen)
      must(replayed.status === 401 && /invalid_dpop_proof/.test(replayed.headers.get('www-authenticate')), `a proof works twice: ${replayed.status}`)
      await refused(async () => ask({ DPoP: await handle('phone') }))
      await refused(() => ask({}))
    })
  }
  await check('oauth4webapi: a server nonce is asked for after a start, and the library comes back with it', async () => {
    const answers = cx.net.sent.filter(({ answer }) => answer.text.includes('use_dpop_nonce'))
    must(answers.length > 0, 'no nonce was ever asked for')
    must(answers.every(({ answer }) => answer.headers.get('dpop-nonce')), 'a nonce was asked for and none was given')
  })
  await check('dpop_20_a proof that comes again at the token endpoint is refused', async () => {
    const flow = new Flow(cx, 'batch', oauth.PrivateKeyJwt(cx.keys.batch), { DPoP: await handle('batch') })
    const token = async (DPoP) => oauth.processClientCredentialsResponse(cx.as, flow.client,
      await oauth.clientCredentialsGrantRequest(cx.as, flow.client, flow.authentication, {}, { ...flow.options, DPoP }))
    await retried(() => token(flow.DPoP))
    const { request } = cx.net.last('/token')
    // A fresh assertion, so that the proof is what comes twice.
    const body = new URLSearchParams()
    await flow.authentication(cx.as, flow.client, body, new Headers())
    body.set('grant_type', 'client_credentials')
    erred(await cx.net.send(request.url, { ...request, body }), 'invalid_dpop_proof')
    await retried(() => token(flow.DPoP))
  })
  await check('dpop_27_a code of a bound request is refused to another key', async () => {
    const flow = phone(cx, { DPoP: await handle('phone') })
    const response = flow.validate(await cx.person.approve(await flow.push(await flow.parameters())))
    flow.options = { ...flow.options, DPoP: await handle('phone') }
    await refused(() => flow.redeem(response))
  })
}

async function certificates(cx, check) {
  const connect = (pair) => network({ ca: cx.server.ca, cert: pair?.cert, key: pair?.key })
  const aliases = { use_mtls_endpoint_aliases: true }
  for (const [id, method] of [['till', 'tls_client_auth'], ['kiosk', 'self_signed_tls_client_auth']]) {
    const net = connect(cx.certs[id])
    const flow = () => new Flow(cx, id, oauth.TlsClientAuth(), { client: aliases, net })
    const credentials = async (through) => oauth.processClientCredentialsResponse(cx.as, known(id, aliases),
      await oauth.clientCredentialsGrantRequest(cx.as, known(id, aliases), oauth.TlsClientAuth(), { scope: 'orders:read' }, { [oauth.customFetch]: through.fetch }))
    await check(`oauth4webapi: ${method} gets a token that is bound to the certificate`, async () => {
      const tokens = await credentials(net)
      const thumbprint = await jose.base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', der(cx.certs[id].cert))))
      must(claims(tokens.access_token).cnf?.['x5t#S256'] === thumbprint, 'another thumbprint')
      const seen = await introspect(cx, tokens.access_token)
      must(seen.active && seen.cnf?.['x5t#S256'] === thumbprint, `introspection tells ${JSON.stringify(seen.cnf)}`)
    })
    const others = id === 'till' ? ['stranger', 'impostor', 'kiosk'] : ['other', 'till']
    for (const other of [...others, undefined]) {
      await check(`oauth4webapi: ${method} is refused with ${other ? `the certificate of ${other}` : 'no certificate'}`, async () => {
        const through = connect(cx.certs[other])
        try {
          await refused(() => credentials(through), 'invalid_client')
        } finally {
          through.close()
        }
      })
    }
    await check(`oauth4webapi: ${method} signs a person in, and userinfo answers over the bound connection alone`, async () => {
      const tokens = await flow().run({}, { resource: cx.server.issuer })
      const { sub } = oauth.getValidatedIdTokenClaims(tokens)
      const ask = async (through) => oauth.processUserInfoResponse(cx.as, known(id, aliases), sub,
        await oauth.userInfoRequest(cx.as, known(id, aliases), tokens.access_token, { [oauth.customFetch]: through.fetch }))
      await ask(net)
      const through = connect(cx.certs.stranger)
      const bare = connect()
      try {
        await refused(() => ask(through), 'invalid_token')
        await refused(() => ask(bare), 'invalid_token')
      } finally {
        through.close()
        bare.close()
      }
      const next = await flow().refresh(tokens.refresh_token)
      must(claims(next.access_token).cnf?.['x5t#S256'], 'the binding was lost')
    })
    net.close()
  }
}

const der = (pem) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')

export async function introspect(cx, token, client = {}, options = {}) {
  const service = known('service', client)
  const answer = await oauth.introspectionRequest(cx.as, service, oauth.ClientSecretBasic(SECRET), token, { [oauth.customFetch]: cx.net.fetch })
  const told = await oauth.processIntrospectionResponse(cx.as, service, answer, options)
  if (options.verify) await oauth.validateApplicationLevelSignature(cx.as, answer, { [oauth.customFetch]: cx.net.fetch })
  return told
}

async function devices(cx, check) {
  const client = known('television')
  const options = { [oauth.customFetch]: cx.net.fetch }
  const begin = async () => oauth.processDeviceAuthorizationResponse(cx.as, client,
    await oauth.deviceAuthorizationRequest(cx.as, client, oauth.None(), { scope: SCOPE }, options))
  const poll = async (code, as = client) => oauth.processDeviceCodeResponse(cx.as, as,
    await oauth.deviceCodeGrantRequest(cx.as, as, oauth.None(), code, options))
  await check('dev_1_a device gets tokens once its person allowed it, and once only', async () => {
    const device = await begin()
    must(device.interval === 5 && new URL(device.verification_uri).pathname === '/device', JSON.stringify(device))
    await refused(() => poll(device.device_code), 'authorization_pending')
    await refused(() => poll(device.device_code), 'slow_down')
    const page = await cx.person.connect(device.user_code)
    must(page.text.includes('<h1>Allowed</h1>'), `the person saw ${page.status}`)
    await refused(() => poll(device.device_code, known('phone')))
    const tokens = await poll(device.device_code)
    must(tokens.id_token && tokens.refresh_token, 'tokens are missing')
    await refused(() => poll(device.device_code), 'invalid_grant')
    must((await introspect(cx, tokens.access_token)).active === false, 'the reuse left the tokens alive')
  })
  await check('oauth4webapi: what a person denies is denied to the device', async () => {
    const device = await begin()
    await cx.person.connect(device.user_code, 'deny')
    await refused(() => poll(device.device_code), 'access_denied')
  })
  await check('oauth4webapi: an unknown device code is refused', () => refused(() => poll('unknown'), 'invalid_grant'))
}

async function backchannel(cx, check) {
  const client = known('desk')
  const authentication = oauth.PrivateKeyJwt(cx.keys.desk)
  const options = { [oauth.customFetch]: cx.net.fetch }
  const ask = async (parameters) => oauth.processBackchannelAuthenticationResponse(cx.as, client,
    await oauth.backchannelAuthenticationRequest(cx.as, client, authentication, parameters, options))
  const poll = async (id) => oauth.processBackchannelAuthenticationGrantResponse(cx.as, client,
    await oauth.backchannelAuthenticationGrantRequest(cx.as, client, authentication, id, options))
  const hint = { scope: SCOPE, login_hint: 'alice', binding_message: 'W4-SCT' }
  await check('ciba_28_35_a desk gets tokens once the person allowed it, and once only', async () => {
    const { auth_req_id, interval } = await ask(hint)
    must(interval === 5, `interval is ${interval}`)
    await refused(() => poll(auth_req_id), 'authorization_pending')
    const page = await cx.person.respond()
    must(page.text.includes('<h1>Allowed</h1>'), `the person saw ${page.status}`)
    const tokens = await poll(auth_req_id)
    must(oauth.getValidatedIdTokenClaims(tokens).aud === 'desk', 'another audience')
    await refused(() => poll(auth_req_id), 'invalid_grant')
    must((await introspect(cx, tokens.access_token)).active === false, 'the reuse left the tokens alive')
  })
  await check('ciba_33_what a person denies is denied to the desk', async () => {
    const { auth_req_id } = await ask(hint)
    await cx.person.respond('deny')
    await refused(() => poll(auth_req_id), 'access_denied')
  })
  await check('oauth4webapi: a signed back-channel request is taken once; a changed one is not', async () => {
    const sign = (parameters) => oauth.issueRequestObject(cx.as, client, parameters, cx.keys.desk)
    const request = await sign(new URLSearchParams(hint))
    await refused(() => ask({ request: forged(request, () => ({ login_hint: 'bob' })) }))
    const { auth_req_id } = await ask({ request })
    await refused(() => ask({ request }))
    await cx.person.respond()
    await poll(auth_req_id)
  })
  await check('ciba_2_two hints are refused', () => refused(() => ask({ ...hint, id_token_hint: 'x' }), 'invalid_request'))
}

async function stepUp(cx, check) {
  await check('oauth4webapi: an ID token tells class and time of the sign-in that was asked for', async () => {
    const flow = web(cx)
    const tokens = await flow.run({ acr_values: 'urn:countersign:acr:1', max_age: '600' })
    const told = oauth.getValidatedIdTokenClaims(tokens)
    must(told.acr === 'urn:countersign:acr:1' && told.amr.includes('pwd'), `acr ${told.acr}, amr ${told.amr}`)
    must(Math.abs(Date.now() / 1000 - told.auth_time) < 600, `auth_time is ${told.auth_time}`)
    must(claims(tokens.access_token).acr === told.acr, 'the access token tells another class')
  })
  await check('r15_max_age=0 asks again, and the library refuses an older sign-in', async () => {
    const flow = web(cx)
    const silent = await flow.push(await flow.parameters({ max_age: '0', prompt: 'none' }))
    const { target } = await cx.person.walk(silent)
    await refused(async () => flow.validate(target), 'login_required')
    const twin = web(cx)
    const { target: fresh } = await cx.person.walk(await twin.push(await twin.parameters({ prompt: 'none' })))
    const answer = await oauth.authorizationCodeGrantRequest(cx.as, twin.client, twin.authentication, twin.validate(fresh), twin.redirect, twin.verifier, twin.options)
    // Long after: the library counts from auth_time.
    await refused(() => oauth.processAuthorizationCodeResponse(cx.as, { ...twin.client, [oauth.clockSkew]: 900 }, answer, { expectedNonce: twin.nonce, maxAge: 10 }),
      oauth.JWT_TIMESTAMP_CHECK)
  })
  await check('oauth4webapi: a class that the person cannot reach gives no code', async () => {
    const flow = web(cx)
    const { target } = await cx.person.walk(await flow.push(await flow.parameters({ acr_values: 'phr', prompt: 'none' })))
    must(target, 'a page was shown in spite of prompt=none')
    const error = await refused(async () => flow.validate(target))
    must(['unmet_authentication_requirements', 'login_required', 'interaction_required'].includes(error.error), `refused with ${error.error ?? error.message}`)
  })
}

async function pairwise(cx, check) {
  await check('oauth4webapi: pairwise subjects are one for a sector and another for each other one', async () => {
    const subject = async (id, redirect) => {
      const tokens = await new Flow(cx, id, oauth.None(), redirect ? { redirect } : {}).run()
      must(!tokens.access_token.includes('.'), 'the access token is not opaque')
      return oauth.getValidatedIdTokenClaims(tokens).sub
    }
    const [news, sport, shop] = [await subject('news'), await subject('sport', 'https://news.example/sport'), await subject('shop')]
    const { sub: everywhere } = oauth.getValidatedIdTokenClaims(await phone(cx).run())
    must(news === sport, 'two clients of one sector see two subjects')
    must(new Set([news, shop, everywhere]).size === 3, 'two sectors see the same subject')
  })
}

async function refreshing(cx, check) {
  await check('rt_4_refresh tokens rotate, and one from before ends the family', async () => {
    const flow = web(cx)
    const first = await flow.run()
    const second = await flow.refresh(first.refresh_token)
    const third = await flow.refresh(second.refresh_token)
    must(new Set([first, second, third].map((tokens) => tokens.refresh_token)).size === 3, 'a refresh token stayed')
    must((await introspect(cx, third.access_token)).active, 'the twin: before the reuse the token lives')
    await refused(() => flow.refresh(first.refresh_token), 'invalid_grant')
    await refused(() => flow.refresh(third.refresh_token), 'invalid_grant')
    must((await introspect(cx, third.access_token)).active === false, 'the reuse left the tokens alive')
  })
  await check('rt_7_a refresh narrows and never widens', async () => {
    const flow = web(cx)
    const first = await flow.run({ scope: 'openid' })
    await refused(() => flow.refresh(first.refresh_token, { scope: SCOPE }), 'invalid_scope')
    await flow.refresh(first.refresh_token, { scope: 'openid' })
  })
  await check('rt_1_another client cannot refresh', async () => {
    const first = await web(cx).run()
    await refused(() => phone(cx).refresh(first.refresh_token), 'invalid_grant')
    await web(cx).refresh(first.refresh_token)
  })
}

async function introspection(cx, check) {
  const signed = { introspection_signed_response_alg: cx.alg ?? 'ES256' }
  await check('oauth4webapi: introspection comes signed for its asker (RFC 9701), and a changed answer is refused', async () => {
    const { access_token } = await web(cx).run()
    const told = await introspect(cx, access_token, signed, { verify: true })
    must(told.active && told.client_id === 'web', JSON.stringify(told))
    const change = (text) => forged(text, (claims) => ({ token_introspection: { ...claims.token_introspection, scope: 'everything' } }))
    await refused(() => cx.net.tampering('/introspect', change, () => introspect(cx, access_token, signed, { verify: true })), oauth.INVALID_RESPONSE)
    const other = (text) => forged(text, () => ({ aud: 'phone' }))
    await refused(() => cx.net.tampering('/introspect', other, () => introspect(cx, access_token, signed)), oauth.JWT_CLAIM_COMPARISON)
  })
  await check('oauth4webapi: revocation is seen by introspection', async () => {
    const flow = web(cx)
    const { access_token } = await flow.run()
    must((await introspect(cx, access_token)).active, 'it was never active')
    await oauth.processRevocationResponse(await oauth.revocationRequest(cx.as, flow.client, flow.authentication, access_token, flow.options))
    const told = await introspect(cx, access_token, signed, { verify: true })
    must(JSON.stringify(told) === '{"active":false}', JSON.stringify(told))
  })
  await check('oauth4webapi: introspection needs the secret of the service', async () => {
    const answer = await oauth.introspectionRequest(cx.as, known('service'), oauth.ClientSecretBasic('wrong'), 'x', { [oauth.customFetch]: cx.net.fetch })
    const error = await refused(() => oauth.processIntrospectionResponse(cx.as, known('service'), answer), oauth.WWW_AUTHENTICATE_CHALLENGE)
    must(error.status === 401 && error.cause[0].scheme === 'basic', `answered ${error.status}`)
  })
}

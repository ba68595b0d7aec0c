// What openid-client, a client written by others, sees of the flows that begin where its own suite ends: FAPI 2.0 Message Signing as a whole, encrypted
// answers, forms that a browser posts, devices, CIBA, rotation, and signed introspection.
import * as client from 'openid-client'
import { AUDIENCE, SECRET, callback } from './clients.mjs'
import { claims, forged, must, refused } from '../checks.mjs'

const SCOPE = 'openid orders:read'

async function configured(cx, id, authentication, metadata) {
  return client.discovery(new URL(cx.server.issuer), id, metadata, authentication, { [client.customFetch]: cx.net.fetch })
}

// A request's parameters, and what its answer is held to.
async function request(id, more = {}) {
  const [verifier, state, nonce] = [client.randomPKCECodeVerifier(), client.randomState(), client.randomNonce()]
  return {
    parameters: {
      redirect_uri: callback(id), scope: SCOPE, state, nonce, resource: AUDIENCE,
      code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
    },
    checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true },
  }
}

export async function run(cx, browser) {
  for (const part of [messageSigning, encrypted, forms, waiting, rotation, introspection]) await part(cx, cx.checks.check, browser)
}

async function messageSigning(cx, check) {
  const config = await configured(cx, 'bank', client.PrivateKeyJwt(cx.keys.bank))
  client.useJwtResponseMode(config)
  client.enableNonRepudiationChecks(config)
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const push = async (built, key = cx.keys.bank) => {
    const signed = await client.buildAuthorizationUrlWithJAR(config, built.parameters, key)
    return client.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP })
  }
  await check('openid-client: PAR, JAR, JARM, DPoP and private_key_jwt at once (FAPI 2.0 Message Signing)', async () => {
    const built = await request('bank')
    const returned = await cx.person.approve((await push(built)).href)
    must(returned.searchParams.has('response') && !returned.searchParams.has('code'), 'the answer is not signed')
    const changed = new URL(returned)
    changed.searchParams.set('response', forged(returned.searchParams.get('response'), () => ({ code: 'another' })))
    await refused(() => client.authorizationCodeGrant(config, changed, built.checks, {}, { DPoP }))
    const tokens = await client.authorizationCodeGrant(config, returned, built.checks, {}, { DPoP })
    must(tokens.token_type === 'dpop' && claims(tokens.access_token).cnf?.jkt, 'the token is not bound')
    const next = await client.refreshTokenGrant(config, tokens.refresh_token, {}, { DPoP })
    must(!next.refresh_token || next.refresh_token === tokens.refresh_token, 'FAPI 2.0 refresh tokens stay')
  })
  await check('openid-client: the same client is refused without PAR, without JAR, without DPoP', async () => {
    const built = await request('bank')
    const direct = await client.buildAuthorizationUrlWithJAR(config, built.parameters, cx.keys.bank)
    const { target } = await cx.person.walk(direct.href)
    must(!target || !await client.authorizationCodeGrant(config, target, built.checks, {}, { DPoP }).then(() => true, () => false), 'not pushed, and tokens came')
    await refused(() => client.buildAuthorizationUrlWithPAR(config, built.parameters, { DPoP }))
    const unbound = await request('bank')
    const signed = await client.buildAuthorizationUrlWithJAR(config, unbound.parameters, cx.keys.bank)
    const url = await client.buildAuthorizationUrlWithPAR(config, signed.searchParams)
    const { target: back } = await cx.person.walk(url.href)
    await refused(() => client.authorizationCodeGrant(config, back, unbound.checks))
  })
  await check('openid-client: a request that another key signed is refused', async () => {
    await refused(async () => push(await request('bank'), { key: cx.keys.web.key, kid: cx.keys.bank.kid }), 'invalid_request_object')
  })
}

async function encrypted(cx, check) {
  await check('openid-client: encrypted signed answers are opened', async () => {
    const config = await configured(cx, 'sealed', client.PrivateKeyJwt(cx.keys.sealed))
    client.useJwtResponseMode(config)
    const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits'])
    const own = await crypto.subtle.importKey('jwk', { ...cx.keys.sealedEncryption.private, key_ops: undefined, use: undefined }, { name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits'])
    const other = await configured(cx, 'sealed', client.PrivateKeyJwt(cx.keys.sealed))
    client.useJwtResponseMode(other)
    client.enableDecryptingResponses(other, ['A256GCM'], { key: privateKey })
    client.enableDecryptingResponses(config, ['A256GCM'], { key: own, kid: cx.keys.sealedEncryption.kid })
    const built = await request('sealed')
    const returned = await cx.person.approve((await client.buildAuthorizationUrlWithPAR(config, built.parameters)).href)
    await refused(() => client.authorizationCodeGrant(other, returned, built.checks))
    await client.authorizationCodeGrant(config, returned, built.checks)
  })
}

// The registered address is never contacted: the browser's request to it is caught and answered here.
async function posted(cx, browser, url, redirect) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false })
  try {
    const page = await context.newPage()
    let came
    await page.route(`${redirect}**`, (route) => {
      came = route.request()
      return route.fulfill({ status: 200, contentType: 'text/plain', body: 'back at the client' })
    })
    await page.goto(url)
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password').fill(cx.person.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    // A client that proves nothing is asked about each time.
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.waitForURL(`${redirect}**`)
    return new Request(came.url(), { method: came.method(), body: came.postData() ?? undefined, headers: { 'content-type': await came.headerValue('content-type') } })
  } finally {
    await context.close()
  }
}

async function forms(cx, check, browser) {
  await check('openid-client: Chromium posts the answer (form_post)', async () => {
    const config = await configured(cx, 'phone', client.None())
    const built = await request('phone', { response_mode: 'form_post' })
    const came = await posted(cx, browser, client.buildAuthorizationUrl(config, built.parameters).href, callback('phone'))
    must(came.method === 'POST' && !new URL(came.url).search, `it came by ${came.method} to ${came.url}`)
    const changed = new Request(came.url, { method: 'POST', headers: came.headers, body: (await came.clone().text()).replace(/state=[^&]*/, 'state=another') })
    await refused(() => client.authorizationCodeGrant(config, changed, built.checks))
    await client.authorizationCodeGrant(config, came, built.checks)
  })
  await check('openid-client: Chromium posts a signed answer (form_post.jwt)', async () => {
    const config = await configured(cx, 'phone', client.None())
    client.useJwtResponseMode(config)
    const built = await request('phone', { response_mode: 'form_post.jwt' })
    const url = client.buildAuthorizationUrl(config, built.parameters)
    url.searchParams.set('response_mode', 'form_post.jwt')
    const came = await posted(cx, browser, url.href, callback('phone'))
    const body = await came.clone().text()
    must(body.startsWith('response='), 'the answer is not signed')
    const response = forged(new URLSearchParams(body).get('response'), () => ({ code: 'another' }))
    const changed = new Request(came.url, { method: 'POST', headers: came.headers, body: new URLSearchParams({ response }).toString() })
    await refused(() => client.authorizationCodeGrant(config, changed, built.checks))
    await client.authorizationCodeGrant(config, came, built.checks)
  })
}

// The library waits five seconds before its first poll, so both wait at the same time.
async function waiting(cx, check) {
  const device = async () => {
    const config = await configured(cx, 'television', client.None())
    const begun = await client.initiateDeviceAuthorization(config, { scope: SCOPE })
    const polling = client.pollDeviceAuthorizationGrant(config, begun)
    await cx.person.connect(begun.user_code)
    const tokens = await polling
    must(tokens.claims().aud === 'television', 'another audience')
    await refused(() => client.pollDeviceAuthorizationGrant(config, { ...begun, interval: 0 }), 'invalid_grant')
  }
  const desk = async () => {
    const config = await configured(cx, 'desk', client.PrivateKeyJwt(cx.keys.desk))
    const begun = await client.initiateBackchannelAuthentication(config, { scope: SCOPE, login_hint: 'bob' })
    const polling = client.pollBackchannelAuthenticationGrant(config, begun)
    await cx.other.respond()
    const tokens = await polling
    must(tokens.claims().aud === 'desk', 'another audience')
    await refused(() => client.pollBackchannelAuthenticationGrant(config, { ...begun, interval: 0 }), 'invalid_grant')
  }
  await Promise.all([
    check('openid-client: a device polls until its person allowed it, and gets tokens once', device),
    check('openid-client: a desk polls (CIBA) until the person allowed it, and gets tokens once', desk),
  ])
}

async function rotation(cx, check) {
  await check('openid-client: signed answers of introspection are verified, and refresh tokens rotate', async () => {
    const config = await configured(cx, 'web', client.PrivateKeyJwt(cx.keys.web))
    client.enableNonRepudiationChecks(config)
    const built = await request('web', { acr_values: 'urn:countersign:acr:1', max_age: 600 })
    const returned = await cx.person.approve((await client.buildAuthorizationUrlWithPAR(config, built.parameters)).href)
    const first = await client.authorizationCodeGrant(config, returned, { ...built.checks, maxAge: 600 })
    const second = await client.refreshTokenGrant(config, first.refresh_token)
    const third = await client.refreshTokenGrant(config, second.refresh_token)
    await refused(() => client.refreshTokenGrant(config, first.refresh_token), 'invalid_grant')
    await refused(() => client.refreshTokenGrant(config, third.refresh_token), 'invalid_grant')
  })
}

async function introspection(cx, check) {
  await check('openid-client: a service introspects and verifies the signature (RFC 9701)', async () => {
    const service = await configured(cx, 'service', client.ClientSecretBasic(SECRET), { introspection_signed_response_alg: 'ES256' })
    client.enableNonRepudiationChecks(service)
    const batch = await configured(cx, 'batch', client.PrivateKeyJwt(cx.keys.batch))
    const { access_token } = await client.clientCredentialsGrant(batch, { scope: 'orders:read' })
    const told = await client.tokenIntrospection(service, access_token)
    must(told.active && told.client_id === 'batch', JSON.stringify(told))
    const change = (text) => forged(text, () => ({ token_introspection: { active: true, client_id: 'web' } }))
    await refused(() => cx.net.tampering('/introspect', change, () => client.tokenIntrospection(service, access_token)))
  })
}

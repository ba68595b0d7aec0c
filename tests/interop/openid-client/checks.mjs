// What openid-client, a client written by others, sees: discovery, PAR, PKCE, DPoP, sign-in in a browser, tokens, refresh, userinfo.
import * as client from 'openid-client'
import { chromium } from 'playwright-core'

const settings = JSON.parse(process.env.SETTINGS)
const SCOPE = 'openid orders:read'
const counts = { passed: 0, failed: 0 }

async function check(name, body) {
  try {
    const result = await body()
    counts.passed += 1
    console.log(`ok   ${name}`)
    return result
  } catch (error) {
    counts.failed += 1
    console.log(`FAIL ${name}: ${error.message}${error.cause ? `: ${JSON.stringify(error.cause)}` : ''}`)
    return undefined
  }
}

function must(condition, message) {
  if (!condition) throw new Error(message)
}

// The registered address is never contacted: the browser's request to it is caught and answered here.
async function signIn(browser, url) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false })
  const page = await context.newPage()
  let returned
  await page.route(`${settings.redirect}**`, (route) => {
    returned = route.request().url()
    return route.fulfill({ status: 200, contentType: 'text/plain', body: 'back at the portal' })
  })
  await page.goto(url.href)
  await page.getByLabel('Username').fill('alice')
  await page.getByLabel('Password').fill(settings.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  const allow = page.getByRole('button', { name: 'Allow' })
  await Promise.race([page.waitForURL(`${settings.redirect}**`), allow.waitFor()])
  if (!returned) {
    await allow.click()
    await page.waitForURL(`${settings.redirect}**`)
  }
  await context.close()
  return new URL(returned)
}

async function flow(browser, label, id, authentication) {
  const DPoP = await dpop(id, authentication)
  const { config } = DPoP
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const options = { DPoP: DPoP.handle }

  const url = await check(`par_15_a pushed request is answered with a request_uri (${label})`, async () => {
    const built = await client.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: settings.redirect, scope: SCOPE, state, nonce, resource: settings.audience,
      code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    }, options)
    must(built.searchParams.get('request_uri')?.startsWith('urn:ietf:params:oauth:request_uri:'), 'no request_uri')
    must(!built.searchParams.has('redirect_uri'), 'the parameters were not pushed')
    return built
  })
  if (!url) return

  const returned = await check(`${label}: a person signs in without JavaScript and allows`, () => signIn(browser, url))
  if (!returned) return
  await check(`${label}: the response carries iss and the same state`, async () => {
    must(returned.searchParams.get('iss') === settings.issuer, `iss is ${returned.searchParams.get('iss')}`)
    must(returned.searchParams.get('state') === state, 'state changed')
  })

  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  const tokens = await check(`${label}: the code becomes bound tokens and an ID token`, async () => {
    const answer = await client.authorizationCodeGrant(config, returned, checks, {}, options)
    must(answer.token_type === 'dpop', `token_type is ${answer.token_type}`)
    must(answer.refresh_token, 'no refresh token')
    must(answer.expires_in <= 900, `the access token lives ${answer.expires_in} s`)
    must(answer.claims()?.nonce === nonce, 'the ID token has another nonce')
    const claims = JSON.parse(Buffer.from(answer.access_token.split('.')[1], 'base64url'))
    must(claims.aud === settings.audience, `aud is ${JSON.stringify(claims.aud)}`)
    must(claims.cnf?.jkt, 'the access token is not bound')
    return answer
  })
  if (!tokens) return

  await check(`${label}: the same code is refused the second time`, async () => {
    const error = await client.authorizationCodeGrant(config, returned, checks, {}, options).then(() => undefined, (error) => error)
    must(error?.error === 'invalid_grant', `got ${error?.error ?? 'tokens'}`)
  })

  // The second use revoked what the code gave, so the rest needs a sign-in of its own.
  const again = await check(`${label}: a second sign-in works`, async () => {
    const verifier = client.randomPKCECodeVerifier()
    const state = client.randomState()
    const url = await client.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: settings.redirect, scope: SCOPE, state, resource: settings.audience,
      code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    }, options)
    const returned = await signIn(browser, url)
    return client.authorizationCodeGrant(config, returned, { pkceCodeVerifier: verifier, expectedState: state }, {}, options)
  })
  if (!again) return

  // One audience a token: the issuer itself for userinfo, the orders service for everything else.
  const own = await check(`${label}: a refresh narrows to the issuer's own audience`, () =>
    client.refreshTokenGrant(config, again.refresh_token, { resource: settings.issuer }, options))
  if (!own) return
  await check(`${label}: userinfo answers for the bound token`, async () => {
    const info = await client.fetchUserInfo(config, own.access_token, again.claims().sub, options)
    must(info.sub === again.claims().sub, 'another subject')
  })
  await check(`int_6_userinfo refuses a token for another audience (${label})`, async () => {
    const error = await client.fetchUserInfo(config, again.access_token, again.claims().sub, options).then(() => undefined, (error) => error)
    must(error, 'it answered')
  })

  const refreshed = await check(`${label}: a refresh rotates the token and keeps the binding`, async () => {
    const answer = await client.refreshTokenGrant(config, own.refresh_token, {}, options)
    must(answer.token_type === 'dpop', `token_type is ${answer.token_type}`)
    must(answer.refresh_token && answer.refresh_token !== own.refresh_token, 'the refresh token did not rotate')
    return answer
  })
  if (!refreshed) return

  await check(`dpop_30_a refresh by another key is refused (${label})`, async () => {
    const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
    const error = await client.refreshTokenGrant(config, refreshed.refresh_token, {}, { DPoP: other }).then(() => undefined, (error) => error)
    must(error?.error, 'a token came back')
  })
  await check(`${label}: revocation is accepted`, () => client.tokenRevocation(config, refreshed.refresh_token))
  await check(`rt_14_a revoked refresh token is refused (${label})`, async () => {
    const error = await client.refreshTokenGrant(config, refreshed.refresh_token, {}, options).then(() => undefined, (error) => error)
    must(error?.error === 'invalid_grant', `got ${error?.error ?? 'tokens'}`)
  })
}

async function dpop(id, authentication) {
  const config = await client.discovery(new URL(settings.issuer), id, undefined, authentication)
  return { config, handle: client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) }
}

const metadata = await check('discovery: the issuer and its endpoints agree', async () => {
  const config = await client.discovery(new URL(settings.issuer), 'phone', undefined, client.None())
  const server = config.serverMetadata()
  must(server.issuer === settings.issuer, `issuer is ${server.issuer}`)
  must(server.authorization_response_iss_parameter_supported === true, 'iss is not announced')
  must(server.code_challenge_methods_supported?.join() === 'S256', 'plain PKCE is announced')
  return server
})
if (metadata) {
  const key = await crypto.subtle.importKey('jwk', settings.key, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  await flow(browser, 'public client', 'phone', client.None())
  await flow(browser, 'private_key_jwt client', 'portal', client.PrivateKeyJwt({ key, kid: settings.kid }))
  await browser.close()
}

console.log(`openid-client: ${counts.passed} passed, ${counts.failed} failed, 0 skipped`)
process.exitCode = counts.failed === 0 ? 0 : 1

// Passkeys in headless Chromium with its virtual authenticator (CDP domain WebAuthn): enrolled, used to step up, to sign in by the button and by
// the suggestion behind the username field, as a second factor, and removed. Ends with a line of counts.
import { createHash } from 'node:crypto'
import { request } from 'node:https'
import { chromium } from 'playwright-core'
import { CALLBACK, PASSWORD, key_of, start } from './server.mjs'

const counts = { passed: 0, failed: 0 }
function judge(name, holds, shown = '') {
  counts[holds ? 'passed' : 'failed'] += 1
  console.log(holds ? `ok   ${name}` : `FAIL ${name} ${shown}`)
}

const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const authorize = (issuer, more = {}) => `${issuer}/authorize?${new URLSearchParams({
  client_id: 'portal', redirect_uri: CALLBACK, response_type: 'code', scope: 'openid', state: 's',
  resource: 'https://orders.example', code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256', ...more })}`

// The ID token that a code gives.
async function id_token(issuer, address) {
  const code = new URL(address).searchParams.get('code')
  const body = new URLSearchParams({ grant_type: 'authorization_code', client_id: 'portal', redirect_uri: CALLBACK, code, code_verifier: verifier }).toString()
  const text = await new Promise((resolve, reject) => {
    const asked = request(`${issuer}/token`, { method: 'POST', rejectUnauthorized: false, headers: { 'content-type': 'application/x-www-form-urlencoded' } }, (answer) => {
      let read = ''
      answer.on('data', (part) => { read += part }).on('end', () => resolve(read))
    })
    asked.on('error', reject)
    asked.end(body)
  })
  const token = JSON.parse(text).id_token
  if (!token) throw new Error(`no ID token: ${text}`)
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
}

async function walk(browser, issuer) {
  const context = await browser.newContext()
  const page = await context.newPage()
  const errors = []
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()) })
  await context.route(/^https:\/\/portal\.example\//, (route) => route.fulfill({ status: 200, contentType: 'text/html', body: '<title>Portal</title>' }))
  const cdp = await context.newCDPSession(page)
  await cdp.send('WebAuthn.enable', { enableUI: false })
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: {
    protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })
  const touches = (enabled) => cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled })
  const press = (name) => page.getByRole('button', { name, exact: true }).click()
  const at_portal = () => page.waitForURL(/^https:\/\/portal\.example\//)
  async function sign_out() {
    await page.goto(`${issuer}/logout`)
    await press('Sign out')
    await page.getByRole('heading', { name: 'signed out' }).waitFor()
  }
  async function with_password() {
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password').fill(PASSWORD)
    await press('Sign in')
  }
  async function allowed() {
    await press('Allow')
    await at_portal()
    return id_token(issuer, page.url())
  }

  // Enrolment.
  await page.goto(`${issuer}/account/security`)
  await with_password()
  await page.getByLabel('Name of a new passkey').fill('Test key')
  await press('Add a passkey')
  await page.getByText('The passkey is added.').waitFor()
  const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId })
  judge('a passkey is enrolled and resides in the authenticator', credentials.length === 1 && credentials[0].isResidentCredential, JSON.stringify(credentials))
  judge('the account page names it', await page.getByRole('paragraph').filter({ hasText: 'Test key' }).isVisible())

  // The same session steps up for a client that demands it.
  await page.goto(authorize(issuer, { acr_values: 'phr' }))
  await page.getByRole('heading', { name: 'One more step' }).waitFor()
  await press('Use your passkey')
  const stepped = await allowed()
  judge('the session steps up with it', stepped.acr === 'phr' && stepped.amr.includes('pop') && stepped.amr.includes('pwd'), JSON.stringify(stepped))

  // In place of a password. The suggestion behind the username field waits until the button is pressed.
  await sign_out()
  await touches(false)
  await page.goto(authorize(issuer))
  await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor()
  await touches(true)
  await press('Sign in with a passkey')
  const signed_in = await allowed()
  judge('the button signs in', signed_in.acr === 'phr' && signed_in.amr.join() === 'mfa,pop,user', JSON.stringify(signed_in))

  // The suggestion: the authenticator answers it without another word, as somebody who chose it would.
  await sign_out()
  await page.goto(authorize(issuer))
  const suggested = await allowed()
  judge('the suggestion behind the username field signs in', suggested.acr === 'phr' && suggested.sid !== signed_in.sid, JSON.stringify(suggested))

  // A second factor behind the password.
  await sign_out()
  await touches(false)
  await page.goto(authorize(issuer))
  await with_password()
  await page.getByRole('heading', { name: 'One more step' }).waitFor()
  judge('half a sign-in is no session', !(await context.cookies()).some(({ name }) => name.startsWith('__Host-session')))
  await touches(true)
  await press('Use your passkey')
  const second = await allowed()
  judge('it is a second factor', second.amr.includes('pwd') && second.amr.includes('pop') && second.acr === 'phr', JSON.stringify(second))

  // The end of it.
  await page.goto(`${issuer}/account/security`)
  await press('Remove Test key')
  await page.getByText('You have no passkey.').waitFor()
  await sign_out()
  await touches(false)
  await page.goto(authorize(issuer))
  await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor()
  await touches(true)
  await press('Sign in with a passkey')
  await page.getByText('This passkey did not work.').waitFor()
  judge('a removed passkey signs nobody in', true)
  // The page that refused it offers passkeys too, and this authenticator answers by itself: until it has nothing to answer with.
  await touches(false)
  await cdp.send('WebAuthn.clearCredentials', { authenticatorId })
  // What the page itself had begun may get in between, and so may a navigation that it cut off.
  for (let tries = 0; page.url() !== 'about:blank' && tries < 5; tries += 1) await page.goto('about:blank').catch(() => {})
  await undisturbed(() => page.goto(authorize(issuer)))
  await with_password()
  const alone = await allowed()
  judge('the password is enough again', alone.acr === 'urn:countersign:acr:1' && alone.amr.join() === 'pwd', JSON.stringify(alone))
  judge('no script failed and the policy stopped nothing', errors.length === 0, errors.join('; '))

  // Without scripts there are no passkeys, and everything else works.
  const plain = await browser.newContext({ javaScriptEnabled: false })
  const quiet = await plain.newPage()
  await quiet.goto(`${issuer}/account/security`)
  judge('without scripts no passkey is offered', !(await quiet.getByRole('button', { name: 'Sign in with a passkey' }).isVisible()))
  await quiet.getByLabel('Username').fill('alice')
  await quiet.getByLabel('Password').fill(PASSWORD)
  await quiet.getByRole('button', { name: 'Sign in', exact: true }).click()
  await quiet.getByRole('heading', { name: 'Signing in' }).waitFor()
  judge('without scripts the account pages work', true)
}

/** Navigates, again where another navigation came in between. */
async function undisturbed(navigate) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await navigate()
    } catch (error) {
      if (tries === 5 || !`${error}`.includes('interrupted by another navigation')) throw error
    }
  }
}

const server = await start()
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    `--ignore-certificate-errors-spki-list=${await key_of(server.issuer)}`],
})
try {
  await walk(browser, server.issuer)
} catch (error) {
  counts.failed += 1
  console.error(error)
} finally {
  await browser.close()
  await server.stop()
}
console.log(`passkeys: ${counts.passed} passed, ${counts.failed} failed, 0 skipped`)
process.exitCode = counts.failed === 0 ? 0 : 1

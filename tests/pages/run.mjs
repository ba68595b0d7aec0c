// Walks through every page that a person meets, in headless Chromium, light, dark and narrow. With SHOTS it writes a picture of each; always it
// runs axe-core on each, and no page may have a violation, be wider than its window, or load anything from elsewhere. Ends with a line of counts.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import { chromium } from 'playwright-core'
import { CALLBACK, PASSWORD, key_of, start } from './server.mjs'

const shots = process.env.SHOTS
if (shots) mkdirSync(shots, { recursive: true })
const counts = { passed: 0, failed: 0 }

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1100, height: 800 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1100, height: 800 } },
  { name: 'narrow', colorScheme: 'light', viewport: { width: 320, height: 640 } },
  { name: 'narrow-dark', colorScheme: 'dark', viewport: { width: 320, height: 640 } },
]

function judge(name, problems) {
  if (problems.length === 0) {
    counts.passed += 1
    console.log(`ok   ${name}`)
  } else {
    counts.failed += 1
    console.log(`FAIL ${name}\n     ${problems.join('\n     ')}`)
  }
}

const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const authorize = (issuer, more = {}) => `${issuer}/authorize?${new URLSearchParams({
  client_id: 'portal', redirect_uri: CALLBACK, response_type: 'code', scope: 'openid profile orders:read', state: 's',
  resource: 'https://orders.example', code_challenge: challenge, code_challenge_method: 'S256', ...more })}`

async function walk(browser, server, look) {
  const context = await browser.newContext({
    colorScheme: look.colorScheme, viewport: look.viewport, deviceScaleFactor: shots ? 2 : 1, reducedMotion: 'reduce',
  })
  const page = await context.newPage()
  const foreign = []
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (![server.issuer, server.gateway].some((own) => request.url().startsWith(own)) && url.hostname !== 'portal.example') foreign.push(request.url())
  })
  await context.route(/^https:\/\/portal\.example\//, (route) => route.fulfill({ status: 200, contentType: 'text/html', body: '<title>Portal</title>' }))

  async function look_at(name) {
    const problems = []
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }))
    for (const { id, help, nodes } of violations) problems.push(`${id}: ${help}: ${nodes.map((node) => node.html).slice(0, 3).join(' ')}`)
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    if (wider > 0) problems.push(`${wider} pixels wider than its window`)
    if (!await page.evaluate(() => document.documentElement.lang)) problems.push('no language')
    if (shots) await page.screenshot({ path: join(shots, `${name}-${look.name}.png`), fullPage: true })
    judge(`${name} ${look.name}`, problems)
  }
  const press = (text) => page.getByRole('button', { name: text, exact: true }).click()
  async function sign_in(name) {
    await page.getByLabel('Username').fill(name)
    await page.getByLabel('Password').fill(PASSWORD)
    await press('Sign in')
  }

  // Somebody enrols what there is, meets the pages that ask for it, and takes it away again for the next look.
  async function second_factors() {
    const cdp = await context.newCDPSession(page)
    await cdp.send('WebAuthn.enable', { enableUI: false })
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })
    await page.goto(`${server.issuer}/account/security`)
    await page.getByLabel('Name of a new passkey').fill('Laptop at home')
    await press('Add a passkey')
    await page.getByText('The passkey is added.').waitFor()
    await look_at('account-security-added')
    await page.goto(`${server.issuer}/account/security`)
    await page.getByRole('button', { name: 'Use your passkey' }).waitFor()
    await look_at('second-factor')
    await press('Use your passkey')
    await press('Make new codes')
    await page.getByRole('heading', { name: 'Recovery codes', exact: true }).waitFor()
    await look_at('account-recovery-codes')
    await page.goto(`${server.issuer}/account/security/app`)
    await page.getByLabel('Code', { exact: true }).fill('000000')
    await press('Set up the app')
    await page.getByText('This code is not right.').waitFor()
    await look_at('account-app-problem')
    await page.goto(`${server.issuer}/account/security`)
    await press('Remove Laptop at home')
    await page.getByText('You have no passkey.').waitFor()
    await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId })
    await cdp.send('WebAuthn.disable')
    await cdp.detach()
  }

  async function partner_pages() {
    const { endpoints, delivered, dead } = server.webhooks
    await page.goto(`${server.issuer}/account`)
    await sign_in('erin')
    await page.getByRole('heading', { level: 1 }).waitFor()
    await look_at('account-of-a-partner')
    await page.getByRole('link', { name: 'Your webhooks' }).click()
    await page.getByText('Billing, production').waitFor()
    await look_at('partner-endpoints')
    for (const [name, path] of [['good', `endpoints/${endpoints.good}`], ['given-up', `endpoints/${endpoints.failing}?state=dead`], ['gone', `endpoints/${endpoints.gone}`]]) {
      await page.goto(`${server.issuer}/partner/${path}`)
      await look_at(`partner-endpoint-${name}`)
    }
    for (const [name, id] of [['delivered', delivered], ['dead', dead]]) {
      await page.goto(`${server.issuer}/partner/deliveries/${id}`)
      await look_at(`partner-delivery-${name}`)
    }
    await page.goto(`${server.issuer}/partner/endpoints/${endpoints.good}`)
    await press('Make a new secret')
    await page.getByRole('heading', { name: 'New secret' }).waitFor()
    await look_at('partner-secret')
    await page.getByRole('link', { name: 'I have kept it' }).click()
    await press('Send a test event')
    await page.getByText('A test event is on its way.').waitFor()
    await look_at('partner-test')
  }

  await page.goto(authorize(server.issuer))
  await look_at('sign-in')
  await page.getByLabel('Username').fill('alice')
  await page.getByLabel('Password').fill('wrong')
  await press('Sign in')
  await look_at('sign-in-problem')
  await sign_in('alice')
  await look_at('consent')
  await press('Allow')
  await page.waitForURL(/^https:\/\/portal\.example\//)

  const account = [['account', '/account'], ['account-applications', '/account/applications'],
    ['account-security', '/account/security'], ['account-app', '/account/security/app'], ['account-password-declared', '/account/security/password'],
    ['account-providers', '/account/providers']]
  for (const [name, path] of account) {
    await page.goto(`${server.issuer}${path}`)
    await look_at(name)
  }
  await second_factors()
  await page.goto(`${server.issuer}/device`)
  await look_at('device')
  await page.goto(`${server.issuer}/requests`)
  await look_at('requests')
  await page.goto(`${server.issuer}/authorize?client_id=nobody`)
  await look_at('error')
  await page.goto(`${server.issuer}/logout`)
  await look_at('sign-out')
  await press('Sign out')
  await look_at('signed-out')

  // Somebody whose password is their own to change.
  await page.goto(`${server.issuer}/account/security/password`)
  await sign_in('dora')
  await page.getByLabel('Current password').waitFor()
  await look_at('account-password')
  await page.getByLabel('Current password').fill('wrong')
  await page.getByLabel('New password', { exact: true }).fill('a quite different battery')
  await page.getByLabel('New password, once more').fill('a quite different battery')
  await press('Change the password')
  await page.getByText('This is not your password.').waitFor()
  await look_at('account-password-problem')
  await page.getByLabel('Current password').fill(PASSWORD)
  await page.getByLabel('New password', { exact: true }).fill('another one altogether')
  await page.getByLabel('New password, once more').fill('something else')
  await press('Change the password')
  await page.getByText('The two do not agree.').waitFor()
  await look_at('account-password-mistyped')
  await page.goto(`${server.issuer}/account/security`)
  await page.getByRole('link', { name: 'Change the password' }).waitFor()
  await look_at('account-security-own-password')
  await page.goto(`${server.issuer}/logout`)
  await press('Sign out')

  // Somebody of a partner sees where webhooks go, and what became of them.
  await partner_pages()
  await page.goto(`${server.issuer}/logout`)
  await press('Sign out')
  await page.goto(`${server.issuer}/partner`)
  await sign_in('frank')
  await page.getByText('No endpoints').waitFor()
  await look_at('partner-none')
  await page.goto(`${server.issuer}/logout`)
  await press('Sign out')

  // By the other tenant, which has a look of its own.
  await page.goto(authorize(server.issuer))
  await page.getByRole('link', { name: 'Continue with Acme Freight' }).click()
  await page.waitForURL(/\/t\/acme\/authorize/)
  await look_at('branded-sign-in')
  await sign_in('alice@acme.example')
  await page.getByRole('button', { name: 'Allow', exact: true }).waitFor()
  await page.goto(`${server.issuer}/account/providers`)
  await look_at('account-by-provider')
  await page.goto(`${server.issuer}/t/acme/account`)
  await look_at('branded-account')

  // A page behind a proof of work: held while somebody looks at it, then it opens by itself, and the next time at once.
  let go
  const looked_at = new Promise((resolve) => { go = resolve })
  await context.route(`${server.gateway}/**`, async (route) => {
    if (route.request().headers()['proof-of-work']) await looked_at
    await route.continue()
  })
  await page.goto(`${server.gateway}/search`)
  await look_at('proof-of-work')
  go()
  await page.getByRole('heading', { name: 'Search' }).waitFor()
  const again = await page.goto(`${server.gateway}/search`)
  judge(`proof-of-work once ${look.name}`, again.status() === 200 ? [] : [`status ${again.status()}`])
  judge(`nothing from elsewhere ${look.name}`, foreign)
  await context.close()
}

const server = await start()
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    `--ignore-certificate-errors-spki-list=${await key_of(server.issuer)}`],
})
try {
  for (const look of LOOKS) await walk(browser, server, look)
} catch (error) {
  counts.failed += 1
  console.error(error)
} finally {
  await browser.close()
  await server.stop()
}
console.log(`pages: ${counts.passed} passed, ${counts.failed} failed, 0 skipped`)
process.exitCode = counts.failed === 0 ? 0 : 1

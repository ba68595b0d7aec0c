// What the partner's pages show: endpoints of one partner at a receiver that takes, fails or is gone, and what was sent there.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'

export const PARTNER = 'northwind'

// A self-signed certificate for localhost: what the server believes, and what the receiver shows.
export function certificate(home) {
  const [key, cert] = [join(home, 'receiver.key'), join(home, 'receiver.pem')]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2',
    '-subj', '/CN=receiver', '-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE'], { stdio: 'ignore' })
  return { key, cert }
}

// Answers by the path: what is sent to /503 gets that, and so on; everything else is taken.
export async function receiver({ key, cert }) {
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, answer) => {
    request.resume().once('end', () => answer.writeHead(Number(request.url.slice(1)) || 204).end())
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return server
}

// Endpoints, events, and an end to each delivery.
export async function seed(program, data, port) {
  const call = (words, input) => execFileSync(program, ['webhook', ...words, '--data', data, '--json'], { input, encoding: 'utf8' })
  const add = (path, more) => JSON.parse(call(['endpoint', 'add', '--partner', PARTNER, '--url', `https://localhost:${port}${path}`, ...more])).endpoint
  const send = (type, payload) => call(['send', type, '--partner', PARTNER, '--payload', '-'], JSON.stringify(payload))
  const deliveries = (endpoint) => JSON.parse(call(['deliveries', '--endpoint', endpoint])).deliveries
  for (const type of ['invoice.paid', 'invoice.overdue', 'shipment.delayed', 'contract.ended']) call(['event-type', 'add', type, '--description', 'An event'])
  const endpoints = {
    good: add('/billing/webhooks', ['--event', 'invoice.*', '--description', 'Billing, production']),
    failing: add('/503', ['--event', 'shipment.*', '--description', 'Logistics', '--retries', 'once', '--signing', 'v1a']),
    gone: add('/410', ['--event', 'contract.ended', '--payload', 'thin']),
  }
  for (let number = 1; number <= 9; number += 1) {
    const invoice = { invoice_id: `in_${number}`, amount: { currency: 'EUR', value: number * 1250 }, customer: { id: `cus_${number}`, name: 'Ada Lovelace', email: 'ada@example.org' }, lines: ['Freight', 'Insurance'] }
    send(number % 4 === 0 ? 'invoice.overdue' : 'invoice.paid', invoice)
  }
  for (const shipment of ['sh_1', 'sh_2']) send('shipment.delayed', { shipment_id: shipment, days: 3 })
  send('contract.ended', { contract_id: 'co_1' })
  for (const endpoint of Object.values(endpoints)) {
    for (let tries = 0; deliveries(endpoint).some(({ state }) => state === 'waiting'); tries += 1) {
      if (tries > 200) throw new Error('deliveries wait for ever')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return { endpoints, delivered: deliveries(endpoints.good)[0].delivery, dead: deliveries(endpoints.failing)[0].delivery }
}

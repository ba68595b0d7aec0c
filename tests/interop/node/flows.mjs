// Starts the server with the clients of these suites and lets two libraries use every flow. Ends with a line of counts.
import { chromium } from 'playwright-core'
import { Checks } from '../checks.mjs'
import { everyone } from './clients.mjs'
import { network } from './net.mjs'
import * as oauth4webapi from './oauth4webapi.mjs'
import * as openidClient from './openid-client.mjs'
import { Person } from './person.mjs'
import { start } from './server.mjs'

const checks = new Checks('oauth4webapi')
let server
let browser
try {
  const { keys, certs, configuration, files } = await everyone()
  server = await start(configuration, files)
  const net = network({ ca: server.ca })
  const cx = { checks, keys, certs, server, net, person: new Person(server, net), other: new Person(server, net, 'bob') }
  cx.as = await oauth4webapi.discover(server, net)
  await oauth4webapi.run(cx)
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  await openidClient.run(cx, browser)
  net.close()
} catch (error) {
  console.error(error)
  checks.add({ passed: 0, failed: 1 })
} finally {
  await browser?.close()
  await server?.stop()
}
checks.end()

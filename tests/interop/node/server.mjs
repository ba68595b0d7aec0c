// Starts `countersign up --ephemeral` with a configuration of its own in a fresh directory, and says where it listens.
import { spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

const program = process.env.COUNTERSIGN_BIN
if (!program) throw new Error('COUNTERSIGN_BIN names the program to test')

// `files` stand beside the configuration, by name. `first` is a server whose root key this one shares, as a second process of one installation does.
export async function start(configuration, files = {}, first) {
  const home = mkdtempSync(join(tmpdir(), 'countersign-interop-'))
  const [config, data] = [join(home, 'config'), join(home, 'data')]
  for (const [name, text] of Object.entries({ ...files, 'countersign.toml': configuration })) {
    const path = join(config, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  if (first) {
    mkdirSync(data, { mode: 0o700 })
    cpSync(join(first.addresses.data, 'keys'), join(data, 'keys'), { recursive: true })
    chmodSync(join(data, 'keys'), 0o700)
  }
  const child = spawn(program, ['up', '--ephemeral', '--config', config, '--data', data, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
  // The log is long and its end is what explains a failure.
  let said = ''
  child.stderr.on('data', (chunk) => { said = (said + chunk).slice(-8000) })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const addresses = await Promise.race([
    new Promise((resolve) => createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)))),
    ended.then((code) => {
      rmSync(home, { recursive: true, force: true })
      throw new Error(`the server ended with ${code} before it was ready: ${said}`)
    }),
  ])
  return {
    addresses,
    issuer: addresses.identity,
    ca: readFileSync(addresses.ca, 'utf8'),
    home,
    said: () => said,
    // Stopping twice does no harm.
    async stop() {
      if (child.exitCode === null) child.kill('SIGTERM')
      await ended
      rmSync(home, { recursive: true, force: true })
    },
  }
}

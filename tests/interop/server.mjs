// Starts `countersign up --ephemeral` in a fresh directory and administers it by its own command line.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const program = process.env.COUNTERSIGN_BIN
if (!program) throw new Error('COUNTERSIGN_BIN names the program to test')

export async function start() {
  const home = mkdtempSync(join(tmpdir(), 'countersign-interop-'))
  const data = join(home, 'data')
  const child = spawn(program, ['up', '--ephemeral', '--data', data, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const addresses = await Promise.race([
    new Promise((resolve) => createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)))),
    ended.then((code) => { throw new Error(`the server ended with ${code} before it was ready`) }),
  ])
  return {
    addresses,
    home,
    administer: (words, input = '') => administer(data, words, input),
    async stop() {
      child.kill('SIGTERM')
      await ended
      rmSync(home, { recursive: true, force: true })
    },
  }
}

function administer(data, words, input) {
  const done = spawnSync(program, [...words, '--data', data, '--json'], { input, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`countersign ${words.join(' ')}: ${done.stderr || done.stdout}`)
  return done.stdout.trim() ? JSON.parse(done.stdout) : {}
}

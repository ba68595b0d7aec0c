// `standardwebhooks` (npm) verifies what we sign and signs what we verify. SIGNATURES_BIN is the program of the crate that does our part.
import { spawnSync } from 'node:child_process'
import { Webhook } from 'standardwebhooks'
import { Checks, must } from '../checks.mjs'

const checks = new Checks('standardwebhooks (npm)')
const { check } = checks

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const OTHER = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const BODY = '{"type":"invoice.paid","data":{"name":"Zoë","amount":1200}}'
const now = Math.floor(Date.now() / 1000)

function ours(asked) {
  const { status, stdout, stderr } = spawnSync(process.env.SIGNATURES_BIN, { input: `${JSON.stringify(asked)}\n`, encoding: 'utf8' })
  must(status === 0, `our program ended with ${status}: ${stderr}`)
  return JSON.parse(stdout)
}

const sign = (secrets, id, body = BODY, timestamp = now) => ours({ do: 'sign', secrets, id, timestamp, body }).headers
const verify = (headers, body = BODY, keys = [SECRET], at = now) =>
  ours({ do: 'verify', scheme: 'standard-webhooks', keys: keys.map((text) => ({ text })), method: 'POST', url: 'https://example.com/', headers, body, now: at })

const theirs = (id, secret = SECRET, body = BODY, at = now) => ({
  'webhook-id': id,
  'webhook-timestamp': String(at),
  'webhook-signature': new Webhook(secret).sign(id, new Date(at * 1000), body),
})

function refuses(body) {
  try {
    body()
  } catch (error) {
    must(error.constructor.name === 'WebhookVerificationError', `it failed by ${error}`)
    return
  }
  throw new Error('it was accepted')
}

await check('it verifies what we sign', () => {
  must(new Webhook(SECRET).verify(BODY, sign([SECRET], 'msg_1')).type === 'invoice.paid', 'another body')
})
await check('it verifies what we sign with two secrets, by either of them', () => {
  const headers = sign([SECRET, OTHER], 'msg_2')
  new Webhook(SECRET).verify(BODY, headers)
  new Webhook(OTHER).verify(BODY, headers)
})
await check('it refuses our signature over another body, by another secret, and after its time', () => {
  refuses(() => new Webhook(SECRET).verify(BODY.replace('1200', '1201'), sign([SECRET], 'msg_3')))
  refuses(() => new Webhook(OTHER).verify(BODY, sign([SECRET], 'msg_3')))
  refuses(() => new Webhook(SECRET).verify(BODY, sign([SECRET], 'msg_3', BODY, now - 600)))
})
await check('we verify what it signs', () => {
  must(verify(theirs('msg_4')).event_id === 'msg_4', 'refused')
  must(verify(theirs('msg_4'), BODY, [OTHER, SECRET]).event_id === 'msg_4', 'refused while secrets rotate')
})
await check('we refuse its signature over another body, by another secret, and after its time', () => {
  must(verify(theirs('msg_5'), BODY.replace('1200', '1201')).refused === 'signature_wrong', 'another body')
  must(verify(theirs('msg_5', OTHER)).refused === 'signature_wrong', 'another secret')
  must(verify({ ...theirs('msg_5'), 'webhook-id': 'msg_6' }).refused === 'signature_wrong', 'another id')
  must(verify(theirs('msg_5', SECRET, BODY, now - 301)).refused === 'timestamp_old', 'an old time')
  must(verify(theirs('msg_5', SECRET, BODY, now + 301)).refused === 'timestamp_future', 'a time ahead')
})
await check('both give the same signature', () => {
  must(sign([SECRET], 'msg_7')['webhook-signature'] === theirs('msg_7')['webhook-signature'], 'they differ')
})

checks.end()

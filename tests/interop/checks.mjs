// One line a check and a line of counts at the end.
export class Checks {
  #counts = { passed: 0, failed: 0 }

  constructor(suite) {
    this.suite = suite
  }

  // Runs `body`; what it throws is one failed check, and `undefined` comes back.
  check = async (name, body) => {
    try {
      const result = await body()
      this.#counts.passed += 1
      console.log(`ok   ${name}`)
      return result ?? true
    } catch (error) {
      this.#counts.failed += 1
      const cause = error?.cause ? `: ${String(error.cause?.message ?? JSON.stringify(error.cause)).slice(0, 400)}` : ''
      console.log(`FAIL ${name}: ${error?.message ?? error}${cause}`)
      return undefined
    }
  }

  add({ passed, failed }) {
    this.#counts.passed += passed
    this.#counts.failed += failed
  }

  end() {
    const { passed, failed } = this.#counts
    console.log(`${this.suite}: ${passed} passed, ${failed} failed, 0 skipped`)
    process.exitCode = failed === 0 && passed > 0 ? 0 : 1
  }
}

export function must(condition, message) {
  if (!condition) throw new Error(message)
}

// The error that `body` ends with; that it does not end with one is an error itself.
export async function refused(body, expected) {
  let result
  try {
    result = await body()
  } catch (error) {
    const got = error.error ?? error.cause?.[0]?.parameters?.error ?? error.code ?? error.message
    if (expected && got !== expected) throw new Error(`refused with \`${got}\` instead of \`${expected}\`: ${error.message}`)
    return error
  }
  throw new Error(`it was accepted: ${JSON.stringify(result)?.slice(0, 200)}`)
}

// The OAuth error of an answer that was sent by hand.
export function erred(answer, expected) {
  let error
  try {
    error = JSON.parse(answer.text).error
  } catch {
    error = undefined
  }
  must(answer.status >= 400 && answer.status < 500 && error === expected, `answered ${answer.status} \`${error ?? answer.text.slice(0, 120)}\` instead of \`${expected}\``)
}

export const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))

// The same JWT with one claim changed and the old signature.
export function forged(jwt, change) {
  const [header, payload, signature] = jwt.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url'))
  return `${header}.${Buffer.from(JSON.stringify({ ...claims, ...change(claims) })).toString('base64url')}.${signature}`
}

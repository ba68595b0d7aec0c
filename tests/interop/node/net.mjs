// `fetch` over connections of our own: they trust the server's development authority and show a certificate where one is given. Keeps what was sent and
// answered, so that a test can send it again; `tamper` changes an answer on its way to the library.
import https from 'node:https'

export function network({ ca, cert, key, connections = 32 }) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: connections, ca, cert, key })
  const sent = []
  let tamper

  async function send(url, { method = 'GET', headers = {}, body } = {}) {
    const fields = Object.fromEntries(new Headers(headers).entries())
    const text = body === undefined || body === null ? undefined : String(body)
    if (text !== undefined && !fields['content-type']) fields['content-type'] = 'application/x-www-form-urlencoded'
    if (text !== undefined) fields['content-length'] = Buffer.byteLength(text)
    return await new Promise((resolve, reject) => {
      const request = https.request(url, { method, headers: fields, agent, family: 4 }, (answer) => {
        const chunks = []
        answer.on('data', (chunk) => chunks.push(chunk))
        answer.once('error', reject)
        answer.once('end', () => {
          const names = new Headers()
          for (let at = 0; at < answer.rawHeaders.length; at += 2) names.append(answer.rawHeaders[at], answer.rawHeaders[at + 1])
          resolve({ status: answer.statusCode, headers: names, text: Buffer.concat(chunks).toString() })
        })
      })
      request.once('error', reject)
      request.end(text)
    })
  }

  async function fetch(url, init = {}) {
    const request = { url: String(url), method: init.method ?? 'GET', headers: init.headers, body: init.body === undefined || init.body === null ? undefined : String(init.body) }
    const answer = await send(request.url, request)
    sent.push({ request, answer })
    const told = tamper?.(request, answer) ?? answer
    return new Response([204, 304].includes(told.status) ? null : told.text, { status: told.status, headers: told.headers })
  }

  return {
    fetch,
    sent,
    // The last exchange with an address that ends like this.
    last: (path) => sent.findLast(({ request }) => new URL(request.url).pathname.endsWith(path)),
    // Sends an exchange's request again, as it was.
    again: ({ request }) => send(request.url, request),
    send,
    // Changes what `body` sees of each answer of one path, for the time of `body`.
    async tampering(path, change, body) {
      tamper = (request, answer) => (new URL(request.url).pathname.endsWith(path) ? { ...answer, text: change(answer.text) } : answer)
      try {
        return await body()
      } finally {
        tamper = undefined
      }
    },
    close: () => agent.destroy(),
  }
}

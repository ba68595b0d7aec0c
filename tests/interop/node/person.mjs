// A person with a browser without script: cookies, forms, and the way through the pages.
const entities = { amp: '&', lt: '<', gt: '>', quot: '"' }
const text = (html) => html.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (all, hex, number, name) =>
  hex ? String.fromCodePoint(parseInt(hex, 16)) : number ? String.fromCodePoint(Number(number)) : entities[name] ?? all)

function attributes(tag) {
  return Object.fromEntries([...tag.matchAll(/([\w-]+)(?:="([^"]*)")?/g)].slice(1).map(([, name, value = '']) => [name, text(value)]))
}

// The forms of a page, each with its address and its hidden fields.
export function forms(html) {
  return [...html.matchAll(/(<form[^>]*>)([\s\S]*?)<\/form>/g)].map(([, open, inside]) => {
    const inputs = [...inside.matchAll(/<input[^>]*>/g)].map(([tag]) => attributes(tag))
    const hidden = Object.fromEntries(inputs.filter((input) => input.type === 'hidden').map((input) => [input.name, input.value ?? '']))
    return { action: attributes(open).action, hidden, names: inputs.map((input) => input.name), inside }
  })
}

export class Person {
  constructor(server, net, name = 'alice', password = 'correct horse battery staple') {
    Object.assign(this, { origin: new URL(server.issuer).origin, net, name, password, cookies: new Map() })
  }

  async request(path, form) {
    const url = new URL(path, this.origin)
    const headers = { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '), accept: 'text/html' }
    if (this.cookies.size === 0) delete headers.cookie
    const init = form ? { method: 'POST', headers, body: new URLSearchParams(form) } : { headers }
    const answer = await this.net.send(url, init)
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0].split(/=(.*)/s)
      if (value) this.cookies.set(name, value)
      else this.cookies.delete(name)
    }
    return { ...answer, url, location: answer.headers.get('location') }
  }

  async submit(form, fields) {
    return this.request(form.action, { ...form.hidden, ...fields })
  }

  // Follows redirects here, signs in where asked, and answers where asked. Ends with a redirect to elsewhere or with any other page.
  async walk(path, answer = 'allow') {
    let page = await this.request(path)
    for (let step = 0; step < 12; step += 1) {
      if (page.location) {
        const target = new URL(page.location, this.origin)
        if (target.origin !== this.origin) return { target, page }
        page = await this.request(target.href)
        continue
      }
      const [form] = forms(page.text)
      if (!form || page.status !== 200) return { page }
      if (form.names.includes('password')) page = await this.submit(form, { username: this.name, password: this.password })
      else if (form.inside.includes('value="allow"')) page = await this.submit(form, { answer })
      else return { page, form }
    }
    throw new Error('the pages have no end')
  }

  // What comes back to the client; the person signs in and allows.
  async approve(url) {
    const { target, page } = await this.walk(url)
    if (!target) throw new Error(`no way back to the client: ${page.status} ${page.text.match(/<h1>.*?<\/h1>/s)?.[0]}`)
    return target
  }

  // Types a device's code and answers. Returns the page that follows.
  async connect(userCode, answer = 'allow') {
    let { page, form } = await this.walk('/device')
    if (!form?.names.includes('code')) throw new Error(`no form for the code: ${page.status}`)
    page = await this.submit(form, { code: userCode })
    return (await this.follow(page, answer)).page
  }

  // Answers the only request that waits.
  async respond(answer = 'allow') {
    return (await this.walk('/requests', answer)).page
  }

  async follow(page, answer) {
    if (page.location) return this.walk(new URL(page.location, this.origin).href, answer)
    const [form] = forms(page.text)
    if (form?.names.includes('password')) {
      return this.follow(await this.submit(form, { username: this.name, password: this.password }), answer)
    }
    if (form?.inside.includes('value="allow"')) return { page: await this.submit(form, { answer }) }
    return { page }
  }
}

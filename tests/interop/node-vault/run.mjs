// The vault as `node-vault` (npm) sees it, unmodified: every path that it covers, each a check by its own name, and the list of them at the end.
//
// Starts `countersign up --ephemeral` (COUNTERSIGN_BIN). With POSTGRES_URL, database credentials are made, used, renewed and taken back in a real PostgreSQL.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import vault from 'node-vault'
import { Checks, must } from '../checks.mjs'
import { start } from '../server.mjs'

const checks = new Checks('node-vault')
const covered = []
const b64 = (text) => Buffer.from(text).toString('base64')
const same = (one, other, message) => must(JSON.stringify(one) === JSON.stringify(other), `${message}: ${JSON.stringify(one)}`)

// One check, with what it covers as the API names it.
async function covers(paths, name, body) {
  covered.push(paths)
  await checks.check(name, body)
}

// The answer that `body` is refused with; it must have this status, and these words in its message.
async function refused(status, body, words = '') {
  let answer
  try {
    answer = await body()
  } catch (error) {
    must(error.response?.statusCode === status, `refused with ${error.response?.statusCode}: ${error.message}`)
    must(error.message.includes(words), `refused with: ${error.message}`)
    return error.response.body
  }
  throw new Error(`it was accepted: ${JSON.stringify(answer)?.slice(0, 200)}`)
}

async function until(condition, what) {
  const late = Date.now() + 15_000
  while (!(await condition())) {
    must(Date.now() < late, what)
    await pause(100)
  }
}

// Clients of one server.
class Server {
  constructor({ addresses }) {
    this.endpoint = addresses.control
    this.ca = readFileSync(addresses.ca)
    // A client of its own for every call: a call that makes a token would leave its client with that one.
    this.root = new Proxy({}, { get: (_, name) => this.client(addresses.vault_token)[name] })
  }

  client(token, more = {}) {
    const made = vault({ endpoint: this.endpoint, token, requestOptions: { ca: this.ca }, ...more })
    // A token in the environment would be taken for none.
    made.token = token
    return made
  }

  // A client whose token has one policy.
  async limited(name, rules) {
    await this.root.addPolicy({ name, rules, policy: rules })
    const { auth } = await this.root.tokenCreate({ policies: [name] })
    return this.client(auth.client_token)
  }

  async lives(token) {
    try {
      await this.client(token).tokenLookupSelf()
      return true
    } catch (error) {
      must(error.response?.statusCode === 403, `answered ${error.response?.statusCode}: ${error.message}`)
      return false
    }
  }
}

async function system(server) {
  const { root } = server
  await covers('health, status (sys/seal-status), initialized, leader', 'sys: health', async () => {
    const anybody = server.client()
    const health = await anybody.health()
    must(health.initialized && !health.sealed && health.performance_standby === false, JSON.stringify(health))
    must((await anybody.health({ standbyok: true, sealedcode: 299 })).sealed === false, 'with a query')
    const { sealed, t, n, progress } = await anybody.status()
    must(sealed === false && Number.isInteger(t) && Number.isInteger(n) && progress === 0, 'status')
    must((await anybody.initialized()).initialized === true, 'initialized')
    must((await anybody.leader()).is_self === true, 'leader')
  })
  await covers('mounts, mount, unmount; remount refused', 'sys: mounts', async () => {
    must('secret/' in (await root.mounts()).data, 'secret/')
    await root.mount({ mount_point: 'team', type: 'kv', description: "a team's", options: { version: '2' } })
    must((await root.mounts()).data['team/'].description === "a team's", 'description')
    await refused(400, () => root.mount({ mount_point: 'team', type: 'kv' }))
    await root.write('team/data/a', { data: { x: '1' } })
    await root.unmount({ mount_point: 'team' })
    await refused(404, () => root.read('team/data/a'))
    // What stood there is taken away in the background, and until then nothing else stands there.
    const again = () => root.mount({ mount_point: 'team', type: 'kv', options: { version: '2' } })
    const free = (error) => must(error.message.includes('try again later'), error.message)
    await until(() => again().then(() => true, free), 'the path is free again')
    await refused(404, () => root.read('team/data/a'))
    try {
      const moved = await root.remount({ from: 'team', to: 'other' })
      throw new Error(`it was accepted: ${JSON.stringify(moved)}`)
    } catch (error) {
      must(error.response?.statusCode >= 400 && error.response.statusCode < 500, error.message)
    }
  })
  await covers('auths, enableAuth, disableAuth', 'sys: auth methods', async () => {
    await root.enableAuth({ mount_point: 'machines', type: 'approle' })
    must((await root.auths()).data['machines/'].type === 'approle', 'enabled')
    await root.disableAuth({ mount_point: 'machines' })
    must(!('machines/' in (await root.auths()).data), 'disabled')
  })
  await covers('policies, addPolicy, getPolicy, removePolicy', 'sys: policies', async () => {
    const policy = 'path "secret/data/hcl/*" { capabilities = ["read", "list"] }'
    await root.addPolicy({ name: 'hcl', policy })
    const { policies } = (await root.policies()).data
    must(['hcl', 'default', 'root'].every((name) => policies.includes(name)), policies)
    must((await root.getPolicy({ name: 'hcl' })).data.rules === policy, 'as it was written')
    await refused(400, () => root.addPolicy({ name: 'bad', policy: 'path "x" { capabilities = ["fly"] }' }))
    await root.removePolicy({ name: 'hcl' })
    await refused(404, () => root.getPolicy({ name: 'hcl' }))
  })
  await covers('sys/capabilities-self, policies in force', 'sys: rules hold', async () => {
    await root.write('secret/data/rules/read', { data: { x: '1' } })
    await root.write('secret/data/rules/denied', { data: { x: '1' } })
    const rules = 'path "secret/data/rules/*" { capabilities = ["read"] }\npath "secret/data/rules/denied" { capabilities = ["deny"] }'
    const reader = await server.limited('rules', rules)
    must((await reader.read('secret/data/rules/read')).data.data.x === '1', 'read')
    await refused(403, () => reader.read('secret/data/rules/denied'), 'permission denied')
    await refused(403, () => reader.write('secret/data/rules/read', { data: { x: '2' } }), 'permission denied')
    await refused(403, () => reader.policies(), 'permission denied')
    const found = (await reader.write('sys/capabilities-self', { paths: ['secret/data/rules/read', 'secret/data/rules/denied'] })).data
    same([found['secret/data/rules/read'], found['secret/data/rules/denied']], [['read'], ['deny']], 'capabilities')
  })
  await covers('audits, enableAudit, disableAudit, rotate, stepDown: what is not there is refused', 'sys: absent', async () => {
    // The product records in its own journal and rotates by its own verb; a client that asks must not be told that it did.
    for (const [name, words] of [['enableAudit', { name: 'file', type: 'file', options: { path: '/tmp/x' } }], ['disableAudit', { name: 'file' }], ['stepDown', {}]]) {
      try {
        await root[name](words)
      } catch (error) {
        must(error.response?.statusCode >= 400 && error.response.statusCode < 500, `${name}: ${error.response?.statusCode} ${error.message}`)
        continue
      }
      throw new Error(`${name} was accepted`)
    }
  })
}

async function keyValue(server) {
  const { root } = server
  await covers('kv v2 through write and read: versions, check-and-set, patch (update)', 'kv: versions', async () => {
    const path = 'secret/data/app/db'
    must((await root.write(path, { data: { password: 'one' }, options: { cas: 0 } })).data.version === 1, 'version 1')
    await refused(400, () => root.write(path, { data: { password: 'no' }, options: { cas: 0 } }), 'check-and-set parameter did not match the current version')
    must((await root.write(path, { data: { password: 'two' }, options: { cas: 1 } })).data.version === 2, 'version 2')
    same((await root.read(path)).data.data, { password: 'two' }, 'the newest')
    same((await root.read(`${path}?version=1`)).data.data, { password: 'one' }, 'the first')
    // `update` replaces its headers with the one for the type, the token is added after.
    must((await root.update(path, { data: { user: 'app' } })).data.version === 3, 'patched')
    same((await root.read(path)).data.data, { password: 'two', user: 'app' }, 'merged')
  })
  await covers('kv v2 delete, undelete, destroySecretVersions', 'kv: deleting', async () => {
    for (const n of ['1', '2', '3']) await root.write('secret/data/gone', { data: { n } })
    await root.delete('secret/data/gone')
    const body = await refused(404, () => root.read('secret/data/gone'))
    must(body.data.data === null && body.data.metadata.deletion_time, JSON.stringify(body))
    await root.write('secret/undelete/gone', { versions: [3] })
    must((await root.read('secret/data/gone')).data.data.n === '3', 'undeleted')
    await root.write('secret/delete/gone', { versions: [1] })
    await root.destroySecretVersions({ path: 'gone', versions: [2] })
    const { versions } = (await root.read('secret/metadata/gone')).data
    must(versions[1].deletion_time && versions[2].destroyed && !versions[3].destroyed, JSON.stringify(versions))
    await root.write('secret/undelete/gone', { versions: [2] })
    await refused(404, () => root.read('secret/data/gone?version=2'))
  })
  await covers('kv v2 list (LIST and GET ?list=1), metadata, config', 'kv: metadata', async () => {
    await root.write('secret/data/list/a', { data: { x: '1' } })
    await root.write('secret/data/list/b/c', { data: { x: '1' } })
    same((await root.list('secret/metadata/list')).data.keys, ['a', 'b/'], 'LIST')
    const plain = server.client(root.token, { noCustomHTTPVerbs: true })
    same((await plain.list('secret/metadata/list')).data.keys, ['a', 'b/'], 'GET')
    await refused(404, () => root.list('secret/metadata/nothing'))
    await root.write('secret/metadata/list/a', { max_versions: 2, cas_required: true, custom_metadata: { owner: 'team' } })
    same((await root.read('secret/metadata/list/a')).data.custom_metadata, { owner: 'team' }, 'custom metadata')
    await refused(400, () => root.write('secret/data/list/a', { data: { x: '2' } }), 'check-and-set parameter required for this call')
    for (const cas of [1, 2, 3]) await root.write('secret/data/list/a', { data: { x: 'y' }, options: { cas } })
    same(Object.keys((await root.read('secret/metadata/list/a')).data.versions), ['3', '4'], 'pruned')
    await root.delete('secret/metadata/list/a')
    await refused(404, () => root.read('secret/metadata/list/a'))
    await root.write('secret/config', { max_versions: 20 })
    must((await root.read('secret/config')).data.max_versions === 20, 'configured')
  })
  await covers('cubbyhole through write, read, list, delete', 'kv: cubbyhole', async () => {
    const one = await server.limited('none', 'path "nothing" { capabilities = ["read"] }')
    await one.write('cubbyhole/mine', { x: '1' })
    must((await one.read('cubbyhole/mine')).data.x === '1', 'mine')
    same((await one.list('cubbyhole')).data.keys, ['mine'], 'listed')
    await refused(404, () => root.read('cubbyhole/mine'))
    await one.delete('cubbyhole/mine')
    await refused(404, () => one.read('cubbyhole/mine'))
  })
}

async function tokens(server) {
  const { root } = server
  const paths = 'tokenCreate, tokenLookup, tokenLookupSelf, tokenLookupAccessor, tokenRenew, tokenRenewSelf, tokenRevoke, tokenRevokeSelf, tokenRevokeAccessor, tokenRevokeOrphan'
  await covers(paths, 'token: life', async () => {
    const { auth } = await root.tokenCreate({ policies: ['default'], ttl: '1h', metadata: { of: 'test' }, meta: { of: 'test' }, display_name: 'worker' })
    must(auth.renewable && auth.lease_duration === 3600 && auth.token_type === 'service', JSON.stringify(auth))
    const worker = server.client(auth.client_token)
    const about = (await worker.tokenLookupSelf()).data
    must(about.path === 'auth/token/create' && about.ttl <= 3600 && about.id === auth.client_token, JSON.stringify(about))
    must((await root.tokenLookup({ token: auth.client_token })).data.accessor === auth.accessor, 'lookup')
    must((await root.tokenLookupAccessor({ accessor: auth.accessor })).data.id === '', 'an accessor does not give the token')
    must((await worker.tokenRenewSelf({ increment: '2h' })).auth.lease_duration <= 7200, 'renewed')
    must((await worker.tokenRenewSelf()).auth.client_token === auth.client_token, 'renewed with no body')
    await root.tokenRenew({ token: auth.client_token, increment: 1800 })
    await root.tokenRevokeAccessor({ accessor: auth.accessor })
    must(!(await server.lives(auth.client_token)), 'revoked by its accessor')
    for (const way of ['tokenRevoke', 'tokenRevokeSelf', 'tokenRevokeOrphan']) {
      const token = (await root.tokenCreate({ policies: ['default'] })).auth.client_token
      must(await server.lives(token), way)
      await (way === 'tokenRevokeSelf' ? server.client(token)[way]() : root[way]({ token }))
      must(!(await server.lives(token)), way)
    }
  })
  await covers('tokenCreateOrphan, tokenCreateRole, addTokenRole, getTokenRole, tokenRoles, removeTokenRole, tokenAccessors', 'token: family', async () => {
    const parent = await server.limited('parent', 'path "auth/token/create" { capabilities = ["update"] }')
    const child = (await server.client(parent.token).tokenCreate({ policies: ['parent'] })).auth.client_token
    const orphan = (await root.tokenCreateOrphan({ policies: ['default'] })).auth.client_token
    await refused(400, () => parent.tokenCreate({ policies: ['root'] }))
    await root.tokenRevoke({ token: parent.token })
    must(!(await server.lives(child)) && (await server.lives(orphan)), 'children end with their parent')
    const once = (await root.tokenCreate({ policies: ['default'], num_uses: 1 })).auth.client_token
    must((await server.lives(once)) && !(await server.lives(once)), 'one use')
    must((await root.tokenAccessors()).data.keys.length > 0, 'accessors')
    await root.addTokenRole({ role_name: 'batch', allowed_policies: 'default', orphan: true })
    must((await root.tokenRoles()).data.keys.includes('batch'), 'roles')
    must((await root.getTokenRole({ role_name: 'batch' })).data.orphan === true, 'role')
    must((await root.tokenCreateRole({ role_name: 'batch', policies: ['default'] })).auth.orphan === true, 'by role')
    await root.removeTokenRole({ role_name: 'batch' })
    await refused(404, () => root.getTokenRole({ role_name: 'batch' }))
  })
  await covers('startTokenRenewal: its own renewal of a token that is about to end', 'token: kept alive', async () => {
    const { auth } = await root.tokenCreate({ policies: ['default'], ttl: '3s' })
    const left = (await root.tokenCreate({ policies: ['default'], ttl: '3s' })).auth.client_token
    const worker = server.client(auth.client_token)
    let renewals = 0
    worker.on('token:renewed', () => { renewals += 1 })
    await worker.startTokenRenewal({ increment: '3s', renewFraction: 0.4 })
    await until(async () => !(await server.lives(left)), 'the one that nobody renews ends')
    must(renewals > 0 && (await server.lives(auth.client_token)), `renewed ${renewals} times`)
    worker.stopAllRenewals()
  })
  await covers('unwrap; X-Vault-Wrap-TTL; sys/wrapping/wrap, lookup, rewrap', 'token: wrapping', async () => {
    await root.write('secret/data/wrapped', { data: { x: '1' } })
    const headers = { 'X-Vault-Wrap-TTL': '60s' }
    const { wrap_info: info } = await root.read('secret/data/wrapped', { headers })
    must(info.ttl === 60 && info.creation_path === 'secret/data/wrapped', JSON.stringify(info))
    const looked = (await root.write('sys/wrapping/lookup', { token: info.token })).data
    must(looked.creation_path === 'secret/data/wrapped' && looked.creation_ttl === 60, JSON.stringify(looked))
    const again = (await root.write('sys/wrapping/rewrap', { token: info.token })).wrap_info.token
    // Without a body: the wrapping token is the client's own.
    must((await server.client(again).unwrap()).data.data.x === '1', 'unwrapped')
    await refused(400, () => server.client().unwrap({ token: again }))
    await refused(400, () => server.client().unwrap({ token: info.token }))
    const own = (await root.write('sys/wrapping/wrap', { a: 'b' }, { headers: { 'X-Vault-Wrap-TTL': '60' } })).wrap_info.token
    same((await root.unwrap({ token: own })).data, { a: 'b' }, 'wrapped by hand')
    const made = await root.tokenCreate({ policies: ['default'], requestOptions: { headers: { 'X-Vault-Wrap-TTL': '60s' } } })
    must(made.auth === null && made.wrap_info.wrapped_accessor, 'a token that its maker does not see')
    const { auth } = await server.client().unwrap({ token: made.wrap_info.token })
    must(await server.lives(auth.client_token), 'the wrapped token')
  })
}

async function transit(server) {
  const { root } = server
  await covers('transitCreateKey, transitReadKey, transitListKeys, transitDeleteKey, encryptData, decryptData, rewrapData; rotate, config, datakey by path', 'transit: encryption', async () => {
    await root.transitCreateKey({ name: 'orders' })
    must((await root.transitListKeys()).data.keys.includes('orders'), 'listed')
    const sealed = (await root.encryptData({ name: 'orders', plaintext: b64('4111') })).data.ciphertext
    must(sealed.startsWith('vault:v1:'), sealed)
    await root.write('transit/keys/orders/rotate', {})
    must((await root.transitReadKey({ name: 'orders' })).data.latest_version === 2, 'rotated')
    const newer = (await root.rewrapData({ name: 'orders', ciphertext: sealed })).data.ciphertext
    must(newer.startsWith('vault:v2:'), newer)
    for (const ciphertext of [sealed, newer]) must((await root.decryptData({ name: 'orders', ciphertext })).data.plaintext === b64('4111'), 'opened')
    await root.write('transit/keys/orders/config', { min_decryption_version: 2 })
    await refused(400, () => root.decryptData({ name: 'orders', ciphertext: sealed }), 'too old')
    const batch = (await root.encryptData({ name: 'orders', batch_input: ['a', 'b'].map((text) => ({ plaintext: b64(text) })) })).data.batch_results
    const opened = (await root.decryptData({ name: 'orders', batch_input: batch.map(({ ciphertext }) => ({ ciphertext })) })).data.batch_results
    same(opened.map(({ plaintext }) => plaintext), [b64('a'), b64('b')], 'batch')
    const key = (await root.write('transit/datakey/plaintext/orders', {})).data
    must((await root.decryptData({ name: 'orders', ciphertext: key.ciphertext })).data.plaintext === key.plaintext, 'data key')
    await refused(400, () => root.transitDeleteKey({ name: 'orders' }))
    await root.write('transit/keys/orders/config', { deletion_allowed: true })
    await root.transitDeleteKey({ name: 'orders' })
    await refused(404, () => root.transitReadKey({ name: 'orders' }))
  })
  await covers('transit/sign, verify, hmac, random, hash by path', 'transit: signing', async () => {
    for (const [type, more] of [['ed25519', {}], ['ecdsa-p256', {}], ['rsa-2048', { signature_algorithm: 'pss' }]]) {
      await root.transitCreateKey({ name: type, type })
      must((await root.transitReadKey({ name: type })).data.keys[1].public_key, 'its public key')
      const { signature } = (await root.write(`transit/sign/${type}`, { input: b64('message'), ...more })).data
      const verify = async (text) => (await root.write(`transit/verify/${type}`, { input: b64(text), signature, ...more })).data.valid
      must((await verify('message')) === true && (await verify('another')) === false, type)
    }
    await root.transitCreateKey({ name: 'mac' })
    const { hmac } = (await root.write('transit/hmac/mac', { input: b64('message') })).data
    must((await root.write('transit/verify/mac', { input: b64('message'), hmac })).data.valid === true, 'hmac')
    must(Buffer.from((await root.write('transit/random/32', {})).data.random_bytes, 'base64').length === 32, 'random')
    must((await root.write('transit/hash/sha2-256', { input: b64('abc'), format: 'hex' })).data.sum.startsWith('ba7816bf'), 'hash')
  })
}

async function approle(server) {
  const { root } = server
  const paths =
    'addApproleRole, approleRoles, getApproleRole, getApproleRoleId, updateApproleRoleId, getApproleRoleSecret, approleSecretAccessors, approleSecretLookup, approleSecretDestroy, ' +
    'approleSecretAccessorLookup, approleSecretAccessorDestroy, approleLogin, deleteApproleRole'
  await covers(paths, 'approle: signs in', async () => {
    await root.enableAuth({ mount_point: 'approle', type: 'approle' })
    const role_name = 'app'
    await root.addApproleRole({ role_name, policies: 'default', token_ttl: 600, secret_id_num_uses: 2 })
    same((await root.approleRoles()).data.keys, ['app'], 'listed')
    must((await root.getApproleRole({ role_name })).data.token_ttl === 600, 'read')
    const { role_id } = (await root.getApproleRoleId({ role_name })).data
    const made = (await root.getApproleRoleSecret({ role_name, metadata: JSON.stringify({ host: 'one' }) })).data
    const machine = server.client()
    const { auth } = await machine.approleLogin({ role_id, secret_id: made.secret_id })
    must(auth.lease_duration === 600 && auth.metadata.role_name === 'app', JSON.stringify(auth))
    must(machine.token === auth.client_token && (await machine.tokenLookupSelf()).data.path === 'auth/approle/login', 'signed in')
    must((await root.approleSecretLookup({ role_name, secret_id: made.secret_id })).data.secret_id_num_uses === 1, 'uses left')
    same((await root.approleSecretAccessorLookup({ role_name, secret_id_accessor: made.secret_id_accessor })).data.metadata, { host: 'one' }, 'by accessor')
    await server.client().approleLogin({ role_id, secret_id: made.secret_id })
    await refused(400, () => server.client().approleLogin({ role_id, secret_id: made.secret_id }))
    await refused(400, () => server.client().approleLogin({ role_id: 'nobody', secret_id: made.secret_id }))
    for (const way of ['approleSecretDestroy', 'approleSecretAccessorDestroy']) {
      const { secret_id, secret_id_accessor } = (await root.getApproleRoleSecret({ role_name })).data
      must((await root.approleSecretAccessors({ role_name })).data.keys.includes(secret_id_accessor), 'accessors')
      await root[way]({ role_name, secret_id, secret_id_accessor })
      await refused(400, () => server.client().approleLogin({ role_id, secret_id }))
    }
    await root.updateApproleRoleId({ role_name, role_id: 'known-name' })
    must((await root.getApproleRoleId({ role_name })).data.role_id === 'known-name', 'role id')
    await root.deleteApproleRole({ role_name })
    await refused(404, () => root.getApproleRole({ role_name }))
  })
}

// The PostgreSQL that this looks into with `psql`.
class Database {
  constructor(url) {
    this.url = url
    const { hostname, port, pathname } = new URL(url)
    this.url_for = (user, password) => `postgresql://${user}:${password}@${hostname}:${port}${pathname}`
  }

  psql(url, statement) {
    return spawnSync(process.env.PSQL_BIN ?? 'psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', statement], { encoding: 'utf8', timeout: 30_000 })
  }

  run(statement) {
    const done = this.psql(this.url, statement)
    must(done.status === 0, done.stderr)
    return done.stdout.trim()
  }

  has_role = (name) => this.run(`SELECT count(*) FROM pg_roles WHERE rolname = '${name}'`) === '1'
  signs_in = (user, password) => this.psql(this.url_for(user, password), 'SELECT 1').status === 0
}

async function database(server, url) {
  const { root } = server
  const postgres = new Database(url)
  const creds = () => root.generateDatabaseCredentials({ databasePath: 'database', name: 'app' })
  await covers('database/config, roles by path', 'database: configured', async () => {
    await root.mount({ mount_point: 'database', type: 'database' })
    postgres.run("DROP ROLE IF EXISTS node_manager; CREATE ROLE node_manager WITH SUPERUSER LOGIN PASSWORD 'first'")
    await root.write('database/config/main', {
      plugin_name: 'postgresql-database-plugin',
      connection_url: postgres.url_for('{{username}}', '{{password}}'),
      username: 'node_manager',
      password: 'first',
      allowed_roles: 'app',
    })
    must(!JSON.stringify((await root.read('database/config/main')).data).includes('first'), 'the password is never shown')
    const creation_statements = ['CREATE ROLE "{{name}}" WITH LOGIN PASSWORD \'{{password}}\' VALID UNTIL \'{{expiration}}\'']
    await root.write('database/roles/app', { db_name: 'main', creation_statements, default_ttl: '1h', max_ttl: '2h' })
    same((await root.list('database/roles')).data.keys, ['app'], 'listed')
    await root.write('database/rotate-root/main', {})
    must(!postgres.signs_in('node_manager', 'first'), 'its password was replaced')
  })
  await covers('generateDatabaseCredentials, renew, revoke (sys/leases), sys/leases/lookup and revoke-prefix by path', 'database: dynamic', async () => {
    const made = await creds()
    must(made.renewable && made.lease_duration === 3600 && made.lease_id.startsWith('database/creds/app/'), JSON.stringify({ ...made, data: null }))
    const { username, password } = made.data
    must(postgres.signs_in(username, password), 'the new role signs in')
    const looked = (await root.write('sys/leases/lookup', { lease_id: made.lease_id })).data
    must(looked.renewable && looked.ttl > 0 && looked.ttl <= 3600, JSON.stringify(looked))
    const renewed = await root.renew({ lease_id: made.lease_id, increment: 5400 })
    must(renewed.lease_duration > 3600 && renewed.lease_duration <= 5400, JSON.stringify(renewed))
    await root.revoke({ lease_id: made.lease_id })
    await until(() => !postgres.has_role(username), 'the role is gone')
    await refused(400, () => root.write('sys/leases/lookup', { lease_id: made.lease_id }))
    const users = [(await creds()).data.username, (await creds()).data.username]
    await root.write('sys/leases/revoke-prefix/database/creds/app', {})
    await until(() => !users.some(postgres.has_role), 'all roles are gone')
  })
  await covers('startLeaseRenewal: its own renewal of a lease', 'database: kept alive', async () => {
    const made = await creds()
    const keeper = server.client(root.token)
    const renewed = new Promise((resolve, reject) => {
      keeper.once('lease:renewed', resolve)
      keeper.once('lease:error:renew', ({ error }) => reject(error))
    })
    // As if it had two seconds left. The client does not keep the process alive for this.
    keeper.startLeaseRenewal(made.lease_id, 2, { increment: 5400 })
    const { result } = await Promise.race([renewed, pause(15_000).then(() => { throw new Error('nothing happened') })])
    must(result.lease_duration > 3600, JSON.stringify(result))
    keeper.stopAllRenewals()
    await root.revoke({ lease_id: made.lease_id })
  })
  await covers('revokePrefix (legacy sys/revoke-prefix): refused, and it takes nothing back', 'database: the legacy path', async () => {
    const { lease_id, data } = await creds()
    // Peers removed `sys/revoke*`, since a policy for `sys/leases/*` does not cover it; whoever calls it must not think that it worked.
    await refused(405, () => root.revokePrefix({ path_prefix: 'database/creds/app' }))
    must(postgres.has_role(data.username), 'the role is as it was')
    await root.revoke({ lease_id })
    await until(() => !postgres.has_role(data.username), 'the role is gone')
  })
  await covers('database: what a token was given ends with it', 'database: owned', async () => {
    const user = await server.limited('dba', 'path "database/creds/app" { capabilities = ["read"] }')
    const { username } = (await user.generateDatabaseCredentials({ databasePath: 'database', name: 'app' })).data
    must(postgres.has_role(username), 'made')
    await root.tokenRevoke({ token: user.token })
    await until(() => !postgres.has_role(username), 'the role ended with the token')
  })
}

await checks.check('set-up', async () => {
  const running = await start()
  try {
    const server = new Server(running)
    for (const part of [system, keyValue, tokens, transit, approle]) await part(server)
    if (process.env.POSTGRES_URL) await database(server, process.env.POSTGRES_URL)
  } finally {
    await running.stop()
  }
})
console.log(`covered:\n${covered.map((paths) => `  ${paths}`).join('\n')}`)
checks.end()

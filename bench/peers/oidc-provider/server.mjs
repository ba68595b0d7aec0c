// oidc-provider, set up for the cases that the benchmark compares: client credentials for JWT access tokens signed with ES256, the code flow
// with PKCE, refresh with rotation, and introspection of opaque tokens. Its configuration is its defaults but for what the cases need: the
// paths of the endpoints, no question of consent, a refresh token with every grant and a new one for each that is used.
//
// Its store is a Map in this process, without a limit (its own development store forgets everything but the last thousand entries).
//
// Arguments: the directory with `key.pem`, `certificate.pem` and `client-jwks.json`, and the port to listen on (loopback only).
// Prints one line of JSON once it listens: {"issuer", "version"}.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import https from 'node:https';
import { generateKeyPairSync } from 'node:crypto';
import path from 'node:path';
import Provider from 'oidc-provider';

const [, , directory, port] = process.argv;
const file = (name) => readFileSync(path.join(directory, name));
const version = createRequire(import.meta.url)('oidc-provider/package.json').version;

const AUDIENCE = 'https://orders.example';
const SCOPE = 'orders:read';
const SECRET = 'a-secret-of-the-benchmark-with-enough-length';
const issuer = `https://localhost:${port}`;

const rows = new Map();
const byUid = new Map();
const byGrant = new Map();

class Memory {
  constructor(name) {
    this.name = name;
  }

  key(id) {
    return `${this.name}:${id}`;
  }

  async upsert(id, payload) {
    const key = this.key(id);
    rows.set(key, payload);
    if (this.name === 'Session') byUid.set(payload.uid, id);
    if (payload.grantId && this.name !== 'Grant' && this.name !== 'Session') {
      const keys = byGrant.get(payload.grantId);
      if (keys) keys.push(key);
      else byGrant.set(payload.grantId, [key]);
    }
  }

  async find(id) {
    const found = rows.get(this.key(id));
    return found && found.exp && found.exp * 1000 < Date.now() ? undefined : found;
  }

  async findByUid(uid) {
    return this.find(byUid.get(uid));
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    rows.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    rows.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const key of byGrant.get(grantId) ?? []) rows.delete(key);
    byGrant.delete(grantId);
  }
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signing = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'bench' };
const cookieKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }).d;

const service = {
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
  scope: SCOPE,
  id_token_signed_response_alg: 'ES256',
};
const secret = { client_secret: SECRET, token_endpoint_auth_method: 'client_secret_basic' };

const provider = new Provider(issuer, {
  adapter: Memory,
  jwks: { keys: [signing] },
  cookies: { keys: [cookieKey] },
  routes: { authorization: '/authorize', introspection: '/introspect', jwks: '/.well-known/jwks.json', token: '/token' },
  clients: [
    { ...service, ...secret, client_id: 'with-secret' },
    { ...service, ...secret, client_id: 'machines' },
    { ...service, ...secret, client_id: 'orders' },
    {
      ...service,
      client_id: 'with-key',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: JSON.parse(file('client-jwks.json')),
    },
    {
      ...secret,
      client_id: 'portal',
      redirect_uris: ['https://portal.example/callback'],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
      scope: `openid offline_access ${SCOPE}`,
      id_token_signed_response_alg: 'ES256',
    },
  ],
  scopes: ['openid', 'offline_access', SCOPE],
  ttl: { AccessToken: 3600, ClientCredentials: 3600, Grant: 86400, IdToken: 3600, Interaction: 3600, RefreshToken: 28800, Session: 86400 },
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async (ctx) => {
    const grantId = ctx.oidc.session.grantIdFor(ctx.oidc.client.clientId);
    const known = grantId && (await provider.Grant.find(grantId));
    if (known) return known;
    const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope(`openid ${SCOPE}`);
    grant.addResourceScope(AUDIENCE, SCOPE);
    await grant.save();
    return grant;
  },
  findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource, client) => ({
        scope: SCOPE,
        audience: AUDIENCE,
        accessTokenTTL: 3600,
        ...(client.clientId === 'machines' ? { accessTokenFormat: 'opaque' } : { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
      }),
    },
  },
});

// There is no page to sign in with: whoever comes is alice. Her password is no part of any case.
const answer = provider.callback();
const listener = (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  const done = provider.interactionFinished(request, response, { login: { accountId: 'alice' } });
  return done.catch((problem) => {
    response.statusCode = 500;
    response.end(String(problem));
  });
};

https
  .createServer({ key: file('key.pem'), cert: file('certificate.pem'), minVersion: 'TLSv1.3' }, listener)
  .listen(Number(port), '127.0.0.1', () => {
    console.log(JSON.stringify({ issuer, version }));
  });

// oidc-provider, set up for the cases that the benchmark compares: client credentials for JWT access tokens signed with ES256,
// refresh with rotation, and introspection of opaque tokens. Its configuration is its defaults but for what the cases need.
//
// Arguments: the directory with `key.pem`, `certificate.pem` and `client-jwks.json`, and the port to listen on (loopback only).
// Prints one line of JSON once it listens: {"issuer", "version", "refresh_token", "opaque_token"}.

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
const issuer = `https://localhost:${port}`;

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signing = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'bench' };

const client = {
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
  scope: SCOPE,
  id_token_signed_response_alg: 'ES256',
};

const provider = new Provider(issuer, {
  jwks: { keys: [signing] },
  clients: [
    { ...client, client_id: 'with-secret', client_secret: 'a-secret-of-the-benchmark-with-enough-length', token_endpoint_auth_method: 'client_secret_basic' },
    {
      ...client,
      client_id: 'with-key',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: JSON.parse(file('client-jwks.json')),
    },
  ],
  scopes: ['openid', 'offline_access', SCOPE],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: SCOPE, audience: AUDIENCE, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'ES256' } } }),
    },
  },
});

const opaque = new provider.ClientCredentials({ client: await provider.Client.find('with-secret'), scope: SCOPE });
const opaqueToken = await opaque.save();

https
  .createServer({ key: file('key.pem'), cert: file('certificate.pem'), minVersion: 'TLSv1.3' }, provider.callback())
  .listen(Number(port), '127.0.0.1', () => {
    console.log(JSON.stringify({ issuer, version, opaque_token: opaqueToken }));
  });

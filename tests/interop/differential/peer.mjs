// oidc-provider on loopback with the same clients as ours. Prints its issuer once it listens.
import { generateKeyPairSync } from 'node:crypto'
import Provider, { errors } from 'oidc-provider'

const settings = JSON.parse(process.env.SETTINGS)
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const signing = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'differential' }
const port = Number(process.env.PORT)
const issuer = `http://127.0.0.1:${port}`

const shared = {
  redirect_uris: [settings.redirect], response_types: ['code'], scope: `openid ${settings.scope}`, id_token_signed_response_alg: 'ES256',
}
const grants = ['authorization_code', 'refresh_token', 'client_credentials']
const provider = new Provider(issuer, {
  jwks: { keys: [signing] },
  clients: [
    { ...shared, client_id: 'web', client_secret: settings.secret, grant_types: grants, token_endpoint_auth_method: 'client_secret_basic' },
    { ...shared, client_id: 'keyed', grant_types: grants, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', jwks: settings.jwks },
    { ...shared, client_id: 'phone', grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'none' },
  ],
  scopes: ['openid', 'offline_access', settings.scope],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    dPoP: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => settings.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => {
        if (resource !== settings.audience) throw new errors.InvalidTarget('unknown resource')
        return { scope: settings.scope, audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
      },
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
})
provider.listen(port, '127.0.0.1', () => console.log(issuer))

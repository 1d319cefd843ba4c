// An OIDC provider (npm oidc-provider) on a free port of the loopback address, for `scripts/oidc/tokens`.
//
// usage: node grants.mjs ISSUER-URL-OF-STEPFN CLIENT-SECRET-FILE
// Its first line on stdout is its URL; `GET /counts` tells how often each endpoint was asked, and with what.
import { readFileSync } from 'node:fs';
import http from 'node:http';

import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const [trusted, secretFile] = process.argv.slice(2);
const resource = 'https://registry.example.com';
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const server = http.createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'stepfn',
    client_secret: readFileSync(secretFile, 'utf8').trim(),
    grant_types: ['client_credentials', exchange],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (ctx, indicator) => {
        if (indicator !== resource) throw new Error('unknown resource');
        // Opaque, so that it can be revoked.
        return { audience: resource, scope: 'push pull', accessTokenTTL: 60, accessTokenFormat: 'opaque' };
      },
      useGrantedResource: () => true,
    },
  },
  scopes: ['push', 'pull'],
});

const counts = { token: 0, revocation: 0, introspection: 0, exchanged: [] };
provider.registerGrantType(exchange, async (ctx) => {
  const keys = await (await fetch(`${trusted}/.well-known/jwks.json`)).json();
  const set = jose.createLocalJWKSet(keys);
  const verify = (token) => jose.jwtVerify(token, set, { issuer: trusted, audience: issuer });
  const subject = (await verify(ctx.oidc.params.subject_token)).payload;
  const actor = (await verify(ctx.oidc.params.actor_token)).payload;
  counts.exchanged.push({ sub: subject.sub, act: actor.sub, started_by: subject.started_by });
  const token = new provider.ClientCredentials({ client: ctx.oidc.client, scope: ctx.oidc.params.scope });
  ctx.oidc.entity('ClientCredentials', token);
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: token.expiration,
  };
}, ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', 'audience', 'scope']);

const answer = provider.callback();
server.on('request', (request, response) => {
  const name = request.url.replace(/^\/token\//, '/').slice(1);
  if (request.url === '/counts') return response.end(JSON.stringify(counts));
  if (name in counts) counts[name] += 1;
  return answer(request, response);
});
console.log(issuer);

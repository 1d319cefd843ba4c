// An OpenID Connect provider on a free port of this machine: provider.mjs DIRECTORY
// Writes its issuer and two access tokens, one for stepfn and one for somebody else, into files of the directory; says
// `ready` and runs until its input ends.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { Provider } from 'oidc-provider';

const directory = process.argv[2];
const [id, secret] = ['robot', 'what only the robot knows'];
const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  ttl: { ClientCredentials: 120 },
  clients: [
    {
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'run',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 120,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
server.on('request', provider.callback());

async function token(resource) {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'run', resource }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer.access_token;
}

writeFileSync(join(directory, 'issuer'), issuer);
writeFileSync(join(directory, 'token'), await token('urn:stepfn'), { mode: 0o600 });
writeFileSync(join(directory, 'other-token'), await token('urn:other'), { mode: 0o600 });
console.log('ready');
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

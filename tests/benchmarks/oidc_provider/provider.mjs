// oidc-provider, configured to answer the same operations; it writes how to speak with it and then listens.

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';

import { exportJWK, generateKeyPair } from 'jose';
import Keygrip from 'keygrip';
import { Provider } from 'oidc-provider';

import * as storage from './adapter.mjs';

const REDIRECT_URI = process.env.BENCHMARK_REDIRECT_URI;
const PEOPLE = Number(process.env.BENCHMARK_PEOPLE);
const IN_MEMORY = process.env.BENCHMARK_STORE === 'memory';
const IDENTITY = 'openid profile email';
const APIS = { 'https://es256.example': 'ES256', 'https://rs256.example': 'RS256' };
const DAY = 86400;

function secret() {
  return randomBytes(32).toString('base64url');
}

function machine() {
  return { client_id: secret(), client_secret: secret(), grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
}

function web(idTokenAlgorithm) {
  return {
    client_id: secret(),
    client_secret: secret(),
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [REDIRECT_URI],
    response_types: ['code'],
    id_token_signed_response_alg: idTokenAlgorithm,
  };
}

const clients = {
  machine_es256: machine(),
  machine_rs256: machine(),
  machine_reference: machine(),
  web_es256: web('ES256'),
  web_rs256: web('RS256'),
  web_reference: web('ES256'),
  consented: web('ES256'),
};

function asked(name) {
  if (name === 'machine_es256') return { scope: 'read', extra: { resource: 'https://es256.example' } };
  if (name === 'machine_rs256') return { scope: 'read', extra: { resource: 'https://rs256.example' } };
  return { scope: name === 'machine_reference' ? 'read' : IDENTITY };
}

async function key(algorithm) {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg: algorithm, use: 'sig' };
}

const people = new Map(Array.from({ length: PEOPLE }, (_, number) => {
  const name = `person${number}`;
  return [name, {
    sub: name, name: `${name} Adams`, given_name: name, family_name: 'Adams', preferred_username: name,
    email: `${name}@example.com`, email_verified: false,
  }];
}));

const cookieKeys = [secret()];
const provider = new Provider(process.env.BENCHMARK_ISSUER, {
  adapter: IN_MEMORY ? storage.MemoryAdapter : storage.PostgreSqlAdapter,
  clients: Object.values(clients),
  jwks: { keys: [await key('RS256'), await key('ES256')] },
  cookies: { keys: cookieKeys },
  scopes: ['openid', 'offline_access', 'read'],
  claims: {
    openid: ['sub'],
    profile: ['name', 'given_name', 'family_name', 'preferred_username'],
    email: ['email', 'email_verified'],
  },
  async findAccount(_ctx, id) {
    const found = IN_MEMORY ? people.get(id) : await storage.findAccount(id);
    return found && { accountId: id, claims: async () => found };
  },
  async issueRefreshToken(_ctx, client) {
    return client.grantTypeAllowed('refresh_token');
  },
  rotateRefreshToken: true,
  ttl: {
    AccessToken: 3600, AuthorizationCode: 600, ClientCredentials: 3600, IdToken: 3600, RefreshToken: 30 * DAY,
    Session: 14 * DAY, Grant: 30 * DAY,
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      async getResourceServerInfo(_ctx, resource) {
        return { scope: 'read', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: APIS[resource] } } };
      },
    },
  },
});

async function consent(client, accountId) {
  const grant = new provider.Grant({ accountId, clientId: client.client_id });
  grant.addOIDCScope(IDENTITY);
  return grant.save();
}

async function cookie(accountId) {
  const session = new provider.Session();
  session.loginAccount({ accountId });
  for (const client of Object.values(clients).filter(({ response_types: [type] }) => type === 'code')) {
    session.ensureClientContainer(client.client_id);
    session.grantIdFor(client.client_id, await consent(client, accountId));
  }
  await session.save(14 * DAY);
  const value = `${provider.cookieName('session')}=${session.id}`;
  return `${value}; ${provider.cookieName('session')}.sig=${new Keygrip(cookieKeys).sign(value)}`;
}

if (!IN_MEMORY) {
  await storage.createTables();
  for (const person of people.values()) await storage.storeAccount(person);
}
const cookies = [];
for (const accountId of people.keys()) cookies.push(await cookie(accountId));

const roles = Object.fromEntries(Object.entries(clients).map(([name, client]) => [
  name, { client_id: client.client_id, secret: client.client_secret, ...asked(name) },
]));
const paths = {
  authorization: '/auth', token: '/token', userinfo: '/me', introspection: '/token/introspection',
  discovery: '/.well-known/openid-configuration', jwks: '/jwks',
};
writeFileSync(process.env.BENCHMARK_DESCRIPTION, JSON.stringify({ paths, roles, cookies }));

const server = provider.listen(Number(new URL(process.env.BENCHMARK_ISSUER).port), '127.0.0.1');
server.keepAliveTimeout = 0;  // connections are kept while other peers take their turns

// Where oidc-provider keeps its models: one table in PostgreSQL, as the adapters in its own examples have it, with an
// index for each way that it looks things up, prepared statements, and a pool as large as there are connections.

import pg from 'pg';

const GRANTABLE = new Set([
  'AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest',
]);

const SCHEMA = `
  CREATE TABLE oidc_model (
    kind text NOT NULL,
    id text NOT NULL,
    payload jsonb NOT NULL,
    grant_id text,
    user_code text,
    uid text,
    expires_at timestamptz,
    consumed_at timestamptz,
    PRIMARY KEY (kind, id)
  );
  CREATE INDEX oidc_model_grant ON oidc_model (grant_id) WHERE grant_id IS NOT NULL;
  CREATE UNIQUE INDEX oidc_model_user_code ON oidc_model (user_code) WHERE user_code IS NOT NULL;
  CREATE UNIQUE INDEX oidc_model_uid ON oidc_model (uid) WHERE uid IS NOT NULL;
  CREATE INDEX oidc_model_expires ON oidc_model (expires_at);
  CREATE TABLE account (
    id text PRIMARY KEY,
    name text NOT NULL,
    given_name text NOT NULL,
    family_name text NOT NULL,
    email text NOT NULL,
    is_active boolean NOT NULL
  );
`;

const COLUMNS = 'payload, extract(epoch FROM consumed_at)::bigint AS consumed';
const LIVE = '(expires_at IS NULL OR expires_at > now())';
const STATEMENTS = {
  upsert: `
    INSERT INTO oidc_model (kind, id, payload, grant_id, user_code, uid, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
    ON CONFLICT (kind, id) DO UPDATE SET payload = excluded.payload, grant_id = excluded.grant_id,
      user_code = excluded.user_code, uid = excluded.uid, expires_at = excluded.expires_at`,
  find: `SELECT ${COLUMNS} FROM oidc_model WHERE kind = $1 AND id = $2 AND ${LIVE}`,
  findByUid: `SELECT ${COLUMNS} FROM oidc_model WHERE kind = $1 AND uid = $2 AND ${LIVE}`,
  findByUserCode: `SELECT ${COLUMNS} FROM oidc_model WHERE kind = $1 AND user_code = $2 AND ${LIVE}`,
  consume: 'UPDATE oidc_model SET consumed_at = now() WHERE kind = $1 AND id = $2',
  destroy: 'DELETE FROM oidc_model WHERE kind = $1 AND id = $2',
  revokeByGrantId: 'DELETE FROM oidc_model WHERE kind = $1 AND grant_id = $2',
  account: 'SELECT id, name, given_name, family_name, email, is_active FROM account WHERE id = $1',
};

const pool = new pg.Pool({
  host: process.env.BENCHMARK_SOCKET_DIRECTORY,
  database: process.env.BENCHMARK_DATABASE_NAME,
  user: 'postgres',
  max: 16,
});

function run(name, values) {
  return pool.query({ name, text: STATEMENTS[name], values });
}

function restored({ rows: [row] }) {
  if (!row) return undefined;
  return row.consumed === null ? row.payload : { ...row.payload, consumed: Number(row.consumed) };
}

export async function createTables() {
  await pool.query(SCHEMA);
}

export async function storeAccount(account) {
  await pool.query(
    'INSERT INTO account (id, name, given_name, family_name, email, is_active) VALUES ($1, $2, $3, $4, $5, true)',
    [account.sub, account.name, account.given_name, account.family_name, account.email],
  );
}

export async function findAccount(id) {
  const { rows: [row] } = await run('account', [id]);
  return row?.is_active ? { ...row, sub: row.id, preferred_username: row.id, email_verified: false } : undefined;
}

export class PostgreSqlAdapter {
  constructor(kind) {
    this.kind = kind;
  }

  async upsert(id, payload, expiresIn) {
    const grantId = GRANTABLE.has(this.kind) ? payload.grantId : null;
    const uid = this.kind === 'Session' ? payload.uid : null;
    await run('upsert', [this.kind, id, payload, grantId ?? null, payload.userCode ?? null, uid, expiresIn ?? null]);
  }

  async find(id) {
    return restored(await run('find', [this.kind, id]));
  }

  async findByUid(uid) {
    return restored(await run('findByUid', [this.kind, uid]));
  }

  async findByUserCode(userCode) {
    return restored(await run('findByUserCode', [this.kind, userCode]));
  }

  async consume(id) {
    await run('consume', [this.kind, id]);
  }

  async destroy(id) {
    await run('destroy', [this.kind, id]);
  }

  async revokeByGrantId(grantId) {
    await run('revokeByGrantId', [this.kind, grantId]);
  }
}

// In memory, as oidc-provider does by default, but without that one's limit of 1,000 entries, which this load passes
// within seconds.
const stored = new Map();

export class MemoryAdapter {
  constructor(kind) {
    this.kind = kind;
  }

  async upsert(id, payload) {
    stored.set(`${this.kind}:${id}`, payload);
    if (this.kind === 'Session') stored.set(`uid:${payload.uid}`, id);
  }

  async find(id) {
    return stored.get(`${this.kind}:${id}`);
  }

  async findByUid(uid) {
    return this.find(stored.get(`uid:${uid}`));
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    stored.get(`${this.kind}:${id}`).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    stored.delete(`${this.kind}:${id}`);
  }

  async revokeByGrantId() {
    // nothing in this load is revoked
  }
}

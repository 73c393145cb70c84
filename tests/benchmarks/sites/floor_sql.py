"""The floor's statements, on tables that are copies of ours: the same columns, indexes and foreign keys.

One statement for what one statement can do: what is redeemed is updated first, by a condition, and read together
with all that its worth depends on.
"""

import psycopg

REDEEM_CODE = """
UPDATE identityserver_authorizationcode c SET consumed_at = %s
FROM identityserver_grant g
JOIN identityserver_client k ON k.id = g.client_id
LEFT JOIN auth_user u ON u.id = g.user_id
LEFT JOIN identityserver_usersession s ON s.id = g.session_id
WHERE c.digest = %s AND c.consumed_at IS NULL AND g.id = c.grant_id
RETURNING g.id, g.client_id, g.subject, g.scopes, g.auth_time, g.sid, c.expires, g.expires, g.revoked_at, u.is_active,
          k.enabled, s.ended_at, c.redirect_uri, c.code_challenge, c.nonce
"""
USE_REFRESH_TOKEN = """
UPDATE identityserver_refreshtoken t SET consumed_at = %s
FROM identityserver_grant g
JOIN identityserver_client k ON k.id = g.client_id
LEFT JOIN auth_user u ON u.id = g.user_id
LEFT JOIN identityserver_usersession s ON s.id = g.session_id
WHERE t.digest = %s AND t.consumed_at IS NULL AND g.id = t.grant_id
RETURNING g.id, g.client_id, g.subject, g.scopes, g.auth_time, g.sid, t.expires, g.expires, g.revoked_at, u.is_active,
          k.enabled, s.ended_at, t.generation
"""
READ_PERSON = """
SELECT g.subject, g.scopes, g.revoked_at, u.is_active, k.enabled, u.first_name, u.last_name, u.email, u.username
FROM identityserver_grant g
JOIN identityserver_client k ON k.id = g.client_id
JOIN auth_user u ON u.id = g.user_id
WHERE g.id = %s
"""
INTROSPECT = """
SELECT t.claims, t.client_id, t.expires, t.revoked_at, g.revoked_at, u.is_active
FROM identityserver_referencetoken t
LEFT JOIN identityserver_grant g ON g.id = t.grant_id
LEFT JOIN auth_user u ON u.id = g.user_id
WHERE t.digest = %s
"""
READ_SESSION = """
SELECT s.id, s.user_id, b.value, s.auth_time, s.ended_at, s.expires, u.is_active, c.scopes,
       EXISTS (SELECT FROM identityserver_sessionclient p WHERE p.session_id = s.id AND p.client_id = %s)
FROM identityserver_usersession s
JOIN auth_user u ON u.id = s.user_id
JOIN identityserver_subject b ON b.user_id = s.user_id
LEFT JOIN identityserver_consent c ON c.user_id = s.user_id AND c.client_id = %s
WHERE s.sid = %s
"""
READ_CLIENT = """
SELECT k.id, d.digest FROM identityserver_client k
JOIN identityserver_clientsecret d ON d.client_id = k.id
WHERE k.client_id = %s
"""

_COLUMNS = """
SELECT column_name, data_type, is_nullable = 'YES' OR column_default IS NOT NULL OR is_identity = 'YES'
FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position
"""
#: What a column holds that the floor has no use for, and that must hold something.
_EMPTY = {"jsonb": "'[]'", "boolean": "false", "integer": "0", "timestamp with time zone": "now()"}


def insert(connection: psycopg.Connection, table: str, *columns: str) -> str:
    """An INSERT of ``columns`` by parameters and whatever else the table asks for, made once."""
    values = {}
    for name, kind, may_be_left_out in connection.execute(_COLUMNS, [table]):
        if name in columns:
            values[name] = "%s::jsonb" if kind == "jsonb" else "%s"
        elif not may_be_left_out:
            values[name] = _EMPTY.get(kind, "''")
    given = [*columns, *(name for name in values if name not in columns)]
    return f"INSERT INTO {table} ({', '.join(given)}) VALUES ({', '.join(values[name] for name in given)})"  # noqa: S608  names of ours

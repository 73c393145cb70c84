"""What happened, for receivers of the app and of hosts. Flows only send; ``web/receivers.py`` stores.

No argument ever holds a secret, code, token, verifier or password.
"""

from django.dispatch import Signal

#: A user session began. Arguments: session (UserSession), request (HttpRequest or None).
session_started = Signal()
#: A user session ended. Arguments: session (UserSession), reason (str).
session_ended = Signal()
#: A person signed in, on whatever page of the site; sent by ``web/``. Arguments: request, user.
login_succeeded = Signal()
#: A sign-in was refused. Arguments: request, username (as typed), reason. ``web/`` sends it with the reason
#: "credentials" for whatever page of the site; pages send it where they refuse before looking at credentials.
login_failed = Signal()
#: The user allowed. Arguments: client, user, session, scopes.
consent_granted = Signal()
#: The user refused. Arguments: client, user, session, scopes.
consent_denied = Signal()
#: An authorization code was issued. Arguments: authorization (tokens.authorization.Authorization).
code_issued = Signal()
#: Tokens were issued. Arguments: authorization, grant_type.
tokens_issued = Signal()
#: An access token was exchanged for one that is for another API. Arguments: client (who exchanges), grant (of the
#: user), subject (tokens.verify.AccessTokenClaims of the token presented), actor (the act claim, or None).
token_exchanged = Signal()
#: A code was used twice; its grant is revoked. Arguments: client, grant_id, subject.
code_replayed = Signal()
#: A refresh token was used after its family had gone on; the family is revoked.
#: Arguments: client, grant_id, subject.
refresh_token_replayed = Signal()
#: A device code was used twice; its grant is revoked. Arguments: client, grant_id, subject.
device_code_replayed = Signal()
#: Somebody who is signed in typed a user code that is none. Arguments: user, session, reason ("unknown" or
#: "rate_limited"), request.
user_code_failed = Signal()
#: A client revoked a token of its own. Arguments: client, kind ("access token" or "refresh token", which goes with its
#: whole grant), grant_id (UUID or None), subject.
token_revoked = Signal()
#: A signing key took over ahead of its time, was retired, revoked or deleted.
#: Arguments: key (SigningKey), change ("rotated", "retired", "revoked", "deleted").
signing_key_changed = Signal()
#: What had expired was deleted. Arguments: counts (rows by name of the model), complete (bool: nothing is left).
cleaned_up = Signal()
#: A registered client cannot be used. Arguments: client_id, reason.
client_unusable = Signal()
#: A client registered itself. Arguments: client, initial_access_token (InitialAccessToken or None).
client_registered = Signal()
#: A client replaced its registration. Arguments: client.
registration_replaced = Signal()
#: A client deleted its registration; it is gone with its grants. Arguments: client_id (str), name (str).
registration_deleted = Signal()
#: A request was refused with an error.
#: Arguments: error (ProtocolError), endpoint (str), client_id (str), request (HttpRequest).
request_refused = Signal()

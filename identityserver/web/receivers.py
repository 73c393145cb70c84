"""Signal receivers: Django's sign-ins and users move user sessions, our own signals become events.

Connected by ``AppConfig.ready``. Flows only send signals; what follows from one is here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import is_password_usable
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from identityserver import signals
from identityserver.caching import forget_on_commit
from identityserver.errors import ProtocolError, TemporarilyUnavailable
from identityserver.models import (
    ApiResource,
    ApiScope,
    ApiSecret,
    ClaimMapping,
    Client,
    ClientSecret,
    Grant,
    IdentityResource,
    InitialAccessToken,
    SigningKey,
    TrustedIssuer,
    UserSession,
)
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.verify import AccessTokenClaims
from identityserver.web import sign_in
from identityserver.web.current import current_request
from identityserver.web.events import happened, is_of_interest, log, store, store_sparingly
from identityserver.web.session import EndReason, signed_in_sid

# --- Django's sign-ins -----------------------------------------------------------------------------


@receiver(user_logged_in)
def begin_user_session(request: HttpRequest | None, user: AbstractBaseUser, **_: Any) -> None:
    """Any login page counts. A sign-in without a session, as APIs have it, is none of a browser."""
    if request is not None and isinstance(getattr(request, "session", None), SessionBase):
        sign_in.begin_or_renew(request, user)


@receiver(user_logged_out)
def end_user_session(request: HttpRequest | None, **_: Any) -> None:
    """Any logout page counts."""
    if request is not None:
        sign_in.end(request)


@receiver(user_login_failed)
def tell_of_refused_login(
    request: HttpRequest | None = None, credentials: Mapping[str, Any] | None = None, **_: Any
) -> None:
    """Of the credentials only the user name goes on: a site's backend may take anything for one."""
    given = credentials or {}
    if not given:  # a middleware that offers every request to the backends, and no person
        return
    username = given.get(get_user_model().USERNAME_FIELD) or given.get("username")
    signals.login_failed.send(sender=None, request=request, username=username, reason="credentials")


# --- Users -----------------------------------------------------------------------------------------


@receiver(pre_save)
def notice_changed_password(
    instance: Any, raw: bool, using: str, update_fields: frozenset[str] | None, **_: Any
) -> None:
    """Remember on the user until the save is done that it changes the password, in whatever way that was set."""
    if not raw and isinstance(instance, get_user_model()) and _changes_password(instance, using, update_fields):
        vars(instance)["_identityserver_password_changes"] = True


@receiver(post_save)
def end_sessions_of_changed_user(
    instance: Any, created: bool, raw: bool, update_fields: frozenset[str] | None, **_: Any
) -> None:
    """A new or disabled password ends the user's other sessions and grants; deactivation ends all of them.

    Of any model, since a user may be saved as a proxy or child of the user model.
    """
    changes_password = vars(instance).pop("_identityserver_password_changes", False)
    if created or raw or not isinstance(instance, get_user_model()):
        return
    if changes_password:
        _end_all(instance, EndReason.PASSWORD_CHANGED, keep_sid=signed_in_sid(current_request()))
    if not instance.is_active and (update_fields is None or "is_active" in update_fields):
        _end_all(instance, EndReason.DEACTIVATED)


def _changes_password(user: Any, using: str, update_fields: frozenset[str] | None) -> bool:
    """Compares with what is stored, unless it is plain; a user that was never read changes whatever there is."""
    if getattr(user, "_password", None) is not None:  # set_password leaves it until the save is done
        return True
    saved = {field.name for field in user._meta.concrete_fields} if update_fields is None else update_fields
    if "password" not in saved:
        return False
    if user._state.adding:
        return True
    return not _is_upgrade(user, update_fields) and user.password != _stored_password(user, using)


def _is_upgrade(user: Any, update_fields: frozenset[str] | None) -> bool:
    """Django's new hash of the same password: it resets ``_password``, which a row as it was read does not have."""
    return update_fields == frozenset({"password"}) and "_password" in vars(user) and is_password_usable(user.password)


def _stored_password(user: Any, using: str) -> str | None:
    rows = get_user_model()._base_manager.using(using).filter(pk=user.pk)
    return rows.values_list("password", flat=True).first()


@receiver(pre_delete, sender=settings.AUTH_USER_MODEL)
def end_sessions_of_deleted_user(instance: AbstractBaseUser, **_: Any) -> None:
    """The rows go with the user; who listens to the end of sessions still hears of it."""
    _end_all(instance, EndReason.DELETED)


def _end_all(user: AbstractBaseUser, reason: EndReason, keep_sid: str | None = None) -> None:
    UserSession.objects.end_for_user(user, keep_sid=keep_sid, reason=reason)
    Grant.objects.revoke_for_user(user, keep_session_sid=keep_sid, reason=reason)


# --- Configuration ---------------------------------------------------------------------------------

for _model in (
    ApiResource,
    ApiScope,
    ApiSecret,
    ClaimMapping,
    Client,
    ClientSecret,
    IdentityResource,
    SigningKey,
    TrustedIssuer,
):
    post_save.connect(forget_on_commit, sender=_model, dispatch_uid=f"identityserver.saved.{_model.__name__}")
    post_delete.connect(forget_on_commit, sender=_model, dispatch_uid=f"identityserver.deleted.{_model.__name__}")
for _relation in (
    Client.identity_resources,
    Client.api_scopes,
    Client.allowed_groups,
    ApiResource.api_scopes,
    TrustedIssuer.api_scopes,
):
    m2m_changed.connect(forget_on_commit, sender=_relation.through)


@receiver(m2m_changed, sender=Client.allowed_groups.through)
def keep_restriction(instance: Client, action: str, **_: Any) -> None:
    """A client is restricted once groups are chosen, and open again once they are taken away by hand.

    Deleting a group sends no such signal: a client whose last group goes stays restricted, and admits nobody.
    """
    if action in {"post_add", "post_remove", "post_clear"}:
        instance.is_restricted_to_groups = instance.allowed_groups.exists()
        instance.save(update_fields=["is_restricted_to_groups"])


# --- Events ----------------------------------------------------------------------------------------


@receiver(signals.session_started)
def store_session_started(session: UserSession, request: HttpRequest | None = None, **_: Any) -> None:
    """A user session began."""
    store(happened("session_started", _of_session(session), request=request))


@receiver(signals.session_ended)
def store_session_ended(session: UserSession, reason: str, **_: Any) -> None:
    """A user session ended."""
    store(happened("session_ended", {"code": reason, **_of_session(session)}))


@receiver(signals.login_succeeded)
def store_login(request: HttpRequest | None, user: AbstractBaseUser, **_: Any) -> None:
    """Somebody signed in, for the first time or again."""
    said = {"user": str(user.pk), "session": signed_in_sid(request) or ""}
    store(happened("login_succeeded", said, request=request))


@receiver(signals.login_failed)
def store_failed_login(request: HttpRequest | None, username: object, reason: str, **_: Any) -> None:
    """Names the user only where there is one: what people type for a user name may be their password."""
    said = {"code": reason, "user": _pk_of(username)}
    store_sparingly(happened("login_failed", said, failed=True, request=request))


@receiver(signals.consent_granted)
def store_consent_granted(client: Client, session: UserSession, scopes: Sequence[str], **_: Any) -> None:
    """A user allowed a client."""
    store(happened("consent_granted", _of_consent(client, session, scopes)))


@receiver(signals.consent_denied)
def store_consent_denied(client: Client, session: UserSession, scopes: Sequence[str], **_: Any) -> None:
    """A user refused a client."""
    store(happened("consent_denied", _of_consent(client, session, scopes), failed=True))


@receiver(signals.code_issued)
def store_code_issued(authorization: Authorization, **_: Any) -> None:
    """A client got an authorization code."""
    if is_of_interest("code_issued"):
        store(happened("code_issued", _of_authorization(authorization)))


@receiver(signals.tokens_issued)
def store_tokens_issued(authorization: Authorization, grant_type: str, **_: Any) -> None:
    """A client got tokens."""
    if is_of_interest("tokens_issued"):
        store(happened("tokens_issued", {"code": grant_type, **_of_authorization(authorization)}))


@receiver(signals.token_exchanged)
def store_token_exchanged(
    client: Client, grant: Grant, subject: AccessTokenClaims, actor: Mapping[str, Any] | None, **_: Any
) -> None:
    """RFC 8693: a client got a token for another that was issued to itself or came with a call."""
    if is_of_interest("token_exchanged"):
        acting = f", with {actor['sub']} acting" if actor else ""
        said = {"client": client.client_id, "user": str(grant.user_id), "session": grant.sid, "clause": "RFC 8693 §2"}
        store(happened("token_exchanged", {**said, "detail": f"a token of {subject.client_id}{acting}"}))


@receiver(signals.code_replayed)
def store_code_replayed(client: Client, grant_id: object, **_: Any) -> None:
    """RFC 6749 §4.1.2: a code was used twice."""
    store(happened("code_replayed", _of_replay(client, grant_id, "RFC 6749 §4.1.2"), failed=True))


@receiver(signals.refresh_token_replayed)
def store_refresh_token_replayed(client: Client, grant_id: object, **_: Any) -> None:
    """RFC 9700 §4.14.2: a refresh token was used after it had been replaced."""
    store(happened("refresh_token_replayed", _of_replay(client, grant_id, "RFC 9700 §4.14.2"), failed=True))


@receiver(signals.device_code_replayed)
def store_device_code_replayed(client: Client, grant_id: object, **_: Any) -> None:
    """A device code was used twice."""
    store(happened("device_code_replayed", _of_replay(client, grant_id, "RFC 8628 §3.5"), failed=True))


@receiver(signals.user_code_failed)
def store_user_code_failed(session: UserSession, reason: str, request: HttpRequest, **_: Any) -> None:
    """RFC 8628 §5.1: somebody mistypes a user code, or guesses."""
    said = {"code": reason, "clause": "RFC 8628 §5.1", **_of_session(session)}
    store_sparingly(happened("user_code_failed", said, failed=True, request=request))


@receiver(signals.signing_key_changed)
def store_signing_key_changed(key: SigningKey, change: str, **_: Any) -> None:
    """A signing key took over ahead of its time, was retired, revoked or deleted."""
    detail = f"{key.algorithm} {key.kid}: signs {key.activates_at.isoformat()} to {key.retires_at.isoformat()}"
    store(happened(f"signing_key_{change}", {"detail": detail, "clause": "OpenID Connect Core §10.1.1"}))


@receiver(signals.cleaned_up)
def store_cleaned_up(counts: Mapping[str, int], complete: bool, **_: Any) -> None:
    """``identityserver_clean_up`` has run; the last one of these says when."""
    said = ", ".join(f"{name}: {count}" for name, count in counts.items() if count) or "nothing to delete"
    store(happened("cleaned_up", {"code": "complete" if complete else "limit", "detail": said}))


@receiver(signals.client_registered)
def store_client_registered(client: Client, initial_access_token: InitialAccessToken | None, **_: Any) -> None:
    """RFC 7591 §3: a client registered itself."""
    by = f"with the initial access token {initial_access_token}" if initial_access_token else "without a token"
    said = {"client": client.client_id, "detail": f"{client.name}, {by}", "clause": "RFC 7591 §3"}
    keep = store if initial_access_token else store_sparingly
    keep(happened("client_registered", said))


@receiver(signals.registration_replaced)
def store_registration_replaced(client: Client, **_: Any) -> None:
    """RFC 7592 §2.2: a client replaced its registration."""
    said = {"client": client.client_id, "detail": client.name, "clause": "RFC 7592 §2.2"}
    store_sparingly(happened("registration_replaced", said))


@receiver(signals.registration_deleted)
def store_registration_deleted(client_id: str, name: str, **_: Any) -> None:
    """RFC 7592 §2.3: a client deleted itself."""
    store_sparingly(happened("registration_deleted", {"client": client_id, "detail": name, "clause": "RFC 7592 §2.3"}))


@receiver(signals.token_revoked)
def store_token_revoked(client: Client, kind: str, grant_id: object, **_: Any) -> None:
    """RFC 7009: a client gave a token back."""
    of_grant = f" of grant {grant_id}" if grant_id else ""
    said = {"client": client.client_id, "code": kind, "detail": f"{kind}{of_grant}", "clause": "RFC 7009 §2"}
    store_sparingly(happened("token_revoked", said))


@receiver(signals.client_unusable)
def store_client_unusable(client_id: str, reason: str, **_: Any) -> None:
    """A client's row does not describe a client that can be served."""
    said = {"client": client_id, "detail": reason, "remedy": "Correct the client's page in the admin."}
    store_sparingly(happened("client_unusable", said, failed=True))


@receiver(signals.request_refused)
def store_request_refused(
    error: ProtocolError, endpoint: str, client_id: str, request: HttpRequest | None = None, **_: Any
) -> None:
    """What the client was told, and for staff why, under the reference that the client was given."""
    if error.is_ordinary:
        return
    said = {
        "reference": error.reference,
        "client": client_id,
        "code": error.code,
        "detail": " ".join(filter(None, (f"{endpoint}:", error.description, error.detail))),
        "clause": error.clause,
        "remedy": error.remedy,
    }
    event = happened("request_refused", said, failed=True, request=request)
    if isinstance(error, TemporarilyUnavailable):  # the database that failed would keep the client waiting
        log(event)
    else:
        store_sparingly(event)


def _of_session(session: UserSession) -> dict[str, str]:
    return {"user": str(session.user_id), "session": session.sid}


def _of_consent(client: Client, session: UserSession, scopes: Sequence[str]) -> dict[str, str]:
    return {"client": client.client_id, "detail": " ".join(scopes), **_of_session(session)}


def _of_authorization(authorization: Authorization) -> dict[str, str]:
    return {
        "client": authorization.client.client_id,
        "user": str(authorization.user.pk) if authorization.user is not None else "",
        "session": authorization.sid,
        "detail": " ".join(authorization.resources.scopes),
    }


def _of_replay(client: Client, grant_id: object, clause: str) -> dict[str, str]:
    return {
        "client": client.client_id,
        "detail": f"grant {grant_id}, which is revoked",
        "clause": clause,
        "remedy": "It may have been stolen, or the client repeats its requests. Look where they came from.",
    }


def _pk_of(username: object) -> str:
    if not isinstance(username, str) or "\0" in username:
        return ""
    try:
        return str(get_user_model()._default_manager.get_by_natural_key(username).pk)
    except (ObjectDoesNotExist, MultipleObjectsReturned):
        return ""

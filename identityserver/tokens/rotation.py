"""How the key ring changes: keys are made, take over, retire, are revoked and deleted (OpenID Connect Core §10.1.1).

Any number of nodes may do any of it at once. The place of a key in the sequence of its algorithm is unique,
so two nodes that make "the next key" make one; every other change is a conditional UPDATE.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from identityserver import encryption, jose, signals
from identityserver.caching import forget_on_commit
from identityserver.conf import options
from identityserver.models import ApiResource, Client, SigningKey
from identityserver.vocabulary import Algorithm

logger = logging.getLogger("identityserver")

#: Fields by which a client asks for signatures of an algorithm.
_REGISTERED = (
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "introspection_signed_response_alg",
    "authorization_signed_response_alg",
)

#: Times that a change is tried again that another node came before.
_TRIES = 5


def document_max_age() -> int:
    """For how many seconds anybody may keep the key set and the discovery document (RFC 9111 §5.2.2.1)."""
    return max(options().configuration_cache_seconds, 60)


def propagation() -> timedelta:
    """After how long everybody has a new key who keeps the key set no longer than they are told to."""
    return timedelta(seconds=options().configuration_cache_seconds + document_max_age() + 5)


# --- Making -----------------------------------------------------------------------------------------------


def due(rows: Iterable[SigningKey]) -> list[str]:
    """The algorithms of which the next key must be announced now.

    An algorithm that no option, client or API names any more is let go: its last key retires without a successor.
    """
    now, rows = timezone.now(), list(rows)
    ends: dict[str, datetime] = {}
    for key in rows:
        if key.is_kept:
            ends[key.algorithm] = max(key.retires_at, ends.get(key.algorithm, key.retires_at))
    always = {options().access_token_signing_algorithm, options().id_token_signing_algorithm}
    ending = {algorithm for algorithm, end in ends.items() if now < end <= now + options().key_announcement}
    missing = {algorithm for algorithm in always if algorithm not in ends or ends[algorithm] <= now}
    return sorted(missing | {algorithm for algorithm in ending if algorithm in always or _is_registered(algorithm)})


def announce(algorithm: Algorithm, rows: Iterable[SigningKey]) -> None:
    """Make the key after those in ``rows``; it signs when the last of them retires, or at once.

    ``rows`` are those that the decision to make one was taken from: who decides on the same rows goes for
    the same place in the sequence, and one gets it.
    """
    own, now, pair = [key for key in rows if key.algorithm == algorithm], timezone.now(), _new_pair(algorithm)
    activates = max([now, *(key.retires_at for key in own if key.is_kept)])
    key = SigningKey(
        kid=pair.kid,
        algorithm=algorithm.value,
        sequence=max([0, *(key.sequence for key in own)]) + 1,
        private_jwk=encryption.encrypt(pair.private_jwk.encode(), SigningKey.context(pair.kid)),
        public_jwk=pair.public_jwk,
        announced_at=now,
        activates_at=activates,
        retires_at=activates + options().key_signing_period,
        longest_lifetime=_longest_lifetime(),
    )
    SigningKey.objects.bulk_create([key], ignore_conflicts=True)
    logger.info("A %s key is announced, which signs from %s.", algorithm, activates.isoformat())


def _new_pair(algorithm: Algorithm) -> jose.NewKey:
    """A key pair with a kid that no command line takes for an option."""
    pair = jose.generate(algorithm)
    return _new_pair(algorithm) if pair.kid.startswith("-") else pair


def provide(algorithm: Algorithm) -> None:
    """Have a key sign now where none does: the one announced, or else a new one."""
    now, rows = timezone.now(), _rows(algorithm)
    coming = _coming(rows, now)
    if coming is None:
        announce(algorithm, rows)
    else:
        SigningKey.objects.filter(pk=coming.pk, activates_at__gt=now).update(activates_at=now)


def cover(algorithm: str, lifetime: int) -> None:
    """Record that keys of ``algorithm`` may sign tokens that are valid for ``lifetime`` seconds; only ever up."""
    SigningKey.objects.filter(
        algorithm=algorithm,
        retires_at__gt=timezone.now(),
        longest_lifetime__lt=lifetime,
        revoked_at=None,
        deleted_at=None,
    ).update(longest_lifetime=lifetime)


# --- Taking over ------------------------------------------------------------------------------------------


def rotate(algorithm: Algorithm, *, soon: bool = False) -> SigningKey:
    """Have the next key take over, announced as long as ever or, ``soon``, as caches of the key set demand.

    Returns:
        The next key; its ``activates_at`` says when.
    """
    coming = _successor(algorithm)
    published_for = propagation() if soon else options().key_announcement
    _hand_over(coming, max(timezone.now(), coming.announced_at + published_for))
    return _told(coming, "rotated")


def retire(key: SigningKey) -> bool:
    """Stop signing with ``key`` now, and publish it on; another signs in its place. False where it does not sign."""
    if not key.signs_at(timezone.now()):
        return False
    return _withdraw(key, "retired", retires_at=timezone.now())


def revoke(key: SigningKey) -> bool:
    """Take a compromised key out of the key set and out of use; what it signed is refused. False where it was before.

    Other nodes follow within ``configuration_cache_seconds``.
    """
    if key.revoked_at is not None:
        return False
    now = timezone.now()
    return _withdraw(key, "revoked", revoked_at=now, retires_at=min(now, key.retires_at), private_jwk="")


def effect_of_revoking(key: SigningKey) -> list[str]:
    """What happens when ``key`` is revoked, in sentences for whoever decides it."""
    chosen = {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "here": options().configuration_cache_seconds,
        "elsewhere": document_max_age(),
        "lifetime": timedelta(seconds=key.longest_lifetime),
    }
    return [
        _("Every token that %(kid)s (%(algorithm)s) signed is refused here, on every node within %(here)d seconds.")
        % chosen,
        _("APIs and clients that verify for themselves refuse them, too, once they fetch the key set again.") % chosen,
        _("They may keep it for %(elsewhere)d seconds; the tokens are valid for at most %(lifetime)s.") % chosen,
        _("Clients get new tokens by their refresh tokens; people need not sign in again."),
        _("The private half is erased, which cannot be undone. Where it signs now, another key takes its place."),
    ]


def delete_due() -> int:
    """Erase the private half of every key that no live token can need, and say how many there were.

    The row stays: its place in the sequence is taken, and its public half may verify an id_token_hint.
    """
    now = timezone.now()
    rows = SigningKey.objects.filter(deleted_at=None, revoked_at=None, retires_at__lt=now)
    return sum(_delete(key, now) for key in rows if key.needed_until <= now)


def _delete(key: SigningKey, now: datetime) -> int:
    """Conditional on what the decision was taken from."""
    same = SigningKey.objects.filter(
        pk=key.pk, deleted_at=None, retires_at=key.retires_at, longest_lifetime=key.longest_lifetime
    )
    deleted = same.update(deleted_at=now, private_jwk="")
    if deleted:
        _told(key, "deleted")
    return deleted


def _withdraw(key: SigningKey, change: str, **values: object) -> bool:
    """Change ``key`` so that it signs no more, and let another sign where it did, in one transaction."""
    coming = _stand_in(key)
    with transaction.atomic(using=router.db_for_write(SigningKey)):
        withdrawn = SigningKey.objects.filter(pk=key.pk, revoked_at=None, deleted_at=None).update(**values)
        if withdrawn and coming is not None:
            _hand_over(coming, timezone.now())
    if withdrawn:
        _told(key, change)
    return bool(withdrawn)


def _stand_in(key: SigningKey) -> SigningKey | None:
    """The key that must sign in the place of ``key``, made where there is none; nothing where another signs.

    Every look decides anew: another node may have handed over since the last one.
    """
    for _attempt in range(_TRIES):
        now, rows = timezone.now(), _rows(Algorithm(key.algorithm))
        if not key.signs_at(now) or any(other.signs_at(now) for other in rows if other.pk != key.pk):
            return None
        coming = _coming(rows, now)
        if coming is not None:
            return coming
        announce(Algorithm(key.algorithm), rows)
    raise RuntimeError(f"The next {key.algorithm} key could not be made.")  # pragma: no cover


def _hand_over(coming: SigningKey, moment: datetime) -> None:
    """``coming`` signs from ``moment`` on, unless it does so earlier, and those before it no longer."""
    with transaction.atomic(using=router.db_for_write(SigningKey)):
        later = SigningKey.objects.filter(pk=coming.pk, activates_at__gt=moment, revoked_at=None)
        later.update(activates_at=moment, retires_at=moment + options().key_signing_period)
        before = SigningKey.objects.filter(algorithm=coming.algorithm, sequence__lt=coming.sequence)
        before.filter(revoked_at=None, deleted_at=None, retires_at__gt=moment).update(retires_at=moment)


def _successor(algorithm: Algorithm) -> SigningKey:
    """The key that signs next, made where there is none."""
    for _attempt in range(_TRIES):
        rows = _rows(algorithm)
        coming = _coming(rows, timezone.now())
        if coming is not None:
            return coming
        announce(algorithm, rows)
        if not any(key.signs_at(timezone.now()) for key in rows):  # the new one signs at once
            return SigningKey.objects.filter(algorithm=algorithm).latest("sequence")
    raise RuntimeError(f"The next {algorithm} key could not be made.")  # pragma: no cover


def _coming(rows: Iterable[SigningKey], now: datetime) -> SigningKey | None:
    """The first of the announced keys in ``rows``."""
    announced = [key for key in rows if key.is_kept and key.activates_at > now]
    return min(announced, key=lambda key: (key.activates_at, key.sequence), default=None)


def _rows(algorithm: Algorithm) -> list[SigningKey]:
    """Every key of the algorithm there ever was: a place in the sequence that was taken stays taken."""
    return list(SigningKey.objects.filter(algorithm=algorithm))


def _longest_lifetime() -> int:
    """Seconds that the longest-lived token is valid, by the options and clients of now."""
    longest = Client.objects.aggregate(Max("access_token_lifetime"), Max("identity_token_lifetime"))
    chosen = (options().access_token_lifetime, options().identity_token_lifetime)
    return max(*(int(lifetime.total_seconds()) for lifetime in chosen), *(own or 0 for own in longest.values()))


def _is_registered(algorithm: str) -> bool:
    """Whether a client or an API asks for signatures of the algorithm."""
    if any(Client.objects.filter(**{field: algorithm}).exists() for field in _REGISTERED):
        return True
    lists = ApiResource.objects.values_list("allowed_access_token_signing_algorithms", flat=True)
    return any(algorithm in names for names in lists)


def _told(key: SigningKey, change: str) -> SigningKey:
    """Have what was cached forgotten, and receivers hear of it; the row as it is now."""
    forget_on_commit()
    key.refresh_from_db()
    signals.signing_key_changed.send(sender=SigningKey, key=key, change=change)
    return key

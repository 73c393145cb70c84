"""``python -m tests.soak.key_rotation``: tokens are verified while keys change, and not one fails (security.md).

Four workers start at once on an empty ring; then 50 requests a second get an access token and an ID token each. A
relying party verifies both by the key set, which it keeps as long as Cache-Control says, and shows the access token to
whichever worker answers next. Meanwhile the next key takes over in its time, by command, and in place of a retired one.
"""

import argparse
import http.client
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from jwcrypto.common import JWException
from jwcrypto.jwk import JWKSet
from jwcrypto.jws import JWS

from tests.soak import site

WORKERS = 4
RATE = 50
JWKS = "/.well-known/openid-configuration/jwks"

#: The shortest periods that the checks take: everybody may keep the key set for 60 seconds.
OPTIONS = {"configuration_cache_seconds": 2, "key_announcement": 70, "key_signing_period": 120}
#: Seconds from a rotation by command until the key signs: memory, Cache-Control and 5 more.
HAND_OVER = 67


@dataclass
class Tally:
    """What a phase came to."""

    requests: int = 0
    kids: Counter[str] = field(default_factory=Counter)
    unfamiliar: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Unanswered(Exception):
    """The machine was too busy, which says nothing about keys."""


class KeySet:
    """The key set as a careful relying party has it: kept for its max-age, and asked for again for an unknown kid."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lock = threading.Lock()
        self.keys, self.until = JWKSet(), 0.0

    def verified(self, token: str, tally: Tally) -> None:
        """Verify, and count where the key was unfamiliar."""
        kid = _header(token)["kid"]
        key = self._fetched(again=False).get_key(kid)
        if key is None:
            tally.unfamiliar += 1
            key = self._fetched(again=True).get_key(kid)
        tally.kids[f"{_header(token)['alg']} {kid[:6]}"] += 1
        parsed = JWS()
        parsed.allowed_algs = ["ES256", "RS256"]
        parsed.deserialize(token)
        parsed.verify(key)

    def _fetched(self, *, again: bool) -> JWKSet:
        with self.lock:
            if again or time.monotonic() >= self.until:
                _, headers, body = site.request(self.port, "GET", JWKS)
                seconds = int(headers["cache-control"].rpartition("max-age=")[2])
                self.keys, self.until = JWKSet.from_json(body), time.monotonic() + seconds
            return self.keys


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60, help="of load in each phase")
    seconds = parser.parse_args().seconds
    port = site.set_up(**OPTIONS)
    with site.provider(port, workers=WORKERS):
        started = time.monotonic()
        start_together(port)
        tokens = clients_and_tokens()
        relying_party = KeySet(port)
        wait_until(started + OPTIONS["key_signing_period"] - seconds / 2, "the first keys are about to retire")
        phase("the next keys take over in their time", port, relying_party, tokens, seconds)
        print(run_command("rotate", "--now"))
        wait_until(time.monotonic() + HAND_OVER - seconds / 2, "the rotated keys are about to take over")
        phase("rotated by command", port, relying_party, tokens, seconds)
        retiring = threading.Timer(seconds / 6, lambda: print(retire_all()))
        retiring.start()
        phase("retired by command, without notice", port, relying_party, tokens, seconds)
        retiring.join()
    show_keys()


def start_together(port: int) -> None:
    """Every worker needs its first keys at the same moment."""
    with ThreadPoolExecutor(4 * WORKERS) as pool:
        answers = list(pool.map(lambda _: site.request(port, "GET", JWKS, patience=120)[2], range(4 * WORKERS)))
    kids = {tuple(sorted(key["kid"] for key in json.loads(answer)["keys"])) for answer in answers}
    from identityserver.models import SigningKey

    print(f"{WORKERS} workers asked at once: {SigningKey.objects.count()} keys, {len(kids)} different answers")
    assert SigningKey.objects.count() == 2
    assert len(kids) == 1


def clients_and_tokens() -> list[dict[str, str]]:
    """Token requests of a client that uses its refresh tokens again and again."""
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from identityserver.digests import digest, new_handle
    from identityserver.models import Grant, RefreshToken, Subject
    from identityserver.testing import RelyingParty

    client = RelyingParty(scopes="openid offline_access", refresh_token_usage="reuse")
    asked, expires = [], timezone.now() + timedelta(days=1)
    for number in range(32):
        user = get_user_model().objects.create(username=f"user{number}")
        grant = Grant.objects.create(
            client=client.row,
            user=user,
            subject=Subject.objects.of(user),
            kind="authorization_code",
            scopes=["openid", "offline_access"],
            auth_time=timezone.now(),
            expires=expires,
        )
        value = new_handle()
        RefreshToken.objects.create(grant=grant, digest=digest(value), expires=expires)
        form = {"grant_type": "refresh_token", "refresh_token": value}
        asked.append({**form, "client_id": client.client_id, "client_secret": client.secret})
    return asked


def phase(name: str, port: int, relying_party: KeySet, tokens: list[dict[str, str]], seconds: int) -> None:
    """``RATE`` exchanges a second, every one of them verified in both ways."""
    tally, begun = Tally(), time.monotonic()

    def one(number: int) -> None:
        time.sleep(max(0.0, begun + number / RATE - time.monotonic()))
        if time.monotonic() > begun + seconds + 1:
            return  # the machine cannot keep up, which the rate that is printed says
        try:
            exchange(port, relying_party, tokens[number % len(tokens)], tally)
        except Unanswered as error:
            tally.unanswered[str(error)] += 1
        except (OSError, http.client.HTTPException) as error:
            tally.unanswered[type(error).__name__] += 1
        except (KeyError, ValueError, AssertionError, JWException) as error:
            tally.failures.append(f"{time.monotonic() - begun:.1f} s: {error!r}")

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(one, range(RATE * seconds)))
    rate = tally.requests / (time.monotonic() - begun)
    print(f"{name}: {tally.requests} exchanges, {rate:.0f} a second, {len(tally.failures)} verification failures")
    print(f"  keys: {dict(tally.kids)}; unfamiliar at first sight: {tally.unfamiliar}")
    print(f"  not answered, for want of time: {dict(tally.unanswered)}", flush=True)
    for failure in tally.failures[:5]:
        print(f"  {failure}")


def exchange(port: int, relying_party: KeySet, form: dict[str, str], tally: Tally) -> None:
    """Get tokens, verify them here, and have another worker verify the access token."""
    tally.requests += 1
    status, members = site.post(port, "/connect/token", **form)
    if status == 503:
        raise Unanswered("503 from the token endpoint")
    assert status == 200, (status, members)
    relying_party.verified(str(members["access_token"]), tally)
    relying_party.verified(str(members["id_token"]), tally)
    headers = {"Authorization": f"Bearer {members['access_token']}"}
    status, _, body = site.request(port, "GET", "/connect/userinfo", headers=headers)
    if status == 503:
        raise Unanswered("503 from userinfo")
    assert status == 200, (status, body)


def run_command(*arguments: str) -> str:
    """``identityserver_keys`` as whoever runs the site would call it."""
    process = site.manage("identityserver_keys", *arguments)
    return process.communicate(timeout=60)[0].strip()


def retire_all() -> str:
    """Retire every key that signs."""
    keys = json.loads(run_command("list", "--json"))
    return "\n".join(run_command("retire", key["kid"]) for key in keys if key["state"] == "signing")


def show_keys() -> None:
    print(run_command("list"))


def wait_until(moment: float, why: str) -> None:
    print(f"{max(0.0, moment - time.monotonic()):.0f} s until {why}", flush=True)
    time.sleep(max(0.0, moment - time.monotonic()))


def _header(token: str) -> dict[str, str]:
    parsed = JWS()
    parsed.deserialize(token)
    return dict(parsed.jose_header)


if __name__ == "__main__":
    main()

"""The pages of signing keys: states, and rotate, retire and revoke after a word of warning (pages.md, admin 8)."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.urls import reverse

from identityserver import caching
from identityserver.models import SigningKey
from identityserver.tokens.keys import key_ring, signer
from tests.admin.forms import Form, posted
from tests.speaking import ISSUER

pytestmark = pytest.mark.django_db

LIST = "admin:identityserver_signingkey_changelist"


@pytest.fixture(autouse=True)
def ring(settings, clock):
    settings.IDENTITYSERVER = {"issuer": ISSUER, "id_token_signing_algorithm": "ES256"}
    return key_ring()


def ask(http, action: str, *keys):
    chosen = [key.pk for key in keys or SigningKey.objects.all()]
    return http.post(reverse(LIST), {"action": action, "_selected_action": chosen}, follow=True)


def confirm(http, page, **changes):
    return http.post(reverse(LIST), posted(page, **changes), follow=True)


def test_states_are_shown_with_their_dates(administrator, clock):
    def shown() -> str:
        administrator.force_login(get_user_model().objects.get())  # the session does not last for months
        return administrator.get(reverse(LIST)).content.decode()

    signer("EdDSA")
    clock.moment += timedelta(days=80)
    key_ring()
    assert "signing" in shown()
    assert "announced" in shown()
    clock.moment += timedelta(days=11)
    assert "retired, published" in shown()
    clock.moment += timedelta(days=15)
    assert "due for deletion" in shown()


@pytest.mark.parametrize(("action", "days"), [("rotate", 14), ("rotate_soon", 1)])
def test_the_next_key_takes_over(administrator, clock, action, days):
    first = SigningKey.objects.get()
    page = ask(administrator, action)
    assert "Tokens that were signed before stay good." in page.content.decode()
    assert SigningKey.objects.count() == 1
    said = confirm(administrator, page).content.decode()
    coming = SigningKey.objects.get(sequence=2)
    assert coming.kid in said
    clock.moment += timedelta(days=days)
    caching.forget()
    assert signer("ES256").kid == coming.kid != first.kid
    assert LogEntry.objects.get().object_id == str(coming.pk)


def test_retiring(administrator):
    first = SigningKey.objects.get()
    page = ask(administrator, "retire")
    assert signer("ES256").kid == first.kid
    assert "signs no more" in confirm(administrator, page).content.decode()
    caching.forget()
    assert signer("ES256").kid != first.kid
    again = confirm(administrator, ask(administrator, "retire", first)).content.decode()
    assert "does not sign" in again


class TestRevoking:
    def test_it_is_asked_for_twice_and_says_what_follows(self, administrator):
        first = SigningKey.objects.get()
        page = ask(administrator, "revoke")
        assert "refused here" in page.content.decode()
        assert "beginning" in Form(page.content.decode()).names
        for typed in ("", "wrong", first.kid[:7]):
            page = confirm(administrator, page, beginning=typed)
            assert "Nothing was changed." in page.content.decode()
            assert SigningKey.objects.get().revoked_at is None
        assert "is revoked" in confirm(administrator, page, beginning=first.kid[:8]).content.decode()
        first.refresh_from_db()
        assert first.revoked_at is not None
        caching.forget()
        assert signer("ES256").kid != first.kid
        assert "revoked" in administrator.get(reverse(LIST)).content.decode()

    def test_one_at_a_time(self, administrator):
        signer("EdDSA")
        assert "one key at a time" in ask(administrator, "revoke").content.decode()


@pytest.mark.parametrize("action", ["rotate", "rotate_soon", "retire", "revoke"])
def test_only_who_may_change_keys_may_do_any_of_it(staff, action):
    kid = SigningKey.objects.get().kid
    fields = {"action": action, "_selected_action": [SigningKey.objects.get().pk], "confirmed": "yes"}
    staff("view_signingkey").post(reverse(LIST), {**fields, "beginning": kid[:8]}, follow=True)
    key = SigningKey.objects.get()
    assert (key.revoked_at, key.signs_at(key.activates_at)) == (None, True)
    assert key.retires_at - key.activates_at == timedelta(days=90)


def test_nobody_adds_edits_or_deletes(administrator):
    key = SigningKey.objects.get()
    assert administrator.get(reverse("admin:identityserver_signingkey_add")).status_code == 403
    for view in ("change", "delete"):
        url = reverse(f"admin:identityserver_signingkey_{view}", args=[key.pk])
        assert administrator.post(url, {"post": "yes", "algorithm": "RS256"}).status_code == 403

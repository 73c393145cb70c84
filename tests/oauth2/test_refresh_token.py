"""Refreshing: RFC 6749 §6, RFC 9700 §4.14.2, OpenID Connect Core §12."""

import pytest

from identityserver.models import Event, Grant, RefreshToken
from tests.speaking import ISSUER

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(relying_party, api):
    """A confidential client whose refresh tokens are used once."""
    return relying_party(scopes="openid profile notes.read notes.write offline_access", refresh_token_usage="one_time")


@pytest.fixture
def reusing(relying_party):
    """A confidential client that keeps its refresh token."""
    return relying_party(scopes="openid profile offline_access", refresh_token_usage="reuse")


def signed_in(person, client, **changes):
    """The first tokens of ``client``."""
    return client.redeem(person.browser.authorize(client, **changes).code).succeeds()


class TestRefreshing:
    """RFC 6749 §6."""

    def test_a_refresh_gives_new_tokens(self, alice, client):
        first = signed_in(alice, client)
        second = client.refresh(first.refresh_token).succeeds()
        assert second.access_token != first.access_token
        assert second.refresh_token not in ("", first.refresh_token)
        assert second.members["scope"] == first.members["scope"]
        assert client.userinfo(second.access_token).status_code == 200

    def test_the_id_token_keeps_who_where_and_when(self, clock, alice, client):
        """OpenID Connect Core §12.2: iss, sub, aud and auth_time stay; iat is new; no nonce is needed."""
        first = signed_in(alice, client)
        clock.forward(minutes=10)
        second = client.refresh(first.refresh_token)
        for name in ("iss", "sub", "aud", "auth_time", "sid", "amr"):
            assert second.id_token[name] == first.id_token[name]
        assert second.id_token["iat"] == first.id_token["iat"] + 600

    def test_a_token_of_another_client_is_refused_and_stays_good(self, alice, client, relying_party):
        first = signed_in(alice, client)
        other = relying_party(scopes="openid offline_access")
        other.refresh(first.refresh_token).fails_with("invalid_grant")
        client.refresh(first.refresh_token).succeeds()

    def test_a_public_client_refreshes_by_its_client_id(self, alice, relying_party):
        app = relying_party(scopes="openid offline_access", token_endpoint_auth_method="none")
        app.refresh(signed_in(alice, app).refresh_token).succeeds()

    @pytest.mark.parametrize("token", ["x", "x" * 43, "é", "x" * 2000])
    def test_an_unknown_token_is_refused(self, client, token):
        client.refresh(token).fails_with("invalid_grant")

    def test_an_access_token_is_no_refresh_token(self, alice, client):
        client.refresh(signed_in(alice, client).access_token).fails_with("invalid_grant")

    def test_a_code_is_no_refresh_token(self, alice, client):
        client.refresh(alice.browser.authorize(client).code).fails_with("invalid_grant")


class TestScope:
    """RFC 6749 §6: narrower, or the same; never wider."""

    def test_it_may_be_narrowed_for_one_access_token(self, alice, client):
        first = signed_in(alice, client)
        narrow = client.refresh(first.refresh_token, scope="openid notes.read").succeeds()
        assert narrow.members["scope"] == "openid notes.read"
        again = client.refresh(narrow.refresh_token).succeeds()
        assert again.members["scope"] == first.members["scope"]

    def test_without_openid_there_is_no_id_token(self, alice, client):
        narrow = client.refresh(signed_in(alice, client).refresh_token, scope="notes.read").succeeds()
        assert "id_token" not in narrow.members

    @pytest.mark.parametrize("scope", ["openid notes.write", "openid email", "unknown"])
    def test_it_is_never_widened(self, alice, client, scope):
        first = signed_in(alice, client, scope="openid notes.read offline_access")
        client.refresh(first.refresh_token, scope=scope).fails_with("invalid_scope")

    def test_a_refused_scope_does_not_consume_the_token(self, alice, client):
        first = signed_in(alice, client)
        client.refresh(first.refresh_token, scope="email").fails_with("invalid_scope")
        assert RefreshToken.objects.get().consumed_at is None
        client.refresh(first.refresh_token).succeeds()

    def test_a_scope_taken_from_the_client_since_is_left_out(self, alice, api, client):
        first = signed_in(alice, client)
        client.row.api_scopes.remove(api.api_scopes.get(name="notes.write"))
        second = client.refresh(first.refresh_token).succeeds()
        assert second.members["scope"] == "openid profile notes.read offline_access"

    def test_a_scope_granted_with_a_resource_may_be_left_out(self, alice, client):
        """The audience goes with the scope; nothing else becomes the audience in its place."""
        first = signed_in(alice, client, resource="https://api.example")
        assert first.access_token_claims["aud"] == "https://api.example"
        narrow = client.refresh(first.refresh_token, scope="openid").succeeds()
        assert narrow.access_token_claims["aud"] == ISSUER


class TestRotation:
    """RFC 9700 §4.14.2: a one-time token is replaced by each use."""

    def test_public_clients_rotate_by_default_and_confidential_ones_do_not(self, alice, relying_party):
        for method, rotates in (("none", True), ("client_secret_basic", False)):
            party = relying_party(scopes="openid offline_access", token_endpoint_auth_method=method)
            refreshed = party.refresh(signed_in(alice, party).refresh_token).succeeds()
            assert bool(refreshed.refresh_token) == rotates

    def test_a_family_goes_on(self, clock, alice, client):
        token = signed_in(alice, client).refresh_token
        for _ in range(5):
            clock.forward(hours=1)
            token = client.refresh(token).succeeds().refresh_token
        assert Grant.objects.count() == 1

    def test_a_retry_within_ten_seconds_gets_a_sibling(self, clock, alice, client):
        """The answer may have been lost on the way."""
        first = signed_in(alice, client)
        second = client.refresh(first.refresh_token).succeeds()
        clock.forward(seconds=10)
        retried = client.refresh(first.refresh_token).succeeds()
        assert retried.refresh_token != second.refresh_token
        assert RefreshToken.objects.filter(generation=1).count() == 2

    def test_a_later_use_is_a_replay(self, clock, alice, client):
        first = signed_in(alice, client)
        second = client.refresh(first.refresh_token).succeeds()
        clock.forward(seconds=11)
        client.refresh(first.refresh_token).fails_with("invalid_grant")
        client.refresh(second.refresh_token).fails_with("invalid_grant")
        assert client.userinfo(second.access_token).status_code == 401

    def test_a_replay_is_reported_without_a_secret(self, clock, alice, client):
        first = signed_in(alice, client)
        client.refresh(first.refresh_token)
        clock.forward(seconds=11)
        client.refresh(first.refresh_token)
        event = Event.objects.get(type="refresh_token_replayed")
        assert event.client == client.client_id
        assert first.refresh_token not in repr(vars(event))

    def test_no_sibling_once_a_child_has_been_used(self, alice, client):
        """Then the answer had arrived, and whoever retries is somebody else."""
        first = signed_in(alice, client)
        second = client.refresh(first.refresh_token).succeeds()
        third = client.refresh(second.refresh_token).succeeds()
        client.refresh(first.refresh_token).fails_with("invalid_grant")
        client.refresh(third.refresh_token).fails_with("invalid_grant")

    def test_the_first_use_of_one_sibling_consumes_the_others(self, alice, client):
        first = signed_in(alice, client)
        one, other = (client.refresh(first.refresh_token).succeeds() for _ in range(2))
        third = client.refresh(one.refresh_token).succeeds()
        client.refresh(other.refresh_token).fails_with("invalid_grant")
        client.refresh(third.refresh_token).fails_with("invalid_grant")

    def test_the_window_may_be_closed(self, settings, clock, alice, client):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "refresh_token_retry_window": 0}
        first = signed_in(alice, client)
        client.refresh(first.refresh_token).succeeds()
        clock.forward(seconds=1)
        client.refresh(first.refresh_token).fails_with("invalid_grant")

    def test_the_replay_of_another_client_revokes_nothing(self, clock, alice, client, relying_party):
        first = signed_in(alice, client)
        second = client.refresh(first.refresh_token).succeeds()
        clock.forward(seconds=11)
        other = relying_party(scopes="openid offline_access", refresh_token_usage="one_time")
        other.refresh(first.refresh_token).fails_with("invalid_grant")
        client.refresh(second.refresh_token).succeeds()


class TestReuse:
    """RFC 9700 §4.14.2: a confidential client may keep its token."""

    def test_it_works_again_and_again(self, clock, alice, reusing):
        token = signed_in(alice, reusing).refresh_token
        for _ in range(3):
            clock.forward(hours=1)
            answer = reusing.refresh(token).succeeds()
            assert answer.refresh_token == ""
        assert RefreshToken.objects.count() == 1

    def test_a_consumed_token_stays_consumed_when_a_client_changes_to_reuse(self, alice, client):
        first = signed_in(alice, client)
        client.refresh(first.refresh_token).succeeds()
        type(client.row).objects.update(refresh_token_usage="reuse")
        client.refresh(first.refresh_token).fails_with("invalid_grant")


class TestLifetime:
    """RFC 9700 §4.14.2: unused for too long, or simply too old."""

    def test_unused_for_fifteen_days(self, clock, alice, client):
        token = signed_in(alice, client).refresh_token
        clock.forward(days=15)
        client.refresh(token).fails_with("invalid_grant")

    @pytest.mark.parametrize("usage", ["one_time", "reuse"])
    def test_use_prolongs_it_up_to_thirty_days(self, clock, alice, relying_party, usage):
        party = relying_party(scopes="openid offline_access", refresh_token_usage=usage)
        token = signed_in(alice, party).refresh_token
        for days in (14, 14):
            clock.forward(days=days)
            token = party.refresh(token).succeeds().refresh_token or token
        clock.forward(days=2)
        party.refresh(token).fails_with("invalid_grant")

    def test_absolute_means_that_use_prolongs_nothing(self, clock, alice, relying_party):
        party = relying_party(
            scopes="openid offline_access",
            refresh_token_expiration="absolute",
            refresh_token_absolute_lifetime=3600,
        )
        token = signed_in(alice, party).refresh_token
        clock.forward(seconds=3599)
        party.refresh(token).succeeds()
        clock.forward(seconds=1)
        party.refresh(token).fails_with("invalid_grant")

    def test_limits_may_be_the_client_s_own(self, clock, alice, relying_party):
        party = relying_party(scopes="openid offline_access", refresh_token_sliding_lifetime=60)
        token = signed_in(alice, party).refresh_token
        clock.forward(seconds=60)
        party.refresh(token).fails_with("invalid_grant")

    def test_the_access_token_of_a_last_refresh_is_still_good(self, clock, alice, relying_party):
        """A grant ends with its last token, not with its last refresh token."""
        party = relying_party(
            scopes="openid offline_access", refresh_token_expiration="absolute", refresh_token_absolute_lifetime=3600
        )
        token = signed_in(alice, party).refresh_token
        clock.forward(seconds=3590)
        answer = party.refresh(token).succeeds()
        clock.forward(seconds=60)
        assert party.userinfo(answer.access_token).status_code == 200


class TestSince:
    """Client, user and session are looked at again, each time."""

    def test_a_disabled_client(self, alice, client):
        token = signed_in(alice, client).refresh_token
        type(client.row).objects.update(enabled=False)
        assert "access_token" not in client.refresh(token).members

    def test_a_disabled_user(self, alice, client):
        token = signed_in(alice, client).refresh_token
        type(alice.user).objects.update(is_active=False)
        client.refresh(token).fails_with("invalid_grant")

    def test_a_deleted_user(self, alice, client):
        token = signed_in(alice, client).refresh_token
        alice.user.delete()
        client.refresh(token).fails_with("invalid_grant")

    def test_a_changed_password(self, alice, client):
        token = signed_in(alice, client).refresh_token
        alice.user.set_password("another one")
        alice.user.save()
        client.refresh(token).fails_with("invalid_grant")

    def test_a_revoked_grant(self, alice, client):
        token = signed_in(alice, client).refresh_token
        Grant.objects.get().revoke("by an administrator")
        client.refresh(token).fails_with("invalid_grant")

    def test_the_refresh_grant_taken_from_the_client(self, alice, client):
        token = signed_in(alice, client).refresh_token
        type(client.row).objects.update(allowed_grant_types=["authorization_code"], allow_offline_access=False)
        client.refresh(token).fails_with("unauthorized_client")

    def test_signing_out_leaves_offline_access_alone(self, alice, client):
        """OpenID Connect Core §11: it is for when the user is not present."""
        token = signed_in(alice, client).refresh_token
        alice.browser.sign_out()
        client.refresh(token).succeeds()

    @pytest.mark.parametrize("usage", ["one_time", "reuse"])
    def test_signing_out_ends_it_where_lifetimes_are_coordinated(self, alice, relying_party, usage):
        party = relying_party(
            scopes="openid offline_access", coordinate_lifetime_with_user_session=True, refresh_token_usage=usage
        )
        token = signed_in(alice, party).refresh_token
        party_token = party.refresh(token).succeeds().refresh_token or token
        alice.browser.sign_out()
        party.refresh(party_token).fails_with("invalid_grant")

    def test_the_server_may_coordinate_and_a_client_may_not(self, settings, alice, relying_party):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "coordinate_lifetime_with_user_session": True}
        parties = {
            choice: relying_party(scopes="openid offline_access", coordinate_lifetime_with_user_session=choice)
            for choice in (None, False)
        }
        tokens = {choice: signed_in(alice, party).refresh_token for choice, party in parties.items()}
        alice.browser.sign_out()
        parties[None].refresh(tokens[None]).fails_with("invalid_grant")
        parties[False].refresh(tokens[False]).succeeds()

    def test_an_expired_session_counts_as_signed_out(self, clock, alice, relying_party):
        party = relying_party(scopes="openid offline_access", coordinate_lifetime_with_user_session=True)
        token = signed_in(alice, party).refresh_token
        clock.forward(days=14, minutes=5)
        party.refresh(token).fails_with("invalid_grant")

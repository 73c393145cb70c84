"""Assertions of trusted issuers for access tokens: RFC 7523 §2.1, RFC 7521 §4.1."""

import json
import secrets
from collections import Counter

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from identityserver import jose
from identityserver.models import (
    ApiResource,
    ApiScope,
    Event,
    Grant,
    ReferenceToken,
    Subject,
    TrustedIssuer,
    UsedIdentifier,
)
from identityserver.testing.assertions import authenticated, encoded, signed
from identityserver.vocabulary import Algorithm
from tests.attacks.servers import Authority, Server, answer
from tests.oauth2.test_code_exchange_atomicity import parallel
from tests.speaking import ISSUER, stored_rows

pytestmark = pytest.mark.django_db

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PARTNER = "https://partner.example"


@pytest.fixture(autouse=True)
def turned_on(settings):
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "optional_grant_types": [JWT_BEARER]}


@pytest.fixture(scope="module")
def key():
    return jose.generate(Algorithm.ES256)


@pytest.fixture
def partner(api, key):
    """An issuer whose assertions name users by user name, for one scope."""
    return trusted(key)


def trusted(*keys, scopes=("notes.read",), **fields):
    given = {"issuer": PARTNER, "algorithms": ["ES256"], "subject_mapping": "username", **fields}
    if "jwks_uri" not in given:
        given["jwks"] = {"keys": [key.public_jwk for key in keys]}
    row = TrustedIssuer(**given)
    row.full_clean()
    row.save()
    row.api_scopes.set(ApiScope.objects.filter(name__in=scopes))
    return row


@pytest.fixture
def machine(relying_party, api):
    """A client that presents assertions."""
    return relying_party(scopes="openid notes.read notes.write", allowed_grant_types=[JWT_BEARER], redirect_uris=[])


@pytest.fixture
def bob(person):
    """Somebody who is not even signed in."""
    return person("bob", email="bob@example.com").user


def claims(**changes):
    now = int(timezone.now().timestamp())
    said = {"iss": PARTNER, "sub": "bob", "aud": ISSUER, "jti": secrets.token_urlsafe(8), "iat": now, "exp": now + 60}
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def present(client, assertion, **more):
    return client.token(grant_type=JWT_BEARER, assertion=assertion, **more)


class TestResponse:
    """§2.1, RFC 6749 §5.1."""

    def test_there_is_an_access_token_and_nothing_else(self, partner, machine, bob, key):
        response = present(machine, signed(claims(), key)).succeeds()
        assert response.members.keys() == {"access_token", "token_type", "expires_in", "scope"}
        said = response.access_token_claims
        assert said["sub"] == Subject.objects.of(bob)
        assert (said["client_id"], said["aud"], said["scope"]) == (
            machine.client_id,
            "https://api.example",
            "notes.read",
        )
        assert not {"auth_time", "amr", "acr", "sid"} & said.keys()

    def test_it_can_be_revoked_by_its_grant(self, partner, machine, bob, key):
        present(machine, signed(claims(), key)).succeeds()
        grant = Grant.objects.get()
        assert (grant.kind, grant.user, grant.session, grant.scopes) == (JWT_BEARER, bob, None, ["notes.read"])
        assert grant.expires - grant.created == machine.row.lifetime("access_token_lifetime")

    def test_a_client_may_get_reference_tokens(self, partner, relying_party, bob, key):
        client = relying_party(
            scopes="notes.read", allowed_grant_types=[JWT_BEARER], redirect_uris=[], access_token_type="reference"
        )
        present(client, signed(claims(), key)).succeeds()
        assert ReferenceToken.objects.get().grant == Grant.objects.get()

    def test_a_public_client_proves_nothing_and_the_assertion_all(self, partner, relying_party, bob, key):
        """RFC 7523 §2.1: authenticating the client is optional; it needs the grant type all the same."""
        client = relying_party(
            scopes="notes.read", allowed_grant_types=[JWT_BEARER], redirect_uris=[], token_endpoint_auth_method="none"
        )
        present(client, signed(claims(), key)).succeeds()


class TestOptIn:
    def test_it_is_off_unless_the_site_turns_it_on(self, settings, partner, machine, bob, key, client):
        settings.IDENTITYSERVER = {"issuer": ISSUER}
        present(machine, signed(claims(), key)).fails_with("unsupported_grant_type")
        assert JWT_BEARER not in client.get("/.well-known/openid-configuration").json()["grant_types_supported"]

    def test_discovery_tells_of_it(self, client, signing_keys):
        assert JWT_BEARER in client.get("/.well-known/openid-configuration").json()["grant_types_supported"]

    def test_the_client_needs_the_grant_type(self, partner, relying_party, bob, key):
        client = relying_party(scopes="notes.read")
        present(client, signed(claims(), key)).fails_with("unauthorized_client")


class TestScope:
    """What was asked for, and the client, the issuer and the user may have."""

    def test_without_a_scope_it_is_all_that_everybody_agrees_on(self, partner, machine, bob, key):
        assert present(machine, signed(claims(), key)).succeeds().members["scope"] == "notes.read"

    def test_what_the_issuer_is_not_good_for_is_left_out(self, partner, machine, bob, key):
        response = present(machine, signed(claims(), key), scope="notes.read notes.write").succeeds()
        assert response.members["scope"] == "notes.read"
        present(machine, signed(claims(), key), scope="notes.write").fails_with("invalid_scope")

    @pytest.mark.parametrize("scope", ["unknown", "notes.read unknown", "email"])
    def test_what_the_client_may_not_have_is_refused(self, partner, machine, bob, key, scope):
        present(machine, signed(claims(), key), scope=scope).fails_with("invalid_scope")

    @pytest.mark.parametrize("scope", ["openid", "openid notes.read", "offline_access notes.read"])
    def test_it_is_no_way_to_sign_in_or_to_stay(self, partner, relying_party, bob, key, scope):
        client = relying_party(
            scopes="openid offline_access notes.read",
            allowed_grant_types=[JWT_BEARER, "refresh_token"],
            redirect_uris=[],
        )
        present(client, signed(claims(), key), scope=scope).fails_with("invalid_scope")

    def test_an_issuer_is_good_for_nothing_by_itself(self, api, machine, bob, key):
        trusted(key, scopes=())
        present(machine, signed(claims(), key)).fails_with("invalid_scope")

    def test_the_user_must_hold_the_permission(self, partner, machine, bob, key):
        ApiScope.objects.filter(name="notes.read").update(requires_permission="auth.change_group")
        present(machine, signed(claims(), key)).fails_with("invalid_scope")
        bob.user_permissions.add(Permission.objects.get(codename="change_group"))
        present(machine, signed(claims(), key)).succeeds()

    def test_a_scope_with_a_value(self, partner, relying_party, bob, key):
        payment = ApiScope.objects.create(name="payment", parameterised=True)
        partner.api_scopes.add(payment)
        client = relying_party(scopes="payment", allowed_grant_types=[JWT_BEARER], redirect_uris=[])
        assert present(client, signed(claims(), key), scope="payment:7").succeeds().members["scope"] == "payment:7"

    def test_an_api_for_which_nothing_is_left_is_no_target(self, partner, machine, bob, key):
        """Or the token would be for whatever else there is."""
        other = ApiResource.objects.create(name="https://other.example")
        other.api_scopes.set(ApiScope.objects.filter(name="notes.write"))
        assertion = signed(claims(), key)
        present(machine, assertion, resource="https://other.example").fails_with("invalid_target")
        both = {"scope": "notes.read notes.write", "resource": "https://other.example"}
        present(machine, assertion, **both).fails_with("invalid_target")
        present(machine, assertion, resource="https://api.example").succeeds()


class TestClaims:
    """§3: who says what of whom to whom, and until when."""

    @pytest.mark.parametrize("audience", [ISSUER, f"{ISSUER}/connect/token", [ISSUER], ["https://x.example", ISSUER]])
    def test_it_is_for_the_issuer_or_the_token_endpoint(self, partner, machine, bob, key, audience):
        present(machine, signed(claims(aud=audience), key)).succeeds()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"aud": "https://other.example"},
            {"aud": f"{ISSUER}/"},
            {"aud": "http://other.example/connect/token"},
            {"aud": []},
            {"aud": [["x"]]},
            {"aud": {"x": ISSUER}},
            {"aud": None},
            {"iss": None},
            {"iss": "https://nobody.example"},
            {"iss": f"{PARTNER}/"},
            {"iss": f"{PARTNER}\0"},
            {"iss": [PARTNER]},
            {"sub": None},
            {"sub": ""},
            {"sub": "nobody"},
            {"sub": "BOB"},
            {"sub": "bob\0"},
            {"sub": 7},
            {"sub": "b" * 256},
            {"jti": None},
            {"jti": ""},
            {"jti": 7},
            {"exp": None},
            {"exp": "soon"},
            {"exp": True},
            {"exp": 0},
            {"exp": 1e308},
        ],
        ids=str,
    )
    def test_anything_else_is_refused(self, partner, machine, bob, key, wrong):
        before = stored_rows()
        present(machine, signed(claims(**wrong), key)).fails_with("invalid_grant")
        assert stored_rows() == before
        assert not UsedIdentifier.objects.exists()

    def test_it_expires_soon(self, clock, settings, partner, machine, bob, key):
        now = int(clock.now().timestamp())
        for seconds, good in ((0, False), (1, True), (300, True), (301, False)):
            response = present(machine, signed(claims(exp=now + seconds), key))
            assert (response.status == 200) == good, seconds
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "jwt_bearer_assertion_lifetime": 3600}
        present(machine, signed(claims(exp=now + 3600), key)).succeeds()

    @pytest.mark.parametrize("name", ["iat", "nbf"])
    def test_the_issuers_clock_may_be_a_little_ahead(self, clock, partner, machine, bob, key, name):
        now = int(clock.now().timestamp())
        present(machine, signed(claims(**{name: now + 10}), key)).succeeds()
        present(machine, signed(claims(**{name: now + 61}), key)).fails_with("invalid_grant")
        present(machine, signed(claims(**{name: "x"}), key)).fails_with("invalid_grant")

    @pytest.mark.parametrize("assertion", ["x", "a.b.c", "...", "é", f"{encoded({'alg': 'ES256'})}.e30.x"])
    def test_junk_is_refused(self, partner, machine, assertion):
        present(machine, assertion).fails_with("invalid_grant")

    def test_and_nothing_at_all(self, machine):
        machine.token(grant_type=JWT_BEARER).fails_with("invalid_request")


class TestSignature:
    """By a key of the issuer's and an algorithm that it is registered with."""

    def test_by_a_key_of_somebody_else(self, partner, machine, bob):
        present(machine, signed(claims(), jose.generate(Algorithm.ES256))).fails_with("invalid_grant")

    def test_by_another_issuers_key(self, partner, machine, bob, key):
        other = jose.generate(Algorithm.ES256)
        trusted(other, issuer="https://other.example")
        present(machine, signed(claims(), other)).fails_with("invalid_grant")
        present(machine, signed(claims(iss="https://other.example"), key)).fails_with("invalid_grant")

    def test_by_an_algorithm_that_is_not_registered(self, api, machine, bob, key):
        trusted(key, algorithms=["RS256"])
        present(machine, signed(claims(), key)).fails_with("invalid_grant")

    def test_by_none(self, partner, machine, bob):
        unsigned = f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(claims())}"
        for signature in ("", "x", "AAAA"):
            present(machine, f"{unsigned}.{signature}").fails_with("invalid_grant")

    def test_by_the_public_key_taken_for_a_secret(self, partner, machine, bob, key):
        forged = authenticated(claims(), json.dumps(key.public_jwk))
        present(machine, forged).fails_with("invalid_grant")

    def test_a_token_of_another_kind_is_no_assertion(self, partner, machine, bob, key):
        """RFC 8725 §3.11."""
        signer = jose.Signer(kid=key.kid, algorithm=Algorithm.ES256, private_jwk=key.private_jwk.encode())
        for kind in ("at+jwt", "logout+jwt", "token-introspection+jwt"):
            present(machine, signer.sign(claims(), typ=kind)).fails_with("invalid_grant")

    def test_our_own_tokens_are_none(self, partner, machine, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code)
        for token in (tokens.access_token, tokens.members["id_token"]):
            present(machine, token).fails_with("invalid_grant")

    def test_several_keys_stand_side_by_side(self, api, machine, bob, key):
        other = jose.generate(Algorithm.RS256)
        trusted(key, other, algorithms=["ES256", "RS256"])
        for one in (key, other):
            present(machine, signed(claims(), one)).succeeds()


class TestPublishedKeys:
    """``jwks_uri``: fetched when they are needed, and again for a key ID that is new."""

    @pytest.fixture
    def published(self, tmp_path, settings, monkeypatch, key):
        authority = Authority(tmp_path)
        keys = [key]
        server = Server(
            lambda send: send(answer(json.dumps({"keys": [one.public_jwk for one in keys]}).encode())),
            authority.issue("127.0.0.1"),
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        settings.IDENTITYSERVER = {
            **settings.IDENTITYSERVER,
            "outbound_private_hosts": ["127.0.0.1"],
            "outbound_ports": [server.port],
        }
        yield keys, server
        server.close()

    def test_from_the_issuers_own_address(self, clock, published, api, machine, bob, key):
        keys, server = published
        trusted(jwks_uri=f"https://127.0.0.1:{server.port}/jwks")
        present(machine, signed(claims(), key)).succeeds()
        keys[:] = [jose.generate(Algorithm.ES256)]
        clock.forward(minutes=1)
        present(machine, signed(claims(), keys[0])).succeeds()
        present(machine, signed(claims(), key)).fails_with("invalid_grant")
        assert len(server.requests) == 2

    def test_nothing_is_fetched_for_an_assertion_that_is_wrong_anyway(self, published, api, machine, bob, key):
        _, server = published
        trusted(jwks_uri=f"https://127.0.0.1:{server.port}/jwks")
        present(machine, signed(claims(aud="x"), key)).fails_with("invalid_grant")
        assert not server.requests

    def test_where_nobody_answers_nobody_can_say(self, published, api, machine, bob, key):
        _, server = published
        trusted(jwks_uri=f"https://127.0.0.1:{server.port}/jwks")
        server.close()
        present(machine, signed(claims(), key)).fails_with("temporarily_unavailable", 503)


class TestOnce:
    """§3: the jti is accepted once, by the database."""

    def test_a_second_time_it_is_refused(self, partner, machine, bob, key):
        assertion = signed(claims(), key)
        present(machine, assertion).succeeds()
        present(machine, assertion).fails_with("invalid_grant")
        assert Grant.objects.count() == 1

    def test_by_whichever_client(self, partner, machine, relying_party, bob, key):
        other = relying_party(scopes="notes.read", allowed_grant_types=[JWT_BEARER], redirect_uris=[])
        assertion = signed(claims(), key)
        present(machine, assertion).succeeds()
        present(other, assertion).fails_with("invalid_grant")

    def test_a_refused_request_does_not_use_it_up(self, partner, machine, relying_party, bob, key):
        assertion = signed(claims(), key)
        present(machine, assertion, scope="openid").fails_with("invalid_scope")
        present(machine, assertion, scope="notes.write").fails_with("invalid_scope")
        present(machine, assertion).succeeds()

    def test_nor_does_one_that_others_forged(self, partner, machine, bob, key):
        said = claims()
        present(machine, signed(said, jose.generate(Algorithm.ES256))).fails_with("invalid_grant")
        present(machine, signed(said, key)).succeeds()

    def test_another_issuer_may_use_the_same(self, partner, machine, bob, key):
        other = jose.generate(Algorithm.ES256)
        trusted(other, issuer="https://other.example")
        present(machine, signed(claims(jti="1"), key)).succeeds()
        present(machine, signed(claims(jti="1", iss="https://other.example"), other)).succeeds()


@pytest.mark.django_db(transaction=True)
class TestRaces:
    @pytest.mark.parametrize("threads", [2, 8, 32])
    def test_one_of_many_uses_is_accepted(self, partner, machine, bob, key, threads):
        """Exactly one, the others are told so, and nothing is left of them."""
        rounds = 20 if threads == 8 and connection.vendor == "postgresql" else 5
        for _ in range(rounds):
            assertion = signed(claims(), key)
            before = Grant.objects.count()
            responses = parallel(threads, lambda _, assertion=assertion: present(machine, assertion))
            assert Counter(response.status for response in responses) == {200: 1, 400: threads - 1}
            refused = {response.members["error"] for response in responses if response.status == 400}
            assert refused == {"invalid_grant"}
            assert Grant.objects.count() == before + 1


class TestSubject:
    """§3: which user ``sub`` means is decided for each issuer."""

    def test_our_own_identifier(self, api, machine, bob, key):
        trusted(key, subject_mapping="subject")
        present(machine, signed(claims(sub=Subject.objects.of(bob)), key)).succeeds()
        present(machine, signed(claims(sub="bob"), key)).fails_with("invalid_grant")

    def test_an_email_address_in_any_case(self, api, machine, bob, key):
        trusted(key, subject_mapping="email")
        present(machine, signed(claims(sub="Bob@Example.com"), key)).succeeds()
        present(machine, signed(claims(sub="bob"), key)).fails_with("invalid_grant")

    def test_an_address_of_two_people_is_nobodys(self, api, machine, bob, person, key):
        trusted(key, subject_mapping="email")
        person("robert", email="BOB@example.com")
        present(machine, signed(claims(sub="bob@example.com"), key)).fails_with("invalid_grant")

    def test_an_address_that_only_looks_like_it_is_nobodys(self, api, machine, person, key):
        """CVE-2019-19844: what a database takes for equal may be another mailbox."""
        trusted(key, subject_mapping="email")
        person("mike", email="mike@example.com")
        present(machine, signed(claims(sub="m\u0131ke@example.com"), key)).fails_with("invalid_grant")

    def test_no_address_is_no_name(self, api, machine, person, key):
        trusted(key, subject_mapping="email")
        person("nameless", email="")
        for nobody in ("", " ", "@"):
            present(machine, signed(claims(sub=nobody), key)).fails_with("invalid_grant")

    @pytest.mark.parametrize(
        "mapping", [{"subject_mapping": "username"}, {"subject_mapping": "email"}, {"subject_mapping": "subject"}]
    )
    def test_an_inactive_user_is_refused(self, api, machine, bob, key, mapping):
        trusted(key, **mapping)
        said = {"username": "bob", "email": "bob@example.com", "subject": Subject.objects.of(bob)}
        bob.is_active = False
        bob.save()
        sub = said[mapping["subject_mapping"]]
        present(machine, signed(claims(sub=sub), key)).fails_with("invalid_grant")
        assert not UsedIdentifier.objects.exists()

    def test_only_those_who_may_use_the_client(self, partner, machine, bob, key):
        group = Group.objects.create(name="staff")
        machine.row.allowed_groups.set([group])
        present(machine, signed(claims(), key)).fails_with("invalid_grant")
        bob.groups.add(group)
        present(machine, signed(claims(), key)).succeeds()

    def test_deactivating_the_user_ends_the_grant(self, partner, machine, bob, key):
        present(machine, signed(claims(), key)).succeeds()
        bob.is_active = False
        bob.save()
        assert Grant.objects.get().revoked_at is not None


class TestIssuer:
    def test_one_that_is_disabled_is_trusted_no_more(self, partner, machine, bob, key):
        present(machine, signed(claims(), key)).succeeds()
        partner.enabled = False
        partner.save()
        present(machine, signed(claims(), key)).fails_with("invalid_grant")

    @pytest.mark.parametrize(
        ("fields", "at"),
        [
            ({"jwks": None}, "jwks"),
            ({"jwks_uri": "https://partner.example/jwks"}, "jwks"),
            ({"jwks": {"keys": []}}, "jwks"),
            ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "jwks"),
            ({"jwks": None, "jwks_uri": "http://partner.example/jwks"}, "jwks_uri"),
            ({"jwks": None, "jwks_uri": "partner"}, "jwks_uri"),
            ({"algorithms": []}, "algorithms"),
            ({"algorithms": ["HS256"]}, "algorithms"),
            ({"algorithms": ["none"]}, "algorithms"),
            ({"issuer": "x\0y"}, "issuer"),
        ],
    )
    def test_what_cannot_work_is_not_stored(self, key, fields, at):
        row = TrustedIssuer(
            **{"issuer": PARTNER, "algorithms": ["ES256"], "jwks": {"keys": [key.public_jwk]}, **fields}
        )
        with pytest.raises(ValidationError) as error:
            row.full_clean()
        assert at in error.value.message_dict

    def test_a_private_key_is_not_stored(self, key):
        row = TrustedIssuer(issuer=PARTNER, algorithms=["ES256"], jwks={"keys": [json.loads(key.private_jwk)]})
        with pytest.raises(ValidationError, match="private"):
            row.full_clean()


@pytest.mark.django_db(transaction=True)
class TestManyWorkers:
    """The registration is kept in memory, as clients are; before a refusal is final it is read anew."""

    def test_a_new_key_counts_at_once(self, partner, machine, bob, key):
        present(machine, signed(claims(), key)).succeeds()
        other = jose.generate(Algorithm.ES256)
        TrustedIssuer.objects.update(jwks={"keys": [other.public_jwk]})  # by another worker: no signal
        present(machine, signed(claims(), other)).succeeds()

    def test_a_new_scope_counts_at_once(self, partner, machine, bob, key):
        present(machine, signed(claims(), key)).succeeds()
        through = TrustedIssuer.api_scopes.through
        through.objects.create(trustedissuer=partner, apiscope=ApiScope.objects.get(name="notes.write"))
        present(machine, signed(claims(), key), scope="notes.write").succeeds()


class TestEvents:
    def test_staff_see_why_and_never_the_assertion(self, partner, machine, bob, key):
        assertion = signed(claims(aud="https://other.example"), key)
        present(machine, assertion)
        event = Event.objects.get(type="request_refused")
        assert "aud" in event.detail
        assert not any(part in str(vars(event)) for part in assertion.split("."))

    def test_in_the_admin_an_issuer_is_registered(self, admin_client, key, api):
        page = "/admin/identityserver/trustedissuer/add/"
        assert b"Accepted from clients" in admin_client.get(page).content
        scope = ApiScope.objects.get(name="notes.read")
        fields = {
            "issuer": PARTNER,
            "enabled": "on",
            "jwks": json.dumps({"keys": [key.public_jwk]}),
            "algorithms": ["ES256"],
            "subject_mapping": "username",
            "api_scopes": [scope.pk],
        }
        assert admin_client.post(page, fields).status_code == 302
        row = TrustedIssuer.objects.get()
        assert (row.algorithms, row.scope_names) == (["ES256"], {"notes.read"})
        wrong = admin_client.post(page, {**fields, "issuer": "https://x.example", "jwks": key.private_jwk})
        assert wrong.status_code == 200
        assert TrustedIssuer.objects.count() == 1

    def test_and_it_says_where_assertions_are_not_taken(self, admin_client, settings):
        settings.IDENTITYSERVER = {"issuer": ISSUER}
        page = admin_client.get("/admin/identityserver/trustedissuer/add/").content
        assert b"Not accepted" in page

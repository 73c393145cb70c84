"""Exchanging an access token for one that is for another API: RFC 8693."""

import pytest
from django.contrib.auth.models import Group, Permission

from identityserver.digests import digest
from identityserver.models import ApiResource, ApiScope, Client, Event, Grant, ReferenceToken, UserSession
from identityserver.testing.relying_party import decoded
from identityserver.tokens.keys import signer
from tests.oauth2.documented.policies import judge_exchange
from tests.speaking import stored_rows

pytestmark = pytest.mark.django_db

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

NOTES, STOCK = "https://api.example", "https://stock.example"


@pytest.fixture
def stock(db):
    """A second API, which the first one calls."""
    resource = ApiResource.objects.create(name=STOCK)
    resource.api_scopes.set([ApiScope.objects.create(name=name) for name in ("stock.read", "stock.write")])
    return resource


of_either_kind = pytest.mark.parametrize("shop", ["jwt", "reference"], indirect=True)


@pytest.fixture
def shop(request, relying_party, api):
    """The application that people use."""
    kind = getattr(request, "param", "jwt")
    return relying_party(scopes="openid offline_access notes.read notes.write", access_token_type=kind)


@pytest.fixture
def backend(relying_party, api, stock):
    """The software of the first API, which may call the second."""
    return exchanging(relying_party)


def exchanging(relying_party, scopes="stock.read stock.write", **fields):
    return relying_party(
        **{
            "scopes": scopes,
            "allowed_grant_types": [EXCHANGE],
            "redirect_uris": [],
            "token_exchange_audiences": [STOCK],
            "token_exchange_sources": [NOTES],
            **fields,
        }
    )


@pytest.fixture
def called_with(alice, shop):
    """The access token with which the application calls the first API."""
    return tokens_of(alice, shop).access_token


def tokens_of(person, client, scope="openid offline_access notes.read notes.write"):
    return client.redeem(person.browser.authorize(client, scope=scope).code).succeeds()


def exchange(client, token, **changes):
    return client.token(
        **{"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN, **changes}
    )


def acting(client, token, actor_token, **changes):
    actor = {"actor_token": actor_token, "actor_token_type": ACCESS_TOKEN}
    return exchange(client, token, **actor, **changes)


def options(settings, **changes):
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, **changes}


def claims_of(client, response):
    """What the new access token says, JWT or not."""
    token = response.succeeds().access_token
    if client.row.access_token_type == "jwt":
        return decoded(token)
    return ReferenceToken.objects.latest("pk").claims


@of_either_kind
class TestResponse:
    """§2.2.1."""

    def test_it_is_an_access_token_for_the_other_api_and_nothing_else(self, backend, called_with, alice, shop):
        response = exchange(backend, called_with).succeeds()
        assert response.members.keys() == {
            "access_token",
            "issued_token_type",
            "token_type",
            "expires_in",
            "scope",
        }
        assert response.members["issued_token_type"] == ACCESS_TOKEN
        assert response.members["token_type"] == "Bearer"
        assert set(response.members["scope"].split()) == {"stock.read", "stock.write"}

    @pytest.mark.parametrize("kind", ["jwt", "reference"])
    def test_it_is_about_the_same_user_for_another_client(self, relying_party, stock, shop, alice, kind):
        backend = exchanging(relying_party, access_token_type=kind)
        tokens = tokens_of(alice, shop)
        claims = claims_of(backend, exchange(backend, tokens.access_token))
        assert claims["sub"] == tokens.id_token["sub"]
        assert (claims["client_id"], claims["aud"]) == (backend.client_id, STOCK)
        assert claims["auth_time"] == tokens.id_token["auth_time"]
        assert "act" not in claims

    def test_a_jwt_writes_nothing(self, backend, called_with):
        before = stored_rows()
        exchange(backend, called_with).succeeds()
        assert stored_rows() == before

    def test_openid_and_offline_access_cannot_be_had(self, relying_party, stock, called_with):
        client = exchanging(
            relying_party, "openid offline_access stock.read", allowed_grant_types=[EXCHANGE, "refresh_token"]
        )
        for scope in ("openid stock.read", "offline_access stock.read"):
            exchange(client, called_with, scope=scope).fails_with("invalid_scope")
        assert exchange(client, called_with).succeeds().members["scope"] == "stock.read"

    def test_its_token_is_no_way_to_the_users_information(self, backend, called_with):
        response = backend.userinfo(exchange(backend, called_with).access_token)
        assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")


@of_either_kind
class TestLifetime:
    """It never outlives the subject token or its grant."""

    def test_it_expires_with_the_subject_token(self, clock, backend, alice, shop):
        token = tokens_of(alice, shop).access_token
        clock.forward(minutes=50)
        response = exchange(backend, token).succeeds()
        assert response.members["expires_in"] == 600
        assert response.access_token_claims["exp"] - response.access_token_claims["iat"] == 600

    def test_or_sooner_where_the_client_says_so(self, relying_party, stock, called_with):
        client = exchanging(relying_party, access_token_lifetime=60)
        assert exchange(client, called_with).succeeds().members["expires_in"] == 60

    @pytest.mark.parametrize("kind", ["jwt", "reference"])
    def test_revoking_the_grant_revokes_it(self, relying_party, stock, shop, alice, kind):
        backend = exchanging(relying_party, access_token_type=kind, token_exchange_sources=[NOTES, STOCK])
        given = exchange(backend, tokens_of(alice, shop).access_token).succeeds().access_token
        exchange(backend, given).succeeds()
        Grant.objects.get().revoke("by an administrator")
        exchange(backend, given).fails_with("invalid_request")


class TestSubjectToken:
    """§2.1, §2.2.2: it is ours, alive, and in the right hands."""

    def test_a_jwt_may_be_called_one(self, backend, alice, relying_party, api):
        shop = relying_party(scopes="openid notes.read")
        token = tokens_of(alice, shop, "openid notes.read").access_token
        exchange(backend, token, subject_token_type=JWT).succeeds()

    def test_a_reference_token_is_no_jwt(self, backend, alice, relying_party, api):
        shop = relying_party(scopes="openid notes.read", access_token_type="reference")
        token = tokens_of(alice, shop, "openid notes.read").access_token
        exchange(backend, token, subject_token_type=JWT).fails_with("invalid_request")

    @pytest.mark.parametrize("missing", ["subject_token", "subject_token_type"])
    def test_both_parameters_are_needed(self, backend, called_with, missing):
        exchange(backend, called_with, **{missing: None}).fails_with("invalid_request")

    @pytest.mark.parametrize(
        "kind",
        [
            "urn:ietf:params:oauth:token-type:id_token",
            "urn:ietf:params:oauth:token-type:refresh_token",
            "urn:ietf:params:oauth:token-type:saml2",
            "access_token",
        ],
    )
    def test_only_access_tokens_are_exchanged(self, backend, called_with, kind):
        exchange(backend, called_with, subject_token_type=kind).fails_with("invalid_request")

    @of_either_kind
    @pytest.mark.parametrize("kind", [ACCESS_TOKEN, JWT])
    def test_an_id_token_or_refresh_token_is_none_whatever_it_is_called(self, backend, alice, shop, kind):
        tokens = tokens_of(alice, shop)
        for other in (tokens.members["id_token"], tokens.refresh_token):
            exchange(backend, other, subject_token_type=kind).fails_with("invalid_request")

    @of_either_kind
    def test_an_expired_one_is_refused(self, clock, backend, alice, shop):
        token = tokens_of(alice, shop).access_token
        clock.forward(hours=1)
        exchange(backend, token).fails_with("invalid_request")

    @of_either_kind
    def test_one_of_a_revoked_grant_is_refused(self, backend, called_with):
        Grant.objects.get().revoke("by an administrator")
        exchange(backend, called_with).fails_with("invalid_request")

    @of_either_kind
    @pytest.mark.parametrize("gone", ["user", "client"])
    def test_one_of_a_disabled_user_or_client_is_refused(self, backend, called_with, alice, shop, gone):
        if gone == "user":
            type(alice.user).objects.filter(pk=alice.user.pk).update(is_active=False)
        else:
            Client.objects.filter(pk=shop.row.pk).update(enabled=False)
        exchange(backend, called_with).fails_with("invalid_request")

    def test_one_that_another_server_signed_is_refused(self, backend, called_with, settings):
        options(settings, issuer="https://other.example")
        exchange(backend, called_with).fails_with("invalid_request")

    def test_one_whose_signature_was_changed_is_refused(self, backend, alice, relying_party, api):
        shop = relying_party(scopes="openid notes.read")
        head, payload, signature = tokens_of(alice, shop, "openid notes.read").access_token.split(".")
        forged = f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
        exchange(backend, forged).fails_with("invalid_request")

    @of_either_kind
    def test_one_that_is_bound_to_a_key_is_refused(self, backend, alice, shop):
        """RFC 9449 §7: whoever accepts it must see the proof, and here is none."""
        tokens = tokens_of(alice, shop)
        bound = signed_like(tokens.access_token, cnf={"jkt": "x" * 43}) or bind_reference()
        assert "bound" in exchange(backend, bound).fails_with("invalid_request").members["error_description"]

    def test_one_of_a_client_that_acts_for_itself_is_refused(self, backend, relying_party, api):
        machine = relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"])
        token = machine.client_credentials().access_token
        exchange(backend, token).fails_with("invalid_request")

    @pytest.mark.parametrize("junk", ["x", "a.b.c", "..", "x" * 43, "é" * 43, "x" * 50_000])
    def test_junk_is_refused(self, backend, junk):
        exchange(backend, junk).fails_with("invalid_request")

    @of_either_kind
    def test_one_for_another_api_is_refused(self, relying_party, stock, called_with):
        """It merely came into the client's hands."""
        thief = exchanging(relying_party, token_exchange_sources=["https://third.example"])
        exchange(thief, called_with).fails_with("invalid_request")

    def test_one_for_no_api_in_particular_is_refused(self, backend, alice, relying_party):
        shop = relying_party(scopes="openid")
        exchange(backend, tokens_of(alice, shop, "openid").access_token).fails_with("invalid_request")

    def test_the_users_session_counts_where_it_does_for_the_client(self, relying_party, stock, called_with):
        coordinated = exchanging(relying_party, coordinate_lifetime_with_user_session=True)
        exchange(coordinated, called_with).succeeds()
        UserSession.objects.get().end("signed_out")
        exchange(coordinated, called_with).fails_with("invalid_request")
        exchange(exchanging(relying_party), called_with).succeeds()

    def test_the_user_may_not_be_one_of_those_who_use_the_client(self, backend, called_with, alice):
        group = Group.objects.create(name="staff")
        backend.row.allowed_groups.set([group])
        exchange(backend, called_with).fails_with("invalid_request")
        alice.user.groups.add(group)
        exchange(backend, called_with).succeeds()


class TestTarget:
    """§2.1, RFC 8707 §2: ``resource`` and ``audience`` name an API that the client is registered for."""

    @pytest.mark.parametrize("parameter", ["resource", "audience"])
    def test_both_name_the_api(self, relying_party, stock, called_with, parameter):
        client = exchanging(relying_party, "stock.read notes.read", token_exchange_audiences=[STOCK, NOTES])
        exchange(client, called_with).fails_with("invalid_request")
        response = exchange(client, called_with, **{parameter: STOCK}).succeeds()
        assert (response.access_token_claims["aud"], response.members["scope"]) == (STOCK, "stock.read")

    @pytest.mark.parametrize("parameter", ["resource", "audience"])
    @pytest.mark.parametrize("name", [NOTES, "https://unknown.example", f"{STOCK}/", "HTTPS://STOCK.EXAMPLE"])
    def test_an_api_that_is_not_listed_is_an_invalid_target(self, backend, called_with, parameter, name):
        exchange(backend, called_with, **{parameter: name}).fails_with("invalid_target")
        ApiResource.objects.filter(name=name).update(enabled=False)
        exchange(backend, called_with, **{parameter: name}).fails_with("invalid_target")

    def test_two_apis_in_one_token(self, relying_party, stock, called_with):
        client = exchanging(relying_party, "stock.read notes.read", token_exchange_audiences=[STOCK, NOTES])
        response = exchange(client, called_with, audience=NOTES, resource=STOCK).succeeds()
        assert set(response.access_token_claims["aud"]) == {STOCK, NOTES}

    def test_one_of_two_that_is_not_listed(self, backend, called_with):
        exchange(backend, called_with, audience=NOTES, resource=STOCK).fails_with("invalid_target")

    def test_an_api_without_a_scope_of_the_clients(self, relying_party, stock, called_with):
        client = exchanging(relying_party, "notes.read")
        exchange(client, called_with).fails_with("invalid_target")

    def test_an_api_that_there_is_not_any_more(self, backend, called_with, stock):
        stock.enabled = False
        stock.save()
        exchange(backend, called_with).fails_with("invalid_target")

    def test_an_isolated_api_is_had_by_its_name(self, backend, called_with, stock):
        stock.require_resource_indicator = True
        stock.save()
        assert exchange(backend, called_with).succeeds().access_token_claims["aud"] == STOCK

    def test_a_scope_that_leads_elsewhere_too_does_not_lead_there(self, backend, called_with, stock):
        other = ApiResource.objects.create(name="https://third.example")
        other.api_scopes.set(stock.api_scopes.all())
        assert exchange(backend, called_with).succeeds().access_token_claims["aud"] == STOCK


class TestScope:
    """Never more than client, subject token and user allow."""

    def test_fewer_may_be_asked_for(self, backend, called_with):
        assert exchange(backend, called_with, scope="stock.read").succeeds().members["scope"] == "stock.read"

    @pytest.mark.parametrize("scope", ["unknown", "notes.read", "stock.read notes.read", "profile"])
    def test_what_the_client_may_not_have_is_refused(self, backend, called_with, scope):
        exchange(backend, called_with, scope=scope).fails_with("invalid_scope")

    def test_what_is_not_of_the_api_is_refused(self, relying_party, stock, called_with):
        client = exchanging(relying_party, "stock.read notes.read")
        exchange(client, called_with, scope="stock.read notes.read").fails_with("invalid_scope")
        assert exchange(client, called_with).succeeds().members["scope"] == "stock.read"

    def test_a_scope_of_no_api_is_none_of_the_api(self, relying_party, stock, called_with):
        ApiScope.objects.create(name="everywhere")
        client = exchanging(relying_party, "stock.read everywhere")
        exchange(client, called_with, scope="stock.read everywhere").fails_with("invalid_scope")
        assert exchange(client, called_with).succeeds().members["scope"] == "stock.read"

    @of_either_kind
    def test_for_an_api_that_the_token_is_for_nothing_is_widened(self, relying_party, stock, alice, shop):
        client = exchanging(relying_party, "notes.read notes.write", token_exchange_audiences=[NOTES])
        token = tokens_of(alice, shop, "openid notes.read").access_token
        assert exchange(client, token).succeeds().members["scope"] == "notes.read"
        exchange(client, token, scope="notes.write").fails_with("invalid_scope")

    def test_a_client_cannot_widen_its_own_token(self, relying_party, api, stock, alice):
        """Or what the user did not allow could be had without asking."""
        client = relying_party(
            scopes="openid notes.read stock.read",
            allowed_grant_types=["authorization_code", EXCHANGE],
            token_exchange_audiences=[NOTES, STOCK],
            token_exchange_sources=[NOTES],
        )
        token = tokens_of(alice, client, "openid notes.read").access_token
        exchange(client, token, audience=STOCK).fails_with("invalid_scope")
        exchange(client, token, audience=STOCK, scope="stock.read").fails_with("invalid_scope")
        both = tokens_of(alice, client, "openid notes.read stock.read").access_token
        narrowed = exchange(client, both, audience=STOCK).succeeds()
        assert (narrowed.access_token_claims["aud"], narrowed.members["scope"]) == (STOCK, "stock.read")

    def test_the_user_must_hold_the_permission(self, backend, called_with, alice):
        ApiScope.objects.filter(name="stock.write").update(requires_permission="auth.change_group")
        assert exchange(backend, called_with).succeeds().members["scope"] == "stock.read"
        exchange(backend, called_with, scope="stock.write").fails_with("invalid_scope")
        alice.user.user_permissions.add(Permission.objects.get(codename="change_group"))
        exchange(backend, called_with, scope="stock.write").succeeds()

    def test_a_second_exchange_narrows_further_and_never_back(self, backend, called_with, relying_party, stock):
        """A chain of services: what was left out on the way is gone."""
        narrow = exchange(backend, called_with, scope="stock.read").access_token
        inner = exchanging(relying_party, token_exchange_sources=[STOCK])
        assert exchange(inner, narrow).succeeds().members["scope"] == "stock.read"
        exchange(inner, narrow, scope="stock.write").fails_with("invalid_scope")


class TestDelegation:
    """§4.1: who acts for whom."""

    @pytest.fixture
    def machine_token(self, relying_party, stock):
        """The exchanging client's own token, and the client."""

        def make(**fields):
            client = exchanging(
                relying_party,
                "stock.read notes.read",
                allowed_grant_types=[EXCHANGE, "client_credentials"],
                **fields,
            )
            return client, client.client_credentials(scope="notes.read").succeeds().access_token

        return make

    def test_the_actor_is_named_in_the_token(self, machine_token, called_with, alice):
        client, own = machine_token()
        claims = acting(client, called_with, own).succeeds().access_token_claims
        assert claims["act"] == {"sub": client.client_id, "client_id": client.client_id}
        assert claims["sub"] == Grant.objects.get().subject

    def test_a_person_may_act_for_another(self, backend, called_with, person, shop):
        """Support staff, whose token the API was called with."""
        bob = person("bob").sign_in()
        token = tokens_of(bob, shop)
        act = acting(backend, called_with, token.access_token).succeeds().access_token_claims["act"]
        assert act == {"sub": token.id_token["sub"], "client_id": shop.client_id}

    def test_earlier_actors_stay_inside(self, machine_token, called_with):
        first, own = machine_token()
        one = acting(first, called_with, own).access_token
        second, its_own = machine_token(token_exchange_sources=[STOCK])
        act = acting(second, one, its_own).succeeds().access_token_claims["act"]
        assert (act["sub"], act["act"]["sub"]) == (second.client_id, first.client_id)
        assert "act" not in act["act"]

    def test_impersonation_does_not_hide_an_earlier_actor(self, machine_token, called_with, relying_party):
        first, own = machine_token()
        one = acting(first, called_with, own).access_token
        second = exchanging(relying_party, token_exchange_sources=[STOCK])
        act = exchange(second, one).succeeds().access_token_claims["act"]
        assert act["sub"] == first.client_id

    def test_a_chain_has_an_end(self, machine_token, called_with):
        client, own = machine_token(token_exchange_sources=[NOTES, STOCK])
        token = called_with
        for _ in range(5):
            token = acting(client, token, own).succeeds().access_token
        acting(client, token, own).fails_with("invalid_request")

    def test_an_actor_of_whom_nothing_is_known_is_refused(self, machine_token, called_with, clock):
        client, own = machine_token()
        for actor in ("x", "a.b.c", f"{own}x"):
            acting(client, called_with, actor).fails_with("invalid_request")

    def test_an_actors_token_must_be_in_the_right_hands(self, machine_token, relying_party, called_with, api):
        client, _ = machine_token(token_exchange_sources=[NOTES])
        machine = relying_party(scopes="stock.read", allowed_grant_types=["client_credentials"])
        stranger = machine.client_credentials().access_token
        acting(client, called_with, stranger).fails_with("invalid_request")

    def test_nobody_acts_for_themselves_by_the_same_token(self, backend, called_with):
        acting(backend, called_with, called_with).fails_with("invalid_request")

    def test_somebody_for_whom_another_acts_is_no_actor(self, machine_token, called_with):
        client, own = machine_token(token_exchange_sources=[NOTES, STOCK])
        delegated = acting(client, called_with, own).access_token
        acting(client, called_with, delegated).fails_with("invalid_request")

    def test_token_and_type_come_together(self, machine_token, called_with):
        client, own = machine_token()
        exchange(client, called_with, actor_token=own).fails_with("invalid_request")
        exchange(client, called_with, actor_token_type=ACCESS_TOKEN).fails_with("invalid_request")
        other = "urn:ietf:params:oauth:token-type:id_token"
        exchange(client, called_with, actor_token=own, actor_token_type=other).fails_with("invalid_request")


def may_act_claims(user, names):
    """The site's claims: whoever is written on the user may act for them."""
    return {"may_act": {"sub": user.last_name}} if "may_act" in names and user.last_name else {}


class TestMayAct:
    """§4.4: the subject token names who may act for its user."""

    @pytest.fixture
    def named(self, settings, api, alice, shop):
        """An access token that says so."""
        options(settings, claims_source="tests.oauth2.test_token_exchange.may_act_claims")
        api.user_claims = ["may_act"]
        api.save()

        def make(name):
            alice.user.last_name = name
            alice.user.save()
            return tokens_of(alice, shop).access_token

        return make

    def test_the_client_itself(self, named, backend):
        exchange(backend, named(backend.client_id)).succeeds()
        exchange(backend, named("somebody else")).fails_with("invalid_request")

    def test_the_actor(self, named, backend, person, shop):
        bob = person("bob").sign_in()
        tokens = tokens_of(bob, shop)
        acting(backend, named(tokens.id_token["sub"]), tokens.access_token).succeeds()
        acting(backend, named("somebody else"), tokens.access_token).fails_with("invalid_request")
        exchange(backend, named(tokens.id_token["sub"])).fails_with("invalid_request")


def only_reading(exchange):
    return {scope for scope in exchange.scopes if scope.endswith(".read")} | {"notes.write", "admin"}


def nothing(exchange):
    return ()


seen = []


def remembering(exchange):
    seen.append(exchange)
    return exchange.scopes


class TestPolicy:
    """The site's own word: it narrows and refuses, and never widens."""

    @pytest.fixture
    def policy(self, settings):
        return lambda function: options(settings, token_exchange_policy=f"{function.__module__}.{function.__name__}")

    def test_it_narrows(self, policy, backend, called_with):
        policy(only_reading)
        assert exchange(backend, called_with).succeeds().members["scope"] == "stock.read"

    def test_it_refuses(self, policy, backend, called_with):
        policy(nothing)
        exchange(backend, called_with).fails_with("invalid_scope")

    def test_the_documented_one_refuses_in_its_own_words(self, policy, backend, called_with, alice, person, shop):
        policy(judge_exchange)
        assert exchange(backend, called_with).succeeds().members["scope"] == "stock.read"
        type(alice.user).objects.update(is_staff=True)
        response = exchange(backend, called_with).fails_with("invalid_request")
        assert response.members["error_description"].startswith("For members of staff only with an actor token.")
        acting(backend, called_with, called_with).fails_with("invalid_request")
        acting(backend, called_with, tokens_of(person("bob").sign_in(), shop).access_token).succeeds()

    def test_it_is_told_everything(self, policy, backend, called_with, alice, shop):
        policy(remembering)
        seen.clear()
        exchange(backend, called_with, scope="stock.read").succeeds()
        (told,) = seen
        assert (told.client.client_id, told.user, told.actor) == (backend.client_id, alice.user, None)
        assert (told.subject.client_id, told.audience, told.scopes) == (shop.client_id, (STOCK,), ("stock.read",))


class TestWho:
    """§2.1, §5: denied unless a client is registered for it."""

    def test_a_client_without_the_grant_type_is_refused(self, relying_party, stock, called_with):
        client = relying_party(scopes="stock.read", token_exchange_audiences=[STOCK], token_exchange_sources=[NOTES])
        exchange(client, called_with).fails_with("unauthorized_client")

    def test_the_application_itself_is_refused(self, shop, called_with, backend):
        exchange(shop, called_with).fails_with("unauthorized_client")

    def test_a_public_client_cannot_be_registered_for_it(self, relying_party, stock):
        with pytest.raises(Exception, match="Token exchange needs a client that authenticates"):
            exchanging(relying_party, token_endpoint_auth_method="none")

    def test_nor_one_without_an_api(self, relying_party, stock):
        with pytest.raises(Exception, match="at least one API to exchange tokens for"):
            exchanging(relying_party, token_exchange_audiences=[])

    def test_a_row_that_says_otherwise_is_not_served(self, backend, called_with):
        Client.objects.filter(pk=backend.row.pk).update(token_exchange_audiences=[])
        exchange(backend, called_with).fails_with("invalid_client")

    @pytest.mark.parametrize(
        "kind", ["urn:ietf:params:oauth:token-type:id_token", JWT, "urn:ietf:params:oauth:token-type:refresh_token"]
    )
    def test_nothing_but_access_tokens_is_issued(self, backend, called_with, kind):
        exchange(backend, called_with, requested_token_type=kind).fails_with("invalid_request")
        exchange(backend, called_with, requested_token_type=ACCESS_TOKEN).succeeds()


class TestEvents:
    def test_staff_see_whose_token_was_exchanged(self, settings, backend, called_with, alice, shop):
        options(settings, store_issuance_events=True)
        exchange(backend, called_with).succeeds()
        event = Event.objects.get(type="token_exchanged")
        assert (event.client, event.user) == (backend.client_id, str(alice.user.pk))
        assert event.detail == f"a token of {shop.client_id}"

    def test_and_why_it_was_refused(self, backend, called_with):
        Grant.objects.get().revoke("by an administrator")
        exchange(backend, called_with)
        event = Event.objects.get(type="request_refused")
        assert "revoked" in event.detail
        assert called_with not in event.detail


def signed_like(token: str, **more) -> str:
    """A token of ours that says more; nothing for a reference token."""
    if "." not in token:
        return ""
    return signer("ES256", 0).sign({**decoded(token), **more}, typ="at+jwt")


def bind_reference() -> str:
    """A reference token that is bound to a key."""
    row = ReferenceToken.objects.latest("pk")
    row.claims["cnf"] = {"jkt": "x" * 43}
    row.digest = digest("y" * 43)
    row.save()
    return "y" * 43

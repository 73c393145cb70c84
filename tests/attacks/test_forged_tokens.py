"""Forged JWTs, wherever the provider takes one: at UserInfo and introspection, as a hint at sign-in and at sign-out.

RFC 8725 throughout; classes are named after the vulnerability whose return they would show.
"""

import base64
import hashlib
import hmac
import json
import logging
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from identityserver import jose
from identityserver.testing.fixtures import Person
from identityserver.testing.relying_party import RelyingParty, decoded
from identityserver.tokens.keys import key_ring, signer
from identityserver.vocabulary import Algorithm
from tests.attacks.target import answer_to_client, is_our_page, is_refused_as_json

ATTACKERS = jose.generate(Algorithm.ES256)


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def part(value: Any) -> str:
    return base64url(value if isinstance(value, bytes) else json.dumps(value).encode())


class Place:
    """Somewhere a token of ours is taken: how a good one looks, and how it is presented."""

    def __init__(self, name: str, token: str, present: Callable[[str], None]) -> None:
        self.name = name
        self.token = token
        self.present = present

    @property
    def header(self) -> dict[str, Any]:
        encoded = self.token.split(".")[0]
        return json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))

    @property
    def claims(self) -> dict[str, Any]:
        return decoded(self.token)

    @property
    def public_jwk(self) -> dict[str, Any]:
        return next(key.public_jwk for key in key_ring().keys if key.kid == self.header["kid"])

    def signed(self, header: dict[str, Any] | None = None, payload: Any = None, **claims: Any) -> str:
        """A token that our own key has signed, whatever it says."""
        changed = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        text = f"{part(header or self.header)}.{part(changed if payload is None else payload)}"
        return f"{text}.{base64url(signer(self.header['alg'])._sign(text.encode()))}"

    def signed_by_attacker(self, **header: Any) -> str:
        text = f"{part({**self.header, 'alg': 'ES256', **header})}.{part(self.claims)}"
        key = jose.Signer(kid="x", algorithm=Algorithm.ES256, private_jwk=ATTACKERS.private_jwk.encode())
        return f"{text}.{base64url(key._sign(text.encode()))}"

    def refuses(self, *tokens: str) -> None:
        for token in tokens:
            try:
                self.present(token)
            except AssertionError as error:
                error.add_note(f"At {self.name}, with the token {token[:300]}")
                raise


@pytest.fixture(params=["userinfo", "introspection", "sign-in", "sign-out"])
def place(request: pytest.FixtureRequest, alice: Person, web_app: RelyingParty) -> Place:
    tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
    http = alice.browser.http

    def at_userinfo(token: str) -> None:
        response = web_app.userinfo(token)
        assert response.status_code == 401
        is_refused_as_json(response, "invalid_token")

    def at_introspection(token: str) -> None:
        assert web_app.introspect(tokens.access_token).json()["active"] is True
        response = web_app.introspect(token)
        if response.status_code == 400:
            is_refused_as_json(response, "invalid_request")  # longer than any token, or not well-formed
        else:
            assert response.json() == {"active": False}

    def at_sign_in(token: str) -> None:
        response = http.get(web_app.authorization_url(id_token_hint=token, prompt="none"))
        if response.status_code == 303:
            assert answer_to_client(response)["error"] == "invalid_request"
        else:
            is_our_page(response)

    def at_sign_out(token: str) -> None:
        response = http.get("/connect/endsession", {"id_token_hint": token})
        assert response.status_code == 400
        is_our_page(response)
        assert "_auth_user_id" in http.session

    presented = {
        "userinfo": (tokens.access_token, at_userinfo),
        "introspection": (tokens.access_token, at_introspection),
        "sign-in": (tokens.members["id_token"], at_sign_in),
        "sign-out": (tokens.members["id_token"], at_sign_out),
    }
    return Place(request.param, *presented[request.param])


@pytest.fixture(autouse=True)
def no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


class TestAlgorithmConfusion:
    """CVE-2015-9235 and its many kin: the header's word about the algorithm decides nothing (RFC 8725 §3.1)."""

    def test_none(self, place: Place) -> None:
        payload = place.token.split(".")[1]
        for name in ("none", "None", "NONE", "nOnE", ""):
            header = part({**place.header, "alg": name})
            place.refuses(f"{header}.{payload}.", f"{header}.{payload}.AA", f"{header}.{payload}")

    def test_the_public_key_as_a_secret(self, place: Place) -> None:
        jwk = JWK(**place.public_jwk)
        public = jwk.get_op_key("verify")
        secrets = [
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            json.dumps(place.public_jwk).encode(),
            b"",
        ]
        for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
            text = f"{part({**place.header, 'alg': algorithm})}.{part(place.claims)}"
            place.refuses(*[f"{text}.{base64url(hmac.new(s, text.encode(), digest).digest())}" for s in secrets])

    def test_another_algorithm_than_the_key_s(self, place: Place) -> None:
        _, payload, signature = place.token.split(".")
        for algorithm in {"ES256", "RS256", "PS256", "RS512", "EdDSA", "ES256K", 1, None} - {place.header["alg"]}:
            place.refuses(f"{part({**place.header, 'alg': algorithm})}.{payload}.{signature}")
            place.refuses(place.signed({**place.header, "alg": algorithm}))


class TestKeyOfTheAttacker:
    """CVE-2018-0114: no header member brings its own key, and a kid finds published keys only (RFC 8725 §3.10)."""

    def test_own_key(self, place: Place) -> None:
        place.refuses(
            place.signed_by_attacker(),
            place.signed_by_attacker(kid=ATTACKERS.kid),
            place.signed_by_attacker(kid=ATTACKERS.kid, jwk=ATTACKERS.public_jwk),
            place.signed_by_attacker(jwk=ATTACKERS.public_jwk),
            place.signed_by_attacker(jku="https://evil.example/jwks"),
            place.signed_by_attacker(x5u="https://evil.example/x5u"),
            place.signed_by_attacker(x5c=["MIIB"]),
        )

    def test_kid(self, place: Place) -> None:
        for kid in ("", "../../../dev/null", "' OR 1=1 --", "\0", "x" * 10_000, 1, [], {}, None, True):
            place.refuses(place.signed({**place.header, "kid": kid}), place.signed_by_attacker(kid=kid))
        place.refuses(place.signed({name: value for name, value in place.header.items() if name != "kid"}))


class TestPsychicSignatures:
    """CVE-2022-21449: zeros sign nothing, nor does any other degenerate signature."""

    def test_degenerate(self, place: Place) -> None:
        text = place.token.rpartition(".")[0]
        order = ec.SECP256R1().group_order if hasattr(ec.SECP256R1(), "group_order") else 2**256 - 1
        degenerate = [b"\0" * 64, b"\0" * 32 + b"\0" * 31 + b"\1", order.to_bytes(32, "big") * 2, b"\xff" * 64]
        degenerate += [b"\0", b"\0" * 256, b"\1" * 256, b"\xff" * 256, b"\0" * 65, b"0\x06\x02\x01\0\x02\x01\0"]
        place.refuses(*[f"{text}.{base64url(signature)}" for signature in degenerate])
        place.refuses(f"{text}.", text)


class TestHeaderMembers:
    """RFC 7515 §4.1.11, RFC 7797 and RFC 8725: what is not understood is refused, even under our own signature."""

    @pytest.mark.parametrize(
        "member",
        [
            {"crit": ["exp"]},
            {"crit": ["b64"], "b64": False},
            {"crit": []},
            {"b64": False},
            {"zip": "DEF"},
            {"jku": "https://testserver/.well-known/openid-configuration/jwks"},
            {"x5u": "https://evil.example"},
            {"x5c": []},
            {"jwk": {}},
        ],
        ids=str,
    )
    def test_refused(self, place: Place, member: dict[str, Any]) -> None:
        place.refuses(place.signed({**place.header, **member}))

    def test_type(self, place: Place) -> None:
        """RFC 8725 §3.11: a token of one kind is none of another."""
        other = "JWT" if place.header["typ"] == "at+jwt" else "at+jwt"
        for typ in (other, other.lower(), "logout+jwt", "dpop+jwt", "JOSE", "", 1, None, ["at+jwt", "JWT"]):
            place.refuses(place.signed({**place.header, "typ": typ}))
        place.refuses(place.signed({name: value for name, value in place.header.items() if name != "typ"}))


class TestCompressionBomb:
    """CVE-2024-28102: nothing encrypted is opened, so nothing is inflated."""

    def test_it_is_not_looked_into(self, place: Place) -> None:
        bomb = JWE(b"a" * 10_000_000, json.dumps({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}))
        bomb.add_recipient(JWK.generate(kty="oct", size=256))
        token = bomb.serialize(compact=True)
        assert len(token) < jose.MAX_LENGTH
        place.refuses(token)
        place.refuses(place.signed({**place.header, "zip": "DEF"}, zlib.compress(b"a" * 10_000_000)))

    def test_many_rounds_of_pbkdf2(self, place: Place) -> None:
        header = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2**31 - 1, "p2s": "AAAA"}
        place.refuses(".".join([part(header), "AAAA", "AAAA", "AAAA", "AAAA"]))

    def test_rsa_of_pkcs_1_5(self, place: Place) -> None:
        place.refuses(".".join([part({"alg": "RSA1_5", "enc": "A128CBC-HS256"}), "AAAA", "AAAA", "AAAA", "AAAA"]))


class TestPayload:
    """What our key has signed must still be plain JSON of the right form."""

    def test_json(self, place: Place) -> None:
        whole = json.dumps(place.claims)
        for payload in (
            b"",
            b"x",
            b"[]",
            b"null",
            b"1",
            b'"sub"',
            whole[:-1].encode() + b',"sub":"x"}',
            whole[:-1].encode() + b',"x":NaN}',
            whole[:-1].encode() + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
            whole[:-1].encode() + b',"x":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
            whole[:-1].encode() + b',"x":"\xff"}',
            whole.encode("utf-16"),
            whole.encode() + b"x",
        ):
            place.refuses(place.signed(payload=payload))

    def test_form(self, place: Place) -> None:
        encoded, payload, signature = place.token.split(".")
        place.refuses(
            f"{place.token}.x",
            f".{place.token}",
            place.token.replace(".", ".."),
            place.token + "=",
            place.token + "\u00e9",
            f"{encoded}.{payload}+/.{signature}",
            f"{encoded}.{payload}.{signature[:-4]}",
            f"{encoded}.{part({**place.claims, 'sub': 'other'})}.{signature}",
            f"{part({**place.header, 'x': 1})}.{payload}.{signature}",
            json.dumps({"protected": encoded, "payload": payload, "signature": signature}),
            place.signed(payload=place.token.encode()),
            "a" * 50_001,
        )

    def test_issuer(self, place: Place) -> None:
        for issuer in (
            "https://evil.example",
            "http://testserver/",
            "HTTP://TESTSERVER",
            "",
            1,
            ["http://testserver"],
            None,
        ):
            place.refuses(place.signed(iss=issuer))


class TestAccessTokens:
    """RFC 9068 §4, with our own signature on everything."""

    @pytest.fixture
    def userinfo(self, alice: Person, web_app: RelyingParty) -> Place:
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()

        def present(token: str) -> None:
            is_refused_as_json(web_app.userinfo(token))

        return Place("userinfo", tokens.access_token, present)

    @pytest.mark.parametrize("name", ["iss", "sub", "aud", "client_id", "iat", "exp", "jti"])
    def test_every_member_is_needed_and_has_its_type(self, userinfo: Place, name: str) -> None:
        userinfo.refuses(userinfo.signed(**{name: None}), userinfo.signed(**{name: [{}]}))
        userinfo.refuses(userinfo.signed(**{name: {}}), userinfo.signed(**{name: 10**400}))

    @pytest.mark.parametrize("name", ["iss", "client_id", "jti"])
    def test_identifiers(self, userinfo: Place, name: str) -> None:
        for value in ("", "x", "x" * 30_000, True, -1):
            userinfo.refuses(userinfo.signed(**{name: value}))

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -(10**30), 10**30, "9999999999", 0])
    def test_expiry(self, userinfo: Place, value: Any) -> None:
        userinfo.refuses(userinfo.signed(exp=value))

    @pytest.mark.parametrize("value", [1, [], {}, ["openid"], "", "profile", "OPENID", "openid_", True])
    def test_scope(self, userinfo: Place, value: Any) -> None:
        userinfo.refuses(userinfo.signed(scope=value))

    def test_jti_names_a_live_grant(self, userinfo: Place) -> None:
        for jti in ("x", ".", "x.y", f"{'0' * 32}.x", f"{{{'0' * 32}}}.x", "\0.x", "urn:uuid:x.y"):
            userinfo.refuses(userinfo.signed(jti=jti))

    def test_cve_2024_49755_a_bound_token_is_no_bearer_token(self, userinfo: Place) -> None:
        """``cnf`` is enforced wherever a token is accepted; without a proof it is refused (RFC 9449 §7.2)."""
        userinfo.refuses(
            userinfo.signed(cnf={"jkt": "x"}), userinfo.signed(cnf={"x5t#S256": "x"}), userinfo.signed(cnf={})
        )

    def test_an_id_token_is_no_access_token(self, alice: Person, web_app: RelyingParty) -> None:
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        response = web_app.userinfo(tokens.members["id_token"])
        assert response.status_code == 401
        is_refused_as_json(response, "invalid_token")

"""Options: what ``settings.IDENTITYSERVER`` may say, and how a mistake in it reads."""

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured

from identityserver import conf
from identityserver.conf import options


@pytest.fixture
def given(settings):
    """Set the options to exactly these, and read them."""

    def read(**values):
        settings.IDENTITYSERVER = values
        return options()

    return read


class TestNames:
    def test_an_unknown_name_is_refused_with_a_suggestion(self, given):
        with pytest.raises(ImproperlyConfigured, match=r"no option 'isuer'\. Did you mean 'issuer'"):
            given(isuer="https://id.example")

    def test_a_name_that_resembles_none_is_refused_without_one(self, given):
        with pytest.raises(ImproperlyConfigured, match=r"no option 'zzzz'\.$"):
            given(zzzz=1)

    def test_a_name_that_is_no_text_is_refused(self, settings):
        settings.IDENTITYSERVER = {1: 2}
        with pytest.raises(ImproperlyConfigured, match="no option 1"):
            options()


class TestTypes:
    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("issuer", None, "str"),
            ("issuer", b"https://id.example", "str"),
            ("configuration_cache_seconds", "10", "int"),
            ("configuration_cache_seconds", True, "int"),
            ("configuration_cache_seconds", 1.5, "int"),
            ("access_token_lifetime", "1h", "timedelta"),
            ("access_token_lifetime", True, "timedelta"),
            ("store_issuance_events", "yes", "bool"),
            ("store_issuance_events", 1, "bool"),
            ("key_encryption_keys", "secret", "list"),
            ("authentication_contexts", [], "dict"),
        ],
    )
    def test_a_value_of_the_wrong_type_is_refused_by_name(self, given, name, value, expected):
        with pytest.raises(ImproperlyConfigured, match=rf"\['{name}'\] must be of type {expected}"):
            given(**{name: value})

    @pytest.mark.parametrize(
        ("name", "value"), [("configuration_cache_seconds", -1), ("access_token_lifetime", timedelta(seconds=-1))]
    )
    def test_nothing_is_negative(self, given, name, value):
        with pytest.raises(ImproperlyConfigured, match=f"'{name}'.* must not be negative"):
            given(**{name: value})

    def test_seconds_will_do_for_a_duration_and_a_list_for_a_tuple(self, given):
        chosen = given(access_token_lifetime=600, key_encryption_keys=["a", "b"])
        assert chosen.access_token_lifetime == timedelta(minutes=10)
        assert chosen.key_encryption_keys == ("a", "b")

    @pytest.mark.parametrize("value", [None, [], "issuer"])
    def test_the_setting_itself_is_a_dictionary(self, settings, value):
        settings.IDENTITYSERVER = value
        with pytest.raises(ImproperlyConfigured, match="must be a dictionary"):
            options()


class TestReading:
    def test_without_the_setting_everything_has_its_default(self, settings):
        del settings.IDENTITYSERVER
        assert options() == conf.Options()

    def test_with_debug_on_there_is_an_issuer(self, settings, given):
        assert given().issuer == ""
        settings.DEBUG = True
        assert options().issuer == "http://localhost:8000"

    def test_a_changed_setting_counts_at_once(self, given):
        assert given(site_name="One").site_name == "One"
        assert given(site_name="Two").site_name == "Two"

    def test_they_cannot_be_changed(self, given):
        chosen = given(authentication_contexts={"a": {}})
        with pytest.raises(AttributeError):
            chosen.issuer = "x"
        with pytest.raises(TypeError):
            chosen.authentication_contexts["b"] = {}

    def test_a_path_that_cannot_be_imported_is_refused_by_name(self, given):
        given(claims_source="nowhere.nothing")
        with pytest.raises(ImproperlyConfigured, match=r"'nowhere\.nothing', which cannot be imported"):
            conf.load("claims_source")

    def test_an_empty_path_is_nothing(self, given):
        given()
        assert conf.load("claims_source") is None

    def test_every_option_says_what_it_does(self):
        for field in conf.fields():
            assert field.metadata["help"].endswith("."), field.name

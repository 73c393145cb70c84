"""The claims that both providers give: those of the scopes profile and email, in UserInfo."""

from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator


class Validator(OAuth2Validator):
    """django-oauth-toolkit knows no claims but ``sub`` until it is told."""

    def get_userinfo_claims(self, request: Any) -> dict[str, Any]:
        """What is known of the user."""
        claims: dict[str, Any] = super().get_userinfo_claims(request)
        user = request.user
        return {
            **claims,
            "name": user.get_full_name(),
            "given_name": user.first_name,
            "family_name": user.last_name,
            "preferred_username": user.get_username(),
            "email": user.email,
        }

OAUTH2_PROVIDER = {
    "OAUTH2_VALIDATOR_CLASS": "identityserver.resource_server.validators.ResourceServerValidator",
    "OAUTH2_SERVER_CLASS": "identityserver.resource_server.server.ResourceServer",
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
}

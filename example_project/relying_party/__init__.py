"""An application that signs people in through the provider, as the developer of a site would write it.

It knows the provider by its issuer alone; Authlib discovers the rest. It shows the messages that pass.
"""

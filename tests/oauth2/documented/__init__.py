"""The examples of the how-to guides, as the tests run them."""

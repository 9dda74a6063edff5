"""Where data and stores may be: a path, or ``s3://BUCKET/KEY`` and nothing more.

Locations are kept: in the store, in evidence, in pipelines and their runs. So there are no secrets in them, and what a
run was made from can be read again later, which a signed address allows for some days only.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from modelway.components.core.errors import ModelwayError

_REMEDY = (
    "name a path, or s3://BUCKET/KEY; keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (on a cluster "
    "from the Secret that tasks are given), and the endpoint from AWS_ENDPOINT_URL"
)


def location_problem(location: str) -> str | None:
    """Why something is no location, in words without it; None if it is one."""
    scheme, is_address, rest = location.partition("://")
    if not is_address or not scheme.isalnum():
        return None
    if scheme != "s3":
        return f"{scheme}:// addresses are not read"
    if "@" in rest.partition("/")[0]:
        return "an s3:// address has no keys in it"
    if "?" in rest or "#" in rest:
        return "an s3:// address has neither ? nor #: one that is signed is not taken"
    return None


def check_location(location: str, *, key: str | None = None) -> None:
    """Makes sure that a text is a path or a plain ``s3://`` address; `key` is what it is the value of, for errors.

    Raises:
        ModelwayError: it is another address, or has keys or a signature in it.
    """
    if problem := location_problem(location):
        raise ModelwayError(problem, file=location, key=key, remedy=_REMEDY)


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI.

    Raises:
        ModelwayError: there are keys or a signature in it.
    """
    check_location(uri)
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")

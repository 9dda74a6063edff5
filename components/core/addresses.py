"""Addresses as they may be shown, logged and kept: without the secrets that are in them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any

HIDDEN = "***"

_SIGN = r"""(?:\\["']|[^\s"'<>`\x00-\x1f\x7f])"""  # of an address: no space, and no quote that no backslash escapes
_RUN = f"{_SIGN}*"
_PORT = r"""\d{1,5}(?![^\s/?#"'<>`,;:.)\]}\x00-\x1f])"""
_AFTER_SCHEME = re.compile(rf"(://|\b(?:https?|s3):/(?!/))({_RUN})")  # in a path, // has become /
_MALFORMED = re.compile(rf"""://(?!{_SIGN}{{0,200}}@)[^\s:/?#@"'\[\]]+:(?!{_PORT})[^"\n@]{{1,200}}@""")
_WITHOUT_SCHEME = re.compile(
    r"""(?<![\w.%~+-])(?!mailto:)[A-Za-z][\w.%~+-]{0,100}:(?!/)[^\s"'<>`@]{1,200}@(?!sha\d+:)(?=[\w.\[\]:-]+[:/])"""
)
_QUERY = re.compile(rf"""(?<=[^\s"'])\?(?=[\w.%~\[\]-]+=){_RUN}""")
_VALUE = re.compile(r"(?P<name>[^&;?#=]*=)[^&;#]*")
_AT = re.compile(r"@(?!sha\d+:)")  # not before an image's digest
_NAMED_HOST = re.compile(r"[a-z0-9.-]*|\[[0-9A-Fa-f:.%]+\]")
_HOST = re.compile(rf"(?:{_NAMED_HOST.pattern})(?::\d{{0,5}})?")
_SIGNS = re.compile("[@?#]")
_SECRET = re.compile(r"\*\*\*@|\?\*\*\*|(?i:auth|code|credential|key|passw|pwd|secret|sig|token)[\w.%~-]*=\*\*\*")


def without_secrets(text: str) -> str:
    """A text with what is secret in its addresses hidden: an address alone, a sentence, or a library's message.

    Scheme, host, port and path stay. What stands before the host (``https://user:password@host``) becomes ``***``, also
    where it is not encoded as it must be, and so do the values of a query's and a fragment's parameters
    (``?X-Amz-Signature=…``), of which the names stay. Where it cannot be told whether an ``@`` ends a password or is
    part of a path, all before it is hidden.
    """
    if not _SIGNS.search(text):
        return text
    text = _MALFORMED.sub(f"://{HIDDEN}@", text)  # a space or a quote in the password
    text = _AFTER_SCHEME.sub(_shown, text)
    text = _WITHOUT_SCHEME.sub(f"{HIDDEN}@", text)
    return _QUERY.sub(lambda match: _VALUE.sub(rf"\g<name>{HIDDEN}", match[0]), text)


def has_secrets(text: str) -> bool:
    """Whether there is an address in a text with a user before its host, or a parameter called as secrets are."""
    redacted = without_secrets(text)
    return redacted != text and _SECRET.search(redacted) is not None


def _shown(match: re.Match[str]) -> str:
    """An address from its scheme's end on, as it may be shown."""
    lead, rest = match.groups()
    end = _end_of_user(rest)
    address, mark, fragment = rest[end:].partition("#")
    path, question, query = address.partition("?")
    if question and "=" in query:
        query = _VALUE.sub(rf"\g<name>{HIDDEN}", query)
    elif question and re.match(r"\w", query):
        query = HIDDEN
    fragment = _VALUE.sub(rf"\g<name>{HIDDEN}", fragment)
    return lead + (f"{HIDDEN}@" if end else "") + path + question + query + mark + fragment


def _end_of_user(rest: str) -> int:
    """Where the host begins; 0 if nothing stands before it."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority or (":" in authority and not _HOST.fullmatch(authority)):
        searched = rest  # a password may have any of these characters, though it must not
    elif _NAMED_HOST.fullmatch(authority):
        return 0
    else:
        searched = re.split("[?#]", rest, maxsplit=1)[0]
    return max((match.end() for match in _AT.finditer(searched)), default=0)


class _WithoutSecrets:
    """A text stream that hides what is secret in addresses, and otherwise is the one behind it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(without_secrets(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def stream_without_secrets(stream: Any) -> Any:
    """A text stream that hides what is secret in addresses before it writes to another one."""
    return stream if isinstance(stream, _WithoutSecrets) else _WithoutSecrets(stream)


def hide_secrets_in_output() -> None:
    """Makes standard output and standard error of this process, and so its logs and tracebacks, hide secrets."""
    streams = {id(stream): stream_without_secrets(stream) for stream in (sys.stdout, sys.stderr)}
    sys.stdout, sys.stderr = streams[id(sys.stdout)], streams[id(sys.stderr)]
    loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    for handler in [handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers]:
        if isinstance(handler, logging.StreamHandler) and id(handler.stream) in streams:  # as KFP's executor has made
            handler.setStream(streams[id(handler.stream)])

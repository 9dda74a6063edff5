"""Against addresses that come with a password, a token or a signature, alone and in the messages of others."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import time
import traceback

import pytest

from modelway.components.core.addresses import has_secrets, stream_without_secrets, without_secrets
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.report.text import printable


@pytest.mark.parametrize(
    ("address", "redacted"),
    [
        ("https://ada:pw@host:9000/a/b.csv", "https://***@host:9000/a/b.csv"),
        ("https://token@host/x", "https://***@host/x"),
        ("https://ada:@host/x", "https://***@host/x"),
        ("http://ada:se%2Fcr%40et@host/x", "http://***@host/x"),
        ("http://ada%3Apw@host", "http://***@host"),
        ("http://ada:p:w@host", "http://***@host"),
        ("http://ada:p@w@host:1/x", "http://***@host:1/x"),
        ("http://ada:p/w@host:1/x", "http://***@host:1/x"),
        ("http://ada:12/34@host:1/x", "http://***@host:1/x"),
        ("http://ada:p@w/x@host/x", "http://***@host/x"),
        ("http://ada:p?w#x@host/", "http://***@host/"),
        ("http://ada:p w@host/x", "http://***@host/x"),
        ("http://ada:p'w@host/x", "http://***@host/x"),
        ("http://ToK/en@host/x", "http://***@host/x"),
        ("http://ada:pw@[::1]:5000/x", "http://***@[::1]:5000/x"),
        ("s3://AKIA:se/cret@bucket/key", "s3://***@bucket/key"),
        ("postgresql+psycopg://ada:pw@db1:5432,db2:5432/runs?sslmode=on", "postgresql+psycopg://***@db1:5432,db2:5432/runs?sslmode=***"),
        ("git+https://x-access-token:ghp_1@github.com/o/r.git", "git+https://***@github.com/o/r.git"),
        ("ssh://git@github.com/o/r", "ssh://***@github.com/o/r"),
        ("/work/https:/ada:pw@host/x.csv", "/work/https:/***@host/x.csv"),
        ("//ada:pw@host:1/x", "//***@host:1/x"),
        ("ada:pw@minio:9000", "***@minio:9000"),
        ("AKIA1:wJa/lr+K@minio:9000/bucket", "***@minio:9000/bucket"),
        ("ada:pw@registry.example/team/loans:1", "***@registry.example/team/loans:1"),
        ("https://ada:pw@registry/loans:1@sha256:ab12", "https://***@registry/loans:1@sha256:ab12"),
        ("https://b.s3/x.csv?X-Amz-Signature=ab&X-Amz-Date=1", "https://b.s3/x.csv?X-Amz-Signature=***&X-Amz-Date=***"),
        ("https://a.blob.core/c/x.csv?sv=1&sig=a%2Fb%3D", "https://a.blob.core/c/x.csv?sv=***&sig=***"),
        ("https://host/x?a=b?c=d;e=f", "https://host/x?a=***;e=***"),
        ("https://host/x?abcdef", "https://host/x?***"),
        ("https://host/x#access_token=abc&id=1", "https://host/x#access_token=***&id=***"),
        ("https://host/#/runs?token=abc", "https://host/#/runs?token=***"),
    ],
)  # fmt: skip
def test_what_is_secret_in_an_address_is_hidden(address: str, redacted: str) -> None:
    assert without_secrets(address) == redacted
    assert without_secrets(redacted) == redacted
    for sentence in (f"MLflow at {address} answers", f"from '{address}'", f'{{"uri": "{address}", "by": "a@x.org"}}'):
        assert without_secrets(sentence) == sentence.replace(address, redacted)


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000/x/y.csv",
        "http://[::1]:5000 by ada@example.org",
        "http://h:5000', 'ada@example.org'",
        "sqlite:////home/ada@corp/x.db",
        "models:/claims@champion",
        "s3://bucket/data@v1.csv",
        "git+https://github.com/o/r@v1.0",
        "git@github.com:o/r.git",
        "localhost:5000/team/loans:1@sha256:abc",
        "by:ada@example.org",
        "mailto:ada@example.org",
        "write http(s)://HOST:PORT; escape /, ? and # in a password by %",
        "it does not speak TLS; is it http:// ?",
        "did you mean https://host:9000?",
        "http://mlflow:5000/#/experiments/1/runs/ab",
        "https://kubernetes.io/docs/tasks/#what-it-does",
        "is a == b? c=d",
        "^(https?|s3)$",
        "{'kind': 'a:b', 'at': '10:30'}",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_the_messages_of_libraries_are_cleaned() -> None:
    text = (
        "HTTPSConnectionPool(host='b.s3', port=443): Max retries exceeded with url: /b/k?X-Amz-Credential=AKIA%2F1&"
        "X-Amz-Signature=planted (Caused by NewConnectionError('http://ada:planted@proxy:3128: refused')), then "
        "postgresql://ada:planted@db/runs\nand https://token-planted@host"
    )
    redacted = without_secrets(text)
    assert "planted" not in redacted
    assert "AKIA" not in redacted
    assert "X-Amz-Signature=*** (Caused by NewConnectionError('http://***@proxy:3128: refused'))" in redacted
    assert redacted.endswith("postgresql://***@db/runs\nand https://***@host")


def test_long_hostile_texts_take_no_time() -> None:
    for text in (
        "a:" * 50_000 + "?",
        "://u:x" * 20_000 + "@",
        "?a=" * 50_000,
        "http://" * 20_000 + "@",
        "://a:b " * 20_000 + "?",
    ):
        start = time.perf_counter()
        without_secrets(text)
        assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("http://prometheus:9090", False),
        ("http://thanos:9090?dedup=true", False),
        ("http://ada:pw@prometheus:9090", True),
        ("http://prometheus:9090?access_token=1", True),
        ("https://host/x?X-Amz-Signature=1", True),
        ("https://host/x?sv=1&sig=1", True),
        ("ada@example.org", False),
        ("registry/loans@sha256:ab", False),
    ],
)
def test_an_address_with_a_secret_is_told_from_others(text: str, secret: bool) -> None:
    assert has_secrets(text) is secret


def test_no_part_of_an_error_has_a_secret() -> None:
    address = "http://ada:planted@host/x?sig=planted"
    error = ModelwayError(f"{address} is away", file=address, value=address, remedy=f"ask {address}")
    assert "planted" not in f"{error} {error.fields()} {error.details()} {error.args} {error!r}"
    assert first_line(ValueError(f"{'x' * 280} {address}")).endswith(" http://***@host/x?s")


def test_what_people_read_has_no_secret() -> None:
    assert printable("http://ada:planted@host/\x1b[0m") == "http://***@host/\\u001b[0m"


def test_a_stream_hides_what_is_written_printed_and_logged() -> None:
    target = io.StringIO()
    stream = stream_without_secrets(target)
    assert stream_without_secrets(stream) is stream
    print("at", "http://ada:planted@host", file=stream)
    stream.writelines(["http://ada:planted@host\n"])
    logger = logging.Logger("planted")
    logger.addHandler(logging.StreamHandler(stream))
    try:
        json.loads("http://ada:planted@host is no JSON")
    except ValueError:
        logger.exception("no answer from %s", "http://ada:planted@host")
        traceback.print_exc(file=stream)
    assert target.getvalue().count("http://***@host") == 5
    assert "planted" not in target.getvalue().replace('"planted"', "")
    assert stream.getvalue() == target.getvalue()


def test_a_process_hides_secrets_in_its_output_and_traceback() -> None:
    code = (
        "import logging, sys; logging.basicConfig()\n"
        "from modelway.components.core.addresses import hide_secrets_in_output as hide; hide()\n"
        "hide(); address = 'http://ada:' + 'plan' + 'ted@host'; print(address); logging.warning(address);"
        "sys.exit(0 if sys.stdout.fileno() == 1 else 9) if len(sys.argv) > 1 else open(address)"
    )
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stdout == "http://***@host\n"
    assert failed.stderr.count("http://***@host") == 2
    assert "planted" not in failed.stderr
    assert subprocess.run([sys.executable, "-c", code, "end"], capture_output=True, check=False).returncode == 0

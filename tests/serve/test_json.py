from __future__ import annotations

import pytest

from modelway.components.serve.errors import RequestError
from modelway.components.serve.json import decode_object, encode_object


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_object_is_decoded_in_any_unicode_encoding(encoding: str) -> None:
    assert decode_object('{"city": "Zürich"}'.encode(encoding)) == {"city": "Zürich"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "must be a JSON object"),
        (b'{"data": [NaN]}', "write null"),
        (b'{"data": [{"a": 1, "b": 2, "b": 3}]}', "the key 'b' stands twice in one object"),
        (b'{"data": ' + b"9" * 5000 + b"}", "the body is not JSON"),
        ('{"a": "\ud800"}'.encode("utf-8", "surrogatepass"), "the body is not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_with_400(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        decode_object(body)
    assert error.value.status == 400
    assert message in error.value.message


def test_an_object_is_encoded_without_blanks_and_never_with_nan() -> None:
    assert encode_object({"data": [1.5, None, "é"]}) == b'{"data":[1.5,null,"\\u00e9"]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_object({"data": [float("nan")]})

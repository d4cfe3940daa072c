import pytest

from apiclient import parse_base_url


@pytest.mark.parametrize(
    ("text", "base", "netloc"),
    [
        ("https://gw.example", "https://gw.example", "gw.example"),
        ("https://gw.example/", "https://gw.example", "gw.example"),
        ("https://gw.example/api", "https://gw.example", "gw.example"),
        ("https://gw.example/api/", "https://gw.example", "gw.example"),
        ("HTTPS://GW.example:443/api", "https://gw.example", "gw.example"),
        ("http://gw.example:8003", "http://gw.example:8003", "gw.example:8003"),
        ("https://gw.example/llm/api", "https://gw.example/llm", "gw.example"),
        ("https://gw.example//api/api", "https://gw.example", "gw.example"),
        ("http://127.0.0.1:80/api", "http://127.0.0.1", "127.0.0.1"),
        ("http://[::1]:8003/", "http://[::1]:8003", "[::1]:8003"),
        (
            "https://münchen.example",
            "https://xn--mnchen-3ya.example",
            "xn--mnchen-3ya.example",
        ),
    ],
)
def test_every_form_becomes_one(text: str, base: str, netloc: str) -> None:
    """S-01."""
    url = parse_base_url(text)

    assert str(url) == base
    assert url.netloc == netloc


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "gw.example",
        "ftp://gw.example",
        "file:///etc/passwd",
        "https://",
        "https:///api",
        "https://user:SECRET@gw.example",
        "https://SECRET@gw.example",
        "https://@gw.example",
        "https://gw.example?key=SECRET",
        "https://gw.example#SECRET",
        "https://gw.example:0",
        "https://gw.example:99999",
        "https://gw.example:x",
        "https://gw .example",
        "https://gw.example/a b",
        "https://gw.example\n",
        "https://gw.example\\@evil.example",
        "https://[::1",
        "https://[nonsense]",
        "https://-gw.example",
        "https://gw..example",
        "https://gw.example/../x",
        "https://gw.example/%0a<",
        "https://" + "a" * 64 + ".example",
    ],
)
def test_what_is_not_a_base_url_is_one_sentence_without_secrets(text: str) -> None:
    """C-06."""
    with pytest.raises(ValueError, match="the base URL") as caught:
        parse_base_url(text)

    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)

"""What a token looks like, and what is read as one."""

import string

from hypothesis import given
from hypothesis import strategies as st

from atoll_host import errors
from atoll_host.access import credentials, tokens


def test_a_token_reads_as_what_it_was_and_shows_its_secret_to_nobody():
    token = tokens.make()
    assert tokens.parse(token.bearer) == token
    assert token.secret not in repr(token)
    assert token.matches(token.digest)
    assert not token.matches(tokens.make().digest)
    sent = credentials.Credentials((f"Bearer {token.bearer}",))
    assert sent.token() == token
    assert token.secret not in repr(sent)


@given(st.text(max_size=100))
def test_a_text_is_read_as_a_token_only_if_it_is_exactly_one(text: str):
    found = tokens.parse(text)
    assert found is None or found.bearer == text


@given(st.data())
def test_any_change_of_a_token_is_another_or_none(data: st.DataObject):
    token = tokens.make()
    at = data.draw(st.integers(0, len(token.bearer) - 1))
    other = data.draw(st.sampled_from(string.printable))
    changed = token.bearer[:at] + other + token.bearer[at + 1 :]
    found = tokens.parse(changed)
    assert changed == token.bearer or found is None or found != token


@given(st.lists(st.text(max_size=60), max_size=3))
def test_headers_give_a_token_or_none_or_are_refused(values: list[str]):
    try:
        found = credentials.Credentials(tuple(values)).token()
    except errors.CredentialsInvalid:
        assert values
    else:
        assert (found is None) == (not values)


def test_a_certificate_counts_only_over_a_secure_connection():
    known = {"peer_uri": [b"atoll:location:sales"], "transport_security_type": [b"ssl"]}
    assert credentials.of_metadata((), known).location_name == "sales"
    assert credentials.of_metadata((), {**known, "transport_security_type": [b"insecure"]}) == (
        credentials.NONE
    )
    two = {**known, "peer_uri": [b"atoll:location:sales", b"atoll:location:hr"]}
    assert credentials.of_metadata((), two).location_name == ""
    assert credentials.of_metadata((), {**known, "peer_uri": [b"atoll:user:ci"]}).user_name == "ci"

"""Options before contexts before the environment, and no context's secrets for another's host."""

from hypothesis import given, settings
from hypothesis import strategies as st

from atoll._cli import context_files, targeting

_TEXTS = st.sampled_from(["", "a:1", "b:2"])
_SAID = st.builds(targeting.Settings, _TEXTS, _TEXTS, _TEXTS, _TEXTS, _TEXTS)
_CONTEXTS = st.none() | st.builds(
    context_files.Context,
    st.just("prod"),
    st.sampled_from(["a:1", "b:2", "c:3"]),
    *[st.sampled_from(["", f"prod-{part}"]) for part in ("ca", "cert", "key", "token")],
)


def target(options, environment, context, *, named=False):
    return targeting.target(options, environment, context, is_named=named, default_host="default:0")


PROD = context_files.Context("prod", "p:1", "prod-ca")


def test_what_is_said_nearer_wins():
    nothing = targeting.Settings()
    around = targeting.Settings(host="e:1", token="secret")
    said = targeting.Settings(host="o:1", token="file")
    assert target(nothing, nothing, None).host == "default:0"
    assert target(nothing, nothing, PROD).host == "p:1"
    assert target(nothing, around, PROD).host == "e:1"
    assert target(nothing, around, PROD, named=True).host == "p:1"
    assert target(said, around, PROD, named=True).host == "o:1"
    assert target(said, around, PROD).token_file == "file"
    assert target(nothing, around, PROD, named=True).token_from is targeting.TokenFrom.LOGIN
    same_host = targeting.Settings(host="p:1", token="secret")
    assert target(nothing, same_host, PROD).token_from is targeting.TokenFrom.ENVIRONMENT


@settings(max_examples=200, deadline=None)
@given(_SAID, _SAID, _CONTEXTS, st.booleans())
def test_what_a_context_holds_is_for_its_own_host(options, environment, context, named):
    found = target(options, environment, context, named=named)
    used = [found.ca_file, found.cert_file, found.key_file, found.token_file]
    if context is None or found.host != context.host:
        assert found.context is None
        assert found.token_from is not targeting.TokenFrom.LOGIN
        assert not any(text.startswith("prod-") for text in used)
    if options.host:
        assert found.host == options.host
    if options.token:
        assert found.token_file == options.token


@settings(max_examples=200, deadline=None)
@given(_SAID, _SAID, _CONTEXTS, st.booleans())
def test_a_certificate_and_its_key_are_from_one_place(options, environment, context, named):
    found = target(options, environment, context, named=named)
    places = [options, environment, *([context] if found.context else [])]
    shown = (found.cert_file, found.key_file)
    assert shown == ("", "") or shown in [(each.cert_file, each.key_file) for each in places]

"""Tokens of an identity provider: which are taken, whom they make known, and while it is away."""

import hashlib
import hmac
import json
import time

import jwt
import pytest

from atoll._rpc import errors as rpc_errors
from atoll.client import errors
from atoll_host.access import access_settings, oidc_settings, people, provider_keys
from tests.host.access import provider as providers
from tests.host.access.conftest import World
from tests.host.access.test_who_is_let_in import refusal
from tests.integration import conftest as integration

GROUPS = [
    {"group": "data", "role": "operator", "locations": ["sales"]},
    {"group": "chiefs", "role": "admin"},
    {"group": "*", "role": "viewer", "locations": ["weather"]},
]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.passed_s


@pytest.fixture
def provider():
    with providers.serving() as made:
        yield made


def settings_of(provider: providers.Provider, **changes) -> oidc_settings.OidcSettings:
    groups = [oidc_settings.GroupSettings(**each) for each in GROUPS]
    values = {"issuer": provider.issuer, "client_id": providers.CLIENT_ID, "groups": groups}
    return oidc_settings.OidcSettings(**{**values, **changes})


@pytest.fixture
async def world(database_url: str, tmp_path, provider):
    made = World(integration.Mesh(database_url), tmp_path)
    made.access = access_settings.AccessSettings(oidc=settings_of(provider))
    made.host = await made.mesh.host(access=made.access, data_dir=tmp_path)
    yield made
    await made.close()


async def _me(world: World, token: str):
    return await (await world.client(token)).access.who_am_i()


async def test_whoever_logged_in_is_known_by_their_groups(world: World, provider):
    me = await _me(world, provider.token())
    assert (me.name, me.kind, me.credential_id) == ("ada@example.org", "person", "ada-1")
    assert [list(grant.location_names) for grant in me.grants] == [["sales"], ["weather"]]
    me = await _me(world, provider.token(provider.keys[1], groups="chiefs", email=None))
    assert me.name == "ada-1"
    assert not me.grants[0].location_names
    # Anybody can claim an address that nobody verified.
    me = await _me(world, provider.token(email_verified=False, groups=[]))
    assert me.name == "ada-1"
    assert [list(grant.location_names) for grant in me.grants] == [["weather"]]


async def test_the_host_tells_anybody_how_to_log_in(world: World, provider):
    options = await (await world.client("")).access.login_options()
    assert options.oidc.issuer == provider.issuer
    assert options.oidc.client_id == providers.CLIENT_ID
    assert "offline_access" in options.oidc.scopes


def _signed(key: providers.Key, claims: dict) -> str:
    """Return a token whose claims no library would take."""
    payload, headers = json.dumps(claims).encode(), {"kid": key.key_id, "typ": "JWT"}
    return jwt.api_jws.encode(payload, key.private, key.algorithm, headers)


def _wrong(provider: providers.Provider) -> dict[str, str]:
    """Return tokens by what is wrong with them."""
    now, key, good = int(time.time()), provider.keys[0], provider.token()
    other = providers.Key(key.key_id)
    header, claims = {"typ": "JWT", "kid": key.key_id}, provider.claims()
    signed = provider.forged({**header, "alg": "HS256"}, claims).rstrip(".")
    public = str(key.public["n"]).encode()
    mac = hmac.new(public, signed.encode(), hashlib.sha256).digest()
    return {
        "another audience": provider.token(aud="another"),
        "no audience": provider.token(aud=None),
        "another party of several": provider.token(aud=[providers.CLIENT_ID, "b"], azp="b"),
        "several and no party": provider.token(aud=[providers.CLIENT_ID, "b"]),
        "another issuer": provider.token(iss="https://elsewhere.example.org"),
        "an issuer with a slash more": provider.token(iss=f"{provider.issuer}/"),
        "expired": provider.token(exp=now - 31),
        "never expiring": provider.token(exp=None),
        "expiring when nothing does": _signed(key, {**claims, "exp": float("nan")}),
        "an end that is no number": _signed(key, {**claims, "exp": "soon"}),
        "not yet valid": provider.token(nbf=now + 60),
        "made in the future": provider.token(iat=now + 60),
        "of nobody": provider.token(sub=None),
        "unsigned": provider.forged({**header, "alg": "none"}, claims),
        "unsigned, in other letters": provider.forged({**header, "alg": "nOnE"}, claims),
        "signed with the public key": provider.forged({**header, "alg": "HS256"}, claims, mac),
        "signed by somebody else": provider.token(other),
        "the key of another algorithm": provider.token(key, {"kid": "curve"}),
        "an unknown key": provider.token(headers={"kid": "unknown"}),
        "a key of its own": provider.token(other, {"jwk": other.public, "kid": "x"}),
        "changed": good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        "of a log-out": provider.token(headers={"typ": "logout+jwt"}),
        "of a log-out, by its claim": provider.token(events={"logout": {}}),
        "cut": good.rpartition(".")[0] + ".",
        "with a critical extension": provider.token(headers={"crit": ["x"], "x": 1}),
    }


async def test_whatever_is_wrong_with_one_is_answered_alike(world: World, provider):
    await _me(world, provider.token())
    channel = world.channel("")
    answers = set()
    for what, token in _wrong(provider).items():
        error = await refusal(channel, ("authorization", f"Bearer {token}"))
        assert isinstance(error, rpc_errors.UnauthenticatedError), what
        answers.add((error.reason, error.message))
    assert len(answers) == 1
    assert (await _me(world, provider.token(exp=int(time.time()) - 5))).kind == "person"


async def test_a_key_counts_once_it_is_published_and_no_longer_than_that(provider):
    clock = Clock()
    keys = provider_keys.ProviderKeys(provider.issuer, clock)
    await keys.start()
    try:
        assert await keys.key("first") is not None
        assert await keys.key("second") is None
        provider.keys = [providers.Key("second")]
        # Whoever invents keys does not make the host ask again and again.
        for number in range(50):
            assert await keys.key(f"invented {number}") is None
        assert provider.key_fetches == 1
        clock.passed_s += provider_keys.REFETCH_AFTER_S
        assert await keys.key("second") is not None
        assert await keys.key("first") is None
        assert provider.key_fetches == 2
    finally:
        await keys.stop()


async def test_while_the_provider_is_away_its_people_stay(world: World, provider, caplog):
    before = provider.token()
    await _me(world, before)
    provider.is_away = True
    keys = world.host.parts.provider_keys[0]
    keys._asked_at -= provider_keys.REFETCH_AFTER_S
    unknown = provider.token(providers.Key("new"))
    with pytest.raises(errors.UnauthenticatedError):
        await _me(world, unknown)
    assert "cannot be fetched" in caplog.text
    assert (await _me(world, before)).kind == "person"
    assert (await _me(world, provider.token(sub="grace-2", email=None))).name == "grace-2"


async def test_who_says_to_be_another_provider_is_not_believed(provider):
    provider.said_issuer = "https://elsewhere.example.org"
    with pytest.raises(provider_keys.ProviderError, match=r"elsewhere.*Check `issuer`"):
        provider_keys.fetch(provider.issuer)


def test_secret_keys_and_those_that_encrypt_are_left_out(provider):
    good = provider.keys[0].public
    listed = [
        {"kty": "oct", "k": "AAAA", "kid": "secret"},
        {**good, "use": "enc", "kid": "encrypts"},
        {"kty": "RSA", "kid": "broken"},
        {"kty": "EC", "crv": "unheard of", "kid": "strange"},
        "nonsense",
        good,
    ]
    assert list(provider_keys.usable(listed)) == ["first"]


def test_groups_are_found_where_the_settings_say(provider):
    settings = settings_of(provider, groups_claim="realm.roles", name_claim="login")
    claims = {"sub": "x", "login": "ada\n", "realm": {"roles": ["chiefs", 7]}, "email": "no"}
    caller = people.caller_of(claims, settings)
    assert (caller.name, len(caller.grants)) == ("ada", 2)
    named = people.caller_of({"sub": "x", "realm.roles": "data", "realm": 3}, settings)
    assert [grant.locations for grant in named.grants] == [{"sales"}, {"weather"}]


@pytest.mark.parametrize(
    "issuer",
    ["http://id.example.org", "ftp://x", "https://", "https://a@b.example.org", "id.example.org"],
)
def test_a_provider_is_asked_over_tls_only(issuer):
    with pytest.raises(ValueError, match="https"):
        oidc_settings.OidcSettings(issuer=issuer, client_id="x")


def test_access_tokens_need_an_audience():
    with pytest.raises(ValueError, match="audience"):
        oidc_settings.OidcSettings(
            issuer="https://id.example.org", client_id="x", bearer="access_token"
        )

"""An identity provider: discovery, keys, the device grant, refresh and revocation, over HTTP."""

import base64
import contextlib
import json
import secrets
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette import applications, requests, responses, routing

CLIENT_ID = "atoll-cli"
WITHIN_S = 10.0
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Key:
    """A key that signs."""

    def __init__(self, key_id: str, algorithm: str = "RS256") -> None:
        self.key_id = key_id
        self.algorithm = algorithm
        self.private = (
            rsa.generate_private_key(65537, 2048)
            if algorithm.startswith(("RS", "PS"))
            else ec.generate_private_key(ec.SECP256R1())
        )

    @property
    def public(self) -> dict:
        """What the provider tells of it."""
        kind = jwt.algorithms.RSAAlgorithm if self.algorithm[0] in "RP" else None
        made = (kind or jwt.algorithms.ECAlgorithm).to_jwk(self.private.public_key(), as_dict=True)
        return {**made, "kid": self.key_id, "use": "sig", "alg": self.algorithm}


class Provider:
    """See the module. What it answers can be changed while it runs."""

    def __init__(self) -> None:
        self.keys = [Key("first"), Key("curve", "ES256")]
        self.is_away = False
        self.approved = True
        self.groups = ["data"]
        self.lifetime_s = 300
        self.issuer = ""
        self.said_issuer = ""
        self.refresh_tokens: set[str] = set()
        self.asked: list[str] = []
        self.refusals: list[str] = []
        self.key_fetches = 0

    def claims(self, **changes) -> dict:
        """Return what a token says; None leaves a claim out."""
        now = int(time.time())
        said = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "ada-1",
            "email": "ada@example.org",
            "groups": self.groups,
            "iat": now,
            "exp": now + self.lifetime_s,
            **changes,
        }
        return {name: value for name, value in said.items() if value is not None}

    def token(self, key: Key | None = None, headers: dict | None = None, **changes) -> str:
        """Return a token."""
        key = key or self.keys[0]
        headers = {"kid": key.key_id, **(headers or {})}
        claims = self.claims(**changes)
        return jwt.encode(claims, key.private, key.algorithm, headers=headers)

    def forged(self, header: dict, claims: dict, signature: bytes = b"") -> str:
        """Return a token that no library would make."""
        parts = [json.dumps(part).encode() for part in (header, claims)]
        return ".".join(
            base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature)
        )

    async def discovery(self, _request: requests.Request) -> responses.Response:
        if self.is_away:
            return responses.Response(status_code=503)
        return responses.JSONResponse(
            {
                "issuer": self.said_issuer or self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
                "device_authorization_endpoint": f"{self.issuer}/device",
                "token_endpoint": f"{self.issuer}/token",
                "revocation_endpoint": f"{self.issuer}/revoke",
            }
        )

    async def jwks(self, _request: requests.Request) -> responses.Response:
        self.key_fetches += 1
        return responses.JSONResponse({"keys": [key.public for key in self.keys]})

    async def device(self, request: requests.Request) -> responses.Response:
        form = await _form(request)
        assert form["client_id"] == CLIENT_ID
        assert "openid" in form["scope"].split()
        return responses.JSONResponse(
            {
                "device_code": "device-1",
                "user_code": "ABCD-EFGH",
                "verification_uri": f"{self.issuer}/go",
                "expires_in": 60,
                "interval": 1,
            }
        )

    async def tokens(self, request: requests.Request) -> responses.Response:
        form = await _form(request)
        self.asked.append(form["grant_type"])
        if self.refusals:
            return responses.JSONResponse({"error": self.refusals.pop(0)}, status_code=400)
        if form["grant_type"] == "refresh_token":
            # Each is good once, as providers have it that rotate them.
            if form["refresh_token"] not in self.refresh_tokens:
                return responses.JSONResponse({"error": "invalid_grant"}, status_code=400)
            self.refresh_tokens.discard(form["refresh_token"])
        else:
            assert form["grant_type"] == _DEVICE_GRANT
            assert form["device_code"] == "device-1"
        refresh = secrets.token_hex(8)
        self.refresh_tokens.add(refresh)
        return responses.JSONResponse(
            {
                "access_token": "opaque",
                "id_token": self.token(),
                "refresh_token": refresh,
                "token_type": "Bearer",
                "expires_in": self.lifetime_s,
            }
        )

    async def revoke(self, request: requests.Request) -> responses.Response:
        self.refresh_tokens.discard((await _form(request))["token"])
        return responses.Response()


async def _form(request: requests.Request) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl((await request.body()).decode()))


@contextlib.contextmanager
def serving() -> Iterator[Provider]:
    """Serve a provider in a thread of its own."""
    made = Provider()
    routes = [
        routing.Route("/.well-known/openid-configuration", made.discovery),
        routing.Route("/keys", made.jwks),
        routing.Route("/device", made.device, methods=["POST"]),
        routing.Route("/token", made.tokens, methods=["POST"]),
        routing.Route("/revoke", made.revoke, methods=["POST"]),
    ]
    app = applications.Starlette(routes=routes)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made.issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield made
        server.should_exit = True
        thread.join(WITHIN_S)

"""The pages beside the calls: the description of the API, and a page to try it.

Made by `host`, served by `application`. The page is Swagger UI from a distribution that brings its
files along: a browser asks nobody but the host, and the content security policy holds it to that.
"""

import functools
import importlib.util
import json
import pathlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette import requests, responses, routing

from atoll._rpc import serving as rpc_serving
from atoll_host.http import commenting, endpoints, openapi

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_FILES: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Atoll: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/files/swagger-ui.css">
</head>
<body>
<main id="page"></main>
<script src="/docs/files/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """\
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#page",
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
});
"""


def routes(
    services: Sequence[rpc_serving.Service], *, version: str, credentials_required: bool
) -> tuple[routing.BaseRoute, ...]:
    """Return the routes of the pages.

    Args:
        services: What is described.
        version: The version of the distribution.
        credentials_required: Whether calls need credentials.
    """

    @functools.cache
    def described() -> bytes:
        methods = (method for method, _ in endpoints.methods_of(services).values())
        made = openapi.document(
            methods,
            commenting.load(),
            version=version,
            credentials_required=credentials_required,
        )
        return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()

    async def openapi_json(_: requests.Request) -> responses.Response:
        return responses.Response(described(), media_type="application/json")

    async def page(_: requests.Request) -> responses.Response:
        return responses.HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY})

    async def start(_: requests.Request) -> responses.Response:
        return responses.Response(_START, media_type="text/javascript")

    return (
        routing.Route("/openapi.json", openapi_json, methods=["GET"]),
        routing.Route("/docs", page, methods=["GET"]),
        routing.Route("/docs/start.js", start, methods=["GET"]),
        *(routing.Route(f"/docs/files/{name}", _file(name), methods=["GET"]) for name in _FILES),
    )


def _file(name: str) -> Callable[[requests.Request], Awaitable[responses.Response]]:
    """Return what answers with one of the files that Swagger UI brings along."""

    async def answer(_: requests.Request) -> responses.Response:
        return responses.FileResponse(_folder() / name)

    return answer


@functools.cache
def _folder() -> pathlib.Path:
    # Its files are all that is wanted: its code is for other frameworks and is not imported.
    found = importlib.util.find_spec("swagger_ui")
    places = found.submodule_search_locations if found is not None else None
    return pathlib.Path(places[0] if places else "") / "static"

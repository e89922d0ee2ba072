"""What the modules of ``atoll.client.sync`` hold, as text, from the modules of ``atoll.client``."""

import ast
import dataclasses
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).parents[3]
CLIENT = REPOSITORY / "code_server/src/atoll/client"
SYNC = CLIENT / "sync"
WRITTEN_BY_HAND = {"portal.py", "watches.py"}
# What they hold has no twin: the core of calls, and what only turns messages into text.
_WITHOUT_TWIN = {"__init__", "calls", "connection", "documents", "errors", "narration", "watches"}
_Method = ast.FunctionDef | ast.AsyncFunctionDef
_WATCH = "watches.Watch["
_ASYNC_ITERATORS = {"AsyncIterator", "AsyncGenerator"}


@dataclasses.dataclass(frozen=True)
class Source:
    """A module of the asynchronous client."""

    name: str
    tree: ast.Module

    def twins(self) -> list[ast.ClassDef]:
        """Return the classes that get a twin."""
        return [
            node
            for node in self.tree.body
            if isinstance(node, ast.ClassDef)
            and not node.name.startswith("_")
            and any(_is_asynchronous(method) for method in node.body)
        ]


class _Annotations(ast.NodeTransformer):
    """Makes annotations of the original fit the twin, and notes the names they need."""

    def __init__(self, source: Source) -> None:
        self.twins = {node.name for node in source.twins()}
        self._own = {
            name for node in source.tree.body for name in _defined(node) if name not in self.twins
        }
        # Names of the module for watches of one kind of item: the twin says it in full.
        self._watches = {
            name: node.value
            for node in source.tree.body
            if isinstance(node, ast.AnnAssign) and node.value is not None
            for name in _defined(node)
            if ast.unparse(node.value).startswith(_WATCH)
        }
        self.names: set[str] = set()

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            inner = ast.parse(node.value, mode="eval").body
            return self.visit(inner)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "Literal":
            self.names.add("Literal")
            return node
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self._watches:
            return self.visit(self._watches[node.id])
        if node.id in self._own:
            return ast.Attribute(ast.Name("original"), node.id)
        name = {"AsyncIterator": "Iterator", "AsyncGenerator": "Iterator"}.get(node.id, node.id)
        if name in self.twins:
            return ast.Constant(name)
        self.names.add(name)
        return ast.Name(name)


def sources() -> list[Source]:
    """Return the modules that have something with a twin."""
    found = [
        Source(path.stem, ast.parse(path.read_text()))
        for path in sorted(CLIENT.glob("*.py"))
        if path.stem not in _WITHOUT_TWIN and not path.stem.startswith("_")
    ]
    return [source for source in found if source.twins()]


def modules() -> dict[str, str]:
    """Return the text of every generated module, by the name of its file."""
    made = {f"{source.name}.py": _module(source) for source in sources()}
    made["connection.py"] = _connection()
    made["__init__.py"] = _INIT
    return {name: _formatted(text) for name, text in made.items()}


def _module(source: Source) -> str:
    annotations = _Annotations(source)
    classes = [_twin(node, annotations) for node in source.twins()]
    about = (ast.get_docstring(source.tree) or "").splitlines()[0]
    lines = [f'"""{about}', "", "For programs that do not await.", '"""', ""]
    lines += [ast.unparse(node) for node in _imports(source, annotations.names)]
    lines += [f"from atoll.client import {source.name} as original"]
    if "watches" in annotations.names:
        lines += ["from atoll.client.sync import watches"]
    lines += ["from atoll.client.sync import portal as portals", ""]
    return "\n".join([*lines, *classes])


def _twin(node: ast.ClassDef, annotations: _Annotations) -> str:
    lines = [
        f"class {node.name}:",
        _docstring(node, 4),
        "",
        f"    def __init__(self, portal: portals.Portal, inner: original.{node.name}) -> None:",
        "        self._portal = portal",
        "        self._inner = inner",
        "",
    ]
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            lines += _method(method, annotations, node)
    return "\n".join(lines)


def _method(method: _Method, annotations: _Annotations, owner: ast.ClassDef) -> list[str]:
    if method.name in _PROTOCOL:
        return _PROTOCOL[method.name](annotations, method, owner)
    if method.name.startswith("_"):
        return []
    returned = _returned(method, annotations)
    arguments = _signature(method, annotations)
    given = f"self._inner.{method.name}({_given(method)})"
    if any(isinstance(one, ast.Name) and one.id == "property" for one in method.decorator_list):
        head = ["    @property"]
        body = [f"        return self._inner.{method.name}"]
    else:
        head = []
        body = [f"        {_answer(method, returned, given, annotations)}"]
    return [
        *head,
        f"    def {method.name}({arguments}) -> {returned}:",
        _docstring(method, 8),
        *body,
        "",
    ]


def _returned(method: _Method, annotations: _Annotations) -> str:
    return ast.unparse(annotations.visit(method.returns)) if method.returns else "None"


def _answer(
    method: _Method,
    returned: str,
    given: str,
    annotations: _Annotations,
) -> str:
    if returned.startswith("Iterator["):
        return f"return self._portal.iterate(lambda: {given})"
    if isinstance(method, ast.AsyncFunctionDef):
        return f"return self._portal.run({given})"
    plain = given.removesuffix("()")
    made = f"self._portal.call({plain if plain != given else 'lambda: ' + given})"
    if returned.startswith(_WATCH):
        return f"return watches.Watch(self._portal, {made})"
    twin = returned.strip("'\"")
    if twin in annotations.twins:
        return f"return {twin}(self._portal, {made})"
    return f"return {made}"


def _enter(_: _Annotations, __: _Method, owner: ast.ClassDef) -> list[str]:
    return [
        f'    def __enter__(self) -> "{owner.name}":  # noqa: PYI034  # no Self in Python 3.10',
        "        self._portal.run(self._inner.__aenter__())",
        "        return self",
        "",
    ]


def _leave(_: _Annotations, __: _Method, ___: ast.ClassDef) -> list[str]:
    return [
        "    def __exit__(self, *_: object) -> None:",
        "        self._portal.run(self._inner.__aexit__(None, None, None))",
        "",
    ]


def _iter(annotations: _Annotations, method: _Method, _: ast.ClassDef) -> list[str]:
    return [
        f"    def __iter__(self) -> {_returned(method, annotations)}:",
        "        return self",
        "",
    ]


def _next(annotations: _Annotations, method: _Method, _: ast.ClassDef) -> list[str]:
    return [
        f"    def __next__(self) -> {_returned(method, annotations)}:",
        "        return self._portal.following(self._inner)",
        "",
    ]


_PROTOCOL = {
    "__aenter__": _enter,
    "__aexit__": _leave,
    "__aiter__": _iter,
    "__anext__": _next,
}


def _signature(method: _Method, annotations: _Annotations) -> str:
    arguments = ast.parse(ast.unparse(method.args).join(("def f(", "): ...")))
    made = arguments.body[0]
    assert isinstance(made, ast.FunctionDef)
    for one in (*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs):
        if one.annotation is not None:
            one.annotation = annotations.visit(one.annotation)
    made.args.defaults = [_default(one, annotations) for one in made.args.defaults]
    made.args.kw_defaults = [one and _default(one, annotations) for one in made.args.kw_defaults]
    return ast.unparse(made.args)


def _default(value: ast.expr, annotations: _Annotations) -> ast.expr:
    translated = value if isinstance(value, ast.Constant) else annotations.visit(value)
    assert isinstance(translated, ast.expr)
    return translated


def _given(method: _Method) -> str:
    positional = [one.arg for one in (*method.args.posonlyargs, *method.args.args)][1:]
    return ", ".join([*positional, *(f"{one.arg}={one.arg}" for one in method.args.kwonlyargs)])


def _imports(source: Source, names: set[str]) -> list[ast.stmt]:
    kept: list[ast.stmt] = []
    names = names - {"watches"}  # the module of the twin is imported instead
    for node in source.tree.body:
        if isinstance(node, ast.Import):
            found = [one for one in node.names if (one.asname or one.name.split(".")[0]) in names]
            if found:
                kept.append(ast.Import(found))
        elif isinstance(node, ast.ImportFrom):
            translated = [
                ast.alias("Iterator") if one.name in _ASYNC_ITERATORS else one for one in node.names
            ]
            wanted = [one for one in translated if (one.asname or one.name) in names]
            if wanted:
                unique = {one.asname or one.name: one for one in wanted}
                kept.append(ast.ImportFrom(node.module, list(unique.values()), node.level))
    return kept


def _connection() -> str:
    nouns = [
        (source.name, node.name)
        for source in sources()
        for node in source.twins()
        if any(
            isinstance(method, ast.FunctionDef)
            and method.name == "__init__"
            and any(one.arg == "channel" for one in method.args.args)
            for method in node.body
        )
    ]
    tree = ast.parse((CLIENT / "connection.py").read_text())
    (client,) = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Client"
    ]
    (connect,) = [
        node
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "connect"
    ]
    fields = {
        node.target.id: ast.unparse(node.annotation)
        for node in client.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    twins = {f"{module}.{name}" for module, name in nouns}
    used = sorted({kind.split(".")[0] for kind in fields.values() if kind in twins})
    original = Source("connection", tree)
    annotations = _Annotations(original)
    signature = _signature(connect, annotations)
    imports = _imports(original, annotations.names | {"server_info_pb2"})
    given = [
        f"{name}={kind}(portal, inner.{name})" if kind in twins else f"{name}=inner.{name}"
        for name, kind in fields.items()
    ]
    text = ["    " + line for line in _docstring(connect, 0).splitlines()]
    return "\n".join(
        [
            '"""The connection to a host, for programs that do not await."""',
            "",
            "import contextlib",
            "import dataclasses",
            "from collections.abc import Generator",
            *[ast.unparse(node) for node in imports if "contextlib" not in ast.unparse(node)],
            "from atoll.client import connection as original",
            f"from atoll.client.sync import portal as portals, {', '.join(used)}",
            "",
            "@dataclasses.dataclass(frozen=True)",
            "class Client:",
            _docstring(client, 4),
            "",
            *[f"    {name}: {kind}" for name, kind in fields.items()],
            "",
            "@contextlib.contextmanager",
            f"def connect({signature}) -> Generator[Client, None, None]:",
            *text,
            "    portal = portals.Portal()",
            "    try:",
            f"        connecting = original.connect({_given_of(connect)})",
            "        inner = portal.run(connecting.__aenter__())",
            "        try:",
            f"            yield Client({', '.join(given)})",
            "        finally:",
            "            portal.run(connecting.__aexit__(None, None, None))",
            "    finally:",
            "        portal.close()",
        ]
    )


def _given_of(function: ast.AsyncFunctionDef) -> str:
    positional = [one.arg for one in function.args.args]
    return ", ".join([*positional, *(f"{one.arg}={one.arg}" for one in function.args.kwonlyargs)])


def _docstring(
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, indentation: int
) -> str:
    text = ast.get_docstring(node, clean=True) or ""
    text = text.replace("an asynchronous context manager", "a context manager")
    first, *rest = text.splitlines()
    space = " " * indentation
    lines = [f'{space}"""{first}', *[f"{space}{line}" if line else "" for line in rest]]
    if rest:
        return "\n".join([*lines, f'{space}"""'])
    return f'{lines[0]}"""'


def _is_asynchronous(node: ast.stmt) -> bool:
    if isinstance(node, ast.AsyncFunctionDef):
        return not node.name.startswith("_") or node.name == "__anext__"
    return (
        isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.returns is not None
        and any(kind in ast.unparse(node.returns) for kind in (*_ASYNC_ITERATORS, _WATCH))
    )


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _formatted(text: str) -> str:
    """Return the text as the formatter of the repository writes it."""
    for command in (
        ["check", "--fix", "--exit-zero", "--quiet", "--select", "I"],
        ["format", "--quiet"],
    ):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *command,
                "--stdin-filename",
                str(SYNC / "made.py"),
                "-",
            ],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=REPOSITORY,
            timeout=30,
        )
        text = done.stdout
    return text


_INIT = '''"""The client of a host for programs that do not await: the same nouns, the same methods.

    from atoll.client.sync import connection

    with connection.connect("127.0.0.1:4700") as host:
        run = host.runs.wait(host.runs.launch(launch).run_id)

Made from the asynchronous client by ``python -m tests.architecture.sync_client``; every call runs
there, in a thread of the connection.
"""
'''

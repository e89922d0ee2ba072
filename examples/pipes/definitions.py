"""Three assets made by programs outside Atoll: in Python, as a shell script and in JavaScript.

Each program gets the context of the asset and reports as it goes. The asset runs it and hands on
what it reported.
"""

import pathlib
import sys

import atoll as dg

HERE = pathlib.Path(__file__).parent

# A program may have any interpreter and any packages: here, the Python of an environment.
programs = dg.PipesSubprocessClient(cwd=HERE)


@dg.asset
def orders(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Orders of a day, computed by a Python program that needs no Atoll but one copied file."""
    command = [sys.executable, "orders.py"]
    done = programs.run(context=context, command=command, extras={"day": "2024-05-01"})
    return done.get_materialize_result()


@dg.asset
def sizes(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Sizes of files, computed by a shell script."""
    return programs.run(context=context, command="bash sizes.sh").get_materialize_result()


@dg.asset
def weather(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The weather, computed by a JavaScript program."""
    done = programs.run(context=context, command="node weather.mjs", extras={"city": "Papeete"})
    return done.get_materialize_result()


defs = dg.Definitions(assets=[orders, sizes, weather])

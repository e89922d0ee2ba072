"""Types: what the values of inputs and outputs must be, checked at every step.

Called by the decorators, which turn annotations into types (`resolve`), and what was given as
`type=` (`resolve_argument`); and by the engine, which checks values (`Type.type_check`) and loads
inputs from run configuration (`Type.loader`). All of it is made in `value_types`.
"""

from atoll._definitions.value_types.builtin import ANY as ANY
from atoll._definitions.value_types.builtin import NOTHING as NOTHING
from atoll._definitions.value_types.collection import distinct as distinct
from atoll._definitions.value_types.definition import PythonObjectType as PythonObjectType
from atoll._definitions.value_types.definition import Type as Type
from atoll._definitions.value_types.definition import TypeCheck as TypeCheck
from atoll._definitions.value_types.definition import TypeKind as TypeKind
from atoll._definitions.value_types.loaders import TypeLoader as TypeLoader
from atoll._definitions.value_types.resolution import resolve as resolve
from atoll._definitions.value_types.resolution import resolve_argument as resolve_argument

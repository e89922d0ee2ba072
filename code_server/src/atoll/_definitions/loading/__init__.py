"""Loading what modules and packages define, so that nobody has to list it.

`modules` finds modules, `kinds` tells definitions from other values, `lazy` is the `definitions`
decorator. `assets`, `asset_checks` and `whole` are the public functions; they load only when asked
for.
"""

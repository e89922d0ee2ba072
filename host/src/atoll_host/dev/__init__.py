"""``atoll dev``: one host and every code location of a project, for developers.

It starts processes and shows what they do; it holds no orchestration logic of its own. Everything
it knows of the mesh it learns through ``atoll.client``, as any other program would. Nothing else of
the host may import it.
"""

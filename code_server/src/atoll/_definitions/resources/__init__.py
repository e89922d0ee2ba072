"""Resources: what user code gets from outside, how it is configured, and how it is made ready.

Called by users, by the decorators and by whoever opens resources. The definitions are here;
`_execution.resource_scope` opens and closes them. `configurable` needs pydantic and loads only
where a user's code asks for it.
"""

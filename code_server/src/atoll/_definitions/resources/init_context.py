"""What a resource knows while it is made ready.

Called by whoever opens resources, and by users in the hooks of their resources. It holds data; the
instance and the log come from the layers above.
"""

import logging
from collections.abc import Mapping
from typing import Any

from atoll._definitions import runs

CONTEXT_LOGGER_NAME = "atoll.context"


class InitResourceContext:
    """What a resource knows while it is made ready, and while it is closed.

    Args:
        resource_config: The config of the resource: plain data, or an object of its config class.
        resources: The resources that it requires, by attribute.
        resource_def: The definition that is made ready.
        all_resource_defs: All definitions by key.
        instance: The instance.
        run: The run; None outside one.
        log_manager: The log of the run, the step or the tick.
    """

    def __init__(
        self,
        resource_config: Any = None,
        resources: Any = None,
        resource_def: Any = None,
        all_resource_defs: Mapping[str, Any] | None = None,
        instance: Any = None,
        run: runs.Run | None = None,
        log_manager: logging.Logger | None = None,
    ) -> None:
        self.resource_config = resource_config
        self.resources = resources
        self.resource_def = resource_def
        self.all_resource_defs: Mapping[str, Any] = (
            {} if all_resource_defs is None else all_resource_defs
        )
        self.instance = instance
        self.run = run
        self._log = log_manager

    @property
    def log(self) -> logging.Logger:
        """The log of the run, the step or the tick."""
        return self._log if self._log is not None else logging.getLogger(CONTEXT_LOGGER_NAME)

    @property
    def log_manager(self) -> logging.Logger | None:
        """The log of the run, the step or the tick; None outside them."""
        return self._log

    @property
    def run_id(self) -> str | None:
        """The run; None outside one."""
        return self.run.run_id if self.run is not None else None

    def replace_config(self, config: Any) -> "InitResourceContext":
        """Return the same context with another config.

        Args:
            config: The config.
        """
        return InitResourceContext(
            config,
            self.resources,
            self.resource_def,
            self.all_resource_defs,
            self.instance,
            self.run,
            self._log,
        )

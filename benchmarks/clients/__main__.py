"""Run one measurement: ``python -m benchmarks.clients MODULE TASK``. Prints its figures as a line of JSON."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any, cast

from .measures import MEASURES, Task, peak_rss


def main() -> None:
    """Measure the peer of a module by a task in JSON."""
    module, text = sys.argv[1:]
    task = Task.of(text)
    if not task.numpy:
        cast("dict[str, None]", sys.modules)["numpy"] = None  # so that to import it fails
    client: Any = import_module(f"benchmarks.clients.{module}")
    try:
        figures = MEASURES[task.kind](client, task)
    except NotImplementedError as error:
        print(json.dumps({"not yet": str(error)}))
    else:
        print(json.dumps({**figures, "peak_rss": peak_rss()}))


if __name__ == "__main__":
    main()

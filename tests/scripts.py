"""What scripts of a server say is wrong with their clients."""

from collections.abc import Callable

import pytest

from rxsocket.script_client import Client
from rxsocket.scripted import serve


def failure(script: Callable[[Client], object], talk: Callable[[str], object], **options) -> str:
    """Play a block; return what the script says is wrong."""

    def block() -> None:
        with serve(script, **options) as url:
            talk(url)

    with pytest.raises(AssertionError) as raised:
        block()
    return str(raised.value).removeprefix("connection 1: ")

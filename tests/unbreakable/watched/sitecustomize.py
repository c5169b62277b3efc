"""Refuses every use of the network, in this process and all that it starts, and records it in $TRAPMETER_WATCHED."""

import os
import socket
import sys
import threading

_LOCAL = {socket.AF_UNIX}
_NETWORK_EVENTS = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
_here = threading.local()


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if not event.startswith("socket.") or getattr(_here, "is_writing", False):
        return
    if event in _NETWORK_EVENTS or (event == "socket.__new__" and arguments[1] not in _LOCAL):
        if event in {"socket.connect", "socket.bind"} and arguments[0].family in _LOCAL:  # type: ignore[attr-defined]
            return
        _here.is_writing = True
        with open(os.environ["TRAPMETER_WATCHED"], "a") as file:  # noqa: PTH123
            file.write(f"{event}\n")
        _here.is_writing = False
        raise PermissionError(f"the network must not be used: {event}")


sys.addaudithook(_watch)

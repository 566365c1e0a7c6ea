"""Ports for programs that want to be told one before they start."""

import socket

held = []


def held_port():
    """A port of 127.0.0.1 that the system gives to nobody else while this process lives. Connections to it are
    refused until somebody listens there, which takes SO_REUSEADDR: the socket that holds the port has it too."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    held.append(holder)
    return holder.getsockname()[1]

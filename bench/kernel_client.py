"""What the kernel benchmarks share: a Jupyter client, the same for every kernel."""
import os

import zmq
from jupyter_client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

LIMIT = 60  # seconds for any answer


def connect(folder):
    """Writes a connection file and returns its path, a client for it and the client's context.

    The client reconnects every 5 ms instead of ZeroMQ's 100, which would hide the difference in
    starting, and drops nothing."""
    path = os.path.join(folder, "kernel.json")
    write_connection_file(path, key=b"bench")
    context = zmq.Context()
    context.setsockopt(zmq.RECONNECT_IVL, 5)
    context.setsockopt(zmq.RCVHWM, 0)
    client = BlockingKernelClient(connection_file=path, context=context)
    client.load_connection_file()
    return path, client, context

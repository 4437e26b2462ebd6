"""A TCP proxy between the services and a server, which harms the traffic as it is told."""

import contextlib
import socket
import struct
import threading
import time

UP, DOWN = "up", "down"
"""From the services to the server, and back."""


class Proxy:
    """Passes connections on to `target`, a port of the loopback.

    Args:
        held: connections wait, as with a server that takes its time, until `release` is called.
    """

    def __init__(self, target, held=False):
        self.target = target
        self.delay = 0.0
        """Seconds that each piece is held back."""
        self.trap = None
        self.trapped = threading.Event()
        self.heard = 0
        """How often what is listened for went up."""
        self._listening_for = None
        self._released = threading.Event()
        if not held:
            self.release()
        self._flowing = {UP: threading.Event(), DOWN: threading.Event()}
        self._silent = set()
        self._pairs = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.flow()
        threading.Thread(target=self._accept, daemon=True).start()

    def release(self):
        """Let the connections through that were held."""
        self._released.set()

    def listen(self, pattern):
        """Count in `heard` how often `pattern` goes up from now on; nothing is held back for it."""
        self.heard, self._listening_for = 0, pattern

    def stall(self, *directions):
        """Hold everything back, and lose nothing."""
        for direction in directions or (UP, DOWN):
            self._flowing[direction].clear()

    def flow_up(self):
        """Let pass what is held back on its way up."""
        self._flowing[UP].set()

    def flow(self, trap=None):
        """Let everything pass again; a connection that has lost something stays silent.

        Where `trap` goes up, both directions stall before it is passed on; `trapped` is set then.
        """
        self.trapped.clear()
        self.trap, self.delay = trap, 0.0
        self._silent = set()
        for event in self._flowing.values():
            event.set()

    def silence(self, *directions):
        """Swallow everything on all connections, the new ones included, until `flow`."""
        self._silent = set(directions or (UP, DOWN))

    def cut(self):
        """Reset all connections."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.release()
        self.flow()
        self.cut()

    def _accept(self):
        self._released.wait()
        with contextlib.suppress(OSError):
            while True:
                inner, _ = self._listener.accept()
                try:
                    outer = socket.create_connection(("127.0.0.1", self.target), 5)
                    outer.settimeout(None)
                except OSError:
                    inner.close()
                    continue
                self._pairs.append((inner, outer))
                for ends in ((inner, outer, UP), (outer, inner, DOWN)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source, sink, direction):
        harmed = False
        with contextlib.suppress(OSError):
            # A process that dies with something unread resets its connection: its end, too, has to be passed on.
            with contextlib.suppress(ConnectionError):
                while data := source.recv(65536):
                    time.sleep(self.delay)
                    if self._listening_for and direction == UP:
                        self.heard += data.count(self._listening_for)
                    if self.trap and direction == UP and self.trap in data:
                        self.trap = None
                        self.stall()
                        self.trapped.set()
                    self._flowing[direction].wait()
                    harmed = harmed or direction in self._silent
                    if not harmed:
                        sink.sendall(data)
            if not harmed:
                sink.shutdown(socket.SHUT_WR)

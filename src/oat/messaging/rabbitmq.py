"""The transport to RabbitMQ: py-amqp's, with buffers.

py-amqp reads a frame in two system calls and writes each method in one of its own, reads incoming frames before
each publish, and serializes the same arguments and properties each time. Here a system call reads or writes as
many frames as there are, and a publish reads nothing and serializes only its body. That halves the processor time
of a small task, here and in RabbitMQ.
"""

from collections.abc import Callable
from functools import cache
from struct import Struct
from typing import Any

import amqp
from amqp import serialization, spec
from kombu.transport import pyamqp

HEARTBEAT = 30
"""Seconds of AMQP's heartbeat timeout: a peer that receives nothing for one or two of it closes the connection."""

HEARTBEAT_CHECKS = 6
"""Checks in the time of a heartbeat: py-amqp sends one, where it is due, in each half of that time."""

BUFFER_SIZE = 16 * 1024
"""Bytes read at once, and bytes in the output buffer from which on it is sent without a `flush`: some 40 tasks."""

_METHOD, _HEADER, _BODY = 1, 2, 3
"""The types of frames. Source: AMQP 0-9-1, 2.3.5"""

_FRAME, _FRAME_END = Struct(">BHI"), b"\xce"
"""A frame is its type, its channel, the size of its payload, the payload and an end octet. Source: ibid."""

_CONTENT = Struct(">HHQ")
"""A content header is the class of the method, a zero, the size of the body, and properties. Source: 2.3.5.2"""

_PROPERTIES: bytes = amqp.Message(
    content_type="application/json", content_encoding="utf-8", delivery_mode=2
)._serialize_properties()


@cache
def _publish_method(exchange: str) -> bytes:
    """Return the method `basic.publish` to `exchange`, with its name as the routing key, mandatory."""
    method: bytes = serialization.dumps("BBBssbb", (*spec.Basic.Publish, 0, exchange, exchange, True, False))
    return method


def _frame(frame_type: int, channel: int, payload: bytes) -> bytes:
    return _FRAME.pack(frame_type, channel, len(payload)) + payload + _FRAME_END


class Channel(pyamqp.Channel):
    """A channel that publishes JSON documents without serializing anything but their bodies."""

    def publish(self, exchange: str, body: bytes) -> None:
        """Publish the JSON document `body` to `exchange`, persistent, with its name as the routing key."""
        if self.connection is None:
            raise amqp.RecoverableConnectionError("the connection is closed")
        max_payload = self.connection.frame_max - _FRAME.size - len(_FRAME_END)
        header = _CONTENT.pack(spec.Basic.Publish[0], 0, len(body)) + _PROPERTIES
        self.connection.transport.write(
            b"".join(
                (
                    _frame(_METHOD, self.channel_id, _publish_method(exchange)),
                    _frame(_HEADER, self.channel_id, header),
                    *(
                        _frame(_BODY, self.channel_id, body[n : n + max_payload])
                        for n in range(0, len(body), max_payload)
                    ),
                )
            )
        )


class Connection(pyamqp.Connection):
    """A connection that buffers its output until it is flushed, or waits for a reply."""

    Channel = Channel

    def connect(self, callback: Callable[[], object] | None = None) -> Any:
        """Connect and negotiate, unbuffered; from then on, buffer input and output."""
        self._output = bytearray()
        result = super().connect(callback)
        transport = self.transport
        receive, self._send = transport._quick_recv, transport._write
        transport._quick_recv = lambda size: receive(max(size, BUFFER_SIZE))
        transport._write = self._write
        return result

    @property
    def heartbeat_check_interval(self) -> float:
        """Seconds between two heartbeat checks; the server may have asked for a shorter heartbeat than we did."""
        return (self.heartbeat or HEARTBEAT) / HEARTBEAT_CHECKS

    def flush(self) -> None:
        """Send the buffered output."""
        if self._output:
            output, self._output = self._output, bytearray()
            self._send(output)

    @property
    def has_buffered_input(self) -> bool:
        """Whether input was read and is not handled yet: `select` on the socket does not see it."""
        return bool(self.transport._read_buffer)

    def read(self, timeout: float) -> None:
        """Handle all frames that were received, waiting for one at least.

        Raises:
            TimeoutError: nothing was received for `timeout` seconds, and no frame, or not all of one, before.
        """
        with self.transport.having_timeout(timeout):
            self.on_inbound_frame(self.transport.read_frame())
            while self.has_buffered_input:
                for frame in self._complete_frames() or [self.transport.read_frame()]:
                    self.on_inbound_frame(frame)

    def blocking_read(self, timeout: float | None = None) -> Any:
        """Read one frame and handle it; none with a timeout of 0, which only py-amqp's own publish passes."""
        if timeout == 0:
            raise TimeoutError
        self.flush()
        return super().blocking_read(timeout)

    def _complete_frames(self) -> list[tuple[int, int, bytes]]:
        """Take the frames out of the input buffer, but for the last one if it is incomplete."""
        frames, start, buffer = [], 0, self.transport._read_buffer
        while len(buffer) - start >= _FRAME.size:
            frame_type, channel, size = _FRAME.unpack_from(buffer, start)
            end = start + _FRAME.size + size
            if len(buffer) <= end:
                break
            if buffer[end] != _FRAME_END[0]:
                raise amqp.UnexpectedFrame(f"a frame of {size} bytes has no end octet")
            frames.append((frame_type, channel, buffer[start + _FRAME.size : end]))
            start = end + 1
        self.transport._read_buffer = buffer[start:]
        return frames

    def _write(self, frames: bytes | memoryview) -> None:
        self._output += frames
        if len(self._output) >= BUFFER_SIZE:
            self.flush()


class Transport(pyamqp.Transport):
    """kombu's transport for AMQP 0-9-1, with these connections."""

    Connection = Connection

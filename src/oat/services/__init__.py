"""Services: how a task flows.

The `producer` draws and records it, the `outbox` publishes it, a `worker` renders it, the `tracker` applies its
result; the `audit` compares what is left, the `statistics` say how all of it is doing; `cancellation` and
`dead_letters` remove and requeue messages.

What others may use is listed in `__init__.pyi`. A module is imported when a name of it is first used: a worker
does not load the database's library, nor a tracker the renderer.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

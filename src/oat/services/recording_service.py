"""The base of the services that also work on the records in the database: all but the worker."""

from oat.messaging import FLUSH_INTERVAL
from oat.records import Database
from oat.services.service import Service
from oat.settings import Settings


class RecordingService(Service):
    """A service that also works on the records in the database."""

    def __init__(self, settings: Settings, flush_interval: float = FLUSH_INTERVAL) -> None:
        super().__init__(settings, flush_interval)
        self.database = Database(settings.database_url, self.stopping)

    def run(self) -> None:
        """Work until `stop` is called.

        Raises:
            PermanentError: broker or database cannot be used as the settings say.
        """
        try:
            self.database.prepare()
            self.broker.serve(self._session)
        finally:
            self.database.close()

"""What the gallery's pages and API share, without HTTP."""

import pytest

from oat.settings import Settings
from oat.web.backend import Backend
from oat.web.problems import ProblemError


def test_only_one_audit_runs_at_a_time(tmp_path):
    backend = Backend(Settings(database_url=f"sqlite:///{tmp_path / 'oat.db'}", target=str(tmp_path)))
    backend.catalog.prepare()
    with pytest.raises(ProblemError, match="broker"):
        backend.audit()
    backend.publisher.queues = {"tasks": 0, "results": 0, "dead-letters": 0}
    first = backend.audit()
    with pytest.raises(ProblemError, match="under way"):
        backend.audit()
    *_, last = first
    assert last.report is not None
    assert not last.report.problems
    given_up = backend.audit()
    next(given_up)
    del given_up
    assert len(list(backend.audit())) == 2

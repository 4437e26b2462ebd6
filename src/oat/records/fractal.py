"""A fractal: the record of a task, as the API and the gallery show it."""

from datetime import UTC
from typing import Self
from uuid import UUID

import sqlalchemy as sa
from pydantic import AwareDatetime, BaseModel, Field

from oat.messages import Task
from oat.records.states import Status


class Fractal(BaseModel):
    """The record of a task."""

    uuid: UUID = Field(description="Identifies the task, its record and its image.")
    status: Status = Field(description="Waiting, done, failed or cancelled.")
    width: int = Field(description="Pixels across.")
    height: int = Field(description="Pixels down.")
    iterations: int = Field(description="The maximum of iterations per pixel.")
    xa: float = Field(description="The real part at the left edge.")
    xb: float = Field(description="The real part at the right edge.")
    ya: float = Field(description="The imaginary part at the top edge.")
    yb: float = Field(description="The imaginary part at the bottom edge.")
    cx: float = Field(description="The real part of c.")
    cy: float = Field(description="The imaginary part of c.")
    duration: float | None = Field(description="Seconds spent on rendering.")
    checksum: str | None = Field(description="SHA-256 of the PNG file, hexadecimal.")
    size: int | None = Field(description="Bytes of the PNG file.")
    worker: str | None = Field(description="The host that rendered it.")
    error: str | None = Field(description="Why there is no image.")
    attempts: int = Field(description="How often its task was put into the outbox, to be published.")
    created_at: AwareDatetime = Field(description="When it was recorded.")
    sent_at: AwareDatetime = Field(description="When its latest attempt began.")
    finished_at: AwareDatetime | None = Field(description="When it was done, failed or cancelled.")

    def task(self) -> Task:
        """Return the task that this is the record of."""
        return Task.model_validate(self.model_dump(include=set(Task.model_fields)))

    @classmethod
    def from_row(cls, row: sa.RowMapping) -> Self:
        """Return the fractal in a row of the table; its times get their time zone, UTC."""
        times = {
            name: row[name] and row[name].replace(tzinfo=UTC) for name in ("created_at", "sent_at", "finished_at")
        }
        return cls.model_validate({**row, **times})

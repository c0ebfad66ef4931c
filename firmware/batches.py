"""Batches of what was read, written down so that no robot harms the others."""

import structlog
from django.db import DatabaseError

from firmware import recorder
from firmware.models import RobotState
from firmware.recorder import Contact

log = structlog.get_logger(__name__)


def record(batch: list[Contact]) -> list[RobotState]:
    """Record a batch; when one contact in it cannot be recorded, only that one is left out: no robot harms the others."""
    try:
        return recorder.record(batch)
    except DatabaseError:
        raise
    except Exception:
        log.exception("poll.batch_crashed")
    rows: dict[int, RobotState] = {}
    for contact in batch:
        try:
            rows |= {row.robot_id: row for row in recorder.record([contact])}
        except DatabaseError:
            raise
        except Exception:
            log.exception("poll.contact_crashed", robot_id=contact.robot_id)
    return list(rows.values())

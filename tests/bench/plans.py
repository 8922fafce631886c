"""Plans of a claim as it ran: every statement of it, its scans among them, by auto_explain in one session.

The statements are in nobody's log: auto_explain is loaded into the session alone, and tells the client.
"""

import time
from pathlib import Path

from psycopg.errors import Diagnostic

from bench.dialers import BATCH, Dialer
from bench.lists import DialedList

_SETTINGS = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_level": "notice",
    "client_min_messages": "notice",
}
#: What the statements have in common that look for contacts to claim.
_SCAN = "SKIP LOCKED"


def write(dialed: DialedList, file: Path, about: str) -> None:
    """Write the plans of a claim by a dialer that has made its plans and rested since."""
    told: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        told.append(diagnostic.message_primary or "")

    with Dialer(dialed.database, dialed.campaign) as dialer:
        dialer.turn()
        # Nothing that it remembers of its latest claims is good any more.
        time.sleep(2)
        dialer.connection.execute("LOAD 'auto_explain'")
        for name, value in _SETTINGS.items():
            dialer.connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        dialer.connection.add_notice_handler(note)
        claimed = dialer.claim()
        dialer.connection.remove_notice_handler(note)
        dialer.settle(claimed)
    plans = [plan for plan in told if plan.startswith("duration:")]
    if not any(_SCAN in plan for plan in plans):
        raise RuntimeError("auto_explain told nothing of the scans of a claim")
    scans = [plan for plan in plans if _SCAN in plan]
    others = [plan for plan in plans if _SCAN not in plan]
    heads = (f"{about}. A claim of {BATCH}, its scans:", "Its other statements, in order:")
    text = [f"{head}\n\n" + "\n\n".join(group) for head, group in zip(heads, (scans, others), strict=True)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n\n".join(text) + "\n")

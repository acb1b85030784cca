"""What the dashboards raise."""

from collections.abc import Iterator
from contextlib import contextmanager

WHERE = (
    "the network, your key (`wandb login --relogin`), the entity, and WANDB_BASE_URL for a server of your own"
)
OFFLINE = "without W&B's server `make dashboard` shows the runs that lie here"


class DashboardError(Exception):
    """A dashboard that cannot be made or shown; the message says why and what to do."""


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Say what W&B's error means for the user.

    Raises:
        DashboardError: W&B raised anything: it has many kinds of errors, and none is ours.
    """
    import wandb

    try:
        yield
    except wandb.errors.UsageError as error:
        raise DashboardError(f"cannot {doing}: {error} Or set WANDB_API_KEY; {OFFLINE}") from error
    except Exception as error:
        raise DashboardError(f"cannot {doing}: {error}. Check {WHERE}; {OFFLINE}") from error

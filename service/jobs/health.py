"""Look at the whole, so that what was wrong in a minute can be read later."""

from service.health import Health, examine
from service.jobs.context import Context


async def health_check(context: Context) -> Health:
    """Return how everything is, as seen from this worker."""
    return await examine(context.database, context.broker, context.settings.var_dir)

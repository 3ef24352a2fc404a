"""A self-hosted service that runs a team's tools as background jobs."""

from importlib.metadata import version

__version__ = version("data20")

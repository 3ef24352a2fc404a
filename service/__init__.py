"""A self-hosted service that runs a team's tools as background jobs."""

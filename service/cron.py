"""The timetable: which job function is due when, in UTC. No bodies.

What makes each slot run once is `jobs/timekeeper.py`.
"""

from arq.cron import cron

from service.jobs.cleanup import cleanup
from service.jobs.health import health_check
from service.jobs.periodic import job_function
from service.jobs.statistics import statistics
from service.jobs.upkeep import upkeep

CRON_JOBS = (
    cron(job_function(cleanup), name="cleanup", hour=3, minute=20, microsecond=0),
    cron(job_function(statistics), name="statistics", minute=5, microsecond=0),
    cron(job_function(upkeep), name="upkeep", minute=35, microsecond=0),
    cron(job_function(health_check), name="health_check", second=0, microsecond=0),
)

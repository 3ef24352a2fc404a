"""Real PostgreSQL and Valkey from wheels, started when none is configured."""

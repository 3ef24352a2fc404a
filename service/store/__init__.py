"""PostgreSQL: tables, legal moves, and the only SQL in the project."""

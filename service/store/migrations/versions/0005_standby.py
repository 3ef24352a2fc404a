"""The API may run jobs too, while no worker can: its row among the workers says that of it."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Tell those that stand in from workers."""
    op.execute("ALTER TABLE workers ADD COLUMN is_standby BOOLEAN DEFAULT false NOT NULL")

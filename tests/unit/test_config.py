"""Settings that cannot be meant are refused when they are read, by name and rule."""

import pytest

from service.config import load_settings
from service.errors import SettingsError


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("DATA20_RETENTION_HOURS", "inf", "finite"),
        ("DATA20_RETENTION_HOURS", "1e300", "less than or equal to"),
        ("DATA20_RETENTION_HOURS", "-1", "greater than or equal to 0"),
        ("DATA20_RETRY_DELAY", "nan", "finite"),
        ("DATA20_RETRY_DELAY", "1e10", "less than or equal to"),
        ("DATA20_LEASE_SECONDS", "inf", "finite"),
        ("DATA20_FAIR_SECONDS", "0", "greater than 0"),
        ("DATA20_LOCAL_CONCURRENCY", "-1", "greater than or equal to 0"),
        ("DATA20_MAX_TASKS_PER_CHILD", "many", "integer"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, rule: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}: .*{rule}"):
        load_settings()

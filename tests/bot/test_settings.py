"""Settings from the environment: defaults that work, errors that name the variable."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bot.settings import Settings, load_settings
from data.errors import SettingsError
from data.vocabulary import Language


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of this machine, and no variables of the one who runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "TELEGRAM_TOKEN",
        "STATE",
        "SECRET",
        "ADMINS",
        "CREATORS",
        "DATABASE",
        "LANGUAGE",
    ):
        monkeypatch.delenv(f"ZHIWEI_{name}", raising=False)


def test_every_setting_has_a_default_that_works() -> None:
    settings = load_settings()
    assert settings.telegram_token is None
    assert settings.language is Language.EN
    assert settings.database_path.name == "zhiwei.db"
    assert settings.database_path.parent == settings.state


def test_variables_and_a_dotenv_file_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("ZHIWEI_LANGUAGE=zh\nZHIWEI_CREATORS=5\n")
    monkeypatch.setenv("ZHIWEI_ADMINS", "1, 2;3")
    settings = load_settings()
    assert settings.language is Language.ZH
    assert settings.admins == {1, 2, 3}
    assert settings.creators == {5}


@pytest.mark.parametrize(
    ("name", "value"), [("LANGUAGE", "fr"), ("PORT", "99999"), ("TEXT_RETENTION_DAYS", "0")]
)
def test_what_cannot_be_used_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ZHIWEI_{name}", value)
    with pytest.raises(SettingsError, match=f"ZHIWEI_{name}"):
        load_settings()


def test_pictures_are_on_until_a_deployment_turns_them_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ZHIWEI_PICTURES", raising=False)
    assert load_settings().pictures

    monkeypatch.setenv("ZHIWEI_PICTURES", "0")

    assert not load_settings().pictures


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIWEI_TELEGRAM_TOKEN", "123456:hush")
    monkeypatch.setenv("ZHIWEI_SECRET", "quiet")
    settings = load_settings()
    assert "hush" not in repr(settings)
    assert "quiet" not in repr(settings)
    assert settings.secret_bytes() == b"quiet"


def test_the_secret_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state")
    secret = settings.secret_bytes()
    assert len(secret) == 64
    assert Settings(state=tmp_path / "state").secret_bytes() == secret
    assert stat.S_IMODE((tmp_path / "state" / "secret").stat().st_mode) == 0o600

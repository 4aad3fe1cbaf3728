"""Settings from the environment and `.env`, prefix `ZHIWEI_`. The only reader of the environment."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from data.errors import SettingsError
from data.vocabulary import Language


class Settings(BaseSettings):
    """Everything that a deployment can choose; each has a default that works."""

    model_config = SettingsConfigDict(
        env_prefix="ZHIWEI_", env_file=".env", extra="ignore", frozen=True
    )

    telegram_token: SecretStr | None = None
    """From @BotFather. Without it `zhiwei run` opens the chat in the terminal."""
    telegram_api: str = "https://api.telegram.org"
    """Root of the Bot API server."""
    admins: Annotated[frozenset[int], NoDecode] = frozenset()
    """Numeric user ids, separated by commas."""
    creators: Annotated[frozenset[int], NoDecode] = frozenset()
    state: Path = Field(default_factory=lambda: default_state())
    """Folder of the database, the index and the secret."""
    cache: Path = Field(default_factory=lambda: default_cache())
    """Folder of unpacked models and embeddings; may be deleted at any time."""
    database: Path | None = None
    """SQLite file; default `zhiwei.db` in the state folder."""
    database_key: SecretStr | None = None
    """Encrypts the database (SQLCipher); keep it outside the state folder."""
    secret: SecretStr | None = None
    """Signs buttons and pseudonyms; made at the first start when unset."""
    model: str = ""
    """Embedding model: hub id or folder; empty for the bundled one."""
    compare_model: str = ""
    """Another embedding model, hub id or folder, that creators may put beside the one in force."""
    backend: Literal["auto", "openvino", "torch"] = "auto"
    catalogue: Path | None = None
    """Items file; default is the imported catalogue, else the samples."""
    lessons: Path | None = None
    language: Language = Language.EN
    """For people whose client says no language we speak."""
    pictures: bool = True
    """Slates go to Telegram with a drawn picture of their items; 0 for words only."""
    privacy_contact: str = ""
    text_retention_days: int = Field(default=90, ge=1, le=3650)
    usd_cny: str = "7.1"
    """Rate for limits said in dollars."""
    webhook_url: str = ""
    """Public https address of `/telegram`; empty means polling."""
    webhook_secret: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    retry_seconds: float = Field(default=60.0, ge=1.0)
    """How often a part that is missing, such as the model, is looked for again."""
    health_port: int | None = Field(default=None, ge=1, le=65535)
    """With polling: port of this machine that serves health and metrics; none when unset."""

    @field_validator("admins", "creators", mode="before")
    @classmethod
    def _ids(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.replace(";", ",").split(",") if part.strip()]
        wrong = next((part for part in parts if not part.lstrip("-").isdecimal()), None)
        if wrong is not None:
            raise ValueError(
                f"got {wrong!r}, expected numeric user ids separated by commas, such as 42,43"
            )
        return frozenset(int(part) for part in parts)

    @property
    def database_path(self) -> Path:
        return self.database or self.state / "zhiwei.db"

    @property
    def index_folder(self) -> Path:
        return self.state / "index"

    def secret_bytes(self) -> bytes:
        """The deployment's secret; made once and kept readable for the owner only."""
        if self.secret is not None:
            return self.secret.get_secret_value().encode()
        path = self.state / "secret"
        if not path.exists():
            self.state.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
        return path.read_text().strip().encode()


def default_state() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "zhiwei"


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zhiwei"


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: one line per setting that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"ZHIWEI_{'_'.join(str(part) for part in entry['loc']).upper()}: {entry['msg']}"
            for entry in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from None

"""Errors of SQLite in words that help: fact, expectation, remedy. Pure."""

from __future__ import annotations


def busy_sentence(path: str) -> str:
    """Say that somebody else is writing."""
    return (
        f"{path} is locked by another writer for too long; "
        "see whether a second bot, a backup or a database browser is running, then try again"
    )


def error_sentence(path: str, error: Exception, *, has_key: bool) -> str:
    """Say what an error of the SQLite driver means and what helps."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or "locked" in str(error):
        return busy_sentence(path)
    if name.startswith("SQLITE_READONLY") or "readonly" in str(error):
        return f"{path} may only be read; check the owner and rights of the file and its folder"
    if name.startswith("SQLITE_FULL") or "is full" in str(error):
        return f"The disk of {path} is full, nothing was changed; free some space and try again"
    if name.startswith("SQLITE_NOTADB") or "not a database" in str(error):
        remedy = (
            "the key may be wrong, or the file is not encrypted"
            if has_key
            else "if it is encrypted set ZHIWEI_DATABASE_KEY, else choose another file"
        )
        return f"{path} is not a database that we can read; {remedy}"
    if name.startswith("SQLITE_CORRUPT") or "malformed" in str(error):
        return f"{path} is damaged ({error}); stop the bot and run `zhiwei restore` with a backup"
    if name.startswith("SQLITE_CANTOPEN") or "unable to open" in str(error):
        return f"{path} cannot be opened; check that its folder exists and may be written"
    if name.startswith("SQLITE_IOERR"):
        return f"{path}: the disk reported an error ({error}); check the disk, then restart"
    return f"{path} refused an operation ({error}); run `zhiwei doctor`"

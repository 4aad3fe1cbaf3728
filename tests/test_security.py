"""What somebody with bad intentions may try, each with what holds against it."""

from __future__ import annotations

import ast
import csv
import html
import io
import re
import stat
import subprocess
import time
import typing
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.buttons import MAX_BYTES, ButtonSigner, user_key_for
from bot.keyword_understanding import KeywordInterpreter
from bot.messages import Span
from bot.quotas import Quotas
from bot.settings import Settings, load_settings
from bot.telegram_options import TelegramOptions
from bot.telegram_text import html_of
from bot.telegram_updates import UpdateReader
from data.catalogue import Item
from data.csv_safety import csv_bytes, csv_text, is_formula, safe_cell, write_csv
from data.errors import InvalidInput, SettingsError
from data.events import UserKey
from data.links import lesson_for
from recommender.claims import health_claims
from tests.fakes import NOON, SECRET, Person, build_conversation, sample_catalogue

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "recommender", "index", "data")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def found(look: Callable[[ast.AST], bool]) -> list[str]:
    """Places in our code where `look` says yes."""
    return [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if look(node)
    ]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute, else empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def imported(node: ast.AST) -> set[str]:
    match node:
        case ast.Import(names=names):
            return {name.name for name in names}
        case ast.ImportFrom(module=str(module), names=names):
            return {module, *(f"{module}.{name.name}" for name in names)}
        case _:
            return set()


def roots(node: ast.AST) -> set[str]:
    return {name.split(".")[0] for name in imported(node)}


# code that runs what it reads


def test_the_scan_sees_our_code() -> None:
    assert len(SOURCES) > 100
    assert any("bot/conversation.py" in str(path) for path in SOURCES)


def test_nothing_is_unpickled() -> None:
    unsafe = {
        "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve",
        "pickletools", "jsonpickle",
    }  # fmt: skip

    assert found(lambda node: bool(roots(node) & unsafe)) == []


def test_no_array_or_model_is_loaded_in_a_way_that_runs_code() -> None:
    def is_unsafe(node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        name = dotted(node.func)
        given_ = {k.arg: k.value for k in node.keywords}
        says_true = {
            key for key, value in given_.items()
            if isinstance(value, ast.Constant) and value.value is True
        }  # fmt: skip
        return (
            bool(says_true & {"allow_pickle", "trust_remote_code"})
            or (name == "torch.load" and "weights_only" not in given_)
            or name in {"yaml.load", "yaml.unsafe_load", "pandas.read_pickle", "pd.read_pickle"}
            or ("trusted" in says_true)
        )

    assert found(is_unsafe) == []


def test_nothing_is_evaluated_and_no_shell_is_started() -> None:
    def is_unsafe(node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        name = dotted(node.func)
        shell = any(
            k.arg == "shell" and not (isinstance(k.value, ast.Constant) and k.value.value is False)
            for k in node.keywords
        )
        return shell or name in {
            "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv",
            "os.spawnl", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn",
            "asyncio.create_subprocess_shell",
        }  # fmt: skip

    assert found(is_unsafe) == []


def test_xml_is_read_by_the_one_parser_that_refuses_entities() -> None:
    allowed = {"bot/lesson_parsing.py"}
    readers = found(lambda node: bool(roots(node) & {"xml", "lxml", "html5lib"}))

    assert {place.split(":")[0] for place in readers} <= allowed


# addresses that other people wrote are never fetched


def test_only_telegram_and_the_model_hub_are_ever_asked_for_anything() -> None:
    network = {
        "requests", "httpx", "aiohttp", "urllib3", "httplib2", "ftplib", "smtplib", "telnetlib",
        "socket", "websockets", "paramiko", "urllib.request", "http.client", "huggingface_hub",
        "telegram.request",
    }  # fmt: skip
    allowed = {
        "bot/telegram_http.py",  # the Bot API at the address in the settings
        "bot/telegram_sending.py",  # hands the library what goes into a request
        "index/model_folder.py",  # a hub id that the operator set
    }

    def asks(node: ast.AST) -> bool:
        names = imported(node)
        return bool(names & network) or bool(roots(node) & network)

    assert {place.split(":")[0] for place in found(asks)} <= allowed


def test_links_in_the_catalogue_are_shown_and_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"something was fetched: {args[1:]}")

    catalogue = replace_items(
        lambda item: replace(
            item,
            image_url="http://169.254.169.254/latest/meta-data",
            buy_url="http://127.0.0.1:9/buy",
        )
    )
    person = Person(build_conversation(catalogue=catalogue))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    lesson = next(x for x in catalogue.lessons if x.audience != "minors")

    person.command(f"/start {lesson.lesson_id}")

    assert person.text


def replace_items(change: Callable[[Item], Item]) -> typing.Any:
    from data.catalogue import Catalogue

    known = sample_catalogue()
    return Catalogue.of(tuple(change(item) for item in known.items[:60]), known.lessons)


# forged buttons and links

SIGNER = ButtonSigner(SECRET)
ANN, BOB = UserKey("a" * 32), UserKey("b" * 32)


def test_a_button_of_another_person_is_refused() -> None:
    payload = SIGNER.sign(ANN, "erase")

    assert SIGNER.read(ANN, payload) is not None
    assert SIGNER.read(BOB, payload) is None


def test_a_button_of_another_deployment_is_refused() -> None:
    assert SIGNER.read(ANN, ButtonSigner(b"another secret").sign(ANN, "erase")) is None


@given(st.data())
def test_a_changed_payload_is_refused(data: st.DataObject) -> None:
    payload = SIGNER.sign(ANN, "buy", "slate-00000001:0")
    position = data.draw(st.integers(0, len(payload) - 1))
    character = data.draw(st.characters(codec="utf-8").filter(lambda c: c != payload[position]))
    forged = payload[:position] + character + payload[position + 1 :]

    assert SIGNER.read(ANN, forged) is None


@given(st.text(max_size=100))
@example("1|erase||")
@example("1|erase|" + "A" * 11)
@example("||||||||")
@example("\ud800")
def test_an_invented_payload_is_refused_and_breaks_nothing(payload: str) -> None:
    assert SIGNER.read(ANN, payload) is None


@given(st.text(alphabet="abc:", max_size=20), st.text(alphabet="abc:|", max_size=20))
def test_what_is_signed_is_read_back_or_refused_but_never_read_otherwise(
    action: str, argument: str
) -> None:
    payload = SIGNER.sign(ANN, action, argument)
    press = SIGNER.read(ANN, payload)

    assert len(payload.encode()) <= MAX_BYTES
    assert press is None or (press.action, press.argument) == (action, argument)
    assert press is not None or "|" in action + argument


def test_a_stolen_button_erases_nobody() -> None:
    conversation = build_conversation()
    ann, bob = Person(conversation, name="ann"), Person(conversation, name="bob")
    for person in (ann, bob):
        person.command("/language en")
    ann.command("/forget")
    stolen = next(b.payload for b in ann.buttons() if "erase" in b.payload)

    bob.presses_payload(stolen)

    assert conversation.services.store.facts(ann.user_key, at=NOON)
    assert conversation.services.store.facts(bob.user_key, at=NOON)


@given(st.text(max_size=80))
@example("../../etc/passwd")
@example("l-" * 40)
def test_an_invented_deep_link_names_no_lesson(payload: str) -> None:
    assert lesson_for(payload, sample_catalogue().lessons[:5]) is None or re.fullmatch(
        r"[A-Za-z0-9_-]+", payload
    )


def test_an_invented_deep_link_is_answered_like_any_start() -> None:
    person = Person(build_conversation())

    person.command("/start admin-1-<b>")

    assert person.text
    assert person.item_ids == []


# who is an admin


@pytest.mark.parametrize("value", ["@boss", "boss", "12,@boss", "1.5", "０x1"])
def test_an_admin_is_a_number_never_a_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIWEI_ADMINS", value)

    with pytest.raises((SettingsError, ValueError)):
        load_settings()


def reader() -> UpdateReader:
    return UpdateReader(secret=SECRET, bot_id=999, username="zhiwei_bot")


def update(**message: object) -> dict[str, typing.Any]:
    return {
        "update_id": 1,
        "message": {
            "message_id": 1, "date": 0, "chat": {"id": 42, "type": "private"},
            "from": {"id": 42, "is_bot": False, "username": "boss", "first_name": "Admin"},
            "text": "/stats", "entities": [{"type": "bot_command", "offset": 0, "length": 6}],
            **message,
        },
    }  # fmt: skip


def numeric_id(raw: dict[str, typing.Any]) -> int | None:
    received = reader().read(raw, at=NOON)
    return None if received.incoming is None else received.incoming.sender.numeric_id


def test_only_the_sender_s_own_number_counts() -> None:
    assert numeric_id(update()) == 42
    assert numeric_id(update(sender_chat={"id": 1, "type": "channel"})) != 1
    assert numeric_id(update(forward_origin={"type": "user", "sender_user": {"id": 1}})) is None


def test_taking_the_admin_s_name_gives_nothing() -> None:
    conversation = build_conversation(admins={1})
    impostor = Person(conversation, name="admin", numeric_id=42)
    boss = Person(conversation, name="boss", numeric_id=1)

    impostor.command("/stats")
    boss.command("/stats")

    assert "%" not in impostor.text
    assert "%" in boss.text


def test_an_admin_has_no_rights_in_a_group() -> None:
    boss = Person(build_conversation(admins={1}), numeric_id=1, chat_kind="group")

    boss.command("/stats")

    assert "%" not in boss.text


@pytest.mark.parametrize("command", ["/pin x y", "/ban x y", "/judge x y 3", "/pair x", "/stats"])
def test_nobody_without_a_role_can_use_a_creator_s_command(command: str) -> None:
    conversation = build_conversation(admins={1}, creators={2})
    person = Person(conversation, numeric_id=3)

    person.command(command)

    assert conversation.services.store.rules() == []
    assert conversation.services.store.judgements() == []
    assert "%" not in person.text


def test_what_an_admin_looks_at_is_on_record() -> None:
    conversation = build_conversation(admins={1})

    Person(conversation, numeric_id=1).command("/stats")

    assert [action for _, _, action, _ in conversation.services.store.audits()] == ["stats"]


# markup


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            Span,
            st.text(max_size=60) | st.sampled_from(["<b>", "</b>", "&amp;", "<a href='x'>", "<"]),
            is_bold=st.booleans(),
            is_italic=st.booleans(),
            is_quote=st.booleans(),
        ),
        max_size=8,
    )
)
def test_no_word_of_anybody_becomes_markup(spans: list[Span]) -> None:
    text = html_of(spans)

    bare = re.sub(r"</?(?:b|i|blockquote)>", "", text)
    assert "<" not in bare
    assert ">" not in bare
    assert html.unescape(bare) == "".join(span.text for span in spans) or "\r" in text


def test_markup_is_made_in_one_file_only() -> None:
    def makes(node: ast.AST) -> bool:
        return isinstance(node, ast.Constant) and node.value in ("parse_mode", "HTML")

    places = {place.split(":")[0] for place in found(makes)}

    assert places <= {"bot/telegram_render.py", "bot/telegram_simpler.py"}


def test_an_item_s_name_with_markup_is_shown_as_it_is() -> None:
    catalogue = replace_items(lambda item: replace(item, name_en="<b>Tofu</b> & co"))
    person = Person(build_conversation(catalogue=catalogue))
    lesson = next(x for x in catalogue.lessons if x.audience != "minors")

    person.command(f"/start {lesson.lesson_id}")

    for reply in person.replies:
        shown = html_of(reply.spans)
        assert "<b>Tofu" not in shown or "&lt;b&gt;Tofu" in shown


# CSV


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1+2", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "\r=1", "\n=1",
        "  =1", "\u3000=1", "\u00a0@x", "\u200b=1", "\ufeff=1", "＝1+1", "＋1", "－1", "＠x",
        '"=1"', "'=1", "−1", "\t", "\rx", "﹦1",
    ],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_run_becomes_text(text: str) -> None:
    (row,) = list(csv.reader(io.StringIO(csv_text(["name"], [[text]]), newline="")))[1:]

    assert is_formula(text)
    assert row[0].startswith("'")


@pytest.mark.parametrize("text", ["tofu", "豆腐 (500 g)", "a=b", "", "1.5", "Ann, Bob", "10%"])
def test_an_ordinary_cell_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@given(st.lists(st.lists(st.text(max_size=20), min_size=2, max_size=2), max_size=5))
def test_no_cell_can_begin_a_formula_and_programs_can_have_the_values(
    rows: list[list[str]],
) -> None:
    cells = list(csv.reader(io.StringIO(csv_text(["a", "b"], rows), newline="")))
    raw = list(csv.reader(io.StringIO(csv_text(["a", "b"], rows, raw=True), newline="")))

    assert all(cell.startswith("'") or not is_formula(cell) for row in cells for cell in row)
    assert raw[1:] == rows


def test_numbers_stay_numbers_and_excel_learns_that_it_is_utf_8() -> None:
    content = csv_bytes(["name", "n"], [["茶", -5]])

    assert content.startswith(b"\xef\xbb\xbf")
    assert content.decode("utf-8-sig") == "name,n\r\n茶,-5\r\n"
    assert not csv_bytes(["a"], [], raw=True).startswith(b"\xef\xbb\xbf")


def test_a_csv_file_is_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_csv(path, ["a"], [["=1"]])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    with pytest.raises(InvalidInput, match="2 cells"):
        write_csv(path, ["a"], [["x", "y"]])
    assert "'=1" in path.read_text(encoding="utf-8-sig")


# secrets


def test_every_secret_setting_hides_itself() -> None:
    values = {
        name: "sesame-12345"
        for name, field in Settings.model_fields.items()
        if re.search(r"token|secret|key|password", name)
    }
    built = Settings(_env_file=None, **values)  # type: ignore[arg-type]

    assert len(values) >= 4
    assert all(isinstance(getattr(built, name), SecretStr) for name in values)
    assert "sesame" not in f"{built!r} {built} {built.model_dump_json()}"


def test_the_options_of_the_bot_hide_their_secrets() -> None:
    options = TelegramOptions(
        token="sesame-token", secret=b"sesame-secret", webhook_secret="sesame-hook"
    )

    assert "sesame" not in repr(options)


def test_the_secret_is_made_for_its_owner_only(tmp_path: Path) -> None:
    built = Settings(_env_file=None, state=tmp_path / "state")  # type: ignore[call-arg]

    secret = built.secret_bytes()

    assert len(secret) >= 32
    assert built.secret_bytes() == secret
    assert stat.S_IMODE((tmp_path / "state" / "secret").stat().st_mode) == 0o600


def test_two_deployments_know_a_person_by_different_names() -> None:
    assert user_key_for(b"one", "telegram", 42) != user_key_for(b"two", "telegram", 42)
    assert "42" not in {user_key_for(b"one", "telegram", 42)}


def test_no_real_token_lies_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    token = re.compile(rb"(?<!\d)\d{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")
    key = re.compile(rb"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----")
    guilty = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if not name or not path.is_file() or path.suffix in {".npz", ".png", ".bin"}:
            continue
        content = path.read_bytes()
        is_test = name.startswith("tests/")
        if key.search(content) or (token.search(content) and not is_test):
            guilty.append(name)

    assert guilty == []


# floods


def test_a_burst_is_allowed_and_a_flood_is_not() -> None:
    quotas = Quotas(burst=5, per_minute=60)

    allowed = [quotas.allow(ANN, NOON) for _ in range(8)]

    assert allowed == [True] * 5 + [False] * 3


def test_time_gives_messages_back_up_to_the_burst() -> None:
    quotas = Quotas(burst=3, per_minute=60)
    for _ in range(3):
        quotas.allow(ANN, NOON)

    after_one_second = [quotas.allow(ANN, NOON + timedelta(seconds=1)) for _ in range(2)]
    after_a_day = [quotas.allow(ANN, NOON + timedelta(days=1)) for _ in range(4)]

    assert after_one_second == [True, False]
    assert after_a_day == [True, True, True, False]


def test_one_person_s_flood_takes_nothing_from_another() -> None:
    quotas = Quotas(burst=2, per_minute=1)
    for _ in range(100):
        quotas.allow(ANN, NOON)

    assert quotas.allow(BOB, NOON)


def test_who_is_refused_is_told_once_a_minute() -> None:
    quotas = Quotas(burst=1, per_minute=60)
    quotas.allow(ANN, NOON)

    told = [quotas.should_tell(ANN, NOON) for _ in range(3)]
    quotas.allow(ANN, NOON + timedelta(seconds=2))
    soon = quotas.should_tell(ANN, NOON + timedelta(seconds=2))
    later = quotas.should_tell(ANN, NOON + timedelta(seconds=61))

    assert told == [True, False, False]
    assert not soon
    assert later
    quotas.allow(ANN, NOON + timedelta(seconds=62))
    assert quotas.wait(ANN, NOON + timedelta(seconds=62)) == timedelta(seconds=1)


@given(
    st.lists(st.floats(-3600, 3600), min_size=1, max_size=200),
    st.integers(1, 10),
    st.floats(1, 120),
)
def test_whatever_the_clock_does_a_person_gets_no_more_than_the_limits(
    jumps: list[float], burst: int, per_minute: float
) -> None:
    quotas = Quotas(burst=burst, per_minute=per_minute)
    at = NOON
    forward = 0.0
    allowed = 0
    for jump in jumps:
        at += timedelta(seconds=jump)
        forward += max(0.0, jump)
        allowed += quotas.allow(ANN, at)

    assert allowed <= burst + forward * per_minute / 60 + 1e-6


def test_a_million_strangers_do_not_fill_the_memory() -> None:
    quotas = Quotas(most_people=100)
    for number in range(5_000):
        quotas.allow(UserKey(str(number)), NOON)

    assert len(quotas) == 100


@pytest.mark.parametrize(("burst", "rate"), [(0, 1.0), (1, 0.0), (1, -1.0)])
def test_limits_that_let_nobody_through_are_refused(burst: int, rate: float) -> None:
    with pytest.raises(ValueError, match="expected positive"):
        Quotas(burst=burst, per_minute=rate)


def hostile() -> Iterator[str]:
    for part in (
        "a",
        "过敏",
        "不",
        "no ",
        "allergic to ",
        "1",
        "!",
        "(",
        "花生",
        "don't ",
        " ",
        "\n",
    ):
        yield part * (2_000 // len(part))
    yield "can't breathe" * 150
    yield "降" + "血压" * 900


@pytest.mark.parametrize("text", list(hostile()), ids=lambda text: repr(text[:12]))
def test_no_text_keeps_a_worker_busy_for_long(text: str) -> None:
    begin = time.process_time()

    KeywordInterpreter().understand(text[:2_000])
    health_claims(text)

    assert time.process_time() - begin < 3.0


def test_a_text_of_any_length_is_answered() -> None:
    person = Person(build_conversation())

    person.says("x" * 100_000)

    assert person.text
    assert len(person.text) < 4_000

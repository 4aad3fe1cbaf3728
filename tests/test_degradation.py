"""Each part broken in turn: the bot answers on the rung below, says so, and recovers by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.conversation import Conversation
from bot.degradation import SteadyConversation, SteadyMatcher, popularity_of, without_a_store
from bot.keyword_understanding import KeywordInterpreter, SteadyInterpreter
from bot.messages import Incoming, Reply, Sender, TextMessage, plain
from bot.settings import Settings
from bot.understanding.meaning import Intent, Meaning
from bot.wiring import NO_ENCODER, EngineRoom, Wired
from data.errors import ModelError, StoreError
from data.events import CreatorRule, Mode, ProfileFact, ReplyKind, RuleKind, UserKey
from data.events import Reply as ReplyEvent
from data.memory_store import InMemoryEventStore
from data.samples import sample_path
from data.sqlite_store import SqliteEventStore
from data.vocabulary import Allergen, AllergenState, Language
from index.cached_embedder import CachedEmbedder
from index.embedding import Embedder, HashingEmbedder
from index.matches import Matches, Query
from tests.fakes import NOON, Person, build_conversation, sample_catalogue

N_ITEMS = 60


@dataclass(frozen=True)
class World(Wired):
    """The real wiring over a small catalogue, with an encoder that can be taken away."""

    gone: list[str] = field(default_factory=list)

    @property
    def embedder(self) -> Embedder:  # type: ignore[override]
        if self.gone:
            raise ModelError(self.gone[0])
        return HashingEmbedder(dim=64)

    @property
    def speech_embedder(self) -> Embedder:  # type: ignore[override]
        if self.gone:
            raise ModelError(self.gone[0])
        return HashingEmbedder(dim=384)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    items = tmp_path / "items.csv"
    lines = sample_path("catalogue.csv").read_text(encoding="utf-8-sig").splitlines(keepends=True)
    items.write_text("".join(lines[: N_ITEMS + 1]), encoding="utf-8")
    world = World(
        Settings(
            _env_file=None, state=tmp_path / "state", cache=tmp_path / "cache", catalogue=items
        )  # type: ignore[call-arg]
    )
    yield world
    if "store" in world.__dict__:
        world.store.close()


@dataclass
class Seconds:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def room_of(world: World, seconds: Seconds | None = None) -> EngineRoom:
    room = EngineRoom(world, monotonic=seconds or Seconds())
    world.__dict__["engines"] = room
    return room


def mode_shown(person: Person) -> Mode:
    slates = person.conversation.services.store.slates(user_key=person.user_key)
    return slates[-1].mode


def snapshot_file(world: World, name: str = "owners.npy") -> Path:
    current = (world.settings.index_folder / "current").read_text().strip()
    return world.settings.index_folder / current / name


def test_with_everything_in_place_a_slate_is_made_on_the_full_rung(world: World) -> None:
    person = Person(world.conversation)

    person.command("/start")
    person.command(f"/start l-{lesson_of(world)}")

    assert person.item_ids
    assert mode_shown(person) is Mode.FULL


def lesson_of(world: World) -> str:
    """A lesson for which the cut catalogue has something."""
    engine = world.engines.current()
    for lesson in engine.catalogue.lessons:
        if lesson.audience != "minors":
            found = engine.matcher.match(Query.of(lesson), eligible=None, top_k=3)
            if not found.is_silent:
                return lesson.lesson_id
    raise LookupError


@pytest.mark.parametrize("has_index", [True, False], ids=["with an index", "on a fresh machine"])
def test_without_the_model_words_still_find_items_and_stats_say_so(
    world: World, has_index: bool
) -> None:
    if has_index:
        world.build_index()
    world.gone.append("the model folder is missing")
    person = Person(world.conversation)

    person.command(f"/start l-{lesson_of(world)}")

    assert person.item_ids
    assert mode_shown(person) is Mode.LEXICAL
    assert world.engines.current().model_name == NO_ENCODER


def test_stats_name_the_rung(world: World) -> None:
    world.gone.append("the model folder is missing")
    conversation = Conversation(
        replace(world.conversation.services, admins=frozenset({1}), default_language=Language.EN)
    )
    person, admin = Person(conversation), Person(conversation, name="boss", numeric_id=1)
    person.command(f"/start l-{lesson_of(world)}")

    admin.clock.advance(minutes=1)
    admin.command("/stats")

    assert NO_ENCODER in admin.text
    assert "Degraded slates 1" in admin.text


def test_the_command_line_answers_without_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STATE", "MODEL", "TELEGRAM_TOKEN"):
        monkeypatch.delenv(f"ZHIWEI_{name}", raising=False)
    monkeypatch.setenv("ZHIWEI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ZHIWEI_MODEL", str(tmp_path / "no-such-model"))
    script = tmp_path / "script.txt"
    script.write_text("刚学完地中海饮食那一课\n我对花生过敏\n", encoding="utf-8")

    result = CliRunner().invoke(app, ["chat", "--language", "zh", "--script", str(script)])

    assert result.exit_code == 0, result.output
    assert "过敏原" in result.output
    assert "花生" in result.output


def test_without_the_model_an_allergy_still_hides_items(world: World) -> None:
    world.gone.append("the model folder is missing")
    person = Person(world.conversation)
    person.command(f"/start l-{lesson_of(world)}")

    person.says("I'm allergic to soybeans")

    facts = person.conversation.services.store.facts(person.user_key, at=person.clock())
    assert "soybeans" in {fact.value for fact in facts}
    by_id = world.engines.current().catalogue.items_by_id
    assert all(
        by_id[item_id].allergen_state(Allergen("soybeans")) is AllergenState.FREE_FROM  # type: ignore[index]
        for item_id in person.item_ids
    )


def test_the_model_is_taken_up_again_when_it_is_back(world: World) -> None:
    seconds = Seconds()
    room = room_of(world, seconds)
    world.gone.append("the model folder is missing")
    assert room.current().model_name == NO_ENCODER

    world.gone.clear()
    seconds.now += 30
    room.current()
    room.wait(10)
    too_early = room.current().model_name
    seconds.now += 31
    room.current()
    room.wait(30)

    assert too_early == NO_ENCODER
    assert room.current().model_name == HashingEmbedder(dim=64).name


def test_a_damaged_index_is_built_anew_at_the_start(world: World) -> None:
    world.build_index()
    snapshot_file(world).write_bytes(b"not an array")

    engine = room_of(world).current()

    assert engine.model_name != NO_ENCODER
    assert world.snapshots.current().name == engine.matcher.version


def test_a_half_written_index_is_built_anew_at_the_start(world: World) -> None:
    world.build_index()
    snapshot_file(world).unlink()
    (world.settings.index_folder / ".building-x").mkdir()

    engine = room_of(world).current()

    assert world.snapshots.current().name == engine.matcher.version
    assert not list(world.settings.index_folder.glob(".building-*"))


def test_a_damaged_new_index_leaves_the_old_one_in_force(world: World) -> None:
    world.build_index()
    room = room_of(world)
    before = room.current()
    world.build_index()
    snapshot_file(world).write_bytes(b"not an array")

    after = room.current()

    assert after is before
    assert room.current() is before


def test_a_damaged_new_index_is_replaced_by_a_sound_one_within_a_minute(world: World) -> None:
    world.build_index()
    seconds = Seconds()
    room = room_of(world, seconds)
    before = room.current()
    world.build_index()
    damaged = snapshot_file(world)
    damaged.write_bytes(b"not an array")
    room.current()
    was_degraded = room.is_degraded

    seconds.now += 61
    room.current()
    room.wait(30)
    after = room.current()

    assert was_degraded
    assert not room.is_degraded
    assert after is not before
    assert after.matcher.version == world.snapshots.current().name != damaged.parent.name


def test_a_damaged_new_index_and_no_model_leave_the_whole_engine_in_memory(world: World) -> None:
    world.build_index()
    seconds = Seconds()
    room = room_of(world, seconds)
    before = room.current()
    world.build_index()
    snapshot_file(world).write_bytes(b"not an array")
    room.current()
    world.gone.append("the model folder is missing")

    seconds.now += 61
    room.current()
    room.wait(30)

    assert room.current() is before
    assert room.is_degraded


@pytest.mark.parametrize("name", ["vectors.faiss", "owners.npy", "lexical.npz"])
def test_an_index_that_is_damaged_while_it_is_used_changes_no_answer(
    world: World, name: str
) -> None:
    world.build_index()
    engine = room_of(world).current()
    query = Query(text="tofu and olive oil")
    before = engine.matcher.match(query, eligible=None, top_k=20)
    file = snapshot_file(world, name)

    # In place, as a failing disk or a careless copy does it; then cut to nothing.
    with file.open("r+b") as content:
        content.write(bytes(file.stat().st_size))
        content.truncate(10)
    after = engine.matcher.match(query, eligible=None, top_k=20)

    assert after == before


def test_an_index_that_cannot_be_built_again_gives_way_to_the_one_before(world: World) -> None:
    world.build_index()
    old = world.snapshots.current().name
    world.build_index()
    snapshot_file(world).write_bytes(b"not an array")
    world.gone.append("the model folder is missing")

    engine = room_of(world).current()

    assert engine.matcher.version == old


def test_without_a_writable_disk_the_index_lives_in_memory(world: World) -> None:
    world.settings.state.mkdir(parents=True)
    # A file where the folder should be: nothing can be written below it, not even by root.
    world.settings.index_folder.write_text("in the way")
    person = Person(world.conversation)

    person.command(f"/start l-{lesson_of(world)}")

    assert person.item_ids
    assert mode_shown(person) is Mode.FULL
    assert world.engines.current().matcher.version.startswith("unsaved")


def test_the_index_goes_to_disk_when_the_disk_is_back(world: World) -> None:
    seconds = Seconds()
    world.settings.state.mkdir(parents=True)
    world.settings.index_folder.write_text("in the way")
    room = room_of(world, seconds)
    room.current()

    world.settings.index_folder.unlink()
    seconds.now += 61
    room.current()
    room.wait(30)

    assert room.current().matcher.version == world.snapshots.current().name


@pytest.mark.parametrize(
    "damage", ["random bytes", "zeros", "not a number", "torn", "a folder in its place"]
)
def test_a_damaged_embeddings_cache_changes_no_vector(tmp_path: Path, damage: str) -> None:
    texts = ["tofu", "豆腐", "olive oil"]
    inner = HashingEmbedder(dim=16)
    CachedEmbedder(inner, tmp_path).embed(texts, kind="passage")
    (path,) = tmp_path.glob("*.vectors")
    content = bytearray(path.read_bytes())
    match damage:
        case "random bytes":
            path.write_bytes(np.random.default_rng(0).bytes(len(content)))
        case "zeros":
            path.write_bytes(bytes(len(content)))
        case "not a number":
            content[16:80] = np.full(16, np.nan, dtype="<f4").tobytes()
            path.write_bytes(content)
        case "torn":
            path.write_bytes(content[:-7])
        case _:
            path.unlink()
            path.mkdir()

    vectors = CachedEmbedder(inner, tmp_path).embed(texts, kind="passage")

    np.testing.assert_array_equal(vectors, inner.embed(texts, kind="passage"))


class BrokenMatcher:
    version = "broken"

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        raise RuntimeError("a damaged index")

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        raise RuntimeError("a damaged index")


def liked(store: InMemoryEventStore, item_id: str, n: int) -> None:
    for number in range(n):
        store.record_reply(
            ReplyEvent(
                reply_id=f"{item_id}-{number}", at=NOON - timedelta(days=1),
                user_key=UserKey(f"u{number}"), kind=ReplyKind.LIKE, item_id=item_id,
            )  # type: ignore[arg-type]
        )  # fmt: skip


def test_with_a_broken_matcher_popular_items_that_may_be_shown_come_in_order() -> None:
    catalogue = sample_catalogue()
    first, second, third = (item.item_id for item in catalogue.items[:3])
    store = InMemoryEventStore()
    liked(store, first, 1)
    liked(store, second, 4)
    liked(store, third, 9)
    eligible = np.ones(len(catalogue), dtype=bool)
    eligible[2] = False
    matcher = SteadyMatcher(BrokenMatcher(), catalogue, lambda: popularity_of(store, at=NOON))

    found = matcher.match(Query(text="soup"), eligible=eligible, top_k=10)

    assert [hit.item_id for hit in found.hits] == [second, first]
    assert found.mode is Mode.POPULAR
    store.close()


def test_with_a_broken_matcher_and_no_likes_only_pins_remain() -> None:
    services = build_conversation().services
    engine = services.engine()
    lesson = next(lesson for lesson in engine.catalogue.lessons if lesson.audience != "minors")
    pinned = engine.catalogue.items[0].item_id
    services.store.put_rule(
        CreatorRule(
            lesson_id=lesson.lesson_id, item_id=pinned, kind=RuleKind.PIN, at=NOON,
            creator=UserKey("c"),
        )
    )  # fmt: skip
    person = Person(broken(services))

    person.command(f"/start l-{lesson.lesson_id}")

    assert person.item_ids == [pinned]
    assert mode_shown(person) is Mode.PINS


def broken(services: object) -> object:
    """The conversation with its matcher broken."""
    engine = services.engine()  # type: ignore[attr-defined]
    matcher = SteadyMatcher(BrokenMatcher(), engine.catalogue)
    bad = replace(
        engine, matcher=matcher, recommender=replace(engine.recommender, matcher=matcher)
    )
    return Conversation(replace(services, engine=lambda: bad))  # type: ignore[type-var]


def test_with_nothing_left_the_person_is_told_so_and_nothing_breaks() -> None:
    services = build_conversation().services
    lesson = next(x for x in services.engine().catalogue.lessons if x.audience != "minors")
    person = Person(broken(services))  # type: ignore[arg-type]

    person.command(f"/start l-{lesson.lesson_id}")

    assert person.item_ids == []
    assert person.text.strip()


# the store


class DownStore(InMemoryEventStore):
    """Every transaction fails, as on a full or read-only disk."""

    @contextmanager
    def transaction(self) -> Iterator[None]:  # type: ignore[override]
        raise StoreError("the disk is full")
        yield


def incoming(
    text: str, *, channel: str = "terminal", code: str = "en", user: str = "u"
) -> Incoming:
    sender = Sender(user_key=UserKey(user), language_code=code, channel=channel)
    return TextMessage(incoming_id=f"t:{text}", sender=sender, at=NOON, text=text)


def steady(store: object) -> object:
    return SteadyConversation(build_conversation(store=store).services)


@pytest.mark.parametrize(("code", "words"), [("en", "nothing"), ("zh-hans", "没有")])
def test_while_the_store_is_down_the_person_is_told_and_no_food_is_named(
    code: str, words: str
) -> None:
    conversation = steady(DownStore())

    replies = conversation.handle(incoming("hello", code=code))  # type: ignore[attr-defined]

    assert words in replies[0].text
    assert not any(reply.item_ids for reply in replies)


def test_a_slate_that_cannot_be_checked_again_is_not_shown() -> None:
    class Unreadable(InMemoryEventStore):
        def facts(self, user_key: UserKey, *, at: datetime) -> list[ProfileFact]:
            raise StoreError("the disk reported an error")

    conversation = steady(Unreadable())
    item_id = conversation.services.engine().catalogue.items[0].item_id  # type: ignore[attr-defined]
    reply = Reply(spans=plain("three items"), item_ids=(item_id,))

    checked = conversation.checked(reply, incoming("more"))  # type: ignore[attr-defined]

    assert checked.item_ids == ()
    assert "three items" not in checked.text
    with pytest.raises(StoreError):
        conversation.checked(reply, incoming("more", channel="telegram"))  # type: ignore[attr-defined]


def test_advice_in_an_emergency_needs_no_store() -> None:
    conversation = steady(DownStore())

    (english,) = conversation.handle(  # type: ignore[attr-defined]
        incoming("I just ate peanuts and my throat is swelling, help")
    )
    (chinese,) = without_a_store(incoming("刚吃了花生喘不上气了救命"), Language.EN)

    assert "112" in english.text
    assert "120" in chinese.text


def test_on_a_channel_that_delivers_again_the_message_waits_for_the_store() -> None:
    conversation = steady(DownStore())

    with pytest.raises(StoreError):
        conversation.handle(incoming("hello", channel="telegram"))  # type: ignore[attr-defined]


def test_a_locked_database_is_explained_and_works_again_once_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "zhiwei.db"
    store = SqliteEventStore(path, busy_timeout_seconds=0.1)
    conversation = steady(store)
    other = SqliteEventStore(path)

    with other.transaction():
        (while_locked,) = conversation.handle(incoming("hello"))  # type: ignore[attr-defined]
    afterwards = conversation.handle(incoming("hello"))  # type: ignore[attr-defined]

    assert "records" in while_locked.text
    assert "records" not in afterwards[0].text
    other.close()
    store.close()


def test_a_full_disk_is_explained_and_nothing_half_done_remains(tmp_path: Path) -> None:
    store = SqliteEventStore(tmp_path / "zhiwei.db")
    conversation = steady(store)
    pages = store._file.value("PRAGMA page_count")
    store._file.write(f"PRAGMA max_page_count={pages}")

    texts = [
        conversation.handle(incoming("hello", user=f"user-{number}"))[0].text  # type: ignore[attr-defined]
        for number in range(150)
    ]
    told = [text for text in texts if "records" in text]
    store._file.write("PRAGMA max_page_count=100000")
    after = conversation.handle(incoming("hello"))[0].text  # type: ignore[attr-defined]

    assert told
    assert "records" not in after
    assert store.check() == []
    store.close()


# keywords


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("stop", Intent.PAUSE),
        ("退订", Intent.PAUSE),
        ("please delete all my data", Intent.DELETE_DATA),
        ("删除我的数据", Intent.DELETE_DATA),
        ("export my data", Intent.EXPORT_DATA),
        ("help", Intent.HELP),
        ("怎么用", Intent.HELP),
        ("why these?", Intent.WHY),
        ("为什么推荐这个", Intent.WHY),
        ("I just finished the lesson on miso", Intent.FINISHED_LESSON),
        ("刚学完发酵那一课", Intent.FINISHED_LESSON),
        ("something cheaper please", Intent.CRITIQUE),
        ("便宜点的", Intent.CRITIQUE),
        ("do you have tofu", Intent.SEARCH_PRODUCT),
        ("有没有豆腐", Intent.SEARCH_PRODUCT),
        ("thanks", Intent.THANKS),
        ("你好", Intent.GREET),
        ("I am vegan", Intent.SET_CONSTRAINT),
        ("the moon is bright", Intent.OUT_OF_SCOPE),
    ],
)
def test_plain_words_are_understood_without_a_model(text: str, intent: Intent) -> None:
    assert KeywordInterpreter().understand(text).intent is intent


@pytest.mark.parametrize(
    "text",
    [
        "I'm allergic to peanuts",
        "peanuts make me sick",
        "my son can't eat eggs",
        "我对花生过敏",
        "吃虾会起疹子",
        "喝牛奶就拉肚子",
        "recommend something, but nuts give me hives",
        "芒果过敏，有什么推荐",
    ],
)
def test_whatever_may_be_an_allergy_is_taken_for_one(text: str) -> None:
    meaning = KeywordInterpreter().understand(text)

    assert meaning.maybe_allergy
    assert meaning.slots.get("allergens") or meaning.slots.get("diet") or meaning.allergy_words


@pytest.mark.parametrize("text", ["I'm no longer allergic to peanuts", "我不再对花生过敏了"])
def test_keywords_alone_never_lift_an_allergy(text: str) -> None:
    meaning = KeywordInterpreter().understand(text)

    assert meaning.intent is not Intent.UNSET_CONSTRAINT


def test_an_interpreter_that_fails_gives_way_to_keywords_and_its_words_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing:
        def understand(self, text: str) -> Meaning:
            raise RuntimeError(text)

        def understand_all(self, texts: Sequence[str]) -> list[Meaning]:
            raise RuntimeError(texts[0])

    meaning = SteadyInterpreter(Failing).understand("退订")

    assert meaning.intent is Intent.PAUSE
    assert "退订" not in caplog.text

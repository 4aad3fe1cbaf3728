"""What a text says and implies of food, and which items of a catalogue that speaks for.

Mentions ("pomegranate"), dishes ("mapo tofu" -> tofu, doubanjiang), patterns ("stew" -> onion) and topics
("Silk Road" -> pomegranate) each make foods active; items are linked to foods by their names.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from data.catalogue import Catalogue, Item, ItemId
from data.food_knowledge import FoodId, food_closure, load_foods
from data.mentions import MentionScanner, has_han, normalised
from data.topic_knowledge import MAX_WEIGHT, load_dishes, load_patterns, load_topics
from data.vocabulary import CATEGORY_GROUPS
from index.embedding import Embedder
from index.food_graph import families, find_foods, noisy_or, spread
from index.lexical import normalize
from index.subjects import SubjectSense

VIEWS = ("title", "text", "dish", "pattern", "topic", "staple", "doubt", "avoid")
MAIN_LINK, SIDE_LINK = 1.0, 0.6
_TAIL = re.compile(r"\s(?:in|with|for|from)\s|[(（,]", re.IGNORECASE)
_COMPOSED = frozenset({"ready_to_eat", "frozen", "snack", "sweet"})
"""Categories whose items are made of foods of other categories."""
FULL_SENTENCE_BYTES = 36
"""A sentence of some seven English words or twelve Chinese characters says something."""
_BINDING = 0.4
"""From this strength on a topic's `avoid` list is binding, unless another topic asks for the food
more strongly: a lesson on capsaicin wants chillies, whatever its sentence on children says."""
_DENIED = 0.5
"""How strongly "without milk" in the text speaks against milk; seldom a rule for the pairing."""
_UNASKED_ALCOHOL = 0.6
SENSE = 0.6
"""What a subject weighs that is heard by its sense alone, against one that is named."""
_COMMON = 30
"""A food that more subjects than this name is discounted."""
_FREE_OF: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (
        re.compile(r"gluten[- ]free|无麸质|不含麸质"),
        frozenset({"gluten", "wheat", "bread", "all_purpose_flour", "flour", "pasta", "noodle",
                   "barley", "rye", "oat", "oats", "soy_sauce", "noodles", "grain"}),
    ),
    (
        re.compile(r"\bdecaf|caffeine[- ]free|低因|无咖啡因|脱因"),
        frozenset({"coffee", "tea", "caffeine", "black_tea", "green_tea"}),
    ),
    (
        re.compile(r"lactose[- ]free|无乳糖|dairy[- ]free"),
        frozenset({"milk", "dairy", "lactose"}),
    ),
    (re.compile(r"alcohol[- ]free|non-alcoholic|无酒精|无醇"), frozenset({"alcohol", "beer", "wine"})),
    (re.compile(r"sugar[- ]free|无糖|不加糖|unsweetened"), frozenset({"sugar", "sweet"})),
    (re.compile(r"low[- ]sodium|减盐|低盐|淡盐|no added salt"), frozenset({"salt", "soy_sauce"})),
)  # fmt: skip
"""Words in an item's name that answer an `avoid`: what they exempt."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one text says of food. Values in [0, 1]."""

    active: Mapping[str, Mapping[FoodId, float]]
    """View -> food -> activation."""
    pieces_by_food: Mapping[FoodId, tuple[int, ...]]
    """Sentences that name the food (not in denial)."""
    pieces_by_topic: Mapping[str, tuple[int, ...]]
    topics: Mapping[str, float]
    against: Mapping[str, float]
    """Foods, kinds and categories that speak against this text, with the strength in [0, 1]."""
    is_chinese: bool
    cooking: float
    """How much the text reads like a recipe, in [0, 1]."""
    silence: float
    """Strength of the strongest topic with which silence is right, in [0, 1]."""
    tact: float = 0.0
    """How much the text sounds like subjects that are best left alone, about -0.3 to 0.6."""

    @property
    def strongest_topic(self) -> float:
        return max(self.topics.values(), default=0.0)


@dataclass(frozen=True)
class KnowledgeIndex:
    """Links the items of one catalogue to foods, and reads texts."""

    catalogue: Catalogue
    embedder: Embedder | None = None
    use_topics: bool = True
    objects: bool = True
    """Whether subjects may speak against items; off only to measure what that is worth."""
    _cache: dict[str, object] = field(default_factory=dict)
    _kinds_by_row: dict[int, frozenset[str]] = field(default_factory=dict)

    @cached_property
    def row_by_id(self) -> Mapping[ItemId, int]:
        return {item.item_id: row for row, item in enumerate(self.catalogue.items)}

    @cached_property
    def links(self) -> list[dict[FoodId, float]]:
        """For every item the foods that its names name, with the strength of the link."""
        return [_links(item) for item in self.catalogue.items]

    @cached_property
    def rows_by_food(self) -> Mapping[FoodId, list[tuple[int, float]]]:
        rows: dict[FoodId, list[tuple[int, float]]] = {}
        for row, foods in enumerate(self.links):
            for food, strength in foods.items():
                rows.setdefault(food, []).append((row, strength))
        return rows

    @cached_property
    def _triggers(self) -> tuple[MentionScanner, Mapping[str, list[int]]]:
        by_phrase: dict[str, list[int]] = {}
        for number, topic in enumerate(load_topics()):
            for phrase in dict.fromkeys(normalised(p) for p in (*topic.zh, *topic.en)):
                by_phrase.setdefault(phrase, []).append(number)
        return MentionScanner(by_phrase), by_phrase

    @cached_property
    def _dishes(self) -> tuple[MentionScanner, Mapping[str, Mapping[FoodId, int]]]:
        by_name: dict[str, Mapping[FoodId, int]] = {}
        for dish in load_dishes():
            for name in dish.names:
                by_name.setdefault(normalised(name), dish.ingredients)
        return MentionScanner(by_name), by_name

    @cached_property
    def _patterns(self) -> tuple[MentionScanner, Mapping[str, Mapping[FoodId, int]]]:
        by_word: dict[str, Mapping[FoodId, int]] = {}
        for pattern in load_patterns():
            for word in pattern.words:
                by_word.setdefault(normalised(word), pattern.ingredients)
        return MentionScanner(by_word), by_word

    @cached_property
    def _sense(self) -> SubjectSense | None:
        return (
            None if self.embedder is None or not load_topics() else SubjectSense.of(self.embedder)
        )

    def get_ready(self) -> None:
        """Embed the subjects now: in somebody's first answer it would take seconds."""
        _ = self._sense

    def read(
        self, title: str, text: str, pieces: Sequence[str], vectors: np.ndarray | None
    ) -> Reading:
        """Read a text once; `vectors` are those of `pieces`, or None."""
        folded_title = normalised(normalize(title))
        counts, pieces_by_food, denied = _count_mentions(pieces)
        title_foods = {m.food_id: 1.0 for m in find_foods(title) if not m.is_denied}
        text_foods = _text_activation(counts)
        topics, pieces_by_topic = self._topics(folded_title, pieces, vectors)
        dish, n_dishes = self._implied(self._dishes, folded_title, pieces)
        pattern, n_patterns = self._implied(self._patterns, folded_title, pieces)
        known = load_topics()
        return Reading(
            active={
                "title": title_foods,
                "text": text_foods,
                "dish": dish,
                "pattern": pattern,
                "topic": _topic_foods(topics),
            },
            pieces_by_food=pieces_by_food,
            pieces_by_topic=pieces_by_topic,
            topics={known[n].topic_id: s for n, s in topics.items()},
            against=_against(topics, denied - set(counts)),
            is_chinese=has_han(title + text[:200]),
            cooking=min(1.0, 0.5 * min(n_dishes, 1) + 0.25 * min(n_patterns, 2)
                        + 0.1 * min(len(title_foods), 2) + 0.05 * min(len(counts), 8)),
            silence=max((s for n, s in topics.items() if known[n].is_silent), default=0.0),
            tact=0.0 if self._sense is None or vectors is None or not self.use_topics
            else self._sense.silence(vectors),
        )  # fmt: skip

    def _topics(
        self, title: str, pieces: Sequence[str], vectors: np.ndarray | None
    ) -> tuple[dict[int, float], dict[str, tuple[int, ...]]]:
        """Strength in [0, 1] of every topic that the text speaks of, by triggers and by sense."""
        if not self.use_topics:
            return {}, {}
        scanner, by_phrase = self._triggers
        found: dict[int, dict[str, float]] = {}
        where: dict[int, set[int]] = {}
        for number, piece in enumerate([title, *pieces]):
            for mention in scanner.find(normalize(piece)):
                phrase = normalised(mention.phrase)
                owners = by_phrase[phrase]
                for topic in owners:
                    weight = (1.6 if number == 0 else 0.7) / math.sqrt(len(owners))
                    best = found.setdefault(topic, {})
                    best[phrase] = max(best.get(phrase, 0.0), weight)
                    if number > 0:
                        where.setdefault(topic, set()).add(number - 1)
        sense = {}
        if self._sense is not None and vectors is not None:
            sense = self._sense.strengths(vectors)
        strengths: dict[int, float] = {}
        for topic in found.keys() | sense.keys():
            by_words = 1.0 - math.exp(-sum(found.get(topic, {}).values()) / 1.5)
            strengths[topic] = noisy_or([by_words, SENSE * sense.get(topic, 0.0)])
        known = load_topics()
        kept = {t: s for t, s in strengths.items() if s > 0.15}
        return kept, {known[t].topic_id: tuple(sorted(p)) for t, p in where.items() if t in kept}

    def _implied(
        self,
        lexicon: tuple[MentionScanner, Mapping[str, Mapping[FoodId, int]]],
        title: str,
        pieces: Sequence[str],
    ) -> tuple[dict[FoodId, float], int]:
        """Foods that named dishes or patterns imply; the title counts most."""
        scanner, by_name = lexicon
        foods: dict[FoodId, float] = {}
        n_title = 0
        for number, piece in enumerate([title, *pieces]):
            for mention in scanner.find(normalize(piece)):
                n_title += number == 0
                strength = 1.0 if number == 0 else 0.35
                for food, weight in by_name[normalised(mention.phrase)].items():
                    foods[food] = max(foods.get(food, 0.0), strength * (0.25 + 0.25 * weight))
        return foods, n_title

    def features(self, reading: Reading, rows: np.ndarray) -> dict[str, np.ndarray]:
        """(k,) float64 per view of `VIEWS` for the given catalogue rows."""
        features = {
            view: self._of_rows(spread(reading.active[view]), rows)
            for view in ("title", "text", "dish", "pattern", "topic")
        }
        features["staple"] = reading.cooking * self._staples(reading.is_chinese)[rows]
        features["doubt"], features["avoid"] = self._objections(reading, rows)
        return features

    def _of_rows(self, active: Mapping[FoodId, float], rows: np.ndarray) -> np.ndarray:
        best: dict[int, float] = {}
        for food, strength in active.items():
            for row, link in self.rows_by_food.get(food, ()):
                value = strength * link
                if value > best.get(row, 0.0):
                    best[row] = value
        return np.array([best.get(int(row), 0.0) for row in rows], dtype=np.float64)

    def _staples(self, is_chinese: bool) -> np.ndarray:
        """(n_items,) in [0, 1]: how common the item's main food is in home cooking."""
        key = f"staples-{is_chinese}"
        if key not in self._cache:
            foods = load_foods()
            values = np.zeros(len(self.links))
            for row, links in enumerate(self.links):
                for food, link in links.items():
                    staple = foods[food].staple_zh if is_chinese else foods[food].staple_en
                    values[row] = max(values[row], link * staple / 5)
            self._cache[key] = values
        return np.asarray(self._cache[key])

    def _objections(self, reading: Reading, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(k,) doubt in [0, 1], and (k,) 1 where the text forbids the item, else 0."""
        against = reading.against if self.objects else {}
        wanted = reading.active["topic"]
        named = reading.active["text"].keys() | reading.active["title"].keys()
        doubt, avoid = np.zeros(len(rows)), np.zeros(len(rows))
        for k, row in enumerate(rows):
            kinds = self._kinds(int(row))
            strength = max((against[kind] for kind in kinds & against.keys()), default=0.0)
            if strength > 0.0:
                asked = max((wanted.get(food, 0.0) for food in self.links[row]), default=0.0)
                avoid[k] = float(
                    strength >= _BINDING and strength >= asked and strength != _DENIED
                )
                doubt[k] = strength
            if "alcohol" in kinds and not (named & self.links[row].keys()):
                doubt[k] = max(doubt[k], _UNASKED_ALCOHOL)
        return doubt, avoid

    def _kinds(self, row: int) -> frozenset[str]:
        """Everything that an objection may name to mean this item; what its name exempts is out."""
        known = self._kinds_by_row.get(row)
        if known is None:
            item = self.catalogue.items[row]
            kinds = {item.category} if item.category else set()
            for food in self.links[row]:
                kinds |= families(food)
            if item.audience == "adults":
                kinds.add("alcohol")
            for group, categories in CATEGORY_GROUPS.items():
                if kinds & categories:
                    kinds.add(group)
            names = normalised(f"{item.name_zh} {item.name_en}")
            for pattern, exempt in _FREE_OF:
                if pattern.search(names):
                    kinds -= exempt
            known = self._kinds_by_row[row] = frozenset(kinds)
        return known

    def rows_for(self, reading: Reading, limit: int) -> list[int]:
        """Rows of the items that the text speaks for most, at most `limit`."""
        best: Counter[int] = Counter()
        for view in ("title", "text", "dish", "topic", "pattern"):
            for food, strength in spread(reading.active[view]).items():
                for row, link in self.rows_by_food.get(food, ())[:limit]:
                    best[row] = max(best[row], strength * link)  # type: ignore[assignment]
        return [row for row, _ in best.most_common(limit)]

    def naming_sentence(self, reading: Reading, row: int, pieces: Sequence[str]) -> str:
        """The first sentence that names the item's main food; empty when none does."""
        for food, _ in sorted(self.links[row].items(), key=lambda pair: -pair[1]):
            numbers = [n for n in reading.pieces_by_food.get(food, ()) if n < len(pieces)]
            if numbers:
                # A title or "Look for the lemon." names, but says little: prefer a fuller sentence.
                told = [n for n in numbers if n > 0] or numbers
                full = [n for n in told if len(pieces[n].encode()) >= FULL_SENTENCE_BYTES]
                return pieces[(full or told)[0]]
        return ""

    def telling_sentence(
        self, reading: Reading, row: int, pieces: Sequence[str]
    ) -> tuple[int, ...]:
        """Sentences that triggered a topic which speaks for the item."""
        foods = set(self.links[row])
        return tuple(
            n
            for topic in load_topics()
            if topic.topic_id in reading.topics and foods & set(topic.foods)
            for n in reading.pieces_by_topic.get(topic.topic_id, ())
            if n < len(pieces)
        )


def _links(item: Item) -> dict[FoodId, float]:
    """The foods that an item's names name, with the strength of the link.

    Both languages put the head of a name last ("tomato soup", 番茄汤), before any "in", "with" or
    "for". A food of another kind than the item's category is a part of it, not what it is.
    """
    links: dict[FoodId, float] = {}
    heads: set[FoodId] = set()
    for name in (item.name_zh, item.name_en):
        mentions = [m for m in find_foods(name) if not m.is_denied]
        if not mentions:
            continue
        tail = _TAIL.search(name)
        end = tail.start() if tail and mentions[0].start < tail.start() else len(name)
        last = max(m.start for m in mentions if m.start <= end)
        heads |= {m.food_id for m in mentions if m.start == last}
        links |= dict.fromkeys((m.food_id for m in mentions), SIDE_LINK)
    # Where the other language is more exact ("fish", 鳕鱼), its food speaks for the wider one.
    wider = {kind for food in heads for kind in food_closure(food)}
    foods = load_foods()
    of_its_kind = {food for food in heads - wider if foods[food].category == item.category}
    is_composed = item.category in _COMPOSED
    main = of_its_kind or (set() if is_composed else heads - wider)
    links |= dict.fromkeys(main, MAIN_LINK)
    return {food: strength for food, strength in links.items() if food not in wider}


def _count_mentions(
    pieces: Sequence[str],
) -> tuple[Counter[FoodId], dict[FoodId, tuple[int, ...]], set[FoodId]]:
    counts: Counter[FoodId] = Counter()
    where: dict[FoodId, list[int]] = {}
    denied: set[FoodId] = set()
    for number, piece in enumerate(pieces):
        for mention in find_foods(piece):
            if mention.is_denied:
                denied.add(mention.food_id)
            else:
                counts[mention.food_id] += 1
                where.setdefault(mention.food_id, []).append(number)
    return counts, {f: tuple(dict.fromkeys(n)) for f, n in where.items()}, denied


def _text_activation(counts: Counter[FoodId]) -> dict[FoodId, float]:
    """0.55 for one mention, towards 1 for the food named most."""
    most = max(counts.values(), default=1)
    return {
        food: 0.55 + 0.45 * math.log(count) / math.log(most) if most > 1 else 0.55
        for food, count in counts.items()
    }


def _against(topics: Mapping[int, float], denied: set[FoodId]) -> dict[str, float]:
    known = load_topics()
    against: dict[str, float] = dict.fromkeys(map(str, denied), _DENIED)
    for number, strength in topics.items():
        for food in known[number].avoid:
            against[food] = max(against.get(food, 0.0), strength)
    return against


@lru_cache(maxsize=1)
def _distinctness() -> Mapping[FoodId, float]:
    """In (0, 1]: an egg goes with every tenth subject, so that it says little about any."""
    subjects = Counter(food for topic in load_topics() for food in topic.foods)
    return {food: min(1.0, (_COMMON / n) ** 0.25) for food, n in subjects.items()}


def _topic_foods(topics: Mapping[int, float]) -> dict[FoodId, float]:
    known, distinct = load_topics(), _distinctness()
    parts: dict[FoodId, list[float]] = {}
    for number, strength in topics.items():
        for food, weight in known[number].foods.items():
            value = strength * distinct[food] * (weight / MAX_WEIGHT) ** 1.3 * 0.95
            parts.setdefault(food, []).append(value)
    return {food: noisy_or(values) for food, values in parts.items()}

from __future__ import annotations

import json
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data.catalogue import Item
from data.errors import InvalidInput
from data.importing import Import, Problem, read_items, read_lessons
from data.samples import load_samples
from data.vocabulary import Allergen, AllergenState, Diet


def items_of(tmp_path: Path, content: str | bytes, name: str = "catalogue.csv") -> Import[Item]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_items(path)


def item_with(tmp_path: Path, **cells: object) -> Import[Item]:
    row = {"item_id": "a1", "name": "Tofu", **cells}
    return items_of(tmp_path, json.dumps(row), "items.jsonl")


def states_of(found: Import[Item]) -> dict[str, str]:
    return {str(k): str(v) for k, v in found.records[0].allergens.items()}


def test_a_whole_row_is_read(tmp_path: Path) -> None:
    found = items_of(
        tmp_path,
        "item_id,name_zh,name_en,category,tags,price,unit,season,allergens,allergens_checked_on,"
        "diets,available_until,stock,sponsored,buy_url\n"
        "t1,嫩豆腐,Silken tofu,soy,soft;mild,¥4.50,350 g,11-2,"
        "soybeans=contains;nuts=may_contain;*=free_from,2026-11-01,vegan;Gluten-free,2026-12-31,"
        "7,yes,https://shop.example/t1\n",
    )

    assert found.problems == ()
    [item] = found.records
    assert (item.name_zh, item.name_en, item.category) == ("嫩豆腐", "Silken tofu", "soy")
    assert (item.price, item.currency) == (Decimal("4.50"), "CNY")
    assert item.season == {11, 12, 1, 2}
    assert item.tags == ("soft", "mild")
    assert item.allergens[Allergen.SOYBEANS] is AllergenState.CONTAINS
    assert item.allergens[Allergen.NUTS] is AllergenState.MAY_CONTAIN
    assert item.allergens[Allergen.MILK] is AllergenState.FREE_FROM
    assert len(item.allergens) == 14
    assert item.diets == {Diet.VEGAN, Diet.GLUTEN_FREE}
    assert item.allergens_checked_on == date(2026, 11, 1)
    assert (item.stock, item.sponsored) == (7, True)


def test_what_a_row_does_not_say_is_unknown(tmp_path: Path) -> None:
    [item] = item_with(tmp_path).records

    assert (item.price, item.diets, item.stock, item.season) == (None, None, None, frozenset())
    assert all(item.allergen_state(a) is AllergenState.UNKNOWN for a in Allergen)


@pytest.mark.parametrize(("name", "slot"), [("嫩豆腐", "name_zh"), ("Tofu", "name_en")])
def test_a_single_name_goes_to_its_language(tmp_path: Path, name: str, slot: str) -> None:
    [item] = item_with(tmp_path, name=name).records

    assert getattr(item, slot) == name


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [
        ("utf-8", ","),
        ("utf-8-sig", ";"),
        ("utf-8", "\t"),
        ("gb18030", ","),
        ("gb18030", "\t"),
        ("utf-16", "\t"),
    ],
)
def test_encodings_and_delimiters_are_recognised(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    table = [["item_id", "name_zh", "tags"], ["t1", "豆腐，嫩", '"软,滑"'], ["t2", "韭菜", "绿"]]
    content = "\r\n".join(delimiter.join(row) for row in table)

    found = items_of(tmp_path, content.encode(encoding))

    assert [item.name_zh for item in found.records] == ["豆腐，嫩", "韭菜"]
    assert found.records[0].tags == ("软", "滑")
    assert found.problems == ()


def test_one_broken_byte_does_not_turn_a_utf8_file_into_another_encoding(tmp_path: Path) -> None:
    rows = ["item_id,name_zh", "t1,豆腐", "t2,韭菜", "t3,X", "t4,莲藕"]
    content = "\n".join(rows).encode().replace(b"X", b"\xff\xfe")

    found = items_of(tmp_path, content)

    assert [item.name_zh for item in found.records] == ["豆腐", "韭菜", "莲藕"]
    assert [(problem.line, problem.field) for problem in found.problems] == [(4, "row")]


def test_a_problem_is_one_sentence_that_says_where_what_and_how_it_should_be(
    tmp_path: Path,
) -> None:
    found = items_of(tmp_path, "item_id,name,price\na1,Tofu,4\na2,Leek,abc\n")

    assert [item.item_id for item in found.records] == ["a1"]
    assert [str(problem) for problem in found.problems] == [
        "catalogue.csv, line 3, price: got 'abc', expected a decimal number such as 12.90"
    ]


def test_every_bad_cell_of_a_row_is_named(tmp_path: Path) -> None:
    found = item_with(tmp_path, price="abc", stock=-1, season="13", audience="pets")

    assert found.records == ()
    assert {problem.field for problem in found.problems} == {
        "price",
        "stock",
        "season",
        "audience",
    }


def test_of_two_rows_with_one_id_the_first_is_kept(tmp_path: Path) -> None:
    found = items_of(tmp_path, "item_id,name\na1,Tofu\na1,Leek\n")

    assert [item.name_en for item in found.records] == ["Tofu"]
    assert "line 3, item_id: got 'a1'" in str(found.problems[0])
    assert "line 2" in found.problems[0].expected


def test_unknown_columns_are_noted_once(tmp_path: Path) -> None:
    found = items_of(tmp_path, "item_id,name,colour\na1,Tofu,white\na2,Leek,green\n")

    assert len(found.records) == 2
    assert found.problems == ()
    [note] = found.notes
    assert "colour" in note


@pytest.mark.parametrize(
    ("cell", "amount", "currency"),
    [
        ("12.90", "12.90", "CNY"),
        ("¥12.90", "12.90", "CNY"),
        ("￥ 12.9", "12.9", "CNY"),
        ("12.90 CNY", "12.90", "CNY"),
        ("12.9元", "12.9", "CNY"),
        ("$3", "3", "USD"),
        ("EUR 1,299.50", "1299.50", "EUR"),
        ("12,90", "12.90", "CNY"),
        (6.9, "6.9", "CNY"),
    ],
)
def test_prices_are_exact(tmp_path: Path, cell: object, amount: str, currency: str) -> None:
    [item] = item_with(tmp_path, price=cell).records

    assert (item.price, item.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize("cell", ["-1", "1.2.3", "free", True, [1], "1e5", "12 13", "¥¥¥¥¥1"])
def test_what_is_no_price_is_refused(tmp_path: Path, cell: object) -> None:
    found = item_with(tmp_path, price=cell)

    assert found.records == ()
    assert found.problems[0].field == "price"


def test_two_currencies_for_one_price_are_refused(tmp_path: Path) -> None:
    assert item_with(tmp_path, price="$3", currency="CNY").records == ()
    assert item_with(tmp_path, price_cny="$3").records == ()
    assert item_with(tmp_path, price_cny=3).records[0].price == 3


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ([3, 4], {3, 4}),
        ("3-5", {3, 4, 5}),
        ("11-2", {11, 12, 1, 2}),
        ("Mar;apr", {3, 4}),
        ("三月；十二月", {3, 12}),
        ("全年", set(range(1, 13))),
        ("", set()),
    ],
)
def test_seasons_are_months(tmp_path: Path, cell: object, expected: set[int]) -> None:
    assert item_with(tmp_path, season=cell).records[0].season == expected


@pytest.mark.parametrize(
    "cell",
    ["milk;eggs", ["milk", "eggs"], '["milk", "eggs"]', {"milk": "contains", "egg": "contains"}],
)
def test_a_list_of_allergens_means_contains_and_clears_nothing(
    tmp_path: Path, cell: object
) -> None:
    found = item_with(tmp_path, allergens=cell)

    assert states_of(found) == {"milk": "contains", "eggs": "contains"}
    assert found.records[0].allergen_state(Allergen.FISH) is AllergenState.UNKNOWN


@pytest.mark.parametrize("cell", [[], "", "[]", None, {}])
def test_no_allergens_named_is_not_free_of_them(tmp_path: Path, cell: object) -> None:
    assert states_of(item_with(tmp_path, allergens=cell)) == {}


def test_may_contain_has_a_column_of_its_own(tmp_path: Path) -> None:
    found = item_with(tmp_path, allergens="milk;*=free_from", may_contain=["nuts"])

    states = states_of(found)
    assert (states["milk"], states["nuts"], states["eggs"]) == (
        "contains",
        "may_contain",
        "free_from",
    )


@pytest.mark.parametrize(
    "cell",
    [
        "milk=contains;wumple=free_from;*=free_from",
        "milk=free_from;eggs=perhaps",
        {"shellfish": "free_from", "milk": "free_from"},
        "none",
        "-",
        17,
        [["milk"]],
        "{broken",
    ],
    ids=str,
)
def test_one_allergen_statement_that_is_not_understood_makes_all_unknown(
    tmp_path: Path, cell: object
) -> None:
    found = item_with(tmp_path, allergens=cell)

    assert states_of(found) == {}
    assert [problem.field for problem in found.problems] == ["allergens"]
    assert found.problems[0].row_kept


@pytest.mark.parametrize("cell", ["milk=free_from;milk=contains", "milk=contains;milk=free_from"])
def test_of_two_contradicting_statements_the_riskier_counts(tmp_path: Path, cell: str) -> None:
    found = item_with(tmp_path, allergens=cell)

    assert states_of(found) == {"milk": "contains"}
    assert "contains counts" in found.problems[0].expected


def test_a_key_given_twice_inside_json_is_a_contradiction_too(tmp_path: Path) -> None:
    row = '{"item_id":"a","name":"x","allergens":{"milk":"contains","milk":"free_from"}}'

    found = items_of(tmp_path, row, "items.jsonl")

    assert states_of(found) == {"milk": "contains"}
    assert len(found.problems) == 1


def test_free_from_wheat_is_not_free_from_gluten(tmp_path: Path) -> None:
    found = item_with(tmp_path, allergens="wheat=free_from")

    assert found.records[0].allergen_state(Allergen.GLUTEN) is AllergenState.UNKNOWN


def test_diets_tell_unknown_from_none(tmp_path: Path) -> None:
    assert item_with(tmp_path, diets="").records[0].diets is None
    assert item_with(tmp_path, diets="-").records[0].diets == frozenset()
    assert item_with(tmp_path, diet=["vegan"]).records[0].diets == {Diet.VEGAN}
    assert item_with(tmp_path, diets="paleo").records[0].diets is None


def test_a_category_outside_the_vocabulary_is_kept_as_a_tag(tmp_path: Path) -> None:
    found = item_with(tmp_path, category="Space food", tags="dry")

    assert (found.records[0].category, found.records[0].tags) == ("", ("dry", "space food"))
    assert found.problems[0].row_kept


@pytest.mark.parametrize(
    "item_id", ["", " ", "a b", "x" * 65, "豆" * 22, "a\u200bb", "a\x00b", None, True, 1.5]
)
def test_an_id_must_fit_a_button_and_be_printable(tmp_path: Path, item_id: object) -> None:
    found = item_with(tmp_path, item_id=item_id)

    assert found.records == ()
    assert found.problems[0].field == "item_id"


def test_text_is_normalised_and_never_cut(tmp_path: Path) -> None:
    kept = item_with(tmp_path, name="Cafe\u0301\x07 \u202emilk")
    too_long = item_with(tmp_path, name="x" * 201)

    assert kept.records[0].name_en == "Café milk"
    assert too_long.records == ()
    assert "at most 200 characters, not 201" in too_long.problems[0].expected


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://a.example", "https://a b"])
def test_only_web_addresses_are_links(tmp_path: Path, url: str) -> None:
    assert item_with(tmp_path, buy_url=url).records == ()


def test_cells_with_line_breaks_and_quotes_keep_the_line_numbers(tmp_path: Path) -> None:
    content = (
        'item_id,name,description\na1,"5"" tofu","soft\nand white"\na2,Leek,5" long\na3,Pear,,9\n'
    )

    found = items_of(tmp_path, content)

    assert [item.item_id for item in found.records] == ["a1", "a2"]
    assert found.records[0].name_en == '5" tofu'
    assert [problem.line for problem in found.problems] == [5]


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    found = items_of(tmp_path, 'item_id,name\na1,"Tofu\na2,Leek\na3,Pear\n')

    assert [item.item_id for item in found.records] == ["a2", "a3"]
    assert [problem.line for problem in found.problems] == [2]


@pytest.mark.parametrize(
    "line", ["[1]", "{", "NaN", '{"item_id": NaN}', "[" * 100_000, "1" * 5000]
)
def test_a_line_that_is_no_json_object_costs_one_row(tmp_path: Path, line: str) -> None:
    found = items_of(tmp_path, f'{line}\n{{"item_id":"a","name":"x"}}\n', "items.jsonl")

    assert len(found.records) == 1
    assert [problem.line for problem in found.problems] == [1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("catalogue.csv", b"", "is empty"),
        ("catalogue.csv", b"\n \n", "is empty"),
        ("catalogue.csv", b"colour,size\nred,1\n", "no column that we know"),
        ("catalogue.csv", b"item_id,name,name\n1,2,3\n", "'name' twice"),
        ("catalogue.xlsx", b"PK", "expected a .csv, .tsv or .jsonl"),
        ("catalogue.json", b"[]", "one JSON object a line"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        items_of(tmp_path, content, name)

    assert words in str(caught.value)


def test_a_missing_file_and_a_folder_are_explained(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(InvalidInput, match="does not exist"):
        read_items(tmp_path / "nothing.csv")
    with pytest.raises(InvalidInput, match="is a folder"):
        read_items(tmp_path / "folder.csv")


def test_a_catalogue_without_rows_is_empty_and_no_error(tmp_path: Path) -> None:
    assert items_of(tmp_path, "item_id,name\n") == Import((), (), ())


def test_lessons_need_an_id_and_a_title(tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    rows = [
        {
            "lesson_id": "l1",
            "title": "火候",
            "text": "一\n二",
            "lang": "zh-CN",
            "audience": "minors",
        },
        {"lesson_id": "l2", "title": "Only a title", "text": ""},
        {"lesson_id": "l3", "title": "", "text": "no title"},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")

    found = read_lessons(path)

    first, second = found.records
    assert (first.text, first.lang, first.audience) == ("一\n二", "zh", "minors")
    assert second.text == "Only a title"
    assert [(p.line, p.field, p.row_kept) for p in found.problems] == [
        (2, "text", True),
        (3, "title", False),
    ]


def test_the_shipped_samples_are_without_a_problem() -> None:
    samples = load_samples()

    assert len(samples) >= 300
    assert len(samples.lessons) >= 60
    assert all(item.name_zh and item.name_en for item in samples)


cell_texts = st.text(max_size=12) | st.sampled_from(
    [
        '"',
        ",",
        ";",
        "\t",
        "\n",
        "\r",
        "milk=contains",
        "*=free_from",
        "3-5",
        "¥1",
        "\ufeff",
        "\x00",
    ]
)
names = st.sampled_from(["item_id", "name", "price", "allergens", "season", "diets", "x", "title"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _read(content: bytes, suffix: str) -> Import[Item] | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"fuzz{suffix}"
        path.write_bytes(content)
        try:
            return read_items(path)
        except InvalidInput:
            return None


@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".jsonl"]))
@example(b"\xff\xfe", ".csv")
@example(b"\xef\xbb\xbf", ".csv")
@example(b"sep=", ".csv")
def test_no_bytes_make_the_import_fail_otherwise_than_by_a_sentence(
    content: bytes, suffix: str
) -> None:
    found = _read(content, suffix)

    assert found is None or all(isinstance(problem, Problem) for problem in found.problems)


@settings(max_examples=200)
@given(st.lists(st.dictionaries(names, json_values, min_size=1), min_size=1, max_size=6))
def test_every_json_row_is_kept_or_reported(rows: list[dict[str, object]]) -> None:
    found = _read("\n".join(json.dumps(row) for row in rows).encode(), ".jsonl")

    assert found is not None
    refused = {problem.line for problem in found.problems if not problem.row_kept}
    assert len(found.records) + len(refused) == len(rows)


@settings(max_examples=200)
@given(st.lists(st.lists(cell_texts, min_size=3, max_size=3), min_size=1, max_size=6))
def test_every_quoted_table_row_is_kept_or_reported(rows: list[list[str]]) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    content = "\n".join(["item_id,name,allergens", *quoted])

    found = _read(content.encode("utf-8", "replace"), ".csv")

    assert found is not None
    refused = {problem.line for problem in found.problems if not problem.row_kept}
    n_blank = sum(not any(cell.strip() for cell in row) for row in rows)
    assert len(found.records) + len(refused) == len(rows) - n_blank

"""What a source states of allergens. Fail closed: what cannot be understood clears nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from data.catalogue import NO_STATES
from data.cells import LIST_SEPARATORS, CellError, Pairs, is_empty, json_value
from data.vocabulary import Allergen, AllergenState

_REST = "*"
"""Stands for all allergens that the cell does not name."""

_RISK = (
    AllergenState.FREE_FROM,
    AllergenState.UNKNOWN,
    AllergenState.MAY_CONTAIN,
    AllergenState.CONTAINS,
)

# Only words that mean the whole group, neither less nor more: "wheat=free_from" says nothing of
# rye, so wheat is not here, and "shellfish" means two groups.
_OTHER_NAMES: Mapping[str, Allergen] = {
    "egg": Allergen.EGGS,
    "peanut": Allergen.PEANUTS,
    "soy": Allergen.SOYBEANS,
    "soya": Allergen.SOYBEANS,
    "soybean": Allergen.SOYBEANS,
    "nut": Allergen.NUTS,
    "tree_nut": Allergen.NUTS,
    "tree_nuts": Allergen.NUTS,
    "crustacean": Allergen.CRUSTACEANS,
    "mollusc": Allergen.MOLLUSCS,
    "mollusk": Allergen.MOLLUSCS,
    "mollusks": Allergen.MOLLUSCS,
    "sulphite": Allergen.SULPHITES,
    "sulfite": Allergen.SULPHITES,
    "sulfites": Allergen.SULPHITES,
    "sesame_seeds": Allergen.SESAME,
    "含麸质谷物": Allergen.GLUTEN,
    "麸质": Allergen.GLUTEN,
    "甲壳类": Allergen.CRUSTACEANS,
    "蛋类": Allergen.EGGS,
    "鱼类": Allergen.FISH,
    "花生": Allergen.PEANUTS,
    "大豆": Allergen.SOYBEANS,
    "乳制品": Allergen.MILK,
    "奶": Allergen.MILK,
    "坚果": Allergen.NUTS,
    "芹菜": Allergen.CELERY,
    "芥末": Allergen.MUSTARD,
    "芝麻": Allergen.SESAME,
    "亚硫酸盐": Allergen.SULPHITES,
    "羽扇豆": Allergen.LUPIN,
    "软体动物": Allergen.MOLLUSCS,
}

_EXPECTED_KEYS = f"allergens among {', '.join(Allergen)}; all its allergens now count as unknown"
_EXPECTED_STATES = (
    f"a state among {', '.join(AllergenState)}; all its allergens now count as unknown"
)


def allergen_states(
    stated: object, may_contain: object = None
) -> tuple[Mapping[Allergen, AllergenState], list[CellError]]:
    """Read the column `allergens` and the optional column `may_contain`.

    Understands `gluten=contains;milk=may_contain;*=free_from`, a JSON object of the same, and a
    plain list, which means *contains* and leaves all others unknown.

    Returns:
        The states, empty when anything in the cells was not understood, and what to report.
    """
    states: dict[str, AllergenState] = {}
    complaints: list[CellError] = []
    try:
        statements = [*_statements(stated, AllergenState.CONTAINS)]
        statements += _statements(may_contain, AllergenState.MAY_CONTAIN)
    except CellError as bad:
        return NO_STATES, [bad]
    for name, state in statements:
        earlier = states.get(name, state)
        if earlier is not state:
            riskier = max(earlier, state, key=_RISK.index)
            complaints.append(
                CellError(f"{name} only once, not {earlier} and {state}; {riskier} counts")
            )
            state = riskier
        states[name] = state
    rest = states.pop(_REST, AllergenState.UNKNOWN)
    known = {allergen: states.get(allergen.value, rest) for allergen in Allergen}
    return (
        MappingProxyType({a: s for a, s in known.items() if s is not AllergenState.UNKNOWN}),
        complaints,
    )


def _statements(cell: object, implied: AllergenState) -> Iterable[tuple[str, AllergenState]]:
    value = json_value(cell)
    if is_empty(value):
        return []
    if isinstance(value, Pairs):
        return [(_name(name), _state(state)) for name, state in value.pairs]
    if isinstance(value, Mapping):
        return [(_name(name), _state(state)) for name, state in value.items()]
    if isinstance(value, str):
        value = LIST_SEPARATORS.split(value)
    if not isinstance(value, list):
        raise CellError(_EXPECTED_KEYS)
    return [_statement(entry, implied) for entry in value if not is_empty(entry)]


def _statement(entry: object, implied: AllergenState) -> tuple[str, AllergenState]:
    if not isinstance(entry, str):
        raise CellError(_EXPECTED_KEYS)
    name, equals, state = entry.replace("＝", "=").partition("=")
    return _name(name), _state(state) if equals else implied


def _name(value: object) -> str:
    word = _word(value)
    if word == _REST:
        return word
    if word in _OTHER_NAMES:
        return _OTHER_NAMES[word].value
    try:
        return Allergen(word).value
    except ValueError:
        raise CellError(_EXPECTED_KEYS) from None


def _state(value: object) -> AllergenState:
    try:
        return AllergenState(_word(value))
    except ValueError:
        raise CellError(_EXPECTED_STATES) from None


def _word(value: object) -> str:
    return "_".join(str(value).casefold().replace("-", " ").split())

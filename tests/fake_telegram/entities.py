"""Formatting as the Bot API reads it: marked-up text in, plain text and entities out.

The rules and the wording of the refusals are those of Telegram's own server. Offsets and lengths
are counted in UTF-16 code units, byte offsets in messages in UTF-8, exactly as Telegram does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.fake_telegram.refusal import RefusalError, bad_request

Entity = dict[str, Any]

MOST_ENTITIES = 100
"""Telegram shows no more; what lies beyond is plain text, without a word."""
ENTITY_BY_TAG = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "tg-emoji": "custom_emoji",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
_NAMED_CHARACTERS = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_CHARACTER_REFERENCE = re.compile(r"&(#x[0-9a-fA-F]+|#[0-9]+|[a-zA-Z]+);?")
_ATTRIBUTE = re.compile(r"""\s*([^\s=>/"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[a-zA-Z0-9.-]+))?""")
_MARKDOWN_RESERVED = "_*[]()~`>#+-=|{}.!"
_MARKDOWN_NAMES = {
    "*": "bold",
    "_": "italic",
    "__": "underline",
    "~": "strikethrough",
    "||": "spoiler",
    "`": "code",
    "```": "pre",
    "[": "text_link",
}


@dataclass(slots=True)
class _Open:
    """A tag or mark that waits for its end."""

    name: str
    offset: int
    begins_at_byte: int
    argument: str = ""


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, the unit of every limit of Telegram."""
    return len(text.encode("utf-16-le")) // 2


def parse(text: str, parse_mode: str | None, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Return plain text, trimmed as Telegram trims it, and its entities.

    Raises:
        RefusalError: The markup is broken, or the parse mode is none that the fake reads. The old mode
            `Markdown` is refused on purpose: nothing here should use it.
    """
    match (parse_mode or "").lower():
        case "":
            plain, found = text, [dict(entity) for entity in entities]
        case "html":
            plain, found = parse_html(text)
        case "markdownv2":
            plain, found = parse_markdown_v2(text)
        case _:
            raise bad_request("unsupported parse_mode")
    return _trim(plain, found)


def parse_html(text: str) -> tuple[str, list[Entity]]:
    """Read Telegram's HTML. Unknown named characters such as &nbsp; stay as they are written."""
    plain: list[str] = []
    length = 0
    open_tags: list[_Open] = []
    found: list[Entity] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "&":
            decoded, consumed = _character(text, at)
            plain.append(decoded)
            length += utf16_length(decoded)
            at += consumed
        elif character != "<":
            plain.append(character)
            length += utf16_length(character)
            at += 1
        elif text.startswith("</", at):
            at = _close_tag(text, at, length, open_tags, found)
        else:
            at = _open_tag(text, at, length, open_tags)
    if open_tags:
        raise _unparsable(f'Can\'t find end tag corresponding to start tag "{open_tags[-1].name}"')
    return "".join(plain), _sorted(found)


def _open_tag(text: str, at: int, length: int, open_tags: list[_Open]) -> int:
    begin = _byte_offset(text, at)
    name_match = re.compile(r"[^\s>]*").match(text, at + 1)
    assert name_match is not None
    cursor = name_match.end()
    if cursor >= len(text):
        raise _unparsable(f"Unclosed start tag at byte offset {begin}")
    name = name_match.group().lower()
    if name not in ENTITY_BY_TAG:
        raise _unparsable(f'Unsupported start tag "{name}" at byte offset {begin}')
    attributes: dict[str, str] = {}
    while True:
        while cursor < len(text) and text[cursor].isspace():
            cursor += 1
        if cursor >= len(text):
            raise _unparsable(f"Unclosed start tag at byte offset {begin}")
        if text[cursor] == ">":
            break
        attribute = _ATTRIBUTE.match(text, cursor)
        if attribute is None:
            raise _unparsable(f'Empty attribute name in the tag "{name}" at byte offset {begin}')
        attributes[attribute.group(1).lower()] = _unquoted(attribute.group(2) or "")
        cursor = attribute.end()
    if name == "span" and attributes.get("class") != "tg-spoiler":
        raise _unparsable(f'Tag "span" must have class "tg-spoiler" at byte offset {begin}')
    if name == "tg-emoji" and not attributes.get("emoji-id", "").isdigit():
        raise _unparsable(f'Tag "tg-emoji" must have attribute "emoji-id" at byte offset {begin}')
    argument = attributes.get("href") or attributes.get("emoji-id") or attributes.get("class", "")
    if name == "blockquote" and "expandable" in attributes:
        argument = "expandable"
    open_tags.append(_Open(name, length, begin, argument))
    return cursor + 1


def _close_tag(
    text: str, at: int, length: int, open_tags: list[_Open], found: list[Entity]
) -> int:
    begin = _byte_offset(text, at)
    closing = re.compile(r"</([^\s>]*)\s*>").match(text, at)
    if closing is None:
        raise _unparsable(f"Unclosed end tag at byte offset {begin}")
    if not open_tags:
        raise _unparsable(f"Unexpected end tag at byte offset {begin}")
    opened = open_tags.pop()
    name = closing.group(1).lower()
    if name and name != opened.name:
        raise _unparsable(
            f'Unmatched end tag at byte offset {begin}, expected "</{opened.name}>", '
            f'found "</{name}>"'
        )
    outer = open_tags[-1] if open_tags else None
    if opened.name == "code" and opened.argument and outer is not None and outer.name == "pre":
        # The two tags together are one block of code in a named language.
        outer.argument = opened.argument
    elif length > opened.offset:
        found.append(_entity(ENTITY_BY_TAG[opened.name], opened, length))
    return closing.end()


def parse_markdown_v2(text: str) -> tuple[str, list[Entity]]:
    """Read MarkdownV2: paired marks, links, code; every other reserved character escaped."""
    plain: list[str] = []
    length = 0
    open_marks: list[_Open] = []
    found: list[Entity] = []
    at = 0
    while at < len(text):
        inside = open_marks[-1].name if open_marks else ""
        verbatim = inside in ("`", "```")
        character = text[at]
        if character == "\\" and at + 1 < len(text) and ord(text[at + 1]) < 127:
            plain.append(text[at + 1])
            length += 1
            at += 2
            continue
        if inside == "[" and text.startswith("](", at):
            end = text.find(")", at)
            if end < 0:
                raise _unparsable(
                    f"Can't find end of a URL at byte offset {_byte_offset(text, at)}"
                )
            opened = open_marks.pop()
            opened.argument = text[at + 2 : end]
            found.append(_entity("text_link", opened, length))
            at = end + 1
            continue
        mark = _mark_at(text, at, inside if verbatim else None)
        if mark and inside == mark and mark != "[":
            opened = open_marks.pop()
            if length > opened.offset:
                found.append(_entity(_MARKDOWN_NAMES[mark], opened, length))
            at += len(mark)
            continue
        if mark and not verbatim:
            open_marks.append(_Open(mark, length, _byte_offset(text, at)))
            at += len(mark)
            continue
        begins_line = at == 0 or text[at - 1] == "\n"
        if character == ">" and begins_line and not verbatim:
            at += 1
            continue
        if character in _MARKDOWN_RESERVED and not verbatim:
            raise _unparsable(
                f"Character '{character}' is reserved and must be escaped with the preceding '\\'"
            )
        plain.append(character)
        length += utf16_length(character)
        at += 1
    if open_marks:
        last = open_marks[-1]
        kind = _MARKDOWN_NAMES[last.name].replace("text_link", "text_url").title().replace("_", "")
        raise _unparsable(f"Can't find end of {kind} entity at byte offset {last.begins_at_byte}")
    return "".join(plain), _sorted(found)


def _mark_at(text: str, at: int, only: str | None) -> str:
    if only is not None:
        return only if text.startswith(only, at) else ""
    return next((m for m in ("```", "__", "||", *"*_~`[") if text.startswith(m, at)), "")


def _character(text: str, at: int) -> tuple[str, int]:
    reference = _CHARACTER_REFERENCE.match(text, at)
    if reference is None:
        return "&", 1
    name = reference.group(1)
    if name.startswith("#"):
        code = int(name[2:], 16) if name[1] == "x" else int(name[1:])
        is_character = 0 < code < 0x10FFFF and not 0xD800 <= code < 0xE000
        return (chr(code), len(reference.group())) if is_character else ("&", 1)
    if name in _NAMED_CHARACTERS:
        return _NAMED_CHARACTERS[name], len(reference.group())
    return "&", 1


def _unquoted(value: str) -> str:
    bare = value[1:-1] if value[:1] in ("'", '"') else value
    decoded: list[str] = []
    at = 0
    while at < len(bare):
        character, consumed = _character(bare, at) if bare[at] == "&" else (bare[at], 1)
        decoded.append(character)
        at += consumed
    return "".join(decoded)


def _entity(kind: str, opened: _Open, end: int) -> Entity:
    entity: Entity = {"type": kind, "offset": opened.offset, "length": end - opened.offset}
    match kind:
        case "text_link":
            entity["url"] = opened.argument
        case "custom_emoji":
            entity["custom_emoji_id"] = opened.argument
        case "blockquote" if opened.argument == "expandable":
            entity["type"] = "expandable_blockquote"
        case "code" | "pre" if opened.argument.startswith("language-"):
            entity["language"] = opened.argument.removeprefix("language-")
    return entity


def _trim(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    kept = text.lstrip()
    shift = utf16_length(text) - utf16_length(kept)
    kept = kept.rstrip()
    end = utf16_length(kept)
    trimmed: list[Entity] = []
    for entity in entities:
        start = max(0, entity["offset"] - shift)
        stop = min(end, entity["offset"] + entity["length"] - shift)
        # A link without an address is shown as plain text, as Telegram does.
        if stop > start and entity.get("url", "-"):
            trimmed.append(entity | {"offset": start, "length": stop - start})
    return kept, trimmed[:MOST_ENTITIES]


def _sorted(entities: list[Entity]) -> list[Entity]:
    # Of two that cover the same text the outer one, which was closed later, comes first.
    outer_first = entities[::-1]
    outer_first.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return outer_first


def _byte_offset(text: str, at: int) -> int:
    return len(text[:at].encode())


def _unparsable(reason: str) -> RefusalError:
    return bad_request(f"can't parse entities: {reason}")

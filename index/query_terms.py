"""Which words of a lesson are worth asking a catalogue for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from index.lexical import tokenize

_FUNCTION_WORDS = """
    a about after again all also am an and another any are around as at away back be because been
    before being between both but by can come could did do does doing done down each either else
    enough even ever every few first for from get give go going got had has have having he her here
    hers him his how however i if in into is it its itself just keep know last least less let like
    little long look made make many may me might mine more most much must my need neither never new
    next no nor not nothing now of off often old on once one only or other our out over own part
    people perhaps put quite rather really right said same say second see seem set several shall she
    should since so some something sometimes still such take tell than that the their them then
    there these they thing think third this those though three through thus time to today together
    too toward two under until up upon us use used very want was way we week well went were what
    when where whether which while who whole whom whose why will with within without word work
    would year yet you your
    的 了 是 在 和 与 也 就 都 而 及 或 把 被 让 给 对 从 到 向 以 为 之 其 这 那 一个 一种 一次 我们
    你们 他们 它们 自己 什么 怎么 怎样 为什么 这个 那个 这样 那样 没有 不是 可以 可能 因为 所以 如果 但是
    只是 还是 就是 已经 时候 以后 之后 之前 其实 一样 这些 那些 有的 不要 不能 大约 通常 常常 每天 今天
"""
_PASSED_OVER = frozenset(_FUNCTION_WORDS.split())


def query_terms(pieces: Iterable[str]) -> list[str]:
    """Give every content word of a text once, in order.

    A lesson is long: counted as often as it stands there, its favourite word would drown the
    others, and its "what" and "to" would find whatever description is chatty.
    """
    terms = dict.fromkeys(tokenize(" ".join(pieces)))
    return [term for term in terms if term not in _PASSED_OVER]

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.catalogue import ItemId
from data.events import Impression, Reply, ReplyKind, SlateId, UserKey
from index.matches import Hit, Query
from recommender.crowd import Answers, category_transfer
from recommender.features import (
    FEATURES,
    Background,
    answers_by_category,
    feature_matrix,
    logged_features,
)
from recommender.profile import UserProfile, fold_profile
from tests.recommender.learning_world import NOW, ShopMatcher, a_shop

SHOP = a_shop()
MATCHER = ShopMatcher(SHOP)
HITS = MATCHER.match(Query(text="a"), eligible=None, top_k=24).hits
ITEMS = [SHOP.items_by_id[hit.item_id] for hit in HITS]
ADA = UserKey("ada")


def shown(item: str, days_ago: float = 1.0) -> Impression:
    return Impression(
        slate_id=SlateId("s"), user_key=ADA, item_id=ItemId(item), position=0, propensity=0.5,
        marginal_propensity=0.5, explored=False, delivered_at=NOW - timedelta(days=days_ago),
    )  # fmt: skip


def liked(item: str, kind: ReplyKind = ReplyKind.LIKE) -> Reply:
    return Reply(reply_id=f"{item}-{kind}", at=NOW, user_key=ADA, kind=kind, item_id=ItemId(item))


def column(
    name: str, profile: UserProfile, background: Background | None = None
) -> dict[str, float]:
    background = background or Background(SHOP, MATCHER.similarities)
    matrix = feature_matrix(profile, HITS, ITEMS, at=NOW, background=background)
    return {
        str(hit.item_id): float(x)
        for hit, x in zip(HITS, matrix[:, FEATURES.index(name)], strict=True)
    }


def test_a_stranger_gets_finite_numbers_of_the_stated_shape() -> None:
    matrix = feature_matrix(
        UserProfile(user_key=ADA), HITS, ITEMS, at=NOW, background=Background(SHOP)
    )

    assert matrix.shape == (24, len(FEATURES))
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()


def test_a_like_speaks_for_the_category_and_the_tag() -> None:
    # item-00 is a sour fruit; item-06 is fruit and sour, item-01 neither.
    profile = fold_profile(ADA, impressions=[shown("item-00")], replies=[liked("item-00")], at=NOW)

    by_category = column("category_affinity", profile)
    by_tag = column("tag_affinity", profile)

    assert by_category["item-06"] == pytest.approx(0.5)  # 1 like / (1 shown + 1)
    assert by_category["item-01"] == 0.0
    assert by_tag["item-03"] == pytest.approx(0.5)
    assert by_tag["item-01"] == 0.0


def test_the_category_like_rate_by_hand() -> None:
    profile = fold_profile(
        ADA,
        impressions=[shown("item-00"), shown("item-06"), shown("item-01")],
        replies=[liked("item-00")],
        at=NOW,
    )

    rates = column("category_like_rate", profile)

    own = (1 + 4 * 0.2) / (3 + 4)  # one like of three, smoothed by four at 0.2
    assert rates["item-12"] == pytest.approx((1 + 4 * own) / (2 + 4), abs=1e-4)
    assert rates["item-07"] == pytest.approx((0 + 4 * own) / (1 + 4), abs=1e-4)
    assert rates["item-02"] == pytest.approx(own, abs=1e-4)


def test_a_dislike_speaks_against_it() -> None:
    profile = fold_profile(ADA, replies=[liked("item-00", ReplyKind.DISLIKE)], at=NOW)

    assert column("category_affinity", profile)["item-06"] < 0
    assert column("item_affinity", profile)["item-00"] == -1.0


def test_neighbours_of_what_was_liked_stand_out() -> None:
    profile = fold_profile(ADA, impressions=[shown("item-05")], replies=[liked("item-05")], at=NOW)

    affinity = column("neighbour_affinity", profile)

    nearest = int(np.argsort(-MATCHER.cosines[5])[1])
    farthest = int(np.argmin(MATCHER.cosines[5]))
    assert affinity[f"item-{nearest:02d}"] > affinity[f"item-{farthest:02d}"]


def test_season_price_and_time_are_as_they_are() -> None:
    stranger = UserProfile(user_key=ADA)

    assert column("in_season", stranger)["item-00"] == 0.0  # best in June and July
    assert column("in_season", stranger)["item-01"] == 1.0  # unknown counts as yes
    assert column("price_log", stranger)["item-05"] == pytest.approx(np.log(11), abs=1e-4)
    profile = fold_profile(ADA, impressions=[shown("item-03", days_ago=2.5)], at=NOW)
    assert column("days_since_shown", profile)["item-03"] == pytest.approx(2.5)


def test_what_was_shown_lately_is_told_apart_from_what_was_shown_long_ago() -> None:
    profile = fold_profile(
        ADA,
        impressions=[shown("item-00", days_ago=0), shown("item-12", days_ago=7)],
        at=NOW,
    )

    of_item, of_category = (column(f"{what}_exposure", profile) for what in ("item", "category"))

    assert [of_item[f"item-{n:02d}"] for n in (0, 12, 6)] == [1.0, 0.5, 0.0]
    assert of_category["item-06"] == 1.5  # of the same category as both
    assert of_category["item-01"] == 0.0


def test_new_items_start_above_the_mean_and_proven_ones_follow_their_counts() -> None:
    counts = Background(
        SHOP,
        impressions={ItemId("item-00"): 1_000, ItemId("item-01"): 1_000},
        likes={ItemId("item-00"): 400, ItemId("item-01"): 10},
    )

    popularity = column("popularity", UserProfile(user_key=ADA), counts)

    mean = 412 / 2_010
    assert popularity["item-02"] == pytest.approx(1.1 * mean, abs=1e-4)
    assert popularity["item-00"] > popularity["item-02"] > popularity["item-01"]


def test_newcomers_near_what_is_liked_start_higher() -> None:
    likes = MATCHER.cosines[5].copy()
    likes[5] = -1.0
    near, far = int(np.argmax(likes)), int(np.argmin(MATCHER.cosines[5]))
    shown_often = {i.item_id: 50 for n, i in enumerate(SHOP) if n not in (near, far)}
    crowd = Background(
        SHOP, MATCHER.similarities, impressions=shown_often, likes={ItemId("item-05"): 45}
    )

    popularity = column("popularity", UserProfile(user_key=ADA), crowd)

    assert popularity[f"item-{near:02d}"] > popularity[f"item-{far:02d}"]
    assert popularity["item-05"] > popularity[f"item-{near:02d}"]


def test_who_likes_one_category_is_told_to_like_its_companion() -> None:
    # In this crowd fruit and fish are liked together, dairy by nobody of them.
    names = sorted({item.category for item in SHOP})
    fruit, fish = names.index("fruit"), names.index("fish")
    offered = np.full((200, len(names)), 5.0)
    loved = np.zeros_like(offered)
    loved[:100, [fruit, fish]] = 4.0
    loved[100:, [i for i in range(len(names)) if i not in (fruit, fish)]] = 4.0
    crowd = Background(SHOP, transfer=category_transfer(Answers(loved, 0 * loved, offered)))
    profile = fold_profile(ADA, impressions=[shown("item-00")], replies=[liked("item-00")], at=NOW)

    taste = column("crowd_favour", profile, crowd)

    assert taste["item-02"] > 0 > taste["item-03"]  # a fish, a dairy
    assert column("crowd_favour", UserProfile(user_key=ADA), crowd)["item-02"] == 0.0


def test_answers_are_counted_by_category_once_a_slate() -> None:
    # item-00 and item-06 are fruit, item-02 is a fish; the pear is not sold here.
    never = liked("item-02", ReplyKind.NEVER)
    bought_elsewhere = liked("item-06", ReplyKind.PURCHASE)
    profile = fold_profile(
        ADA,
        impressions=[shown("item-00", 3), shown("item-00", 1), shown("item-02"), shown("pear")],
        replies=[liked("item-00"), liked("item-00", ReplyKind.PURCHASE), never, bought_elsewhere],
        at=NOW,
    )

    answers = answers_by_category(profile, Background(SHOP))

    names = sorted({item.category for item in SHOP})
    fruit, fish = names.index("fruit"), names.index("fish")
    assert [part[fruit] for part in answers] == [3.0, 0.0, 3.0]
    assert [part[fish] for part in answers] == [0.0, 1.0, 1.0]
    assert sum(part.sum() for part in answers) == 8.0


def test_no_candidates_give_no_rows() -> None:
    matrix = feature_matrix(UserProfile(user_key=ADA), [], [], at=NOW, background=Background(SHOP))

    assert matrix.shape == (0, len(FEATURES))


def test_what_is_logged_is_what_was_served() -> None:
    profile = fold_profile(ADA, impressions=[shown("item-00")], replies=[liked("item-00")], at=NOW)
    matrix = feature_matrix(
        profile, HITS, ITEMS, at=NOW, background=Background(SHOP, MATCHER.similarities)
    )
    scores = np.arange(24.0)

    logged = json.loads(json.dumps(logged_features(matrix, [h.item_id for h in HITS], scores)))

    best = np.argsort(-scores)[:10]
    assert logged["item_ids"] == [str(HITS[i].item_id) for i in best]
    assert (np.array(logged["rows"], dtype=np.float32) == matrix[best]).all()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 23),
            st.sampled_from([ReplyKind.LIKE, ReplyKind.DISLIKE, ReplyKind.PURCHASE]),
        ),
        max_size=12,
        unique=True,
    ),
    st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_a_row_does_not_depend_on_the_order_of_candidates_or_events(
    events: list[tuple[int, ReplyKind]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    replies = [liked(f"item-{n:02d}", kind) for n, kind in events]
    turned = [replies[i] for i in rng.permutation(len(replies))]
    order = rng.permutation(len(HITS))
    background = Background(SHOP)
    hits: list[Hit] = [HITS[i] for i in order]

    straight = feature_matrix(
        fold_profile(ADA, replies=replies, at=NOW), HITS, ITEMS, at=NOW, background=background
    )
    shuffled = feature_matrix(
        fold_profile(ADA, replies=turned, at=NOW), hits, [ITEMS[i] for i in order],
        at=NOW, background=background,
    )  # fmt: skip

    np.testing.assert_allclose(shuffled, straight[order], atol=2e-4)

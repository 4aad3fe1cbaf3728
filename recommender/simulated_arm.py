"""One policy against simulated people, for the full loop: serve, log, train, gate, deploy, and judge the judges.

Everything but the people is the product: `Recommender`, eligibility, features, predictor, policy,
gate and off-policy estimators.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from data.catalogue import ItemId, Lesson
from data.errors import InvalidInput, SafetyViolation
from data.events import (
    Impression,
    Reply,
    ReplyKind,
    SlateId,
    SlateRecord,
    Stage,
)
from recommender.candidates import CatalogueTable
from recommender.constraints import Constraints
from recommender.crowd import Answers, CrowdTaste, category_transfer
from recommender.exploration import PolicyParameters, parameters_for
from recommender.features import Background
from recommender.guard import refusals
from recommender.learned_scorer import LearnedScorer, learned_weight
from recommender.logged import LoggedSlates, joined, logged_slates, placings, slate_log
from recommender.policy import Policy, SoftmaxPolicy, UniformPolicy
from recommender.predictor import LearnedPredictor
from recommender.profile import UserProfile, fold_profile
from recommender.promotion import RewardModel, gate
from recommender.recommend import Recommender
from recommender.rescoring import feature_column, rescored
from recommender.scoring import MatchScorer, Scorer
from recommender.simulated_people import (
    EXAMINED,
    Population,
    Weariness,
    answer,
    like_probabilities,
)
from recommender.simulated_world import (
    OracleScorer,
    PopularityScorer,
    RememberingRecommender,
    World,
)
from recommender.simulation_report import ArmResult, OpeCheck, RoundRate, round_rate
from recommender.slate import Request
from recommender.slate_evaluation import cascade, per_position
from recommender.training import train

Floats = npt.NDArray[np.float64]
Tell = Callable[[str, int, int], None]

START = datetime(2026, 9, 1, tzinfo=UTC)
BETWEEN_ROUNDS = timedelta(days=2)


class Arm:
    """One policy in its own copy of the world."""

    def __init__(self, arm: str, world: World, population: Population, *, seed: int) -> None:
        self.arm, self.world, self.population, self.seed = arm, world, population, seed
        self.weariness = Weariness(population)
        self.numbers = {key: n for n, key in enumerate(population.keys)}
        self.table = CatalogueTable(world.catalogue)
        self.impressions: list[list[Impression]] = [[] for _ in population.keys]
        self.replies: list[list[Reply]] = [[] for _ in population.keys]
        self.shown: Counter[ItemId] = Counter()
        self.liked: Counter[ItemId] = Counter()
        n_categories = int(population.category_codes.max(initial=0)) + 1
        self.answers = Answers(*np.zeros((3, len(population), n_categories)))
        self.n_slates = 0
        self.n_violations = 0
        self.asserted: set[tuple[ItemId, Constraints, object]] = set()
        self.predictor: LearnedPredictor | None = None
        self.n_labelled = 0
        self.logs: list[LoggedSlates] = []
        self.checks: list[OpeCheck] = []
        self.kept_back: list[str] = []
        self.n_promotions = 0

    def run(self, n_rounds: int, tell: Tell | None = None) -> ArmResult:
        rates: list[RoundRate] = []
        stages: list[str] = []
        for round_ in range(n_rounds):
            rate, stage = self._round(round_)
            rates.append(rate)
            stages.append(stage)
            if tell is not None:
                tell(f"simulating {self.arm}", round_ + 1, n_rounds)
        return ArmResult(
            arm=self.arm,
            rates=tuple(rates),
            n_safety_violations=self.n_violations,
            catalogue_coverage=len(self.shown) / len(self.world.catalogue),
            n_promotions=self.n_promotions,
            checks=tuple(self.checks),
            stages=tuple(stages),
            refusals=tuple(self.kept_back),
        )

    def _round(self, round_: int) -> tuple[RoundRate, str]:
        parameters = parameters_for(self.n_slates)
        recommender = self._recommender(parameters)
        begin = START + round_ * BETWEEN_ROUNDS
        records: list[SlateRecord] = []
        truths: list[Floats] = []
        likes: list[int] = []
        sizes: list[int] = []
        for user in range(len(self.population)):
            at = begin + timedelta(hours=int(self.population.hours[user]))
            record = self._serve(recommender, user, round_, at)
            if record is None or not record.placements:
                continue
            rows = np.array([self.table.rows_by_id[i] for i in record.candidates], dtype=np.int64)
            lesson = self.world.lessons[self.population.lessons[user, round_]]
            p = like_probabilities(
                self.population, self.weariness, user, rows, self._match(lesson, rows)
            )
            likes.append(self._answer(record, user, round_, at, rows, p))
            sizes.append(len(record.placements))
            if self.arm == "full_loop" and self.population.consents[user]:
                records.append(record)
                truths.append(np.outer(np.pad(p, (0, 10 - len(p))), EXAMINED))
        self.weariness.rest()
        self.n_slates += len(likes)
        if self.arm == "full_loop":
            self._learn(round_, records, np.array(truths), parameters, begin)
        stage = (
            recommender.scorer.score(
                UserProfile(user_key=self.population.keys[0]), Request(), (), (), at=begin
            ).stage
            if self.arm == "full_loop"
            else Stage.MATCH_ONLY
        )
        return round_rate(np.array(likes), np.array(sizes)), str(stage)

    def _recommender(self, parameters: PolicyParameters) -> Recommender:
        scorer: Scorer
        policy: Policy = SoftmaxPolicy(parameters)
        match self.arm:
            case "uniform":
                scorer, policy = MatchScorer(), UniformPolicy()
            case "match_only":
                scorer = MatchScorer()
            case "popularity":
                scorer = PopularityScorer(MatchScorer(dict(self.shown), dict(self.liked)))
            case "oracle":
                scorer = OracleScorer(self.population, self.weariness, self.numbers)
            case _:
                scorer = LearnedScorer(
                    background=Background(
                        self.world.catalogue,
                        self.world.matcher.similarities,
                        dict(self.shown),
                        dict(self.liked),
                        self._transfer(),
                    ),
                    predictor=self.predictor,
                    n_labelled=self.n_labelled,
                )
        return RememberingRecommender(
            table=self.table,
            matcher=self.world.matcher,
            scorer=scorer,
            policy=policy,
            asserted=self.asserted,
        )

    def _transfer(self) -> CrowdTaste | None:
        if self.n_slates == 0:
            return None
        return category_transfer(self.answers.of(self.population.consents))

    def _serve(
        self, recommender: Recommender, user: int, round_: int, at: datetime
    ) -> SlateRecord | None:
        population = self.population
        profile = fold_profile(
            population.keys[user],
            facts=population.facts[user],
            impressions=self.impressions[user],
            replies=self.replies[user],
            at=at,
        )
        lesson = self.world.lessons[population.lessons[user, round_]]
        try:
            record = recommender.recommend(
                profile,
                Request(lesson=lesson),
                at=at,
                seed=(self.seed * 1_000_003 + round_ * 10_007 + user) % 2**63,
                slate_id=SlateId(f"{round_:04d}-{user:011d}"),
            ).record
        except SafetyViolation:
            self.n_violations += 1
            return None
        # Judged by the code that checks before sending, which shares nothing with the ranker.
        self.n_violations += len(
            refusals(
                [p.item_id for p in record.placements],
                self.world.catalogue.items_by_id,
                population.facts[user],
                at=at,
            )
        )
        return record

    def _match(self, lesson: Lesson, rows: npt.NDArray[np.int64]) -> Floats:
        scores = self.world.matcher.scores(lesson)
        return np.array([scores[int(row)] for row in rows])

    def _answer(
        self,
        record: SlateRecord,
        user: int,
        round_: int,
        at: datetime,
        rows: npt.NDArray[np.int64],
        p: Floats,
    ) -> int:
        n_likes = 0
        place = {item_id: n for n, item_id in enumerate(record.candidates)}
        key = record.user_key
        for placement in record.placements:
            self.impressions[user].append(
                Impression(
                    slate_id=record.slate_id, user_key=key, item_id=placement.item_id,
                    position=placement.position, propensity=placement.propensity,
                    marginal_propensity=placement.marginal_propensity,
                    explored=placement.explored, delivered_at=at,
                )
            )  # fmt: skip
            did = answer(
                self.population,
                user,
                round_,
                placement.position,
                float(p[place[placement.item_id]]),
            )
            kinds = [
                kind
                for kind, happened in (
                    (ReplyKind.LIKE, did.is_liked),
                    (ReplyKind.DISLIKE, did.is_disliked),
                    (ReplyKind.PURCHASE, did.is_bought),
                )
                if happened
            ]
            self.replies[user] += [
                Reply(
                    reply_id=f"{record.slate_id}:{placement.position}:{kind}",
                    at=at + timedelta(minutes=5), user_key=key, kind=kind,
                    slate_id=record.slate_id, item_id=placement.item_id,
                )
                for kind in kinds
            ]  # fmt: skip
            n_likes += did.is_liked
            self.shown[placement.item_id] += 1
            self.liked[placement.item_id] += did.is_liked
            category = self.population.category_codes[rows[place[placement.item_id]]]
            self.answers.shown[user, category] += 1
            self.answers.liked[user, category] += did.is_liked
            self.answers.disliked[user, category] += did.is_disliked
        self.weariness.show(
            user, np.array([rows[place[p.item_id]] for p in record.placements], dtype=np.int64)
        )
        return n_likes

    def _learn(
        self,
        round_: int,
        records: Sequence[SlateRecord],
        truth: Floats,
        parameters: PolicyParameters,
        begin: datetime,
    ) -> None:
        """What `zhiwei train` and `zhiwei models promote` do, after every round."""
        users = {record.user_key for record in records}
        ids = {record.slate_id for record in records}
        log = logged_slates(
            records,
            [i for user in self.impressions for i in user[-len(EXAMINED):] if i.slate_id in ids],
            [r for user in self.replies for r in user[-9:] if r.slate_id in ids],
            users=users,
            until=begin + BETWEEN_ROUNDS + timedelta(days=1),
            user_numbers=self.numbers,
        )  # fmt: skip
        if not len(log):
            return
        self._check(round_, log, truth, parameters)
        self.logs.append(log)
        everything = joined(self.logs)
        try:
            trained = train(everything, seed=self.seed, search=False, in_force=self.predictor)
        except InvalidInput as reason:
            self.kept_back.append(f"round {round_}: {reason}")
            return
        n_labelled = trained.report.n_labelled
        verdict = gate(
            trained.report,
            trained.holdout,
            candidate_scores=rescored(
                trained.holdout, trained.predictor, learned_weight(n_labelled)
            ),
            in_force_scores=rescored(
                trained.holdout, self.predictor, learned_weight(self.n_labelled)
            ),
            parameters=parameters_for(self.n_slates),
            safety_violations=self.n_violations,
            rng=np.random.default_rng([self.seed, round_, 7]),
        )
        if verdict.is_open:
            self.predictor, self.n_labelled = trained.predictor, n_labelled
            self.n_promotions += 1
        else:
            self.kept_back.append(f"round {round_}: {'; '.join(verdict.reasons)}")

    def _check(
        self, round_: int, log: LoggedSlates, truth: Floats, parameters: PolicyParameters
    ) -> None:
        """Estimate other policies from this round's log, and compare with what is true."""
        rng = np.random.default_rng([self.seed, round_, 3])
        targets = {
            "uniform": (feature_column(log, "match"), replace(parameters, exploration_rate=1.0)),
            "match_only": (feature_column(log, "match"), parameters),
            "popularity": (feature_column(log, "popularity"), parameters),
        }
        if self.predictor is not None:
            targets["greedier"] = (log.scores, replace(parameters, temperature_in_sd=0.25))
        model = RewardModel(log)
        for name, (scores, theirs) in targets.items():
            target = placings(log, scores, theirs)
            on = log.is_shown
            true = float((target.all_marginals * truth).sum(axis=1)[on].mean())
            arrays = slate_log(log, target)
            for estimate in (
                per_position(arrays, rng=rng),
                per_position(arrays, rng=rng, normalise=True),
                cascade(arrays, rng=rng),
                per_position(
                    arrays, rng=rng, q_logged=model.logged(log), q_target=model.expected(target)
                ),
            ):
                self.checks.append(
                    OpeCheck(
                        round=round_, policy=name, method=estimate.method,
                        estimate=estimate.value, low=estimate.low, high=estimate.high, truth=true,
                        is_refused=estimate.is_refused,
                    )
                )  # fmt: skip

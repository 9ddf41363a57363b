import numpy as np

from affect_tasks.evaluation.comparison import compare_paired
from affect_tasks.promotion import decide_promotion


def compare(candidate_right: float, champion_right: float, images: int = 400):
    labels = np.zeros(images, dtype=int)
    random = np.random.default_rng(3)
    predict = lambda share: (random.random(images) > share).astype(int)  # noqa: E731 - short and local
    return compare_paired(labels, candidate=predict(candidate_right), champion=predict(champion_right), seed=1)


def test_a_clearly_better_candidate_is_promoted():
    decision = decide_promotion("2", champion="1", comparison=compare(0.9, 0.6))
    assert (decision.verdict, decision.champion_after) == ("promoted", "2")


def test_a_lead_that_may_be_chance_keeps_the_champion():
    decision = decide_promotion("2", champion="1", comparison=compare(0.71, 0.70))
    assert (decision.verdict, decision.champion_after) == ("kept", "1")


def test_without_a_champion_the_floor_must_be_beaten():
    assert decide_promotion("1", champion=None, comparison=compare(0.5, 0.5)).champion_after is None
    assert decide_promotion("1", champion=None, comparison=compare(0.9, 0.5)).champion_after == "1"


def test_too_few_images_decide_nothing():
    assert decide_promotion("2", champion="1", comparison=compare(1.0, 0.0, images=10)).verdict == "kept"


def test_the_champion_itself_is_left_alone():
    assert decide_promotion("1", champion="1", comparison=None).verdict == "unchanged"


def test_the_record_is_readable():
    text = decide_promotion("2", champion="1", comparison=compare(0.9, 0.6)).to_markdown()
    assert "promoted" in text
    assert "paired bootstrap" in text


def test_a_model_scored_on_altered_copies_is_never_promoted():
    for champion in (None, "1"):
        decision = decide_promotion("2", champion=champion, comparison=compare(0.9, 0.5), altered_test=True)
        assert (decision.verdict, decision.champion_after) == ("kept", champion)
        assert "balance_test" in decision.to_markdown()


def test_a_candidate_behind_is_not_said_to_lead():
    behind = decide_promotion("2", champion="1", comparison=compare(0.5, 0.9)).reason
    assert behind.startswith("It does not beat the champion: the difference is -0.")
    assert "may be chance" in decide_promotion("2", champion="1", comparison=compare(0.55, 0.5)).reason

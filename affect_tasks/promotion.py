"""Whether a candidate becomes champion: one pure decision and its readable record."""

from dataclasses import asdict, dataclass
from typing import Literal

from affect_tasks.evaluation.comparison import Comparison

Verdict = Literal["promoted", "kept", "unchanged"]
MIN_IMAGES = 30


@dataclass(frozen=True)
class Decision:
    """What was decided about a candidate and why."""

    verdict: Verdict
    reason: str
    candidate: str
    champion_before: str | None
    champion_after: str | None
    against: Literal["floor", "champion"]
    comparison: Comparison | None

    def to_record(self) -> dict[str, object]:
        """Return the decision as plain values for JSON."""
        return asdict(self)

    def to_markdown(self) -> str:
        """Return the decision as a page for people."""
        lines = [f"# Version {self.candidate}: {self.verdict}", "", self.reason, ""]
        if self.comparison is not None:
            c = self.comparison
            lines += [
                f"| on the same {c.images} test images | accuracy |",
                "|---|---|",
                f"| candidate | {c.candidate_accuracy:.3f} |",
                f"| {self.against} | {c.champion_accuracy:.3f} |",
                f"| difference ({c.confidence:.0%} interval, paired bootstrap) | {c.difference} |",
                f"| right where the other is wrong, and the reverse | {c.wins}, {c.losses} |",
                f"| McNemar's exact p | {c.mcnemar_p:.2g} |",
                "",
            ]
        lines += [
            f"Champion before: {self.champion_before or 'none'}. Champion after: {self.champion_after or 'none'}."
        ]
        return "\n".join(lines) + "\n"


def decide_promotion(
    candidate: str,
    *,
    champion: str | None,
    comparison: Comparison | None,
    obstacle: str = "",
    altered_test: bool = False,
) -> Decision:
    """Decide about a candidate.

    Args:
        candidate: The candidate's version.
        champion: The champion's version, None where there is none.
        comparison: Candidate against champion, or against the floor where there is no champion. None where
            they cannot be compared.
        obstacle: Why they cannot be compared.
        altered_test: Whether the test split holds altered copies.
    """
    against: Literal["floor", "champion"] = "champion" if champion else "floor"

    def say(verdict: Verdict, reason: str) -> Decision:
        after = candidate if verdict == "promoted" else champion
        return Decision(verdict, reason, candidate, champion, after, against, comparison)

    if candidate == champion:
        return say("unchanged", "The candidate is the champion already.")
    if altered_test:
        return say(
            "kept",
            "A champion is chosen on original images; this run's test split holds altered copies. "
            "Run again without `balance_test`.",
        )
    if comparison is None:
        return say("kept", f"The candidate cannot be compared with the champion: {obstacle}")
    if comparison.images < MIN_IMAGES:
        return say("kept", f"{comparison.images} test images cannot decide; {MIN_IMAGES} are the least.")
    difference = f"{comparison.difference} on {comparison.images} test images"
    if comparison.better:
        return say("promoted", f"It beats the {against} by {difference}, more than chance allows for.")
    if comparison.difference.value <= 0:
        return say("kept", f"It does not beat the {against}: the difference is {difference}.")
    return say("kept", f"Its lead over the {against} by {difference} may be chance: the interval reaches 0.")

"""The page that describes a dataset version: one HTML file that needs nothing beside it and runs no script."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence

from affect_tasks.data.decode import decode_image, encode_jpeg, scale_image
from affect_tasks.data.groups import Contradiction
from affect_tasks.data.scan import SkippedFile
from affect_tasks.data.summary import PARTS, DatasetSummary

MOST_LISTED = 200
THUMBNAIL_PX = 72


def build_report(
    summary: DatasetSummary,
    *,
    facts: Mapping[str, str],
    quarantined: Sequence[SkippedFile],
    contradictions: Sequence[Contradiction],
    samples: Mapping[str, Sequence[Sequence[str]]],
    thumbnails: Mapping[str, bytes],
) -> bytes:
    """Write the page.

    Args:
        summary: Of `summarize_dataset`.
        facts: What else to say at the top: names and values.
        quarantined: Files set aside, each with its reason.
        contradictions: Groups of duplicates with several labels.
        samples: By label, image_ids of originals, each with some altered copies, as `choose_samples` chose them.
        thumbnails: By image_id, JPEG files; an image without one is shown by its name alone.

    Returns:
        An HTML file.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("affect_tasks.data", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(
        summary=summary,
        parts=[
            (place, name) for place, name in enumerate(PARTS) if any(item.counts[place] for item in summary.classes)
        ],
        largest=max(item.total for item in summary.classes),
        facts=facts,
        quarantined=quarantined,
        reasons=Counter(file.reason for file in quarantined).most_common(),
        contradictions=contradictions,
        samples=samples,
        pictures={image_id: base64.b64encode(data).decode() for image_id, data in thumbnails.items()},
        most=MOST_LISTED,
    )
    # A path may hold what UTF-8 cannot say: Linux allows any bytes.
    return page.encode(errors="backslashreplace")


def make_thumbnail(data: bytes) -> bytes:
    """Scale an image file down to a small square JPEG file.

    Raises:
        UnreadableImageError: The bytes are not a complete image of an accepted kind.
    """
    return encode_jpeg(scale_image(decode_image(data), side_px=THUMBNAIL_PX), quality=85)

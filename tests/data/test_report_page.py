from html.parser import HTMLParser

import numpy as np

from affect_tasks.data.decode import decode_image, encode_jpeg
from affect_tasks.data.groups import Contradiction
from affect_tasks.data.report_page import build_report, make_thumbnail
from affect_tasks.data.scan import SkippedFile
from affect_tasks.data.summary import choose_samples, summarize_dataset
from affect_tasks.manifest import build_manifest

HOSTILE = "<script>alert(1)</script>"
_VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """All texts and addresses of a page; fails where its tags do not nest."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(page.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


def build_page(count=3, *, label="sad", quarantined=(), contradictions=(), thumbnails=None, sources=None) -> Page:
    manifest = build_manifest(
        {
            "image_id": [f"i{number}" for number in range(count)],
            "path": [f"{label}/{number}.png" for number in range(count)],
            "label": [label] * (count - 1) + ["zzz"],
            "folder_label": [label] * count,
            "origin": ["web"] * count,
            "width": [96] * count,
            "height": [96] * count,
            "group": ["i0"] * 2 + [f"i{number}" for number in range(2, count)],
            "split": ["train"] * count,
            "source_id": sources or [""] * count,
            "seed": [-1] * count,
            "shard": ["s"] * count,
        }
    )
    page = build_report(
        summarize_dataset(manifest),
        facts={"Seed": "27"},
        quarantined=quarantined,
        contradictions=contradictions,
        samples=choose_samples(manifest),
        thumbnails=thumbnails or {},
    )
    return Page(page)


def test_the_page_needs_nothing_beside_it_and_runs_no_script():
    thumbnail = make_thumbnail(encode_jpeg(np.full((40, 30, 3), 99, np.uint8)))
    page = build_page(thumbnails={"i0": thumbnail})
    assert page.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert not page.tags & {"script", "link", "iframe", "object"}


def test_names_that_look_like_html_are_shown_as_they_are():
    aside = [SkippedFile(HOSTILE, HOSTILE)]
    torn = [Contradiction("g", ("a", "b"), (HOSTILE, "b"), (HOSTILE, "sad"))]
    page = build_page(label=HOSTILE, quarantined=aside, contradictions=torn)
    assert "script" not in page.tags
    assert page.texts.count(HOSTILE) >= 5


def test_what_is_set_aside_is_listed_with_its_reason_and_long_lists_are_cut():
    aside = [SkippedFile(f"sad/{number}.png", "empty" if number else "cut") for number in range(500)]
    page = build_page(quarantined=aside)
    assert {"500", "499", "sad/0.png", "cut"} <= set(page.texts)
    assert "sad/499.png" not in page.texts


def test_a_path_that_is_no_text_is_shown_escaped():
    page = build_page(quarantined=[SkippedFile("sad/\udcff.png", "hidden")])
    assert "sad/\\udcff.png" in page.texts


def test_samples_and_groups_are_shown_without_pictures_too():
    page = build_page(4, sources=["", "", "", "i0"])
    assert "img" not in page.tags
    assert "2 images" in page.texts


def test_thumbnails_are_small_squares():
    picture = np.random.default_rng(0).integers(0, 255, (300, 200, 3), dtype=np.uint8)
    assert decode_image(make_thumbnail(encode_jpeg(picture))).shape == (72, 72, 3)

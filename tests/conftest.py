import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings

from affect_tasks.settings import Settings, read_settings

# Shared machines stall now and then; no property here is about time.
hypothesis_settings.register_profile("steady", deadline=None)
hypothesis_settings.load_profile("steady")


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("AFFECT_HOME", str(tmp_path / "home"))
    return read_settings()


@pytest.fixture
def blobs() -> dict[str, bytes]:
    return {}


@pytest.fixture
def write_shard(blobs):
    def write(data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        blobs[name] = data
        return name

    return write


def write_image(path: Path, *, shade: int, seed: int, side_px: int = 32) -> None:
    """Write a small noisy picture whose brightness tells its class."""
    noise = np.random.default_rng(seed).integers(0, 30, (side_px, side_px, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), (noise + shade).astype(np.uint8))


@pytest.fixture
def faces(tmp_path) -> Path:
    """Three classes of 40, 30 and 24 pictures; five lie in a wrong folder, as labels.csv knows."""
    folder = tmp_path / "faces"
    rows = ["index,pth,label,relFCs"]
    for number, (label, count) in enumerate({"anger": 40, "happy": 30, "sad": 24}.items()):
        for index in range(count):
            lies_in = "happy" if label == "anger" and index < 5 else label
            path = f"{lies_in}/{label}_{index:03d}.png"
            write_image(folder / "train" / path, shade=20 + 90 * number, seed=1000 * number + index)
            rows.append(f"{len(rows) - 1},{path},{label},0.5")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system can be mounted by root alone")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
